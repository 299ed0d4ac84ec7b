// SPDX-License-Identifier: MIT
/* Records in, findings and requests out. */
#include "decide/recommend.h"
#include "model/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dp_model *dp_model_new(const struct dp_model_sink *sink)
{
	struct dp_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->tokens = calloc(TOKENS_MAX, sizeof(*m->tokens));
	m->lives = calloc(LIVES_MAX, sizeof(*m->lives));
	if (!m->tokens || !m->lives) {
		dp_model_free(m);
		return NULL;
	}
	m->sink = *sink;
	m->wall_offset_ns = DP_SNULL;
	return m;
}

void dp_model_free(struct dp_model *m)
{
	if (!m)
		return;
	free(m->tokens);
	free(m->lives);
	free(m);
}

void model_say(struct dp_model *m, struct node *n, uint64_t t_ns, struct dp_finding *f)
{
	if (n && f->type != DP_FIND_NODE && f->type != DP_FIND_SUMMARY_NODE &&
	    f->type != DP_FIND_GIL_WAIT)
		node_introduce(m, n);
	f->t_ns = t_ns;
	f->wall_offset_ns = m->wall_offset_ns;
	if (n) {
		f->pid = n->pid;
		f->dataflow = n->facts.dataflow[0] ? n->facts.dataflow : NULL;
		f->node = n->facts.node[0] ? n->facts.node : NULL;
	}
	m->sink.finding(m->sink.ctx, f);
}

void model_ask(struct dp_model *m, struct dp_request *r)
{
	struct node *n = node_find(m, r->pid);

	if (n)
		r->start_time = n->facts.start_time;
	m->sink.request(m->sink.ctx, r);
}

struct dp_place place_view(const struct place *p)
{
	return (struct dp_place){
		.thread = p->thread[0] ? p->thread : NULL,
		.function = p->function[0] ? p->function : NULL,
		.file = p->file[0] ? p->file : NULL,
		.library = p->library[0] ? p->library : NULL,
		.line = p->line,
	};
}

void model_count_loss(struct dp_model *m, enum dp_loss reason, uint64_t count, uint64_t t_ns,
		      uint32_t pid)
{
	struct dp_finding f = {.type = DP_FIND_LOSS};

	m->losses[reason] += count;
	/* These are not records that the model has missed. */
	if (reason != DP_LOSS_SAMPLE_SKIPPED && reason != DP_LOSS_PROGRAM_SKIPPED &&
	    reason != DP_LOSS_RECORDER_WRITE && reason != DP_LOSS_PAYLOAD_CUT &&
	    reason != DP_LOSS_READ_FAULT && reason != DP_LOSS_LATE_RECORD)
		m->lost_total += count;
	f.pid = pid;
	f.u.loss = (struct dp_loss_finding){
		.reason = reason, .count = count, .total = m->losses[reason]};
	model_say(m, node_find(m, pid), t_ns, &f);
}

static void loss(struct dp_model *m, const struct dp_record *r)
{
	enum dp_loss reason = (enum dp_loss)r->u.loss.reason;

	if (r->u.loss.count == 0)
		return;
	for (uint32_t i = 0; i < m->node_count; i++)
		if (r->h.pid == 0 || m->nodes[i].pid == r->h.pid)
			m->nodes[i].lost_ns = r->h.t_ns;
	if (reason == DP_LOSS_RING_FULL || reason == DP_LOSS_SEQUENCE_GAP ||
	    reason == DP_LOSS_MAP_FULL) {
		gil_loss(m, r->h.t_ns);
		token_loss(m, r->h.t_ns);
	} else if (reason == DP_LOSS_STREAM_RESYNC || reason == DP_LOSS_FRAME_INVALID ||
		   reason == DP_LOSS_STREAM_LIMIT) {
		token_loss(m, r->h.t_ns);
	}
	model_count_loss(m, reason, r->u.loss.count, r->h.t_ns, r->h.pid);
}

static void start(struct dp_model *m)
{
	struct dp_finding f = {.type = DP_FIND_START};

	m->started = 1;
	f.u.start.session = &m->session;
	f.u.start.sources = m->sources;
	model_say(m, NULL, m->now, &f);
}

static void tick(struct dp_model *m)
{
	for (uint32_t i = 0; i < m->node_count; i++) {
		struct node *n = &m->nodes[i];

		if (n->gone)
			continue;
		if (!n->announced && m->now - n->first_ns >= NODE_INTRODUCE_NS)
			node_introduce(m, n);
		gil_tick(m, n);
		doing_tick(m, n);
		warn_tick(m, n);
		guard_tick(m, n);
	}
	token_tick(m);
}

/* The dearest functions first, by the token time and then the time that they cost. */
static void pick_blame(const struct node *n, struct dp_summary_node_finding *s)
{
	uint64_t taken = 0; /* FUNCTIONS_MAX bits */

	while (s->blame_count < DP_BLAME_MAX) {
		const struct dp_blame *best = NULL;
		uint32_t at = 0;

		for (uint32_t i = 0; i < n->function_count; i++) {
			const struct dp_blame *b = &n->functions[i].b;

			if (taken & (1ULL << i))
				continue;
			if (!best || b->token_ns > best->token_ns ||
			    (b->token_ns == best->token_ns && b->held_ns > best->held_ns)) {
				best = b;
				at = i;
			}
		}
		if (!best || best->held_ns == 0)
			return;
		taken |= 1ULL << at;
		s->blame[s->blame_count++] = *best;
	}
}

_Static_assert(FUNCTIONS_MAX <= 64, "pick_blame's bits");

static void say_node_summary(struct dp_model *m, struct node *n)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY_NODE};
	struct dp_summary_node_finding *s = &f.u.summary_node;

	s->dataflow = n->facts.dataflow[0] ? n->facts.dataflow : NULL;
	s->node = n->facts.node[0] ? n->facts.node : NULL;
	s->holds = n->holds_count;
	s->max_hold_ns = n->max_hold_ns;
	s->max_hold_function = n->max_hold_function[0] ? n->max_hold_function : NULL;
	s->gil_held_ns = n->held_ns;
	s->tokens = s->tokens_abandoned = s->tokens_open = DP_NULL;
	s->tokens_lost = s->max_pending_ns = DP_NULL;
	if (node_tokens_known(n)) {
		s->tokens = n->tokens;
		s->tokens_abandoned = n->abandoned;
		s->tokens_open = n->open;
		s->tokens_lost = n->lost;
		s->max_pending_ns = n->max_pending_ns;
	}
	s->recommended_grace_ns = n->recommended_ns;
	pick_blame(n, s);
	model_say(m, n, m->now, &f);
}

static void end(struct dp_model *m)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY};
	char why[DP_RECOMMENDATION_MAX] = "";

	if (m->ended)
		return;
	for (uint32_t i = 0; i < m->node_count; i++)
		if (!m->nodes[i].gone)
			gil_end(m, &m->nodes[i], m->now, 1);
	token_end(m, m->now);
	m->ended = 1;
	for (uint32_t i = 0; i < m->node_count; i++)
		guard_recommend(m, &m->nodes[i]);
	f.u.summary = (struct dp_summary_finding){
		.records = m->records, .records_lost = m->lost_total, .nodes = m->node_count};
	guard_recommend_all(m, &f.u.summary.recommended_grace_ns, why, sizeof(why));
	f.u.summary.recommendation = why[0] ? why : NULL;
	model_say(m, NULL, m->now, &f);
	for (uint32_t i = 0; i < m->node_count; i++)
		say_node_summary(m, &m->nodes[i]);
	f = (struct dp_finding){.type = DP_FIND_SUMMARY_END};
	model_say(m, NULL, m->now, &f);
}

static void source_state(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = node_find(m, r->h.pid);

	if (n) {
		gil_source(m, n, r);
		return;
	}
	if (r->u.source.on)
		m->sources |= 1u << r->u.source.source;
	else
		m->sources &= ~(1u << r->u.source.source);
}

/* A record about a process that is watched. */
static void node_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_GIL_LOOK:
	case DP_REC_GIL_WAIT_BEGIN:
	case DP_REC_GIL_WAIT_END:
	case DP_REC_GIL_RELEASE:
	case DP_REC_GIL_EDGE_HOLD:
	case DP_REC_GIL_OFFCPU:
	case DP_REC_GIL_RUN:
		gil_record(m, n, r);
		break;
	case DP_REC_STACK:
		gil_stack(m, n, r);
		doing_record(m, n, r);
		break;
	case DP_REC_TOKEN_SENT:
	case DP_REC_TOKEN_DELIVERED:
	case DP_REC_TOKEN_REPORTED:
	case DP_REC_TOKEN_RETURNED:
		token_record(m, n, r);
		break;
	case DP_REC_REGION:
		token_region(m, n, r);
		break;
	case DP_REC_WIRE_EVENT:
	case DP_REC_WIRE_REQUEST:
		stop_wire(m, n, r);
		break;
	case DP_REC_CONN_CLOSED:
		if (r->u.conn.role == DP_ROLE_EVENTS)
			token_stream_closed(m, n, r->h.t_ns);
		break;
	case DP_REC_SIGNAL:
		stop_signal(m, n, r);
		break;
	case DP_REC_ACTION_RESULT:
		stop_action(m, n, r);
		break;
	case DP_REC_PROC_EXEC:
		/* The same pid, another program: what was known of the old one has ended. */
		node_gone(m, n, r->h.t_ns);
		break;
	case DP_REC_PROC_EXIT:
		if (r->u.exit.is_process) {
			stop_exit(m, n, r);
			node_gone(m, n, r->h.t_ns);
		} else {
			gil_thread_exit(m, n, r->h.tid, r->h.t_ns);
		}
		break;
	case DP_REC_NODE_GONE:
		node_gone(m, n, r->h.t_ns);
		break;
	default:
		break;
	}
}

/* What `start` says is all in before anything else. */
static int is_preamble(const struct dp_record *r)
{
	return r->h.type == DP_REC_SESSION || r->h.type == DP_REC_OPTIONS ||
	       r->h.type == DP_REC_WALL_CLOCK ||
	       (r->h.type == DP_REC_SOURCE_STATE && r->h.pid == 0);
}

void dp_model_feed(struct dp_model *m, const struct dp_record *r)
{
	struct node *n;

	if (m->ended)
		return;
	m->records++;
	if (r->h.t_ns > m->now)
		m->now = r->h.t_ns;
	if (!m->started && !is_preamble(r))
		start(m);
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_SESSION:
		m->session = r->u.session;
		break;
	case DP_REC_OPTIONS:
		m->options = r->u.options;
		dp_policy_configure(&m->policy, &m->options);
		break;
	case DP_REC_WALL_CLOCK:
		m->wall_offset_ns = r->u.wall_clock.offset_ns;
		break;
	case DP_REC_TICK:
		tick(m);
		break;
	case DP_REC_NODE_FACTS:
		node_facts(m, r);
		break;
	case DP_REC_SOURCE_STATE:
		source_state(m, r);
		break;
	case DP_REC_STOP_COMMAND:
		stop_command(m, r);
		break;
	case DP_REC_LOSS:
		loss(m, r);
		break;
	case DP_REC_END:
		end(m);
		break;
	default:
		n = node_find(m, r->h.pid);
		/* The answer to an action may come when the node has left. */
		if (!n && r->h.type == DP_REC_ACTION_RESULT)
			n = node_find_gone(m, r->h.pid);
		if (n)
			node_record(m, n, r);
		break;
	}
}

unsigned int dp_model_node_count(const struct dp_model *m)
{
	return m->node_count;
}

int dp_model_node_view(const struct dp_model *m, unsigned int i, struct dp_node_view *ret)
{
	const struct node *n;
	const struct hold *h;
	const struct life *l;

	if (i >= m->node_count)
		return -ENOENT;
	n = &m->nodes[i];
	h = &n->gils[0].cur;
	l = n->pending_first;
	*ret = (struct dp_node_view){
		.pid = n->pid,
		.gone = n->gone,
		.gone_ns = n->gone_ns,
		.facts = &n->facts,
		.hold_ns = h->tid && hold_proven(h) ? hold_until(h) - hold_start(h) : 0,
		.holder_tid = h->tid,
		.place = place_view(&h->place),
		.pending_tokens = n->pending_count,
		.oldest_pending_ns = l ? m->now - l->delivered_ns : 0,
		.stop_seen = n->stop_seen,
		.deadline_known = n->stop_seen && n->deadline_ns,
		.stop_ns = n->stop_ns,
		.deadline_ns = n->deadline_ns,
		.slack_ns = n->slack_ns,
		.need_ns = n->forecast_ns,
		.grace_ns = m->options.grace_ns ? m->options.grace_ns : n->grace.deadline_ns,
		.held_ns = n->held_ns,
		.holds = n->holds_count,
		.waits = n->waits_count,
		.wait_ns = n->wait_ns,
		.tokens = n->tokens,
		.tokens_returned = n->returned,
		.tokens_abandoned = n->abandoned,
		.tokens_lost = n->lost,
		.token_gil_ns = n->token_gil_ns,
		.max_hold_ns = n->max_hold_ns,
		.max_pending_ns = n->max_pending_ns,
		.recommended_grace_ns = n->recommended_ns,
		.max_hold_function = n->max_hold_function[0] ? n->max_hold_function : NULL,
	};
	return 0;
}
