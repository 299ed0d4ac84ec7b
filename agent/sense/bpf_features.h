/* SPDX-License-Identifier: MIT */
/* What the running kernel and the process' rights allow, found out by trying, not by version. */
#ifndef DORA_PROBE_BPF_FEATURES_H
#define DORA_PROBE_BPF_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Can programs be loaded at all? 0; -EPERM or -ENOTSUP with a sentence in `why` that ends in the
 * command that mends it.
 */
int dp_bpf_can_load(char *why, size_t why_len);

/*
 * Does this process see the kernel's own process ids, by the /proc at `proc`? Not in a container that has a PID namespace of
 * its own.
 */
bool dp_in_initial_pid_ns(const char *proc);

/* What to do where the kernel refuses bpf(2) or its like to a process that has the rights for it. Static text. */
const char *dp_bpf_how_to_allow(void);

/*
 * Are all of these names (NULL ends the list) among those of the running kernel's types? Read off its
 * strings: parsing 100,000 types takes ten times as long.
 */
bool dp_bpf_has_types(const char *const names[]);

/* Hash maps without preallocation in tracing programs; 6.1, commit 34dd3bad1a6f. 1 or 0. */
int dp_bpf_has_lazy_hash(void);

#endif
