// SPDX-License-Identifier: MIT
/* Dropping capabilities by libcap (privileges.h). */
#include "sense/privileges.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/array.h"
#include "dora_probe/rights.h"
#include "sense/syscalls.h"

#define CAPABILITIES_MAX 64

static bool is_permitted(cap_t now, cap_value_t cap)
{
	cap_flag_value_t on = CAP_CLEAR;

	return cap >= 0 && cap_get_flag(now, cap, CAP_PERMITTED, &on) == 0 && on == CAP_SET;
}

/*
 * Keeps a right where it is permitted now. For one without which a watch cannot go on, what stands in for it
 * serves: a container has CAP_DAC_OVERRIDE by default, but not CAP_DAC_READ_SEARCH. 0 or -errno.
 */
static int keep(cap_t now, cap_t next, const struct dp_right *right)
{
	bool other = right->needed && !is_permitted(now, right->bit);
	cap_value_t want = other ? right->stand_in : right->bit;

	if (!is_permitted(now, want))
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

/* Sets exactly what is in `next`, and closes the ways to get more. 0 or -errno. */
static int settle(cap_t next)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Needs CAP_SETPCAP, which the unit does not have; its own set is as small as can be. */
	for (int i = 0; i < CAPABILITIES_MAX; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	if (cap_set_proc(next) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* A kernel without seccomp is no reason not to watch. */
static int limit(int err)
{
	return err == -ENOSYS || err == -EINVAL || err == -ECANCELED ? 0 : err;
}

bool dp_privileges_has(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t on = CAP_CLEAR;

	return caps && cap >= 0 && cap_get_flag(caps, cap, CAP_EFFECTIVE, &on) == 0 &&
	       on == CAP_SET;
}

const struct dp_right *dp_privileges_lacking(void)
{
	const struct dp_right *ret = NULL;
	cap_t now = cap_get_proc();

	for (size_t i = 0; now && !ret && i < dp_rights_count; i++)
		if (dp_rights[i].needed && !dp_privileges_has(now, dp_rights[i].bit) &&
		    !dp_privileges_has(now, dp_rights[i].stand_in))
			ret = &dp_rights[i];
	if (now)
		cap_free(now);
	return ret;
}

/* Does reading other processes need it? CAP_CHECKPOINT_RESTORE has no name in older headers: 40. */
static bool reads(cap_value_t cap)
{
	return cap == CAP_SYS_PTRACE || cap == CAP_DAC_READ_SEARCH || cap == 40;
}

int dp_privileges_drop_to_reading(void)
{
	cap_t now = cap_get_proc(), next = cap_init();
	int err = now && next ? 0 : -errno;

	for (size_t i = 0; !err && i < dp_rights_count; i++)
		if (reads(dp_rights[i].bit))
			err = keep(now, next, &dp_rights[i]);
	if (!err)
		err = settle(next);
	if (!err)
		err = limit(dp_syscalls_limit_to_reading());
	if (now)
		cap_free(now);
	if (next)
		cap_free(next);
	return err;
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
			err = keep(now, next, &dp_rights[i]);
	if (err)
		goto cleanup;
	err = settle(next);
	if (!err)
		err = limit(dp_syscalls_limit(p->may_signal, p->may_run));
cleanup:
	if (now)
		cap_free(now);
	if (next)
		cap_free(next);
	return err;
}
