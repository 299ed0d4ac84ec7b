// SPDX-License-Identifier: MIT
/* One watched process: what the kernel is told of it, its start, its end; see watched.h. */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sense/procfs.h"

#define STARTING_NS (10000 * MS) /* after which it is taken as what it is */
#define AGAIN_NS    (5000 * MS)  /* until one that was given up on is tried again */
/* How often a node that was not seen connecting is looked at for connections, once a second. */
#define SOCKET_LOOKS 20

/*
 * An entry that the kernel's maps did not take: something of the process is not seen, and that is
 * a loss of its own. What is there already (its connect was seen) is none.
 */
static void count_unmapped(struct dp_targets *t, const struct target *x, int err)
{
	if (err && err != -EEXIST)
		target_emit_loss(t, x->pid, DP_LOSS_MAP_FULL, 1);
}

/* Counted once for each time that the process falls out of the map, not at each try. */
void target_tell_kernel(struct dp_targets *t, struct target *x)
{
	struct dp_target kernel;
	int err;

	x->kernel.watch_sockets = x->is_dora && x->config.transport != DP_TRANSPORT_SHMEM;
	x->kernel.daemon_family = x->config.family;
	x->kernel.daemon_port = x->config.port;
	if (!t->bpf)
		return;
	kernel = x->kernel;
	if (member_is_aside(x) && !x->named)
		kernel.gil_count = 0;
	err = dp_bpf_watch(t->bpf, x->pid, &kernel);
	if (!x->untold)
		count_unmapped(t, x, err);
	x->untold = err != 0;
}

void target_add_conn(struct target *x, uint64_t conn)
{
	if (x->conn_count < CONNS_MAX)
		x->conns[x->conn_count++] = conn;
}

struct region_ctx {
	struct dp_targets *t;
	struct target *x;
};

static void mark_region(void *ctx, const struct dp_proc_region *r)
{
	struct region_ctx *c = ctx;

	count_unmapped(c->t, c->x, dp_bpf_mark_region(c->t->bpf, c->x->pid, r->addr, r->name));
}

/*
 * Its connections to the daemon that are open already and not followed yet, found in /proc and marked for the
 * kernel. How many; their numbers are the last ones of x->conns.
 */
static unsigned int mark_sockets(struct dp_targets *t, struct target *x)
{
	unsigned int before = x->conn_count;
	int fds[CONNS_MAX], n;
	bool incomplete = false;

	n = dp_proc_daemon_sockets("/proc", x->pid, &x->config, fds, CONNS_MAX, &incomplete);
	/* What a limit has cut off is lost, and nothing of it will be seen. */
	if (n >= 0 && incomplete && !x->sockets_incomplete) {
		x->sockets_incomplete = 1;
		target_emit_loss(t, x->pid, DP_LOSS_SOCKET_LIMIT, 1);
	}
	for (int i = 0; i < n; i++) {
		uint64_t conn = t->bpf ? dp_bpf_new_conn(t->bpf) : 1;
		int err;

		if (x->above && dp_proc_shares_socket("/proc", x->pid, fds[i], x->above))
			continue;
		x->connected = 1;
		err = t->bpf ? dp_bpf_mark_socket(t->bpf, x->pid, fds[i], conn) : 0;
		/* Its connect was seen since the kernel was told: that tells of it. */
		if (err != -EEXIST)
			target_add_conn(x, conn);
		count_unmapped(t, x, err);
	}
	return x->conn_count - before;
}

void target_mark_open(struct dp_targets *t, struct target *x)
{
	target_tell_kernel(t, x);
	if (x->is_dora)
		mark_sockets(t, x);
}

static void open_wire(struct dp_targets *t, const struct target *x, unsigned int from,
		      uint64_t t_ns)
{
	for (unsigned int i = from; t->bpf && i < x->conn_count; i++)
		dp_wire_open(t->wire, x->conns[i], (uint32_t)x->pid, t_ns, x->facts.dora, 1);
}

/*
 * The programs that see a connect to a unix socket are loaded with the first node that has one, which takes longer
 * than a small node needs until it connects; and the kernel skips a program that comes while it runs.
 */
void target_look_for_sockets(struct dp_targets *t, struct target *x, uint64_t now)
{
	unsigned int n;

	if (!x->is_dora || !x->from_start || x->connected || x->socket_looks == SOCKET_LOOKS)
		return;
	x->socket_looks++;
	n = mark_sockets(t, x);
	if (!x->connected)
		return;
	open_wire(t, x, x->conn_count - n, now);
	members_decide(t, &x->config, now);
}

void target_mark_again(struct dp_targets *t, struct target *x, enum dp_source source)
{
	struct region_ctx c = {.t = t, .x = x};
	unsigned int n;

	if (!t->bpf || !x->is_dora)
		return;
	if (source == DP_SOURCE_REGION)
		dp_proc_regions("/proc", x->pid, mark_region, &c);
	if (source != DP_SOURCE_SOCKET)
		return;
	n = mark_sockets(t, x);
	open_wire(t, x, x->conn_count - n, dp_now());
}

void target_follow_open(struct dp_targets *t, struct target *x)
{
	struct region_ctx c = {.t = t, .x = x};

	if (!t->bpf || !x->is_dora)
		return;
	open_wire(t, x, 0, x->since_ns);
	dp_proc_regions("/proc", x->pid, mark_region, &c);
}

void target_forget(struct dp_targets *t, struct target *x)
{
	dp_py_close(x->py);
	t->ended_cpu_ns += dp_reader_cpu_ns(x->reader);
	dp_reader_free(x->reader);
	if (x->ending >= 0)
		close(x->ending);
	memset(x, 0, sizeof(*x));
	if (--t->alive == 0)
		t->emptied_ns = dp_now();
}

static void let_go(struct dp_targets *t, struct target *x, const char *why)
{
	struct dp_record r;

	if (t->bpf)
		dp_bpf_unwatch(t->bpf, x->pid);
	if (x->announced) {
		dp_record_init(&r, DP_REC_NODE_GONE, dp_now(), (uint32_t)x->pid, 0);
		memset(&r.u.gone, 0, sizeof(r.u.gone));
		snprintf(r.u.gone.reason, sizeof(r.u.gone.reason), "%s", why);
		target_emit(t, &r);
	}
	member_left(t, x);
	target_forget(t, x);
}

/* What a Python is like. False: that is not known yet. */
static bool know_python(struct target *x, uint64_t now)
{
	char path[256];
	uint64_t offset;
	int err = dp_reader_fill(x->reader, x->py, &x->kernel);

	x->again_ns = 0;
	if (err >= 0) {
		err = dp_reader_site(x->reader, path, sizeof(path), &offset);
		x->facts.edge_possible = err == 0 && !x->sampling;
		if (err != -EINPROGRESS)
			return true;
	}
	x->next_try_ns = now + RETRY_NS;
	return false;
}

/*
 * Tries to see the runtime. 1 settled (Python or not), 0 still starting, -errno when the process is
 * no use to us (and has been let go).
 */
int target_settle(struct dp_targets *t, struct target *x, uint64_t now)
{
	int err;

	/* Whose role is certain is watched for its end alone. */
	if (member_is_aside(x) && x->proven && !x->named) {
		x->next_try_ns = 0;
		x->next_rescan_ns = now + RESCAN_NS;
		return 1;
	}
	if (!x->py) {
		char why[DP_REASON_MAX] = "";

		err = dp_reader_open(x->reader, &x->py, why, sizeof(why));
		if (err == -EINPROGRESS) {
			x->next_try_ns = now + RETRY_NS;
			return 0;
		}
		if (err && err != -EAGAIN)
			memcpy(x->why, why, sizeof(x->why));
		if (err == -EAGAIN && now - x->since_ns < STARTING_NS) {
			x->next_try_ns = now + RETRY_NS;
			return 0;
		}
		if (err && !x->is_dora) {
			if (x->named)
				target_say(t, x->pid, why);
			let_go(t, x, why);
			return err == -EBUSY ? -ENOENT : err;
		}
		/* Its connections are watched all the same, and it is tried again. */
		if (err == -EBUSY)
			x->again_ns = now + AGAIN_NS;
		/* It may load one yet, as the bootloader of a frozen program does. */
		if (err && !x->connected && !x->named && now - x->since_ns < STARTING_NS) {
			x->next_try_ns = now + 10 * RETRY_NS;
			return 0;
		}
	}
	x->next_try_ns = 0;
	x->next_rescan_ns = now + RESCAN_NS;
	if (x->py) {
		if (!know_python(x, now))
			return 0;
	} else if (!x->facts.implementation[0] && !x->again_ns) {
		snprintf(x->facts.implementation, sizeof(x->facts.implementation), "native");
	}
	target_refresh_facts(x);
	if (!member_is_aside(x) || x->named)
		target_emit_facts(t, x);
	target_tell_kernel(t, x);
	if (!x->proven)
		members_decide(t, &x->config, now);
	return 1;
}
