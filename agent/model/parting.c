// SPDX-License-Identifier: MIT
/* The end of a process of a node; see parting.h. */
#include "model/parting.h"

#include "base/sentence.h"
#include "model/exit.h"
#include "model/introduce.h"

#include <string.h>

#define TEXT_MAX 320

/* A warning about the entry as a whole: nothing of a thread, of tokens or a deadline is in it. */
static void warn(const struct env *e, struct identity *id, uint64_t t_ns, enum dp_warning_kind kind,
		 int severity, bool resolved, const char *text)
{
	struct dp_finding f = {.type = DP_FIND_WARNING};

	f.u.warning = (struct dp_warning_finding){.kind = (uint8_t)kind,
						  .severity = (uint8_t)severity,
						  .cause = -1,
						  .held_ns = DP_NULL,
						  .pending_tokens = DP_NULL,
						  .oldest_pending_ns = DP_NULL,
						  .deadline_ns = DP_NULL,
						  .slack_ns = DP_SNULL,
						  .not_polling_ns = DP_NULL,
						  .advice = text,
						  .resolved = resolved};
	say_finding(e, id, t_ns, &f);
}

/* A process of which the model has no more than its names: it was never taken for the node. */
static void stranger(struct identity *id, const struct member *m)
{
	memset(id, 0, sizeof(*id));
	id->pid = m->pid;
	id->entry = m->entry;
	id->role = (int8_t)m->role;
	id->facts.is_dora = 1;
	id->facts.is_python = m->is_python;
	memcpy(id->facts.dataflow, m->entry->dataflow, sizeof(id->facts.dataflow));
	memcpy(id->facts.node, m->entry->node, sizeof(id->facts.node));
}

static void say_status(struct dp_sentence *s, int status, bool unknown)
{
	if (unknown) {
		dp_say(s, "nobody knows how");
	} else if (status & 0x7f) {
		dp_say(s, "by ");
		dp_say_signal(s, (uint32_t)(status & 0x7f));
	} else {
		dp_sayf(s, "with exit code %d", (status >> 8) & 0xff);
	}
}

/* How many of the last deaths were within the loop's time, and since when. */
static uint32_t recent(const struct entry *of, uint64_t now, uint64_t *ret_since)
{
	uint32_t have = of->deaths < LOOP_CRITICAL ? of->deaths : LOOP_CRITICAL, n = 0;

	*ret_since = now;
	for (uint32_t i = 0; i < have; i++) {
		if (now - of->death_ns[i] > LOOP_NS)
			continue;
		n++;
		if (of->death_ns[i] < *ret_since)
			*ret_since = of->death_ns[i];
	}
	return n;
}

static void count_death(const struct env *e, struct identity *id, bool connected, uint64_t t,
			int status)
{
	int severity = lives_died(id->entry, t);
	char text[TEXT_MAX];
	struct dp_sentence s;
	uint64_t since;
	uint32_t n;

	if (severity < 0)
		return;
	n = recent(id->entry, t, &since);
	dp_sentence_begin(&s, text, sizeof(text));
	dp_sayf(&s, "%u lives in ", n);
	dp_say_duration(&s, t - since);
	/* Each began when the one before had ended. */
	if (n == 2)
		dp_say(&s, ", restarted once");
	else
		dp_sayf(&s, ", restarted %u times", n - 1);
	dp_say(&s, ", ended in trouble, the last ");
	say_status(&s, status, false);
	dp_say(&s, connected ? "" : " before it had connected to its daemon");
	dp_say(&s, "; its own words are in `dora logs`");
	warn(e, id, t, DP_WARN_CRASH_LOOP, severity, false, text);
}

static void died(const struct env *e, struct node *n, const struct dp_record *r, uint8_t reason)
{
	if (n->id.entry && reason != DP_EXIT_CLEAN && reason != DP_EXIT_UNKNOWN && !n->stop.seen)
		count_death(e, &n->id, !n->id.unproven, r->h.t_ns, r->u.exit.status);
}

void parting_exit(const struct env *e, struct lives *l, struct node *n, uint64_t abandoned,
		  const struct dp_record *r)
{
	n->id.exit_held = !lives_exit(l, r);
	if (!n->id.exit_held)
		died(e, n, r, exit_record(e, n, abandoned, r));
}

/* The number of a new life of the entry. */
static uint32_t next_life(const struct entry *of, const struct table *t)
{
	uint32_t life = of->life;

	for (uint32_t i = 0; i < t->count; i++) {
		const struct identity *id = &t->nodes[i].id;

		if (id->entry == of && id->announced && !id->life_void && id->life > life)
			life = id->life;
	}
	return life + 1;
}

/* The exit of a process that is no node of the table: its code is all that there is. */
static void say_bare_exit(const struct env *e, const struct table *t, const struct member *m)
{
	struct dp_finding f = {.type = DP_FIND_EXIT};
	uint32_t by = (uint32_t)(m->status & 0x7f);
	int code = m->unknown ? -1 : (m->status >> 8) & 0xff;
	struct identity id;

	stranger(&id, m);
	id.life = m->entry->life = next_life(m->entry, t);
	f.u.exit = (struct dp_exit_finding){
		.code = by ? -1 : code,
		.signal = by,
		.killer_pid = by && m->kill_signal == by ? m->killer_pid : 0,
		.since_stop_ns = DP_NULL,
		.cause = -1,
		.gil_share = -1,
		.tokens_abandoned = DP_NULL,
		.reason = m->unknown ? DP_EXIT_UNKNOWN
			  : by       ? DP_EXIT_SIGNAL
			  : code     ? DP_EXIT_ERROR
				     : DP_EXIT_CLEAN,
	};
	say_finding(e, &id, m->exit_ns, &f);
	if (m->status)
		count_death(e, &id, false, m->exit_ns, m->status);
}

/* The record of an exit that has waited. */
static struct dp_record record_of(const struct member *m)
{
	struct dp_record r;

	memset(&r, 0, sizeof(r));
	r.h.type = DP_REC_PROC_EXIT;
	r.h.t_ns = m->exit_ns;
	r.h.pid = m->pid;
	r.u.exit.status = m->status;
	r.u.exit.is_process = 1;
	r.u.exit.is_unknown = m->unknown;
	return r;
}

static void say_wrapper(const struct env *e, const struct member *m)
{
	bool killed = (m->status & 0x7f) != 0;
	char text[TEXT_MAX];
	struct dp_sentence s;
	struct identity id;

	stranger(&id, m);
	id.announced = true; /* no `node` line of its own: it is not the node */
	dp_sentence_begin(&s, text, sizeof(text));
	dp_say(&s, "the process that started the node has ended ");
	say_status(&s, m->status, m->unknown);
	if (killed && m->kill_signal == (m->status & 0x7f) && m->killer_pid)
		dp_sayf(&s, " of process %u", m->killer_pid);
	dp_say(&s, ", the node goes on: dora watches, and would kill, that process alone");
	warn(e, &id, m->exit_ns, DP_WARN_WRAPPER_KILLED,
	     killed ? DP_SEVERITY_WARNING : DP_SEVERITY_NOTICE, false, text);
}

static void tell(const struct env *e, struct lives *l, struct table *t)
{
	struct member m;

	while (lives_next(l, e->now, &m)) {
		struct node *n = table_find_gone(t, m.pid);
		struct dp_record r = record_of(&m);

		if (n && (!n->id.exit_held || n->id.entry != m.entry))
			n = NULL;
		if (n)
			n->id.exit_held = false;
		if (m.parting == PARTING_EXIT && n)
			died(e, n, &r, exit_record(e, n, node_tokens_known(n) ? 0 : DP_NULL, &r));
		else if (m.parting == PARTING_EXIT)
			say_bare_exit(e, t, &m);
		else if (m.parting == PARTING_WRAPPER)
			say_wrapper(e, &m);
	}
}

static void member_record(struct lives *l, struct table *t, const struct dp_record *r)
{
	const struct member *of = lives_member(l, r);
	struct node *n = table_find(t, r->h.pid);

	if (of && n)
		introduce_role(&n->id, of, &n->id.facts);
}

void parting_record(const struct env *e, struct lives *l, struct table *t,
		    const struct dp_record *r, bool known)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_MEMBER:
		member_record(l, t, r);
		tell(e, l, t);
		break;
	case DP_REC_PROC_EXIT:
		if (!r->u.exit.is_process)
			break;
		if (!known)
			lives_exit(l, r);
		tell(e, l, t);
		break;
	case DP_REC_PROC_EXEC:
		lives_forget(l, r->h.pid);
		tell(e, l, t);
		break;
	case DP_REC_SIGNAL:
		lives_signal(l, r);
		break;
	default:
		break;
	}
}

void parting_tick(const struct env *e, struct lives *l, struct table *t)
{
	tell(e, l, t);
	for (uint32_t i = 0; i < l->entry_high; i++) {
		struct entry *of = &l->entries[i];
		struct member m = {.entry = of, .role = DP_MEMBER_NODE};
		struct identity id;

		if (!lives_loop_ends(of, e->now))
			continue;
		stranger(&id, &m);
		id.announced = true;
		warn(e, &id, e->now, DP_WARN_CRASH_LOOP, DP_SEVERITY_WARNING, true, NULL);
	}
}

void parting_join(struct lives *l, const struct table *t, struct node *n, uint64_t t_ns)
{
	const struct dp_rec_node *facts = &n->id.facts;
	struct entry *of = NULL;

	introduce_role(&n->id, lives_find(l, n->id.pid), facts);
	if (facts->is_dora && !n->id.entry)
		of = lives_entry(l, facts->dataflow, facts->node, t_ns);
	if (!of)
		return;
	n->id.life = next_life(of, t);
	n->id.entry = of;
	of->processes++;
}

void parting_totals(const struct node *n, struct life_totals *ret)
{
	const struct timeline *t = &n->timeline;
	const struct account *a = &n->account;

	*ret = (struct life_totals){
		.holds = t->holds,
		.max_hold_ns = t->max_hold_ns,
		.held_ns = t->held_ns,
		.tokens = a->tokens,
		.abandoned = a->abandoned,
		.open = a->open,
		.lost = a->lost,
		.max_pending_ns = a->max_pending_ns,
		.tokens_known = node_tokens_known(n),
		.recommended_ns = n->outlook.recommended_ns,
		.cleanup_ns = n->ending.own_cleanup_ns,
		.killed_after_ns = n->ending.killed_after_ns,
	};
	memcpy(ret->max_hold_function, t->max_hold_function, sizeof(ret->max_hold_function));
	ret->blame_count = functions_dearest(&t->functions, ret->blame);
}

void parting_fold(struct node *n)
{
	struct entry *of = n->id.entry;
	struct life_totals t;

	if (!of)
		return;
	parting_totals(n, &t);
	lives_add(&of->past, &t);
	of->processes--;
	if (n->id.announced && !n->id.life_void && n->id.life > of->life)
		of->life = n->id.life;
}
