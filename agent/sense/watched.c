// SPDX-License-Identifier: MIT
/* One watched process: what the kernel is told of it, its start, its end; see watched.h. */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sense/procfs.h"

#define STARTING_NS (10000 * MS) /* after which it is taken as what it is */

/* A helper of a node is nothing that was asked for, but it may turn out to be the node. */
static int is_helper(const struct target *x)
{
	return x->heir_of && !x->named;
}

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
	kernel = x->kernel;
	if (is_helper(x))
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

static void let_go(struct dp_targets *t, struct target *x, const char *why);

/* It talks to the daemon itself. An ancestor that never did was but its wrapper. */
void target_is_the_node(struct dp_targets *t, struct target *x)
{
	struct target *above = target_find(t, x->heir_of);

	if (!x->heir_of)
		return;
	x->heir_of = 0;
	target_tell_kernel(t, x);
	if (above && !above->conn_count && !above->named)
		let_go(t, above, "the process that started the node");
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

/* A process that ran before us: its connections and mapped regions are found in /proc. */
void target_mark_open(struct dp_targets *t, struct target *x)
{
	struct region_ctx c = {.t = t, .x = x};
	int fds[CONNS_MAX];
	bool incomplete = false;
	int n = dp_proc_daemon_sockets("/proc", x->pid, &x->config, fds, CONNS_MAX, &incomplete);
	uint64_t now = dp_now();

	/* What a limit has cut off is lost, and nothing of it will be seen. */
	if (n >= 0 && incomplete) {
		x->sockets_incomplete = 1;
		target_emit_loss(t, x->pid, DP_LOSS_SOCKET_LIMIT, 1);
	}

	for (int i = 0; i < n; i++) {
		uint64_t conn = dp_bpf_new_conn(t->bpf);

		if (x->heir_of && dp_proc_shares_socket("/proc", x->pid, fds[i], x->heir_of))
			continue;
		target_is_the_node(t, x);
		dp_wire_open(t->wire, conn, (uint32_t)x->pid, now, x->facts.dora, 1);
		target_add_conn(x, conn);
		count_unmapped(t, x, dp_bpf_mark_socket(t->bpf, x->pid, fds[i], conn));
	}
	dp_proc_regions("/proc", x->pid, mark_region, &c);
}

void target_tell_open(struct dp_targets *t, const struct target *x)
{
	for (unsigned int i = 0; i < x->conn_count; i++) {
		struct dp_record r;

		dp_record_init(&r, DP_REC_CONN_OPENED, dp_now(), (uint32_t)x->pid, 0);
		memset(&r.u.conn, 0, sizeof(r.u.conn));
		r.u.conn.conn = x->conns[i];
		target_emit(t, &r);
	}
}

void target_drop(struct dp_targets *t, struct target *x)
{
	dp_py_close(x->py);
	memset(x, 0, sizeof(*x));
	if (--t->alive == 0)
		t->emptied_ns = dp_now();
}

static void let_go(struct dp_targets *t, struct target *x, const char *why)
{
	struct dp_record r;

	dp_bpf_unwatch(t->bpf, x->pid);
	if (x->announced) {
		dp_record_init(&r, DP_REC_NODE_GONE, dp_now(), (uint32_t)x->pid, 0);
		memset(&r.u.gone, 0, sizeof(r.u.gone));
		snprintf(r.u.gone.reason, sizeof(r.u.gone.reason), "%s", why);
		target_emit(t, &r);
	}
	target_drop(t, x);
}

/*
 * Tries to see the runtime. 1 settled (Python or not), 0 still starting, -errno when the process is
 * no use to us (and has been let go).
 */
int target_settle(struct dp_targets *t, struct target *x, uint64_t now)
{
	char path[256];
	uint64_t offset;
	int err;

	if (!x->py) {
		char why[DP_REASON_MAX] = "";

		err = dp_py_open(x->pid, &x->py, why, sizeof(why));
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
			return err;
		}
		/* A node without CPython has no GIL but the same tokens and the same grace. */
		if (err && !x->conn_count && !x->named) {
			if (now - x->since_ns < STARTING_NS) {
				x->next_try_ns = now + 10 * RETRY_NS;
				return 0;
			}
			let_go(t, x, why);
			return err;
		}
	}
	x->next_try_ns = 0;
	x->next_rescan_ns = now + RESCAN_NS;
	if (x->py) {
		err = dp_py_fill_target(x->py, &x->kernel);
		if (err < 0) {
			x->next_try_ns = now + RETRY_NS;
			return 0;
		}
		x->facts.edge_possible =
			dp_py_cond_signal_site(x->py, path, sizeof(path), &offset) == 0;
	} else if (!x->facts.implementation[0]) {
		snprintf(x->facts.implementation, sizeof(x->facts.implementation), "native");
	}
	target_refresh_facts(x);
	if (!is_helper(x))
		target_emit_facts(t, x);
	target_tell_kernel(t, x);
	return 1;
}
