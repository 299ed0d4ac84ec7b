// SPDX-License-Identifier: MIT
/* What the machine is watched by; see sources.h. */
#include "model/sources.h"

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

void sources_of_node(const struct env *e, struct node *n, const struct dp_record *r)
{
	struct warning *w = &n->warn[DP_WARN_SOURCE_MISSING];
	const struct dp_rec_source *of = &r->u.source;

	if (of->source != DP_SOURCE_EDGE)
		return;
	if (of->on && w->level != LEVEL_NONE)
		warn_resolve(e, n, DP_WARN_SOURCE_MISSING, e->now);
	/* Where the probe has no words for it, it tries again at once, or the process is ending, which lacks nothing. */
	if (of->on || !of->error || of->error == -ESRCH || !of->detail[0] || w->level != LEVEL_NONE)
		return;
	w->level = LEVEL_WARNING;
	w->cause = -1;
	w->raised_ns = e->now;
	warn_say_text(e, n, DP_WARN_SOURCE_MISSING, e->now, of->detail);
}
