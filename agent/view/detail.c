// SPDX-License-Identifier: MIT
/* All about the selected node. */
#include "show/show.h"
#include "base/duration.h"
#include "show/words.h"
#include "view/rows.h"
#include "view/screen.h"

#define LABEL 8 /* width of "tokens", "grace" and the like in the detail */

static struct dp_line *label(struct screen *s, const char *word)
{
	struct dp_line *l = screen_begin(s);

	put_cell(l, word, LABEL, 0);
	return l;
}

static const char *duration(uint64_t ns, char *buf, size_t len)
{
	return dp_duration_text(ns, buf, len);
}

static void detail_facts(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_rec_node *f = &r->facts;
	struct dp_line *l = screen_begin(s);
	char name[32];

	dp_line_text(l, node_name(r, name, sizeof(name)));
	if (f->node[0])
		dp_line_fmt(l, ": pid %u", r->v.pid);
	if (f->dataflow[0]) {
		dp_line_str(l, " of dataflow ");
		if (f->dataflow_name[0]) {
			dp_line_text(l, f->dataflow_name);
			dp_line_str(l, " ");
		}
		dp_line_text(l, f->dataflow);
	}
	if (f->python[0]) {
		dp_line_str(l, ", Python ");
		dp_line_text(l, f->python);
	}
	if (f->dora[0]) {
		dp_line_str(l, ", dora ");
		dp_line_text(l, f->dora);
	}
	if (f->transport != DP_TRANSPORT_UNKNOWN)
		dp_line_fmt(l, " over %s", dp_transport_name(f->transport));
	screen_end_wrapped(s, DP_MOOD_HEADING, LABEL, limit);
}

static void detail_gil(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	struct dp_line *l = label(s, "GIL");
	char a[40], b[40];

	if (!r->facts.gil_observable) {
		dp_line_str(l, r->facts.free_threaded ? "has none" : "not observed");
	} else if (v->hold_ns && !v->gone) {
		dp_line_fmt(l, "held for %s by ", duration(v->hold_ns, a, sizeof(a)));
		if (r->thread[0]) {
			dp_line_text(l, r->thread);
			dp_line_fmt(l, " (tid %u)", v->holder_tid);
		} else {
			dp_line_fmt(l, "thread %u", v->holder_tid);
		}
		if (r->function[0]) {
			dp_line_str(l, " in ");
			dp_line_text(l, r->function);
		}
		if (r->file[0]) {
			dp_line_str(l, r->function[0] ? " (" : " at ");
			dp_line_text(l, r->file);
			if (v->place.line > 0)
				dp_line_fmt(l, ":%d", v->place.line);
			dp_line_str(l, r->function[0] ? ")" : "");
		}
		if (r->library[0]) {
			dp_line_str(l, ", inside ");
			dp_line_text(l, r->library);
		}
	} else {
		dp_line_str(l, "no hold under way that is long enough to be told");
	}
	screen_end_wrapped(s, v->hold_ns && !v->gone ? mood_of(s->p, r) : DP_MOOD_PLAIN, LABEL,
			   limit);
	if (v->gil_held.ratio >= 0 && !v->gone) {
		l = label(s, "");
		put_shares(l, &v->gil_held, &v->gil_wait, &v->running_without_gil, &v->blocked);
		screen_end_wrapped(s, DP_MOOD_PLAIN, LABEL, limit);
	}
	if (!v->holds)
		return;
	l = label(s, "");
	dp_line_fmt(l, "%llu hold%s, %s in all; longest %s", (unsigned long long)v->holds,
		    plural(v->holds), duration(v->held_ns, a, sizeof(a)),
		    duration(v->max_hold_ns, b, sizeof(b)));
	if (r->max_hold_function[0]) {
		dp_line_str(l, " in ");
		dp_line_text(l, r->max_hold_function);
	}
	if (v->waits)
		dp_line_fmt(l, "; %llu wait%s, %s in all", (unsigned long long)v->waits,
			    plural(v->waits), duration(v->wait_ns, a, sizeof(a)));
	screen_end_wrapped(s, DP_MOOD_PLAIN, LABEL, limit);
}

static void detail_tokens(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	struct dp_line *l;
	char a[40], b[40];

	if (!v->tokens && !v->pending_tokens)
		return;
	l = label(s, "tokens");
	if (v->pending_tokens)
		dp_line_fmt(l, "%llu pending, the oldest for %s; ",
			    (unsigned long long)v->pending_tokens,
			    duration(v->oldest_pending_ns, a, sizeof(a)));
	dp_line_fmt(l, "%llu seen, %llu returned, %llu abandoned", (unsigned long long)v->tokens,
		    (unsigned long long)v->tokens_returned,
		    (unsigned long long)v->tokens_abandoned);
	if (v->tokens_lost)
		dp_line_fmt(l, ", %llu lost from sight", (unsigned long long)v->tokens_lost);
	dp_line_fmt(l, "; pending for %s at most", duration(v->max_pending_ns, a, sizeof(a)));
	if (v->token_gil_ns)
		dp_line_fmt(l, "; the GIL cost them %s", duration(v->token_gil_ns, b, sizeof(b)));
	screen_end_wrapped(s, DP_MOOD_PLAIN, LABEL, limit);
}

static void detail_polling(struct screen *s, const struct dp_panel_row *r, int limit)
{
	char a[40];

	if (!r->v.not_polling || r->v.gone)
		return;
	dp_line_fmt(label(s, "next()"), "has not come back for %s",
		    duration(r->v.not_polling_ns, a, sizeof(a)));
	screen_end_wrapped(s, mood_of(s->p, r), LABEL, limit);
}

static void detail_stop(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	uint64_t now = s->p->now_ns;
	struct dp_line *l;
	char a[40];

	if (!v->stop_seen && (!r->facts.is_dora || (v->need_ns == DP_NULL && !v->grace_ns &&
						    v->recommended_grace_ns == DP_NULL)))
		return;
	if (v->gone && v->recommended_grace_ns == DP_NULL)
		return;
	l = label(s, v->stop_seen && !v->gone ? "stop" : "grace");
	if (v->gone) {
		dp_line_fmt(l, "left %s ago",
			    duration(now > v->gone_ns ? now - v->gone_ns : 0, a, sizeof(a)));
	} else if (v->stop_seen) {
		dp_line_fmt(l, "seen %s ago",
			    duration(now > v->stop_ns ? now - v->stop_ns : 0, a, sizeof(a)));
		if (v->deadline_known && v->deadline_ns > now)
			dp_line_fmt(l, ", deadline in %s (%s)",
				    duration(v->deadline_ns - now, a, sizeof(a)),
				    dp_deadline_source_name(v->deadline_source));
		else if (v->deadline_known)
			dp_line_str(l, ", the deadline is over");
		if (v->slack_ns != DP_SNULL)
			dp_line_fmt(l, ", slack %s", slack_text(v->slack_ns, a, sizeof(a)));
	} else {
		if (v->need_ns == DP_NULL)
			dp_line_str(l, "what a stop now would take is not known");
		else
			dp_line_fmt(l, "a stop now would take %s",
				    dp_duration_text_up(v->need_ns, a, sizeof(a)));
		if (v->grace_ns)
			dp_line_fmt(l, ", granted %s", duration(v->grace_ns, a, sizeof(a)));
		if (v->watchdog_ns > now)
			dp_line_fmt(l, "; dora's watchdog ends it in %s",
				    duration(v->watchdog_ns - now, a, sizeof(a)));
	}
	if (v->recommended_grace_ns != DP_NULL)
		dp_line_fmt(l, "; recommended %s",
			    dp_duration_text_up(v->recommended_grace_ns, a, sizeof(a)));
	screen_end_wrapped(s, v->stop_seen && !v->gone ? mood_of(s->p, r) : DP_MOOD_PLAIN, LABEL,
			   limit);
}

void detail_draw(struct screen *s, const struct dp_panel_row *r, int limit)
{
	struct dp_line *l;

	detail_facts(s, r, limit);
	detail_gil(s, r, limit);
	detail_tokens(s, r, limit);
	detail_polling(s, r, limit);
	detail_stop(s, r, limit);
	if (r->facts.reason[0]) {
		l = label(s, "note");
		dp_line_text(l, r->facts.reason);
		screen_end_wrapped(s, DP_MOOD_DIM, LABEL, limit);
	}
}
