/* SPDX-License-Identifier: MIT */
/*
 * Every capability that dora-probe uses, once. Dropping of rights, the doctor's check, its hints for
 * setcap and containers, and the sentence about a missing right come from this list; a unit test
 * compares the manual page and the systemd unit with it.
 */
#ifndef DORA_PROBE_RIGHTS_H
#define DORA_PROBE_RIGHTS_H

#include <stddef.h>
#include <stdint.h>

/* Who needs the capability. */
enum dp_right_when {
	DP_RIGHT_WATCH,  /* every watch, to its end: in the unit and in the setcap hint */
	DP_RIGHT_SIGNAL, /* the guard: --shutdown nudge or terminate */
	DP_RIGHT_USER, /* `dora stop` as the node's user, hooks as another user than the probe's */
};

/*
 * X(NAME, bit of linux/capability.h, when, needed, stand-in, what is lost without it)
 *
 * needed: 1 when a watch cannot begin without it; 0 when it goes on with less.
 * stand-in: the bit of a capability that the kernel takes in its place, -1 none (capabilities(7)).
 *
 * BPF, PERFMON: kernel 5.8; before it SYS_ADMIN, which still stands in for both. Loading, maps, the
 * attach to tracepoints and cpu-clock events (with perf_event_paranoid 2 and higher).
 * SYS_ADMIN: the perf event of a uprobe, which is opened in the middle of a run; PERFMON is not
 * enough (measured on 6.18: EACCES).
 * DAC_READ_SEARCH: /proc/PID/environ of another user, with the node's configuration, and the files
 * that it has mapped. Containers have DAC_OVERRIDE by default, which includes it.
 * CHECKPOINT_RESTORE: kernel 5.9, /proc/PID/map_files; without it files are opened by their path in
 * the target's root.
 */
#define DP_RIGHTS(X)                                                                               \
	X(BPF, 39, DP_RIGHT_WATCH, 1, 21, "no program can be loaded")                              \
	X(PERFMON, 38, DP_RIGHT_WATCH, 1, 21, "no program can be attached")                        \
	X(SYS_ADMIN, 21, DP_RIGHT_WATCH, 0, -1,                                                    \
	  "no uprobe: holds that nobody waits for stay unconfirmed, --exact has no effect")        \
	X(SYS_PTRACE, 19, DP_RIGHT_WATCH, 1, -1, "no process of another user can be read")         \
	X(DAC_READ_SEARCH, 2, DP_RIGHT_WATCH, 1, 1,                                                \
	  "the files of other users' processes stay closed")                                       \
	X(CHECKPOINT_RESTORE, 40, DP_RIGHT_WATCH, 0, 21,                                           \
	  "mapped files are found by their path only")                                             \
	X(KILL, 5, DP_RIGHT_SIGNAL, 0, -1, "no nudge, no SIGTERM to nodes of other users")         \
	X(SETUID, 7, DP_RIGHT_USER, 0, -1, "dora stop and hooks cannot run as other users")        \
	X(SETGID, 6, DP_RIGHT_USER, 0, -1, "dora stop and hooks cannot run as other users")

struct dp_right {
	const char *name; /* "CAP_BPF" */
	int bit;
	enum dp_right_when when;
	int needed;
	int stand_in;
	const char *without;
};

extern const struct dp_right dp_rights[];
extern const size_t dp_rights_count;

#define DP_RIGHTS_TEXT 256 /* bytes that hold either text below with all rights */

/*
 * The rights of all the moments in `whens` (1 << enum dp_right_when each) as setcap takes them,
 * "cap_bpf,cap_perfmon,…+ep". setcap replaces what a file had, so a hint must name the whole set.
 * Cut at `len` bytes. Returns `ret`.
 */
const char *dp_rights_setcap(unsigned int whens, char *ret, size_t len);
/* The rights of `whens` as docker and podman take them: "--cap-add=BPF --cap-add=PERFMON …". */
const char *dp_rights_container(unsigned int whens, char *ret, size_t len);

#endif
