/* SPDX-License-Identifier: MIT */
/*
 * The kernel side as an object: loads bpf/, attaches it, hands its captures over, holds its maps.
 */
#ifndef DORA_PROBE_BPF_SOURCE_H
#define DORA_PROBE_BPF_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/capture.h"
#include "dora_probe/names.h"
#include "python/pyprocess.h"

struct dp_bpf;

/*
 * All but dp_bpf_open(), _attach() and _fd() take NULL for a machine without a kernel side (level sampling): nothing is seen
 * by it, and what is to be watched is watched by looks alone.
 */

/*
 * Sockets, regions and futex calls are seen by tracepoints that fire only where something happens, or by
 * the system calls of the whole machine, which every process pays for. AUTO takes the first where the
 * kernel has them; the environment's DORA_PROBE_SOURCES (syscalls, tracepoints) forces one.
 */
enum dp_bpf_way { DP_BPF_AUTO, DP_BPF_SYSCALLS, DP_BPF_TRACEPOINTS };

struct dp_bpf_options {
	enum dp_bpf_way way;
	size_t ring_bytes;      /* 0: 8 MiB; a power of two of pages */
	uint32_t sockets_max;   /* marked sockets; 0: DP_MAX_SOCKETS */
	uint32_t regions_max;   /* mapped regions; 0: DP_MAX_REGIONS */
	unsigned int sample_hz; /* cpu-clock; 0: 49 */
	uint64_t run_min_ns;    /* 0: DP_RUN_MIN_NS */
	bool trace_all_exec;    /* EXEC captures of every process, for --all/--node/--dataflow */
	/*
	 * Called, if not NULL, while nothing but births and deaths is told yet: the kernel checks the other programs for a
	 * while after it. Not called where the kernel refuses BPF.
	 */
	void (*begun)(void *ctx);
	void *begun_ctx;
	int verbose; /* above 0: libbpf's warnings on standard error */
};

/*
 * Opens and loads. On failure `why` has a sentence that ends in the command that mends it.
 * 0; -EPERM missing right; -ENOTSUP missing kernel feature; other -errno.
 */
int dp_bpf_open(const struct dp_bpf_options *o, struct dp_bpf **ret, char *why, size_t why_len);
/*
 * Attaches all programs but the edge uprobes. As above. Which sources are on: dp_bpf_sources. They are
 * detached with the last watched process and attached again with the next, but for the one that tells of
 * new programs.
 */
int dp_bpf_attach(struct dp_bpf *b, char *why, size_t why_len);
/* Detaches the programs while nothing is watched: once after dp_bpf_attach(), where nothing was found. */
void dp_bpf_rest(struct dp_bpf *b);
void dp_bpf_close(struct dp_bpf *b);
/* Those that are on while something is watched; bit per enum dp_source. */
uint32_t dp_bpf_sources(const struct dp_bpf *b);
/*
 * The sentence about the program of the tracepoints that the kernel refused, for which system calls are
 * looked at instead; "" where it refused none. Lives as long as `b`.
 */
const char *dp_bpf_refused(const struct dp_bpf *b);
/* Those of them that go by the system calls of the whole machine. */
uint32_t dp_bpf_called(const struct dp_bpf *b);

/*
 * A map of the kernel may have no room: who ignores that loses what is told of the process, and
 * nobody counts it.
 */
#define DP_MAY_BE_FULL __attribute__((warn_unused_result))

/* Begins or updates the watch of a process. gil_count 0 is valid: sockets and regions only. */
DP_MAY_BE_FULL int dp_bpf_watch(struct dp_bpf *b, pid_t pid, const struct dp_target *t);
/* Ends it: target, sockets, threads and edges of the process leave the maps. */
void dp_bpf_unwatch(struct dp_bpf *b, pid_t pid);

/* Signals to this process are told of, too: it is the daemon of one that is watched. */
DP_MAY_BE_FULL int dp_bpf_mark_daemon(struct dp_bpf *b, pid_t pid);

/* An id for a connection found open in /proc, from the space that connect uses too. */
uint64_t dp_bpf_new_conn(struct dp_bpf *b);
DP_MAY_BE_FULL int dp_bpf_mark_socket(struct dp_bpf *b, pid_t pid, int fd, uint64_t conn);
/* A mapping found in /proc/PID/maps at attach: its munmap is to be seen. */
DP_MAY_BE_FULL int dp_bpf_mark_region(struct dp_bpf *b, pid_t pid, uint64_t addr, const char *name);

/*
 * Has a thread of the process left a CPU, got one, or been found on one by the clock since *mark was what it is? Brings
 * the mark up to date. True where that is not known: without a kernel side.
 */
bool dp_bpf_has_run(const struct dp_bpf *b, pid_t pid, uint32_t *mark);
/*
 * Switches of the process' threads since *mark was what it is, which is brought up to date. 0 where another watched
 * process is counted by the same number, or there is no kernel side.
 */
uint32_t dp_bpf_switches(const struct dp_bpf *b, pid_t pid, uint32_t *mark);
/* 0; -ENOENT nothing known. */
int dp_bpf_thread(struct dp_bpf *b, pid_t tid, struct dp_thread_state *ret);
/* What the kernel has added up of a watched process. 0, or -errno where there is nothing. */
int dp_bpf_share(struct dp_bpf *b, pid_t pid, struct dp_share_state *ret);
/*
 * Tells the kernel side of a thread that it has not seen yet: its wake-up is to be noticed. 0;
 * -EEXIST it has seen it by now. And takes it back.
 */
int dp_bpf_thread_found(struct dp_bpf *b, pid_t tid, const struct dp_thread_state *s);
void dp_bpf_thread_unfound(struct dp_bpf *b, pid_t tid);
int dp_bpf_edge(struct dp_bpf *b, pid_t pid, unsigned int gil, struct dp_edge_state *ret);

/*
 * Attaches the pthread_cond_signal uprobe to one process (path and offset from
 * dp_py_cond_signal_site), sets armed_ns in the edge states of its GILs. 0 or -errno; -EALREADY.
 * Dora's calls that take events (NULL: not known) follow by and by: dp_bpf_dora_calls_ns() says since when each of
 * them is seen, into polled_ns of its thread; 0 not.
 * Returns before the kernel is through (5 to 30 ms, on a busy machine 200): until then armed_ns is
 * 0. Disarming returns at once too, and no edge counts any more (the kernel takes 100 ms).
 */
int dp_bpf_arm(struct dp_bpf *b, pid_t pid, const char *path, uint64_t offset,
	       const struct dp_dora_calls *calls);
/* 1 in force; 0 under way; -ENOENT not asked for; other -errno why it failed, until disarmed. */
int dp_bpf_armed(struct dp_bpf *b, pid_t pid);
uint64_t dp_bpf_dora_calls_ns(struct dp_bpf *b, pid_t pid);
void dp_bpf_disarm(struct dp_bpf *b, pid_t pid);

/* fd for epoll: readable when an eighth of the ring is full. Below that nobody is woken: drain at
 * least every 10 ms. */
int dp_bpf_fd(const struct dp_bpf *b);
#define DP_DRAIN_MAX 8192
/*
 * Hands waiting captures to fn (valid during the call), DP_DRAIN_MAX at most. Returns their number
 * or -errno.
 */
int dp_bpf_drain(struct dp_bpf *b, void (*fn)(void *ctx, const struct dp_capture *h, size_t len),
		 void *ctx);

/*
 * Kernel-side losses since start, by enum dp_loss up to DP_LAST_KERNEL_LOSS, PROGRAM_SKIPPED, and
 * SAMPLE_SKIPPED: cpu-clock samples that were due and not taken. The last two cost system calls and
 * interrupts: they are up to ten seconds old but for `fresh`.
 */
void dp_bpf_losses(struct dp_bpf *b, int fresh, uint64_t ret[DP_LOSS_COUNT]);
/* Captures of that CPU that its full ring refused, as dp_bpf_losses() read it last; 0 no such CPU. */
uint64_t dp_bpf_ring_full(const struct dp_bpf *b, int cpu);

struct dp_bpf_program {
	const char *name;
	uint64_t run_ns, run_count, recursion_misses;
};
/* Run time counts only while dp_bpf_stats(b, 1) is in force, which taxes every BPF program. */
int dp_bpf_stats(struct dp_bpf *b, int on);
/* Fills up to max entries; returns how many there are. */
int dp_bpf_programs(struct dp_bpf *b, struct dp_bpf_program *ret, int max);

#endif
