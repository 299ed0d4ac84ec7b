/* SPDX-License-Identifier: MIT */
/*
 * A node's Stop as everybody reads it: when it came, when the time is up and how that is known, and
 * whether the node has moved since.
 */
#ifndef DORA_PROBE_MODEL_DEADLINE_H
#define DORA_PROBE_MODEL_DEADLINE_H

#include "model/commands.h"

struct stop {
	bool seen;
	bool inputs_closed; /* told that all its inputs have closed */
	bool outputs_done;  /* it has closed its outputs */
	bool forced;        /* asked for with --force: no grace at all */
	bool commanded;     /* a command is known that asked for another grace than the default */
	bool term_first;    /* the ladder begins with SIGTERM, SIGKILL after half as long again */
	uint8_t reason;     /* enum dp_stop_reason */
	uint8_t source;     /* of the deadline: enum dp_deadline_source */
	uint64_t at_ns;
	uint64_t grace_ns;     /* from Stop to the first signal */
	uint64_t deadline_ns;  /* the first signal that ends it; 0 none */
	uint32_t first_signal; /* that one */
	uint64_t moved_ns;     /* first move by itself since; see struct dp_policy_view */
	uint8_t witness;       /* enum dp_witness: by whom it was known first */
	bool confirmed;        /* … or since, by one that no other node can make up: witness.h */
	/* since when, as each of them has it; 0 does not say so */
	uint64_t heard_ns[DP_WITNESS_COUNT];
	uint64_t peeked_ns;        /* its socket was to be looked at */
	uint32_t command_pid;      /* a command of exactly this dataflow … */
	uint64_t command_began_ns; /* … was seen starting */
	uint32_t interrupts;       /* SIGINT to its daemon: the second one is the daemon's end */
	uint64_t term_ns;          /* the daemon's SIGTERM: the grace was over; 0 not yet */
};

/* A length of time from Stop to the first signal, and how it is known. */
struct grace {
	uint64_t ns;
	uint8_t source; /* enum dp_deadline_source */
};

/* Is a Stop under way that has a deadline? */
static inline bool stop_is_on(const struct stop *s)
{
	return s->seen && s->reason != DP_STOP_ALL_INPUTS_CLOSED;
}

/* The node showed by itself that Python runs again after Stop. */
void stop_moved(struct stop *s, uint64_t t_ns);
/*
 * The grace of a Stop that the command `c` asked for; NULL: none is known to have. `option_ns` is
 * --grace, 0 none, which no command shortens.
 */
struct grace stop_grace(const struct identity *id, const struct dp_rec_command *c,
			uint64_t option_ns);
/* The time from a Stop to the signal that ends the process, by default; ns. */
uint64_t stop_default_ns(const struct identity *id);
/* Stop came at t_ns: sets the deadline. `c` and `option_ns` as above. */
void stop_begin(struct stop *s, const struct identity *id, const struct dp_rec_command *c,
		uint64_t option_ns, enum dp_stop_reason why, uint64_t t_ns);
/* The daemon has gone: nobody ends the node any more. */
void stop_unenforced(struct stop *s);
/*
 * The daemon has sent SIGTERM or SIGKILL: what it does is what counts, whatever was expected. Sets
 * the deadline anew where it differs.
 */
void stop_corrected(struct stop *s, const struct identity *id, uint32_t signal, uint64_t t_ns);

#endif
