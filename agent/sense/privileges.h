/* SPDX-License-Identifier: MIT */
/*
 * Least privilege: load and attach with what the user gave, then keep what reading and acting need.
 */
#ifndef DORA_PROBE_PRIVILEGES_H
#define DORA_PROBE_PRIVILEGES_H

struct dp_privileges {
	int may_signal;      /* the guard may act: KILL */
	int may_switch_user; /* `dora stop` as the node's user: SETUID, SETGID */
};

/*
 * Drops every capability but SYS_PTRACE, DAC_READ_SEARCH and CHECKPOINT_RESTORE (reading targets),
 * BPF, PERFMON and SYS_ADMIN (arming the edge source, maps) and what `p` asks for; forbids new
 * ones. A capability that we never had is not asked for. 0 or -errno.
 */
int dp_privileges_drop(const struct dp_privileges *p);

#endif
