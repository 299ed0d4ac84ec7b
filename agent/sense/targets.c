// SPDX-License-Identifier: MIT
/* The watched processes (targets.h). */
#include "sense/targets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act/stop_command.h"
#include "dora/nodeconfig.h"
#include "python/pyprocess.h"
#include "sense/clock.h"
#include "sense/procfs.h"

#define MS 1000000ULL

#define CONNS_MAX       16
#define RETRY_NS        (20 * MS)    /* between tries at a process that is still starting */
#define STARTING_NS     (10000 * MS) /* after which it is taken as what it is */
#define RESCAN_NS       (1000 * MS)  /* interpreters, signal masks, dora version */
#define SIGNAL_CHECK_NS (10 * MS)
#define DAEMON_TRIES    5

struct target {
	pid_t pid; /* 0: slot free */
	uint64_t start_time;
	uint64_t since_ns;
	uint64_t next_try_ns; /* 0: the runtime is known, or known not to be there */
	uint64_t next_rescan_ns;
	struct dp_py *py;
	struct dp_target kernel;
	struct dp_node_config config;
	struct dp_rec_node facts;
	uint8_t is_dora;
	uint8_t announced;
	uint8_t untold; /* the kernel's maps had no room for it: to be tried again */
	uint8_t armed, arming; /* edge source */
	uint8_t named;         /* asked for by --pid */
	/*
	 * An ancestor with the same node configuration, until a connection of its own shows that
	 * this is the node; 0 none. A node's helper processes inherit its environment.
	 */
	pid_t heir_of;
	uint8_t daemon_tries;
	uint64_t conns[CONNS_MAX];
	unsigned int conn_count;
	/* sampler */
	uint32_t last_tid[DP_MAX_GILS];
	/* caught signals whose Python handler has not run, a bit each */
	uint64_t signals;
	uint32_t signal_tid;
	uint64_t signal_ns;
	char why[DP_REASON_MAX];     /* no CPython: what it is instead */
	char no_edge[DP_REASON_MAX]; /* why the edge source could not be had, "" */
};

struct dp_targets {
	struct dp_wanted wanted;
	struct dp_bpf *bpf;
	struct dp_wire *wire;
	struct dp_targets_sink sink;
	struct target at[DP_MAX_TARGETS];
	unsigned int alive;
	int first_error;
	uint8_t scanning;
};

struct dp_targets *dp_targets_new(const struct dp_wanted *wanted, struct dp_bpf *b,
				  struct dp_wire *w, const struct dp_targets_sink *sink)
{
	struct dp_targets *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->wanted = *wanted;
	t->bpf = b;
	t->wire = w;
	t->sink = *sink;
	return t;
}

void dp_targets_free(struct dp_targets *t)
{
	if (!t)
		return;
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		dp_py_close(t->at[i].py);
	free(t);
}

static struct target *find(struct dp_targets *t, pid_t pid)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (pid && t->at[i].pid == pid)
			return &t->at[i];
	return NULL;
}

static void emit(struct dp_targets *t, const struct dp_record *r)
{
	t->sink.record(t->sink.ctx, r);
}

static void emit_loss(struct dp_targets *t, pid_t pid, enum dp_loss reason, uint64_t count)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_LOSS, dp_now(), (uint32_t)pid, 0);
	r.u.loss = (struct dp_rec_loss){.reason = reason, .count = count};
	emit(t, &r);
}

static void emit_facts(struct dp_targets *t, struct target *x)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_NODE_FACTS, dp_now(), (uint32_t)x->pid, 0);
	r.u.node = x->facts;
	x->announced = 1;
	emit(t, &r);
}

static void say(char *buf, size_t len, const char *words)
{
	size_t have = strlen(buf);

	snprintf(buf + have, len - have, "%s%s", have ? "; " : "", words);
}

/* Everything that the facts say, from what is known now. */
static void refresh_facts(struct target *x)
{
	struct dp_rec_node *f = &x->facts;
	struct dp_proc_status st;
	char dora[sizeof(f->dora)];

	if (dp_proc_status("/proc", x->pid, &st) == 0) {
		f->start_time = st.start_time;
		f->signals_caught = st.sig_caught;
		f->signals_ignored = st.sig_ignored;
		f->uid = st.uid;
	}
	f->is_dora = x->is_dora && !x->heir_of;
	if (f->is_dora) {
		memcpy(f->dataflow, x->config.dataflow, sizeof(f->dataflow));
		memcpy(f->dataflow_name, x->config.dataflow_name, sizeof(f->dataflow_name));
		memcpy(f->node, x->config.node, sizeof(f->node));
		f->transport = x->config.transport;
		/* A search through all processes where it is not an ancestor: not for ever. */
		if (!f->daemon_pid && x->daemon_tries < DAEMON_TRIES && ++x->daemon_tries)
			f->daemon_pid = (uint32_t)dp_proc_daemon("/proc", x->pid, &x->config);
	}
	if (!f->dora[0] && f->is_dora &&
	    dp_dora_version_read("/proc", x->pid, dora, sizeof(dora)) == 0)
		memcpy(f->dora, dora, sizeof(f->dora));
	if (x->py) {
		const struct dp_py_info *i = dp_py_info(x->py);

		f->is_python = 1;
		f->free_threaded = i->free_threaded;
		snprintf(f->python, sizeof(f->python), "%s", i->version);
		snprintf(f->implementation, sizeof(f->implementation), "%s", i->implementation);
		f->gil_count = (uint8_t)x->kernel.gil_count;
		f->gil_observable = x->kernel.gil_count > 0;
		f->switch_interval_us = x->kernel.gils[0].interval_us;
	}
	f->tokens_observable = f->is_dora && f->transport != DP_TRANSPORT_SHMEM &&
			       f->transport != DP_TRANSPORT_UNKNOWN &&
			       !dp_version_at_least(f->dora, 1, 0, 0);
	f->reason[0] = '\0';
	if (!x->py && x->why[0])
		say(f->reason, sizeof(f->reason), x->why);
	if (x->py && !x->kernel.gil_count)
		say(f->reason, sizeof(f->reason),
		    dp_py_info(x->py)->free_threaded ? "free-threaded build without a GIL"
						     : "no GIL found (interpreter ending?)");
	if (!x->is_dora)
		say(f->reason, sizeof(f->reason),
		    "no dora node (no DORA_NODE_CONFIG): watched for its GIL only");
	else if (x->heir_of)
		say(f->reason, sizeof(f->reason),
		    "started by a dora node, without a connection to the daemon of its own: watched "
		    "for its GIL only");
	else if (f->transport == DP_TRANSPORT_SHMEM)
		say(f->reason, sizeof(f->reason),
		    "shared-memory transport to the daemon: frames pass through no system call; "
		    "use "
		    "communication Tcp to see tokens and Stop");
	else if (f->transport == DP_TRANSPORT_UNKNOWN)
		say(f->reason, sizeof(f->reason), "transport to the daemon not known");
	else if (dp_version_at_least(f->dora, 1, 0, 0))
		say(f->reason, sizeof(f->reason), "dora 1.x has no drop tokens");
	if (x->no_edge[0])
		say(f->reason, sizeof(f->reason), x->no_edge);
}

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
		emit_loss(t, x->pid, DP_LOSS_MAP_FULL, 1);
}

/* Counted once for each time that the process falls out of the map, not at each try. */
static void tell_kernel(struct dp_targets *t, struct target *x)
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

static void add_conn(struct target *x, uint64_t conn)
{
	if (x->conn_count < CONNS_MAX)
		x->conns[x->conn_count++] = conn;
}

static void let_go(struct dp_targets *t, struct target *x, const char *why);

/* It talks to the daemon itself. An ancestor that never did was but its wrapper. */
static void is_the_node(struct dp_targets *t, struct target *x)
{
	struct target *above = find(t, x->heir_of);

	if (!x->heir_of)
		return;
	x->heir_of = 0;
	tell_kernel(t, x);
	if (above && !above->conn_count && !above->named)
		let_go(t, above, "the process that started the node");
}

struct region_ctx {
	struct dp_targets *t;
	struct target *x;
};

static void mark_region(void *ctx, uint64_t addr, const char *name)
{
	struct region_ctx *c = ctx;

	count_unmapped(c->t, c->x, dp_bpf_mark_region(c->t->bpf, c->x->pid, addr, name));
}

/* A process that ran before us: its connections and mapped regions are found in /proc. */
static void mark_open(struct dp_targets *t, struct target *x)
{
	struct region_ctx c = {.t = t, .x = x};
	int fds[CONNS_MAX];
	int n = dp_proc_daemon_sockets("/proc", x->pid, &x->config, fds, CONNS_MAX);
	uint64_t now = dp_now();

	for (int i = 0; i < n; i++) {
		uint64_t conn = dp_bpf_new_conn(t->bpf);

		if (x->heir_of && dp_proc_shares_socket("/proc", x->pid, fds[i], x->heir_of))
			continue;
		is_the_node(t, x);
		dp_wire_open(t->wire, conn, (uint32_t)x->pid, now, x->facts.dora, 1);
		add_conn(x, conn);
		count_unmapped(t, x, dp_bpf_mark_socket(t->bpf, x->pid, fds[i], conn));
	}
	dp_proc_regions("/proc", x->pid, mark_region, &c);
}

static void drop(struct dp_targets *t, struct target *x)
{
	dp_py_close(x->py);
	memset(x, 0, sizeof(*x));
	t->alive--;
}

static void let_go(struct dp_targets *t, struct target *x, const char *why)
{
	struct dp_record r;

	dp_bpf_unwatch(t->bpf, x->pid);
	if (x->announced) {
		dp_record_init(&r, DP_REC_NODE_GONE, dp_now(), (uint32_t)x->pid, 0);
		memset(&r.u.gone, 0, sizeof(r.u.gone));
		snprintf(r.u.gone.reason, sizeof(r.u.gone.reason), "%s", why);
		emit(t, &r);
	}
	drop(t, x);
}

/*
 * Tries to see the runtime. 1 settled (Python or not), 0 still starting, -errno when the process is
 * no use to us (and has been let go).
 */
static int settle(struct dp_targets *t, struct target *x, uint64_t now)
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
				fprintf(stderr, "dora-probe: %d: %s\n", (int)x->pid, why);
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
	refresh_facts(x);
	if (!is_helper(x))
		emit_facts(t, x);
	tell_kernel(t, x);
	return 1;
}

static int is_named(const struct dp_wanted *w, pid_t pid)
{
	for (unsigned int i = 0; i < w->pids.count; i++)
		if (w->pids.pid[i] == pid)
			return 1;
	return 0;
}

/* Can processes that nobody named be wanted, now or later? */
static int wants_others(const struct dp_wanted *w)
{
	return w->all || w->nodes.count || w->dataflows.count;
}

/* Does the user's selection want this process? */
static int selected(const struct dp_targets *t, pid_t pid, const struct dp_node_config *c)
{
	const struct dp_wanted *w = &t->wanted;

	if (is_named(w, pid))
		return 1;
	if (!c)
		return 0;
	if (w->all)
		return 1;
	for (unsigned int i = 0; i < w->nodes.count; i++)
		if (strcmp(w->nodes.name[i], c->node) == 0)
			return 1;
	for (unsigned int i = 0; i < w->dataflows.count; i++)
		if (strcmp(w->dataflows.name[i], c->dataflow) == 0 ||
		    (c->dataflow_name[0] && strcmp(w->dataflows.name[i], c->dataflow_name) == 0))
			return 1;
	return 0;
}

/* Takes a process up when it is wanted. 0 watched, 1 not wanted, -errno refused. */
static int take(struct dp_targets *t, pid_t pid, int running)
{
	struct dp_node_config config;
	struct dp_proc_status st;
	struct target *x = NULL;
	int err, named = is_named(&t->wanted, pid);

	if (find(t, pid))
		return 0;
	if (!named && !wants_others(&t->wanted))
		return 1;
	err = dp_node_config_read("/proc", pid, &config);
	if (!selected(t, pid, err ? NULL : &config))
		return 1;
	if (err && err != -ENOENT && err != -EBADMSG) {
		if (named)
			fprintf(stderr,
				err == -ESRCH
					? "dora-probe: %d: no such process; `dora-probe list` "
					  "shows the nodes\n"
					: "dora-probe: %d: may not be read; run as root (sudo)\n",
				(int)pid);
		return err;
	}
	if (dp_proc_status("/proc", pid, &st) < 0) {
		if (named)
			fprintf(stderr,
				"dora-probe: %d: no such process; `dora-probe list` shows "
				"the nodes\n",
				(int)pid);
		return -ESRCH;
	}
	for (int i = 0; i < DP_MAX_TARGETS && !x; i++)
		if (!t->at[i].pid)
			x = &t->at[i];
	if (!x) {
		emit_loss(t, pid, DP_LOSS_NODE_LIMIT, 1);
		return -ENOSPC;
	}
	memset(x, 0, sizeof(*x));
	x->pid = pid;
	x->start_time = st.start_time;
	x->named = (uint8_t)named;
	x->since_ns = dp_now();
	if (!err) {
		x->config = config;
		x->is_dora = 1;
		if (config.transport != DP_TRANSPORT_SHMEM)
			x->heir_of = dp_proc_node_ancestor("/proc", pid, &config);
	}
	t->alive++;
	if (running) {
		/* Facts first, so that the records of its connections find the node. */
		refresh_facts(x);
		tell_kernel(t, x);
		if (x->is_dora)
			mark_open(t, x);
		err = settle(t, x, x->since_ns);
		return err < 0 ? err : 0;
	}
	tell_kernel(t, x); /* in time for its connect */
	x->next_try_ns = x->since_ns + RETRY_NS;
	return 0;
}

static void scan_one(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;

	take(t, pid, 1);
}

int dp_targets_scan(struct dp_targets *t)
{
	int first = 0;

	for (unsigned int i = 0; i < t->wanted.pids.count; i++) {
		int err = take(t, t->wanted.pids.pid[i], 1);

		if (err < 0 && !first)
			first = err;
	}
	if (wants_others(&t->wanted))
		dp_proc_each("/proc", scan_one, t);
	/* A Python that cannot be read is no target, which is not the kernel's fault. */
	if (first == -ENOTSUP)
		first = -ENOENT;
	if (t->alive == 0 && t->wanted.pids.count)
		return first ? first : -ESRCH;
	return (int)t->alive;
}

void dp_targets_exec(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct target *x = find(t, pid);
	struct dp_record r;

	if (x) {
		/* The same pid runs another program: nothing known of it holds any more. */
		for (unsigned int i = 0; i < x->conn_count; i++)
			dp_wire_close(t->wire, x->conns[i], t_ns, (uint32_t)pid, 0);
		dp_bpf_unwatch(t->bpf, pid);
		if (x->announced) {
			dp_record_init(&r, DP_REC_PROC_EXEC, t_ns, (uint32_t)pid, (uint32_t)pid);
			emit(t, &r);
		}
		drop(t, x);
	}
	take(t, pid, 0);
}

void dp_targets_exit(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct target *x = find(t, pid);

	if (!x)
		return;
	for (unsigned int i = 0; i < x->conn_count; i++)
		dp_wire_close(t->wire, x->conns[i], t_ns, (uint32_t)pid, 0);
	dp_bpf_unwatch(t->bpf, pid);
	drop(t, x);
}

void dp_targets_connected(struct dp_targets *t, pid_t pid, uint64_t conn, uint64_t t_ns)
{
	struct target *x = find(t, pid);
	struct dp_rec_node was;

	if (!x)
		return;
	is_the_node(t, x);
	add_conn(x, conn);
	/* By now it has imported dora: the version is in its mappings. */
	memcpy(&was, &x->facts, sizeof(was)); /* an assignment may leave the padding out */
	refresh_facts(x);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (!x->announced || memcmp(&was, &x->facts, sizeof(was)) != 0)
		emit_facts(t, x);
	dp_wire_open(t->wire, conn, (uint32_t)pid, t_ns, x->facts.dora, 0);
}

void dp_targets_closed(struct dp_targets *t, pid_t pid, uint32_t tid, uint64_t conn, uint64_t t_ns)
{
	struct target *x = find(t, pid);

	for (unsigned int i = 0; x && i < x->conn_count; i++)
		if (x->conns[i] == conn) {
			x->conns[i] = x->conns[--x->conn_count];
			break;
		}
	dp_wire_close(t->wire, conn, t_ns, (uint32_t)pid, tid);
}

void dp_targets_registered(struct dp_targets *t, pid_t pid, const struct dp_rec_register *reg)
{
	struct target *x = find(t, pid);
	const char *dora;

	if (!x || x->facts.dora[0])
		return;
	dora = reg->codec == 1 ? reg->message_version
			       : dp_dora_version_of_message(reg->message_version);
	if (!dora[0])
		return;
	snprintf(x->facts.dora, sizeof(x->facts.dora), "%s", dora);
	refresh_facts(x);
	emit_facts(t, x);
}

void dp_targets_signalled(struct dp_targets *t, pid_t pid, uint32_t tid, uint8_t signal,
			  uint64_t t_ns)
{
	struct target *x = find(t, pid);

	if (!x || !x->py || signal == 0 || signal > 64)
		return;
	x->signals |= 1ULL << (signal - 1);
	x->signal_tid = tid;
	x->signal_ns = t_ns;
}

void dp_targets_lost(struct dp_targets *t, uint64_t t_ns)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		for (unsigned int j = 0; t->at[i].pid && j < t->at[i].conn_count; j++)
			dp_wire_lost(t->wire, t->at[i].conns[j], t_ns);
}

/* One look at one GIL, joined with what the kernel programs know of the holder. */
static int look(struct dp_targets *t, struct target *x, unsigned int gil)
{
	struct dp_record r;
	struct dp_thread_state th;
	struct dp_edge_state e;
	uint32_t tid = 0;
	int err;

	dp_record_init(&r, DP_REC_GIL_LOOK, 0, (uint32_t)x->pid, 0);
	memset(&r.u.look, 0, sizeof(r.u.look));
	err = dp_py_look(x->py, gil, &r.u.look, &tid);
	if (err)
		return err;
	r.u.look.gil = (uint8_t)gil;
	/* Twice free in a row is no news. */
	if (r.u.look.locked == 0 && x->last_tid[gil] == 0)
		return 0;
	if (r.u.look.locked == 1 && tid && dp_bpf_thread(t->bpf, (pid_t)tid, &th) == 0) {
		r.u.look.notheld_ns = th.notheld_ns;
		r.u.look.run_first_ns = th.run_first_ns;
		r.u.look.run_last_ns = th.run_last_ns;
		r.u.look.off_since_ns = th.off_since_ns;
		r.u.look.off_runnable = th.off_runnable;
		r.u.look.take_ns = th.take_ns;
		r.u.look.run_samples =
			th.run_samples < UINT16_MAX ? (uint16_t)th.run_samples : UINT16_MAX;
		r.u.look.run_eval = !x->kernel.eval_to             ? UINT16_MAX
				    : th.run_eval < UINT16_MAX - 1 ? (uint16_t)th.run_eval
								   : UINT16_MAX - 1;
	}
	if (x->armed && dp_bpf_edge(t->bpf, x->pid, gil, &e) == 0) {
		r.u.look.edge_armed_ns = e.armed_ns;
		r.u.look.edge_take_ns = e.take_ns;
		r.u.look.edge_take_tid = e.take_tid;
		r.u.look.edge_release_ns = e.release_ns;
		r.u.look.edge_release_tid = e.release_tid;
		r.u.look.edge_releases = e.releases;
	}
	r.h.tid = tid;
	r.h.t_ns = dp_now();
	x->last_tid[gil] = r.u.look.locked == 1 ? tid : 0;
	emit(t, &r);
	return 0;
}

static void check_arming(struct dp_targets *t, struct target *x);

static void check_signals(struct dp_targets *t, struct target *x, uint64_t now)
{
	struct dp_record r;

	/* The C handler sets the flag right after delivery: look a moment later. */
	if (!x->signals || now - x->signal_ns < SIGNAL_CHECK_NS || dp_py_signal_pending(x->py) != 0)
		return;
	for (uint8_t s = 1; s <= 64; s++) {
		if (!(x->signals & (1ULL << (s - 1))))
			continue;
		dp_record_init(&r, DP_REC_SIGNAL, now, (uint32_t)x->pid, x->signal_tid);
		memset(&r.u.signal, 0, sizeof(r.u.signal));
		r.u.signal.kind = DP_SIGNAL_HANDLED;
		r.u.signal.signal = s;
		r.u.signal.disposition = DP_SIGDISP_CAUGHT;
		emit(t, &r);
	}
	x->signals = 0;
}

static void rescan(struct dp_targets *t, struct target *x, uint64_t now)
{
	struct dp_rec_node was;
	struct dp_target kernel = x->kernel;

	memcpy(&was, &x->facts, sizeof(was));
	x->next_rescan_ns = now + RESCAN_NS;
	if (x->py && dp_py_fill_target(x->py, &x->kernel) < 0)
		x->kernel = kernel;
	refresh_facts(x);
	if (x->untold || memcmp(&kernel, &x->kernel, sizeof(kernel)) != 0)
		tell_kernel(t, x);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (x->announced && memcmp(&was, &x->facts, sizeof(was)) != 0)
		emit_facts(t, x);
}

void dp_targets_tick(struct dp_targets *t, uint64_t now)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++) {
		struct target *x = &t->at[i];

		if (!x->pid)
			continue;
		if (x->next_try_ns) {
			if (now >= x->next_try_ns)
				settle(t, x, now);
			if (!x->pid || x->next_try_ns)
				continue;
		}
		if (x->py && x->announced) {
			check_arming(t, x);
			for (unsigned int g = 0; g < x->kernel.gil_count; g++)
				look(t, x, g);
			check_signals(t, x, now);
		}
		if (now >= x->next_rescan_ns)
			rescan(t, x, now);
	}
}

static void read_stack(struct dp_targets *t, struct target *x, pid_t tid)
{
	struct dp_thread_state th;
	struct dp_record r;

	dp_record_init(&r, DP_REC_STACK, 0, (uint32_t)x->pid, (uint32_t)tid);
	memset(&r.u.stack, 0, sizeof(r.u.stack));
	if (x->py)
		dp_py_stack(x->py, tid, &r.u.stack);
	else
		dp_native_stack(x->pid, tid, &r.u.stack);
	/* A thread's last look at itself is the one at which it left the CPU. */
	if (r.u.stack.state == 'S' && dp_bpf_thread(t->bpf, tid, &th) == 0)
		r.u.stack.asleep_since_ns = th.off_since_ns ? th.off_since_ns : th.notheld_ns;
	r.h.t_ns = dp_now();
	emit(t, &r);
}

static void emit_edge(struct dp_targets *t, struct target *x, int error)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_SOURCE_STATE, dp_now(), (uint32_t)x->pid, 0);
	memset(&r.u.source, 0, sizeof(r.u.source));
	r.u.source.source = DP_SOURCE_EDGE;
	r.u.source.on = x->armed;
	r.u.source.error = error;
	if (error)
		snprintf(r.u.source.detail, sizeof(r.u.source.detail), "%s", x->no_edge);
	emit(t, &r);
}

/*
 * A source that was asked for and cannot be had: the node's reason says so from now on, and standard
 * error once a process, since holds without a waiter stay unconfirmed meanwhile.
 */
static void refuse_edge(struct dp_targets *t, struct target *x, int err)
{
	bool first = !x->no_edge[0];

	if (err == -ENOENT)
		snprintf(
			x->no_edge, sizeof(x->no_edge),
			"no uprobe: pthread_cond_signal was not found; holds that nobody waits for "
			"stay unconfirmed");
	else
		snprintf(x->no_edge, sizeof(x->no_edge),
			 "no uprobe (%s)%s; holds that nobody waits for stay unconfirmed",
			 strerror(-err),
			 err == -EACCES || err == -EPERM ? ", CAP_SYS_ADMIN is missing" : "");
	if (first) {
		fprintf(stderr, "dora-probe: %d: %s; see: dora-probe doctor\n", (int)x->pid,
			x->no_edge);
		refresh_facts(x);
		emit_facts(t, x);
	}
	emit_edge(t, x, err);
}

/* Arming takes the kernel some milliseconds: the answer comes at a later tick. */
static void arm(struct dp_targets *t, struct target *x)
{
	char path[256];
	uint64_t offset;
	int err = -ENOENT;

	if (x->py)
		err = dp_py_cond_signal_site(x->py, path, sizeof(path), &offset);
	if (!err)
		err = dp_bpf_arm(t->bpf, x->pid, path, offset);
	if (err == 0 || err == -EALREADY)
		x->arming = 1;
	else if (err == -ESRCH)
		emit_edge(t, x, err);
	else
		refuse_edge(t, x, err);
}

static void check_arming(struct dp_targets *t, struct target *x)
{
	int state;

	if (!x->arming)
		return;
	state = dp_bpf_armed(t->bpf, x->pid);
	if (state == 0)
		return;
	x->arming = 0;
	x->armed = state == 1;
	if (state < 0)
		dp_bpf_disarm(t->bpf, x->pid);
	else
		x->no_edge[0] = '\0';
	/* A process that has just ended lacks nothing. */
	if (state < 0 && state != -ESRCH)
		refuse_edge(t, x, state);
	else
		emit_edge(t, x, state < 0 ? state : 0);
}

static void disarm(struct dp_targets *t, struct target *x)
{
	dp_bpf_disarm(t->bpf, x->pid);
	x->armed = x->arming = 0;
	emit_edge(t, x, 0);
}

void dp_targets_request(struct dp_targets *t, const struct dp_request *q)
{
	struct target *x = find(t, (pid_t)q->pid);

	if (!x)
		return;
	switch ((enum dp_request_type)q->type) {
	case DP_REQ_READ_STACK:
		read_stack(t, x, (pid_t)q->tid);
		break;
	case DP_REQ_ARM_EDGE:
		arm(t, x);
		break;
	case DP_REQ_DISARM_EDGE:
		disarm(t, x);
		break;
	default:
		break;
	}
}

unsigned int dp_targets_alive(const struct dp_targets *t)
{
	return t->alive;
}

int dp_targets_finished(const struct dp_targets *t)
{
	return t->alive == 0 && !wants_others(&t->wanted);
}

int dp_targets_still(struct dp_targets *t, pid_t pid, pid_t tid, char *why, size_t why_len)
{
	struct target *x = find(t, pid);
	struct dp_rec_stack stack;
	struct dp_rec_look k;
	uint32_t holder = 0;

	memset(&k, 0, sizeof(k));
	if (!x || (x->py && dp_py_look(x->py, 0, &k, &holder) != 0)) {
		snprintf(why, why_len, "its GIL can no longer be read");
		return 0;
	}
	if (k.locked == 1 && (pid_t)holder == tid)
		return 1;
	if (k.locked == 1) {
		snprintf(why, why_len, "another thread (%u) holds the GIL now", holder);
		return 0;
	}
	memset(&stack, 0, sizeof(stack));
	if (x->py)
		dp_py_stack(x->py, tid, &stack);
	else
		dp_native_stack(pid, tid, &stack);
	if (stack.state == 'S' && stack.syscall_nr >= 0)
		return 1;
	snprintf(why, why_len, "it has let the GIL go and runs");
	return 0;
}

const struct dp_rec_node *dp_targets_facts(const struct dp_targets *t, pid_t pid)
{
	const struct target *x = find((struct dp_targets *)t, pid);

	return x ? &x->facts : NULL;
}

int dp_targets_trusts(const struct dp_targets *t, uid_t uid)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && t->at[i].is_dora &&
		    dp_stop_command_accepted(uid, t->at[i].facts.uid))
			return 1;
	return 0;
}
