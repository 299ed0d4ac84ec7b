// SPDX-License-Identifier: MIT
/* A robot made up (sim_robot.h). */
#include "sim_robot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "decide/slack.h"

#define S           1000000000ULL
#define GRACE       (10 * S)
#define NUDGE_AFTER (4 * S)
#define RESTART     (2 * S)
#define CLEANUP     (300 * MS)

struct sim_node {
	struct dp_rec_node facts;
	struct dp_node_view view;
	char function[32];
	uint64_t hold_from_ns, hold_until_ns; /* 0: not held */
	uint64_t stop_ns, need_ns;            /* 0: no stop */
	uint64_t gone_ns;                     /* 0: there */
	uint8_t nudged;
};

struct robot {
	struct dp_metrics *metrics;
	struct dp_metrics_cost cost;
	struct dp_metrics_program programs[4];
	uint64_t now_ns, last_ns;
	uint64_t seed;
	uint32_t next_pid;
	unsigned int count;
	struct sim_node nodes[];
};

/* What each format would stumble over, were it not escaped. */
#define HOSTILE "quote\" slash\\ line\nbrace} \xc3\xa9{x=\""

static const char *const names[] = {"camera", "detector", "planner", "lidar",
				    "arm",    "logger",   "speech",  "slam"};

static uint64_t dice(struct robot *r, uint64_t sides)
{
	r->seed = r->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (r->seed >> 33) % sides;
}

static unsigned int count_views(const void *ctx)
{
	return ((const struct robot *)ctx)->count;
}

static int view(const void *ctx, unsigned int i, struct dp_node_view *ret)
{
	const struct robot *r = ctx;

	if (i >= r->count)
		return -ENOENT;
	*ret = r->nodes[i].view;
	ret->facts = &r->nodes[i].facts;
	return 0;
}

static struct dp_finding about(const struct robot *r, const struct sim_node *n, unsigned int type)
{
	struct timespec wall, mono;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (struct dp_finding){
		.type = (uint8_t)type,
		.t_ns = r->now_ns,
		.wall_offset_ns = (int64_t)(wall.tv_sec - mono.tv_sec) * 1000000000 + wall.tv_nsec -
				  mono.tv_nsec,
		.pid = n->view.pid,
		.dataflow = n->facts.dataflow,
		.node = n->facts.node,
	};
}

static void say(struct robot *r, const struct dp_finding *f)
{
	dp_metrics_finding(r->metrics, f);
}

static void begin_process(struct robot *r, struct sim_node *n)
{
	struct dp_finding f;

	n->view = (struct dp_node_view){.pid = r->next_pid++,
					.need_ns = DP_NULL,
					.grace_ns = GRACE,
					.recommended_grace_ns = DP_NULL,
					.slack_ns = DP_SNULL};
	n->facts.start_time = n->view.pid;
	n->hold_from_ns = n->stop_ns = n->gone_ns = 0;
	n->nudged = 0;
	f = about(r, n, DP_FIND_NODE);
	f.u.node.facts = &n->facts;
	say(r, &f);
}

static void end_hold(struct robot *r, struct sim_node *n, uint64_t end_ns)
{
	struct dp_finding f = about(r, n, DP_FIND_GIL_HOLD);
	uint64_t ns = end_ns - n->hold_from_ns;

	f.u.hold = (struct dp_hold_finding){.tid = n->view.pid,
					    .precision = DP_PRECISION_BOUNDED,
					    .native = 1,
					    .start_lo_ns = n->hold_from_ns,
					    .start_ns = n->hold_from_ns,
					    .end_ns = end_ns,
					    .end_hi_ns = end_ns,
					    .place = {.thread = "MainThread",
						      .function = n->function,
						      .file = "/opt/robot/nodes/work.py",
						      .line = 40}};
	say(r, &f);
	f = about(r, n, DP_FIND_GIL_WAIT);
	f.u.wait = (struct dp_wait_finding){.start_ns = end_ns - ns * 9 / 10, .end_ns = end_ns};
	say(r, &f);
	if (ns > n->view.max_hold_ns || n->view.max_hold_ns == 0)
		n->view.max_hold_ns = ns;
	n->view.need_ns = n->view.max_hold_ns + CLEANUP;
	n->view.recommended_grace_ns = n->view.need_ns * 3 / 2;
	n->hold_from_ns = 0;
	n->view.hold_ns = 0;
	n->view.held_ns += ns;
}

static void end_token(struct robot *r, struct sim_node *n, unsigned int state, uint64_t pending_ns)
{
	struct dp_finding f = about(r, n, DP_FIND_TOKEN);

	f.u.token = (struct dp_token_finding){.state = (uint8_t)state,
					      .pending_ns = pending_ns,
					      .cause = pending_ns > S ? DP_CAUSE_GIL_NATIVE : -1};
	say(r, &f);
	n->view.tokens++;
	if (state == DP_TOKEN_ABANDONED)
		n->view.tokens_abandoned++;
	else
		n->view.tokens_returned++;
}

static void warn(struct robot *r, struct sim_node *n, unsigned int kind, unsigned int cause)
{
	struct dp_finding f = about(r, n, DP_FIND_WARNING);

	f.u.warning = (struct dp_warning_finding){.kind = (uint8_t)kind,
						  .severity = DP_SEVERITY_WARNING,
						  .cause = (int8_t)cause,
						  .held_ns = n->view.hold_ns,
						  .place = {.function = n->function, .line = 40},
						  .pending_tokens = n->view.pending_tokens,
						  .slack_ns = DP_SNULL};
	say(r, &f);
}

static void leave(struct robot *r, struct sim_node *n, unsigned int reason)
{
	struct dp_finding f = about(r, n, DP_FIND_EXIT);

	if (n->hold_from_ns)
		end_hold(r, n, r->now_ns);
	for (; n->view.pending_tokens; n->view.pending_tokens--)
		end_token(r, n, DP_TOKEN_ABANDONED, n->view.oldest_pending_ns);
	f.u.exit = (struct dp_exit_finding){.reason = (uint8_t)reason,
					    .grace_kill = reason == DP_EXIT_GRACE_KILL,
					    .since_stop_ns = r->now_ns - n->stop_ns,
					    .gil_share = 0.9};
	say(r, &f);
	n->gone_ns = r->now_ns;
	n->view.gone = 1;
	n->view.gone_ns = r->now_ns;
	n->view.stop_seen = 0;
}

static void nudge(struct robot *r, struct sim_node *n)
{
	struct dp_finding f = about(r, n, DP_FIND_ACTION);

	n->nudged = 1;
	f.u.action = (struct dp_action_finding){
		.action = DP_ACTION_NUDGE, .result = DP_RESULT_SENT, .signal = 2, .attempt = 1};
	say(r, &f);
	f = about(r, n, DP_FIND_SIGNAL);
	f.u.signal = (struct dp_signal_finding){.signal = 2,
						.sent_ns = r->now_ns,
						.delivered_ns = r->now_ns + MS,
						.handled_ns = r->now_ns + 3 * MS};
	say(r, &f);
}

static void live_stop(struct robot *r, struct sim_node *n)
{
	uint64_t since = r->now_ns - n->stop_ns, left = GRACE > since ? GRACE - since : 0;
	uint64_t need = n->need_ns > since ? n->need_ns - since : 0;

	n->view.slack_ns = (int64_t)left - (int64_t)need;
	if (!n->nudged && since >= NUDGE_AFTER)
		nudge(r, n);
	if (since >= n->need_ns)
		leave(r, n, DP_EXIT_CLEAN);
	else if (since >= GRACE)
		leave(r, n, DP_EXIT_GRACE_KILL);
}

/* What a stop now would take, by the agent's own rule: a hold that goes on is part of it. */
static void forecast(const struct robot *r, struct sim_node *n)
{
	struct dp_forecast_view v = {.grace_ns = GRACE,
				     .hold_start_ns = n->hold_from_ns,
				     .longest_hold_ns = n->view.max_hold_ns,
				     .need_ns = CLEANUP,
				     .pending_tokens = n->view.pending_tokens};
	struct dp_forecast f;

	if (!n->stop_ns && dp_forecast(&v, n->facts.node, r->now_ns, &f) == 0)
		n->view.need_ns = f.need_ns;
}

static void live(struct robot *r, struct sim_node *n, uint64_t step_ns)
{
	if (n->gone_ns) {
		if (r->now_ns - n->gone_ns >= RESTART)
			begin_process(r, n);
		return;
	}
	if (n->hold_from_ns) {
		n->view.hold_ns = r->now_ns - n->hold_from_ns;
		n->view.oldest_pending_ns = n->view.hold_ns;
		n->view.token_gil_ns += n->view.pending_tokens * step_ns;
		if (n->view.hold_ns > S && n->view.hold_ns - step_ns <= S)
			warn(r, n, DP_WARN_GIL_HOLD, DP_CAUSE_GIL_NATIVE);
		if (r->now_ns >= n->hold_until_ns) {
			for (; n->view.pending_tokens; n->view.pending_tokens--)
				end_token(r, n, DP_TOKEN_RETURNED, n->view.hold_ns);
			end_hold(r, n, r->now_ns);
			n->view.oldest_pending_ns = 0;
		}
	} else if (dice(r, 8) == 0) {
		n->hold_from_ns = r->now_ns;
		n->hold_until_ns = r->now_ns + dice(r, 400) * MS;
		n->view.pending_tokens = 1 + dice(r, 3);
	} else {
		end_token(r, n, DP_TOKEN_RETURNED, dice(r, 40) * MS);
	}
	forecast(r, n);
	if (n->stop_ns)
		live_stop(r, n);
}

struct robot *robot_new(unsigned int number, unsigned int nodes, int hostile, uint64_t now_ns)
{
	static const char *const programs[] = {"sched_switch", "exit_futex", "exit_recvfrom",
					       "edge_uprobe"};
	struct robot *r = calloc(1, sizeof(*r) + nodes * sizeof(r->nodes[0]));

	if (!r)
		return NULL;
	r->count = nodes;
	r->seed = number + 1;
	r->next_pid = 1000;
	r->now_ns = r->last_ns = now_ns;
	r->metrics = dp_metrics_new("0.1.0-sim", &(struct dp_node_views){count_views, view, r});
	if (!r->metrics) {
		free(r);
		return NULL;
	}
	for (unsigned int i = 0; i < 4; i++)
		r->programs[i].name = programs[i];
	r->cost.programs = r->programs;
	r->cost.program_count = 4;
	r->cost.overhead_ratio = 0.003;
	r->cost.sources = (1u << DP_SOURCE_COUNT) - 1 - (1u << DP_SOURCE_EDGE);
	for (unsigned int i = 0; i < nodes; i++) {
		struct sim_node *n = &r->nodes[i];
		snprintf(n->facts.dataflow, sizeof(n->facts.dataflow),
			 "0199f1c2-7a3b-7c4d-8e5f-%012x", number);
		snprintf(n->facts.dataflow_name, sizeof(n->facts.dataflow_name), "field-test");
		if (hostile && i == 0) {
			snprintf(n->facts.node, sizeof(n->facts.node), "%s", HOSTILE);
			snprintf(n->facts.dataflow, sizeof(n->facts.dataflow), "%s", HOSTILE);
			snprintf(n->facts.dataflow_name, sizeof(n->facts.dataflow_name), "%s",
				 HOSTILE);
		} else if (i < 8) {
			snprintf(n->facts.node, sizeof(n->facts.node), "%s", names[i]);
		} else {
			snprintf(n->facts.node, sizeof(n->facts.node), "%s-%u", names[i % 8],
				 i / 8);
		}
		snprintf(n->facts.python, sizeof(n->facts.python), "3.11.7");
		snprintf(n->facts.dora, sizeof(n->facts.dora), "0.5.0");
		snprintf(n->function, sizeof(n->function), "work_%u", i);
		n->facts.transport = DP_TRANSPORT_TCP;
		n->facts.is_dora = n->facts.is_python = 1;
		n->facts.gil_observable = n->facts.tokens_observable = 1;
		begin_process(r, n);
	}
	dp_metrics_cost(r->metrics, &r->cost);
	return r;
}

void robot_free(struct robot *r)
{
	if (!r)
		return;
	dp_metrics_free(r->metrics);
	free(r);
}

struct dp_metrics *robot_metrics(struct robot *r)
{
	return r->metrics;
}

void robot_tick(struct robot *r, uint64_t now_ns)
{
	uint64_t step = now_ns - r->last_ns;

	r->now_ns = r->last_ns = now_ns;
	for (unsigned int i = 0; i < r->count; i++)
		live(r, &r->nodes[i], step);
	r->cost.records += 20 * r->count;
	for (unsigned int i = 0; i < 4; i++)
		r->programs[i].run_ns += step / 1000 * (i + 1);
	r->cost.overhead_ratio = 0.002 + (double)dice(r, 100) / 50000;
	dp_metrics_cost(r->metrics, &r->cost);
}

int robot_hold(struct robot *r, unsigned int node, uint64_t for_ns)
{
	if (node >= r->count || r->nodes[node].gone_ns)
		return -ENOENT;
	if (r->nodes[node].hold_from_ns)
		end_hold(r, &r->nodes[node], r->now_ns);
	r->nodes[node].hold_from_ns = r->now_ns;
	r->nodes[node].hold_until_ns = r->now_ns + for_ns;
	r->nodes[node].view.pending_tokens = 3;
	return 0;
}

int robot_stop(struct robot *r, unsigned int node, uint64_t need_ns)
{
	struct sim_node *n = node < r->count ? &r->nodes[node] : NULL;
	struct dp_finding f;

	if (!n || n->gone_ns)
		return -ENOENT;
	robot_hold(r, node, need_ns);
	n->stop_ns = r->now_ns;
	n->need_ns = need_ns;
	n->view.stop_seen = n->view.deadline_known = 1;
	n->view.deadline_ns = r->now_ns + GRACE;
	n->view.slack_ns = (int64_t)GRACE - (int64_t)need_ns;
	f = about(r, n, DP_FIND_STOP);
	f.u.stop = (struct dp_stop_finding){.deadline_ns = n->view.deadline_ns, .kill_signal = 15};
	say(r, &f);
	warn(r, n, DP_WARN_DEADLINE, DP_CAUSE_GIL_NATIVE);
	return 0;
}

void robot_lose(struct robot *r, uint64_t records)
{
	r->cost.losses[DP_LOSS_RING_FULL] += records;
	dp_metrics_cost(r->metrics, &r->cost);
}

void robot_fill(struct robot *r, unsigned int rounds)
{
	for (unsigned int k = 0; k < rounds; k++) {
		for (unsigned int i = 0; i < r->count; i++) {
			struct sim_node *n = &r->nodes[i];

			for (uint64_t ns = 2 * MS; ns < 100 * S; ns *= 2) {
				n->hold_from_ns = S;
				end_hold(r, n, S + ns);
				end_token(r, n, DP_TOKEN_RETURNED, ns);
			}
			n->stop_ns = r->now_ns - S;
			nudge(r, n);
			n->stop_ns = 0;
			warn(r, n, DP_WARN_GIL_HOLD, DP_CAUSE_GIL_NATIVE);
			warn(r, n, DP_WARN_TOKEN_PENDING, DP_CAUSE_GIL_NATIVE);
			n->view.held_ns += 123456789;
			n->view.token_gil_ns += 987654321;
		}
	}
}
