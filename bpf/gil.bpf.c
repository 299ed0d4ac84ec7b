// SPDX-License-Identifier: MIT
/*
 * Who holds the GIL and who waits for it, from outside CPython: futex calls on the words of the
 * GIL's condition variable and mutex, context switches, and a slow cpu-clock.
 */
#include "gil_wait.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void on_futex(const struct pt_regs *regs)
{
	__u64 id = bpf_get_current_pid_tgid();
	const struct dp_gil_site *s;
	struct dp_thread_state *ts;
	struct dp_target *t;
	struct who w;
	__u64 off = 0, now;
	__u32 op;
	__u8 gil = 0;

	op = (__u32)arg(regs, 1) & FUTEX_CMD_MASK;
	if (op != FUTEX_WAIT_BITSET && op != FUTEX_WAKE)
		return;
	t = target_of(id >> 32);
	if (!t)
		return;
	s = site_of(t, arg(regs, 0), &off, &gil);
	if (!s || off < s->off_cond || off >= s->off_switch_cond)
		return;
	now = bpf_ktime_get_ns();
	who_is(&w, t, (void *)bpf_get_current_task(), id >> 32, (__u32)id);
	ts = thread_of(t, &w);
	if (!ts)
		return;
	if (ts->off_since_ns)
		came_back(ts, w.tid, now);
	if (off >= s->off_mutex) {
		if (op == FUTEX_WAKE)
			on_mutex_wake(t, s, gil, ts, &w, now);
	} else if (op == FUTEX_WAKE) {
		on_release(gil, ts, &w, now);
	} else {
		on_wait(t, s, gil, ts, &w, now);
	}
}

SEC("tp_btf/sys_enter")
int BPF_PROG(dp_gil_enter, struct pt_regs *regs, long nr)
{
	keep_cpu();
	on_futex(regs);
	give_cpu();
	return 0;
}

static __always_inline void switched_out(struct task_struct *prev, bool preempted)
{
	__u32 tgid = prev->tgid;
	struct dp_target *t = target_of(tgid);
	struct dp_thread_state *ts;
	struct who w;
	__u64 now;

	/* An exiting thread has no memory to look at; lifecycle.bpf.c closes its books. */
	if (!t || !t->gil_count || prev->flags & PF_EXITING)
		return;
	if (t->resting & 1u << DP_SOURCE_SCHED) {
		thread_unseen(prev->pid);
		return;
	}
	now = bpf_ktime_get_ns();
	who_is(&w, t, prev, tgid, prev->pid);
	ts = thread_of(t, &w);
	if (!ts || thread_look(t, ts, &w, now) != 1)
		return;
	ts->off_since_ns = now;
	ts->off_runnable = preempted || wants_cpu(prev);
	ts->off_exec_ns = prev->se.sum_exec_runtime;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(dp_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	if (maybe_watched(prev->tgid)) {
		note_ran(prev->tgid);
		switched_out(prev, preempt);
	}
	if (maybe_watched(next->tgid)) {
		note_ran(next->tgid);
		switched_in(next);
	}
	return 0;
}

static __always_inline bool in_bytecode_loop(const struct dp_target *t, __u64 ip)
{
	bool in = 0;

#pragma unroll
	for (int i = 0; i < DP_EVAL_RANGES; i++)
		in |= ip >= t->eval[i].from && ip < t->eval[i].to;
	return in;
}

SEC("perf_event")
int dp_sample(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct dp_cpu_state *c = this_cpu();
	struct dp_thread_state *ts;
	struct task_struct *task;
	struct dp_target *t;
	struct who w;
	__u64 ip;
	int held;

	if (c)
		__sync_fetch_and_add(&c->samples, 1);
	t = target_of(id >> 32);
	if (!t)
		return 0;
	note_ran(id >> 32);
	if (!t->gil_count)
		return 0;
	task = (void *)bpf_get_current_task();
	/* Its memory may be gone, see switched_out. */
	if (BPF_CORE_READ(task, flags) & PF_EXITING)
		return 0;
	who_is(&w, t, task, id >> 32, (__u32)id);
	ts = thread_of(t, &w);
	if (!ts)
		return 0;
	held = thread_look(t, ts, &w, bpf_ktime_get_ns());
	if (held >= 0)
		add_sample(w.tgid, held);
	if (held == 1 && ts->wait_ns && ts->woken_ns)
		wait_end_by_wake(ts, w.tid, bpf_ktime_get_ns());
	if (held != 1)
		return 0;
	/* Where the holder is: in the bytecode loop, or in native code. Not told from the kernel's
	 * addresses, whose highest bit is set. */
	ip = interrupted_at(ctx);
	if ((__s64)ip < 0)
		return 0;
	ts->run_samples++;
	ts->run_eval += in_bytecode_loop(t, ip);
	return 0;
}
