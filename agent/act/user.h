/* SPDX-License-Identifier: MIT */
/* The user as whom a command runs. */
#ifndef DORA_PROBE_USER_H
#define DORA_PROBE_USER_H

#include <limits.h>
#include <stdbool.h>

#include "act/child.h"

struct dp_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[DP_CHILD_GROUPS_MAX];
	int group_count;
	char home[PATH_MAX + 8]; /* "HOME=…" */
	char name[64];           /* "USER=…" */
};

/* User, group, groups and home from the user database; a uid that has none runs without. */
void dp_user_of(uid_t uid, struct dp_user *ret);
/* The user of this name or number. 0; -ENOENT there is no such user. */
int dp_user_named(const char *name, struct dp_user *ret);
/* Who has called a program that root runs: by SUDO_UID, as sudo(8) sets it; else whose program it is. */
uid_t dp_user_invoking(void);
/* Does a command of this user's need another user than the probe is? */
bool dp_user_is_other(const struct dp_user *u);
/* The command runs as this user. */
void dp_user_become(const struct dp_user *u, struct dp_child_options *ret);

#endif
