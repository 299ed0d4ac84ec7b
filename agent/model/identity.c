// SPDX-License-Identifier: MIT
/* Who a watched process is; see identity.h. */
#include "model/identity.h"

#include <string.h>

void identity_judge(struct identity *id)
{
	/* A fork's number says nothing: 0.3.14 of one sends SIGTERM after 10 s, as 0.4 does. */
	bool assumed = !id->facts.dora[0] || id->limits.foreign;

	dp_grace_of(assumed ? "" : id->facts.dora, &id->grace);
	id->grace_source = assumed ? DP_DEADLINE_ASSUMED : DP_DEADLINE_VERSION;
}

bool identity_tokens_countable(const struct identity *id)
{
	return id->facts.tokens_observable || !id->facts.is_dora ||
	       dp_version_at_least(id->facts.dora, 1, 0, 0);
}

bool identity_differs(const struct identity *id, const struct dp_rec_node *b)
{
	const struct dp_rec_node *a = &id->facts;

	return strcmp(a->dora, b->dora) != 0 || strcmp(a->node, b->node) != 0 ||
	       strcmp(a->reason, b->reason) != 0 || strcmp(a->python, b->python) != 0 ||
	       a->transport != b->transport || a->gil_observable != b->gil_observable ||
	       a->tokens_observable != b->tokens_observable || a->gil_count != b->gil_count;
}
