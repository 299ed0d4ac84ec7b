/* SPDX-License-Identifier: MIT */
/*
 * System calls that a process of the probe can no longer make once it has begun to watch, by seccomp:
 * whoever takes it over by what it reads can do less with it. A call that is refused fails with EPERM.
 */
#ifndef DORA_PROBE_SYSCALLS_H
#define DORA_PROBE_SYSCALLS_H

#include <stdbool.h>

/*
 * The probe itself: nothing that writes to other processes, loads modules, mounts, changes clocks or
 * names. Unless `may_signal`, no signal to others but the SIGKILL that ends a reader or a hook; unless
 * `may_run`, no program is executed: hooks inherit the list, so that it holds what no hook needs.
 * 0; -ENOSYS this kernel or build has no seccomp; other -errno.
 */
int dp_syscalls_limit(bool may_signal, bool may_run);

/* A reader: what it needs to read, and nothing else. */
int dp_syscalls_limit_to_reading(void);

#endif
