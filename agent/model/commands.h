/* SPDX-License-Identifier: MIT */
/*
 * The `dora` commands that were seen starting or found running, and which of them a Stop belongs to.
 */
#ifndef DORA_PROBE_MODEL_COMMANDS_H
#define DORA_PROBE_MODEL_COMMANDS_H

#include "model/identity.h"

#define COMMANDS_MAX 16 /* the oldest leaves */

struct commands {
	struct dp_rec_command at[COMMANDS_MAX];
	uint32_t count; /* of all that were noted; the next goes to count % COMMANDS_MAX */
};

void commands_note(struct commands *c, const struct dp_record *r);
/* The one that was noted last; NULL none. */
const struct dp_rec_command *commands_newest(const struct commands *c);
/*
 * The newest command that asked for what came to the node at `t_ns`, a Stop or its end; NULL none.
 * `force` looks for those with --force alone.
 */
const struct dp_rec_command *commands_find(const struct commands *c, const struct identity *id,
					   uint64_t t_ns, bool force);

#endif
