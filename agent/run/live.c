// SPDX-License-Identifier: MIT
/* The live run (live.h). */
#include "run/living.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/http.h"

#define DRAINS_MAX 64

/* ---- records ---------------------------------------------------------------------------- */

void live_push(void *ctx, const struct dp_record *in)
{
	struct live *w = ctx;
	struct dp_record r;

	memcpy(&r, in, in->h.size);
	if (r.h.cpu == UINT32_MAX)
		r.h.seq = w->seq++;
	if (dp_merge_push(w->merge, &r) < 0)
		w->losses.merge_full++;
	if (r.h.type == DP_REC_WIRE_REGISTER)
		dp_targets_registered(w->targets, (pid_t)r.h.pid, &r.u.reg, r.h.t_ns);
	/* The role of a connection shows with its first frame but Register. */
	if (r.h.type == DP_REC_WIRE_REGISTER ||
	    (r.h.type == DP_REC_CONN_OPENED && r.u.conn.role != DP_ROLE_UNKNOWN))
		dp_targets_heard(w->targets, (pid_t)r.h.pid);
}

void live_wire_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_LOSS, t_ns, pid, 0);
	r.u.loss = (struct dp_rec_loss){.reason = reason, .count = count};
	live_push(ctx, &r);
}

void live_push_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count)
{
	live_wire_loss(ctx, pid, reason, count, dp_now());
}

void live_exited(void *ctx, pid_t pid)
{
	struct live *w = ctx;

	dp_hands_forget(w->acting.hands, pid);
}

static void capture(void *ctx, const struct dp_capture *h, size_t len)
{
	struct live *w = ctx;

	dp_losses_sequence(&w->losses, h);
	w->capture_ns = h->t_ns;
	dp_captures_take(&w->captures, h, len);
}

/* ---- the model's side ------------------------------------------------------------------- */

static void finding(void *ctx, const struct dp_finding *f)
{
	struct live *w = ctx;

	dp_acting_finding(&w->acting, f);
}

static void request(void *ctx, const struct dp_request *q)
{
	struct live *w = ctx;

	dp_acting_request(&w->acting, q);
}

/* Whatever the model needs for the records that come next is on its way from memory before it looks for it. */
static void expect(const struct live *w)
{
	const struct dp_record *r;

	for (unsigned int ahead = DP_MODEL_AHEAD; ahead; ahead -= DP_MODEL_STEP) {
		r = dp_merge_waiting(w->merge, ahead - 1);
		if (r)
			dp_model_expect(w->session.model, r, ahead);
	}
}

static void feed(struct live *w, uint64_t until)
{
	struct dp_record r;

	while (dp_merge_pop(w->merge, until, &r) == 1) {
		expect(w);
		if (!dp_session_feed(&w->session, &r))
			live_push_loss(w, 0, DP_LOSS_RECORDER_WRITE, 1);
	}
}

static void second(struct live *w)
{
	live_wall_clock(w, dp_now());
	if (w->session.metrics)
		dp_cost_tell(&w->cost, w->bpf, w->session.metrics, w->targets, w->losses.told,
			     w->session.records);
	/* So a probe that is killed loses a second of it. The next write tells of a failure. */
	if (w->session.recorder)
		dp_recorder_flush(w->session.recorder);
}

static void tick(struct live *w)
{
	unsigned int running;
	struct dp_record r;
	uint64_t now = dp_now();

	dp_targets_tick(w->targets, now);
	dp_notify_alive(&w->notify, now);
	running = dp_acting_poll(&w->acting, now);
	dp_losses_tick(&w->losses, w->bpf, w->merge, 0);
	dp_losses_missing(&w->losses, now);
	if (now >= w->next_second_ns) {
		w->next_second_ns = now + 1000 * MS;
		second(w);
	}
	dp_record_init(&r, DP_REC_TICK, dp_now(), 0, 0);
	live_push(w, &r);
	if (!w->session.view && !w->session.pipe_broken)
		dp_session_shown(&w->session, dp_show_waiting(w->session.show, now));
	/* What was started is heard of: both kinds have their own time limit. */
	w->finished = dp_targets_finished(w->targets, now) && !running;
	if (w->finished)
		w->end = true;
	if (w->o->duration_ns && now - w->watching_ns >= w->o->duration_ns)
		w->end = true;
}

/*
 * All that waits, in bounded pieces: nobody wakes us for the rest. The model may pass only what was
 * drained: what the ring still holds, or got while we had no CPU, would come late and lose its own
 * time. Returns up to when all is there.
 */
static uint64_t drain(struct live *w)
{
	uint64_t drained_ns = dp_now();
	int n = 0;

	for (int i = 0; i < DRAINS_MAX; i++) {
		n = dp_bpf_drain(w->bpf, capture, w);
		if (n < DP_DRAIN_MAX)
			break;
		if (w->capture_ns < drained_ns)
			feed(w, w->capture_ns - DP_MERGE_WATERMARK_NS);
	}
	return n >= DP_DRAIN_MAX && w->capture_ns < drained_ns ? w->capture_ns : drained_ns;
}

static int run(struct live *w)
{
	while (!w->end && !dp_session_unheard(&w->session)) {
		int err = dp_loop_wait(&w->loop);
		uint64_t drained_ns;

		if (err)
			return err;
		if (w->http)
			dp_http_run(w->http);
		if (w->session.view && dp_view_run(w->session.view, dp_now()) != 0)
			w->end = true;
		drained_ns = drain(w);
		if (w->ticked)
			tick(w);
		w->ticked = false;
		feed(w, drained_ns - DP_MERGE_WATERMARK_NS);
	}
	return 0;
}

/* What is still under way is said, then the summary. */
static void finish(struct live *w)
{
	struct dp_record r;

	dp_notify_tell(&w->notify, "STOPPING=1");
	for (int i = 0; i < DRAINS_MAX && dp_bpf_drain(w->bpf, capture, w) >= DP_DRAIN_MAX; i++)
		feed(w, dp_now() - DP_MERGE_WATERMARK_NS);
	dp_losses_tick(&w->losses, w->bpf, w->merge, 1);
	dp_record_init(&r, DP_REC_END, dp_now(), 0, 0);
	live_push(w, &r);
	feed(w, UINT64_MAX);
}

int dp_live_run(const struct dp_live_options *o, struct dp_live_result *ret, char *why,
		size_t why_len)
{
	struct live *w = calloc(1, sizeof(*w));
	int err;

	*ret = (struct dp_live_result){.failed = DP_LIVE_OTHER};
	why[0] = '\0';
	if (!w) {
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	w->o = o;
	w->loop.epoll = w->timer = w->signals = -1;
	w->started_ns = dp_now();
	w->session.finding = finding;
	w->session.request = request;
	dp_notify_open(&w->notify);
	err = live_open(w, ret, why, why_len);
	w->watching_ns = dp_now();
	if (!err) {
		dp_notify_tell(&w->notify, "READY=1");
		err = run(w);
		if (err)
			snprintf(why, why_len, "%s", strerror(-err));
		live_close_view(w);
		finish(w);
		ret->nodes_seen = dp_model_node_count(w->session.model);
		ret->never_seen = w->finished && o->wanted.pids.count && !ret->nodes_seen;
		if (ret->never_seen && !w->said)
			o->say(o->ctx,
			       "what was to be watched has ended before it could be looked at");
	}
	live_close(w);
	dp_notify_close(&w->notify);
	ret->warned = w->session.warned;
	ret->output_error = w->session.output_error;
	free(w);
	return err;
}
