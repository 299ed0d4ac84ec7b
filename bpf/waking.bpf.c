/* SPDX-License-Identifier: MIT */
/*
 * What the thread that wakes another one was doing: sends to its daemon, which may have read the frame
 * and answered before the sender is back from the kernel.
 */
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
	}
	return 0;
}
