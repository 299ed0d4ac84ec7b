// SPDX-License-Identifier: MIT
/*
 * Who else knows that a node was told to stop: a `dora stop` that runs, the node's daemon that is sent
 * signals, a Stop that lies unread in the node's socket; see watched.h.
 */
#include "sense/watched.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/task.h"
#include "sense/procfs.h"

/* From when on a command that still runs is one that the coordinator has not refused: it waits for
 * the nodes to end. */
#define RUNS_NS (1200 * MS)
/* The most that is read of a socket's unread bytes; a Stop is the last thing that a daemon sends, so more is not looked at. */
#define UNREAD_MAX (64 * 1024)

static void emit(struct dp_targets *t, pid_t pid, enum dp_witness witness, bool found)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_STOP_WITNESS, dp_now(), (uint32_t)pid, 0);
	memset(&r.u.witness, 0, sizeof(r.u.witness));
	r.u.witness.witness = (uint8_t)witness;
	r.u.witness.found = found;
	target_emit(t, &r);
}

/* ---- a command --------------------------------------------------------------------------------- */

void dp_targets_commanded(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct command *c = &t->commands[t->next_command++ % COMMANDS_MAX];
	struct dp_task_stat stat;

	*c = (struct command){.pid = 0};
	if (dp_task_stat("/proc", pid, 0, &stat) == 0)
		*c = (struct command){.pid = pid, .start_time = stat.start_time, .since_ns = t_ns};
}

bool targets_know_command(const struct dp_targets *t, pid_t pid)
{
	struct dp_task_stat stat;

	for (int i = 0; i < COMMANDS_MAX; i++)
		if (t->commands[i].pid == pid && dp_task_stat("/proc", pid, 0, &stat) == 0 &&
		    stat.start_time == t->commands[i].start_time)
			return true;
	return false;
}

void targets_check_commands(struct dp_targets *t, uint64_t now)
{
	for (int i = 0; i < COMMANDS_MAX; i++) {
		struct command *c = &t->commands[i];
		struct dp_task_stat stat;

		if (!c->pid || c->told || now < c->since_ns + RUNS_NS)
			continue;
		if (dp_task_stat("/proc", c->pid, 0, &stat) == 0 && stat.state != 'Z' &&
		    stat.start_time == c->start_time)
			emit(t, c->pid, DP_WITNESS_COMMAND, true);
		c->told = true;
	}
}

/* ---- unread bytes ------------------------------------------------------------------------------ */

struct unread {
	bool found;
};

static void on_record(void *ctx, const struct dp_record *r)
{
	struct unread *u = ctx;

	u->found |= r->h.type == DP_REC_WIRE_EVENT && r->u.wire.kind == DP_WIRE_STOP;
}

static void on_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	/* Bytes of another than the events connection, or within a frame: nothing of the node is lost. */
	(void)ctx;
	(void)pid;
	(void)reason;
	(void)count;
	(void)t_ns;
}

/* Is there a Stop among these bytes, which a node of this version has not read yet? */
static bool has_stop(const char *dora, const uint8_t *bytes, size_t len)
{
	struct unread u = {.found = false};
	struct dp_wire *w = dp_wire_new(
		&(struct dp_wire_sink){.record = on_record, .loss = on_loss, .ctx = &u});

	if (!w)
		return false;
	dp_wire_open(w, 1, 1, 1, dora, 0);
	for (size_t at = 0; at < len; at += DP_SOCK_PIECE_MAX) {
		size_t n = len - at < DP_SOCK_PIECE_MAX ? len - at : DP_SOCK_PIECE_MAX;
		struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = 1, .pid = 1, .tid = 1};
		struct dp_sock_data d = {.conn = 1,
					 .total = (uint32_t)len,
					 .offset = (uint32_t)at,
					 .copied = (uint32_t)n,
					 .direction = DP_FROM_DAEMON,
					 .last = at + n == len};

		dp_wire_data(w, &h, &d, bytes + at);
	}
	dp_wire_free(w);
	return u.found;
}

/*
 * Peeks at what a process has not read from a socket of its own: nothing is taken, no read pointer
 * moves. Bytes, or -errno.
 */
static ssize_t peek(int pidfd, int fd, uint8_t *buf, size_t len)
{
	/* Linux 5.6; with the right to trace the process, as for reading its memory. */
	int own = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	ssize_t n;

	if (own < 0)
		return -errno;
	n = recv(own, buf, len, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		n = -errno;
	close(own);
	return n;
}

void target_peek_stop(struct dp_targets *t, struct target *x)
{
	static uint8_t bytes[UNREAD_MAX];
	int fds[CONNS_MAX], n, pidfd;
	struct dp_task_stat stat;
	bool found = false, incomplete;

	if (!x->is_dora || member_is_aside(x))
		return;
	pidfd = (int)syscall(SYS_pidfd_open, x->pid, 0);
	if (pidfd < 0)
		return;
	/* First the descriptor, then the check: a process that has this start time is the one. */
	if (dp_task_stat("/proc", x->pid, 0, &stat) == 0 && stat.start_time == x->start_time) {
		n = dp_proc_daemon_sockets("/proc", x->pid, &x->config, fds, CONNS_MAX,
					   &incomplete);
		for (int i = 0; i < n && !found; i++) {
			ssize_t len = peek(pidfd, fds[i], bytes, sizeof(bytes));

			found = len > 0 && has_stop(x->facts.dora, bytes, (size_t)len);
		}
		emit(t, x->pid, DP_WITNESS_UNREAD, found);
	}
	close(pidfd);
}

/* ---- the daemon -------------------------------------------------------------------------------- */

void target_mark_daemon(struct dp_targets *t, struct target *x)
{
	if (!t->bpf || !x->facts.daemon_pid || x->marked_daemon == x->facts.daemon_pid)
		return;
	if (dp_bpf_mark_daemon(t->bpf, (pid_t)x->facts.daemon_pid))
		target_emit_loss(t, x->pid, DP_LOSS_MAP_FULL, 1);
	else
		x->marked_daemon = x->facts.daemon_pid;
}
