/* SPDX-License-Identifier: MIT */
/*
 * The rules of the token ledger: which record begins, moves and ends what.
 *
 * A delivery ends `returned` when the owner got the token back (or, the owner not being watched,
 * when it was reported), `abandoned` when the receiver's event stream or the owner's region closed
 * first, `lost` when records are missing, `open` when the probe ends. It is said CLOSING_NS later,
 * so that the GIL's evidence of the same moment is in.
 */
#ifndef DORA_PROBE_MODEL_TOKENS_H
#define DORA_PROBE_MODEL_TOKENS_H

#include "model/ledger.h"
#include "model/node.h"

/* Sent, delivered, reported, returned. -ENOSPC when there is no room for it, which is a loss; else
 * 0. */
int tokens_record(struct ledger *l, const struct env *e, struct node *n, const struct dp_record *r);
/* A region was mapped, unmapped or unlinked. */
void tokens_region(struct ledger *l, const struct env *e, struct node *n,
		   const struct dp_record *r);
/*
 * A message that the node had mapped when the probe came: a pending token of unknown name. -ENOSPC as
 * above; else 0.
 */
int tokens_stock_region(struct ledger *l, struct node *n, const struct dp_record *r);
/* The receiver's event stream has closed: what is pending there is given up. */
void tokens_stream_closed(struct ledger *l, struct node *n, uint64_t t_ns);
/* The node is not watched any more: its part as receiver and as owner ends. */
void tokens_node_gone(struct ledger *l, const struct env *e, struct node *n, uint64_t t_ns);
/* The node's slot is used again: says and forgets what still points at it. */
void tokens_forget(struct ledger *l, const struct env *e, const struct node *n);
/* Records of `n` (NULL: of anybody) were lost: what it has pending, or out, is in doubt. */
void tokens_loss(struct ledger *l, const struct node *n, uint64_t t_ns);
/* What the node maps and lets go is not looked at for a while. */
void tokens_regions_unseen(struct node *n);
/* Ends what has been in doubt at this node for long. */
void tokens_end_doubts(struct ledger *l, struct node *n, uint64_t now);
/* Says what has waited for CLOSING_NS. */
void tokens_tick(struct ledger *l, const struct env *e);
/* The probe ends: what is pending at this node stays open. */
void tokens_end_pending(struct ledger *l, struct node *n, uint64_t t_ns);
/* The probe ends: everything that is left is said. After tokens_end_pending() of every node. */
void tokens_end(struct ledger *l, const struct env *e, uint64_t t_ns);
/* Tokens abandoned at this node, also those that are not said yet. */
uint64_t tokens_abandoned(const struct ledger *l, const struct node *n);

#endif
