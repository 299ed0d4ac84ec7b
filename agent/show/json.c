// SPDX-License-Identifier: MIT
/*
 * One finding as one JSON object on a line. Each field of an event is there in every line of that
 * event, null where it is not known. Numbers are printed without the C locale's help, so a decimal
 * comma can never get in.
 */
#include "show/render.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void key(struct dp_line *l, const char *name)
{
	dp_line_fmt(l, ",\"%s\":", name);
}

static void put_null(struct dp_line *l, const char *name)
{
	key(l, name);
	dp_line_str(l, "null");
}

static void put_u64(struct dp_line *l, const char *name, uint64_t v)
{
	key(l, name);
	dp_line_fmt(l, "%llu", (unsigned long long)v);
}

/* DP_NULL is null. */
static void put_count(struct dp_line *l, const char *name, uint64_t v)
{
	if (v == DP_NULL)
		put_null(l, name);
	else
		put_u64(l, name, v);
}

/* A moment: DP_NULL is null, and so is 0, which records use for "unknown". */
static void put_time(struct dp_line *l, const char *name, uint64_t v)
{
	put_count(l, name, v == 0 ? DP_NULL : v);
}

/* pids, tids, signals, line numbers: 0 is null. */
static void put_id(struct dp_line *l, const char *name, uint64_t v)
{
	put_count(l, name, v == 0 ? DP_NULL : v);
}

static void put_s64(struct dp_line *l, const char *name, int64_t v)
{
	key(l, name);
	dp_line_fmt(l, "%lld", (long long)v);
}

static void put_bool(struct dp_line *l, const char *name, int v)
{
	key(l, name);
	dp_line_str(l, v ? "true" : "false");
}

/* NULL and "" are null. */
static void put_str(struct dp_line *l, const char *name, const char *s)
{
	key(l, name);
	dp_line_json(l, s && *s ? s : NULL);
}

static void put_signal(struct dp_line *l, const char *name, uint32_t sig)
{
	char text[32], key_name[48];

	put_id(l, name, sig);
	snprintf(key_name, sizeof(key_name), "%s_name", name);
	put_str(l, key_name, sig ? dp_format_signal(sig, text, sizeof(text)) : NULL);
}

static void put_cause(struct dp_line *l, int cause)
{
	put_str(l, "cause", cause < 0 ? NULL : dp_cause_name((unsigned int)cause));
}

/* A share of 0–1 in millionths; anything else, NaN included, is null. */
static void put_share(struct dp_line *l, const char *name, double v)
{
	unsigned int millionths;

	if (!(v >= 0.0 && v <= 1.0)) {
		put_null(l, name);
		return;
	}
	millionths = (unsigned int)(v * 1e6 + 0.5);
	key(l, name);
	dp_line_fmt(l, "%u.%06u", millionths / 1000000, millionths % 1000000);
}

static void put_place(struct dp_line *l, const struct dp_place *p)
{
	put_str(l, "function", p->function);
	put_str(l, "file", p->file);
	put_id(l, "line", p->line > 0 ? (uint64_t)p->line : 0);
	put_str(l, "library", p->library);
}

static void begin(struct dp_line *l, const struct dp_finding *f)
{
	char time[40];

	dp_line_fmt(l, "{\"t_ns\":%llu", (unsigned long long)f->t_ns);
	if (f->wall_offset_ns == DP_SNULL)
		put_null(l, "time");
	else
		/* Unsigned: a forged offset may wrap, which is then a wrong date and no more. */
		put_str(l, "time",
			dp_format_time((int64_t)(f->t_ns + (uint64_t)f->wall_offset_ns), time,
				       sizeof(time)));
	put_str(l, "event", dp_event_name(f->type));
}

static void put_who(struct dp_line *l, const struct dp_finding *f)
{
	put_id(l, "pid", f->pid);
	put_str(l, "dataflow", f->dataflow);
	put_str(l, "node", f->node);
}

/* "1234,camera" as ["1234","camera"]. */
static void put_list(struct dp_line *l, const char *name, const char *text)
{
	const char *sep = "[";
	char item[256];

	key(l, name);
	while (*text) {
		size_t n = strcspn(text, ",");

		snprintf(item, sizeof(item), "%.*s", (int)(n < sizeof(item) ? n : sizeof(item) - 1),
			 text);
		if (*item) {
			dp_line_str(l, sep);
			dp_line_json(l, item);
			sep = ",";
		}
		text += n + (text[n] == ',');
	}
	dp_line_str(l, *sep == '[' ? "[]" : "]");
}

static void json_start(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_rec_session *s = f->u.start.session;
	const char *sep = "";

	put_str(l, "version", s ? s->version : NULL);
	put_str(l, "kernel", s ? s->kernel : NULL);
	put_list(l, "targets", s ? s->targets : "");
	key(l, "sources");
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++) {
		if (!(f->u.start.sources & 1u << i))
			continue;
		dp_line_str(l, sep);
		dp_line_json(l, dp_source_name(i));
		sep = ",";
	}
	dp_line_str(l, "]");
}

static const char *disposition_name(unsigned int d)
{
	static const char *const names[] = {
		[DP_SIGDISP_DEFAULT] = "default",
		[DP_SIGDISP_IGNORED] = "ignored",
		[DP_SIGDISP_CAUGHT] = "caught",
	};

	return d < sizeof(names) / sizeof(names[0]) ? names[d] : NULL;
}

static void json_node(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_node_finding *n = &f->u.node;
	const struct dp_rec_node *facts = n->facts;
	char text[32];

	put_who(l, f);
	put_str(l, "python", facts ? facts->python : NULL);
	put_str(l, "implementation", facts ? facts->implementation : NULL);
	if (facts && facts->is_python)
		put_bool(l, "free_threaded", facts->free_threaded);
	else
		put_null(l, "free_threaded");
	put_str(l, "dora", facts ? facts->dora : NULL);
	put_str(l, "transport",
		facts && facts->transport != DP_TRANSPORT_UNKNOWN
			? dp_transport_name(facts->transport)
			: NULL);
	put_bool(l, "gil_observable", facts && facts->gil_observable);
	put_bool(l, "tokens_observable", facts && facts->tokens_observable);
	put_str(l, "reason", facts ? facts->reason : NULL);
	key(l, "readiness");
	dp_line_str(l, "{\"nudge_signal\":");
	dp_line_json(l, n->nudge_signal ? dp_format_signal(n->nudge_signal, text, sizeof(text))
					: NULL);
	put_str(l, "disposition", disposition_name(n->nudge_disposition));
	put_str(l, "caught_signal",
		n->other_caught_signal
			? dp_format_signal(n->other_caught_signal, text, sizeof(text))
			: NULL);
	dp_line_str(l, "}");
	put_str(l, "dataflow_name", facts ? facts->dataflow_name : NULL);
	put_id(l, "daemon_pid", facts ? facts->daemon_pid : 0);
}

static void json_hold(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_hold_finding *h = &f->u.hold;
	unsigned int waiters = h->waiter_count < DP_WAITERS_MAX ? h->waiter_count : DP_WAITERS_MAX;

	put_who(l, f);
	put_id(l, "tid", h->tid);
	put_str(l, "thread", h->place.thread);
	put_u64(l, "gil", h->gil);
	put_time(l, "start_lo_ns", h->start_lo_ns);
	put_time(l, "start_ns", h->start_ns);
	put_time(l, "end_ns", h->end_ns);
	put_time(l, "end_hi_ns", h->end_hi_ns);
	put_count(l, "duration_ns",
		  h->start_ns == DP_NULL || h->end_ns == DP_NULL ? DP_NULL : dp_hold_duration(h));
	put_str(l, "precision", dp_precision_name(h->precision));
	put_count(l, "off_cpu_ns", h->off_cpu_ns);
	if (h->native < 0)
		put_null(l, "native");
	else
		put_bool(l, "native", h->native);
	put_place(l, &h->place);
	key(l, "waiters");
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < waiters; i++)
		dp_line_fmt(l, i ? ",%u" : "%u", h->waiters[i]);
	dp_line_str(l, "]");
	put_bool(l, "dora_internal", h->dora_internal);
}

static void json_wait(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_wait_finding *w = &f->u.wait;
	int known = w->start_ns != DP_NULL && w->end_ns != DP_NULL && w->end_ns >= w->start_ns;

	put_who(l, f);
	put_id(l, "tid", w->tid);
	put_time(l, "start_ns", w->start_ns);
	put_time(l, "end_ns", w->end_ns);
	put_count(l, "duration_ns", known ? w->end_ns - w->start_ns : DP_NULL);
	put_id(l, "holder_tid", w->holder_tid);
	put_u64(l, "gil", w->gil);
}

static void json_token(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_token_finding *t = &f->u.token;
	char uuid[40];

	put_str(l, "token", dp_format_token(t->token, uuid, sizeof(uuid)));
	put_str(l, "dataflow", t->dataflow ? t->dataflow : f->dataflow);
	put_str(l, "owner", t->owner);
	put_str(l, "receiver", t->receiver);
	put_str(l, "output", t->output);
	put_str(l, "region", t->region);
	put_id(l, "bytes", t->bytes);
	put_time(l, "sent_ns", t->sent_ns);
	put_time(l, "delivered_ns", t->delivered_ns);
	put_time(l, "mapped_ns", t->mapped_ns);
	put_time(l, "released_ns", t->released_ns);
	put_time(l, "reported_ns", t->reported_ns);
	put_time(l, "returned_ns", t->returned_ns);
	put_time(l, "given_up_ns", t->given_up_ns);
	put_str(l, "state", dp_token_state_name(t->state));
	put_count(l, "gil_held_ns", t->gil_held_ns);
	put_cause(l, t->cause);
	put_count(l, "pending_ns", t->pending_ns);
	put_id(l, "owner_pid", t->owner_pid);
	put_id(l, "receiver_pid", t->receiver_pid);
}

static void json_warning(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_warning_finding *w = &f->u.warning;

	put_str(l, "kind", dp_warning_name(w->kind));
	put_str(l, "severity", dp_severity_name(w->severity));
	put_who(l, f);
	put_cause(l, w->cause);
	put_id(l, "holder_tid", w->holder_tid);
	put_place(l, &w->place);
	put_count(l, "held_ns", w->held_ns);
	put_count(l, "pending_tokens", w->pending_tokens);
	put_count(l, "oldest_pending_ns", w->oldest_pending_ns);
	put_time(l, "deadline_ns", w->deadline_ns);
	if (w->slack_ns == DP_SNULL)
		put_null(l, "slack_ns");
	else
		put_s64(l, "slack_ns", w->slack_ns);
	put_str(l, "advice", w->advice);
	put_bool(l, "resolved", w->resolved);
	put_str(l, "thread", w->place.thread);
}

static void json_signal(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_signal_finding *s = &f->u.signal;

	put_who(l, f);
	put_signal(l, "signal", s->signal);
	put_id(l, "sender_pid", s->sender_pid);
	put_time(l, "sent_ns", s->sent_ns);
	put_time(l, "delivered_ns", s->delivered_ns);
	put_time(l, "handled_ns", s->handled_ns);
	put_id(l, "tid", s->tid);
}

static void json_stop(struct dp_line *l, const struct dp_finding *f)
{
	put_who(l, f);
	put_str(l, "reason", dp_stop_reason_name(f->u.stop.reason));
	put_time(l, "deadline_ns", f->u.stop.deadline_ns);
	put_signal(l, "kill_signal", f->u.stop.kill_signal);
}

static void json_action(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_action_finding *a = &f->u.action;

	put_who(l, f);
	put_str(l, "action", dp_action_name(a->action));
	put_signal(l, "signal", a->signal);
	put_id(l, "tid", a->tid);
	put_bool(l, "dry_run", a->dry_run);
	put_str(l, "result", dp_action_result_name(a->result));
	put_str(l, "reason", a->reason);
	put_id(l, "attempt", a->attempt);
}

static void json_exit(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_exit_finding *e = &f->u.exit;

	put_who(l, f);
	if (e->code < 0)
		put_null(l, "code");
	else
		put_s64(l, "code", e->code);
	put_signal(l, "signal", e->signal);
	put_id(l, "killer_pid", e->killer_pid);
	put_count(l, "since_stop_ns", e->since_stop_ns);
	put_bool(l, "grace_kill", e->grace_kill);
	put_cause(l, e->cause);
	put_share(l, "gil_share", e->gil_share);
	put_count(l, "tokens_abandoned", e->tokens_abandoned);
	put_bool(l, "saved", e->saved);
	put_str(l, "reason", dp_exit_reason_name(e->reason));
}

static void json_loss(struct dp_line *l, const struct dp_finding *f)
{
	put_str(l, "reason", dp_loss_name(f->u.loss.reason));
	put_u64(l, "count", f->u.loss.count);
	put_u64(l, "total", f->u.loss.total);
	put_who(l, f);
}

static void json_forecast(struct dp_line *l, const struct dp_finding *f)
{
	put_who(l, f);
	put_count(l, "need_ns", f->u.forecast.need_ns);
	put_count(l, "grace_ns", f->u.forecast.grace_ns);
	put_bool(l, "at_risk", f->u.forecast.at_risk);
	put_bool(l, "at_least", f->u.forecast.at_least);
	put_str(l, "text", f->u.forecast.text);
}

static void json_summary_node(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_summary_node_finding *n = &f->u.summary_node;
	unsigned int blames = n->blame_count < DP_BLAME_MAX ? n->blame_count : DP_BLAME_MAX;

	dp_line_str(l, "{\"pid\":");
	dp_line_fmt(l, f->pid ? "%u" : "null", f->pid);
	put_str(l, "dataflow", n->dataflow ? n->dataflow : f->dataflow);
	put_str(l, "node", n->node ? n->node : f->node);
	put_count(l, "holds", n->holds);
	put_count(l, "max_hold_ns", n->max_hold_ns);
	put_str(l, "max_hold_function", n->max_hold_function);
	put_count(l, "gil_held_ns", n->gil_held_ns);
	put_count(l, "tokens", n->tokens);
	put_count(l, "tokens_abandoned", n->tokens_abandoned);
	put_count(l, "max_pending_ns", n->max_pending_ns);
	put_count(l, "recommended_grace_ns", n->recommended_grace_ns);
	put_count(l, "tokens_open", n->tokens_open);
	put_count(l, "tokens_lost", n->tokens_lost);
	key(l, "blame");
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < blames; i++) {
		const struct dp_blame *b = &n->blame[i];

		dp_line_str(l, i ? ",{\"token_ns\":" : "{\"token_ns\":");
		dp_line_fmt(l, b->token_ns == DP_NULL ? "null" : "%llu",
			    (unsigned long long)b->token_ns);
		put_count(l, "held_ns", b->held_ns);
		put_str(l, "function", b->function);
		put_str(l, "file", b->file);
		put_id(l, "line", b->line > 0 ? (uint64_t)b->line : 0);
		dp_line_str(l, "}");
	}
	dp_line_str(l, "]}");
}

static void summary_begin(struct dp_json_state *s, const struct dp_finding *f)
{
	const struct dp_summary_finding *u = &f->u.summary;

	dp_line_reset(&s->summary);
	begin(&s->summary, f);
	put_u64(&s->summary, "records", u->records);
	put_u64(&s->summary, "records_lost", u->records_lost);
	put_count(&s->summary, "recommended_grace_ns", u->recommended_grace_ns);
	put_str(&s->summary, "recommendation", u->recommendation);
	key(&s->summary, "nodes");
	dp_line_str(&s->summary, "[");
	s->in_summary = 1;
	s->nodes = 0;
	s->nodes_left_out = 0;
}

/* A node that does not fit is left out whole and counted, so the line stays valid JSON. */
static void summary_node(struct dp_json_state *s, const struct dp_finding *f)
{
	size_t before = s->summary.len;

	if (!s->in_summary)
		return;
	if (s->nodes)
		dp_line_str(&s->summary, ",");
	json_summary_node(&s->summary, f);
	if (s->summary.error == -E2BIG) {
		s->summary.len = before;
		s->summary.error = 0;
		s->nodes_left_out++;
	} else {
		s->nodes++;
	}
}

static void summary_end(struct dp_line *l, struct dp_json_state *s)
{
	if (!s->in_summary)
		return;
	s->in_summary = 0;
	dp_line_add(l, s->summary.data, s->summary.len);
	dp_line_str(l, "]");
	put_u64(l, "nodes_left_out", s->nodes_left_out);
	dp_line_str(l, "}\n");
	if (s->summary.error)
		l->error = s->summary.error;
}

void dp_render_json(struct dp_line *l, struct dp_json_state *s, const struct dp_finding *f)
{
	static void (*const writers[DP_FIND_COUNT])(struct dp_line *, const struct dp_finding *) = {
		[DP_FIND_START] = json_start,   [DP_FIND_NODE] = json_node,
		[DP_FIND_GIL_HOLD] = json_hold, [DP_FIND_GIL_WAIT] = json_wait,
		[DP_FIND_TOKEN] = json_token,   [DP_FIND_WARNING] = json_warning,
		[DP_FIND_SIGNAL] = json_signal, [DP_FIND_STOP] = json_stop,
		[DP_FIND_ACTION] = json_action, [DP_FIND_EXIT] = json_exit,
		[DP_FIND_LOSS] = json_loss,     [DP_FIND_FORECAST] = json_forecast,
	};

	if (f->type == DP_FIND_SUMMARY) {
		summary_begin(s, f);
	} else if (f->type == DP_FIND_SUMMARY_NODE) {
		summary_node(s, f);
	} else if (f->type == DP_FIND_SUMMARY_END) {
		summary_end(l, s);
	} else if (f->type < DP_FIND_COUNT) {
		begin(l, f);
		writers[f->type](l, f);
		dp_line_str(l, "}\n");
	}
}
