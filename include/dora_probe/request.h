/* SPDX-License-Identifier: MIT */
/*
 * What the model needs from outside. The loop executes a request and feeds the answer back as a
 * record, failure too; replay ignores requests and finds the answers in the file.
 */
#ifndef DORA_PROBE_REQUEST_H
#define DORA_PROBE_REQUEST_H

#include "dora_probe/names.h"

#include <stdbool.h>
#include <stdint.h>

/* Python threads that READ_THREADS looks at, main with them. */
#define DP_THREADS_LOOKED_AT 16

enum dp_request_type {
	DP_REQ_READ_STACK,    /* pid, tid            -> STACK */
	DP_REQ_ARM_EDGE,      /* pid                 -> SOURCE_STATE (edge, on) */
	DP_REQ_DISARM_EDGE,   /* pid                 -> SOURCE_STATE (edge, off) */
	DP_REQ_FIND_CONSUMER, /* pid               -> STACK of each Python thread in dora's code */
	DP_REQ_PEEK_STOP,     /* pid                 -> STOP_WITNESS (unread) */
	DP_REQ_READ_WAITS,    /* pid, tid            -> WAITS */
	DP_REQ_ACT,           /* pid, tid, action …  -> ACTION_RESULT */
	DP_REQ_READ_THREADS,  /* pid                 -> STACK of each other Python thread */
	DP_REQ_COUNT
};

struct dp_request {
	uint8_t type;
	uint8_t action; /* ACT: enum dp_action */
	bool anywhere;  /* ACT: the main thread as such is meant, whatever it is in when it comes */
	uint32_t signal; /* ACT */
	uint32_t attempt;
	uint32_t pid;
	uint32_t tid;
	uint64_t start_time; /* identity of pid, as in dp_rec_node */
	uint64_t grace_ns;   /* STOP_DATAFLOW: to be given to dora stop */
	char dataflow[40];   /* STOP_DATAFLOW */
	char reason[192];
};

#endif
