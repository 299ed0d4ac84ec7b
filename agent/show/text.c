// SPDX-License-Identifier: MIT
/*
 * One finding as a sentence for a person at a terminal:
 *
 *     07:02:27.123  camera    hold      held the GIL for 1.23 s in process (vision.py:42)
 *     07:02:28.001  camera    WARNING   1 drop token pending, for 1.00 s: one native call …
 *                                       release the GIL in that call, or split it
 *
 * A sentence never says more than was proven: the precision of a hold chooses its words.
 */
#include "base/array.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/signals.h"
#include "base/units.h"
#include "show/render.h"

#include <stdio.h>
#include <string.h>

#define TIME_WIDTH     12
#define KIND_WIDTH     8
#define NAME_WIDTH_MIN 8
#define NAME_WIDTH_MAX 24
#define FILE_SHOWN_MAX 48
/*
 * Python runs a signal's handler between two bytecodes, within microseconds of an idle main thread;
 * a tenth of a second is what a person notices as a pause (Nielsen's limit for "instant").
 */
#define SLOW_SIGNAL_NS (100 * MS)

enum paint { PLAIN, DIM, BOLD, YELLOW, RED };

static const char *const paints[] = {
	[PLAIN] = "",          [DIM] = "\033[2m",    [BOLD] = "\033[1m",
	[YELLOW] = "\033[33m", [RED] = "\033[1;31m",
};

static const char *const causes[] = {
	[DP_CAUSE_UNKNOWN] = "cause unknown",
	[DP_CAUSE_GIL_NATIVE] = "one native call keeps the GIL",
	[DP_CAUSE_GIL_CONTENTION] = "other threads keep taking the GIL",
	[DP_CAUSE_BUSY_PYTHON] = "the event loop is busy in Python code",
	[DP_CAUSE_BLOCKED] = "the event loop is blocked while the GIL is free",
	[DP_CAUSE_REFERENCE_KEPT] = "the array is still referenced",
	[DP_CAUSE_NOT_REPORTED] = "freed, but no event has come to carry the report",
	[DP_CAUSE_NODE_DROPPED_FIRST] = "the node object was dropped before the array",
	[DP_CAUSE_RECEIVER_GONE] = "the receiver is gone",
	[DP_CAUSE_OWNER_NOT_COLLECTING] = "the owner does not collect it",
	[DP_CAUSE_DORA_INTERNAL] = "dora's own code keeps the GIL",
	[DP_CAUSE_DEADLOCK] = "the holder of the GIL waits for a thread that waits for the GIL",
};
_Static_assert(DP_COUNT_OF(causes) == DP_CAUSE_COUNT, "a sentence for each cause");

static const char *cause_words(int cause)
{
	return cause >= 0 && cause < DP_CAUSE_COUNT ? causes[cause] : causes[DP_CAUSE_UNKNOWN];
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void put_duration(struct dp_line *l, uint64_t ns)
{
	char buf[40];

	dp_line_str(l, dp_duration_text(ns, buf, sizeof(buf)));
}

static void put_signal(struct dp_line *l, uint32_t sig)
{
	char buf[32];

	dp_line_str(l, sig ? dp_signal_text(sig, buf, sizeof(buf)) : "an unknown signal");
}

static size_t put_paint(struct dp_line *l, int colour, enum paint p, const char *s)
{
	size_t columns;

	if (colour && p != PLAIN)
		dp_line_str(l, paints[p]);
	columns = dp_line_text(l, s);
	if (colour && p != PLAIN)
		dp_line_str(l, "\033[0m");
	return columns;
}

/* A long path keeps its last two parts: enough to find the file, short enough to read. */
static void put_file(struct dp_line *l, const char *file)
{
	size_t len = strlen(file);
	const char *p = file + len;
	int parts = 0;

	if (len > FILE_SHOWN_MAX) {
		while (p > file && parts < 2)
			if (*--p == '/')
				parts++;
		if (p > file) {
			dp_line_str(l, "…");
			file = p;
		}
	}
	dp_line_text(l, file);
}

static int has(const char *s)
{
	return s && *s;
}

/*
 * " in process (vision.py:42), inside libfoo.so", or nothing. `native`: the thread is known to be
 * inside one native call; without that, a library says where the thread was and no more.
 */
static void put_place(struct dp_line *l, const struct dp_place *p, int native)
{
	const char *sep = "";

	if (has(p->function) || has(p->file)) {
		dp_line_str(l, has(p->function) ? " in " : " at ");
		if (has(p->function))
			dp_line_text(l, p->function);
		if (has(p->file)) {
			dp_line_str(l, has(p->function) ? " (" : "");
			put_file(l, p->file);
			if (p->line > 0)
				dp_line_fmt(l, ":%d", p->line);
			dp_line_str(l, has(p->function) ? ")" : "");
		}
		sep = ",";
	}
	if (native)
		dp_line_fmt(l, "%s in a native call%s", sep, has(p->library) ? " of " : "");
	else if (has(p->library))
		dp_line_fmt(l, "%s inside ", sep);
	if (has(p->library))
		put_file(l, p->library);
}

static void put_thread(struct dp_line *l, const struct dp_place *p, uint32_t tid)
{
	if (!tid && !has(p->thread))
		return;
	dp_line_str(l, "thread ");
	if (has(p->thread))
		dp_line_text(l, p->thread);
	if (tid)
		dp_line_fmt(l, has(p->thread) ? " (tid %u)" : "%u", tid);
}

/* Begins a row: time, node, kind. What follows is the sentence. */
static void row(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f, const char *kind, enum paint paint)
{
	char time[64], label[32];
	const char *name = f->node;
	size_t columns;
	int day;

	if (f->wall_offset_ns == DP_SNULL) {
		/* No wall clock yet: seconds of the monotonic clock, marked as such. */
		snprintf(time, sizeof(time), "+%llu.%03llu", (unsigned long long)(f->t_ns / SEC),
			 (unsigned long long)(f->t_ns / 1000000 % 1000));
	} else {
		dp_format_local_time((int64_t)(f->t_ns + (uint64_t)f->wall_offset_ns), time,
				     sizeof(time), &day);
		if (day != s->day) {
			s->day = day;
			dp_line_fmt(l, "%04d-%02d-%02d\n", day / 10000, day / 100 % 100, day % 100);
		}
	}
	if (!has(name)) {
		snprintf(label, sizeof(label), f->pid ? "pid %u" : "-", f->pid);
		name = label;
	}
	columns = put_paint(l, o->colour, DIM, time);
	dp_line_fill(l, ' ', (columns < TIME_WIDTH ? TIME_WIDTH - columns : 0) + 2);
	columns = dp_line_text(l, name);
	if (s->name_width < NAME_WIDTH_MIN)
		s->name_width = NAME_WIDTH_MIN;
	if (columns > s->name_width)
		s->name_width = columns < NAME_WIDTH_MAX ? columns : NAME_WIDTH_MAX;
	dp_line_fill(l, ' ', (columns < s->name_width ? s->name_width - columns : 0) + 2);
	columns = put_paint(l, o->colour, paint, kind);
	dp_line_fill(l, ' ', (columns < KIND_WIDTH ? KIND_WIDTH - columns : 0) + 2);
}

/* A line under a row, below its sentence. */
static void below(struct dp_line *l, const struct dp_text_state *s, const char *text)
{
	dp_line_fill(l, ' ', TIME_WIDTH + 2 + s->name_width + 2 + KIND_WIDTH + 2);
	dp_line_text(l, text);
	dp_line_str(l, "\n");
}

static int is_new_advice(struct dp_text_state *s, uint32_t pid, const char *advice)
{
	uint32_t hash = dp_hash_fold(dp_hash_text(DP_HASH_START, advice));

	for (uint32_t i = 0; i < DP_TEXT_ADVISED; i++)
		if (s->advised[i].pid == pid && s->advised[i].hash == hash)
			return 0;
	s->advised[s->advised_next].pid = pid;
	s->advised[s->advised_next].hash = hash;
	s->advised_next = (s->advised_next + 1) % DP_TEXT_ADVISED;
	return 1;
}

static void text_start(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		       const struct dp_finding *f)
{
	const struct dp_rec_session *session = f->u.start.session;
	const char *sep = "";

	row(l, s, o, f, "start", PLAIN);
	dp_line_str(l, "dora-probe ");
	dp_line_text(l, session ? session->version : "");
	if (session && *session->kernel) {
		dp_line_str(l, " on ");
		dp_line_text(l, session->kernel);
	}
	if (session && *session->targets) {
		dp_line_str(l, ", watching ");
		dp_line_text(l, session->targets);
	}
	dp_line_str(l, "; sources: ");
	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++) {
		if (!(f->u.start.sources & 1u << i))
			continue;
		dp_line_fmt(l, "%s%s", sep, dp_source_name(i));
		sep = ", ";
	}
	dp_line_str(l, *sep ? "\n" : "none\n");
}

static void text_node(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	const struct dp_node_finding *n = &f->u.node;
	const struct dp_rec_node *facts = n->facts;
	int blind;

	row(l, s, o, f, "node", PLAIN);
	dp_line_fmt(l, "pid %u", f->pid);
	if (!facts) {
		dp_line_str(l, ", nothing known of it\n");
		return;
	}
	if (has(f->dataflow)) {
		dp_line_str(l, " of dataflow ");
		dp_line_text(l, has(facts->dataflow_name) ? facts->dataflow_name : f->dataflow);
	}
	if (facts->is_python) {
		dp_line_str(l, ", Python ");
		dp_line_text(l, *facts->python ? facts->python : "of unknown version");
		dp_line_str(l, facts->free_threaded ? " (free-threaded)" : "");
	} else {
		dp_line_str(l, ", not a Python process");
	}
	if (facts->is_dora) {
		dp_line_str(l, ", dora ");
		dp_line_text(l, *facts->dora ? facts->dora : "of unknown version");
		if (facts->transport != DP_TRANSPORT_UNKNOWN)
			dp_line_fmt(l, " over %s", dp_transport_name(facts->transport));
	}
	dp_line_str(l, "\n");
	blind = !facts->gil_observable + 2 * !facts->tokens_observable;
	if (blind && (facts->is_dora || facts->is_python)) {
		static const char *const what[] = {
			"",
			"its GIL cannot be observed",
			"its drop tokens cannot be observed",
			"neither its GIL nor its drop tokens can be observed",
		};
		char text[DP_REASON_MAX + 80];

		snprintf(text, sizeof(text), "%s%s%s", what[blind], *facts->reason ? ": " : "",
			 facts->reason);
		below(l, s, text);
	}
	if (n->nudge_signal && n->nudge_disposition == DP_SIGDISP_IGNORED) {
		char text[128], sig[32], other[32];

		snprintf(text, sizeof(text), "it ignores %s: a nudge would not help%s%s",
			 dp_signal_text(n->nudge_signal, sig, sizeof(sig)),
			 n->other_caught_signal ? "; it catches " : "",
			 n->other_caught_signal
				 ? dp_signal_text(n->other_caught_signal, other, sizeof(other))
				 : "");
		below(l, s, text);
	}
}

/* The words that go with what is proven. */
static void put_hold_length(struct dp_line *l, const struct dp_hold_finding *h)
{
	uint64_t proven = dp_hold_duration(h), most = DP_NULL;
	char buf[96];

	if (h->start_lo_ns != DP_NULL && h->start_lo_ns != 0 && h->end_hi_ns != DP_NULL &&
	    h->end_hi_ns >= h->start_lo_ns)
		most = h->end_hi_ns - h->start_lo_ns;
	switch ((enum dp_precision)h->precision) {
	case DP_PRECISION_EXACT:
		dp_line_str(l, "held the GIL for ");
		put_duration(l, proven);
		return;
	case DP_PRECISION_BOUNDED:
		if (most != DP_NULL && most >= proven) {
			dp_line_fmt(l, "held the GIL for %s",
				    dp_duration_range(proven, most, buf, sizeof(buf)));
			return;
		}
		break;
	case DP_PRECISION_AT_LEAST:
		break;
	case DP_PRECISION_UNCONFIRMED:
	case DP_PRECISION_COUNT:
	default:
		dp_line_str(l, "looks as if it held the GIL for ");
		put_duration(l, proven);
		dp_line_str(l, ", unconfirmed");
		return;
	}
	dp_line_str(l, "held the GIL for at least ");
	put_duration(l, proven);
}

static void text_hold(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	const struct dp_hold_finding *h = &f->u.hold;

	row(l, s, o, f, "hold", PLAIN);
	put_hold_length(l, h);
	put_place(l, &h->place, h->native == 1);
	if (h->dora_internal)
		dp_line_str(l, ", inside dora's own code");
	if (h->tid || has(h->place.thread)) {
		dp_line_str(l, "; ");
		put_thread(l, &h->place, h->tid);
	}
	if (h->waiter_count)
		dp_line_fmt(l, "; %u thread%s waited", h->waiter_count, plural(h->waiter_count));
	if (h->off_cpu_ns != DP_NULL && h->off_cpu_ns >= 1000000) {
		dp_line_str(l, "; ");
		put_duration(l, h->off_cpu_ns);
		dp_line_str(l, " of it off the CPU");
	}
	if (h->gil)
		dp_line_fmt(l, "; GIL %u", h->gil);
	dp_line_str(l, "\n");
}

static void text_wait(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	const struct dp_wait_finding *w = &f->u.wait;
	int known = w->start_ns != DP_NULL && w->end_ns != DP_NULL && w->end_ns >= w->start_ns;

	if (o->verbose < 1)
		return;
	row(l, s, o, f, "wait", PLAIN);
	dp_line_fmt(l, "thread %u waited for the GIL for ", w->tid);
	put_duration(l, known ? w->end_ns - w->start_ns : DP_NULL);
	if (w->holder_tid)
		dp_line_fmt(l, ", held by thread %u", w->holder_tid);
	dp_line_str(l, "\n");
}

/* A node that leaves gives up a hundred tokens at once: these many lines tell it. */
#define ALIKE_SHOWN     3
#define ALIKE_WITHIN_NS 250000000

static void put_alike(struct dp_line *l, const struct dp_text_state *s, struct dp_text_alike *a)
{
	static const char *const ends[] = {
		[DP_TOKEN_OPEN] = "still pending at the end",
		[DP_TOKEN_RETURNED] = "returned",
		[DP_TOKEN_ABANDONED] = "abandoned",
		[DP_TOKEN_LOST] = "lost from sight",
	};
	char least[32], most[32], text[512];

	_Static_assert(DP_COUNT_OF(ends) == DP_TOKEN_COUNT, "words for each state");
	if (!a->hidden)
		return;
	dp_duration_text(a->least_ns, least, sizeof(least));
	dp_duration_text(a->most_ns, most, sizeof(most));
	snprintf(text, sizeof(text),
		 "and %u more (%s) %s alike, pending for %s to %s; -v shows each", a->hidden,
		 a->way, a->state < DP_TOKEN_COUNT ? ends[a->state] : "ended", least, most);
	below(l, s, text);
	a->hidden = 0;
}

void dp_render_text_alike(struct dp_line *l, struct dp_text_state *s, uint64_t until_ns)
{
	for (size_t i = 0; i < DP_TEXT_ALIKE; i++)
		if (s->alike[i].last_ns < until_ns)
			put_alike(l, s, &s->alike[i]);
}

/* The row of tokens that this one continues; a new one if none. What gives way is told. */
static struct dp_text_alike *alike_of(struct dp_line *l, struct dp_text_state *s,
				      const struct dp_finding *f)
{
	const struct dp_token_finding *t = &f->u.token;
	struct dp_text_alike *a, *oldest = &s->alike[0];
	char way[sizeof(a->way)];

	snprintf(way, sizeof(way), "%s%s%s%sto %s", has(t->owner) ? t->owner : "",
		 has(t->owner) ? "/" : "", has(t->owner) && has(t->output) ? t->output : "",
		 has(t->owner) ? " " : "", has(t->receiver) ? t->receiver : "?");
	for (a = s->alike; a < s->alike + DP_TEXT_ALIKE; a++) {
		if (a->shown && a->pid == f->pid && a->state == t->state && a->cause == t->cause &&
		    strcmp(a->way, way) == 0 && f->t_ns - a->last_ns <= ALIKE_WITHIN_NS)
			return a;
		if (a->last_ns < oldest->last_ns)
			oldest = a;
	}
	put_alike(l, s, oldest);
	*oldest = (struct dp_text_alike){
		.pid = f->pid, .state = t->state, .cause = t->cause, .last_ns = f->t_ns};
	strcpy(oldest->way, way);
	return oldest;
}

/* Is it one of so many alike that it is counted instead of shown? */
static int only_counted(struct dp_line *l, struct dp_text_state *s, const struct dp_finding *f)
{
	struct dp_text_alike *a = alike_of(l, s, f);
	uint64_t pending = f->u.token.pending_ns;

	a->last_ns = f->t_ns;
	if (a->shown < ALIKE_SHOWN || pending == DP_NULL) {
		a->shown++;
		return 0;
	}
	if (!a->hidden || pending < a->least_ns)
		a->least_ns = pending;
	if (!a->hidden || pending > a->most_ns)
		a->most_ns = pending;
	a->hidden++;
	return 1;
}

static void text_token(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		       const struct dp_finding *f)
{
	static const char *const ends[] = {
		[DP_TOKEN_OPEN] = "still pending at the end, after ",
		[DP_TOKEN_RETURNED] = "returned, was pending for ",
		[DP_TOKEN_ABANDONED] = "abandoned after pending for ",
		[DP_TOKEN_LOST] = "lost from sight, after pending for at least ",
	};
	const struct dp_token_finding *t = &f->u.token;
	char uuid[40], bytes[32];

	_Static_assert(DP_COUNT_OF(ends) == DP_TOKEN_COUNT, "words for each state");
	if (o->verbose < 0 || (o->verbose == 0 && only_counted(l, s, f)))
		return;
	row(l, s, o, f, "token", t->state == DP_TOKEN_ABANDONED ? YELLOW : PLAIN);
	dp_format_token(t->token, uuid, sizeof(uuid));
	/* Tokens begin with the time of their making: the end tells them apart. */
	dp_line_fmt(l, "%s (", o->verbose > 0 ? uuid : uuid + 28);
	if (has(t->owner)) {
		dp_line_text(l, t->owner);
		dp_line_str(l, "/");
		dp_line_text(l, has(t->output) ? t->output : "?");
		dp_line_str(l, " ");
	}
	dp_line_str(l, "to ");
	dp_line_text(l, has(t->receiver) ? t->receiver : "a node that is not watched");
	if (t->bytes && t->bytes != DP_NULL)
		dp_line_fmt(l, ", %s", dp_format_bytes(t->bytes, bytes, sizeof(bytes)));
	dp_line_str(l, ") ");
	dp_line_str(l, t->state < DP_TOKEN_COUNT ? ends[t->state] : "pending for ");
	put_duration(l, t->pending_ns);
	if (t->gil_held_ns != DP_NULL && t->gil_held_ns) {
		dp_line_str(l, ", ");
		put_duration(l, t->gil_held_ns);
		dp_line_str(l, " of that because of the GIL");
	}
	if (t->cause >= 0)
		dp_line_fmt(l, ": %s", cause_words(t->cause));
	dp_line_str(l, "\n");
}

static void put_holder(struct dp_line *l, const struct dp_warning_finding *w)
{
	if (w->holder_tid || has(w->place.thread)) {
		dp_line_str(l, " by ");
		put_thread(l, &w->place, w->holder_tid);
	}
	put_place(l, &w->place, 0);
}

static void put_warning(struct dp_line *l, const struct dp_finding *f)
{
	const struct dp_warning_finding *w = &f->u.warning;

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
		if (w->pending_tokens == DP_NULL)
			dp_line_str(l, "drop tokens pending");
		else
			dp_line_fmt(l, "%llu drop token%s pending",
				    (unsigned long long)w->pending_tokens,
				    plural(w->pending_tokens));
		if (w->oldest_pending_ns != DP_NULL) {
			dp_line_str(l, w->pending_tokens == 1 ? ", for " : ", the oldest for ");
			put_duration(l, w->oldest_pending_ns);
		}
		break;
	case DP_WARN_STOP_PENDING:
		dp_line_str(l, "told to stop and still running");
		break;
	case DP_WARN_DEADLINE:
		if (w->slack_ns != DP_SNULL && w->slack_ns < 0) {
			dp_line_str(l, "not expected to make its deadline, ");
			put_duration(l, 0 - (uint64_t)w->slack_ns);
			dp_line_str(l, " short");
		} else {
			dp_line_str(l, "may miss its deadline");
		}
		break;
	case DP_WARN_DEADLOCK:
		dp_line_str(l, "threads wait for each other");
		break;
	case DP_WARN_COUNT:
	default:
		dp_line_str(l, "warning of an unknown kind");
	}
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
	if (w->cause >= 0)
		dp_line_fmt(l, ": %s", cause_words(w->cause));
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

static void put_resolved(struct dp_line *l, const struct dp_warning_finding *w)
{
	static const char *const over[] = {
		[DP_WARN_TOKEN_PENDING] = "drop tokens are no longer pending for so long",
		[DP_WARN_GIL_HOLD] = "the GIL is no longer held for so long",
		[DP_WARN_STOP_PENDING] = "the stop is no longer pending",
		[DP_WARN_DEADLINE] = "the deadline is no longer in danger",
		[DP_WARN_DEADLOCK] = "the threads no longer wait for each other",
	};

	_Static_assert(DP_COUNT_OF(over) == DP_WARN_COUNT, "words for each kind");
	dp_line_str(l, w->kind < DP_WARN_COUNT ? over[w->kind] : "a warning is over");
}

static void text_warning(struct dp_line *l, struct dp_text_state *s,
			 const struct dp_show_options *o, const struct dp_finding *f)
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
	unsigned int i = w->severity < DP_SEVERITY_COUNT ? w->severity : DP_SEVERITY_NOTICE;

	_Static_assert(DP_COUNT_OF(severities) == DP_SEVERITY_COUNT, "a word for each severity");
	if (w->resolved) {
		row(l, s, o, f, "over", PLAIN);
		put_resolved(l, w);
		dp_line_str(l, "\n");
		return;
	}
	row(l, s, o, f, severities[i].word, severities[i].paint);
	put_warning(l, f);
	dp_line_str(l, "\n");
	if (has(w->advice) && is_new_advice(s, f->pid, w->advice))
		below(l, s, w->advice);
}

static void text_signal(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
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
	row(l, s, o, f, "signal", PLAIN);
	put_signal(l, g->signal);
	if (g->sender_pid)
		dp_line_fmt(l, " from pid %u", g->sender_pid);
	dp_line_str(l, what);
	put_duration(l, delay);
	if (g->tid)
		dp_line_fmt(l, ", thread %u", g->tid);
	dp_line_str(l, "\n");
}

static void text_stop(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	static const char *const reasons[] = {
		[DP_STOP_STOP] = "told to stop by its daemon",
		[DP_STOP_ALL_INPUTS_CLOSED] = "all its inputs are closed",
		[DP_STOP_SIGTERM] = "told to stop by SIGTERM",
	};
	const struct dp_stop_finding *p = &f->u.stop;

	_Static_assert(DP_COUNT_OF(reasons) == DP_STOP_COUNT, "words for each");
	if (o->verbose < 0)
		return;
	row(l, s, o, f, "stop", BOLD);
	dp_line_str(l, p->reason < DP_STOP_COUNT ? reasons[p->reason] : "told to stop");
	if (p->deadline_ns == DP_NULL || p->deadline_ns == 0) {
		dp_line_str(l, "; no deadline");
	} else if (p->deadline_ns >= f->t_ns) {
		dp_line_str(l, p->kill_signal ? "; " : "; deadline");
		if (p->kill_signal)
			put_signal(l, p->kill_signal);
		dp_line_str(l, " in ");
		put_duration(l, p->deadline_ns - f->t_ns);
	}
	dp_line_str(l, "\n");
}

static void text_action(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
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
	row(l, s, o, f, "action", BOLD);
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

static void text_exit(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	const struct dp_exit_finding *e = &f->u.exit;

	row(l, s, o, f, "exit", e->grace_kill ? RED : BOLD);
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
	if (e->grace_kill)
		dp_line_str(l, " at the end of its grace period");
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
		dp_line_fmt(l, "; GIL held for %u %% of the time from stop to exit",
			    (unsigned int)(e->gil_share * 100.0));
	if (e->cause >= 0)
		dp_line_fmt(l, ": %s", cause_words(e->cause));
	dp_line_str(l, "\n");
}

static void text_loss(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		      const struct dp_finding *f)
{
	const struct dp_loss_finding *p = &f->u.loss;

	if (o->verbose < 0)
		return;
	row(l, s, o, f, "loss", YELLOW);
	dp_line_fmt(l, "%llu lost (%s), %llu in all: findings around this time may be incomplete\n",
		    (unsigned long long)p->count, dp_loss_name(p->reason),
		    (unsigned long long)p->total);
}

static void text_forecast(struct dp_line *l, struct dp_text_state *s,
			  const struct dp_show_options *o, const struct dp_finding *f)
{
	const struct dp_forecast_finding *p = &f->u.forecast;
	char need[40];

	if (o->verbose < 0 || (o->verbose == 0 && !p->at_risk))
		return;
	row(l, s, o, f, "forecast", p->at_risk ? YELLOW : PLAIN);
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

/* ---- summary ----------------------------------------------------------------------------- */

/* Node, then right-aligned cells under these headings. */
static const char *const headings[] = {
	"holds",     "longest hold",    "GIL held",         "tokens",
	"abandoned", "longest pending", "grace to ask for",
};
#define CELLS              DP_COUNT_OF(headings)
#define SUMMARY_NAME_WIDTH 16

/* "µ" takes two bytes and one column. */
static void put_cell(struct dp_line *l, const char *text, size_t width)
{
	size_t columns = 0;

	for (const char *p = text; *p; p++)
		columns += ((unsigned char)*p & 0xC0) != 0x80;
	dp_line_fill(l, ' ', 2 + (columns < width ? width - columns : 0));
	dp_line_str(l, text);
}

static char *count_cell(uint64_t n, char *buf, size_t len)
{
	snprintf(buf, len, n == DP_NULL ? "?" : "%llu", (unsigned long long)n);
	return buf;
}

static char *duration_cell(uint64_t ns, char *buf, size_t len)
{
	if (ns == DP_NULL || ns == 0)
		snprintf(buf, len, "-");
	else
		dp_duration_text(ns, buf, len);
	return buf;
}

static void put_blame(struct dp_line *l, const struct dp_blame *b)
{
	const struct dp_place place = {.function = b->function, .file = b->file, .line = b->line};

	if (b->token_ns == DP_NULL || b->token_ns == 0)
		return;
	dp_line_str(l, "      ");
	put_duration(l, b->token_ns);
	dp_line_str(l, " of token time lost to the GIL held");
	if (b->held_ns != DP_NULL && b->held_ns) {
		dp_line_str(l, " for ");
		put_duration(l, b->held_ns);
	}
	put_place(l, &place, 0);
	dp_line_str(l, "\n");
}

static void summary_begin(struct dp_line *l, struct dp_text_state *s,
			  const struct dp_show_options *o, const struct dp_finding *f)
{
	const struct dp_summary_finding *u = &f->u.summary;
	char buf[40];

	dp_line_reset(&s->table);
	s->in_summary = 1;
	s->rows = 0;
	dp_line_str(l, "\n");
	put_paint(l, o->colour, BOLD, "Summary");
	dp_line_fmt(l, ": %llu records", (unsigned long long)u->records);
	if (u->records_lost)
		dp_line_fmt(l, ", %llu lost: the figures below may be too low",
			    (unsigned long long)u->records_lost);
	else
		dp_line_str(l, ", none lost");
	dp_line_str(l, "\n");
	if (u->recommended_grace_ns != DP_NULL && u->recommended_grace_ns) {
		dp_line_fmt(l, "  grace period to ask for: %s",
			    dp_duration_text_up(u->recommended_grace_ns, buf, sizeof(buf)));
		if (has(u->recommendation)) {
			dp_line_str(l, " (");
			dp_line_text(l, u->recommendation);
			dp_line_str(l, ")");
		}
		dp_line_str(l, "\n");
	} else if (has(u->recommendation)) {
		dp_line_str(l, "  ");
		dp_line_text(l, u->recommendation);
		dp_line_str(l, "\n");
	}
}

static void summary_node(struct dp_text_state *s, const struct dp_finding *f)
{
	const struct dp_summary_node_finding *n = &f->u.summary_node;
	struct dp_line *t = &s->table;
	const char *name = has(n->node) ? n->node : f->node;
	unsigned int blames = n->blame_count < DP_BLAME_MAX ? n->blame_count : DP_BLAME_MAX;
	char cells[CELLS][40], label[32];
	size_t columns;

	if (!s->in_summary)
		return;
	if (!has(name)) {
		snprintf(label, sizeof(label), "pid %u", f->pid);
		name = label;
	}
	count_cell(n->holds, cells[0], sizeof(cells[0]));
	duration_cell(n->max_hold_ns, cells[1], sizeof(cells[1]));
	duration_cell(n->gil_held_ns, cells[2], sizeof(cells[2]));
	count_cell(n->tokens, cells[3], sizeof(cells[3]));
	count_cell(n->tokens_abandoned, cells[4], sizeof(cells[4]));
	duration_cell(n->max_pending_ns, cells[5], sizeof(cells[5]));
	duration_cell(n->recommended_grace_ns, cells[6], sizeof(cells[6]));
	if (n->recommended_grace_ns != DP_NULL && n->recommended_grace_ns)
		dp_duration_text_up(n->recommended_grace_ns, cells[6], sizeof(cells[6]));
	dp_line_str(t, "  ");
	columns = dp_line_text(t, name);
	dp_line_fill(t, ' ', columns < SUMMARY_NAME_WIDTH ? SUMMARY_NAME_WIDTH - columns : 0);
	for (size_t i = 0; i < CELLS; i++)
		put_cell(t, cells[i], strlen(headings[i]));
	dp_line_str(t, "\n");
	if (has(n->max_hold_function)) {
		dp_line_str(t, "      longest hold in ");
		dp_line_text(t, n->max_hold_function);
		dp_line_str(t, "\n");
	}
	for (unsigned int i = 0; i < blames; i++)
		put_blame(t, &n->blame[i]);
	if (n->tokens_open && n->tokens_open != DP_NULL)
		dp_line_fmt(t, "      %llu drop token%s still pending at the end\n",
			    (unsigned long long)n->tokens_open, plural(n->tokens_open));
	if (n->tokens_lost && n->tokens_lost != DP_NULL)
		dp_line_fmt(t,
			    "      %llu drop token%s lost from sight, not counted as abandoned\n",
			    (unsigned long long)n->tokens_lost, plural(n->tokens_lost));
	s->rows++;
}

static void summary_end(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o)
{
	if (!s->in_summary)
		return;
	s->in_summary = 0;
	if (s->rows == 0) {
		dp_line_str(l, "  no node was seen\n");
		return;
	}
	if (o->colour)
		dp_line_str(l, paints[DIM]);
	dp_line_str(l, "\n  node");
	dp_line_fill(l, ' ', SUMMARY_NAME_WIDTH - strlen("node"));
	for (size_t i = 0; i < CELLS; i++)
		put_cell(l, headings[i], 0);
	if (o->colour)
		dp_line_str(l, "\033[0m");
	dp_line_str(l, "\n");
	dp_line_add(l, s->table.data, s->table.len);
	if (s->table.error)
		dp_line_str(l, "  (more nodes than fit here; --json lists them)\n");
}

void dp_render_text(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		    const struct dp_finding *f)
{
	if (f->type != DP_FIND_TOKEN)
		dp_render_text_alike(l, s, UINT64_MAX);
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_START:
		if (o->verbose >= 0)
			text_start(l, s, o, f);
		break;
	case DP_FIND_NODE:
		if (o->verbose >= 0)
			text_node(l, s, o, f);
		break;
	case DP_FIND_GIL_HOLD:
		if (o->verbose >= 0)
			text_hold(l, s, o, f);
		break;
	case DP_FIND_GIL_WAIT:
		text_wait(l, s, o, f);
		break;
	case DP_FIND_TOKEN:
		text_token(l, s, o, f);
		break;
	case DP_FIND_WARNING:
		text_warning(l, s, o, f);
		break;
	case DP_FIND_SIGNAL:
		text_signal(l, s, o, f);
		break;
	case DP_FIND_STOP:
		text_stop(l, s, o, f);
		break;
	case DP_FIND_ACTION:
		text_action(l, s, o, f);
		break;
	case DP_FIND_EXIT:
		text_exit(l, s, o, f);
		break;
	case DP_FIND_LOSS:
		text_loss(l, s, o, f);
		break;
	case DP_FIND_FORECAST:
		text_forecast(l, s, o, f);
		break;
	case DP_FIND_SUMMARY:
		summary_begin(l, s, o, f);
		break;
	case DP_FIND_SUMMARY_NODE:
		summary_node(s, f);
		break;
	case DP_FIND_SUMMARY_END:
		summary_end(l, s, o);
		break;
	case DP_FIND_COUNT:
		break;
	}
}
