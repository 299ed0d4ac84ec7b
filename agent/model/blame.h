/* SPDX-License-Identifier: MIT */
/* Interval arithmetic: what did the GIL cost in a stretch of time, and whose hold was it. */
#ifndef DORA_PROBE_MODEL_BLAME_H
#define DORA_PROBE_MODEL_BLAME_H

#include "model/gil.h"

struct blame_share {
	uint64_t gil_ns;            /* gil_held_ns of a token */
	uint64_t native_ns;         /* of it: native holds */
	uint64_t own_native_ns;     /* of these, the consumer's own */
	uint64_t longest_native_ns; /* of these, in one hold */
	uint64_t
		longest_undecided_ns; /* of it, in one hold of which is not known whether it is native */
	uint64_t dora_ns;             /* of it: inside dora's own code */
	uint64_t deadlock_ns;         /* of it: in a lock that nobody could release */
	uint64_t python_ns;           /* not in gil_ns: bytecode of the consumer itself */
	int top_function;             /* index into the functions, -1 none */
};

/* What the GIL cost the consumer in [from, to], with the hold and the wait that are still open. */
void blame_window(const struct timeline *t, uint32_t consumer, uint64_t from, uint64_t to,
		  struct blame_share *ret);
/* Adds the window's cost to the accounts of the functions. */
void blame_charge(struct timeline *t, uint32_t consumer, uint64_t from, uint64_t to);

#endif
