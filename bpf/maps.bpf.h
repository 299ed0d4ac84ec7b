/* SPDX-License-Identifier: MIT */
/*
 * Maps and settings that the programs share. Every file carries them as weak symbols, so that the
 * static linker keeps one of each; the agent resizes and fills them.
 */
#ifndef DORA_PROBE_MAPS_BPF_H
#define DORA_PROBE_MAPS_BPF_H

#include "kernel.bpf.h"
#include "dora_probe/capture.h"
#include "dora_probe/names.h"

#define DP_WATCH_HINTS 1024

/* Slots of the prog arrays in syscall.bpf.h; the agent fills them (bpf_source.c, families). */
enum dp_family { DP_FAMILY_GIL, DP_FAMILY_SOCKET, DP_FAMILY_REGION, DP_FAMILY_COUNT };

/*
 * Where the copy of a call's bytes is that need more than one piece. Kept in a map, because the
 * verifier would follow each of these values through every round of the loop if they were on the
 * stack.
 */
struct dp_copy_state {
	__u64 t_ns;
	struct dp_sock_data piece;
	__u64 from;      /* address of the piece in the target */
	__u64 base, len; /* rest of the current buffer */
	__u64 vec;       /* next element of the iovec array */
	__u32 vecs;      /* elements still to come */
	__u32 left;      /* bytes of the call still to come */
	__u64 tail; /* address of the last bytes of a call that is too long to be copied; 0 none */
	__u16 closes; /* `last` of the last piece: 1, or 0 where a tail comes after it */
	__u16 ended;  /* the last piece was made */
	__u32 pad;
};

#define DP_MAX_BORN     1024
#define DP_VARIABLE_MAX 4096

struct dp_variable {
	__u64 words[DP_VARIABLE_MAX / 8];
};

/*
 * Between the two a program keeps its CPU, where the kernel lets it (preempt.bpf.c). Tracepoints at
 * system calls can be preempted since 6.13, on 7.2 others too: then another thread's run of the same
 * program is skipped on that CPU, for as long as the first one does not go on (1,519 runs in 100 s of
 * an emulated machine), and another program finds the scratch memory of the first. Return 0.
 */
extern __hidden int keep_cpu(void);
extern __hidden int give_cpu(void);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dp_cpu_state);
} cpu_state SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_TARGETS);
	__type(key, __u32);
	__type(value, struct dp_target);
} targets SEC(".maps") __weak;

/* Daemons of watched processes. One that has ended leaves when there are too many. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DP_MAX_TARGETS);
	__type(key, __u32);
	__type(value, __u8);
} daemons SEC(".maps") __weak;

/*
 * Processes that began with a node's configuration, which the agent may not have heard of when they
 * end: their end is told whatever it knows.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DP_MAX_BORN);
	__type(key, __u32);
	__type(value, __u8);
} born SEC(".maps") __weak;

/* A variable of an environment while it is looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dp_variable);
} variable SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_THREADS);
	__type(key, __u32);
	__type(value, struct dp_thread_state);
} thread_state SEC(".maps") __weak;

/* Threads of targets in other PID namespaces: tgid << 32 | tid there -> tid here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_THREADS);
	__type(key, __u64);
	__type(value, __u32);
} ns_tids SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_TARGETS *DP_MAX_GILS);
	__type(key, __u64);
	__type(value, struct dp_edge_state);
} edges SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_TARGETS);
	__type(key, __u32);
	__type(value, struct dp_share_state);
} shares SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_SOCKETS);
	__type(key, struct dp_sock_key);
	__type(value, struct dp_sock_state);
} sockets SEC(".maps") __weak;

/* Connections that the socket tracepoints follow, by struct sock. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_SOCKETS);
	__type(key, __u64);
	__type(value, struct dp_sock_state);
} streams SEC(".maps") __weak;

/* Connections with more than one descriptor (dup): how many. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_SOCKETS);
	__type(key, __u64);
	__type(value, __u32);
} conn_fds SEC(".maps") __weak;

/* Regions that are open and not mapped yet, by descriptor; the mapping takes the entry over. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_SOCKETS);
	__type(key, struct dp_sock_key);
	__type(value, struct dp_region_state);
} region_fds SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_REGIONS);
	__type(key, struct dp_region_key);
	__type(value, struct dp_region_state);
} regions SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_THREADS);
	__type(key, __u32);
	__type(value, struct dp_copy_state);
} copies SEC(".maps") __weak;

const volatile __u64 run_min_ns __weak = DP_RUN_MIN_NS;
/* Bytes that may wait in the ring before the agent is woken. */
const volatile __u64 wake_bytes __weak = 1 << 20;
const volatile __u32 trace_all_exec __weak = 0;
/* 1: futex calls are seen where they put to sleep and wake, not by a program at the system calls. */
__u32 traced_futex __weak = 0;

/*
 * How many watched processes fall on tgid modulo DP_WATCH_HINTS: one load that spares the
 * strangers' system calls and context switches the hash lookup. Written by the agent.
 */
__u16 watch_hints[DP_WATCH_HINTS] __weak = {};

/*
 * Rises whenever a thread of a watched process leaves or gets a CPU, or is found on one by the clock:
 * where it stands still nothing of the process has changed. By the same number as the hints.
 */
__u32 watch_ran[DP_WATCH_HINTS] __weak = {};

static __always_inline bool maybe_watched(__u32 tgid)
{
	return watch_hints[tgid % DP_WATCH_HINTS];
}

/*
 * Sources that a watched process floods, and that are left alone for a while: bit per enum dp_source. By the same
 * number as the hints: where a bit stands, its target says whether it is this process. Written by the agent.
 */
__u16 watch_resting[DP_WATCH_HINTS] __weak = {};

static __always_inline void note_ran(__u32 tgid)
{
	__sync_fetch_and_add(&watch_ran[tgid % DP_WATCH_HINTS], 1);
}

static __always_inline struct dp_target *target_of(__u32 tgid)
{
	if (!maybe_watched(tgid))
		return 0;
	return bpf_map_lookup_elem(&targets, &tgid);
}

/* Is this source of the process left alone? */
static __always_inline bool is_resting(__u32 tgid, enum dp_source source)
{
	struct dp_target *t;

	if (!(watch_resting[tgid % DP_WATCH_HINTS] & 1u << source))
		return 0;
	t = bpf_map_lookup_elem(&targets, &tgid);
	return t && t->resting & 1u << source;
}

/*
 * A signal to, or the end of, a process that is watched or is the daemon of one: `dora run` takes SIGINT
 * for a Stop of all.
 */
static __always_inline bool is_told(__u32 tgid)
{
	return target_of(tgid) || bpf_map_lookup_elem(&daemons, &tgid);
}

#endif
