// SPDX-License-Identifier: MIT
/* The rounds of looks at the GILs of the watched processes; see targets.h. */
#include "sense/watched.h"

#include <string.h>

#include "base/clock.h"

#define SIGNAL_CHECK_NS (10 * MS)

/*
 * A look every 10 ms finds a loop of short calls at its one costly instruction again and again. Where the
 * holder stands still, many looks within a millisecond tell: one that finds it elsewhere is told too.
 */
#define BURST_LOOKS 150
#define BURST_NS    (1500 * US)
#define BURSTS      4

/*
 * Nothing of a process changes while none of its threads runs, so a GIL that was free then is free. The
 * clock finds a thread that stays on its CPU within 21 ms, and some switches reach no tracepoint
 * (docs/facts/linux-late.md): it is looked at for a while after it ran, and now and then all the same.
 */
#define QUIET_NS      (30 * MS)
#define QUIET_LOOK_NS (200 * MS)
/* The same for what is read once a second. */
#define QUIET_RESCAN_NS (30000 * MS)

/* Can looks find something else than the last ones did? */
static bool may_differ(struct dp_targets *t, struct target *x, uint64_t now)
{
	if (x->untold || dp_bpf_has_run(t->bpf, x->pid, &x->ran))
		x->ran_ns = now;
	if (now - x->ran_ns > QUIET_NS && now - x->looked_ns < QUIET_LOOK_NS)
		return false;
	x->looked_ns = now;
	return true;
}

static bool is_due(const struct target *x, unsigned int gil, uint64_t now)
{
	static const uint64_t after_ns[BURSTS] = {15 * MS, 60 * MS, 250 * MS, 1000 * MS};
	uint32_t n = x->still[gil].bursts;

	return n < BURSTS && now - x->still[gil].since_ns >= after_ns[n];
}

static void look_closely(struct dp_targets *t, struct target *x, const struct dp_record *first)
{
	const struct dp_rec_look *k = &first->u.look;
	unsigned int gil = k->gil;
	uint64_t now = dp_now();
	struct dp_record r;
	uint32_t tid = 0;

	if (k->locked != 1 || !first->h.tid || !k->ip || k->off_since_ns)
		return;
	if (x->still[gil].ip != k->ip || x->still[gil].frame != k->frame) {
		x->still[gil].ip = k->ip;
		x->still[gil].frame = k->frame;
		x->still[gil].since_ns = now;
		x->still[gil].bursts = 0;
		return;
	}
	if (!is_due(x, gil, now))
		return;
	x->still[gil].bursts++;
	memcpy(&r, first, first->h.size);
	for (int i = 0; i < BURST_LOOKS && dp_now() - now < BURST_NS; i++) {
		/* Not by a reader, which would be too slow for this. */
		if (dp_py_look(x->py, gil, &r.u.look, &tid) != 0 || r.u.look.locked != 1 ||
		    tid != first->h.tid)
			return;
		if (r.u.look.ip == 0 || (r.u.look.ip == k->ip && r.u.look.frame == k->frame))
			continue;
		x->still[gil].since_ns = 0;
		x->still[gil].ip = 0;
		r.h.t_ns = dp_now();
		target_emit(t, &r);
		return;
	}
}

/* What the kernel programs know of the holder. */
static void join_thread(struct dp_targets *t, const struct target *x, uint32_t tid,
			struct dp_rec_look *k)
{
	struct dp_thread_state th;

	if (k->locked != 1 || !tid || dp_bpf_thread(t->bpf, (pid_t)tid, &th) != 0)
		return;
	k->notheld_ns = th.notheld_ns;
	k->run_first_ns = th.run_first_ns;
	k->run_last_ns = th.run_last_ns;
	k->off_since_ns = th.off_since_ns;
	k->off_runnable = th.off_runnable;
	k->take_ns = th.take_ns;
	k->run_samples = th.run_samples < UINT16_MAX ? (uint16_t)th.run_samples : UINT16_MAX;
	k->run_eval = !x->kernel.eval[0].to          ? UINT16_MAX
		      : th.run_eval < UINT16_MAX - 1 ? (uint16_t)th.run_eval
						     : UINT16_MAX - 1;
}

/* One look at one GIL, joined with what the kernel programs know of the holder. */
static int look(struct dp_targets *t, struct target *x, unsigned int gil)
{
	struct dp_record r;
	struct dp_edge_state e;
	uint32_t tid = 0;
	int err;

	dp_record_init(&r, DP_REC_GIL_LOOK, 0, (uint32_t)x->pid, 0);
	memset(&r.u.look, 0, sizeof(r.u.look));
	err = target_look(x, gil, &r.u.look, &tid);
	x->free[gil] = !err && r.u.look.locked == 0;
	if (err)
		return err;
	r.u.look.gil = (uint8_t)gil;
	if (gil == 0 && r.u.look.locked <= 1) {
		x->share.looks++;
		x->share.looks_held += r.u.look.locked;
	}
	/* A GIL that the last look found free too is not told again. */
	if (r.u.look.locked == 0 && x->last_tid[gil] == 0)
		return 0;
	join_thread(t, x, tid, &r.u.look);
	if (x->armed && dp_bpf_edge(t->bpf, x->pid, gil, &e) == 0) {
		r.u.look.edge_armed_ns = e.armed_ns;
		r.u.look.edge_take_ns = e.take_ns;
		r.u.look.edge_take_tid = e.take_tid;
		r.u.look.edge_release_ns = e.release_ns;
		r.u.look.edge_releases = e.releases;
	}
	r.h.tid = tid;
	r.h.t_ns = dp_now();
	x->last_tid[gil] = r.u.look.locked == 1 ? tid : 0;
	target_emit(t, &r);
	look_closely(t, x, &r);
	return 0;
}

/* Every GIL of the process, but those that are known to be free as they were. */
static void look_at_all(struct dp_targets *t, struct target *x, uint64_t now)
{
	bool differ = may_differ(t, x, now);

	for (unsigned int g = 0; g < x->kernel.gil_count; g++) {
		if (differ || !x->free[g])
			look(t, x, g);
		else if (g == 0)
			x->share.looks++;
	}
}

static void check_signals(struct dp_targets *t, struct target *x, uint64_t now)
{
	struct dp_record r;

	/* The C handler sets the flag right after delivery: look a moment later. */
	if (!x->signals || now - x->signal_ns < SIGNAL_CHECK_NS ||
	    dp_reader_signal_pending(x->reader) != 0)
		return;
	for (uint8_t s = 1; s <= 64; s++) {
		if (!(x->signals & (1ULL << (s - 1))))
			continue;
		dp_record_init(&r, DP_REC_SIGNAL, now, (uint32_t)x->pid, x->signal_tid);
		memset(&r.u.signal, 0, sizeof(r.u.signal));
		r.u.signal.kind = DP_SIGNAL_HANDLED;
		r.u.signal.signal = s;
		r.u.signal.disposition = DP_SIGDISP_CAUGHT;
		target_emit(t, &r);
	}
	x->signals = 0;
}

/* Is what was read of it the last time as it was? Nothing is left to be tried again, and it has not run. */
static bool is_unchanged(struct dp_targets *t, struct target *x, uint64_t now)
{
	bool has_run = dp_bpf_has_run(t->bpf, x->pid, &x->ran_rescan);

	if (has_run || !x->announced || x->untold || x->again_ns || x->given_up ||
	    (x->is_dora && !x->proven) || now - x->rescanned_ns >= QUIET_RESCAN_NS) {
		x->rescanned_ns = now;
		return false;
	}
	return true;
}

static void rescan(struct dp_targets *t, struct target *x, uint64_t now)
{
	struct dp_rec_node was;
	struct dp_target kernel = x->kernel;

	memcpy(&was, &x->facts, sizeof(was));
	x->next_rescan_ns = now + RESCAN_NS;
	if (is_unchanged(t, x, now))
		return;
	target_memory(t, x);
	target_look_for_sockets(t, x, now);
	if (x->is_dora && !x->proven)
		members_decide(t, &x->config, now);
	if (x->again_ns && now >= x->again_ns) {
		target_settle(t, x, now);
		return;
	}
	if (member_is_aside(x) && !x->named) {
		if (x->untold)
			target_tell_kernel(t, x);
		return;
	}
	if (x->py && dp_reader_fill(x->reader, x->py, &x->kernel) < 0)
		x->kernel = kernel;
	/* The uprobe counts for the GILs that were there when it was armed: it is asked for anew. */
	if (kernel.gil_count != x->kernel.gil_count && (x->armed || x->arming))
		target_disarm(t, x);
	target_refresh_facts(x);
	if (x->untold || memcmp(&kernel, &x->kernel, sizeof(kernel)) != 0)
		target_tell_kernel(t, x);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (x->announced && memcmp(&was, &x->facts, sizeof(was)) != 0)
		target_emit_facts(t, x);
}

void dp_targets_tick(struct dp_targets *t, uint64_t now)
{
	t->patience.left_ns = DP_PATIENCE_NS;
	targets_check_commands(t, now);
	targets_check_reader(t, now);
	if (t->sampling)
		targets_look_around(t, now);
	for (int i = 0; i < DP_MAX_TARGETS; i++) {
		struct target *x = &t->at[i];

		if (!x->pid)
			continue;
		target_check_reader(t, x, now);
		target_check_late(t, x);
		target_govern(t, x, now);
		if (x->next_try_ns) {
			if (now >= x->next_try_ns)
				target_settle(t, x, now);
			if (!x->pid || x->next_try_ns)
				continue;
		}
		if (x->py && x->announced) {
			target_check_arming(t, x);
			look_at_all(t, x, now);
			check_signals(t, x, now);
			/* Looks alone do not tell waiting from sleeping. */
			if (!t->sampling)
				target_share(t, x, now);
		}
		if (now >= x->next_rescan_ns)
			rescan(t, x, now);
	}
}
