// SPDX-License-Identifier: MIT
/* Time to spare before the deadline; see slack.h. */
#include "decide/slack.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "base/sentence.h"

/*
 * dora's event thread waits up to a second for arrays that are still held, and looks at each for
 * 0.1 s (0.3.8-0.5.0), before next() returns None after a Stop.
 */
#define TOKEN_WAIT_NS (1100 * MS)
/* What a call may outlast an expectation by, however short it is. */
#define PATIENCE_NS (200 * MS)

static int64_t difference(uint64_t a, uint64_t b)
{
	uint64_t d = a > b ? a - b : b - a;

	if (d > INT64_MAX)
		d = INT64_MAX;
	return a > b ? (int64_t)d : -(int64_t)d;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int64_t dp_slack(uint64_t deadline_ns, uint64_t now_ns, uint64_t need_ns)
{
	if (!deadline_ns)
		return DP_SNULL;
	return difference(deadline_ns, sum(now_ns, need_ns == DP_NULL ? 0 : need_ns));
}

enum dp_step_change dp_step(struct dp_step *s, unsigned int raise, unsigned int keep,
			    uint64_t now_ns, uint64_t settle_ns)
{
	if (raise > s->level) {
		s->level = (uint8_t)raise;
		s->low_since_ns = 0;
		return DP_STEP_RAISED;
	}
	if (keep >= s->level) {
		s->low_since_ns = 0;
		return DP_STEP_NONE;
	}
	if (!s->low_since_ns)
		s->low_since_ns = now_ns;
	if (now_ns - s->low_since_ns < settle_ns)
		return DP_STEP_NONE;
	s->low_since_ns = 0;
	s->level = (uint8_t)keep;
	/* A step down is no line of its own: only the end is. */
	return keep ? DP_STEP_NONE : DP_STEP_RESOLVED;
}

uint64_t dp_believed_until(uint64_t since_ns, uint64_t end_ns)
{
	uint64_t quarter = (end_ns - since_ns) / 4;

	return sum(end_ns, quarter > PATIENCE_NS ? quarter : PATIENCE_NS);
}

void dp_outlook(const struct dp_outlook_view *v, uint64_t now_ns, struct dp_outlook *ret)
{
	uint64_t need = v->need_ns == DP_NULL ? 0 : v->need_ns;
	uint64_t since_stop, end = v->stuck_expected_end_ns;
	bool stuck, known;

	ret->slack_ns = DP_SNULL;
	ret->ready_ns = DP_NULL;
	ret->miss = false;
	ret->reacted = false;
	if (!v->stop_ns || v->exited)
		return;
	since_stop = now_ns > v->stop_ns ? now_ns - v->stop_ns : 0;
	ret->reacted = v->outputs_done || v->moved_ns > v->stop_ns;
	/*
	 * What moves spends its clean-up already; what has closed its outputs is through with
	 * it.
	 */
	if (v->outputs_done)
		need = 0;
	else if (v->moved_ns > v->stop_ns)
		need = need > now_ns - v->moved_ns ? need - (now_ns - v->moved_ns) : 0;
	stuck = v->stuck_since_ns && v->stuck_since_ns <= v->stop_ns && !v->outputs_done;
	known = end > v->stuck_since_ns && now_ns <= dp_believed_until(v->stuck_since_ns, end);
	if (!stuck) {
		ret->ready_ns = sum(now_ns, need);
	} else if (known) {
		/* It still has the rest of its call before it, and the clean-up after that. */
		if (end > now_ns)
			need = sum(need, end - now_ns);
		ret->ready_ns = sum(now_ns, need);
	}
	if (!v->deadline_ns)
		return;
	ret->slack_ns = dp_slack(v->deadline_ns, now_ns, need);
	if (ret->ready_ns != DP_NULL)
		ret->miss = ret->ready_ns > v->deadline_ns || now_ns >= v->deadline_ns;
	else
		ret->miss =
			v->deadlock || since_stop >= v->grace_ns / 100 * DP_SLACK_FIRST_PER_CENT;
}

/*
 * Level of the `deadline` warning. `lax` in per cent of the grace is added to what is left before a
 * level is given up, so that a slack that trembles at a threshold changes nothing.
 */
static unsigned int deadline_level(const struct dp_outlook *o, uint64_t grace, uint64_t lax)
{
	int64_t per_cent, left = o->slack_ns;

	if (left == DP_SNULL)
		return 0;
	per_cent = (int64_t)(grace / 100 < INT64_MAX / 200 ? grace / 100 : INT64_MAX / 200);
	left -= per_cent * (int64_t)lax;
	if (!o->miss)
		return left < per_cent * 10 ? 1 + DP_SEVERITY_WARNING : 0;
	if (left < per_cent * 20)
		return 1 + DP_SEVERITY_CRITICAL;
	return left < per_cent * 50 ? 1 + DP_SEVERITY_WARNING : 1 + DP_SEVERITY_NOTICE;
}

static unsigned int pending_level(const struct dp_outlook_view *v, const struct dp_outlook *o,
				  uint64_t now)
{
	uint64_t per_cent = v->grace_ns / 100;
	uint64_t since = now > v->stop_ns ? now - v->stop_ns : 0;

	if (o->reacted || !v->deadline_ns || since < per_cent * DP_SLACK_FIRST_PER_CENT)
		return 0;
	if (since >= per_cent * 70)
		return 1 + DP_SEVERITY_CRITICAL;
	return since >= per_cent * 40 ? 1 + DP_SEVERITY_WARNING : 1 + DP_SEVERITY_NOTICE;
}

static void say_outlook(struct dp_sentence *s, const struct dp_outlook_view *v,
			const struct dp_outlook *o, uint64_t now)
{
	dp_say_duration(s, now > v->stop_ns ? now - v->stop_ns : 0);
	dp_say(s, o->reacted ? " after Stop still running" : " after Stop without a reaction");
	if (!v->deadline_ns)
		return;
	if (now >= v->deadline_ns) {
		dp_say(s, "; the deadline has passed");
		return;
	}
	dp_say(s, "; the deadline is in ");
	dp_say_duration(s, v->deadline_ns - now);
	if (o->ready_ns != DP_NULL && o->ready_ns > v->deadline_ns) {
		dp_say(s, ", which it misses by ");
		dp_say_duration(s, o->ready_ns - v->deadline_ns);
	} else if (o->miss) {
		dp_say(s, v->deadlock ? ", which it misses: a deadlock does not end"
				      : ", which it misses unless its call ends");
	} else if (o->reacted) {
		/* Of one that has not answered, not to be seen stuck is no promise. */
		dp_say(s, ", which it makes as things look");
	}
}

void dp_stop_warn(struct dp_stop_steps *s, const struct dp_outlook_view *v, uint64_t now_ns,
		  struct dp_stop_change *ret)
{
	struct dp_outlook *o = &ret->outlook;
	struct dp_sentence say;
	unsigned int pending = 0, raise = 0, keep = 0, before;
	uint64_t settle = DP_SLACK_SETTLE_NS;

	memset(ret, 0, sizeof(*ret));
	dp_outlook(v, now_ns, o);
	if (v->stop_ns && v->stop_ns != s->stop_ns) {
		memset(s, 0, sizeof(*s));
		s->stop_ns = v->stop_ns;
	}
	if (v->exited || !v->stop_ns) {
		settle = 0;
	} else {
		pending = pending_level(v, o, now_ns);
		raise = deadline_level(o, v->grace_ns, 0);
		keep = deadline_level(o, v->grace_ns, 10);
		/* More slack can mean a lower level only, never none while a kill is foreseen. */
		if (keep < raise)
			keep = raise;
	}
	before = s->pending.level;
	ret->pending = (uint8_t)dp_step(&s->pending, pending, pending, now_ns,
					v->outputs_done || v->moved_ns > v->stop_ns ? 0 : settle);
	before = ret->pending == DP_STEP_RESOLVED ? before : s->pending.level;
	ret->pending_severity = (uint8_t)(before ? before - 1 : 0);
	before = s->deadline.level;
	ret->deadline = (uint8_t)dp_step(&s->deadline, raise, keep, now_ns, settle);
	before = ret->deadline == DP_STEP_RESOLVED ? before : s->deadline.level;
	ret->deadline_severity = (uint8_t)(before ? before - 1 : 0);
	dp_sentence_begin(&say, ret->text, sizeof(ret->text));
	if (v->exited)
		dp_say(&say, "the node has left");
	else if (ret->pending != DP_STEP_NONE || ret->deadline != DP_STEP_NONE)
		say_outlook(&say, v, o, now_ns);
}

int dp_forecast(const struct dp_forecast_view *v, const char *node, uint64_t now_ns,
		struct dp_forecast *ret)
{
	uint64_t end = v->hold_expected_end_ns, rest = 0, age = 0;
	uint64_t need = v->need_ns == DP_NULL ? 0 : v->need_ns;
	struct dp_sentence say;
	bool known = false, at_least = false;

	if (v->hold_start_ns && now_ns > v->hold_start_ns) {
		age = now_ns - v->hold_start_ns;
		known = end > v->hold_start_ns &&
			now_ns <= dp_believed_until(v->hold_start_ns, end);
	}
	if (!age && !v->longest_hold_ns && v->need_ns == DP_NULL)
		return -ENODATA;
	if (known) {
		rest = end > now_ns ? end - now_ns : 0;
	} else if (age > v->longest_hold_ns) {
		/*
		 * Longer than any before it: nothing measured says when it ends. That a thing of
		 * unknown length lasts as long again is the median guess, and it is said to be one.
		 */
		rest = age;
		at_least = true;
	} else {
		/* A Stop meets the worst moment of the longest call sooner or later. */
		rest = v->longest_hold_ns - age;
	}
	need = sum(need, rest);
	if (v->pending_tokens)
		need = sum(need, TOKEN_WAIT_NS);
	ret->need_ns = need;
	ret->at_least = at_least;
	/* A fifth to spare: what was measured once is no upper bound. */
	ret->at_risk = v->grace_ns && need > v->grace_ns - v->grace_ns / 5;
	dp_sentence_begin(&say, ret->text, sizeof(ret->text));
	dp_say(&say, "if you stopped now, node ");
	dp_say(&say, node && node[0] ? node : "(unnamed)");
	dp_say(&say, at_least ? " would need some " : " would need about ");
	if (at_least)
		dp_say_duration(&say, need);
	else
		dp_say_duration_up(&say, need);
	if (v->grace_ns) {
		dp_say(&say, " of its ");
		dp_say_duration(&say, v->grace_ns);
	}
	if (at_least)
		dp_say(&say, " or more: when its call ends is not known");
	return 0;
}
