/* SPDX-License-Identifier: MIT */
/*
 * One life of a node, told in records, and what the model must say of its Stop and its end. Times
 * are milliseconds.
 */
#ifndef DORA_PROBE_MODEL_LIVES_H
#define DORA_PROBE_MODEL_LIVES_H

#include <signal.h>

#include "model_table.h"

#define PID     100
#define DAEMON  7 /* node_of() */
#define USER    99
#define TERM    (1ULL << (SIGTERM - 1))
#define STEPS   12
#define NO_TIME (-1.0)

enum what {
	NOTHING, /* the end of the row's steps */
	COMMAND,
	TOLD,     /* a frame of the daemon: .by is enum dp_wire_kind */
	REQUEST,  /* a frame of the node */
	SIGNAL,   /* number .by, sent by .sender */
	END_BY,   /* signal .by */
	END_WITH, /* exit code .by */
};

struct step {
	double ms;
	enum what what;
	uint32_t by;
	uint32_t sender;
	/* COMMAND */
	enum dp_dora_command verb;
	uint64_t grace_ms;
	const char *node, *dataflow;
	int force;
};

struct life {
	const char *name, *dora;
	uint64_t caught, ignored, option_ms;
	struct dp_rec_limits limits; /* times in ms */
	struct step steps[STEPS];
	/* The last `stop` line: ms from it to the deadline, NO_TIME null. Lines of 0: none at all. */
	unsigned int stops;
	double deadline;
	uint32_t kill_signal;
	enum dp_deadline_source source;
	/* The exit: since Stop in ms, NO_TIME null. */
	enum dp_exit_reason reason;
	double since;
};

#define STOP_AT(t)                                                                                 \
	{                                                                                          \
		.ms = (t), .what = TOLD, .by = DP_WIRE_STOP                                        \
	}

#define SENT(t, sig, pid)                                                                          \
	{                                                                                          \
		.ms = (t), .what = SIGNAL, .by = (sig), .sender = (pid)                            \
	}
#define KILLED(t, sig)                                                                             \
	{                                                                                          \
		.ms = (t), .what = END_BY, .by = (sig)                                             \
	}
#define EXITS(t, code)                                                                             \
	{                                                                                          \
		.ms = (t), .what = END_WITH, .by = (code)                                          \
	}

static inline uint64_t ns(uint64_t ms)
{
	return ms * 1000000;
}

static inline struct table *born(const struct life *l)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	r.u.options = (struct dp_rec_options){.hold_threshold_ns = ns(50),
					      .warn_hold_ns = ns(500),
					      .pending_threshold_ns = ns(1000),
					      .grace_ns = ns(l->option_ms),
					      .nudge_signal = SIGINT};
	feed(t, &r);
	if (l->steps[0].ms < 0) {
		r = record(DP_REC_DORA_COMMAND, l->steps[0].ms, 55, 55);
		r.u.command.started_ns = r.h.t_ns;
		r.u.command.verb = (uint8_t)l->steps[0].verb;
		r.u.command.grace_ns = ns(l->steps[0].grace_ms);
		snprintf(r.u.command.node, sizeof(r.u.command.node), "%s", l->steps[0].node);
		feed(t, &r);
	}
	r = record(DP_REC_NODE_LIMITS, 0, PID, 0);
	r.u.limits = l->limits;
	r.u.limits.health_ns = ns(l->limits.health_ns);
	r.u.limits.startup_ns = ns(l->limits.startup_ns);
	r.u.limits.finish_ns = ns(l->limits.finish_ns);
	r.u.limits.started_ns = l->limits.started_ns ? AT(0) : 0;
	feed(t, &r);
	r = record(DP_REC_NODE_FACTS, 0, PID, 0);
	r.u.node = (struct dp_rec_node){.is_dora = 1,
					.is_python = 1,
					.gil_observable = 1,
					.gil_count = 1,
					.daemon_pid = DAEMON,
					.signals_caught = l->caught | 2,
					.signals_ignored = l->ignored};
	snprintf(r.u.node.node, sizeof(r.u.node.node), "cam");
	snprintf(r.u.node.dataflow, sizeof(r.u.node.dataflow), "flow");
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "%s", l->dora);
	feed(t, &r);
	return t;
}

static inline void live(struct table *t, const struct step *s)
{
	struct dp_record r;

	switch (s->what) {
	case NOTHING:
		return;
	case COMMAND:
		r = record(DP_REC_DORA_COMMAND, s->ms, 55, 55);
		r.u.command.started_ns = r.h.t_ns;
		r.u.command.verb = (uint8_t)s->verb;
		r.u.command.force = (uint8_t)s->force;
		r.u.command.grace_ns = ns(s->grace_ms);
		snprintf(r.u.command.node, sizeof(r.u.command.node), "%s", s->node ? s->node : "");
		snprintf(r.u.command.dataflow, sizeof(r.u.command.dataflow), "%s",
			 s->dataflow ? s->dataflow : "");
		break;
	case TOLD:
	case REQUEST:
		r = record(s->what == TOLD ? DP_REC_WIRE_EVENT : DP_REC_WIRE_REQUEST, s->ms, PID,
			   PID);
		r.u.wire.kind = (uint8_t)(s->what == TOLD ? s->by : DP_WIRE_NEXT_EVENT);
		r.u.wire.role = DP_ROLE_EVENTS;
		break;
	case SIGNAL:
		r = record(DP_REC_SIGNAL, s->ms, PID, PID);
		r.u.signal.kind = DP_SIGNAL_GENERATED;
		r.u.signal.signal = (uint8_t)s->by;
		r.u.signal.group = 1;
		r.u.signal.sender_pid = s->sender;
		break;
	default:
		r = record(DP_REC_PROC_EXIT, s->ms, PID, PID);
		r.u.exit.is_process = 1;
		r.u.exit.status = s->what == END_BY ? (int32_t)s->by : (int32_t)(s->by << 8);
		break;
	}
	feed(t, &r);
}

static inline void check_stop(const struct life *l, const struct table *t)
{
	unsigned int count = count_said(t, DP_FIND_STOP);
	const struct dp_stop_finding *f;
	const struct said *s;
	double left;

	if (count != l->stops)
		fail_msg("%s: %u stop lines", l->name, count);
	if (!count)
		return;
	s = said(t, DP_FIND_STOP, count - 1);
	f = &s->f.u.stop;
	left = f->deadline_ns == DP_NULL ? NO_TIME
					 : ((double)f->deadline_ns - (double)s->f.t_ns) / 1e6;
	if (left != l->deadline || f->kill_signal != l->kill_signal ||
	    f->deadline_source != l->source)
		fail_msg("%s: deadline in %.3f ms by signal %u, source %s", l->name, left,
			 f->kill_signal, dp_deadline_source_name(f->deadline_source));
}

static inline void check_exit(const struct life *l, const struct table *t)
{
	const struct said *s = said(t, DP_FIND_EXIT, 0);
	const struct dp_exit_finding *f;
	double since;

	if (!s)
		fail_msg("%s: no exit", l->name);
	f = &s->f.u.exit;
	since = f->since_stop_ns == DP_NULL ? NO_TIME : (double)f->since_stop_ns / 1e6;
	if (f->reason != l->reason || f->grace_kill != (l->reason == DP_EXIT_GRACE_KILL) ||
	    since != l->since)
		fail_msg("%s: %s, grace_kill %u, %.3f ms after Stop", l->name,
			 dp_exit_reason_name(f->reason), f->grace_kill, since);
	/* Every death by another's hand has a cause and a share. */
	if (f->reason != DP_EXIT_CLEAN && f->reason != DP_EXIT_ERROR && l->since != 2 &&
	    (f->cause < 0 || f->gil_share < 0))
		fail_msg("%s: no cause", l->name);
}

static inline void check_lives(const struct life *lives, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct table *t = born(&lives[i]);

		for (size_t j = lives[i].steps[0].ms < 0; j < STEPS; j++)
			live(t, &lives[i].steps[j]);
		check_stop(&lives[i], t);
		check_exit(&lives[i], t);
		table_free(t);
	}
}

static inline void daemon_event(struct table *t, double ms, uint32_t interrupt, int32_t status)
{
	struct dp_record r =
		record(interrupt ? DP_REC_SIGNAL : DP_REC_PROC_EXIT, ms, DAEMON, DAEMON);

	if (interrupt) {
		r.u.signal.kind = DP_SIGNAL_GENERATED;
		r.u.signal.signal = (uint8_t)interrupt;
		r.u.signal.sender_pid = USER;
	} else {
		r.u.exit.is_process = 1;
		r.u.exit.status = status;
	}
	feed(t, &r);
}

#endif
