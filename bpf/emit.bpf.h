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
 * Adds one and returns the new value. Atomic, because the cpu-clock interrupt may come between
 * load and store, and since 6.x uprobe programs can be preempted. Kernels before 5.12 lack
 * BPF_FETCH (commit 5ca419f2864a): there the agent rewrites the marked instructions in place into
 * load, add, store, so their registers and order are fixed (bpf_source.c, without_fetch). Written
 * as a number since clang 14 has no assembler syntax for it.
 */
static __always_inline __u64 bump(__u64 *counter)
{
	__u64 v;

	asm volatile("r1 = %[counter]\n\t"
		     "r0 = 1\n\t"
		     ".quad 0x00000001000001db\n\t" /* r0 = atomic_fetch_add((u64 *)(r1 + 0), r0) */
		     "r0 += 1\n\t"
		     "r0 += 0\n\t"
		     "%[v] = r0"
		     : [v] "=r"(v)
		     : [counter] "r"(counter)
		     : "r0", "r1", "memory");
	return v;
}

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
	bpf_ringbuf_submit(c, waiting - wake_bytes < WAKE_WINDOW ? BPF_RB_FORCE_WAKEUP :
								   BPF_RB_NO_WAKEUP);
}

#endif
