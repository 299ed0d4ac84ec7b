// SPDX-License-Identifier: MIT
/* Birth and death of watched processes and threads; closes the books of what dies. */
#include "birth.bpf.h"
#include "gil.bpf.h"
#include "socket.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/*
 * Descriptors that are looked through at a process's exit. Its sockets have low ones (3 to 6 in
 * dora up to 0.5, about 40 in 1.x); the agent closes and forgets the others when it sees EXIT. The verifier
 * walks the loop: with 256 it took a third of all the time that loading takes.
 */
#define EXIT_FDS 64

/* What is known of a thread's GIL ends with it. */
static __always_inline void thread_end(__u32 tgid, __u32 tid, __u64 now)
{
	struct dp_thread_state *ts = bpf_map_lookup_elem(&thread_state, &tid);

	if (ts) {
		if (ts->wait_ns && !ts->run_first_ns &&
		    (ts->wait_said || now - ts->wait_ns >= run_min_ns))
			emit_wait(DP_CAP_GIL_WAIT_END, now, ts, tid, 0, 0, 0, 0);
		if (ts->off_since_ns)
			came_back(ts, tid, now);
		thread_not_held(ts, tid, now);
		bpf_map_delete_elem(&thread_state, &tid);
	}
	bpf_map_delete_elem(&copies, &tid);
}

static __always_inline void program_began(struct task_struct *p)
{
	struct {
		struct dp_capture h;
		struct dp_exec_op b;
	} * c;
	__u32 tgid = p->tgid, config_len = 0;
	struct dp_target *t = target_of(tgid);
	__u64 now = bpf_ktime_get_ns();
	const unsigned char *name;

	if (!t && !trace_all_exec)
		return;
	if (t) {
		/* The addresses were those of the program that is gone. */
		t->gil_count = 0;
		thread_end(tgid, p->pid, now);
	}
	if (trace_all_exec)
		config_len = emit_config(p, now);
	c = capture_reserve(DP_CAP_EXEC, sizeof(*c), now, tgid, p->pid);
	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.config_len = config_len;
	c->b.started_ns = started_ns(p);
	c->b.parent_pid = BPF_CORE_READ(p, real_parent, tgid);
	name = BPF_CORE_READ(p, mm, exe_file, f_path.dentry, d_name.name);
	bpf_probe_read_kernel_str(c->b.exe, sizeof(c->b.exe), name);
	/* What it is stands in /proc, which is gone with it: some live for a millisecond. */
	capture_submit_now(c);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(dp_exec, struct task_struct *p)
{
	keep_cpu();
	program_began(p);
	give_cpu();
	return 0;
}

static __always_inline void thread_began(struct task_struct *parent, struct task_struct *child)
{
	struct {
		struct dp_capture h;
		struct dp_fork_op b;
	} * c;

	if (!target_of(parent->tgid))
		return;
	c = capture_reserve(DP_CAP_FORK, sizeof(*c), bpf_ktime_get_ns(), parent->tgid, parent->pid);
	if (!c)
		return;
	c->b.child_pid = child->tgid;
	c->b.child_tid = child->pid;
	capture_submit(c);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(dp_fork, struct task_struct *parent, struct task_struct *child)
{
	keep_cpu();
	thread_began(parent, child);
	give_cpu();
	return 0;
}

/* The status that wait(2) gives, as wait_task_zombie (kernel/exit.c) makes it. */
static __always_inline int wait_status(struct task_struct *p)
{
	struct signal_struct *sig = p->signal;

	if (sig->flags & SIGNAL_GROUP_EXIT)
		return sig->group_exit_code;
	return p->group_leader->exit_code;
}

static __always_inline void thread_ended(struct task_struct *p)
{
	struct {
		struct dp_capture h;
		struct dp_exit_op b;
	} * c;
	__u32 tgid = p->tgid, tid = p->pid;
	struct dp_target *t = target_of(tgid);
	__u64 now = bpf_ktime_get_ns();
	bool last;

	/* do_exit has counted the thread off before it comes here. */
	last = p->signal->live.counter == 0;
	/* Of a daemon its end alone, not that of each thread. */
	if (!t && (!last || (!is_told(tgid) && !bpf_map_lookup_elem(&born, &tgid))))
		return;
	/* First, while there is one way that leads here: the verifier walks the loop for each. */
	if (last && t && t->watch_sockets)
		for (int fd = 0; fd < EXIT_FDS; fd++)
			socket_unmark(tgid, tid, fd, CLOSE_EXIT);
	if (last)
		bpf_map_delete_elem(&born, &tgid);
	if (t)
		thread_end(tgid, tid, now);
	if (t && t->other_pid_ns) {
		__u64 key = (__u64)tgid << 32 | task_own_tid(p);

		bpf_map_delete_elem(&ns_tids, &key);
	}
	c = capture_reserve(DP_CAP_EXIT, sizeof(*c), now, tgid, tid);
	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.status = last ? wait_status(p) : p->exit_code;
	c->b.is_process = last;
	capture_submit(c);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(dp_exit, struct task_struct *p)
{
	keep_cpu();
	thread_ended(p);
	give_cpu();
	return 0;
}
