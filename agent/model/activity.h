/* SPDX-License-Identifier: MIT */
/* What the consumer, the thread that takes events and frees arrays, was seen doing. */
#ifndef DORA_PROBE_MODEL_ACTIVITY_H
#define DORA_PROBE_MODEL_ACTIVITY_H

#include "model/hold.h"
#include "model/say.h"

/* How long a token is pending before its consumer is looked at, and how often then. */
#define ACTIVITY_AFTER_NS (150 * MS)
#define ACTIVITY_EVERY_NS (100 * MS)
#define ACTIVITY_SAMPLES  64

enum consumer_state {
	CONSUMER_UNKNOWN,
	CONSUMER_NEXT,     /* in dora's next() */
	CONSUMER_BLOCKED,  /* asleep elsewhere, without the GIL */
	CONSUMER_PYTHON,   /* running bytecode */
	CONSUMER_GIL_WAIT, /* waiting for the GIL */
	CONSUMER_NATIVE,   /* in native code with the GIL */
	CONSUMER_RUNNING,  /* on the CPU without the GIL */
	CONSUMER_POLLING,  /* the same, at the very instruction at which it was in next() before */
	CONSUMER_POOL,     /* asleep in a native call, whose process computes without the GIL */
	CONSUMER_STOPPED,  /* its process is stopped: SIGSTOP, a debugger */
	CONSUMER_STATES
};

struct activity {
	struct {
		uint64_t t_ns;
		uint8_t state; /* enum consumer_state */
	} samples[ACTIVITY_SAMPLES];
	uint32_t head, count;
	uint64_t asked_ns;
	bool finalizing; /* the node object went, and main has no frame any more: Python is ending
			  */
	struct place place;
	uint64_t stopped_ns;      /* its process was found stopped, by all looks from then … */
	uint64_t resumed_ns;      /* … until then; 0 it still is */
	uint64_t looked_ns;       /* last look at it; 0 none */
	uint8_t state;            /* enum consumer_state at that one */
	bool in_next;             /* at that one: in dora's code, or asyncio waits for what comes */
	bool seen_in_next;        /* ever */
	uint64_t next_ip;         /* instruction that called next(), when it waited there last */
	bool in_join;             /* it waits for another thread to end */
	uint32_t running_looks;   /* in a row, all RUNNING … */
	uint64_t running_ns;      /* … since */
	uint32_t away_looks;      /* in a row, all elsewhere than in next() … */
	uint64_t away_ns;         /* … since */
	uint64_t no_gil_since_ns; /* outside of dora, and took no GIL since; 0 not known */
	uint64_t polled_ns;     /* dora's code in it let go of the GIL, or took it; 0 never seen */
	uint64_t not_polled_ns; /* outside of dora, and no such since; 0 not known */
	bool calls_seen;        /* … by each call of dora's that takes events */
	/* asleep outside next() with the GIL free: what a signal to this thread may end */
	uint64_t asleep_ns;     /* since; 0 not */
	uint64_t asleep_end_ns; /* of that sleep; 0 unknown */
	int32_t asleep_nr;      /* number of the system call */
	bool asleep_in_call;    /* … a futex, and a library of neither C nor Python waits there */
};

/* The last stretch of which it is known whether the process computed without the GIL; 0, 0 none yet. */
struct computing {
	uint64_t from_ns, to_ns;
	uint64_t came_ns; /* since when the process is watched */
	bool without_gil; /* half a CPU and more */
	bool rests;       /* hardly any */
	bool consumer_known;
};

/*
 * A stack of some thread of the process. `current` is the main GIL's hold; `node_dropped` says that
 * the node object has gone; `beside` is what the process did meanwhile.
 */
void activity_stack(struct activity *a, const struct hold *current, uint32_t consumer,
		    bool node_dropped, const struct computing *beside, const struct dp_record *r);
/* The thread that it is of is another one from now on: what was seen until then was main. */
void activity_begin(struct activity *a);
/* Was it in next(), or in an event loop that waits, at the last look? Not older than `fresh_ns`. */
static inline bool activity_in_next(const struct activity *a, uint64_t now, uint64_t fresh_ns)
{
	return a->in_next && a->looked_ns && now - a->looked_ns <= fresh_ns;
}

/* Asks for the consumer's stack. To be called while a token is pending for ACTIVITY_AFTER_NS, and
 * after Stop. */
void activity_ask(struct activity *a, const struct env *e, const struct identity *id);
/* What was it doing most in [from, to]? */
enum consumer_state activity_most(const struct activity *a, uint64_t from, uint64_t to);
/* Was its process stopped (SIGSTOP, a debugger) at the last look? */
static inline bool activity_is_stopped(const struct activity *a)
{
	return a->stopped_ns && !a->resumed_ns;
}

/* Was its process stopped for most of [from, to]? */
bool activity_was_stopped(const struct activity *a, uint64_t from, uint64_t to);
/* The cause that this is of a token that is not freed, enum dp_cause. */
int8_t activity_cause(enum consumer_state s);
/* Is this a cause whose place is where the consumer is? */
bool activity_is_cause(int8_t cause);

#endif
