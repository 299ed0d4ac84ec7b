/* SPDX-License-Identifier: MIT */
/*
 * Warnings with steps and hysteresis: notice at the threshold D, warning at 4 D, critical at 10 D,
 * each said once; resolved when the condition has been below D / 2 for 2 s or the node has left.
 * While a warning is active, each further hold has its steps said as well, wherever it is, and so are
 * tokens that came later and wait for another cause or at another place. A resolved row names the hold
 * that was warned of last.
 */
#ifndef DORA_PROBE_MODEL_WARN_H
#define DORA_PROBE_MODEL_WARN_H

#include "model/node.h"

/* Says the warning as it stands; `first` is put before the advice, NULL nothing. */
void warn_say(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
	      const char *first);
/* Says the warning as it stands, with `text` in the place of the advice. */
void warn_say_text(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
		   const char *text);
/* Says that it is over, and forgets it. */
void warn_resolve(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns);
/* Fills holder, place and held time of a warning from the hold; nothing where nobody holds. */
void warn_note_holder(struct warning *w, const struct hold *h);
/* The warnings about holds, pending tokens and deadlocks. */
void warn_tick(const struct env *e, struct node *n);
/* The node is not watched any more: every warning is over. */
void warn_node_gone(const struct env *e, struct node *n, uint64_t t_ns);

#endif
