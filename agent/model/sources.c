// SPDX-License-Identifier: MIT
/* What the machine is watched by; see sources.h. */
#include "model/sources.h"

#include "model/timeline.h"
#include "model/tokens.h"
#include "model/warn.h"

#include <errno.h>
#include <string.h>

static bool goes_by_calls(const struct sources *s, enum dp_source source)
{
	return strstr(s->calls, dp_source_name(source)) != NULL;
}

uint8_t sources_record(struct sources *s, const struct dp_record *r)
{
	const struct dp_rec_source *of = &r->u.source;

	if (of->on)
		s->on |= 1u << of->source;
	else
		s->on &= ~(1u << of->source);
	if (of->source == DP_SOURCE_SYSCALLS)
		memcpy(s->calls, of->detail, sizeof(s->calls));
	if (!s->on)
		return DP_LEVEL_NONE;
	if (s->on == 1u << DP_SOURCE_SAMPLER)
		return DP_LEVEL_SAMPLING;
	/* Waits for the GIL go by system calls on every kernel, unless another way is forced. */
	return goes_by_calls(s, DP_SOURCE_SOCKET) || goes_by_calls(s, DP_SOURCE_REGION)
		       ? DP_LEVEL_FALLBACK
		       : DP_LEVEL_FULL;
}

static bool is_governed(uint8_t source)
{
	return source == DP_SOURCE_SOCKET || source == DP_SOURCE_REGION ||
	       source == DP_SOURCE_SCHED;
}

/* A source that it floods is left alone from now on, or looked at again. */
static void governed(struct ledger *l, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_source *of = &r->u.source;

	if (of->on) {
		n->id.left_alone &= ~(1u << of->source);
		return;
	}
	n->id.left_alone |= 1u << of->source;
	if (of->source == DP_SOURCE_SOCKET)
		tokens_loss(l, n, r->h.t_ns);
	else if (of->source == DP_SOURCE_REGION)
		tokens_regions_unseen(n);
	else
		timeline_switches_unseen(&n->timeline, r->h.t_ns);
}

void sources_tick(const struct env *e, struct node *n)
{
	/* What it is told, and what it asks for, may be among what is not seen. */
	if (n->id.left_alone & 1u << DP_SOURCE_SOCKET)
		n->guard.lost_ns = n->watchdog.request_ns = e->now;
}

void sources_of_node(const struct env *e, struct ledger *l, struct node *n,
		     const struct dp_record *r)
{
	struct warning *w = &n->warn[DP_WARN_SOURCE_MISSING];
	const struct dp_rec_source *of = &r->u.source;

	if (is_governed(of->source))
		governed(l, n, r);
	else if (of->source != DP_SOURCE_EDGE)
		return;
	/* One line for all that is missing at the same time. */
	if (of->on && (n->id.left_alone || (is_governed(of->source) && n->edge.failed)))
		return;
	if (of->on && w->level != LEVEL_NONE)
		warn_resolve(e, n, DP_WARN_SOURCE_MISSING, e->now);
	/* Where the probe has no words for it, it tries again at once, or the process is ending, which lacks nothing. */
	if (of->on || (!of->error && !is_governed(of->source)) || of->error == -ESRCH ||
	    !of->detail[0] || w->level != LEVEL_NONE)
		return;
	w->level = LEVEL_WARNING;
	w->cause = -1;
	w->raised_ns = e->now;
	warn_say_text(e, n, DP_WARN_SOURCE_MISSING, e->now, of->detail);
}
