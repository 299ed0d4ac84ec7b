/* SPDX-License-Identifier: MIT */
/* What of a process can be read without waiting for anybody. */
#ifndef DORA_PROBE_RESIDENT_H
#define DORA_PROBE_RESIDENT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Are its arguments and its environment in memory? The kernel reads both out of pages that the process
 * may have put a file system or a page fault handler of its own under. False where it cannot be told.
 */
bool dp_resident_start(pid_t pid);

#endif
