// SPDX-License-Identifier: MIT
/*
 * Records in, findings and requests out. The only file of the model that knows all of its parts.
 * Over 500 lines: because of that: each part has its case.
 */
#include "model/model.h"

#include "model/daemon.h"
#include "model/guard.h"
#include "model/habits.h"
#include "model/introduce.h"
#include "model/losses.h"
#include "model/memory.h"
#include "model/outlook.h"
#include "model/parting.h"
#include "model/polling.h"
#include "model/sources.h"
#include "model/stop.h"
#include "model/summary.h"
#include "model/table.h"
#include "model/timeline.h"
#include "model/tokens.h"
#include "model/usage.h"
#include "model/warn.h"
#include "model/witness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dp_model {
	struct env env;
	struct losses losses;
	struct dp_rec_session session;
	struct dp_policy_config policy;
	uint64_t records;
	struct sources sources;
	bool started, ended;
	bool stock_said; /* of some process */
	struct table table;
	struct lives lives;
	struct ledger ledger;
	void *tokens, *deliveries; /* the ledger's memory */
	struct habits habits;
};

struct dp_model *dp_model_new(const struct dp_model_sink *sink)
{
	struct dp_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->tokens = calloc(1, LEDGER_TOKEN_BYTES);
	m->deliveries = calloc(1, LEDGER_DELIVERY_BYTES);
	if (!m->tokens || !m->deliveries) {
		dp_model_free(m);
		return NULL;
	}
	ledger_begin(&m->ledger, m->tokens, m->deliveries);
	m->env.sink = *sink;
	m->env.wall_offset_ns = DP_SNULL;
	return m;
}

void dp_model_free(struct dp_model *m)
{
	if (!m)
		return;
	free(m->tokens);
	free(m->deliveries);
	free(m);
}

static struct timeline_of timeline_of(const struct dp_model *m, struct node *n)
{
	return (struct timeline_of){.t = &n->timeline,
				    .env = &m->env,
				    .id = &n->id,
				    .edge = &n->edge,
				    .stop = &n->stop};
}

/* Says what of the losses is due; `all`: everything that is left. */
static void say_losses(struct dp_model *m, bool all)
{
	enum dp_loss reason;
	struct untold u;

	while (losses_due(&m->losses, m->env.now, all, &reason, &u)) {
		struct dp_finding f = {.type = DP_FIND_LOSS, .pid = u.pid};
		struct node *n = table_find(&m->table, u.pid);

		f.u.loss = (struct dp_loss_finding){
			.reason = reason, .count = u.count, .total = m->losses.count[reason]};
		say_finding(&m->env, n ? &n->id : NULL, u.t_ns, &f);
	}
}

static void lose(struct dp_model *m, uint32_t pid, enum dp_loss reason, uint64_t count,
		 uint64_t t_ns)
{
	losses_count(&m->losses, reason, pid, count, t_ns);
	say_losses(m, false);
}

static void loss(struct dp_model *m, const struct dp_record *r)
{
	enum dp_loss reason = (enum dp_loss)r->u.loss.reason;
	bool capture = reason == DP_LOSS_RING_FULL || reason == DP_LOSS_SEQUENCE_GAP ||
		       reason == DP_LOSS_MAP_FULL;
	bool wire = reason == DP_LOSS_STREAM_RESYNC || reason == DP_LOSS_FRAME_INVALID ||
		    reason == DP_LOSS_STREAM_LIMIT;
	struct node *of = table_find(&m->table, r->h.pid);

	if (r->u.loss.count == 0)
		return;
	for (uint32_t i = 0; i < m->table.count; i++) {
		struct node *n = &m->table.nodes[i];

		/* Only what the model has missed can be the node's reaction to a signal. */
		if ((capture || wire) && (r->h.pid == 0 || n->id.pid == r->h.pid))
			n->guard.lost_ns = r->h.t_ns;
		if (capture)
			timeline_loss(&n->timeline, r->h.t_ns);
	}
	/* A stream is one process' own; a full ring or map is everybody's. */
	if (capture || wire)
		tokens_loss(&m->ledger, capture ? NULL : of, r->h.t_ns);
	lose(m, r->h.pid, reason, r->u.loss.count, r->h.t_ns);
}

static void start(struct dp_model *m)
{
	struct dp_finding f = {.type = DP_FIND_START};

	m->started = true;
	f.u.start.session = &m->session;
	f.u.start.sources = m->sources.on;
	say_finding(&m->env, NULL, m->env.now, &f);
}

/* A node for a process that is watched from now on; NULL when there is no room, which is a loss. */
static struct node *node_add(struct dp_model *m, uint32_t pid, const struct entry *of,
			     uint64_t t_ns)
{
	bool reused;
	struct node *n = table_slot(&m->table, of, m->env.now, &reused);

	if (!n) {
		lose(m, pid, DP_LOSS_NODE_LIMIT, 1, t_ns);
		return NULL;
	}
	if (reused) { /* deliveries that have ended and wait to be said may point at the slot */
		tokens_forget(&m->ledger, &m->env, n);
		parting_fold(n);
	}
	node_clear(n, pid, t_ns);
	return n;
}

/*
 * The node that a record of facts or limits is about; made by the first one. NULL: it has ended, there is no room, or it is
 * a wrapper, which has been let go of while it was still being read.
 */
static struct node *node_told(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = table_find(&m->table, r->h.pid);
	const struct member *of = lives_find(&m->lives, r->h.pid);

	if (n || table_is_of_the_dead(&m->table, r) || (of && of->role == DP_MEMBER_WRAPPER))
		return n;
	return node_add(m, r->h.pid, of ? of->entry : NULL, r->h.t_ns);
}

static void node_facts(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_node *facts = &r->u.node;
	bool changed = identity_differs(&n->id, facts);

	n->id.facts = *facts;
	parting_join(&m->lives, &m->table, n, r->h.t_ns);
	habits_judge(&m->habits, &n->id);
	n->edge.refused = !facts->edge_possible;
	introduce_facts(&m->env, &n->id, changed, r->h.t_ns);
}

/* Limits come before the first facts, so that the node's line has them. */
static void node_description(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = node_told(m, r);

	if (n)
		n->rest.stirred = true;
	if (n && r->h.type == DP_REC_NODE_FACTS) {
		node_facts(m, n, r);
	} else if (n) {
		n->id.limits = r->u.limits;
		n->id.limits_known = true;
		habits_judge(&m->habits, &n->id);
	}
}

static void node_gone(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	struct timeline_of p = timeline_of(m, n);

	timeline_end(&p, t_ns, false);
	usage_end(&m->env, n, t_ns);
	warn_node_gone(&m->env, n, t_ns);
	tokens_node_gone(&m->ledger, &m->env, n, t_ns);
	n->id.life_void = n->id.unproven && !n->id.exited;
	n->id.gone = true;
	n->id.gone_ns = t_ns;
}

/* The exit of a thread or of the process. What ends with it ends first: its share belongs to the exit. */
static void process_exit(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct timeline_of p = timeline_of(m, n);
	uint64_t t = r->h.t_ns;

	if (!r->u.exit.is_process) {
		timeline_thread_exit(&p, r->h.tid, t);
		return;
	}
	n->id.exited = true;
	signals_exit(&n->signals, &m->env, &n->id, r->u.exit.status & 0x7f, t);
	timeline_end(&p, t, false);
	tokens_stream_closed(&m->ledger, n, t);
	witness_look_back(&m->env, n, false, t);
	usage_end(&m->env, n, t);
	parting_exit(&m->env, &m->lives, n,
		     node_tokens_known(n) ? tokens_abandoned(&m->ledger, n) : DP_NULL, r);
	node_gone(m, n, t);
}

static void tick_timeline(struct dp_model *m, struct node *n)
{
	struct timeline_of p = timeline_of(m, n);
	uint64_t age = timeline_oldest_age(&n->timeline);

	if (!n->timeline.gils[0].cur.tid && age == 0)
		age = polling_suspects(n, m->env.now);

	timeline_tick(&p, n->stop.seen);
	edge_govern(&n->edge, &m->env, &n->id, age, timeline_is_stuck(&n->timeline));
}

static void tick_guard(struct dp_model *m, struct node *n)
{
	if (!n->id.facts.is_dora)
		return;
	outlook_second(&m->env, &m->table, n);
	outlook_watchdog(&m->env, n);
	daemon_tick(&m->env, n);
	if (stop_is_on(&n->stop))
		outlook_stop(&m->env, n);
	if (stop_is_on(&n->stop) || m->env.options.stop_dataflow_after_ns)
		guard_decide(&m->env, &m->table, &m->policy, n);
}

/* A node of which nothing goes on has a tick so often: what is said of it is that much later at the most. */
#define REST_TICK_NS (50 * MS)

static bool is_resting(const struct env *e, const struct node *n)
{
	return n->rest.is_on && !n->rest.stirred && e->now - n->rest.tick_ns < REST_TICK_NS;
}

/* Does nothing of the node go on, that a tick could bring nearer to being said? */
static bool nothing_goes_on(const struct node *n)
{
	bool on = !n->id.announced || n->id.left_alone || n->id.orphaned_ns || n->stop.seen ||
		  n->account.pending_count || n->polling.since_ns || n->polling.learning ||
		  n->edge.armed || n->edge.asked || (n->stock.have && !n->stock.said);

	for (int i = 0; i < DP_WITNESS_COUNT; i++)
		on |= n->stop.heard_ns[i] != 0;
	for (uint32_t i = 0; i < n->timeline.gil_count; i++)
		on |= n->timeline.gils[i].cur.tid || n->timeline.gils[i].closing_count ||
		      n->timeline.gils[i].waiter_count;
	for (int i = 0; i < DP_WARN_COUNT; i++)
		on |= n->warn[i].level != LEVEL_NONE;
	return !on;
}

static void tick(struct dp_model *m)
{
	for (uint32_t i = 0; i < m->table.count; i++) {
		struct node *n = &m->table.nodes[i];

		if (n->id.gone || is_resting(&m->env, n))
			continue;
		n->rest.stirred = false;
		n->rest.tick_ns = m->env.now;
		sources_tick(&m->env, n);
		introduce_tick(&m->env, &n->id);
		m->stock_said |= stock_say(&n->stock, &m->env, &n->id, !m->stock_said);
		tick_timeline(m, n);
		outlook_look(&m->env, n);
		polling_tick(&m->env, n);
		witness_tick(&m->env, &m->table, n);
		warn_tick(&m->env, n);
		usage_tick(&m->env, n);
		tick_guard(m, n);
		n->rest.is_on = nothing_goes_on(n);
	}
	parting_tick(&m->env, &m->lives, &m->table);
	for (uint32_t i = 0; (m->losses.records || m->ledger.doubts) && i < m->table.count; i++)
		tokens_end_doubts(&m->ledger, &m->table.nodes[i], m->env.now);
	say_losses(m, false);
	tokens_tick(&m->ledger, &m->env);
}

static void end(struct dp_model *m)
{
	if (m->ended)
		return;
	for (uint32_t i = 0; i < m->table.count; i++) {
		struct timeline_of p = timeline_of(m, &m->table.nodes[i]);

		if (!p.id->gone)
			timeline_end(&p, m->env.now, true);
	}
	for (uint32_t i = 0; i < m->table.count; i++)
		tokens_end_pending(&m->ledger, &m->table.nodes[i], m->env.now);
	tokens_end(&m->ledger, &m->env, m->env.now);
	for (uint32_t i = 0; i < m->table.count; i++)
		if (!m->table.nodes[i].id.gone)
			usage_end(&m->env, &m->table.nodes[i], m->env.now);
	say_losses(m, true);
	m->ended = true;
	summary_say(&m->env, &m->table, m->records, m->losses.records);
}

static void source_state(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = table_find(&m->table, r->h.pid);

	if (!n) {
		m->env.level = sources_record(&m->sources, r);
		return;
	}
	n->rest.stirred = true;
	edge_source(&n->edge, &m->env, r);
	sources_of_node(&m->env, &m->ledger, n, r);
}

static void gil_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct timeline_of p = timeline_of(m, n);

	if (r->h.type == DP_REC_GIL_LOOK && r->u.look.gil == 0)
		edge_look(&n->edge, &r->u.look);
	timeline_record(&p, r);
	usage_gil(n, r);
}

static void stack(struct node *n, const struct dp_record *r)
{
	const struct computing beside = {.from_ns = n->shares.last_from_ns,
					 .to_ns = n->shares.last_to_ns,
					 .came_ns = n->id.first_ns,
					 .without_gil = n->shares.computes,
					 .rests = n->shares.rests,
					 .consumer_known = n->id.consumer_tid != 0};

	if (waits_record(&n->waits, &n->timeline.gils[0].cur, r))
		return;
	if (r->u.stack.status == -ESRCH && r->h.tid != n->id.pid)
		polling_thread_gone(n, r->h.tid);
	polling_found(n, r);
	timeline_stack(&n->timeline, r);
	progress_stack(&n->progress, &n->stop, &n->timeline.gils[0].cur, node_consumer(n),
		       n->account.took_ns, r);
	activity_stack(&n->activity, &n->timeline.gils[0].cur, node_consumer(n),
		       n->streams.events_dropped_ns != 0, &beside, r);
	usage_stack(n, r);
}

static void token(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	if (r->h.type == DP_REC_TOKEN_DELIVERED)
		streams_delivered(&n->streams, r);
	if (tokens_record(&m->ledger, &m->env, n, r) < 0)
		lose(m, n->id.pid, DP_LOSS_TOKEN_LIMIT, 1, r->h.t_ns);
}

static void stock(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	stock_record(&n->stock, r);
	n->id.late = true;
	if (r->h.type == DP_REC_STOCK_REGION && tokens_stock_region(&m->ledger, n, r) < 0)
		lose(m, n->id.pid, DP_LOSS_TOKEN_LIMIT, 1, r->h.t_ns);
}

static void wire(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	streams_wire(&n->streams, r);
	stop_wire(&n->stop, &m->env, &n->id, r);
	if (r->u.wire.kind == DP_WIRE_STOP)
		witness_frame(&m->env, &m->table, n, r->h.t_ns);
}

static void signal_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	uint32_t ends_it = signals_of_daemon(&n->id, r);

	signals_record(&n->signals, &m->env, &n->id, r);
	if (ends_it) {
		witness_look_back(&m->env, n, true, r->h.t_ns);
		habits_note(&m->habits, &m->table, n, ends_it, r->h.t_ns);
		stop_signal(&n->stop, &m->env, &n->id, ends_it, r->h.t_ns);
	}
}

static void connection(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	if (r->h.type == DP_REC_CONN_OPENED)
		streams_opened(&n->streams, r);
	else if (r->u.conn.role == DP_ROLE_EVENTS)
		tokens_stream_closed(&m->ledger, n, r->h.t_ns);
}

/* What it uses: of its time, of the shared memory. */
static void usage(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	if (r->h.type == DP_REC_SHARE)
		usage_stretch(&m->env, n, r);
	else
		memory_record(&m->env, n, r);
}

/* A record about a process that is watched. */
static void node_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	n->rest.stirred = true;
	watchdog_record(&n->watchdog, r);
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
	case DP_REC_WAITS:
		stack(n, r);
		break;
	case DP_REC_SHARED_MEMORY:
	case DP_REC_SHARE:
		usage(m, n, r);
		break;
	case DP_REC_TOKEN_SENT:
	case DP_REC_TOKEN_DELIVERED:
	case DP_REC_TOKEN_REPORTED:
	case DP_REC_TOKEN_RETURNED:
		token(m, n, r);
		break;
	case DP_REC_REGION:
		tokens_region(&m->ledger, &m->env, n, r);
		break;
	case DP_REC_STOCK:
	case DP_REC_STOCK_REGION:
		stock(m, n, r);
		break;
	case DP_REC_WIRE_EVENT:
	case DP_REC_WIRE_REQUEST:
		wire(m, n, r);
		break;
	case DP_REC_CONN_OPENED:
	case DP_REC_CONN_CLOSED:
		connection(m, n, r);
		break;
	case DP_REC_SIGNAL:
		signal_record(m, n, r);
		break;
	case DP_REC_ACTION_RESULT:
		guard_answer(&m->env, n, r);
		break;
	case DP_REC_PROC_EXIT:
		process_exit(m, n, r);
		break;
	case DP_REC_PROC_EXEC: /* the same pid, another program: what was known has ended */
	case DP_REC_NODE_GONE:
		node_gone(m, n, r->h.t_ns);
		break;
	default:
		break;
	}
}

static void process_record(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = table_find(&m->table, r->h.pid);

	/* The answer to an action may come when the node has left. */
	if (!n && r->h.type == DP_REC_ACTION_RESULT)
		n = table_find_gone(&m->table, r->h.pid);
	if (n)
		node_record(m, n, r);
	else
		daemon_record(&m->table, r);
	parting_record(&m->env, &m->lives, &m->table, r, n != NULL);
}

/* What `start` says is all in before anything else. */
static bool is_preamble(const struct dp_record *r)
{
	return r->h.type == DP_REC_SESSION || r->h.type == DP_REC_OPTIONS ||
	       r->h.type == DP_REC_WALL_CLOCK ||
	       (r->h.type == DP_REC_SOURCE_STATE && r->h.pid == 0);
}

_Static_assert(LEDGER_FAR == DP_MODEL_AHEAD && LEDGER_MIDDLE == LEDGER_FAR - DP_MODEL_STEP &&
		       LEDGER_NEAR == LEDGER_MIDDLE - DP_MODEL_STEP,
	       "so far ahead it is told");

void dp_model_expect(const struct dp_model *m, const struct dp_record *r, unsigned int ahead)
{
	if (r->h.type >= DP_REC_TOKEN_SENT && r->h.type <= DP_REC_TOKEN_RETURNED)
		ledger_expect(&m->ledger, r->u.token.token, ahead);
	if (r->h.type == DP_REC_TOKEN_SENT)
		ledger_expect_region(&m->ledger, r->u.token.region, ahead);
	else if (r->h.type == DP_REC_REGION && r->u.region.kind == DP_REGION_UNMAPPED)
		ledger_expect_region(&m->ledger, r->u.region.name, ahead);
}

void dp_model_feed(struct dp_model *m, const struct dp_record *r)
{
	if (m->ended)
		return;
	m->records++;
	if (r->h.t_ns > m->env.now)
		m->env.now = r->h.t_ns;
	if (!m->started && !is_preamble(r))
		start(m);
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_SESSION:
		m->session = r->u.session;
		break;
	case DP_REC_OPTIONS:
		m->env.options = r->u.options;
		dp_policy_configure(&m->policy, &m->env.options);
		break;
	case DP_REC_WALL_CLOCK:
		m->env.wall_offset_ns = r->u.wall_clock.offset_ns;
		break;
	case DP_REC_TICK:
		tick(m);
		break;
	case DP_REC_NODE_FACTS:
	case DP_REC_NODE_LIMITS:
		node_description(m, r);
		break;
	case DP_REC_SOURCE_STATE:
		source_state(m, r);
		break;
	case DP_REC_STOP_COMMAND:
	case DP_REC_DORA_COMMAND:
		commands_note(&m->env.commands, r);
		witness_command(&m->env, &m->table, r);
		break;
	case DP_REC_STOP_WITNESS:
		witness_record(&m->table, r);
		break;
	case DP_REC_LOSS:
		loss(m, r);
		break;
	case DP_REC_END:
		end(m);
		break;
	default:
		process_record(m, r);
		break;
	}
}

unsigned int dp_model_node_count(const struct dp_model *m)
{
	return m->table.count;
}

int dp_model_node_view(const struct dp_model *m, unsigned int i, struct dp_node_view *ret)
{
	if (i >= m->table.count)
		return -ENOENT;
	node_view(&m->env, &m->table.nodes[i], ret);
	ret->superseded = table_is_superseded(&m->table, &m->table.nodes[i]);
	return 0;
}
