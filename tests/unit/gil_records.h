/* SPDX-License-Identifier: MIT */
/* What the tests of the GIL timeline share: rows of looks, edges, and holds made of them. */
#ifndef DORA_PROBE_GIL_RECORDS_H
#define DORA_PROBE_GIL_RECORDS_H

#include "model_table.h"

#define PID  100
#define MAIN 100

static inline void armed(struct table *t, double ms, int on, int error)
{
	struct dp_record r = record(DP_REC_SOURCE_STATE, ms, PID, 0);

	r.u.source.source = DP_SOURCE_EDGE;
	r.u.source.on = (uint8_t)on;
	r.u.source.error = error;
	feed(t, &r);
}

/* Looks every 10 ms in [from, to], all "held by tid", with what the kernel says beside. */
static inline void looks(struct table *t, double from, double to, uint32_t tid, double notheld,
			 double edge_armed, double off_since)
{
	for (double ms = from; ms <= to; ms += 10) {
		struct dp_record r = look(ms, PID, tid, notheld);

		if (edge_armed > 0 && ms > edge_armed)
			r.u.look.edge_armed_ns = AT(edge_armed);
		if (off_since > 0 && ms > off_since)
			r.u.look.off_since_ns = AT(off_since);
		r.u.look.frame = 0x1000;
		r.u.look.ip = 0x2000;
		feed(t, &r);
		tick(t, ms + 0.1);
	}
}

static inline void free_look(struct table *t, double ms)
{
	struct dp_record r = look(ms, PID, 0, 0);

	feed(t, &r);
}

static inline void span(struct table *t, enum dp_record_type type, double ms, uint32_t tid,
			double lo, double from, double to, double hi)
{
	struct dp_record r = record(type, ms, PID, tid);

	r.u.gil_span.lo_ns = lo > 0 ? AT(lo) : 0;
	r.u.gil_span.from_ns = from > 0 ? AT(from) : 0;
	r.u.gil_span.to_ns = AT(to);
	r.u.gil_span.hi_ns = hi > 0 ? AT(hi) : 0;
	if (type == DP_REC_GIL_OFFCPU)
		r.u.gil_span.off_ns = AT(to) - AT(from);
	feed(t, &r);
}

static inline const struct dp_hold_finding *only_hold(struct table *t)
{
	assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 1);
	return &said(t, DP_FIND_GIL_HOLD, 0)->f.u.hold;
}

#endif
