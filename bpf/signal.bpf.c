/* SPDX-License-Identifier: MIT */
/* Signals to watched processes: sent by whom, delivered when, and what the process does with it. */
#include "emit.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* include/uapi/asm-generic/siginfo.h; sent by a process: kill, sigqueue, tgkill. */
#define SI_USER  0
#define SI_QUEUE (-1)
#define SI_TKILL (-6)

/*
 * Field by field: clang 14 drops the stores before the copy of a struct that is partly constant
 * (the header's cpu and seq, and half of the body, were missing).
 */
static __always_inline void emit_signal(__u32 tgid, __u32 tid, enum dp_signal_kind kind, int sig,
					__u8 group, __u8 disposition, __u8 result, __u32 sender)
{
	struct {
		struct dp_capture h;
		struct dp_signal_op b;
	} *c = capture_reserve(DP_CAP_SIGNAL, sizeof(*c), bpf_ktime_get_ns(), tgid, tid);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.kind = kind;
	c->b.signal = (__u8)sig;
	c->b.group = group;
	c->b.disposition = disposition;
	c->b.result = result;
	c->b.sender_pid = sender;
	capture_submit(c);
}

/*
 * The siginfo is a pointer or one of two marks (include/linux/sched/signal.h): SEND_SIG_NOINFO 0, a
 * process without details; SEND_SIG_PRIV 1, the kernel.
 */
static __always_inline bool sent_by_process(struct kernel_siginfo *info)
{
	int code = SI_USER;

	if ((unsigned long)info == 1)
		return 0;
	if (info)
		code = BPF_CORE_READ(info, si_code);
	return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(dp_signal_generate, int sig, struct kernel_siginfo *info, struct task_struct *task,
	     int group, int result)
{
	if (!target_of(task->tgid))
		return 0;
	emit_signal(task->tgid, task->pid, DP_SIGNAL_GENERATED, sig, group != 0, 0, (__u8)result,
		    sent_by_process(info) ? bpf_get_current_pid_tgid() >> 32 : 0);
	return 0;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(dp_signal_deliver, int sig, struct kernel_siginfo *info, struct k_sigaction *ka)
{
	__u64 id = bpf_get_current_pid_tgid();
	unsigned long handler;
	__u8 disposition = DP_SIGDISP_CAUGHT;

	if (!target_of(id >> 32))
		return 0;
	handler = (unsigned long)ka->sa.sa_handler;
	if (handler == 0)
		disposition = DP_SIGDISP_DEFAULT;
	if (handler == 1)
		disposition = DP_SIGDISP_IGNORED;
	emit_signal(id >> 32, (__u32)id, DP_SIGNAL_DELIVERED, sig, 0, disposition, 0, 0);
	return 0;
}
