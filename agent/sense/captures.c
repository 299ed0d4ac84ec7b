// SPDX-License-Identifier: MIT
/* Captures become records (captures.h). */
#include "sense/captures.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

/* Has the capture a body of this size? */
#define HAS(len, type) ((len) >= sizeof(struct dp_capture) + sizeof(type))

/* The record of a capture whose body is the same in both. */
static void push_body(const struct dp_captures *c, const struct dp_capture *h,
		      enum dp_record_type type, size_t len)
{
	struct dp_record r;
	size_t body = dp_record_size(type) - sizeof(r.h);

	if (len < sizeof(*h) + body)
		return;
	dp_record_init(&r, type, h->t_ns, h->pid, h->tid);
	r.h.flags = h->flags;
	r.h.cpu = h->cpu;
	r.h.seq = h->seq;
	memcpy(&r.u, h + 1, body);
	c->record(c->ctx, &r);
}

/* A command that ends nodes says how much time they are given. */
static void stop_command(const struct dp_captures *c, const struct dp_capture *h)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_DORA_COMMAND, h->t_ns, h->pid, h->tid);
	memset(&r.u.command, 0, sizeof(r.u.command));
	if (dp_targets_command(c->targets, (pid_t)h->pid, &r.u.command) ||
	    !dp_targets_concerned(c->targets, (pid_t)h->pid, &r.u.command))
		return;
	r.u.command.started_ns = h->t_ns;
	c->record(c->ctx, &r);
	dp_targets_commanded(c->targets, (pid_t)h->pid, h->t_ns);
}

/* 0: a capture without a record whose body is the same. */
static enum dp_record_type same_body(const struct dp_capture *h)
{
	switch ((enum dp_capture_type)h->type) {
	case DP_CAP_GIL_WAIT_BEGIN:
		return DP_REC_GIL_WAIT_BEGIN;
	case DP_CAP_GIL_WAIT_END:
		return DP_REC_GIL_WAIT_END;
	case DP_CAP_GIL_RELEASE:
		return DP_REC_GIL_RELEASE;
	case DP_CAP_GIL_EDGE_HOLD:
		return DP_REC_GIL_EDGE_HOLD;
	case DP_CAP_GIL_OFFCPU:
		return DP_REC_GIL_OFFCPU;
	case DP_CAP_GIL_RUN:
		return DP_REC_GIL_RUN;
	case DP_CAP_SIGNAL:
		return DP_REC_SIGNAL;
	case DP_CAP_EXIT:
		return DP_REC_PROC_EXIT;
	default:
		return DP_REC_NONE;
	}
}

/* A region that its owner makes tells nothing that its SendMessage does not, and comes with every second message. */
static void region(const struct dp_captures *c, const struct dp_capture *h, size_t len)
{
	const struct dp_region_op *o = (const void *)(h + 1);

	dp_targets_count(c->targets, (pid_t)h->pid, DP_SOURCE_REGION, h->t_ns);
	if (HAS(len, *o) && o->kind != DP_REGION_CREATED)
		push_body(c, h, DP_REC_REGION, len);
}

static void socket_data(const struct dp_captures *c, const struct dp_capture *h, size_t len)
{
	const struct dp_sock_data *d = (const void *)(h + 1);

	if (len >= sizeof(*h) + sizeof(*d) && d->copied <= len - sizeof(*h) - sizeof(*d) &&
	    dp_targets_reads(c->targets, (pid_t)h->pid, d->conn))
		dp_wire_data(c->wire, h, d, (const uint8_t *)(d + 1));
}

static void node_config(const struct dp_captures *c, const struct dp_capture *h, size_t len)
{
	const struct dp_config_piece *p = (const void *)(h + 1);

	if (p->copied <= len - sizeof(*h) - sizeof(*p))
		dp_targets_config(c->targets, (pid_t)h->pid, p, (const char *)(p + 1));
}

static void caught_signal(const struct dp_captures *c, const struct dp_capture *h)
{
	const struct dp_signal_op *s = (const void *)(h + 1);

	if (s->kind == DP_SIGNAL_DELIVERED && s->disposition == DP_SIGDISP_CAUGHT)
		dp_targets_signalled(c->targets, (pid_t)h->pid, h->tid, s->signal, h->t_ns);
}

static void process_end(const struct dp_captures *c, const struct dp_capture *h)
{
	if (!((const struct dp_exit_op *)(const void *)(h + 1))->is_process)
		return;
	c->exited(c->ctx, (pid_t)h->pid);
	dp_targets_exit(c->targets, (pid_t)h->pid, h->t_ns);
}

static bool is_bus_error(const struct dp_capture *h)
{
	const struct dp_exit_op *x = (const void *)(h + 1);

	return x->is_process && (x->status & 0x7f) == SIGBUS;
}

void dp_captures_take(const struct dp_captures *c, const struct dp_capture *h, size_t len)
{
	enum dp_record_type type = same_body(h);
	const void *body = h + 1;

	if (h->type == DP_CAP_EXIT && HAS(len, struct dp_exit_op) && is_bus_error(h))
		dp_targets_no_memory(c->targets, (pid_t)h->pid, h->t_ns);
	if (type != DP_REC_NONE)
		push_body(c, h, type, len);
	switch ((enum dp_capture_type)h->type) {
	case DP_CAP_SOCK_DATA:
		dp_targets_count(c->targets, (pid_t)h->pid, DP_SOURCE_SOCKET, h->t_ns);
		socket_data(c, h, len);
		break;
	case DP_CAP_SOCK_CONNECT:
		if (HAS(len, struct dp_sock_connect))
			dp_targets_connected(c->targets, (pid_t)h->pid, body, h->t_ns);
		break;
	case DP_CAP_REGION:
		region(c, h, len);
		break;
	case DP_CAP_SOCK_CLOSE:
		dp_targets_count(c->targets, (pid_t)h->pid, DP_SOURCE_SOCKET, h->t_ns);
		if (HAS(len, struct dp_sock_close))
			dp_targets_closed(c->targets, (pid_t)h->pid, h->tid,
					  ((const struct dp_sock_close *)body)->conn, h->t_ns);
		break;
	case DP_CAP_SIGNAL:
		if (HAS(len, struct dp_signal_op))
			caught_signal(c, h);
		break;
	case DP_CAP_FORK:
		if (HAS(len, struct dp_fork_op))
			dp_targets_fork(c->targets, (pid_t)h->pid,
					(pid_t)((const struct dp_fork_op *)body)->child_pid,
					h->t_ns);
		break;
	case DP_CAP_NODE_CONFIG:
		if (HAS(len, struct dp_config_piece))
			node_config(c, h, len);
		break;
	case DP_CAP_EXEC:
		stop_command(c, h);
		if (HAS(len, struct dp_exec_op))
			dp_targets_exec(c->targets, (pid_t)h->pid, body, h->t_ns);
		break;
	case DP_CAP_EXIT:
		if (HAS(len, struct dp_exit_op))
			process_end(c, h);
		break;
	default:
		break;
	}
}
