// SPDX-License-Identifier: MIT
/* Sentences about drop tokens: of many that end alike, some are told and the others counted. */
#include "show/sentence.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/duration.h"
#include "show/row.h"
#include "show/words.h"

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
	row_below(l, s, text);
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

void text_token(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
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
	row_begin(l, s, o, f, "token", t->state == DP_TOKEN_ABANDONED ? YELLOW : PLAIN);
	dp_format_token(t->token, uuid, sizeof(uuid));
	/* Tokens begin with the time of their making: the end tells them apart. */
	if (dp_token_is_known(t->token))
		dp_line_fmt(l, "%s (", o->verbose > 0 ? uuid : uuid + 28);
	else
		dp_line_str(l, "of unknown name (");
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
