/* SPDX-License-Identifier: MIT */
/*
 * Least privilege: load and attach with what the user gave, then keep what reading and acting need.
 */
#ifndef DORA_PROBE_PRIVILEGES_H
#define DORA_PROBE_PRIVILEGES_H

#include <stdbool.h>
#include <sys/capability.h>

#include "dora_probe/rights.h"

struct dp_privileges {
	bool may_signal;      /* the guard may act: KILL */
	bool may_switch_user; /* `dora stop` as the node's user, hooks as another: SETUID, SETGID */
	bool may_run;         /* hooks, `dora stop` */
};

/*
 * Drops every capability but those that rights.h names for a watch and for what `p` asks; forbids
 * new ones, empties the ambient and, as far as may be, the bounding set; limits the system calls
 * (syscalls.h). A capability that we never had is not asked for. 0 or -errno.
 */
int dp_privileges_drop(const struct dp_privileges *p);

/* Drops all but what reading other processes needs, for good. 0 or -errno. */
int dp_privileges_drop_to_reading(void);

/* Is the capability in effect? `caps` is cap_get_proc()'s, NULL none; one below 0 nobody has. */
bool dp_privileges_has(cap_t caps, cap_value_t cap);

/* The first of the rights without which nothing can be watched that this process does not have; NULL: it has them all. */
const struct dp_right *dp_privileges_lacking(void);

#endif
