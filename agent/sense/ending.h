/* SPDX-License-Identifier: MIT */
/* How a process of others has ended, where no kernel program tells of it. */
#ifndef DORA_PROBE_ENDING_H
#define DORA_PROBE_ENDING_H

#include <sys/types.h>

/* Holds on to a process that lives. A descriptor for ending_status() and close(2), or -1. */
int ending_open(pid_t pid);
/*
 * Its wait status (wait(2)) into *ret: 0; -errno when nobody knows it any more. `fd`: of ending_open(),
 * by which kernels from 6.15 on tell it when somebody has waited for it, too; or -1. `pid`: 0 when
 * that number is another's by now.
 */
int ending_status(int fd, pid_t pid, int *ret);

#endif
