/* SPDX-License-Identifier: MIT */
/*
 * Feeds the model from a table of records and keeps what it says. Times in the tables are
 * milliseconds after T0.
 */
#ifndef DORA_PROBE_MODEL_TABLE_H
#define DORA_PROBE_MODEL_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define T0       1000000000000ULL
#define AT(ms)   (T0 + (uint64_t)(int64_t)((ms)*1e6)) /* also before T0 */
#define SAID_MAX 4096

/* A finding with its strings copied. */
struct said {
	struct dp_finding f;
	char function[DP_FUNCTION_MAX];
	char advice[300];
};

struct table {
	struct dp_model *m;
	struct said said[SAID_MAX];
	unsigned int said_count;
	struct dp_request asked[SAID_MAX];
	unsigned int asked_count;
	double ticked_ms;
	double read_ms; /* a stack was asked for at; 0 at its own time */
};

static void table_finding(void *ctx, const struct dp_finding *f)
{
	struct table *t = ctx;
	struct said *s = &t->said[t->said_count];
	const struct dp_place *p = NULL;

	assert_true(t->said_count < SAID_MAX);
	t->said_count++;
	s->f = *f;
	if (f->type == DP_FIND_GIL_HOLD)
		p = &f->u.hold.place;
	else if (f->type == DP_FIND_WARNING)
		p = &f->u.warning.place;
	snprintf(s->function, sizeof(s->function), "%s", p && p->function ? p->function : "");
	if (f->type == DP_FIND_WARNING)
		snprintf(s->advice, sizeof(s->advice), "%s",
			 f->u.warning.advice ? f->u.warning.advice : "");
	if (f->type == DP_FIND_EXIT && f->u.exit.explanation)
		snprintf(s->advice, sizeof(s->advice), "%s", f->u.exit.explanation);
}

static void table_request(void *ctx, const struct dp_request *r)
{
	struct table *t = ctx;

	assert_true(t->asked_count < SAID_MAX);
	t->asked[t->asked_count++] = *r;
}

static inline void feed(struct table *t, struct dp_record *r)
{
	assert_int_equal(dp_record_check(r, r->h.size), 0);
	dp_model_feed(t->m, r);
}

static inline struct dp_record record(enum dp_record_type type, double ms, uint32_t pid,
				      uint32_t tid)
{
	struct dp_record r;

	memset(&r, 0, sizeof(r));
	dp_record_init(&r, type, AT(ms), pid, tid);
	return r;
}

/* A record of the token whose bytes are all `id`. */
static inline struct dp_record token(enum dp_record_type type, double ms, uint32_t pid, uint8_t id)
{
	struct dp_record r = record(type, ms, pid, pid);

	memset(r.u.token.token, id, DP_TOKEN_LEN);
	r.u.token.bytes = 65536;
	snprintf(r.u.token.region, sizeof(r.u.token.region), "shmem_%X", id);
	snprintf(r.u.token.id, sizeof(r.u.token.id), "data");
	return r;
}

static inline void tick(struct table *t, double ms)
{
	struct dp_record r = record(DP_REC_TICK, ms, 0, 0);

	feed(t, &r);
	t->ticked_ms = ms;
}

/* Ticks every 10 ms up to `ms`. */
static inline void ticks_until(struct table *t, double ms)
{
	while (t->ticked_ms + 10 <= ms)
		tick(t, t->ticked_ms + 10);
}

static inline struct table *table_new(void)
{
	struct table *t = calloc(1, sizeof(*t));
	struct dp_model_sink sink = {.finding = table_finding, .request = table_request, .ctx = t};
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	assert_non_null(t);
	t->m = dp_model_new(&sink);
	assert_non_null(t->m);
	r.u.options = (struct dp_rec_options){.hold_threshold_ns = 50000000,
					      .warn_hold_ns = 500000000,
					      .token_threshold_ns = 0,
					      .pending_threshold_ns = 1000000000,
					      .nudge_signal = 2,
					      .nudge_interval_ns = 500000000,
					      .max_edge_rate = 6666};
	feed(t, &r);
	return t;
}

static inline void table_free(struct table *t)
{
	dp_model_free(t->m);
	free(t);
}

/* A node of this version of dora. */
static inline void node_of(struct table *t, double ms, uint32_t pid, const char *name,
			   const char *dora)
{
	struct dp_record r = record(DP_REC_NODE_FACTS, ms, pid, 0);

	r.u.node = (struct dp_rec_node){.is_dora = 1,
					.is_python = 1,
					.transport = DP_TRANSPORT_TCP,
					.gil_observable = 1,
					.tokens_observable = 1,
					.gil_count = 1,
					.edge_possible = 1,
					.daemon_pid = 7,
					.signals_caught = 2};
	snprintf(r.u.node.implementation, sizeof(r.u.node.implementation), "cpython");
	snprintf(r.u.node.node, sizeof(r.u.node.node), "%s", name);
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "%s", dora);
	snprintf(r.u.node.dataflow, sizeof(r.u.node.dataflow), "flow");
	feed(t, &r);
}

static inline void node(struct table *t, double ms, uint32_t pid, const char *name)
{
	node_of(t, ms, pid, name, "0.5.0");
}

static inline struct dp_record look(double ms, uint32_t pid, uint32_t tid, double notheld_ms)
{
	struct dp_record r = record(DP_REC_GIL_LOOK, ms, pid, tid);

	r.u.look.locked = tid != 0;
	r.u.look.before_ns = AT(ms) - 2000;
	r.u.look.notheld_ns = tid ? AT(notheld_ms) : 0;
	r.u.look.drop_request = 2;
	return r;
}

static inline void stack(struct table *t, double ms, uint32_t pid, uint32_t tid,
			 const char *function, int line, const char *library)
{
	struct dp_record r = record(DP_REC_STACK, ms, pid, tid);

	r.u.stack.frame_count = 1;
	r.u.stack.syscall_nr = -1;
	r.u.stack.read_ns = t->read_ms > 0 ? AT(t->read_ms) : 0;
	r.u.stack.frames[0].line = line;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "%s", function);
	snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/node/%s.py", function);
	snprintf(r.u.stack.library, DP_LIBRARY_MAX, "%s", library);
	snprintf(r.u.stack.comm, DP_COMM_MAX, "python");
	feed(t, &r);
}

static inline unsigned int count_said(const struct table *t, enum dp_finding_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->said_count; i++)
		n += t->said[i].f.type == type;
	return n;
}

/* The i-th finding of a type; NULL beyond. */
static inline const struct said *said(const struct table *t, enum dp_finding_type type,
				      unsigned int i)
{
	for (unsigned int j = 0; j < t->said_count; j++)
		if (t->said[j].f.type == type && i-- == 0)
			return &t->said[j];
	return NULL;
}

static inline unsigned int count_asked(const struct table *t, enum dp_request_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->asked_count; i++)
		n += t->asked[i].type == type;
	return n;
}

#endif
