// SPDX-License-Identifier: MIT
/* Dropping capabilities by libcap (privileges.h). */
#include "sense/privileges.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "dora_probe/rights.h"

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

static bool is_wanted(const struct dp_privileges *p, enum dp_right_when when)
{
	switch (when) {
	case DP_RIGHT_WATCH:
		return true;
	case DP_RIGHT_SIGNAL:
		return p->may_signal;
	case DP_RIGHT_USER:
		return p->may_switch_user;
	}
	return false;
}

int dp_privileges_drop(const struct dp_privileges *p)
{
	cap_t now = cap_get_proc(), next = cap_init();
	int err = 0;

	if (!now || !next) {
		err = -errno;
		goto cleanup;
	}
	for (size_t i = 0; !err && i < dp_rights_count; i++)
		if (is_wanted(p, dp_rights[i].when))
			err = keep(now, next, dp_rights[i].bit);
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
