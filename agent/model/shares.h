/* SPDX-License-Identifier: MIT */
/*
 * What a process' time goes to: the main GIL held, waited for, CPU time without it, the main thread
 * asleep. Estimated once a second from what is looked at anyway:
 *
 *   held     its CPU time (exact) by the share of the cpu clock's samples that found the GIL with the
 *            thread, plus the time off the CPU with the GIL (exact, from context switches)
 *   without  the rest of its CPU time
 *   wait     waits of 2 ms and more as records tell them, of all threads put together so that no
 *            moment counts twice, plus the sum of the shorter ones
 *   blocked  what is left of the main thread's time, where that is the one that takes the events
 *
 * The standard error is that of the samples' share (Jeffreys' interval), and of how the short waits
 * may overlap.
 */
#ifndef DORA_PROBE_MODEL_SHARES_H
#define DORA_PROBE_MODEL_SHARES_H

#include "base/units.h"
#include "dora_probe/finding.h"

#include <stdbool.h>

/* A stretch is a second long; this many of them make what is shown as now. */
#define SHARES_RECENT 5
#define COVER_MAX     16

enum share_kind { SHARE_HELD, SHARE_WAIT, SHARE_WITHOUT, SHARE_BLOCKED };

/* Time of which samples say how much was with the GIL. */
struct share_sampled {
	double of_ns;   /* length of the stretches */
	double ns;      /* what was sampled of them: the CPU time, or all of it */
	double more_ns; /* with the GIL beside that: off the CPU */
	double samples, held;
};

/* Sums over stretches. Samples are put together first: a few say little of one second. */
struct share_sum {
	struct share_sampled clock, looks;
	struct {
		double of_ns; /* length of the stretches in which it was known */
		double ns;
		double variance; /* ns² */
	} wait, blocked;
};

/* Stretches of time put together: apart from each other, the last ones, in order. */
struct cover {
	struct {
		uint64_t from, to;
	} at[COVER_MAX];
	uint32_t count;
};

struct shares {
	/* of the stretch that runs */
	struct cover waits;
	uint64_t wait_ns;      /* of any thread */
	uint64_t main_wait_ns; /* of the main thread */
	uint64_t off_ns;       /* off the CPU with the GIL */
	uint64_t main_off_ns;  /* of it, the main thread's, asleep */
	/* up to here these have been counted already */
	uint64_t main_wait_until_ns, off_until_ns;
	/* off the CPU with the GIL by the last look; 0 not */
	uint64_t off_since_ns;
	uint32_t off_tid;
	bool off_runnable;

	struct share_sum recent[SHARES_RECENT]; /* a ring */
	uint64_t stretches;
	uint64_t interval_ns; /* since the last line */
	/* the last stretch in which that is known: did half a CPU or more go without the GIL? */
	uint64_t last_from_ns, last_to_ns;
	bool computes;
	bool rests; /* hardly any went without the GIL */
	bool idle;  /* hardly any CPU time at all, and nobody slept with the GIL */
	struct share_sum interval, total;
};

/* A wait that is over, of 2 ms and more. `is_main`: of the main thread. */
void shares_wait(struct shares *s, bool is_main, uint64_t from, uint64_t to);
/* A look at the main GIL, by holder. */
void shares_look(struct shares *s, uint32_t tid, const struct dp_rec_look *k);
/* The thread was off the CPU with the main GIL, for 2 ms and more. */
void shares_off(struct shares *s, bool is_main, const struct dp_gil_span *g);

/* Who waits at the end of a stretch, and since when. */
struct share_waiter {
	uint64_t since_ns;
	bool is_main;
};
/*
 * A stretch is over. `main_takes`: the main thread is the one that takes the events. Returns true
 * when a line is due: shares_take() has it then.
 */
bool shares_stretch(struct shares *s, const struct dp_record *r, bool main_takes,
		    const struct share_waiter *waiters, uint32_t count);
/* What has come together since the last line; false where that is nothing. */
bool shares_take(struct shares *s, struct dp_share_finding *ret);

/* As ratios with errors; unknown where nothing was known. */
struct dp_estimate share_estimate(const struct share_sum *s, enum share_kind kind);
/* The sum of the last SHARES_RECENT stretches. */
void shares_recent(const struct shares *s, struct share_sum *ret);

#endif
