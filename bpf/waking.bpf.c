// SPDX-License-Identifier: MIT
/*
 * What the thread that wakes another one was doing. It sends to its daemon, which may have read the frame
 * and answered before the sender is back from the kernel; or it wakes a thread that sleeps on a word of
 * the GIL.
 */
#include "gil_wait.bpf.h"
#include "socket.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The time of a send is that of the first wake-up that it has caused. */
static __always_inline void on_wake_by_send(const struct pt_regs *regs, __u64 id)
{
	struct dp_sock_key key = {.pid = id >> 32, .fd = (__s32)arg(regs, 0)};
	struct dp_sock_state *mark = bpf_map_lookup_elem(&sockets, &key), *s;
	__u64 sk;

	if (!mark || !mark->sock)
		return;
	sk = mark->sock;
	s = bpf_map_lookup_elem(&streams, &sk);
	if (!s || (s->entered_ns && s->entered_tid == (__u32)id))
		return;
	s->entered_tid = (__u32)id;
	s->entered_ns = bpf_ktime_get_ns();
}

/* Does that thread wait for the GIL? */
static __always_inline bool is_waiter(__u32 tid)
{
	struct dp_thread_state *ts = bpf_map_lookup_elem(&thread_state, &tid);

	return ts && ts->wait_ns;
}

/*
 * The calls of gil.bpf.c, where somebody sleeps: of drop_gil, the wake of a waiter; of take_gil, the wake of
 * the one that was forced to let go (switch_cond), or of one that waits for the mutex.
 */
static __always_inline void on_wake_by_futex(const struct pt_regs *regs, __u64 id, __u32 woken)
{
	struct dp_target *t = target_of(id >> 32);
	const struct dp_gil_site *s;
	struct dp_thread_state *ts;
	__u64 off = 0, now;
	struct who w;
	__u8 gil = 0;

	if (!t || ((__u32)arg(regs, 1) & FUTEX_CMD_MASK) != FUTEX_WAKE)
		return;
	s = site_of(t, arg(regs, 0), &off, &gil);
	if (!s || off < s->off_cond)
		return;
	now = bpf_ktime_get_ns();
	who_is(&w, t, (void *)bpf_get_current_task(), id >> 32, (__u32)id);
	ts = thread_of(t, &w);
	if (!ts)
		return;
	if (off >= s->off_switch_cond) {
		if (thread_look(t, ts, &w, now) == 1 && ts->wait_ns && ts->woken_ns)
			wait_end_by_wake(ts, w.tid, now);
	} else if (off >= s->off_mutex) {
		on_mutex_wake(t, s, gil, ts, &w, now);
	} else {
		/* What it waits for itself it must have had, if it gives it to another waiter now. */
		if (ts->wait_ns && ts->woken_ns && !ts->run_first_ns && is_waiter(woken))
			wait_end_by_wake(ts, w.tid, now);
		on_release(gil, ts, &w, now);
	}
}

SEC("tp_btf/sched_waking")
int BPF_PROG(dp_sched_waking, struct task_struct *p)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct pt_regs *regs;

	if (!maybe_watched(id >> 32))
		return 0;
	regs = task_regs(bpf_get_current_task_btf());
	switch (syscall_nr(regs)) {
	case NR_WRITE:
	case NR_WRITEV:
	case NR_SENDTO:
	case NR_SENDMSG:
		on_wake_by_send(regs, id);
		break;
	case NR_FUTEX:
		if (traced_futex)
			on_wake_by_futex(regs, id, p->pid);
		break;
	}
	return 0;
}
