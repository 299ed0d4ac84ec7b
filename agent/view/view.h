/* SPDX-License-Identifier: MIT */
/*
 * The full-screen live view (--view) on the caller's thread. Nothing here waits for the terminal: a
 * frame that the terminal has not taken yet is followed by none, so a terminal that is stopped or
 * slow never holds up what the loop is for.
 */
#ifndef DORA_PROBE_VIEW_VIEW_H
#define DORA_PROBE_VIEW_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "dora_probe/finding.h"
#include "model/model.h"

#define DP_VIEW_FRAME_NS (200 * MS) /* no more than five frames a second */

struct dp_view;

struct dp_view_options {
	struct dp_node_views nodes; /* must outlive the view */
	int verbose;                /* as in struct dp_show_options */
	/* --hold-threshold, and from where a node stands out: --warn-hold, --pending-threshold; ns
	 */
	uint64_t hold_threshold_ns, warn_hold_ns, pending_threshold_ns;
};

/*
 * Can standard output show it? 0; -ENOTTY no terminal; -ENOTSUP a terminal without a movable cursor
 * (TERM unknown or dumb). `why` is a sentence for the user on failure.
 */
int dp_view_possible(char *why, size_t why_len);

/*
 * Takes the terminal over: its modes, the screen, standard error where that is a terminal (what is
 * written there is shown as a message, and written again at the end), and the signals that have to
 * do with a terminal, which are blocked while the view is open. The caller has SIGINT and SIGTERM
 * blocked and ends on them by itself. 0, -ENOMEM, -ENOTSUP or another -errno.
 */
int dp_view_open(const struct dp_view_options *o, struct dp_view **ret);
/* Gives all of it back; the screen is what it was before. NULL is nothing. */
void dp_view_close(struct dp_view *v);

/* For epoll (EPOLLIN): readable when a key or a signal has come. */
int dp_view_fd(const struct dp_view *v);
/* Keys, signals, and a frame when one is due. 0; 1 the user wants to end; -EIO the terminal is
 * gone. */
int dp_view_run(struct dp_view *v, uint64_t now_ns);
void dp_view_finding(struct dp_view *v, const struct dp_finding *f);

#endif
