/* SPDX-License-Identifier: MIT */
/* A process as the live view and the metrics see it (node_view.h). */
#ifndef DORA_PROBE_MODEL_VIEW_OF_H
#define DORA_PROBE_MODEL_VIEW_OF_H

#include "model/node_view.h"
#include "model/table.h"
#include "model/say.h"

/* Its strings point into the node. */
void view_of(const struct env *e, const struct table *t, const struct node *n,
	     struct dp_node_view *ret);

#endif
