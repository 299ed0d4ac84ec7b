// SPDX-License-Identifier: MIT
/* Signals to watched processes: sent by whom, delivered when, and what the process does with it. */
#include "emit.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* include/uapi/asm-generic/siginfo.h; sent by a process: kill, sigqueue, tgkill. */
#define SI_USER  0
#define SI_QUEUE (-1)
#define SI_TKILL (-6)

/* include/trace/events/signal.h */
#define TRACE_SIGNAL_IGNORED 1

#define WINDOW_NS 1000000000ULL

/* A series of signals that are the same; sender_pid 0 the kernel, DELIVERED any. */
struct signal_series {
	__u32 pid;
	__u32 sender_pid;
	__u32 signal;
	__u32 kind; /* enum dp_signal_kind */
};

struct signal_window {
	__u64 from_ns;
	__u32 count;
	__u32 pad;
};

/* The oldest series leaves when there are too many: it begins anew then, which bounds as well. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct signal_series);
	__type(value, struct signal_window);
} signal_windows SEC(".maps");

/*
 * Is it one too many of its series in this second? A process can send itself 100,000 signals a second and
 * more. Counted per CPU without a lock: two at once may let one more pass.
 */
static __always_inline bool is_flood(__u32 pid, __u32 sender_pid, int sig, __u32 kind)
{
	struct signal_series series = {pid, sender_pid, (__u32)sig, kind};
	struct signal_window *w = bpf_map_lookup_elem(&signal_windows, &series);
	struct signal_window first = {.from_ns = bpf_ktime_get_ns(), .count = 1};
	struct dp_cpu_state *cpu;

	if (!w) {
		bpf_map_update_elem(&signal_windows, &series, &first, BPF_ANY);
		return 0;
	}
	if (first.from_ns - w->from_ns >= WINDOW_NS) {
		w->from_ns = first.from_ns;
		w->count = 0;
	}
	w->count++;
	if (w->count <= DP_SIGNALS_MAX)
		return 0;
	cpu = this_cpu();
	if (cpu)
		bump(&cpu->signals);
	return 1;
}

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
	__u32 sender;

	/* Nothing happens in the target: Python ignores SIGPIPE, and an orphan gets one with each line
	 * that it prints. */
	if (result == TRACE_SIGNAL_IGNORED || !is_told(task->tgid))
		return 0;
	sender = sent_by_process(info) ? bpf_get_current_pid_tgid() >> 32 : 0;
	if (!is_flood(task->tgid, sender, sig, DP_SIGNAL_GENERATED))
		emit_signal(task->tgid, task->pid, DP_SIGNAL_GENERATED, sig, group != 0, 0,
			    (__u8)result, sender);
	return 0;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(dp_signal_deliver, int sig, struct kernel_siginfo *info, struct k_sigaction *ka)
{
	__u64 id = bpf_get_current_pid_tgid();
	unsigned long handler;
	__u8 disposition = DP_SIGDISP_CAUGHT;

	if (!target_of(id >> 32) || is_flood(id >> 32, 0, sig, DP_SIGNAL_DELIVERED))
		return 0;
	handler = (unsigned long)ka->sa.sa_handler;
	if (handler == 0)
		disposition = DP_SIGDISP_DEFAULT;
	if (handler == 1)
		disposition = DP_SIGDISP_IGNORED;
	emit_signal(id >> 32, (__u32)id, DP_SIGNAL_DELIVERED, sig, 0, disposition, 0, 0);
	return 0;
}
