// SPDX-License-Identifier: MIT
/* The node's dora streams; see streams.h. */
#include "model/streams.h"

void streams_delivered(struct streams *s, const struct dp_record *r)
{
	s->answered_ns = r->h.t_ns;
}

void streams_opened(struct streams *s, const struct dp_record *r)
{
	if (!s->opened_ns)
		s->opened_ns = r->h.t_ns;
}

void streams_wire(struct streams *s, const struct dp_record *r)
{
	switch (r->u.wire.kind) {
	case DP_WIRE_SUBSCRIBE:
		s->subscribed_ns = r->h.t_ns;
		break;
	case DP_WIRE_NEXT_EVENT:
		s->asked_ns = r->h.t_ns;
		break;
	case DP_WIRE_INPUT:
	case DP_WIRE_STOP:
	case DP_WIRE_ALL_INPUTS_CLOSED:
	case DP_WIRE_INPUT_CLOSED:
	case DP_WIRE_RELOAD:
	case DP_WIRE_NODE_FAILED:
	case DP_WIRE_OTHER_EVENT:
		s->answered_ns = r->h.t_ns;
		break;
	case DP_WIRE_EVENTS_END:
		s->answered_ns = s->events_end_ns = r->h.t_ns;
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
