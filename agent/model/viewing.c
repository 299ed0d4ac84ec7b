// SPDX-License-Identifier: MIT
/* A node as metrics and the live view see it; see viewing.h. */
#include "model/viewing.h"

#include "model/ledger.h"
#include "model/node.h"

void node_view(const struct env *e, const struct node *n, struct dp_node_view *ret)
{
	const struct hold *h = &n->timeline.gils[0].cur;
	const struct delivery *d = n->account.pending_first;
	struct watchdog_deadline due = watchdog_due(&n->watchdog, &n->stop, &n->id);
	struct share_sum recent;
	uint64_t grace_ns = e->options.grace_ns;

	shares_recent(&n->shares, &recent);
	*ret = (struct dp_node_view){
		.pid = n->id.pid,
		.gone = n->id.gone,
		.gone_ns = n->id.gone_ns,
		.facts = &n->id.facts,
		.hold_ns = h->tid && hold_proven(h) ? hold_until(h) - hold_start(h) : 0,
		.holder_tid = h->tid,
		.place = place_view(&h->place),
		.pending_tokens = n->account.pending_count,
		.not_polling_ns =
			n->polling.since_ns && !n->id.gone ? e->now - n->polling.since_ns : 0,
		.not_polling = n->warn[DP_WARN_NOT_POLLING].level != LEVEL_NONE,
		.oldest_pending_ns = d ? e->now - d->delivered_ns : 0,
		.stop_seen = n->stop.seen,
		.deadline_known = n->stop.seen && n->stop.deadline_ns,
		.stop_ns = n->stop.at_ns,
		.deadline_ns = n->stop.deadline_ns,
		.deadline_source = n->stop.source,
		.watchdog_ns = n->warn[DP_WARN_DEADLINE].level ? due.at_ns : 0,
		.slack_ns = n->outlook.slack_ns,
		.need_ns = n->outlook.forecast_ns,
		.grace_ns = grace_ns ? grace_ns : n->id.grace.deadline_ns,
		.held_ns = n->timeline.held_ns,
		.holds = n->timeline.holds,
		.waits = n->timeline.waits,
		.wait_ns = n->timeline.wait_ns,
		.gil_held = share_estimate(&recent, SHARE_HELD),
		.gil_wait = share_estimate(&recent, SHARE_WAIT),
		.running_without_gil = share_estimate(&recent, SHARE_WITHOUT),
		.blocked = share_estimate(&recent, SHARE_BLOCKED),
		.tokens = n->account.tokens,
		.tokens_returned = n->account.returned,
		.tokens_abandoned = n->account.abandoned,
		.tokens_lost = n->account.lost,
		.token_gil_ns = n->account.gil_ns,
		.max_hold_ns = n->timeline.max_hold_ns,
		.max_pending_ns = n->account.max_pending_ns,
		.recommended_grace_ns = n->outlook.recommended_ns,
		.max_hold_function =
			n->timeline.max_hold_function[0] ? n->timeline.max_hold_function : NULL,
	};
}
