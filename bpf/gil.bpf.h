/* SPDX-License-Identifier: MIT */
/*
 * What a thread knows about itself: every program that runs in a watched thread, or switches it,
 * tells its dp_thread_state whether the thread held the GIL at that moment. Only runs of looks that
 * lasted run_min_ns leave the kernel.
 */
#ifndef DORA_PROBE_GIL_BPF_H
#define DORA_PROBE_GIL_BPF_H

#include "emit.bpf.h"

/* A tick of a kernel with HZ=100, the longest that there is. */
#define TICK_MAX_NS 10000000ULL

/* The thread that a program is about, as the agent and as the target number it. */
struct who {
	__u32 tgid;
	__u32 tid;
	__u32 own_tid; /* what CPython stored: of the target's PID namespace */
};

static __always_inline __u32 task_own_tid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	__u32 nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      (__u64)level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return nr;
}

static __always_inline void who_is(struct who *w, const struct dp_target *t,
				   struct task_struct *task, __u32 tgid, __u32 tid)
{
	w->tgid = tgid;
	w->tid = tid;
	w->own_tid = t->other_pid_ns ? task_own_tid(task) : tid;
}

/* The thread's state, made if need be (`t` and `w` whole). NULL: map full, counted. */
static __always_inline struct dp_thread_state *thread_of(const struct dp_target *t,
							 const struct who *w)
{
	struct dp_thread_state *ts, fresh = {};
	__u32 tid = w->tid;

	ts = bpf_map_lookup_elem(&thread_state, &tid);
	if (ts && ts->tgid == w->tgid)
		return ts;
	fresh.tgid = w->tgid;
	if (bpf_map_update_elem(&thread_state, &tid, &fresh, BPF_ANY)) {
		count_loss(DP_LOSS_MAP_FULL);
		return 0;
	}
	if (t->other_pid_ns) {
		__u64 key = (__u64)w->tgid << 32 | w->own_tid;

		if (bpf_map_update_elem(&ns_tids, &key, &tid, BPF_ANY))
			count_loss(DP_LOSS_MAP_FULL);
	}
	return bpf_map_lookup_elem(&thread_state, &tid);
}

/* The thread of a PyThreadState as the target numbers it; 0 when it cannot be read. */
static __always_inline __u32 tstate_own_tid(const struct dp_target *t, __u64 tstate)
{
	__u64 pthread = 0;
	__u32 tid = 0;

	if (!tstate)
		return 0;
	if (t->has_native_tid) {
		bpf_probe_read_user(&tid, sizeof(tid), (void *)(tstate + t->off_native_tid));
		return tid;
	}
	if (bpf_probe_read_user(&pthread, sizeof(pthread), (void *)(tstate + t->off_pthread)))
		return 0;
	bpf_probe_read_user(&tid, sizeof(tid), (void *)(pthread + t->off_pthread_tid));
	return tid;
}

/*
 * Who holds this GIL, in the target's numbering: 0 nobody, negative when it cannot be read. The few
 * nanoseconds in which take_gil has set `locked` and not yet `last_holder` name the one before.
 */
static __always_inline __s64 gil_holder(const struct dp_target *t, const struct dp_gil_site *s)
{
	__u64 tstate = 0;
	__s32 locked = 0;
	__u32 tid;

	if (bpf_probe_read_user(&locked, sizeof(locked), (void *)(s->addr + s->off_locked)))
		return -1;
	if (locked != 1)
		return 0;
	if (bpf_probe_read_user(&tstate, sizeof(tstate), (void *)(s->addr + s->off_last_holder)))
		return -1;
	tid = tstate_own_tid(t, tstate);
	return tid ? (__s64)tid : -1;
}

static __always_inline void emit_span(enum dp_capture_type type, __u64 t_ns,
				      const struct dp_thread_state *ts, __u32 tid, __u64 from,
				      __u64 to, __u64 hi, __u64 off, __u8 preempted)
{
	struct {
		struct dp_capture h;
		struct dp_gil_span b;
	} *c = capture_reserve(type, sizeof(*c), t_ns, ts->tgid, tid);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.lo_ns = ts->notheld_ns;
	c->b.from_ns = from;
	c->b.to_ns = to;
	c->b.hi_ns = hi;
	c->b.off_ns = off;
	c->b.gil = ts->gil;
	c->b.preempted = preempted;
	capture_submit(c);
}

static __always_inline void emit_wait(enum dp_capture_type type, __u64 t_ns,
				      const struct dp_thread_state *ts, __u32 tid, __u32 holder,
				      __u64 switch_number, __u8 acquired, __u16 flags)
{
	struct {
		struct dp_capture h;
		struct dp_gil_wait b;
	} *c = capture_reserve(type, sizeof(*c), t_ns, ts->tgid, tid);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->h.flags = flags;
	c->b.begin_ns = ts->wait_ns;
	c->b.switch_number = switch_number;
	c->b.holder_tid = holder;
	c->b.gil = ts->gil;
	c->b.acquired = acquired;
	capture_submit(c);
}

/* The end of a wait that was over at end_ns already. */
static __always_inline void emit_wait_until(enum dp_capture_type type, __u64 t_ns,
					    const struct dp_thread_state *ts, __u32 tid,
					    __u64 end_ns, __u8 acquired)
{
	struct {
		struct dp_capture h;
		struct dp_gil_wait b;
	} *c = capture_reserve(type, sizeof(*c), t_ns, ts->tgid, tid);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.begin_ns = ts->wait_ns;
	c->b.holder_tid = acquired ? tid : 0;
	c->b.gil = ts->gil;
	c->b.acquired = acquired;
	c->b.end_ns = end_ns;
	capture_submit(c);
}

/* A wait too short to be told one by one. */
static __always_inline void add_short_wait(const struct dp_thread_state *ts, __u64 end)
{
	__u32 tgid = ts->tgid;
	struct dp_share_state *s = bpf_map_lookup_elem(&shares, &tgid);

	if (s)
		__sync_fetch_and_add(&s->wait_ns, end - ts->wait_ns);
}

/* A stretch off the CPU with the GIL that is too short to be told. */
static __always_inline void add_short_off(const struct dp_thread_state *ts, __u64 ns)
{
	__u32 tgid = ts->tgid;
	struct dp_share_state *s = bpf_map_lookup_elem(&shares, &tgid);

	if (s)
		__sync_fetch_and_add(&s->off_ns, ns);
}

/* A sample of the cpu clock: does the thread that it found hold the GIL? */
static __always_inline void add_sample(__u32 tgid, bool held)
{
	struct dp_share_state *s = bpf_map_lookup_elem(&shares, &tgid);

	if (!s)
		return;
	__sync_fetch_and_add(&s->samples, 1);
	if (held)
		__sync_fetch_and_add(&s->held, 1);
}

/* The thread does not hold the GIL at `now`. */
static __always_inline void thread_not_held(struct dp_thread_state *ts, __u32 tid, __u64 now)
{
	if (ts->run_first_ns && ts->run_last_ns - ts->run_first_ns >= run_min_ns)
		emit_span(DP_CAP_GIL_RUN, now, ts, tid, ts->run_first_ns, ts->run_last_ns, now,
			  ts->run_off_ns, 0);
	ts->run_first_ns = 0;
	ts->run_last_ns = 0;
	ts->run_off_ns = 0;
	ts->run_samples = 0;
	ts->run_eval = 0;
	ts->off_since_ns = 0;
	ts->take_ns = 0;
	ts->unseen = 0;
	ts->notheld_ns = now;
}

/* The thread holds GIL number `gil` at `now`. */
static __always_inline void thread_held(struct dp_thread_state *ts, __u32 tid, __u8 gil, __u64 now)
{
	if (ts->run_first_ns && ts->gil != gil)
		thread_not_held(ts, tid, now);
	if (!ts->run_first_ns) {
		ts->run_first_ns = now;
		ts->run_off_ns = 0;
		ts->gil = gil;
	}
	/*
	 * A thread that runs a program is on the CPU. Where its switch-in was missed, the mark of
	 * its last switch-out would otherwise stand for a sleep that goes on.
	 */
	ts->off_since_ns = 0;
	ts->unseen = 0;
	ts->run_last_ns = now;
}

/*
 * A switch of a thread whose switches are left alone for a while: what it did since its last look at itself nobody
 * knows. That it did not hold the GIL then stays true.
 */
static __always_inline void thread_unseen(__u32 tid)
{
	struct dp_thread_state *ts = bpf_map_lookup_elem(&thread_state, &tid);

	if (!ts)
		return;
	ts->unseen = 1;
	ts->off_since_ns = 0;
	ts->run_first_ns = 0;
	ts->run_last_ns = 0;
	ts->run_off_ns = 0;
	ts->run_samples = 0;
	ts->run_eval = 0;
	ts->take_ns = 0;
}

/*
 * The running thread has left the CPU with a GIL and nobody saw it come back: some switches never reach
 * their tracepoint (docs/facts/linux-late.md). What it has not spent on the CPU since, it was off. Its
 * CPU time is brought up to date by the tick at the latest, so that it came back since is sure up to
 * one tick before.
 */
static __always_inline void came_back(struct dp_thread_state *ts, __u32 tid, __u64 now)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 since = ts->off_since_ns, ran = 0, off;

	ts->off_since_ns = 0;
	if (ts->off_exec_ns)
		ran = BPF_CORE_READ(task, se.sum_exec_runtime) - ts->off_exec_ns;
	if (now - since <= ran)
		return;
	off = now - since - ran;
	ts->run_off_ns += off;
	if (off < run_min_ns) {
		add_short_off(ts, off);
		return;
	}
	if (off <= TICK_MAX_NS)
		return;
	ts->run_last_ns = since + off - TICK_MAX_NS;
	emit_span(DP_CAP_GIL_OFFCPU, now, ts, tid, since, ts->run_last_ns, 0, off,
		  ts->off_runnable);
}

/* The running thread looks at itself. 1 it holds a GIL, 0 none, -1 could not be read. */
static __always_inline int thread_look(const struct dp_target *t, struct dp_thread_state *ts,
				       const struct who *w, __u64 now)
{
	bool unreadable = 0;

	if (ts->off_since_ns)
		came_back(ts, w->tid, now);
#pragma unroll
	for (int i = 0; i < DP_MAX_GILS; i++) {
		const struct dp_gil_site *s = &t->gils[i];
		__s64 holder;

		if ((__u32)i >= t->gil_count)
			break;
		if (!s->addr)
			continue;
		holder = gil_holder(t, s);
		if (holder > 0 && (__u32)holder == w->own_tid) {
			thread_held(ts, w->tid, (__u8)i, now);
			return 1;
		}
		if (holder < 0)
			unreadable = 1;
	}
	if (unreadable) {
		count_loss(DP_LOSS_READ_FAULT);
		return -1;
	}
	thread_not_held(ts, w->tid, now);
	return 0;
}

#endif
