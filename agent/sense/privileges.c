// SPDX-License-Identifier: MIT
/* Dropping capabilities by libcap (privileges.h). */
#include "sense/privileges.h"

#include <errno.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* Younger than the headers of some distributions (linux/capability.h, 5.8 and 5.9). */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/* Keeps `want` where it is permitted now. */
static int keep(cap_t now, cap_t next, cap_value_t want)
{
	cap_flag_value_t has = CAP_CLEAR;

	if (cap_get_flag(now, want, CAP_PERMITTED, &has) < 0 || has != CAP_SET)
		return 0;
	if (cap_set_flag(next, CAP_PERMITTED, 1, &want, CAP_SET) < 0 ||
	    cap_set_flag(next, CAP_EFFECTIVE, 1, &want, CAP_SET) < 0)
		return -errno;
	return 0;
}

int dp_privileges_drop(const struct dp_privileges *p)
{
	/*
	 * SYS_ADMIN: perf_event_open refuses a uprobe without it, PERFMON is not enough (measured
	 * on 6.18: EACCES), and the edge source is armed in the middle of a run.
	 */
	static const cap_value_t always[] = {
		CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE,
		CAP_BPF,        CAP_PERFMON,         CAP_SYS_ADMIN};
	cap_t now = cap_get_proc(), next = cap_init();
	int err = 0;

	if (!now || !next) {
		err = -errno;
		goto cleanup;
	}
	for (size_t i = 0; !err && i < sizeof(always) / sizeof(always[0]); i++)
		err = keep(now, next, always[i]);
	if (!err && p->may_signal)
		err = keep(now, next, CAP_KILL);
	if (!err && p->may_switch_user)
		err = keep(now, next, CAP_SETUID);
	if (!err && p->may_switch_user)
		err = keep(now, next, CAP_SETGID);
	if (err)
		goto cleanup;
	if (cap_set_proc(next) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
cleanup:
	if (now)
		cap_free(now);
	if (next)
		cap_free(next);
	return err;
}
