/* SPDX-License-Identifier: MIT */
/*
 * What dora's watchdogs go by: the node's requests to its daemon. Health check, startup timeout and
 * finish grace of dora 1.x end a node that was never told to stop.
 */
#ifndef DORA_PROBE_MODEL_WATCHDOG_H
#define DORA_PROBE_MODEL_WATCHDOG_H

#include "model/deadline.h"

struct watchdog {
	uint64_t request_ns;       /* last request of the node; 0 none seen */
	uint64_t inputs_closed_ns; /* told that all inputs have closed; 0 not */
};

/* When a watchdog ends the node unless something changes. */
struct watchdog_deadline {
	uint64_t since_ns; /* it has been counting */
	uint64_t at_ns;    /* 0: none is running */
	uint8_t source;    /* enum dp_deadline_source */
	uint8_t ends_as;   /* enum dp_exit_reason */
};

/* A frame or a token's record of the node. */
void watchdog_record(struct watchdog *w, const struct dp_record *r);
/* The one that is due first. */
struct watchdog_deadline watchdog_due(const struct watchdog *w, const struct stop *s,
				      const struct identity *id);
/* Grace after all inputs have closed, ns; 0: this dora has none. */
uint64_t watchdog_finish_ns(const struct identity *id);
/* Has it a connection to its daemon, as far as is known? */
bool watchdog_is_connected(const struct watchdog *w, const struct identity *id);

#endif
