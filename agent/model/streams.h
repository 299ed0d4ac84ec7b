/* SPDX-License-Identifier: MIT */
/* What the node's two dora streams, of events and of drop tokens, were last seen doing. */
#ifndef DORA_PROBE_MODEL_STREAMS_H
#define DORA_PROBE_MODEL_STREAMS_H

#include "dora_probe/record.h"

#include <stdbool.h>

struct streams {
	uint64_t events_dropped_ns; /* the node object went: EventStreamDropped was sent; 0 not */
	uint64_t events_end_ns;     /* the daemon closed the event stream; 0 not */
	uint64_t collect_ns; /* last request for returned tokens (NextFinishedDropTokens); 0 none */
	bool collecting;     /* … which is not answered yet */
};

/* A frame without a token. */
void streams_wire(struct streams *s, const struct dp_record *r);

#endif
