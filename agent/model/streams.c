// SPDX-License-Identifier: MIT
/* The node's dora streams; see streams.h. */
#include "model/streams.h"

void streams_wire(struct streams *s, const struct dp_record *r)
{
	switch (r->u.wire.kind) {
	case DP_WIRE_EVENTS_END:
		s->events_end_ns = r->h.t_ns;
		break;
	case DP_WIRE_NEXT_DROP:
		s->collect_ns = r->h.t_ns;
		s->collecting = true;
		break;
	case DP_WIRE_DROPS_END:
		s->collecting = false;
		break;
	case DP_WIRE_EVENT_STREAM_DROPPED:
		s->events_dropped_ns = r->h.t_ns;
		break;
	default:
		break;
	}
}
