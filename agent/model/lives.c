// SPDX-License-Identifier: MIT
/* Entries, members and lives; see lives.h. */
#include "model/lives.h"

#include "base/units.h"

#include <signal.h>
#include <string.h>

/* A wrapper that hands on its child's status does so within this time. */
#define HAND_ON_NS (1 * SEC)

static bool has_members(const struct lives *l, const struct entry *e)
{
	for (uint32_t i = 0; i < l->member_high; i++)
		if (l->members[i].entry == e)
			return true;
	return false;
}

/* A free slot, or that of the entry that nothing is left of and that was not heard of for longest. */
static struct entry *new_entry(struct lives *l)
{
	struct entry *oldest = NULL;

	if (l->entry_high < ENTRIES_MAX)
		return &l->entries[l->entry_high++];
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		struct entry *e = &l->entries[i];

		if (!e->processes && !has_members(l, e) &&
		    (!oldest || e->last_ns < oldest->last_ns))
			oldest = e;
	}
	return oldest;
}

struct entry *lives_entry(struct lives *l, const char *dataflow, const char *node, uint64_t t_ns)
{
	struct entry *e;

	if (!dataflow[0] || !node[0])
		return NULL;
	for (uint32_t i = 0; i < l->entry_high; i++) {
		e = &l->entries[i];
		if (strcmp(e->node, node) == 0 && strcmp(e->dataflow, dataflow) == 0) {
			e->last_ns = t_ns;
			return e;
		}
	}
	e = new_entry(l);
	if (!e)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->last_ns = t_ns;
	e->past.recommended_ns = DP_NULL;
	strncpy(e->dataflow, dataflow, sizeof(e->dataflow) - 1);
	strncpy(e->node, node, sizeof(e->node) - 1);
	return e;
}

static bool is_there(const struct member *m)
{
	return m->entry && !m->exited;
}

struct member *lives_find(struct lives *l, uint32_t pid)
{
	for (uint32_t i = 0; pid && i < l->member_high; i++)
		if (is_there(&l->members[i]) && l->members[i].pid == pid)
			return &l->members[i];
	return NULL;
}

static struct member *slot(struct lives *l)
{
	for (uint32_t i = 0; i < l->member_high; i++)
		if (!l->members[i].entry)
			return &l->members[i];
	return l->member_high < MEMBERS_MAX ? &l->members[l->member_high++] : NULL;
}

static void decide(struct member *m, enum parting p)
{
	m->parting = (uint8_t)p;
}

/* The node is known: what ended before without a word was none. */
static void settle(struct lives *l, const struct entry *e)
{
	for (uint32_t i = 0; i < l->member_high; i++) {
		struct member *m = &l->members[i];

		if (m->entry != e)
			continue;
		if (m->parting == PARTING_WAIT)
			decide(m, m->above_pid ? PARTING_DROP : PARTING_WRAPPER);
	}
}

struct member *lives_member(struct lives *l, const struct dp_record *r)
{
	const struct dp_rec_member *f = &r->u.member;
	struct member *m = lives_find(l, r->h.pid);
	struct entry *e = lives_entry(l, f->dataflow, f->node, r->h.t_ns);
	bool was_connected = m && m->connected;

	if (!e)
		return NULL;
	if (!m)
		m = slot(l);
	if (!m)
		return NULL;
	*m = (struct member){.pid = r->h.pid,
			     .above_pid = f->above_pid,
			     .entry = e,
			     .role = f->role,
			     .connected = f->connected,
			     .proven = f->proven,
			     .is_python = f->is_python};
	if (m->connected && !was_connected)
		settle(l, e);
	return m;
}

void lives_signal(struct lives *l, const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;
	struct member *m;

	if (o->kind != DP_SIGNAL_GENERATED || o->result != 0)
		return;
	m = lives_find(l, r->h.pid);
	if (!m)
		return;
	m->kill_signal = o->signal;
	m->killer_pid = o->sender_pid;
}

static bool anybody_there(const struct lives *l, const struct entry *e, bool connected)
{
	for (uint32_t i = 0; i < l->member_high; i++) {
		const struct member *m = &l->members[i];

		if (m->entry == e && !m->exited && (m->connected || !connected))
			return true;
	}
	return false;
}

/* Does `above` end as one does that passes on how its child `m` ended? A shell says 128 + signal. */
static bool hands_on(const struct member *above, const struct member *m)
{
	int signal = m->status & 0x7f, code = (above->status >> 8) & 0xff;

	if (m->above_pid != above->pid || m->exit_ns > above->exit_ns ||
	    above->exit_ns - m->exit_ns > HAND_ON_NS)
		return false;
	if (m->unknown || above->unknown)
		return false;
	/* A Python that ends well may have run anything before. */
	if (m->status == 0 && above->is_python && !m->is_python)
		return false;
	return m->status == above->status || (signal && code == 128 + signal) ||
	       /* Python's subprocess.call gives -signal, of which exit keeps a byte. */
	       (signal && code == 256 - signal);
}

/* The last of them to end, unless it but passes on how another one ended. */
static void resolve(struct lives *l, const struct entry *e)
{
	struct member *last = NULL, *below;

	for (uint32_t i = 0; i < l->member_high; i++) {
		struct member *m = &l->members[i];

		if (m->entry == e && m->parting == PARTING_WAIT &&
		    (!last || m->exit_ns >= last->exit_ns))
			last = m;
	}
	do {
		below = NULL;
		for (uint32_t i = 0; last && i < l->member_high; i++) {
			struct member *m = &l->members[i];

			if (m->entry == e && m->parting == PARTING_WAIT && m != last &&
			    hands_on(last, m) && (!below || m->exit_ns > below->exit_ns))
				below = m;
		}
		/* Each is left once: a circle of pids ends. */
		if (below)
			decide(last, PARTING_DROP);
		last = below ? below : last;
	} while (below);
	for (uint32_t i = 0; i < l->member_high; i++)
		if (l->members[i].entry == e && l->members[i].parting == PARTING_WAIT)
			decide(&l->members[i],
			       &l->members[i] == last ? PARTING_EXIT : PARTING_DROP);
}

void lives_forget(struct lives *l, uint32_t pid)
{
	struct member *m = lives_find(l, pid);
	const struct entry *e = m ? m->entry : NULL;

	if (!m)
		return;
	m->entry = NULL;
	if (!anybody_there(l, e, false))
		resolve(l, e);
}

bool lives_exit(struct lives *l, const struct dp_record *r)
{
	struct member *m = lives_find(l, r->h.pid);
	struct entry *e = m ? m->entry : NULL;

	if (!m)
		return true;
	m->exited = true;
	m->exit_ns = r->h.t_ns;
	m->unknown = r->u.exit.is_unknown;
	m->status = m->unknown ? 0 : r->u.exit.status;
	e->last_ns = r->h.t_ns;
	if (m->connected) {
		m->entry = NULL;
		return true;
	}
	if (m->proven) {
		/* An inner one is its wrapper's business, and no longer there at the outer's end. */
		bool tell = m->role == DP_MEMBER_WRAPPER && !lives_find(l, m->above_pid) &&
			    anybody_there(l, e, true);

		decide(m, tell ? PARTING_WRAPPER : PARTING_DROP);
		return false;
	}
	decide(m, PARTING_WAIT);
	if (!anybody_there(l, e, false))
		resolve(l, e);
	return false;
}

/*
 * A Python that died below a shell or the like, which has not followed it: the shell tries again, or
 * does something else. What a Python runs may be anything.
 */
static void give_up_waiting(struct lives *l, struct member *m)
{
	const struct member *above = lives_find(l, m->above_pid);

	if (above && m->is_python && (m->status != 0 || m->unknown) &&
	    (!above->is_python || above->proven))
		decide(m, PARTING_EXIT);
	else if (above)
		decide(m, PARTING_DROP);
}

bool lives_next(struct lives *l, uint64_t now, struct member *ret)
{
	for (uint32_t i = 0; i < l->member_high; i++) {
		struct member *m = &l->members[i];

		if (!m->entry || !m->exited)
			continue;
		if (m->parting == PARTING_WAIT && now - m->exit_ns > HAND_ON_NS)
			give_up_waiting(l, m);
		if (m->parting == PARTING_WAIT)
			continue;
		*ret = *m;
		m->entry = NULL;
		return true;
	}
	return false;
}

int lives_died(struct entry *e, uint64_t t_ns)
{
	uint32_t recent = 0, have;
	uint8_t level;

	e->death_ns[e->deaths++ % LOOP_CRITICAL] = t_ns;
	have = e->deaths < LOOP_CRITICAL ? e->deaths : LOOP_CRITICAL;
	for (uint32_t i = 0; i < have; i++)
		if (t_ns - e->death_ns[i] <= LOOP_NS)
			recent++;
	level = recent >= LOOP_CRITICAL ? 1 + DP_SEVERITY_CRITICAL
		: recent >= LOOP_LIVES  ? 1 + DP_SEVERITY_WARNING
		: recent >= LOOP_NOTICE ? 1 + DP_SEVERITY_NOTICE
					: 0;
	if (level <= e->loop_level)
		return -1;
	e->loop_level = level;
	return level - 1;
}

bool lives_loop_ends(struct entry *e, uint64_t now)
{
	uint64_t last = e->deaths ? e->death_ns[(e->deaths - 1) % LOOP_CRITICAL] : 0;

	if (!e->loop_level || now - last < LOOP_NS)
		return false;
	e->loop_level = 0;
	return true;
}

static void keep_max(uint64_t *v, uint64_t with)
{
	if (with != DP_NULL && (*v == DP_NULL || with > *v))
		*v = with;
}

static bool same_function(const struct dp_blame *a, const struct dp_blame *b)
{
	return a->line == b->line && strcmp(a->function, b->function) == 0 &&
	       strcmp(a->file, b->file) == 0;
}

static bool is_dearer(const struct dp_blame *a, const struct dp_blame *b)
{
	return a->token_ns != b->token_ns ? a->token_ns > b->token_ns : a->held_ns > b->held_ns;
}

/* The dearest of both; what was fourth in every life is not among them. */
static void add_blame(struct life_totals *a, const struct life_totals *b)
{
	struct dp_blame all[2 * DP_BLAME_MAX];
	uint32_t n = a->blame_count;

	memcpy(all, a->blame, n * sizeof(all[0]));
	for (uint32_t i = 0; i < b->blame_count; i++) {
		uint32_t j = 0;

		while (j < n && !same_function(&all[j], &b->blame[i]))
			j++;
		if (j == n) {
			all[n++] = b->blame[i];
		} else {
			all[j].token_ns += b->blame[i].token_ns;
			all[j].held_ns += b->blame[i].held_ns;
		}
	}
	for (a->blame_count = 0; a->blame_count < DP_BLAME_MAX && a->blame_count < n;) {
		uint32_t best = a->blame_count, at = a->blame_count;
		struct dp_blame b0;

		for (uint32_t i = at; i < n; i++)
			if (is_dearer(&all[i], &all[best]))
				best = i;
		b0 = all[best];
		all[best] = all[at];
		all[at] = b0;
		a->blame[a->blame_count++] = b0;
	}
}

void lives_add(struct life_totals *a, const struct life_totals *b)
{
	a->holds += b->holds;
	a->held_ns += b->held_ns;
	if (b->max_hold_ns > a->max_hold_ns) {
		a->max_hold_ns = b->max_hold_ns;
		memcpy(a->max_hold_function, b->max_hold_function, sizeof(a->max_hold_function));
	}
	a->tokens += b->tokens;
	a->abandoned += b->abandoned;
	a->open += b->open;
	a->lost += b->lost;
	a->tokens_known |= b->tokens_known;
	keep_max(&a->max_pending_ns, b->max_pending_ns);
	keep_max(&a->recommended_ns, b->recommended_ns);
	keep_max(&a->cleanup_ns, b->cleanup_ns);
	keep_max(&a->killed_after_ns, b->killed_after_ns);
	add_blame(a, b);
}
