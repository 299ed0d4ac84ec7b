/* SPDX-License-Identifier: MIT */
/* What the node's two dora streams, of events and of drop tokens, were last seen doing. */
#ifndef DORA_PROBE_MODEL_STREAMS_H
#define DORA_PROBE_MODEL_STREAMS_H

#include "dora_probe/record.h"

#include <stdbool.h>

struct streams {
	uint64_t opened_ns;         /* a connection to the daemon was seen or found; 0 not */
	uint64_t subscribed_ns;     /* it asked to be let in (Subscribe); 0 not seen */
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

/*
 * Is it held at its start? The daemon answers no Subscribe until every node of the dataflow has sent its own,
 * and Node() waits for that answer with the GIL held (docs/facts/dora-protocol.md, 2.1).
 */
static inline bool streams_at_barrier(const struct streams *s)
{
	return s->subscribed_ns && s->asked_ns < s->subscribed_ns &&
	       s->answered_ns < s->subscribed_ns && !s->events_dropped_ns;
}

/* A frame without a token. */
void streams_wire(struct streams *s, const struct dp_record *r);
/* A token was delivered: with the answer to a request for events. */
void streams_delivered(struct streams *s, const struct dp_record *r);
/* A connection to the daemon was seen or found. */
void streams_opened(struct streams *s, const struct dp_record *r);

#endif
