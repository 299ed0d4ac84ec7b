/* SPDX-License-Identifier: MIT */
/* Waits for the GIL and what ends them, for both ways in which they are seen: gil and gil_trace. */
#ifndef DORA_PROBE_GIL_WAIT_BPF_H
#define DORA_PROBE_GIL_WAIT_BPF_H

#include "gil.bpf.h"
#include "syscall.bpf.h"

/* include/uapi/linux/futex.h; glibc adds FUTEX_PRIVATE_FLAG 128 and FUTEX_CLOCK_REALTIME 256. */
#define FUTEX_CMD_MASK    127
#define FUTEX_WAKE        1
#define FUTEX_WAIT_BITSET 9

#define DEFAULT_INTERVAL_US 5000 /* CPython: DEFAULT_INTERVAL of ceval_gil */

/* The tid here of a tid of the target's PID namespace; 0 unknown. */
static __always_inline __u32 tid_here(const struct dp_target *t, __u32 tgid, __u32 own_tid)
{
	__u64 key = (__u64)tgid << 32 | own_tid;
	__u32 *tid;

	if (!t->other_pid_ns)
		return own_tid;
	tid = bpf_map_lookup_elem(&ns_tids, &key);
	return tid ? *tid : 0;
}

static __always_inline __u64 switch_number(const struct dp_gil_site *s)
{
	__u64 n = 0;

	bpf_probe_read_user(&n, sizeof(n), (void *)(s->addr + s->off_switch_number));
	return n;
}

/*
 * The thread was seen holding the GIL since its wait began, so the wait is over although its own
 * mark (the wake of gil.mutex) was missed: it ended at the latest at the first such look.
 */
static __always_inline void wait_end_by_run(struct dp_thread_state *ts, __u32 tid)
{
	if (ts->wait_said || ts->run_first_ns - ts->wait_ns >= run_min_ns)
		emit_wait(DP_CAP_GIL_WAIT_END, ts->run_first_ns, ts, tid, tid, 0, 1,
			  DP_F_UNREADABLE);
	else
		add_short_wait(ts, ts->run_first_ns);
	ts->wait_ns = 0;
	ts->wait_said = 0;
}

/*
 * pthread_cond_timedwait of take_gil: begins a wait, or re-arms it. CPython waits for one switch
 * interval (5 ms) and again until it gets the GIL: one logical wait.
 */
static __always_inline void on_wait(const struct dp_target *t, const struct dp_gil_site *s,
				    __u8 gil, struct dp_thread_state *ts, const struct who *w,
				    __u64 now)
{
	__u32 interval_us = s->interval_us ? s->interval_us : DEFAULT_INTERVAL_US;
	__s64 holder;

	if (ts->wait_ns && ts->run_first_ns)
		wait_end_by_run(ts, w->tid);
	thread_not_held(ts, w->tid, now);
	if (!ts->wait_ns || ts->gil != gil) {
		ts->wait_ns = now;
		ts->wait_said = 0;
		ts->gil = gil;
		return;
	}
	if (ts->wait_said || now - ts->wait_ns < interval_us * 1000ULL)
		return;
	holder = gil_holder(t, s);
	ts->wait_said = 1;
	emit_wait(DP_CAP_GIL_WAIT_BEGIN, now, ts, w->tid,
		  holder > 0 ? tid_here(t, w->tgid, (__u32)holder) : 0, switch_number(s), 0,
		  holder < 0 ? DP_F_UNREADABLE : 0);
}

/* pthread_cond_signal of drop_gil woke a waiter: the calling thread has just released the GIL. */
static __always_inline void on_release(__u8 gil, struct dp_thread_state *ts, const struct who *w,
				       __u64 now)
{
	__u64 from = ts->take_ns;
	/* It cannot have held the GIL for longer than this. */
	__u64 longest = now - (from ? from : ts->notheld_ns);

	if (ts->wait_ns) {
		/*
		 * A waiter wakes words of the condition variable too (glibc before 2.41: g_refs,
		 * when a signaller is closing the group). Only one seen holding since releases.
		 */
		if (!ts->run_first_ns)
			return;
		wait_end_by_run(ts, w->tid);
	}
	if (!ts->run_first_ns)
		ts->gil = gil;
	if (longest >= run_min_ns) {
		struct dp_thread_state at = *ts;

		/* A row of looks says how much of the hold is proven where its take is unknown. */
		if (from)
			ts->run_first_ns = 0;
		thread_not_held(ts, w->tid, now);
		emit_span(DP_CAP_GIL_RELEASE, now, &at, w->tid, from, now, 0, at.run_off_ns, 0);
	} else {
		thread_not_held(ts, w->tid, now);
	}
}

/*
 * Wake of gil.mutex by a waiter: pthread_cond_timedwait leaves the mutex marked contended, so its
 * unlock is always a system call; the one made as the holder is the end of take_gil.
 */
static __always_inline void on_mutex_wake(const struct dp_target *t, const struct dp_gil_site *s,
					  __u8 gil, struct dp_thread_state *ts, const struct who *w,
					  __u64 now)
{
	__s64 holder;

	if (!ts->wait_ns || ts->gil != gil)
		return;
	holder = gil_holder(t, s);
	if (holder <= 0 || (__u32)holder != w->own_tid)
		return;
	if (ts->wait_said || now - ts->wait_ns >= run_min_ns)
		emit_wait(DP_CAP_GIL_WAIT_END, now, ts, w->tid, w->tid, switch_number(s), 1, 0);
	else
		add_short_wait(ts, now);
	ts->wait_ns = 0;
	ts->wait_said = 0;
	thread_held(ts, w->tid, gil, now);
	/* The edge source, where it is armed, was a few microseconds nearer to the take. */
	if (!ts->take_ns)
		ts->take_ns = now;
}

/* The GIL in which that word lies, and where in it; NULL none. */
static __always_inline const struct dp_gil_site *site_of(const struct dp_target *t, __u64 uaddr,
							 __u64 *ret_off, __u8 *ret_gil)
{
	const struct dp_gil_site *s = 0;

#pragma unroll
	for (int i = 0; i < DP_MAX_GILS; i++) {
		const struct dp_gil_site *g = &t->gils[i];

		if ((__u32)i >= t->gil_count || s)
			break;
		if (!g->addr || uaddr < g->addr || uaddr - g->addr >= g->size)
			continue;
		s = g;
		*ret_off = uaddr - g->addr;
		*ret_gil = (__u8)i;
	}
	return s;
}

/*
 * Where futex calls themselves are not seen: a waiter has been found with the GIL, or at work after it had
 * it. It cannot have taken it before it came back to the CPU, and what was between says no program.
 */
static __always_inline void wait_end_at_wake(struct dp_thread_state *ts, __u32 tid, __u64 now,
					     __u8 acquired)
{
	__u64 end = ts->woken_ns;

	if (ts->wait_said || end - ts->wait_ns >= run_min_ns)
		emit_wait_until(DP_CAP_GIL_WAIT_END, now, ts, tid, end, acquired);
	else
		add_short_wait(ts, end);
	ts->wait_ns = 0;
	ts->wait_said = 0;
	ts->woken_ns = 0;
}

/* It holds the GIL at `now`: since it came back. */
static __always_inline void wait_end_by_wake(struct dp_thread_state *ts, __u32 tid, __u64 now)
{
	__u64 end = ts->woken_ns;

	wait_end_at_wake(ts, tid, now, 1);
	ts->run_first_ns = end;
	if (!ts->take_ns)
		ts->take_ns = end;
}

static __always_inline bool wants_cpu(struct task_struct *task)
{
	struct task_struct___before_5_14 *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return !BPF_CORE_READ(task, __state);
	return !BPF_CORE_READ(old, state);
}

/* Only the holder can give the GIL up, so one that left the CPU with it has it until it is back. */
static __always_inline void switched_in(struct task_struct *next)
{
	struct dp_thread_state *ts;
	__u32 tid = next->pid;
	__u64 now, since;

	if (is_resting(next->tgid, DP_SOURCE_SCHED)) {
		thread_unseen(tid);
		return;
	}
	ts = bpf_map_lookup_elem(&thread_state, &tid);
	if (!ts)
		return;
	now = bpf_ktime_get_ns();
	if (!ts->off_since_ns) {
		/* Off the CPU it cannot have taken the GIL. */
		if (ts->notheld_ns && !ts->run_first_ns && !ts->unseen)
			ts->notheld_ns = now;
		return;
	}
	since = ts->off_since_ns;
	ts->off_since_ns = 0;
	ts->run_off_ns += now - since;
	ts->run_last_ns = now;
	if (now - since >= run_min_ns)
		emit_span(DP_CAP_GIL_OFFCPU, now, ts, tid, since, now, 0, now - since,
			  ts->off_runnable);
	else
		add_short_off(ts, now - since);
}

#endif
