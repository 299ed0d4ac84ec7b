/* SPDX-License-Identifier: MIT */
/* What glibc 2.31 (Debian 11, Ubuntu 20.04) has no name for. All of it may be called after fork. */
#ifndef DORA_PROBE_GLIBC_H
#define DORA_PROBE_GLIBC_H

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* P_PIDFD of waitid(2), Linux 5.4; glibc 2.36. */
#define DP_P_PIDFD ((idtype_t)3)

/* Closes every descriptor from `lowest` on: closefrom(3) of glibc 2.34, close_range(2) of Linux 5.9. */
static inline void dp_close_from(int lowest)
{
#if __GLIBC_PREREQ(2, 34)
	closefrom(lowest);
#else
	if (syscall(__NR_close_range, (unsigned int)lowest, ~0u, 0u) == 0)
		return;
	for (long fd = sysconf(_SC_OPEN_MAX) - 1; fd >= lowest; fd--)
		close((int)fd);
#endif
}

/* The text of an error, which stays; NULL none. strerrordesc_np(3) of glibc 2.32. */
static inline const char *dp_error_text(int err)
{
#if __GLIBC_PREREQ(2, 32)
	return strerrordesc_np(err);
#else
	return err > 0 && err < sys_nerr ? sys_errlist[err] : NULL;
#endif
}

#endif
