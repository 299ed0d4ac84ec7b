// SPDX-License-Identifier: MIT
/* Users and what a command gets of them (user.h). */
#include "act/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

#define DATABASE_MAX 4096

static void fill(const struct passwd *pw, struct dp_user *ret)
{
	int n = DP_CHILD_GROUPS_MAX;

	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	snprintf(ret->home, sizeof(ret->home), "HOME=%s", pw->pw_dir);
	snprintf(ret->name, sizeof(ret->name), "USER=%s", pw->pw_name);
	if (getgrouplist(pw->pw_name, pw->pw_gid, ret->groups, &n) < 0)
		n = DP_CHILD_GROUPS_MAX;
	ret->group_count = n;
}

void dp_user_of(uid_t uid, struct dp_user *ret)
{
	struct passwd pw, *found = NULL;
	char buf[DATABASE_MAX];

	*ret = (struct dp_user){.uid = uid, .gid = (gid_t)uid};
	snprintf(ret->home, sizeof(ret->home), "HOME=/");
	snprintf(ret->name, sizeof(ret->name), "USER=%u", (unsigned int)uid);
	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 && found)
		fill(found, ret);
}

int dp_user_named(const char *name, struct dp_user *ret)
{
	struct passwd pw, *found = NULL;
	char buf[DATABASE_MAX];
	const char *end;
	uint64_t uid;

	end = dp_number(name, 10, UINT32_MAX - 1, &uid);
	if (end && !*end) {
		dp_user_of((uid_t)uid, ret);
		return 0;
	}
	*ret = (struct dp_user){.uid = 0};
	if (getpwnam_r(name, &pw, buf, sizeof(buf), &found) || !found)
		return -ENOENT;
	fill(found, ret);
	return 0;
}

uid_t dp_user_invoking(void)
{
	const char *sudo = getenv("SUDO_UID"), *end;
	uint64_t uid;

	if (geteuid() != 0 || !sudo)
		return geteuid();
	end = dp_number(sudo, 10, UINT32_MAX - 1, &uid);
	return end && !*end ? (uid_t)uid : geteuid();
}

bool dp_user_is_other(const struct dp_user *u)
{
	return u->uid != geteuid();
}

void dp_user_become(const struct dp_user *u, struct dp_child_options *ret)
{
	ret->change_user = dp_user_is_other(u);
	ret->uid = u->uid;
	ret->gid = u->gid;
	memcpy(ret->groups, u->groups, sizeof(ret->groups));
	ret->group_count = u->group_count;
}
