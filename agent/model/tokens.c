// SPDX-License-Identifier: MIT
/*
 * The ledger of drop tokens. A `token` is one message as its owner sent it; a `life` is that token
 * at one receiver:  sent → delivered → mapped → released → reported → returned.
 *
 * A life ends `returned` when the owner got it back (or, the owner not being watched, when it was
 * reported), `abandoned` when the receiver's event stream or the owner's region closed first,
 * `lost` when records are missing, `open` when the probe ends. It is said CLOSING_NS later, so that
 * the GIL's evidence of the same moment is in.
 */
#include "model/internal.h"

#include <string.h>

/* How long a life may stay in doubt after a loss before it is called lost. */
#define DOUBT_NS (2 * SEC)

static uint32_t bucket_of(const uint8_t *id)
{
	uint64_t h = 1469598103934665603ULL; /* FNV-1a; ids are random in their tail */

	for (int i = 0; i < DP_TOKEN_LEN; i++)
		h = (h ^ id[i]) * 1099511628211ULL;
	return (uint32_t)(h >> 32) % TOKEN_BUCKETS;
}

static uint32_t region_hash(const char *region)
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < DP_REGION_NAME_MAX && region[i]; i++)
		h = (h ^ (uint8_t)region[i]) * 16777619u;
	return h;
}

static struct token *token_find(struct dp_model *m, const uint8_t *id)
{
	for (uint32_t i = m->buckets[bucket_of(id)]; i; i = m->tokens[i - 1].next)
		if (memcmp(m->tokens[i - 1].id, id, DP_TOKEN_LEN) == 0)
			return &m->tokens[i - 1];
	return NULL;
}

static void unlink_sent(struct dp_model *m, struct token *t)
{
	if (t->prev_sent)
		t->prev_sent->next_sent = t->next_sent;
	else if (m->sent_first == t)
		m->sent_first = t->next_sent;
	if (t->next_sent)
		t->next_sent->prev_sent = t->prev_sent;
	t->prev_sent = t->next_sent = NULL;
}

static uint32_t *region_bucket(struct dp_model *m, uint32_t hash)
{
	return &m->region_buckets[hash % TOKEN_BUCKETS];
}

static void link_region(struct dp_model *m, struct token *t)
{
	uint32_t *at = region_bucket(m, t->region_hash);

	t->next_region = *at;
	t->in_region = 1;
	*at = (uint32_t)(t - m->tokens) + 1;
}

static void unlink_region(struct dp_model *m, struct token *t)
{
	uint32_t *at = region_bucket(m, t->region_hash);
	uint32_t self = (uint32_t)(t - m->tokens) + 1;

	while (t->in_region && *at && *at != self)
		at = &m->tokens[*at - 1].next_region;
	if (t->in_region && *at)
		*at = t->next_region;
	t->in_region = 0;
}

static struct token *token_make(struct dp_model *m, const uint8_t *id)
{
	struct token *t = m->token_free;
	uint32_t b = bucket_of(id);

	if (t)
		m->token_free = t->next_sent;
	else if (m->token_high < TOKENS_MAX)
		t = &m->tokens[m->token_high++];
	else
		return NULL;
	memset(t, 0, sizeof(*t));
	memcpy(t->id, id, DP_TOKEN_LEN);
	t->used = 1;
	t->next = m->buckets[b];
	m->buckets[b] = (uint32_t)(t - m->tokens) + 1;
	t->next_sent = m->sent_first;
	if (m->sent_first)
		m->sent_first->prev_sent = t;
	m->sent_first = t;
	return t;
}

static void token_release(struct dp_model *m, struct token *t)
{
	uint32_t *at = &m->buckets[bucket_of(t->id)];
	uint32_t self = (uint32_t)(t - m->tokens) + 1;

	while (*at && *at != self)
		at = &m->tokens[*at - 1].next;
	if (*at)
		*at = t->next;
	unlink_sent(m, t);
	unlink_region(m, t);
	t->used = 0;
	t->next_sent = m->token_free;
	m->token_free = t;
}

static struct life *life_make(struct dp_model *m, struct token *t, struct node *n)
{
	struct life *l = m->life_free;

	if (l)
		m->life_free = l->next_of_token;
	else if (m->life_high < LIVES_MAX)
		l = &m->lives[m->life_high++];
	else
		return NULL;
	memset(l, 0, sizeof(*l));
	l->used = 1;
	l->token = t;
	l->receiver = n;
	l->next_of_token = t->lives;
	t->lives = l;
	return l;
}

static void pending_add(struct node *n, struct life *l)
{
	l->pending = 1;
	l->prev_pending = n->pending_last;
	if (n->pending_last)
		n->pending_last->next_pending = l;
	else
		n->pending_first = l;
	n->pending_last = l;
	n->pending_count++;
}

static void pending_remove(struct life *l)
{
	struct node *n = l->receiver;

	if (!l->pending)
		return;
	l->pending = 0;
	if (l->prev_pending)
		l->prev_pending->next_pending = l->next_pending;
	else
		n->pending_first = l->next_pending;
	if (l->next_pending)
		l->next_pending->prev_pending = l->prev_pending;
	else
		n->pending_last = l->prev_pending;
	l->prev_pending = l->next_pending = NULL;
	n->pending_count--;
}

static void life_end(struct dp_model *m, struct life *l, enum dp_token_state state, uint64_t t_ns)
{
	if (l->end_ns)
		return;
	pending_remove(l);
	l->state = (uint8_t)state;
	l->end_ns = t_ns ? t_ns : 1;
	l->next_ending = NULL;
	if (m->ending_last)
		m->ending_last->next_ending = l;
	else
		m->ending = l;
	m->ending_last = l;
}

static uint64_t or_null(uint64_t t)
{
	return t ? t : DP_NULL;
}

static void fill_owner(struct dp_token_finding *f, const struct token *t)
{
	memcpy(f->token, t->id, DP_TOKEN_LEN);
	f->dataflow = t->dataflow[0] ? t->dataflow : NULL;
	f->owner = t->owner_name[0] ? t->owner_name : NULL;
	f->owner_pid = t->owner ? t->owner->pid : 0;
	f->output = t->output[0] ? t->output : NULL;
	f->region = t->region[0] ? t->region : NULL;
	f->bytes = t->bytes;
	f->sent_ns = or_null(t->sent_ns);
	f->returned_ns = or_null(t->returned_ns);
}

/* A token that no watched receiver took: told from the owner's side alone. */
static void say_owner_only(struct dp_model *m, struct token *t, enum dp_token_state state,
			   uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_TOKEN};

	if (t->delivered)
		return;
	fill_owner(&f.u.token, t);
	f.u.token.delivered_ns = f.u.token.mapped_ns = DP_NULL;
	f.u.token.released_ns = f.u.token.reported_ns = f.u.token.given_up_ns = DP_NULL;
	f.u.token.state = (uint8_t)state;
	f.u.token.pending_ns = t_ns > t->sent_ns ? t_ns - t->sent_ns : 0;
	f.u.token.gil_held_ns = DP_NULL;
	f.u.token.cause = f.u.token.pending_ns >= m->options.pending_threshold_ns ||
					  state == DP_TOKEN_ABANDONED
				  ? DP_CAUSE_UNKNOWN
				  : -1;
	f.u.token.print = f.u.token.pending_ns >= m->options.token_threshold_ns;
	if (t->owner) {
		t->owner->tokens++;
		if (state == DP_TOKEN_RETURNED)
			t->owner->returned++;
		else if (state == DP_TOKEN_ABANDONED)
			t->owner->abandoned++;
		if (f.u.token.pending_ns > t->owner->max_pending_ns)
			t->owner->max_pending_ns = f.u.token.pending_ns;
	}
	model_say(m, t->owner, t_ns, &f);
}

/* When the array was free, or the life was over: the end of the stretch in which it was held. */
static uint64_t held_until(const struct life *l)
{
	if (l->released_ns)
		return l->released_ns;
	return l->reported_ns ? l->reported_ns : l->end_ns;
}

static void say_life(struct dp_model *m, struct life *l)
{
	struct node *n = l->receiver;
	struct dp_finding f = {.type = DP_FIND_TOKEN};
	struct dp_token_finding *k = &f.u.token;
	struct blame_share share;
	uint64_t over = l->reported_ns ? l->reported_ns : l->end_ns;

	fill_owner(k, l->token);
	k->receiver = n->facts.node[0] ? n->facts.node : NULL;
	k->receiver_pid = n->pid;
	k->delivered_ns = l->delivered_ns;
	k->mapped_ns = or_null(l->mapped_ns);
	k->released_ns = or_null(l->released_ns);
	k->reported_ns = or_null(l->reported_ns);
	k->given_up_ns = or_null(l->given_up_ns);
	k->state = l->state;
	k->pending_ns = over > l->delivered_ns ? over - l->delivered_ns : 0;
	blame_window(n, l->delivered_ns, held_until(l), &share);
	k->gil_held_ns = n->facts.gil_observable ? share.gil_ns : DP_NULL;
	k->cause = -1;
	if (l->state == DP_TOKEN_LOST)
		k->cause = DP_CAUSE_UNKNOWN;
	else if (k->pending_ns >= 100 * MS || l->state == DP_TOKEN_ABANDONED ||
		 cause_uncollected_ns(l, l->end_ns) >= 500 * MS)
		k->cause = cause_of_life(m, l, l->end_ns);
	k->print = k->pending_ns >= m->options.token_threshold_ns ||
		   (l->state == DP_TOKEN_ABANDONED && m->options.token_threshold_ns <= 10 * SEC);
	n->token_gil_ns += share.gil_ns;
	blame_charge(n, l->delivered_ns, held_until(l));
	if (k->pending_ns > n->max_pending_ns)
		n->max_pending_ns = k->pending_ns;
	switch ((enum dp_token_state)l->state) {
	case DP_TOKEN_RETURNED:
		n->returned++;
		break;
	case DP_TOKEN_ABANDONED:
		n->abandoned++;
		break;
	case DP_TOKEN_LOST:
		n->lost++;
		break;
	default:
		n->open++;
		break;
	}
	model_say(m, n, l->end_ns, &f);
}

static void life_release(struct dp_model *m, struct life *l)
{
	struct token *t = l->token;
	struct life **at = &t->lives;

	while (*at && *at != l)
		at = &(*at)->next_of_token;
	if (*at)
		*at = l->next_of_token;
	l->used = 0;
	l->next_of_token = m->life_free;
	m->life_free = l;
	if (!t->lives && (t->owner_done || !t->owner))
		token_release(m, t);
}

static void sent(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct token *t = token_find(m, r->u.token.token);

	if (!t)
		t = token_make(m, r->u.token.token);
	if (!t) {
		model_count_loss(m, DP_LOSS_TOKEN_LIMIT, 1, r->h.t_ns, n->pid);
		return;
	}
	t->owner = n;
	t->sent_ns = r->h.t_ns;
	t->bytes = r->u.token.bytes;
	unlink_region(m, t);
	memcpy(t->region, r->u.token.region, sizeof(t->region));
	t->region_hash = region_hash(t->region);
	link_region(m, t);
	memcpy(t->output, r->u.token.id, sizeof(t->output));
	memcpy(t->owner_name, n->facts.node, sizeof(t->owner_name));
	memcpy(t->dataflow, n->facts.dataflow, sizeof(t->dataflow));
}

static void delivered(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct token *t = token_find(m, r->u.token.token);
	struct life *l = NULL;

	if (!t)
		t = token_make(m, r->u.token.token);
	if (t)
		l = life_make(m, t, n);
	if (!l) {
		if (t && !t->lives && !t->owner)
			token_release(m, t);
		model_count_loss(m, DP_LOSS_TOKEN_LIMIT, 1, r->h.t_ns, n->pid);
		return;
	}
	if (!t->bytes)
		t->bytes = r->u.token.bytes;
	if (!t->region[0]) {
		memcpy(t->region, r->u.token.region, sizeof(t->region));
		t->region_hash = region_hash(t->region);
	}
	l->region_hash = t->region_hash;
	if (!t->dataflow[0])
		memcpy(t->dataflow, n->facts.dataflow, sizeof(t->dataflow));
	t->delivered = 1;
	l->delivered_ns = r->h.t_ns;
	pending_add(n, l);
	n->tokens++;
}

static struct life *life_of(struct token *t, const struct node *n)
{
	for (struct life *l = t->lives; l; l = l->next_of_token)
		if (l->receiver == n && !l->reported_ns && !l->end_ns)
			return l;
	return NULL;
}

static void reported(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct token *t = token_find(m, r->u.token.token);
	struct life *l = t ? life_of(t, n) : NULL;

	if (!l)
		return; /* delivered before we watched */
	l->reported_ns = r->h.t_ns;
	t->last_report_ns = r->h.t_ns;
	pending_remove(l);
	if (t->returned_ns || !t->owner || t->owner->gone || t->owner_closed_ns)
		life_end(m, l, t->owner_closed_ns ? DP_TOKEN_ABANDONED : DP_TOKEN_RETURNED,
			 r->h.t_ns);
}

static void returned(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct token *t = token_find(m, r->u.token.token);
	int lives = 0;

	n->drop_asking = 0;
	if (!t || t->owner != n)
		return;
	t->returned_ns = r->h.t_ns;
	t->asked_ns = n->drop_asked_ns;
	t->owner_done = 1;
	for (struct life *l = t->lives, *next; l; l = next) {
		next = l->next_of_token;
		lives++;
		life_end(m, l, DP_TOKEN_RETURNED, r->h.t_ns);
	}
	if (!lives) {
		say_owner_only(m, t, DP_TOKEN_RETURNED, r->h.t_ns);
		token_release(m, t);
	}
}

void token_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_TOKEN_SENT:
		sent(m, n, r);
		break;
	case DP_REC_TOKEN_DELIVERED:
		delivered(m, n, r);
		break;
	case DP_REC_TOKEN_REPORTED:
		reported(m, n, r);
		break;
	case DP_REC_TOKEN_RETURNED:
		returned(m, n, r);
		break;
	default:
		break;
	}
}

/* The owner has let go of the memory: what was not reported by then is abandoned. */
static void close_token(struct dp_model *m, struct token *t, uint64_t t_ns)
{
	int lives = 0;

	t->owner_closed_ns = t_ns;
	t->owner_done = 1;
	for (struct life *l = t->lives, *after; l; l = after) {
		after = l->next_of_token;
		lives++;
		if (l->end_ns)
			continue;
		/* Reported in time, only the owner was not there to take it: returned. */
		life_end(m, l, l->reported_ns ? DP_TOKEN_RETURNED : DP_TOKEN_ABANDONED, t_ns);
	}
	if (!lives) {
		say_owner_only(m, t, DP_TOKEN_ABANDONED, t_ns);
		token_release(m, t);
	}
}

static int is_out(const struct token *t, const struct node *owner)
{
	return t->owner == owner && !t->owner_done && !t->returned_ns;
}

static void owner_closed_region(struct dp_model *m, struct node *n, const char *region,
				uint64_t t_ns)
{
	uint32_t hash = region_hash(region);

	for (uint32_t i = *region_bucket(m, hash), next; i; i = next) {
		struct token *t = &m->tokens[i - 1];

		next = t->next_region;
		if (is_out(t, n) && t->region_hash == hash &&
		    strncmp(t->region, region, sizeof(t->region)) == 0)
			close_token(m, t, t_ns);
	}
}

static void owner_left(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	for (struct token *t = m->sent_first, *next; t; t = next) {
		next = t->next_sent;
		if (is_out(t, n))
			close_token(m, t, t_ns);
	}
}

void token_region(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_region_op *o = &r->u.region;
	uint32_t hash = region_hash(o->name);

	if (o->kind == DP_REGION_MAPPED) {
		n->consumer_tid = r->h.tid;
		n->map_count++;
		for (struct life *l = n->pending_first; l; l = l->next_pending) {
			if (l->mapped_ns || l->region_hash != hash ||
			    strncmp(l->token->region, o->name, sizeof(o->name)))
				continue;
			l->mapped_ns = r->h.t_ns;
			l->maps_before = n->map_count;
			return;
		}
	} else if (o->kind == DP_REGION_UNMAPPED) {
		for (struct life *l = n->pending_first; l; l = l->next_pending) {
			if (!l->mapped_ns || l->released_ns || l->region_hash != hash ||
			    strncmp(l->token->region, o->name, sizeof(o->name)))
				continue;
			l->released_ns = r->h.t_ns;
			l->maps_after = n->map_count;
			guard_moved(n, r->h.t_ns);
			return;
		}
		owner_closed_region(m, n, o->name, r->h.t_ns);
	} else if (o->kind == DP_REGION_UNLINKED) {
		owner_closed_region(m, n, o->name, r->h.t_ns);
	}
}

/*
 * From Stop on (0.3.8–0.5.0) the event thread polls its tokens one after the other, 100 ms each,
 * and gives up each that arrived more than 1 s ago (event_stream/thread.rs, report_remaining). When
 * it came to this one, at the latest when the stream closed.
 */
static uint64_t given_up(struct node *n, const struct life *l, uint64_t closed_ns)
{
	uint64_t t;

	if (!n->events_end_ns || dp_version_at_least(n->facts.dora, 1, 0, 0))
		return closed_ns;
	if (n->giveup_cursor_ns < n->events_end_ns)
		n->giveup_cursor_ns = n->events_end_ns;
	t = n->giveup_cursor_ns + 100 * MS;
	while (t < l->delivered_ns + SEC)
		t += 100 * MS;
	n->giveup_cursor_ns = t;
	return t < closed_ns ? t : closed_ns;
}

void token_stream_closed(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	while (n->pending_first) {
		struct life *l = n->pending_first;

		l->given_up_ns = given_up(n, l, t_ns);
		life_end(m, l, l->doubtful ? DP_TOKEN_LOST : DP_TOKEN_ABANDONED, t_ns);
	}
}

/* Says what has waited long enough, in the order of its end. */
static void say_ended(struct dp_model *m, uint64_t until)
{
	while (m->ending && m->ending->end_ns <= until) {
		struct life *l = m->ending;

		m->ending = l->next_ending;
		if (!m->ending)
			m->ending_last = NULL;
		say_life(m, l);
		life_release(m, l);
	}
}

void token_node_gone(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	token_stream_closed(m, n, t_ns);
	owner_left(m, n, t_ns);
}

void token_forget(struct dp_model *m, struct node *n)
{
	for (uint32_t i = 0; i < m->life_high; i++)
		if (m->lives[i].used && m->lives[i].receiver == n)
			life_end(m, &m->lives[i], DP_TOKEN_OPEN, m->now);
	say_ended(m, UINT64_MAX);
	for (uint32_t i = 0; i < m->token_high; i++)
		if (m->tokens[i].used && m->tokens[i].owner == n)
			m->tokens[i].owner = NULL;
}

void token_loss(struct dp_model *m, uint64_t t_ns)
{
	for (uint32_t i = 0; i < m->life_high; i++)
		if (m->lives[i].used && !m->lives[i].end_ns) {
			m->lives[i].doubtful = 1;
			m->lives[i].doubt_ns = t_ns;
		}
}

void token_tick(struct dp_model *m)
{
	for (uint32_t i = 0; m->lost_total && i < m->node_count; i++) {
		struct node *n = &m->nodes[i];

		while (n->pending_first && n->pending_first->doubtful &&
		       m->now - n->pending_first->doubt_ns >= DOUBT_NS)
			life_end(m, n->pending_first, DP_TOKEN_LOST, m->now);
	}
	if (m->now > CLOSING_NS)
		say_ended(m, m->now - CLOSING_NS);
}

void token_end(struct dp_model *m, uint64_t t_ns)
{
	for (uint32_t i = 0; i < m->node_count; i++)
		while (m->nodes[i].pending_first)
			life_end(m, m->nodes[i].pending_first, DP_TOKEN_OPEN, t_ns);
	for (uint32_t i = 0; i < m->life_high; i++)
		if (m->lives[i].used && !m->lives[i].end_ns)
			life_end(m, &m->lives[i], DP_TOKEN_OPEN, t_ns);
	say_ended(m, UINT64_MAX);
	while (m->sent_first) {
		struct token *t = m->sent_first;

		if (!t->lives && t->owner && !t->owner_done)
			say_owner_only(m, t, DP_TOKEN_OPEN, t_ns);
		token_release(m, t);
	}
}
