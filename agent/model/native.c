// SPDX-License-Identifier: MIT
/* Native call or bytecode; see native.h. */
#include "model/native.h"

#include "base/units.h"

/*
 * A hold on the CPU is called native when its bytecode position has not changed for POSITION_NS and
 * the cpu clock has found the thread outside the bytecode loop POSITION_SAMPLES times and never in
 * it: a loop may well be at its one costly instruction in every look. Without samples it takes
 * POSITION_LOOKS looks. Of a hold that has moved before, that call must be half: a loop of calls of 5 us
 * stands still so long again and again.
 */
#define POSITION_NS      (25 * MS)
#define POSITION_SAMPLES 3
#define POSITION_LOOKS   15
/* A waiter asks for the GIL after 5 ms; bytecode gives it up within microseconds of that. */
#define REQUEST_IGNORED_NS (10 * MS)

static void stretch_begin(struct native *n, const struct dp_rec_look *k, uint64_t t_ns)
{
	n->since_ns = t_ns;
	n->looks = 1;
	n->samples = k->run_samples;
	n->eval = k->run_eval;
}

/*
 * A loop that calls one function most of the time is at one position in three samples now and then, and
 * bytecode sleeps too, where a page has to come from the disk. A call is that of the hold only if it, or
 * its sleeps, took at least half of it.
 */
static bool is_most(const struct native *n, uint64_t t_ns, uint64_t seen_ns)
{
	uint64_t stretch = n->since_ns ? t_ns - n->since_ns : 0;
	uint64_t slept = n->slept_ns + n->asleep_ns, all = t_ns - seen_ns;

	return stretch * 2 >= all || n->longest_ns * 2 >= all || slept * 2 >= all;
}

void native_stretch_end(struct native *n, uint64_t t_ns, uint64_t seen_ns)
{
	if (n->verdict != 1)
		return;
	if (!is_most(n, t_ns, seen_ns))
		n->verdict = 0;
	if (n->since_ns && t_ns - n->since_ns > n->longest_ns)
		n->longest_ns = t_ns - n->since_ns;
}

void native_asleep(struct native *n, uint64_t ns)
{
	n->verdict = 1;
	n->asleep_ns = ns;
}

void native_slept(struct native *n, uint64_t ns)
{
	n->verdict = 1;
	n->slept_ns += ns;
	n->asleep_ns = 0;
}

/* Bytecode has run: that refutes a native call, unless one was proven, which is over then. */
static void moved(struct native *n, uint64_t t_ns, uint64_t seen_ns)
{
	if (n->verdict != 1)
		n->verdict = 0;
	else
		native_stretch_end(n, t_ns, seen_ns);
}

/* A request that is ignored, and a sleep, prove a native call whatever the position is, for as long as they last. */
static void look_at_request(struct native *n, const struct dp_rec_look *k, uint64_t t_ns, bool idle)
{
	uint64_t off = look_off_since(k);

	if (idle || k->drop_request != 1)
		n->request_since_ns = 0;
	else if (n->request_since_ns == 0)
		n->request_since_ns = t_ns;
	else if (t_ns - n->request_since_ns >= REQUEST_IGNORED_NS)
		n->verdict = 1;
	if (off && !idle && k->before_ns > off + NATIVE_SLEEP_NS)
		native_asleep(n, k->before_ns - off);
}

void native_look(struct native *n, const struct dp_rec_look *k, uint64_t t_ns, uint64_t seen_ns)
{
	/* A thread that wants the CPU and has none stays where it is, whatever it runs. */
	bool idle = look_off_since(k) && k->off_runnable;
	bool sampled = k->run_eval != UINT16_MAX && k->run_samples >= n->samples;

	look_at_request(n, k, t_ns, idle);
	if (k->ip == 0)
		return;
	if (n->ip != k->ip || n->frame != k->frame) {
		/* A hold that moved on between looks runs bytecode, unless it is stuck later. */
		if (n->ip || n->verdict == 1)
			moved(n, t_ns, seen_ns);
		n->ip = k->ip;
		n->frame = k->frame;
		n->request_since_ns = 0;
		stretch_begin(n, k, t_ns);
		return;
	}
	n->looks += !idle;
	if (sampled && k->run_eval > n->eval) {
		/* It is at the same instruction in every look, and yet bytecode runs. */
		moved(n, t_ns, seen_ns);
		stretch_begin(n, k, t_ns);
	} else if (t_ns - n->since_ns >= POSITION_NS &&
		   (n->verdict == 1 || is_most(n, t_ns, seen_ns)) &&
		   ((sampled && k->run_samples - n->samples >= POSITION_SAMPLES) ||
		    n->looks >= POSITION_LOOKS)) {
		n->verdict = 1;
	}
}
