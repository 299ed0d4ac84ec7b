/* SPDX-License-Identifier: MIT */
/*
 * A record: one decoded fact, with its time. The model eats records and nothing else; the recorder
 * writes them; replay reads them back. No record holds payload of a dataflow.
 *
 * A record has a fixed header and one body by type (names.h lists which). Only the header and that
 * body are stored and copied: dp_record_size() says how much. Strings are NUL-terminated, bounded,
 * valid UTF-8 made printable where they entered the agent. Times are CLOCK_MONOTONIC nanoseconds,
 * 0 = unknown, unless said otherwise. pids and tids are those of the agent's PID namespace.
 */
#ifndef DORA_PROBE_RECORD_H
#define DORA_PROBE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "dora_probe/capture.h"
#include "dora_probe/names.h"

#define DP_RECORD_VERSION 2

#define DP_ID_MAX       64 /* node, output and input ids */
#define DP_UUID_MAX     40 /* text of a uuid, with NUL */
#define DP_FUNCTION_MAX 96
#define DP_FILE_MAX     192
#define DP_LIBRARY_MAX  96
#define DP_COMM_MAX     16
#define DP_FRAMES_MAX   8
#define DP_REASON_MAX   192
#define DP_TOKEN_LEN    16

struct dp_rec_hdr {
	uint16_t type;  /* enum dp_record_type */
	uint16_t flags; /* DP_F_* of capture.h */
	uint32_t size;  /* bytes with this header */
	uint64_t t_ns;
	uint32_t pid; /* 0: about no process */
	uint32_t tid;
	uint32_t cpu; /* UINT32_MAX: made by the agent */
	uint32_t seq; /* rising per cpu */
};

/* First record of a recording: what `start` prints. */
struct dp_rec_session {
	char version[32];
	char kernel[128];
	char targets[256]; /* as the user named them, comma-separated */
};

/* What the model was told; replay starts from these and lets its own options override them. */
struct dp_rec_options {
	uint64_t hold_threshold_ns;
	uint64_t warn_hold_ns;
	uint64_t token_threshold_ns; /* print tokens pending at least this long */
	uint64_t pending_threshold_ns;
	uint64_t grace_ns;       /* 0: by dora version */
	uint64_t nudge_after_ns; /* 0: 40 % of the grace, or 300 ms with save_tokens */
	uint64_t nudge_interval_ns;
	uint64_t stop_dataflow_after_ns; /* 0: off */
	uint32_t nudge_signal;
	uint8_t shutdown; /* enum dp_shutdown_mode */
	uint8_t save_tokens;
	uint8_t dry_run;
	uint8_t exact;           /* keep the edge source armed, see exact_until_ns */
	uint64_t exact_until_ns; /* 0: for the whole run */
	uint64_t max_edge_rate;  /* releases per second above which the edge source is too dear */
};

/* wall clock = t_ns + offset_ns. Written at start and after each step of the wall clock. */
struct dp_rec_wall_clock {
	int64_t offset_ns;
};

struct dp_rec_node {
	uint64_t start_time; /* field 22 of /proc/PID/stat: with the pid, the process' identity */
	uint64_t signals_caught;
	uint64_t signals_ignored;
	uint32_t uid;
	uint32_t daemon_pid; /* 0 unknown */
	uint32_t switch_interval_us;
	uint8_t is_dora;
	uint8_t is_python;
	uint8_t transport; /* enum dp_transport */
	uint8_t free_threaded;
	uint8_t gil_observable;
	uint8_t tokens_observable;
	uint8_t gil_count;
	uint8_t edge_possible;      /* the uprobe can be armed (libc found) */
	char dataflow[DP_UUID_MAX]; /* "" unknown */
	char dataflow_name[DP_ID_MAX];
	char node[DP_ID_MAX];
	char python[24];            /* "3.11.7", "" unknown */
	char implementation[16];    /* "cpython", "pypy", "native", "" unknown */
	char dora[24];              /* "0.5.0", "" unknown */
	char reason[DP_REASON_MAX]; /* why something is not observable, "" */
};

struct dp_rec_gone {
	char reason[DP_REASON_MAX];
};

/*
 * One look of the sampler at one GIL. The state was true at some moment in [before_ns, t_ns].
 * tid of the header is the holder (0: not locked, or unknown with DP_F_UNREADABLE). The rest is
 * the kernel's own knowledge of that thread (thread_state) and of the edge source at that time.
 */
struct dp_rec_look {
	uint64_t before_ns;
	uint64_t switch_number;
	uint64_t frame; /* address of the innermost Python frame, 0 unknown */
	uint64_t ip;    /* its instruction pointer: equal over looks = same bytecode */
	uint64_t notheld_ns;
	uint64_t run_first_ns;
	uint64_t run_last_ns;
	uint64_t off_since_ns;
	uint64_t take_ns;
	uint64_t edge_armed_ns; /* 0: not armed */
	uint64_t edge_take_ns;
	uint64_t edge_release_ns;
	uint64_t edge_releases;
	uint32_t edge_take_tid;
	uint32_t edge_release_tid;
	uint8_t gil;
	uint8_t locked;       /* 0, 1; 2 unreadable */
	uint8_t drop_request; /* 0, 1; 2 unknown: a waiter has asked for the GIL */
	uint8_t off_runnable; /* off_since_ns: preempted, not asleep */
	uint16_t run_samples; /* cpu-clock samples of the holder within the row, up to 65535 */
	uint16_t run_eval;    /* of these, in the bytecode loop itself; 65535: cannot be told */
};

struct dp_frame {
	char function[DP_FUNCTION_MAX];
	char file[DP_FILE_MAX];
	int32_t line; /* 0 unknown */
	uint32_t pad;
};

/* Answer to DP_REQ_READ_STACK: the thread of the header. status 0, or -errno with what is known. */
struct dp_rec_stack {
	int32_t status;
	uint32_t frame_count; /* innermost first */
	uint64_t frame;       /* as in dp_rec_look */
	uint64_t ip;
	uint64_t wait_uaddr;      /* first argument of the blocking system call */
	uint64_t asleep_since_ns; /* state S: since when, by the scheduler; 0 unknown */
	uint64_t sleep_ns; /* length of the sleep that it asked the kernel for; 0 none, unknown */
	uint64_t sleep_until_ns; /* end of such a sleep that was asked for by its end; 0 none */
	int32_t syscall_nr; /* the system call it is blocked in; -1 on the CPU or none, -2 unknown */
	char state;         /* R S D … of /proc/PID/task/TID/stat, 0 unknown */
	uint8_t is_main;
	uint8_t has_gil_wait; /* its futex word lies in a GIL: it waits for that GIL */
	uint8_t wait_forever; /* blocked in a futex wait without a time limit */
	char comm[DP_COMM_MAX];
	char library[DP_LIBRARY_MAX]; /* file of the native program counter, "" unknown */
	char symbol[DP_FUNCTION_MAX]; /* nearest exported symbol at the native pc, "" unknown */
	struct dp_frame frames[DP_FRAMES_MAX];
};

/* A source went on, off, or failed; also the governor's decisions and the edge's arming (pid). */
struct dp_rec_source {
	uint8_t source; /* enum dp_source */
	uint8_t on;
	uint8_t pad[2];
	int32_t error; /* -errno when it failed to go on */
	char detail[DP_REASON_MAX];
};

struct dp_rec_token {
	uint8_t token[DP_TOKEN_LEN];
	uint64_t bytes;                  /* SENT, DELIVERED */
	char region[DP_REGION_NAME_MAX]; /* SENT, DELIVERED; without the leading / */
	char id[DP_ID_MAX];              /* SENT: output id; DELIVERED: input id of the receiver */
};

/* Frames without a token. EVENT: from the daemon; REQUEST: from the node. */
enum dp_wire_kind {
	DP_WIRE_NONE,
	/* events, by kind of node event */
	DP_WIRE_INPUT, /* without token */
	DP_WIRE_STOP,
	DP_WIRE_ALL_INPUTS_CLOSED,
	DP_WIRE_INPUT_CLOSED,
	DP_WIRE_RELOAD,
	DP_WIRE_NODE_FAILED,
	DP_WIRE_EVENTS_END, /* empty NextEvents: the daemon has closed the event stream */
	DP_WIRE_DROPS_END,  /* empty NextDropEvents */
	DP_WIRE_OTHER_EVENT,
	/* requests */
	DP_WIRE_SUBSCRIBE,
	DP_WIRE_SUBSCRIBE_DROP,
	DP_WIRE_NEXT_EVENT, /* count = tokens reported with it (each also a TOKEN_REPORTED) */
	DP_WIRE_NEXT_DROP,
	DP_WIRE_SEND_MESSAGE, /* without token (inline or no data) */
	DP_WIRE_CLOSE_OUTPUTS,
	DP_WIRE_OUTPUTS_DONE,
	DP_WIRE_EVENT_STREAM_DROPPED,
	DP_WIRE_OTHER_REQUEST,
	/* replies without events: Result Ok or Err to the last request of that connection */
	DP_WIRE_RESULT_OK,
	DP_WIRE_RESULT_ERR,
	DP_WIRE_KIND_COUNT
};

enum dp_conn_role {
	DP_ROLE_UNKNOWN,
	DP_ROLE_EVENTS,
	DP_ROLE_EVENTS_CLOSE,
	DP_ROLE_DROP,
	DP_ROLE_CONTROL
};

struct dp_rec_wire {
	uint8_t kind; /* enum dp_wire_kind */
	uint8_t role; /* enum dp_conn_role */
	uint8_t pad[2];
	uint32_t count;     /* NEXT_EVENT: tokens; EVENTS: number of events in the reply */
	char id[DP_ID_MAX]; /* input or output id, "" */
};

struct dp_rec_register {
	char dataflow[DP_UUID_MAX];
	char node[DP_ID_MAX];
	char message_version[24]; /* of the dora-message crate, not of dora below 1.0 */
	uint8_t codec;            /* 0 bincode, 1 postcard */
	uint8_t pad[7];
};

struct dp_rec_conn {
	uint64_t conn;
	uint8_t role;
	uint8_t pad[7];
};

/* A `dora stop` seen starting: pid of the header is the command. */
struct dp_rec_stop_command {
	uint64_t grace_ns; /* 0: none given */
	uint32_t uid;
	uint8_t force;
	uint8_t pad[3];
	char target[DP_ID_MAX]; /* uuid or name as given, "" none */
};

struct dp_rec_action {
	uint8_t action; /* enum dp_action */
	uint8_t result; /* enum dp_action_result */
	uint8_t dry_run;
	uint8_t pad;
	uint32_t signal;
	uint32_t attempt; /* from 1 */
	uint32_t pad2;
	char reason[DP_REASON_MAX];
};

/* The agent's own cost since start; for metrics and the governor, not for findings. */
struct dp_rec_cost {
	uint64_t agent_cpu_ns;
	uint64_t bpf_run_ns; /* scaled estimate */
	uint64_t captures;
};

struct dp_rec_loss {
	uint32_t reason; /* enum dp_loss */
	uint32_t pad;
	uint64_t count; /* since the last record of this reason */
};

struct dp_record {
	struct dp_rec_hdr h;
	union {
		struct dp_rec_session session;
		struct dp_rec_options options;
		struct dp_rec_wall_clock wall_clock;
		struct dp_rec_node node;
		struct dp_rec_gone gone;
		struct dp_rec_look look;
		struct dp_gil_wait wait;
		struct dp_gil_span gil_span;
		struct dp_rec_stack stack;
		struct dp_rec_source source;
		struct dp_rec_token token;
		struct dp_rec_wire wire;
		struct dp_rec_register reg;
		struct dp_rec_conn conn;
		struct dp_region_op region;
		struct dp_signal_op signal;
		struct dp_fork_op fork;
		struct dp_exit_op exit;
		struct dp_rec_stop_command stop_command;
		struct dp_rec_action action;
		struct dp_rec_cost cost;
		struct dp_rec_loss loss;
	} u;
};

/*
 * Bytes that a record of `type` takes, header and body; 0 for a type that does not exist. Types
 * without a body take the header alone.
 */
size_t dp_record_size(unsigned int type);

/* Sets type, size, time and the agent's cpu mark; the body is left as it is. */
void dp_record_init(struct dp_record *r, enum dp_record_type type, uint64_t t_ns, uint32_t pid,
		    uint32_t tid);

/*
 * Is `r` (of `len` readable bytes) a record that the model may eat? Checks type, size, enum ranges
 * and NUL termination of each string, so that a hostile recording reaches nothing. 0 or -EBADMSG.
 */
int dp_record_check(const struct dp_record *r, size_t len);

#endif
