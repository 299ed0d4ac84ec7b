/* SPDX-License-Identifier: MIT */
/*
 * The one way a capture leaves the kernel: reserve, fill, submit. The per-CPU sequence number rises
 * with the attempt, so that what the full ring refused shows as a gap as well as a count.
 */
#ifndef DORA_PROBE_EMIT_BPF_H
#define DORA_PROBE_EMIT_BPF_H

#include "maps.bpf.h"

static __always_inline struct dp_cpu_state *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_state, &zero);
}

static __always_inline void count_loss(enum dp_loss loss)
{
	struct dp_cpu_state *c = this_cpu();

	if (c)
		__sync_fetch_and_add(&c->loss[loss], 1);
}

/*
 * Adds one and returns the new value: a load and a store, without the atomic that fetches (BPF_FETCH),
 * which kernels before 5.12 refuse (commit 5ca419f2864a). The counters are per CPU, so only the
 * cpu-clock interrupt, or since 6.x a program that preempts a uprobe's, can come between the two.
 * Then both get the same number, which the agent takes as what it is: no gap. With an atomic add and a
 * read of its own, one number would be left out, and a loss reported that is none.
 */
static __always_inline __u64 bump(__u64 *counter)
{
	volatile __u64 *c = counter;
	__u64 v = *c + 1;

	*c = v;
	return v;
}

/*
 * Copies `n` bytes of the target, at most `room` (a constant): what bpf_probe_read_user returns. The
 * bound and the call are one piece of assembly, because a verifier accepts the length only with a bound
 * on the very register that the helper gets. Left to clang, the comparison may be made on the lower
 * half of the register, or on a value that is then loaded anew from the stack: 5.10 and 6.1 refuse
 * that ("R2 min value is negative").
 */
#define read_user_bounded(to, n, room, from)                                                       \
	({                                                                                         \
		long ret_r_;                                                                       \
		asm volatile("r1 = %[to_]\n\t"                                                     \
			     "r2 = %[n_]\n\t"                                                      \
			     "r3 = %[from_]\n\t"                                                   \
			     "if r2 <= %[room_] goto +1\n\t"                                       \
			     "r2 = %[room_]\n\t"                                                   \
			     "call 112\n\t" /* bpf_probe_read_user */                              \
			     "%[ret_] = r0"                                                        \
			     : [ret_] "=r"(ret_r_)                                                 \
			     : [to_] "r"(to), [n_] "r"((__u64)(n)), [from_] "r"((__u64)(from)),    \
			       [room_] "i"(room)                                                   \
			     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");                      \
		ret_r_;                                                                            \
	})

/* `size` must be a constant. NULL: lost and counted. */
static __always_inline void *capture_reserve(enum dp_capture_type type, __u32 size, __u64 t_ns,
					     __u32 pid, __u32 tid)
{
	struct dp_cpu_state *c = this_cpu();
	struct dp_capture *h;
	__u32 seq;

	if (!c)
		return 0;
	seq = (__u32)bump(&c->seq);
	h = bpf_ringbuf_reserve(&events, size, 0);
	if (!h) {
		__sync_fetch_and_add(&c->loss[DP_LOSS_RING_FULL], 1);
		return 0;
	}
	h->type = type;
	h->flags = 0;
	h->size = size;
	h->t_ns = t_ns;
	h->pid = pid;
	h->tid = tid;
	h->cpu = bpf_get_smp_processor_id();
	h->seq = seq;
	return h;
}

/*
 * Hands a capture over without waking the agent, which looks every 10 ms anyway: a wake-up per
 * capture costs the watched processes far more than all of these programs (an interrupt and two
 * context switches each: a flat-out flow lost half of its rate by them). Only a ring that fills up
 * wakes it.
 */
#define WAKE_WINDOW 8192 /* more than the largest capture */

static __always_inline void capture_submit(void *c)
{
	__u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	/* Once as the mark is passed, not for each capture beyond it. */
	bpf_ringbuf_submit(c, waiting - wake_bytes < WAKE_WINDOW ? BPF_RB_FORCE_WAKEUP
								 : BPF_RB_NO_WAKEUP);
}

/* Submits a capture of what may have left before the next look: the agent is woken. */
static __always_inline void capture_submit_now(void *c)
{
	bpf_ringbuf_submit(c, BPF_RB_FORCE_WAKEUP);
}

#endif
