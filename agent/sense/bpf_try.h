/* SPDX-License-Identifier: MIT */
/* Loading a BPF object program by program, to tell which ones the running kernel refuses. */
#ifndef DORA_PROBE_BPF_TRY_H
#define DORA_PROBE_BPF_TRY_H

#include <stddef.h>

/* The object that the probe loads; static. */
const void *dp_bpf_object(size_t *ret_len);

/*
 * Loads each program of the object alone, with all of its maps, and unloads it again. `fn` is called
 * for each: err is 0 or the -errno of the load, `said` the verifier's last line, "" if it wrote
 * none; both strings are valid during the call. Returns the number of programs that were refused, or
 * -errno when the object itself cannot be opened. Nothing is attached.
 */
int dp_bpf_try(const void *elf, size_t len,
	       void (*fn)(void *ctx, const char *program, int err, const char *said), void *ctx);

#endif
