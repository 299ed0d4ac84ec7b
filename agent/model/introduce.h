/* SPDX-License-Identifier: MIT */
/* When the `node` line of a process is said, and what it is called there. */
#ifndef DORA_PROBE_MODEL_INTRODUCE_H
#define DORA_PROBE_MODEL_INTRODUCE_H

#include "model/lives.h"
#include "model/say.h"

/* The process' role, by what is known of it as a member of its node; NULL nothing. */
void introduce_role(struct identity *id, const struct member *of, const struct dp_rec_node *facts);
/* The process has facts as of t_ns: says its line, or that something in it has changed. */
void introduce_facts(const struct env *e, struct identity *id, bool changed, uint64_t t_ns);
/* Says the line when it has waited long enough. */
void introduce_tick(const struct env *e, struct identity *id);

#endif
