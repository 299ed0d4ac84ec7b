// SPDX-License-Identifier: MIT
/* The sentence of a warning, and of its end. */
#include "show/sentence.h"

#include "base/array.h"
#include "show/row.h"
#include "show/words.h"

static void put_holder(struct dp_line *l, const struct dp_warning_finding *w)
{
	if (w->holder_tid || has(w->place.thread)) {
		dp_line_str(l, " by ");
		put_thread(l, &w->place, w->holder_tid);
	}
	put_place(l, &w->place, 0);
}

static void put_danger(struct dp_line *l, const struct dp_warning_finding *w)
{
	if (w->slack_ns == DP_SNULL || w->slack_ns >= 0) {
		dp_line_str(l, "may miss its deadline");
		return;
	}
	dp_line_str(l, "not expected to make its deadline, ");
	put_duration(l, 0 - (uint64_t)w->slack_ns);
	dp_line_str(l, " short");
}

static void put_pending(struct dp_line *l, const struct dp_warning_finding *w)
{
	if (w->pending_tokens == DP_NULL)
		dp_line_str(l, "drop tokens pending");
	else
		dp_line_fmt(l, "%llu drop token%s pending", (unsigned long long)w->pending_tokens,
			    plural(w->pending_tokens));
	if (w->oldest_pending_ns != DP_NULL) {
		dp_line_str(l, w->pending_tokens == 1 ? ", for " : ", the oldest for ");
		put_duration(l, w->oldest_pending_ns);
	}
}

/* What is wrong. A held GIL is told with its holder, which is all there is to say. */
static void put_kind(struct dp_line *l, const struct dp_warning_finding *w)
{
	switch ((enum dp_warning_kind)w->kind) {
	case DP_WARN_GIL_HOLD:
		dp_line_str(l, "the GIL has been held");
		if (w->held_ns != DP_NULL) {
			dp_line_str(l, " for at least ");
			put_duration(l, w->held_ns);
		}
		put_holder(l, w);
		return;
	case DP_WARN_TOKEN_PENDING:
		put_pending(l, w);
		break;
	case DP_WARN_STOP_PENDING:
		dp_line_str(l, "told to stop and still running");
		break;
	case DP_WARN_DEADLINE:
		put_danger(l, w);
		break;
	case DP_WARN_DEADLOCK:
		dp_line_str(l, "threads wait for each other");
		break;
	case DP_WARN_DAEMON_GONE:
		dp_line_str(l, "its daemon has gone, and it lives on");
		break;
	case DP_WARN_CRASH_LOOP:
		dp_line_str(l, "ends in trouble again and again");
		break;
	case DP_WARN_WRAPPER_KILLED:
		dp_line_str(l, "its launcher has left");
		break;
	case DP_WARN_NOT_POLLING:
		dp_line_str(l, "has not come back to next()");
		if (w->not_polling_ns != DP_NULL) {
			dp_line_str(l, " for ");
			put_duration(l, w->not_polling_ns);
		}
		break;
	case DP_WARN_GIL_SHARE:
		dp_line_str(l,
			    "the GIL is held most of the time, in holds too short to be warned of");
		break;
	case DP_WARN_CONVOY:
		dp_line_str(l, "a thread waits for the GIL at each of its calls");
		break;
	case DP_WARN_SHM_FULL:
		dp_line_str(l, "the shared memory is nearly used up");
		break;
	case DP_WARN_SOURCE_MISSING:
		dp_line_str(l, "a source that it is to be watched by cannot be had");
		break;
	case DP_WARN_COUNT:
	default:
		dp_line_str(l, "warning of an unknown kind");
	}
}

static void put_deadline(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_warning_finding *w = &f->u.warning;

	if (w->deadline_ns != DP_NULL && w->deadline_ns) {
		if (w->deadline_ns >= f->t_ns) {
			dp_line_str(l, ", deadline in ");
			put_duration(l, w->deadline_ns - f->t_ns);
		} else {
			dp_line_str(l, ", deadline passed ");
			put_duration(l, f->t_ns - w->deadline_ns);
			dp_line_str(l, " ago");
		}
	}
}

/* Who holds the GIL meanwhile, or where the event loop is. */
static void put_culprit(struct dp_line *l, const struct dp_warning_finding *w)
{
	if (w->holder_tid) {
		dp_line_str(l, "; GIL held");
		if (w->held_ns != DP_NULL) {
			dp_line_str(l, " for at least ");
			put_duration(l, w->held_ns);
		}
		put_holder(l, w);
	} else if (has(w->place.function)) {
		/* Nobody holds it: where the event loop is, or who held it until just now. */
		if (w->cause == DP_CAUSE_GIL_NATIVE || w->cause == DP_CAUSE_GIL_CONTENTION)
			dp_line_str(l, "; the GIL was held");
		put_place(l, &w->place, 0);
	}
}

static void put_warning(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_warning_finding *w = &f->u.warning;

	put_kind(l, w);
	if (w->kind == DP_WARN_GIL_HOLD)
		return;
	put_deadline(l, f);
	if (w->cause >= 0)
		dp_line_fmt(l, ": %s", cause_words(w->cause));
	put_culprit(l, w);
}

static void put_resolved(struct dp_line *l, const struct dp_warning_finding *w)
{
	static const char *const over[] = {
		[DP_WARN_TOKEN_PENDING] = "drop tokens are no longer pending for so long",
		[DP_WARN_GIL_HOLD] = "the GIL is no longer held for so long",
		[DP_WARN_STOP_PENDING] = "the stop is no longer pending",
		[DP_WARN_DEADLINE] = "the deadline is no longer in danger",
		[DP_WARN_NOT_POLLING] = "it is no longer known to be away from next()",
		[DP_WARN_DEADLOCK] = "the threads no longer wait for each other",
		[DP_WARN_DAEMON_GONE] = "the node without a daemon has ended",
		[DP_WARN_CRASH_LOOP] = "it has not ended in trouble for a minute",
		[DP_WARN_WRAPPER_KILLED] = "its launcher is back",
		[DP_WARN_GIL_SHARE] = "the GIL is no longer held for most of the time",
		[DP_WARN_SHM_FULL] = "there is shared memory again",
		[DP_WARN_SOURCE_MISSING] = "the source is there now",
		[DP_WARN_CONVOY] = "no thread waits for the GIL at each of its calls any more",
	};

	_Static_assert(DP_COUNT_OF(over) == DP_WARN_COUNT, "words for each kind");
	dp_line_str(l, w->kind < DP_WARN_COUNT ? over[w->kind] : "a warning is over");
}

/* The chain, a line a thread. */
static void put_chain(struct dp_line *l, const struct dp_text_state *s,
		      const struct dp_rec_waits *w)
{
	for (uint32_t i = 0; i < w->link_count && i < DP_LINKS_MAX; i++) {
		const struct dp_link *k = &w->links[i];
		struct dp_place p = {.thread = k->thread,
				     .function = k->function,
				     .file = k->file,
				     .library = k->library,
				     .line = k->line};

		row_below_begin(l, s);
		put_thread(l, &p, k->tid);
		put_place(l, &p, 0);
		dp_line_fmt(l, ": %s", dp_wait_words(k->waits));
		if (k->for_tid)
			dp_line_fmt(l, " thread %u", k->for_tid);
		dp_line_str(l, "\n");
	}
}

void text_warning(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		  const struct dp_finding *f)
{
	static const struct {
		const char *word;
		enum paint paint;
	} severities[] = {
		[DP_SEVERITY_NOTICE] = {"notice", BOLD},
		[DP_SEVERITY_WARNING] = {"WARNING", YELLOW},
		[DP_SEVERITY_CRITICAL] = {"CRITICAL", RED},
	};
	const struct dp_warning_finding *w = &f->u.warning;
	bool is_new;
	unsigned int i = w->severity < DP_SEVERITY_COUNT ? w->severity : DP_SEVERITY_NOTICE;

	_Static_assert(DP_COUNT_OF(severities) == DP_SEVERITY_COUNT, "a word for each severity");
	if (w->resolved) {
		row_begin(l, s, o, f, "over", PLAIN);
		put_resolved(l, w);
		dp_line_str(l, "\n");
		return;
	}
	row_begin(l, s, o, f, severities[i].word, severities[i].paint);
	put_warning(l, f);
	dp_line_str(l, "\n");
	is_new = has(w->advice) && row_is_new_advice(s, f->pid, w->advice);
	if (is_new)
		row_below(l, s, w->advice);
	if (w->chain && (is_new || w->kind == DP_WARN_DEADLOCK))
		put_chain(l, s, w->chain);
}
