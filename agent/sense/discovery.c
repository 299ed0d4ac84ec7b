// SPDX-License-Identifier: MIT
/* Who is wanted, and taking them up: by `watch` and by `list`; see watched.h. */
#include "sense/ending.h"
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/task.h"
#include "dora/stop_command.h"
#include "sense/privileges.h"
#include "sense/procfs.h"

/* When a process that has just begun is looked at first: an interpreter needs 5 to 15 ms. */
#define FIRST_TRY_NS (5 * MS)
/* A process that the kernel is told of so long after its start may have connected meanwhile. */
#define TOLD_LATE_NS (100 * MS)
/* How often /proc is looked through for new nodes where no kernel program tells of them. */
#define LOOK_AROUND_NS (1000 * MS)
/* Before the loop runs there is so much time, for all processes that run; where no loop follows, more. */
#define SCAN_PATIENCE_NS (2000 * MS)
#define LIST_PATIENCE_NS (10000 * MS)

static bool is_named(const struct dp_wanted *w, pid_t pid)
{
	for (unsigned int i = 0; i < w->pids.count; i++)
		if (w->pids.pid[i] == pid)
			return true;
	return false;
}

/* Can processes that nobody named be wanted, now or later? */
int wanted_others(const struct dp_wanted *w)
{
	return w->all || w->nodes.count || w->dataflows.count;
}

bool target_is_selected(const struct dp_targets *t, pid_t pid, const struct dp_node_config *c)
{
	const struct dp_wanted *w = &t->wanted;

	if (is_named(w, pid))
		return true;
	if (!c)
		return false;
	if (w->all)
		return true;
	for (unsigned int i = 0; i < w->nodes.count; i++)
		if (strcmp(w->nodes.name[i], c->node) == 0)
			return true;
	for (unsigned int i = 0; i < w->dataflows.count; i++)
		if (strcmp(w->dataflows.name[i], c->dataflow) == 0 ||
		    (c->dataflow_name[0] && strcmp(w->dataflows.name[i], c->dataflow_name) == 0))
			return true;
	return false;
}

/* Says why a process that was named cannot be watched; -ENOENT and others have no sentence here. */
static int refused(struct dp_targets *t, pid_t pid, int err)
{
	const struct dp_right *lacks = err == -ESRCH ? NULL : dp_privileges_lacking();
	char why[DP_REASON_MAX + DP_RIGHTS_TEXT], set[DP_RIGHTS_TEXT];

	if (!is_named(&t->wanted, pid))
		return err;
	if (lacks)
		snprintf(
			why, sizeof(why),
			"may not be read, %s is missing; run as root (sudo), or sudo setcap %s $(command -v dora-probe)",
			lacks->name, dp_rights_setcap(1u << DP_RIGHT_WATCH, set, sizeof(set)));
	else
		snprintf(why, sizeof(why), "%s",
			 err == -ESRCH ? "no such process; `dora-probe list` shows the nodes"
				       : "may not be read; run as root (sudo)");
	target_say(t, pid, why);
	return err;
}

/* A slot for the process, with what its configuration, read from read_ns on, says (NULL: it is no node). NULL: no room. */
static struct target *add(struct dp_targets *t, pid_t pid, const struct dp_node_config *config,
			  uint64_t start_time, uint64_t read_ns)
{
	struct target *x = NULL;

	for (int i = 0; i < DP_MAX_TARGETS && !x; i++)
		if (!t->at[i].pid)
			x = &t->at[i];
	if (!x) {
		target_emit_loss(t, pid, DP_LOSS_NODE_LIMIT, 1);
		return NULL;
	}
	memset(x, 0, sizeof(*x));
	x->pid = pid;
	x->start_time = start_time;
	x->read_ns = read_ns;
	if (!ahead_take(t, x))
		x->reader = dp_reader_new(pid, &t->patience);
	if (!x->reader) {
		x->pid = 0;
		return NULL;
	}
	x->ending = t->sampling ? ending_open(pid) : -1;
	x->named = (uint8_t)is_named(&t->wanted, pid);
	x->sampling = t->sampling;
	x->since_ns = dp_now();
	if (config) {
		x->config = *config;
		x->is_dora = 1;
		t->restarts |= config->restarts;
	}
	t->alive++;
	return x;
}

/*
 * Its configuration: from /proc, or, if it is gone from there, from what the kernel told when it began. Of one that
 * somebody started by hand: what it says itself. 0, or as targets_config() says.
 */
static int read_config(struct dp_targets *t, pid_t pid, const struct dp_birth *birth,
		       struct dp_node_config *ret)
{
	int err = targets_config(t, pid, ret);

	if (err == -ENOENT && !birth)
		return dynamic_config(t, pid, ret);
	if (err && birth && birth->config)
		err = dp_node_config_parse(birth->config, birth->config_len, ret);
	return err;
}

/*
 * When it started, in clock ticks. False: it has left, and nobody tells of its end.
 */
static bool has_started(pid_t pid, const struct dp_birth *birth, uint64_t *ret)
{
	struct dp_task_stat stat;

	if (birth && birth->end_is_told) {
		*ret = birth->start_time;
		return true;
	}
	if (dp_task_stat("/proc", pid, 0, &stat) < 0 || dp_task_state_is_dead(stat.state))
		return false;
	*ret = stat.start_time;
	return true;
}

/*
 * A process that is wanted gets a slot: 0 and *ret; 1 not wanted, or watched already; -errno. `birth`
 * is NULL for one that ran before.
 */
static int select_one(struct dp_targets *t, pid_t pid, const struct dp_birth *birth,
		      struct target **ret)
{
	uint64_t start_time, read_ns = dp_now();
	struct dp_node_config config;
	int err;

	if (target_find(t, pid) || (!is_named(&t->wanted, pid) && !wanted_others(&t->wanted)))
		return 1;
	err = read_config(t, pid, birth, &config);
	if (err == -EPERM)
		t->unreadable++;
	if (!target_is_selected(t, pid, err ? NULL : &config))
		return 1;
	if (err && err != -ENOENT && err != -EBADMSG)
		return refused(t, pid, err);
	if (!has_started(pid, birth, &start_time))
		return refused(t, pid, -ESRCH);
	*ret = add(t, pid, err ? NULL : &config, start_time, read_ns);
	if (!*ret)
		return -ENOSPC;
	if (birth) {
		(*ret)->parent = birth->parent;
		(*ret)->looks_python = strncmp(birth->exe, "python", 6) == 0;
	}
	return 0;
}

/* A process that has just begun, at t_ns: its first record has that time, so that all others come after it. */
static void begin(struct dp_targets *t, struct target *x, uint64_t t_ns)
{
	x->from_start = 1;
	x->next_try_ns = x->since_ns + FIRST_TRY_NS;
	target_tell_kernel(t, x); /* in time for its connect */
	if (!x->is_dora)
		return;
	member_link(t, x);
	members_decide(t, &x->config, t_ns);
	if (dp_now() - t_ns > TOLD_LATE_NS)
		target_look_for_sockets(t, x, dp_now());
}

/*
 * It ended before the kernel was told of it, which then told nothing of its end. Without this the
 * process would be watched for ever.
 */
static void check_alive(struct dp_targets *t, struct target *x)
{
	struct dp_task_stat stat;
	struct dp_record r;
	bool same = !dp_task_stat("/proc", x->pid, 0, &stat) && stat.start_time == x->start_time;
	bool known;
	int status;

	if (same && !dp_task_state_is_dead(stat.state))
		return;
	known = ending_status(x->ending, same ? x->pid : 0, &status) == 0;
	/* Where the kernel may tell of its end yet, it is forgotten as one that runs another program. */
	dp_record_init(&r, known || t->sampling ? DP_REC_PROC_EXIT : DP_REC_PROC_EXEC, dp_now(),
		       (uint32_t)x->pid, (uint32_t)x->pid);
	if (r.h.type == DP_REC_PROC_EXIT) {
		memset(&r.u.exit, 0, sizeof(r.u.exit));
		r.u.exit.status = known ? status : 0;
		r.u.exit.is_process = 1;
		r.u.exit.is_unknown = !known;
	}
	if (x->announced || x->member_told)
		target_emit(t, &r);
	dp_targets_exit(t, x->pid, r.h.t_ns);
}

bool target_take(struct dp_targets *t, const struct dp_birth *birth, uint64_t t_ns)
{
	struct target *x;

	if (select_one(t, birth->pid, birth, &x))
		return false;
	begin(t, x, t_ns);
	if (!birth->end_is_told)
		check_alive(t, x);
	return true;
}

bool target_join(struct dp_targets *t, const struct dp_birth *birth,
		 const struct dp_node_config *config, const uint64_t *conns, unsigned int count,
		 uint64_t t_ns)
{
	struct target *x = NULL;

	if (target_is_selected(t, birth->pid, config))
		x = add(t, birth->pid, config, birth->start_time, dp_now());
	if (!x)
		return false;
	x->parent = birth->parent;
	x->looks_python = 1;
	x->connected = 1;
	for (unsigned int i = 0; i < count; i++)
		target_add_conn(x, conns[i]);
	begin(t, x, t_ns);
	check_alive(t, x);
	return true;
}

void dp_targets_fork(struct dp_targets *t, pid_t parent, pid_t pid, uint64_t t_ns)
{
	const struct target *from = target_find(t, parent);
	struct dp_task_stat stat;
	struct target *x;

	/* What a node forks is its helper; what a launcher forks may become the node. */
	if (!from || !from->is_dora || from->connected || pid == parent || target_find(t, pid) ||
	    dp_task_stat("/proc", pid, 0, &stat) < 0)
		return;
	x = add(t, pid, &from->config, stat.start_time, 0);
	if (!x)
		return;
	begin(t, x, t_ns);
	check_alive(t, x);
}

static void take_new(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;
	struct target *x;

	if (select_one(t, pid, NULL, &x))
		return;
	begin(t, x, dp_now());
	check_alive(t, x);
}

/* A `dora stop` that nobody saw starting is still there while it waits for the nodes. */
static void stop_under_way(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;
	struct dp_record r;

	if (targets_know_command(t, pid))
		return;
	dp_record_init(&r, DP_REC_DORA_COMMAND, dp_now(), (uint32_t)pid, 0);
	memset(&r.u.command, 0, sizeof(r.u.command));
	if (dp_targets_command(t, pid, &r.u.command) || !dp_targets_concerned(t, pid, &r.u.command))
		return;
	r.u.command.started_ns = dp_proc_started("/proc", pid);
	target_emit(t, &r);
	dp_targets_commanded(t, pid, r.u.command.started_ns);
}

void targets_look_around(struct dp_targets *t, uint64_t now)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid)
			check_alive(t, &t->at[i]);
	if (now < t->next_look_ns)
		return;
	t->next_look_ns = now + LOOK_AROUND_NS;
	if (wanted_others(&t->wanted))
		dp_proc_each("/proc", take_new, t);
	if (t->alive)
		dp_proc_each("/proc", stop_under_way, t);
}

static void scan_one(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;
	struct target *x;

	select_one(t, pid, NULL, &x);
}

/* Looks all processes through at the same time: for one that takes long the others do not wait. */
static void begin_reading(struct dp_targets *t)
{
	char why[DP_REASON_MAX];

	t->patience.left_ns = 0;
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && !t->at[i].py && !member_is_aside(&t->at[i]))
			dp_reader_open(t->at[i].reader, &t->at[i].py, why, sizeof(why));
	t->patience.left_ns = t->scan_patience_ns;
}

/* Takes up what runs already: told to the kernel all at once, and looked at more closely only then. */
static int take_running(struct dp_targets *t, uint64_t t_ns)
{
	int first = 0;

	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && t->at[i].is_dora)
			member_link(t, &t->at[i]);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid)
			target_mark_open(t, &t->at[i]);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && t->at[i].is_dora && !t->at[i].member_told)
			members_decide(t, &t->at[i].config, t_ns);
	begin_reading(t);
	for (int i = 0; i < DP_MAX_TARGETS; i++) {
		struct target *x = &t->at[i];
		int err;

		if (!x->pid)
			continue;
		target_follow_open(t, x);
		err = target_settle(t, x, x->since_ns);
		if (err == 1 && x->announced)
			target_take_stock(t, x, x->since_ns);
		if (err < 0 && !first)
			first = err;
	}
	return first;
}

int dp_targets_scan(struct dp_targets *t)
{
	uint64_t t_ns = dp_now();
	int first = 0, err;
	struct target *x;

	t->scan_patience_ns = t->scan_patience_ns ? t->scan_patience_ns : SCAN_PATIENCE_NS;
	t->patience.left_ns = t->scan_patience_ns;
	for (unsigned int i = 0; i < t->wanted.pids.count; i++) {
		err = select_one(t, t->wanted.pids.pid[i], NULL, &x);
		if (err < 0 && !first)
			first = err;
	}
	if (wanted_others(&t->wanted))
		dp_proc_each("/proc", scan_one, t);
	err = take_running(t, t_ns);
	ahead_free(t);
	if (!first)
		first = err;
	if (t->alive)
		dp_proc_each("/proc", stop_under_way, t);
	/* A Python that cannot be read is no target, which is not the kernel's fault. */
	if (first == -ENOTSUP)
		first = -ENOENT;
	if (t->alive == 0 && t->wanted.pids.count)
		return first ? first : -ESRCH;
	return (int)t->alive;
}

static void no_record(void *ctx, const struct dp_record *r)
{
	(void)ctx;
	(void)r;
}

static void no_sentence(void *ctx, const char *sentence)
{
	(void)ctx;
	(void)sentence;
}

int dp_targets_discover(void (*fn)(void *ctx, const struct dp_discovered *d), void *ctx,
			unsigned int *ret_unreadable)
{
	struct dp_targets_sink sink = {.record = no_record, .say = no_sentence};
	struct dp_wanted *wanted = calloc(1, sizeof(*wanted));
	struct dp_targets *t = wanted ? dp_targets_new(wanted, NULL, NULL, &sink) : NULL;

	free(wanted);
	if (!t)
		return -ENOMEM;
	t->wanted.all = true;
	t->scan_patience_ns = LIST_PATIENCE_NS;
	dp_targets_scan(t);
	for (int i = 0; i < DP_MAX_TARGETS; i++) {
		struct target *x = &t->at[i];
		struct dp_discovered d = {.pid = x->pid,
					  .role = (enum dp_member_role)x->role,
					  .connected = x->connected,
					  .facts = &x->facts};

		if (x->pid && x->is_dora)
			fn(ctx, &d);
	}
	*ret_unreadable = t->unreadable;
	dp_targets_free(t);
	return 0;
}
