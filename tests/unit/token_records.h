/* SPDX-License-Identifier: MIT */
/* What the tests of tokens, causes and exits share: two nodes and a token between them. */
#ifndef DORA_PROBE_TOKEN_RECORDS_H
#define DORA_PROBE_TOKEN_RECORDS_H

#include "model_table.h"

#define SEND 200
#define RECV 100

static inline void say(struct table *t, enum dp_record_type type, double ms, uint32_t pid,
		       uint8_t id)
{
	struct dp_record r = token(type, ms, pid, id);

	ticks_until(t, ms);
	feed(t, &r);
}

static inline void region(struct table *t, enum dp_region_kind kind, double ms, uint32_t pid,
			  uint8_t id)
{
	struct dp_record r = record(DP_REC_REGION, ms, pid, pid);

	ticks_until(t, ms);
	r.u.region.kind = (uint8_t)kind;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_%X", id);
	feed(t, &r);
}

static inline void wire(struct table *t, enum dp_wire_kind kind, double ms, uint32_t pid)
{
	struct dp_record r = record(
		kind < DP_WIRE_SUBSCRIBE ? DP_REC_WIRE_EVENT : DP_REC_WIRE_REQUEST, ms, pid, pid);

	ticks_until(t, ms);
	r.u.wire.kind = (uint8_t)kind;
	feed(t, &r);
}

static inline void process_exit(struct table *t, double ms, uint32_t pid, int status)
{
	struct dp_record r = record(DP_REC_PROC_EXIT, ms, pid, pid);

	ticks_until(t, ms);
	r.u.exit.status = status;
	r.u.exit.is_process = 1;
	feed(t, &r);
}

static inline void held(struct table *t, double from, double to, uint32_t tid, int sleeping)
{
	struct dp_record r =
		record(sleeping ? DP_REC_GIL_OFFCPU : DP_REC_GIL_EDGE_HOLD, to, RECV, tid);

	ticks_until(t, to);
	r.u.gil_span.lo_ns = AT(from - 0.1);
	r.u.gil_span.from_ns = AT(from);
	r.u.gil_span.to_ns = AT(to);
	feed(t, &r);
	if (sleeping) {
		r = record(DP_REC_GIL_RUN, to + 0.1, RECV, tid);
		r.u.gil_span.lo_ns = AT(from - 0.1);
		r.u.gil_span.from_ns = AT(from);
		r.u.gil_span.to_ns = AT(to);
		r.u.gil_span.hi_ns = AT(to + 0.1);
		feed(t, &r);
	}
}

static inline struct table *two_nodes(void)
{
	struct table *t = table_new();

	node(t, 0, SEND, "send");
	node(t, 0, RECV, "recv");
	return t;
}

static inline const struct dp_token_finding *only_token(const struct table *t)
{
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	return &said(t, DP_FIND_TOKEN, 0)->f.u.token;
}

static inline void stacks(struct table *t, double from, double to, int syscall, const char *library)
{
	for (double ms = from; ms < to; ms += 100) {
		struct dp_record r = record(DP_REC_STACK, ms, RECV, RECV);

		ticks_until(t, ms);
		r.u.stack.syscall_nr = syscall;
		r.u.stack.frame_count = 1;
		r.u.stack.frames[0].line = 5;
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "handler");
		snprintf(r.u.stack.library, DP_LIBRARY_MAX, "%s", library);
		feed(t, &r);
	}
}

#endif
