// SPDX-License-Identifier: MIT
/* Sentences about a stop: what it would take, signals, what the guard did, the exit. */
#include "show/sentence.h"

#include <stdbool.h>

#include "base/array.h"
#include "base/duration.h"
#include "base/units.h"
#include "show/row.h"
#include "show/words.h"

/*
 * Python runs a signal's handler between two bytecodes, within microseconds of an idle main thread;
 * a tenth of a second is what a person notices as a pause (Nielsen's limit for "instant").
 */
#define SLOW_SIGNAL_NS (100 * MS)

void text_forecast(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		   const struct dp_finding *f)
{
	const struct dp_forecast_finding *p = &f->u.forecast;
	char need[40];

	if (o->verbose < 0 || (o->verbose == 0 && !p->at_risk))
		return;
	row_begin(l, s, o, f, "forecast", p->at_risk ? YELLOW : PLAIN);
	if (has(p->text)) {
		dp_line_text(l, p->text);
		dp_line_str(l, "\n");
		return;
	}
	dp_line_fmt(l, "stopped now, it would need %s%s", p->at_least ? "at least " : "",
		    p->at_least ? dp_duration_text(p->need_ns, need, sizeof(need))
				: dp_duration_text_up(p->need_ns, need, sizeof(need)));
	dp_line_str(l, " of a grace period of ");
	put_duration(l, p->grace_ns);
	dp_line_str(l, p->at_risk ? ": at risk of being killed\n" : "\n");
}

void text_signal(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		 const struct dp_finding *f)
{
	const struct dp_signal_finding *g = &f->u.signal;
	const char *what = " was handled after ";
	uint64_t end = g->handled_ns, delay;

	if (end == DP_NULL || end == 0) {
		what = " was delivered after ";
		end = g->delivered_ns;
	}
	if (end == DP_NULL || end == 0) {
		what = " has not been delivered after ";
		end = f->t_ns;
	}
	delay = g->sent_ns == DP_NULL || g->sent_ns == 0 || end < g->sent_ns ? DP_NULL
									     : end - g->sent_ns;
	if (o->verbose < 0 || (o->verbose == 0 && (delay == DP_NULL || delay < SLOW_SIGNAL_NS)))
		return;
	row_begin(l, s, o, f, "signal", PLAIN);
	put_signal(l, g->signal);
	if (g->sender_pid)
		dp_line_fmt(l, " from pid %u", g->sender_pid);
	dp_line_str(l, what);
	put_duration(l, delay);
	if (g->tid)
		dp_line_fmt(l, ", thread %u", g->tid);
	dp_line_str(l, "\n");
}

void text_stop(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	static const char *const reasons[] = {
		[DP_STOP_STOP] = "told to stop by its daemon",
		[DP_STOP_ALL_INPUTS_CLOSED] = "all its inputs are closed",
		[DP_STOP_SIGTERM] = "told to stop by SIGTERM",
	};
	static const char *const by_whom[] = {
		[DP_WITNESS_NODE] = "",
		[DP_WITNESS_SIBLING] = ", as another node of its dataflow was (it has not read it)",
		[DP_WITNESS_COMMAND] = ": `dora stop` is running (it has not read it)",
		[DP_WITNESS_UNREAD] = ": it waits unread in its socket",
		[DP_WITNESS_DAEMON] = ", which got SIGINT (it has not read it)",
	};
	/* Of the default that follows from the version nothing is said: it is the ordinary case. */
	static const char *const sources[] = {
		[DP_DEADLINE_NONE] = "",
		[DP_DEADLINE_COMMAND] = " (asked for by the command)",
		[DP_DEADLINE_DESCRIPTOR] = " (by the dataflow's descriptor)",
		[DP_DEADLINE_LEARNED] = " (going by what this daemon did)",
		[DP_DEADLINE_OPTION] = " (by --grace)",
		[DP_DEADLINE_VERSION] = "",
		[DP_DEADLINE_ASSUMED] = " (assumed: the version of dora is not known)",
	};
	const struct dp_stop_finding *p = &f->u.stop;

	_Static_assert(DP_COUNT_OF(by_whom) == DP_WITNESS_COUNT, "words for each");
	_Static_assert(DP_COUNT_OF(reasons) == DP_STOP_COUNT, "words for each");
	_Static_assert(DP_COUNT_OF(sources) == DP_DEADLINE_COUNT, "words for each");
	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "stop", BOLD);
	dp_line_str(l, p->reason < DP_STOP_COUNT ? reasons[p->reason] : "told to stop");
	if (p->reason == DP_STOP_STOP && p->witness < DP_WITNESS_COUNT)
		dp_line_str(l, by_whom[p->witness]);
	if (p->deadline_ns == DP_NULL || p->deadline_ns == 0) {
		dp_line_str(l, "; no deadline");
	} else if (p->deadline_ns >= f->t_ns) {
		dp_line_str(l, p->kill_signal ? "; " : "; deadline");
		if (p->kill_signal)
			put_signal(l, p->kill_signal);
		dp_line_str(l, " in ");
		put_duration(l, p->deadline_ns - f->t_ns);
		if (p->deadline_source < DP_DEADLINE_COUNT)
			dp_line_str(l, sources[p->deadline_source]);
	}
	dp_line_str(l, "\n");
}

void text_action(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		 const struct dp_finding *f)
{
	static const char *const names[] = {
		[DP_ACTION_NUDGE] = "nudge",
		[DP_ACTION_TERMINATE] = "terminate",
		[DP_ACTION_STOP_DATAFLOW] = "stop the dataflow",
		[DP_ACTION_HOOK] = "hook",
	};
	static const char *const done[] = {
		[DP_RESULT_SENT] = "sent",
		[DP_RESULT_REFUSED] = "not sent",
		[DP_RESULT_FAILED] = "failed",
		[DP_RESULT_WOULD_SEND] = "would be sent, nothing was",
	};
	static const char *const run[] = {
		[DP_RESULT_SENT] = "done",
		[DP_RESULT_REFUSED] = "not done",
		[DP_RESULT_FAILED] = "failed",
		[DP_RESULT_WOULD_SEND] = "would be done, nothing was",
	};
	const struct dp_action_finding *a = &f->u.action;
	const char *const *words = a->signal ? done : run;

	_Static_assert(DP_COUNT_OF(names) == DP_ACTION_COUNT, "words for each");
	_Static_assert(DP_COUNT_OF(done) == DP_RESULT_COUNT, "words for each");
	row_begin(l, s, o, f, "action", BOLD);
	dp_line_str(l, a->action < DP_ACTION_COUNT ? names[a->action] : "unknown action");
	dp_line_str(l, ": ");
	if (a->signal) {
		put_signal(l, a->signal);
		if (a->tid)
			dp_line_fmt(l, " to thread %u", a->tid);
		dp_line_str(l, " ");
	}
	dp_line_str(l, a->result < DP_RESULT_COUNT ? words[a->result] : "?");
	if (a->attempt > 1)
		dp_line_fmt(l, ", attempt %u", a->attempt);
	if (a->dry_run)
		dp_line_str(l, " (dry run)");
	if (has(a->reason)) {
		dp_line_str(l, ": ");
		dp_line_text(l, a->reason);
	}
	dp_line_str(l, "\n");
}

void text_exit(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	static const char *const whys[] = {
		[DP_EXIT_CLEAN] = "",
		[DP_EXIT_ERROR] = "",
		[DP_EXIT_GRACE_KILL] = " at the end of its grace period",
		[DP_EXIT_SIGNAL] = "",
		[DP_EXIT_HEALTH_KILL] = " by the health check: no request for too long",
		[DP_EXIT_STARTUP_KILL] = " by the startup timeout",
		[DP_EXIT_FINISH_KILL] = " at the end of the grace that dora gives to finish",
		[DP_EXIT_ORPHAN] = " of its own orphan guard: its `dora run` is gone",
		[DP_EXIT_UNKNOWN] = "",
	};
	const struct dp_exit_finding *e = &f->u.exit;
	bool by_itself = e->reason == DP_EXIT_CLEAN || e->reason == DP_EXIT_ERROR ||
			 e->reason == DP_EXIT_UNKNOWN;

	_Static_assert(DP_COUNT_OF(whys) == DP_EXIT_COUNT, "words for each");
	row_begin(l, s, o, f, "exit", by_itself || e->reason == DP_EXIT_SIGNAL ? BOLD : RED);
	if (e->signal) {
		dp_line_str(l, "killed by ");
		put_signal(l, e->signal);
		if (e->killer_pid)
			dp_line_fmt(l, " from pid %u", e->killer_pid);
	} else if (e->code >= 0) {
		dp_line_fmt(l, "ended with exit code %d", e->code);
	} else {
		dp_line_str(l, "ended, how is not known");
	}
	if (e->reason < DP_EXIT_COUNT)
		dp_line_str(l, whys[e->reason]);
	if (e->since_stop_ns != DP_NULL) {
		dp_line_str(l, ", ");
		put_duration(l, e->since_stop_ns);
		dp_line_str(l, " after it was told to stop");
	}
	if (e->saved)
		dp_line_str(l, ", in time after a nudge");
	if (e->tokens_abandoned && e->tokens_abandoned != DP_NULL)
		dp_line_fmt(l, "; %llu drop token%s abandoned",
			    (unsigned long long)e->tokens_abandoned, plural(e->tokens_abandoned));
	if (e->gil_share > 0.0 && e->gil_share <= 1.0)
		dp_line_fmt(l, "; GIL held for %u %% of the time %s exit",
			    (unsigned int)(e->gil_share * 100.0),
			    e->since_stop_ns != DP_NULL ? "from stop to" : "before the");
	if (e->cause >= 0 && (e->cause != DP_CAUSE_UNKNOWN || e->since_stop_ns != DP_NULL))
		dp_line_fmt(l, ": %s", cause_words(e->cause));
	dp_line_str(l, "\n");
	if (has(e->explanation))
		row_below(l, s, e->explanation);
}
