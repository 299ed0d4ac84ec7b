/* SPDX-License-Identifier: MIT */
/* The live run from inside: for live.c, opening.c and telling.c of this room alone. */
#ifndef DORA_PROBE_LIVING_H
#define DORA_PROBE_LIVING_H

#include "base/units.h"
#include "dora/wire.h"
#include "run/cost.h"
#include "run/live.h"
#include "run/loop.h"
#include "run/losses.h"
#include "run/notify.h"
#include "run/session.h"
#include "sense/captures.h"

struct live {
	const struct dp_live_options *o;
	struct dp_bpf *bpf;
	struct dp_wire *wire;
	struct dp_merge *merge;
	struct dp_targets *targets;
	struct dp_captures captures;
	struct dp_session session;
	struct dp_losses losses;
	struct dp_cost cost;
	struct dp_acting acting;
	struct dp_http *http;
	struct dp_loop loop;
	struct dp_notify notify;
	int timer, signals;
	uint32_t seq; /* of the agent's own records */
	uint64_t started_ns, next_second_ns;
	uint64_t watching_ns; /* all that was to be had is attached: --duration counts from here */
	int64_t wall_offset_ns;
	uint64_t capture_ns; /* of the newest capture that was drained */
	bool end, ticked;
	bool finished; /* nothing more is to be expected of the targets */
	bool said;     /* why a process could not be taken */
};

/* A record of the agent's own, or of a capture, on its way to the merger; `ctx` is the run. */
void live_push(void *ctx, const struct dp_record *in);
void live_push_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count);
void live_wire_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns);
void live_exited(void *ctx, pid_t pid);

/* ---- telling.c: what the run tells the model of itself ----------------------------------------- */

void live_push_session(struct live *w);
void live_push_sources(struct live *w);
/* A record when the wall clock has been set, and at first. */
void live_wall_clock(struct live *w, uint64_t t_ns);

/* ---- opening.c ---------------------------------------------------------------------------------- */

/* Opens all parts and finds the targets. 0, or -errno with a sentence in `why`, as dp_live_run. */
int live_open(struct live *w, struct dp_live_result *ret, char *why, size_t why_len);
/* What is printed from here on goes to the terminal as it was. */
void live_close_view(struct live *w);
void live_close(struct live *w);

#endif
