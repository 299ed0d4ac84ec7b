// SPDX-License-Identifier: MIT
/*
 * Waits for the GIL without a program at the system calls: a thread that goes to sleep in futex on a word
 * of the GIL waits for it. Where it has got it shows in its first look at itself as the holder, so its end
 * is told a little later (a sample, or its next switch, at most some 20 ms) with the time at which it came
 * back to the CPU. Releases and hand-overs are in waking.bpf.c.
 */
#include "gil_wait.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Asleep in a futex call on a word of the GIL: 1 to be given it, 2 for its mutex; 0 no. */
static __always_inline int sleeps_in_gil(const struct dp_target *t, struct task_struct *task,
					 __u8 *ret_gil)
{
	struct pt_regs *regs = task_regs(task);
	const struct dp_gil_site *s;
	__u64 off = 0;

	if (syscall_nr(regs) != NR_FUTEX)
		return 0;
	s = site_of(t, arg(regs, 0), &off, ret_gil);
	if (!s || off < s->off_cond || off >= s->off_switch_cond)
		return 0;
	if (off >= s->off_mutex)
		return 2;
	return ((__u32)arg(regs, 1) & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

/* A wait that has begun before the switches were left alone may end unseen. */
static __always_inline void wait_unseen(__u32 tid)
{
	struct dp_thread_state *ts = bpf_map_lookup_elem(&thread_state, &tid);

	if (!ts)
		return;
	ts->wait_ns = 0;
	ts->wait_said = 0;
	ts->woken_ns = 0;
}

static __always_inline void switched_out(struct task_struct *prev, bool preempted)
{
	bool asleep = !preempted && !wants_cpu(prev);
	__u32 tgid = prev->tgid;
	struct dp_target *t = target_of(tgid);
	struct dp_thread_state *ts;
	int held, sleep = 0;
	struct who w;
	__u64 now;
	__u8 gil = 0;

	/* An exiting thread has no memory to look at; lifecycle.bpf.c closes its books. */
	if (!t || !t->gil_count || prev->flags & PF_EXITING)
		return;
	if (t->resting & 1u << DP_SOURCE_SCHED) {
		thread_unseen(prev->pid);
		wait_unseen(prev->pid);
		return;
	}
	now = bpf_ktime_get_ns();
	who_is(&w, t, prev, tgid, prev->pid);
	ts = thread_of(t, &w);
	if (!ts)
		return;
	if (asleep)
		sleep = sleeps_in_gil(t, prev, &gil);
	if (sleep == 1 && gil < DP_MAX_GILS) {
		ts->woken_ns = 0;
		on_wait(t, &t->gils[gil], gil, ts, &w, now);
		return;
	}
	held = thread_look(t, ts, &w, now);
	if (held == 1) {
		if (ts->wait_ns && ts->woken_ns)
			wait_end_by_wake(ts, w.tid, now);
		ts->off_since_ns = now;
		ts->off_runnable = !asleep;
		ts->off_exec_ns = prev->se.sum_exec_runtime;
	} else if (held == 0 && asleep && !sleep && ts->wait_ns && ts->woken_ns) {
		/* Asleep elsewhere: take_gil() is behind it, and it has let the GIL go again. */
		wait_end_at_wake(ts, w.tid, now, 0);
	}
}

SEC("tp_btf/sched_switch")
int BPF_PROG(dp_sched_switch_futex, bool preempt, struct task_struct *prev,
	     struct task_struct *next)
{
	struct dp_thread_state *ts;
	__u32 tid = next->pid;

	if (maybe_watched(prev->tgid)) {
		note_ran(prev->tgid);
		switched_out(prev, preempt);
	}
	if (!maybe_watched(next->tgid))
		return 0;
	note_ran(next->tgid);
	ts = bpf_map_lookup_elem(&thread_state, &tid);
	if (ts && ts->wait_ns && !ts->run_first_ns)
		ts->woken_ns = bpf_ktime_get_ns();
	switched_in(next);
	return 0;
}
