// SPDX-License-Identifier: MIT
/* Who a watched process is; see identity.h. */
#include "model/identity.h"

bool identity_tokens_countable(const struct identity *id)
{
	return id->facts.tokens_observable || !id->facts.is_dora ||
	       dp_version_at_least(id->facts.dora, 1, 0, 0);
}
