// SPDX-License-Identifier: MIT
/*
 * Exact takes and releases of one armed process: pthread_cond_signal of its libc. take_gil always
 * ends in pthread_cond_signal(&gil->switch_cond) and drop_gil always calls
 * pthread_cond_signal(&gil->cond), whether anybody waits or not (CPython 3.8–3.15).
 */
#include "gil.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void on_take(struct dp_edge_state *e, struct dp_thread_state *ts, __u8 gil,
				    __u32 tid, __u64 now)
{
	e->take_ns = now;
	e->take_tid = tid;
	thread_not_held(ts, tid, now);
	thread_held(ts, tid, gil, now);
	ts->take_ns = now;
	ts->edge_take_ns = now;
}

static __always_inline void on_release(struct dp_edge_state *e, struct dp_thread_state *ts,
				       __u8 gil, __u32 tid, __u64 now)
{
	bool closed = e->take_ns > e->release_ns && e->take_tid == tid;
	bool older = !e->releases && !e->take_ns;
	__u64 held = closed ? now - e->take_ns : 0;

	if (!ts->run_first_ns)
		ts->gil = gil;
	if (older || held >= run_min_ns)
		emit_span(DP_CAP_GIL_EDGE_HOLD, now, ts, tid, closed ? e->take_ns : 0, now, 0,
			  ts->run_off_ns, 0);
	/* The exact hold says all that the row of looks could. */
	if (closed)
		ts->run_first_ns = 0;
	thread_not_held(ts, tid, now);
	e->held_ns += held;
	e->release_ns = now;
	e->release_tid = tid;
	e->releases++;
}

/*
 * Words of the stack that are looked through for who called PyEval_SaveThread or PyEval_RestoreThread: these
 * two and what they call have some 100 to 200 bytes of frames.
 */
#define CALLER_WORDS 32

/* Does dora's library let go of the GIL here, or take it? What lies there from earlier calls may say so too. */
static __always_inline bool is_in_dora(const struct dp_target *t, __u64 sp)
{
	__u64 from = t->dora.from, size = t->dora.to - from, words[CALLER_WORDS];
	bool in = 0;

	if (!from || bpf_probe_read_user(words, sizeof(words), (void *)sp))
		return 0;
#pragma unroll
	for (int i = 0; i < CALLER_WORDS; i++)
		in |= words[i] - from < size;
	return in;
}

/*
 * The program stands at the entries of dora's methods that take events, too: next() lets go of the GIL, the others do
 * not (dora_calls.c).
 */
static __always_inline bool on_dora_call(struct dp_target *t, struct pt_regs *ctx, __u64 id)
{
	__u64 from = t->dora.from, ip = interrupted_at(ctx), now = bpf_ktime_get_ns();
	__u64 key = (id >> 32) * DP_MAX_GILS;
	struct dp_thread_state *ts;
	struct dp_edge_state *e;
	struct who w;

	if (!from || ip - from >= t->dora.to - from)
		return 0;
	who_is(&w, t, (void *)bpf_get_current_task(), id >> 32, (__u32)id);
	ts = thread_of(t, &w);
	if (ts)
		ts->polled_ns = ts->called_ns = now;
	e = bpf_map_lookup_elem(&edges, &key);
	if (e)
		e->polled_ns = now;
	return 1;
}

SEC("uprobe")
int dp_edge(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	__u64 cond = first_argument(ctx);
	struct dp_target *t = target_of(id >> 32);
	struct dp_thread_state *ts;
	struct dp_edge_state *e;
	__u64 key = (id >> 32) * DP_MAX_GILS;
	struct who w;
	int hit = 0; /* 1 take, 2 release */
	__u8 gil = 0;

	if (!t)
		return 0;
	if (on_dora_call(t, ctx, id))
		return 0;
#pragma unroll
	for (int i = 0; i < DP_MAX_GILS; i++) {
		const struct dp_gil_site *s = &t->gils[i];

		if ((__u32)i >= t->gil_count || hit)
			break;
		if (!s->addr)
			continue;
		if (cond == s->addr + s->off_switch_cond)
			hit = 1;
		else if (cond == s->addr + s->off_cond)
			hit = 2;
		gil = (__u8)i;
	}
	if (!hit)
		return 0;
	key += gil;
	e = bpf_map_lookup_elem(&edges, &key);
	if (!e || !e->armed_ns)
		return 0;
	who_is(&w, t, (void *)bpf_get_current_task(), id >> 32, (__u32)id);
	ts = thread_of(t, &w);
	if (!ts)
		return 0;
	if (ts->off_since_ns)
		came_back(ts, w.tid, now);
	/* Its first take after such a call is where next() returns; for one that keeps the GIL a little later. */
	if (is_in_dora(t, stack_pointer(ctx)))
		ts->polled_ns = now;
	if (hit == 1 && ts->called_ns) {
		ts->polled_ns = e->polled_ns = now;
		ts->called_ns = 0;
	}
	if (hit == 1)
		on_take(e, ts, gil, w.tid, now);
	else
		on_release(e, ts, gil, w.tid, now);
	return 0;
}
