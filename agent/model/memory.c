// SPDX-License-Identifier: MIT
/* The shared-memory file system full; see memory.h. */
#include "model/memory.h"

#include "model/warn.h"

#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

/* Is less left than so many twentieths of the whole? */
static bool has_less_than(const struct memory *m, uint64_t twentieths)
{
	return m->free / twentieths < m->total / 20;
}

static bool is_full(const struct memory *m)
{
	return m->free < m->total / 200;
}

void memory_record(const struct env *e, struct node *n, const struct dp_record *r)
{
	struct warning *w = &n->warn[DP_WARN_SHM_FULL];
	struct memory *m = &n->memory;
	enum warn_level level;
	char what[DP_REASON_MAX];

	*m = (struct memory){.total = r->u.memory.total, .free = r->u.memory.free};
	if (!m->total)
		return;
	level = is_full(m) ? LEVEL_CRITICAL : has_less_than(m, 1) ? LEVEL_WARNING : LEVEL_NONE;
	if (level > w->level) {
		w->level = (uint8_t)level;
		w->cause = -1;
		w->raised_ns = e->now;
		snprintf(
			what, sizeof(what),
			"%.1f of %.1f MiB of /dev/shm are free: a message without room ends its sender with SIGBUS; remove what is left there, or mount it larger (mount -o remount,size=…)",
			(double)m->free / MIB, (double)m->total / MIB);
		warn_say_text(e, n, DP_WARN_SHM_FULL, e->now, what);
	} else if (w->level != LEVEL_NONE && !has_less_than(m, 2)) {
		warn_resolve(e, n, DP_WARN_SHM_FULL, e->now);
	}
}

void memory_explain(const struct memory *m, char *ret, size_t len)
{
	if (!m->total)
		snprintf(
			ret, len,
			"SIGBUS: a mapped page could not be had, of a file that was cut, or of a full /dev/shm");
	else if (has_less_than(m, 1))
		snprintf(
			ret, len,
			"SIGBUS: /dev/shm is full (%.1f of %.1f MiB free), and the process touched shared memory that got no page",
			(double)m->free / MIB, (double)m->total / MIB);
	else
		snprintf(
			ret, len,
			"SIGBUS: a mapped page could not be had; /dev/shm is not full (%.1f of %.1f MiB free), so it was a file that was cut, or a larger message than there was room for",
			(double)m->free / MIB, (double)m->total / MIB);
}
