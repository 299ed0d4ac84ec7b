/* SPDX-License-Identifier: MIT */
/*
 * What the kernel programs hand to the agent: the ring buffer's captures and the maps' values.
 * Included by bpf/ (types from its own small kernel header) and by agent/sense/.
 *
 * Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns), pids and tids those of the agent's
 * PID namespace (the initial one) unless a name says _ns_tid.
 */
#ifndef DORA_PROBE_CAPTURE_H
#define DORA_PROBE_CAPTURE_H

#ifdef __bpf__
typedef __u64 dp_u64;
typedef __s64 dp_s64;
typedef __u32 dp_u32;
typedef __s32 dp_s32;
typedef __u16 dp_u16;
typedef __u8 dp_u8;
#else
#include <stdint.h>
typedef uint64_t dp_u64;
typedef int64_t dp_s64;
typedef uint32_t dp_u32;
typedef int32_t dp_s32;
typedef uint16_t dp_u16;
typedef uint8_t dp_u8;
#endif

#define DP_MAX_TARGETS     256  /* watched processes */
#define DP_MAX_GILS        4    /* GILs per process: the main one and own-GIL subinterpreters */
#define DP_MAX_THREADS     8192 /* threads of all watched processes */
#define DP_MAX_SOCKETS     2048 /* marked sockets */
#define DP_MAX_REGIONS     65536
#define DP_REGION_NAME_MAX 32           /* "shmem_" + up to 16 hex digits, NUL-terminated */
#define DP_SOCK_PIECE_MAX  4096         /* bytes of a socket call in one capture */
#define DP_SOCK_COPY_MAX   (128 * 1024) /* bytes of one socket call that are copied at most */
#define DP_SOCK_TAIL       256 /* and those at the end of a longer one, out of one buffer */
/* 8 bytes that announce at most this much are taken for the length of a frame (dora 1.x's limit). */
#define DP_SOCK_LENGTH_MAX (64u * 1024 * 1024)
/*
 * A send is told when it has returned, with the time at which it was entered, but not more than this
 * before: a message of 4 MB blocks its sender for 10 ms, and what is older than the merge waits for
 * would come late.
 */
#define DP_SEND_BACK_NS 4000000ULL
/* Of one signal by one sender to one process in a second; more are counted alone. */
#define DP_SIGNALS_MAX 50
#define DP_RUN_MIN_NS  2000000ULL /* shorter runs and holds stay in the kernel */

enum dp_capture_type {
	DP_CAP_NONE,
	DP_CAP_GIL_WAIT_BEGIN, /* dp_gil_wait: a wait outlived its first 5 ms interval */
	DP_CAP_GIL_WAIT_END,   /* dp_gil_wait */
	DP_CAP_GIL_RELEASE,    /* dp_gil_span: futex wake of a waiter by the holder */
	DP_CAP_GIL_EDGE_HOLD,  /* dp_gil_span: take and release both seen by the uprobe */
	DP_CAP_GIL_OFFCPU,     /* dp_gil_span: the holder slept with the GIL, proven from..to */
	DP_CAP_GIL_RUN,        /* dp_gil_span: looks of a thread at itself, all "held" */
	DP_CAP_SOCK_DATA,      /* dp_sock_data + bytes */
	DP_CAP_SOCK_CONNECT,   /* dp_sock_connect */
	DP_CAP_SOCK_CLOSE,     /* dp_sock_close */
	DP_CAP_REGION,         /* dp_region_op */
	DP_CAP_SIGNAL,         /* dp_signal_op */
	DP_CAP_EXEC,           /* dp_exec_op */
	DP_CAP_FORK,           /* dp_fork_op */
	DP_CAP_EXIT,           /* dp_exit_op */
	DP_CAP_NODE_CONFIG,    /* dp_config_piece + bytes; comes before the EXEC of the process */
	DP_CAP_COUNT
};

/* Flags of captures and records: what could not be had. */
#define DP_F_LATE       1u /* arrived after the model had moved past its time */
#define DP_F_UNREADABLE 2u /* a field could not be read and is zero */
#define DP_F_CUT        4u /* data was cut to the copy limit */

struct dp_capture {
	dp_u16 type;
	dp_u16 flags;
	dp_u32 size; /* bytes with this header */
	dp_u64 t_ns;
	dp_u32 pid; /* tgid */
	dp_u32 tid;
	dp_u32 cpu;
	dp_u32 seq; /* per CPU, +1 each: a gap is a loss */
};

/* A wait for the GIL; tid of the header is the waiter. */
struct dp_gil_wait {
	dp_u64 begin_ns;
	dp_u64 switch_number;
	dp_u32 holder_tid; /* at the time of the capture; 0 unknown */
	dp_u8 gil;
	dp_u8 acquired; /* WAIT_END: 1 when the waiter now holds the GIL */
	dp_u8 pad[2];
	dp_u64 end_ns; /* WAIT_END: when it was over; 0 at the time of the capture */
};

/*
 * A stretch of the GIL by the thread of the header.
 *   RELEASE    from_ns = exact take by a contended wait or by the edge, 0 unknown; to_ns = release
 *   EDGE_HOLD  from_ns = take (0: taken before arming), to_ns = release, both exact
 *   OFFCPU     off the CPU with the GIL from from_ns to to_ns: proven without a gap. Where nobody saw
 *              the thread come back, to_ns is up to 10 ms too early and off_ns the better figure
 *   RUN        every look of the thread at itself from from_ns to to_ns said "held"
 * lo_ns: last time the thread was seen not to hold it before from_ns (0 never seen);
 * hi_ns: RUN only, the look that said "not held". off_ns: time off the CPU within.
 */
struct dp_gil_span {
	dp_u64 lo_ns;
	dp_u64 from_ns;
	dp_u64 to_ns;
	dp_u64 hi_ns;
	dp_u64 off_ns;
	dp_u8 gil;
	dp_u8 preempted; /* OFFCPU: 1 when it was runnable (wanted the CPU), 0 when it slept */
	dp_u8 pad[6];
};

enum dp_direction { DP_TO_DAEMON, DP_FROM_DAEMON };

/*
 * One piece of a socket call's bytes. Pieces of one call come in order, `offset` rising. The length
 * of a frame that a call of its own has moved comes with the call that followed, as one of both.
 */
struct dp_sock_data {
	dp_u64 conn;   /* id of the connection, never reused within a run */
	dp_u32 total;  /* bytes that the call (the two calls) transferred */
	dp_u32 offset; /* of this piece */
	dp_u32 copied; /* bytes that follow; offset + copied < total in the last piece: cut there */
	dp_s32 fd;
	dp_u8 direction;
	dp_u8 last; /* 1: last piece of the call */
	dp_u8 pad[6];
};

#define DP_SOCK_ADDR_MAX 112
struct dp_sock_connect {
	dp_u64 conn;
	dp_s32 fd;
	dp_u16 family;                /* AF_INET, AF_INET6, AF_UNIX */
	dp_u16 port;                  /* host order; 0 for AF_UNIX */
	dp_u8 addr[DP_SOCK_ADDR_MAX]; /* 4 or 16 address bytes, or the path */
};

struct dp_sock_close {
	dp_u64 conn;
	dp_s32 fd;
	dp_u32 how; /* 0 close, 1 shutdown, 2 process exit, 3 replaced (dup2 over it) */
};

enum dp_region_kind {
	DP_REGION_CREATED,  /* opened with O_CREAT: the owner's new region */
	DP_REGION_MAPPED,   /* opened without: a receiver took the message */
	DP_REGION_UNMAPPED, /* last reference gone, or the owner gives it up */
	DP_REGION_UNLINKED,
	DP_REGION_KIND_COUNT
};

struct dp_region_op {
	dp_u8 kind;
	dp_u8 pad[7];
	dp_u64 addr;                   /* of the mapping, 0 unknown */
	char name[DP_REGION_NAME_MAX]; /* without /dev/shm/ */
};

enum dp_signal_kind { DP_SIGNAL_GENERATED, DP_SIGNAL_DELIVERED, DP_SIGNAL_HANDLED };
enum dp_signal_disposition {
	DP_SIGDISP_UNKNOWN,
	DP_SIGDISP_DEFAULT,
	DP_SIGDISP_IGNORED,
	DP_SIGDISP_CAUGHT
};

/* header.pid/tid: the thread the signal is for (GENERATED) or was given to (DELIVERED). */
struct dp_signal_op {
	dp_u8 kind;
	dp_u8 signal;
	dp_u8 group;       /* 1: sent to the whole process */
	dp_u8 disposition; /* DELIVERED */
	dp_u8 result;      /* GENERATED: 0 queued, else TRACE_SIGNAL_*; 1, ignored, is not told */
	dp_u8 pad[3];
	dp_u32 sender_pid; /* GENERATED; 0 the kernel */
	dp_u32 pad2;
};

/*
 * A process runs a new program. Where its environment has a node's configuration, the text came in
 * pieces before: some leave before anybody could read it in /proc.
 */
#define DP_EXE_MAX 32
#define DP_CONFIG_MAX                                                                              \
	(128 * 1024) /* bytes of one variable, at most (the kernel's MAX_ARG_STRLEN) */
struct dp_exec_op {
	dp_u64 started_ns; /* CLOCK_BOOTTIME */
	dp_u32 parent_pid;
	dp_u32 config_len;    /* bytes of the configuration; 0 none */
	char exe[DP_EXE_MAX]; /* the file that it runs, without its path; cut if longer */
};

/* Pieces of one configuration come in order. */
#define DP_CONFIG_PIECE 4096
struct dp_config_piece {
	dp_u32 offset;
	dp_u32 copied; /* bytes that follow */
};

struct dp_fork_op {
	dp_u32 child_pid;
	dp_u32 child_tid; /* differs from child_pid for a new thread */
};

struct dp_exit_op {
	dp_s32 status;    /* as wait(2) gives it */
	dp_u8 is_process; /* 1: the last thread of the process is gone */
	dp_u8 is_unknown; /* 1: nobody saw how; the agent's own, where no program tells of ends */
	dp_u8 pad[2];
};

/* ---- maps ------------------------------------------------------------------------------- */

/* One GIL of a watched process; addresses in the target. Offsets in bytes from `addr`. */
struct dp_gil_site {
	dp_u64 addr; /* of struct _gil_runtime_state; 0 = slot unused */
	dp_u32 off_last_holder;
	dp_u32 off_locked;
	dp_u32 off_switch_number;
	dp_u32 off_cond; /* condition variable that waiters sleep on */
	dp_u32 off_mutex;
	dp_u32 off_switch_cond;
	dp_u32 size;        /* of the struct */
	dp_u32 interval_us; /* switch interval */
};

/* Addresses of a process, from the first to the one behind the last. */
struct dp_code_range {
	dp_u64 from, to;
};

#define DP_EVAL_RANGES 4

/* Value of the map `targets`, key tgid. */
struct dp_target {
	struct dp_gil_site gils[DP_MAX_GILS];
	dp_u32 gil_count;
	/* tid of a PyThreadState: *(s32/u64 at tstate + off_native_tid) where has_native_tid,
	 * else *(s32 at *(u64 at tstate + off_pthread) + off_pthread_tid). */
	dp_u32 has_native_tid;
	dp_u32 off_native_tid;
	dp_u32 off_pthread;
	dp_u32 off_pthread_tid;
	dp_u32 watch_sockets; /* daemon connections are to be marked at connect */
	dp_u16 daemon_family; /* of the daemon's listener for this node; 0 any loopback or unix */
	dp_u16 daemon_port;
	dp_u32 other_pid_ns; /* 1: tids in the target are those of its own PID namespace */
	/* Code of the bytecode loop in the target, from the front; 0, 0 unused. None: unknown. */
	struct dp_code_range eval[DP_EVAL_RANGES];
	dp_u32 by_calls; /* 1: its connections are followed by system calls; the agent's choice */
	dp_u32 seeks;    /* 1: once it has connected so, any other loopback connection is watched */
	struct dp_code_range dora; /* code of dora's library in the target; 0, 0 not known */
	dp_u32 resting; /* sources that are not looked at for a while, since it floods them: bit per enum dp_source */
	dp_u32 pad;
};

/* Value of the map `thread_state`, key tid: what the kernel programs know of one thread. */
struct dp_thread_state {
	dp_u64 notheld_ns;   /* last time it was seen not to hold the GIL; 0 never */
	dp_u64 run_first_ns; /* first of the current run of looks that said "held"; 0 none */
	dp_u64 run_last_ns;
	dp_u64 run_off_ns;   /* off-CPU time within the run */
	dp_u64 off_since_ns; /* off the CPU with the GIL since; 0 no */
	dp_u64 take_ns;      /* exact take (contended wait's end); 0 unknown or released since */
	dp_u64 wait_ns;      /* waits for the GIL since; 0 no */
	dp_u32 tgid;
	dp_u8 gil;       /* index that the above is about */
	dp_u8 wait_said; /* WAIT_BEGIN was sent */
	dp_u8 off_runnable;
	dp_u8 unseen; /* 1: it has left a CPU, or got one, without a look at itself (its switches are left alone) */
	dp_u32 run_samples;  /* cpu-clock samples in user code within the run */
	dp_u32 run_eval;     /* of these, in the bytecode loop itself */
	dp_u64 edge_take_ns; /* its last take that the edge source saw; 0 none */
	dp_u64 woken_ns;     /* traced futex: back on the CPU since, in a wait; 0 no */
	dp_u64 off_exec_ns;  /* its CPU time when it went off the CPU with the GIL; 0 unknown */
	dp_u64 polled_ns; /* edge source: dora's code was called for events, let the GIL go or took it, last; 0 never */
	dp_u64 called_ns; /* edge source: … was called, and the GIL not taken since; 0 no */
};

/*
 * Value of the map `shares`, key tgid: what is too short to leave the kernel one by one, and the samples
 * of the cpu clock. Sums since the process is watched.
 */
struct dp_share_state {
	dp_u64 samples; /* that found a thread of the process on a CPU */
	dp_u64 held;    /* of these, with a GIL */
	dp_u64 off_ns;  /* off the CPU with a GIL, in stretches below DP_RUN_MIN_NS */
	dp_u64 wait_ns; /* waits for a GIL below DP_RUN_MIN_NS, over all threads */
};

/* Value of the map `edges`, key tgid*DP_MAX_GILS+gil as u64: what the uprobe saw since armed. */
struct dp_edge_state {
	dp_u64 armed_ns;   /* set by the agent after attaching; 0 not armed */
	dp_u64 take_ns;    /* last take */
	dp_u64 release_ns; /* last release */
	dp_u64 releases;   /* since armed */
	dp_u64 held_ns;    /* sum of closed holds since armed */
	dp_u32 take_tid;
	dp_u32 release_tid;
	dp_u64 polled_ns; /* a thread of the process has called dora for events, or come back from it, last; 0 never */
};

/* Value of the map `sockets`, key dp_sock_key. */
struct dp_sock_key {
	dp_u32 pid;
	dp_s32 fd;
};

struct dp_sock_state {
	dp_u64 conn;
	dp_u64 length[2];  /* by direction: of a frame, moved by a call of its own; 0 none */
	dp_u64 entered_ns; /* when a send was entered, by that thread; 0 none */
	dp_u32 entered_tid;
	dp_u32 traced; /* 1: the socket tracepoints follow it, 0 the system calls */
	dp_u64 sock;   /* traced: its struct sock, key of `streams`; 0 not seen yet */
	/* Value of the map `streams`: whose it is, and the descriptor that was used last. */
	dp_u32 pid;
	dp_s32 fd;
	dp_u32 tid;         /* that has connected it, or connects it */
	dp_u32 established; /* 0: its connect is under way */
};

/* Value of the map `regions`, key dp_region_key: a region that is mapped at that address. */
struct dp_region_key {
	dp_u64 addr;
	dp_u32 pid;
	dp_u32 pad;
};

struct dp_region_state {
	char name[DP_REGION_NAME_MAX];
	dp_u32 created; /* 1: this process made it */
};

#define DP_KERNEL_LOSSES 4 /* DP_LAST_KERNEL_LOSS + 1 of names.h */

/* The one value of the per-CPU map `cpu_state`. */
struct dp_cpu_state {
	dp_u64 seq;     /* of the last capture */
	dp_u64 conns;   /* connection ids given out */
	dp_u64 samples; /* cpu-clock programs run */
	dp_u64 signals; /* captures of signals that were not made: DP_SIGNALS_MAX */
	dp_u64 loss[DP_KERNEL_LOSSES];
};

#endif
