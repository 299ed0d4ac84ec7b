/* SPDX-License-Identifier: MIT */
/* What the control groups of this process allow. */
#ifndef DORA_PROBE_CGROUP_H
#define DORA_PROBE_CGROUP_H

#include <stdint.h>

/*
 * Bytes of memory, kernel memory (BPF maps) with it, by the nearest limit of memory.max (version 2) or
 * memory.limit_in_bytes (1) from its own group up; UINT64_MAX: there is none, or none can be read. `proc` is "/proc" and `sys`
 * "/sys/fs/cgroup", or a test's own.
 */
uint64_t dp_cgroup_memory(const char *proc, const char *sys);

#endif
