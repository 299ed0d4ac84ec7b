/* SPDX-License-Identifier: MIT */
/* What the node's two dora streams, of events and of drop tokens, were last seen doing. */
#ifndef DORA_PROBE_MODEL_STREAMS_H
#define DORA_PROBE_MODEL_STREAMS_H

#include "dora_probe/record.h"

#include <stdbool.h>

struct streams {
	uint64_t opened_ns;         /* a connection to the daemon was seen or found; 0 not */
	uint64_t asked_ns;          /* last request for events (NextEvent); 0 none */
	uint64_t answered_ns;       /* last answer to one; 0 none */
	uint64_t events_dropped_ns; /* the node object went: EventStreamDropped was sent; 0 not */
	uint64_t events_end_ns;     /* the daemon closed the event stream; 0 not */
	uint64_t collect_ns; /* last request for returned tokens (NextFinishedDropTokens); 0 none */
	bool collecting;     /* … which is not answered yet */
};

/* Does its event thread wait for an answer of the daemon? What the daemon has for it, it gets at once. */
static inline bool streams_is_asking(const struct streams *s)
{
	return s->asked_ns > s->answered_ns;
}

/* A frame without a token. */
void streams_wire(struct streams *s, const struct dp_record *r);
/* A token was delivered: with the answer to a request for events. */
void streams_delivered(struct streams *s, const struct dp_record *r);
/* A connection to the daemon was seen or found. */
void streams_opened(struct streams *s, const struct dp_record *r);

#endif
