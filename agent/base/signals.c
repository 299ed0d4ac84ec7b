// SPDX-License-Identifier: MIT
/* Signals by their names (signals.h). */
#include "base/signals.h"

#include <stdio.h>

#include "base/array.h"

char *dp_signal_text(uint32_t sig, char *buf, size_t len)
{
	/* Linux numbers of x86 and arm, signal(7); 29 is IO as well. */
	static const char *const names[] = {
		NULL,     "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
		"FPE",    "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
		"STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
		"XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR",  "SYS",
	};

	if (sig > 0 && sig < DP_COUNT_OF(names))
		snprintf(buf, len, "SIG%s", names[sig]);
	else if (sig >= 34 && sig <= 64)
		/* glibc keeps 32 and 33 for itself; its SIGRTMIN is 34. */
		snprintf(buf, len, "SIGRTMIN+%u", sig - 34);
	else
		snprintf(buf, len, "signal %u", sig);
	return buf;
}
