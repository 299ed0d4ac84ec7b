/* SPDX-License-Identifier: MIT */
/*
 * A record: one decoded fact, with its time. The model eats records and nothing else; the recorder
 * writes them; replay reads them back. No record holds payload of a dataflow.
 *
 * A record has a fixed header and one body by type (names.h lists which, fields.h lists its fields). Only the header and that
 * body are stored and copied: dp_record_size() says how much. Strings are NUL-terminated, bounded,
 * valid UTF-8 made printable where they entered the agent. Times are CLOCK_MONOTONIC nanoseconds,
 * 0 = unknown, unless said otherwise. pids and tids are those of the agent's PID namespace.
 */
#ifndef DORA_PROBE_RECORD_H
#define DORA_PROBE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "dora_probe/capture.h"
#include "dora_probe/fields.h"
#include "dora_probe/names.h"

#define DP_RECORD_VERSION 2

#define DP_ID_MAX       64 /* node, output and input ids */
#define DP_UUID_MAX     40 /* text of a uuid, with NUL */
#define DP_FUNCTION_MAX 96
#define DP_FILE_MAX     192
#define DP_LIBRARY_MAX  96
#define DP_COMM_MAX     16
#define DP_FRAMES_MAX   8
#define DP_LINKS_MAX    8
#define DP_THREAD_MAX   32 /* name of a thread */
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

#define DP_FIELD_N(type, name)                  type name;
#define DP_FIELD_E(type, name, most)            type name;
#define DP_FIELD_T(name, size)                  char name[size];
#define DP_FIELD_B(name, size)                  uint8_t name[size];
#define DP_FIELD_S(body, name, count_name, max) struct dp_##body name[max];
/* The fields of a body, as members of its struct. */
#define DP_BODY(body) DP_FIELDS_##body(DP_FIELD_N, DP_FIELD_E, DP_FIELD_T, DP_FIELD_B, DP_FIELD_S)

/* First record of a recording: what `start` prints. */
struct dp_rec_session {
	DP_BODY(session)
};

/* What the model was told; replay starts from these and lets its own options override them. */
struct dp_rec_options {
	DP_BODY(options)
};

/* wall clock = t_ns + offset_ns. Written at start and after each step of the wall clock. */
struct dp_rec_wall_clock {
	DP_BODY(wall_clock)
};

struct dp_rec_node {
	DP_BODY(node)
};

struct dp_rec_member {
	DP_BODY(member)
};

struct dp_rec_gone {
	DP_BODY(gone)
};

/*
 * One look of the sampler at one GIL. The state was true at some moment in [before_ns, t_ns].
 * tid of the header is the holder (0: not locked, or unknown with DP_F_UNREADABLE). The rest is
 * the kernel's own knowledge of that thread (thread_state) and of the edge source at that time.
 */
struct dp_rec_look {
	DP_BODY(look)
};

struct dp_frame {
	DP_BODY(frame)
};

/* Answer to DP_REQ_READ_STACK: the thread of the header. status 0, or -errno with what is known. */
struct dp_rec_stack {
	DP_BODY(stack)
};

/* A thread, and what it waits for. */
struct dp_link {
	DP_BODY(link)
};

/* Answer to DP_REQ_READ_WAITS: from the thread of the header on. status 0, or -errno. */
struct dp_rec_waits {
	DP_BODY(waits)
};

/* A source went on, off, or failed; also the governor's decisions and the edge's arming (pid). */
struct dp_rec_source {
	DP_BODY(source)
};

struct dp_rec_token {
	DP_BODY(token)
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
	DP_BODY(wire)
};

struct dp_rec_register {
	DP_BODY(reg)
};

struct dp_rec_conn {
	DP_BODY(conn)
};

/* What recordings up to 0.1.0 have instead of dp_rec_command, of `dora stop` alone. */
struct dp_rec_stop_command {
	DP_BODY(stop_command)
};

/* A `dora` command that ends nodes, seen starting or found running: its pid is the header's. */
struct dp_rec_command {
	DP_BODY(command)
};

struct dp_rec_limits {
	DP_BODY(limits)
};

/*
 * Whether a witness has seen that a node, or its dataflow, was told to stop. COMMAND: pid of the header
 * is a command that a record DORA_COMMAND has told of, and it still runs. UNREAD: pid is the node,
 * whose socket was looked into.
 */
struct dp_rec_witness {
	DP_BODY(witness)
};

struct dp_rec_action {
	DP_BODY(action)
};

struct dp_rec_loss {
	DP_BODY(loss)
};

/* What a process' time went to, from from_ns to the time of the header, about a second. */
struct dp_rec_share {
	DP_BODY(share)
};

/* How much shared memory there is for a process: when it gets little, and when SIGBUS has ended it. */
struct dp_rec_memory {
	DP_BODY(memory)
};

/* What was found of a process that ran before the probe came. */
struct dp_rec_stock {
	DP_BODY(stock)
};

/* A message that it had mapped by then, so a pending token whose name is not known. */
struct dp_rec_stock_region {
	DP_BODY(stock_region)
};

/* Of a record that is its header alone; GNU C has structs without members. */
struct dp_rec_none {
	DP_BODY(none)
};

struct dp_record {
	struct dp_rec_hdr h;
	union {
#define DP_MEMBER(body, type) type body;
		DP_RECORD_BODIES(DP_MEMBER)
		DP_KERNEL_BODIES(DP_MEMBER)
#undef DP_MEMBER
	} u;
};

/*
 * Bytes that a record of `type` takes, header and body; 0 for a type that does not exist. Types
 * without a body take the header alone.
 */
size_t dp_record_size(unsigned int type);
/*
 * Bytes that a record of `type` took when DP_RECORD_VERSION came out: a recording of that time has no
 * more, and what was added behind is 0. The same as dp_record_size() where nothing was added.
 */
size_t dp_record_least_size(unsigned int type);

/* Sets type, size, time and the agent's cpu mark; the body is left as it is. */
void dp_record_init(struct dp_record *r, enum dp_record_type type, uint64_t t_ns, uint32_t pid,
		    uint32_t tid);

/*
 * Is `r` (of `len` readable bytes) a record that the model may eat? Checks type, size, enum ranges
 * and NUL termination of each string, so that a hostile recording reaches nothing. 0 or -EBADMSG.
 */
int dp_record_check(const struct dp_record *r, size_t len);

/*
 * Clears what stands behind the end of each string, and frames that are not used. That is whatever
 * the memory held before, possibly a dataflow's payload. The record has passed dp_record_check().
 */
void dp_record_clear(struct dp_record *r);

/* When the wait was over that a GIL_WAIT_END tells of, perhaps a little later. */
uint64_t dp_wait_over(const struct dp_record *r);

#endif
