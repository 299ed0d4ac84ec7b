// SPDX-License-Identifier: MIT
/* The watched processes: their table, and what happens to them (targets.h). */
#include "sense/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dora/stop_command.h"
#include "dora_probe/rights.h"
#include "base/clock.h"
#include "sense/watched.h"

/* A dataflow has ended when none of its nodes was there for this long … */
#define OVER_NS (3000 * MS)
/* … or this, where dora may start one anew, with a delay that grows. */
#define RESTART_NS (60000 * MS)

struct dp_targets *dp_targets_new(const struct dp_wanted *wanted, struct dp_bpf *b,
				  struct dp_wire *w, const struct dp_targets_sink *sink)
{
	struct dp_targets *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->wanted = *wanted;
	t->bpf = b;
	/* `list` has neither of the two. */
	t->sampling = !b && w;
	t->wire = w;
	t->sink = *sink;
	t->patience.left_ns = DP_PATIENCE_NS;
	t->reader = dp_reader_new(0, &t->patience);
	if (!t->reader) {
		free(t);
		return NULL;
	}
	return t;
}

void dp_targets_free(struct dp_targets *t)
{
	if (!t)
		return;
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		dp_py_close(t->at[i].py);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		dp_reader_free(t->at[i].reader);
	ahead_free(t);
	dp_reader_free(t->reader);
	dp_births_free(&t->births);
	free(t);
}

void dp_targets_see(struct dp_targets *t, struct dp_bpf *b)
{
	t->bpf = b;
	t->sampling = !b && t->wire;
}

void dp_targets_share_every(struct dp_targets *t, uint64_t ns)
{
	t->share_every_ns = ns;
}

struct target *target_find(struct dp_targets *t, pid_t pid)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (pid && t->at[i].pid == pid)
			return &t->at[i];
	return NULL;
}

void target_emit(struct dp_targets *t, const struct dp_record *r)
{
	t->sink.record(t->sink.ctx, r);
}

void target_emit_loss(struct dp_targets *t, pid_t pid, enum dp_loss reason, uint64_t count)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_LOSS, dp_now(), (uint32_t)pid, 0);
	r.u.loss = (struct dp_rec_loss){.reason = reason, .count = count};
	target_emit(t, &r);
}

void target_say(struct dp_targets *t, pid_t pid, const char *sentence)
{
	char line[DP_REASON_MAX + DP_RIGHTS_TEXT + 64];

	snprintf(line, sizeof(line), "%d: %s", (int)pid, sentence);
	t->sink.say(t->sink.ctx, line);
}

void target_emit_facts_at(struct dp_targets *t, struct target *x, uint64_t t_ns)
{
	struct dp_record r;

	target_emit_limits(t, x, t_ns);
	target_mark_daemon(t, x);
	dp_record_init(&r, DP_REC_NODE_FACTS, t_ns, (uint32_t)x->pid, 0);
	r.u.node = x->facts;
	x->announced = 1;
	x->told_ns = t_ns;
	target_emit(t, &r);
}

void target_emit_facts(struct dp_targets *t, struct target *x)
{
	target_emit_facts_at(t, x, dp_now());
}

void dp_targets_config(struct dp_targets *t, pid_t pid, const struct dp_config_piece *p,
		       const char *bytes)
{
	dp_births_piece(&t->births, pid, p, bytes);
}

/* A process whose program is `birth`'s from t_ns on. */
static void execed(struct dp_targets *t, const struct dp_birth *birth, uint64_t t_ns)
{
	struct target *x = target_find(t, birth->pid);
	struct dp_node_config config;
	pid_t pid = birth->pid;
	bool is_dora = false;
	struct dp_record r;

	/* What is known of it was read when it ran that program already. */
	if (x && x->read_ns > t_ns)
		return;
	if (x) {
		/* The same pid runs another program: nothing known of it holds any more. */
		for (unsigned int i = 0; i < x->conn_count; i++)
			dp_wire_close(t->wire, x->conns[i], t_ns, (uint32_t)pid, 0);
		dp_bpf_unwatch(t->bpf, pid);
		if (x->announced || x->member_told) {
			dp_record_init(&r, DP_REC_PROC_EXEC, t_ns, (uint32_t)pid, (uint32_t)pid);
			target_emit(t, &r);
		}
		is_dora = x->is_dora;
		config = x->config;
		target_forget(t, x);
	}
	/* What is below it stays there if the new program is of the same node. */
	if (target_take(t, birth, t_ns))
		return;
	if (is_dora)
		members_decide(t, &config, t_ns);
	else
		dynamic_begins(t, birth);
}

void dp_targets_exec(struct dp_targets *t, pid_t pid, const struct dp_exec_op *o, uint64_t t_ns)
{
	struct dp_birth birth;

	dp_births_take(&t->births, pid, o, &birth);
	execed(t, &birth, t_ns);
	dp_births_done(&t->births, pid);
}

void dp_targets_exit(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct target *x = target_find(t, pid);
	struct dp_node_config config;
	bool decide;

	if (!x) {
		dynamic_ended(t, pid, t_ns);
		return;
	}
	for (unsigned int i = 0; i < x->conn_count; i++)
		dp_wire_close(t->wire, x->conns[i], t_ns, (uint32_t)pid, 0);
	dp_bpf_unwatch(t->bpf, pid);
	member_left(t, x);
	config = x->config;
	decide = x->is_dora && !x->proven;
	target_forget(t, x);
	if (decide)
		members_decide(t, &config, t_ns);
}

void dp_targets_connected(struct dp_targets *t, pid_t pid, const struct dp_sock_connect *c,
			  uint64_t t_ns)
{
	struct target *x = target_find(t, pid);
	uint64_t conn = c->conn;
	struct dp_rec_node was;

	if (!x) {
		dynamic_connected(t, pid, c, t_ns);
		return;
	}
	target_add_conn(x, conn);
	if (!x->connected) {
		x->connected = 1;
		members_decide(t, &x->config, t_ns);
	}
	/* By now it has imported dora: the version is in its mappings. */
	memcpy(&was, &x->facts, sizeof(was)); /* an assignment may leave the padding out */
	target_refresh_facts(x);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (!x->announced || memcmp(&was, &x->facts, sizeof(was)) != 0)
		target_emit_facts(t, x);
	else
		target_emit_limits(t, x, dp_now());
	dp_wire_open(t->wire, conn, (uint32_t)pid, t_ns, x->facts.dora, 0);
}

void dp_targets_closed(struct dp_targets *t, pid_t pid, uint32_t tid, uint64_t conn, uint64_t t_ns)
{
	struct target *x = target_find(t, pid);

	for (unsigned int i = 0; x && i < x->conn_count; i++)
		if (x->conns[i] == conn) {
			x->conns[i] = x->conns[--x->conn_count];
			break;
		}
	if (!x)
		dynamic_closed(t, pid, conn);
	dp_wire_close(t->wire, conn, t_ns, (uint32_t)pid, tid);
}

void dp_targets_heard(struct dp_targets *t, pid_t pid)
{
	struct target *x = target_find(t, pid);

	if (!x || x->heard)
		return;
	x->heard = 1;
	target_refresh_facts(x);
	if (x->announced)
		target_emit_facts(t, x);
}

void dp_targets_registered(struct dp_targets *t, pid_t pid, const struct dp_rec_register *reg,
			   uint64_t t_ns)
{
	struct target *x = target_find(t, pid);
	const char *dora;

	if (!x && dynamic_registered(t, pid, reg, t_ns))
		x = target_find(t, pid);
	if (!x || x->facts.dora[0])
		return;
	dora = reg->codec == 1 ? reg->message_version
			       : dp_dora_version_of_message(reg->message_version);
	if (!dora[0])
		return;
	snprintf(x->facts.dora, sizeof(x->facts.dora), "%s", dora);
	x->dora_source = DP_DORA_FROM_WIRE;
	target_refresh_facts(x);
	target_emit_facts(t, x);
}

void dp_targets_signalled(struct dp_targets *t, pid_t pid, uint32_t tid, uint8_t signal,
			  uint64_t t_ns)
{
	struct target *x = target_find(t, pid);

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

unsigned int dp_targets_alive(const struct dp_targets *t)
{
	return t->alive;
}

int dp_targets_finished(const struct dp_targets *t, uint64_t now)
{
	if (t->alive)
		return 0;
	if (!wanted_others(&t->wanted))
		return 1;
	if (t->wanted.all || t->wanted.nodes.count || !t->emptied_ns)
		return 0;
	return now > t->emptied_ns + (t->restarts ? RESTART_NS : OVER_NS);
}

const struct dp_rec_node *dp_targets_facts(const struct dp_targets *t, pid_t pid)
{
	const struct target *x = target_find((struct dp_targets *)t, pid);

	return x ? &x->facts : NULL;
}

static bool is_same_network(pid_t a, pid_t b)
{
	char path[2][32];
	struct stat s[2];

	snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/net", (int)a);
	snprintf(path[1], sizeof(path[1]), "/proc/%d/ns/net", (int)b);
	return stat(path[0], &s[0]) || stat(path[1], &s[1]) ||
	       (s[0].st_ino == s[1].st_ino && s[0].st_dev == s[1].st_dev);
}

/*
 * A dataflow's uuid is one wherever the command runs. Without one, or with a name, it speaks to the
 * coordinator that it reaches, which for a command of another network is another one.
 */
int dp_targets_concerned(const struct dp_targets *t, pid_t pid, const struct dp_rec_command *c)
{
	bool anywhere = strlen(c->dataflow) == DP_UUID_MAX - 1 && strchr(c->dataflow, '-');

	for (int i = 0; i < DP_MAX_TARGETS; i++) {
		const struct target *x = &t->at[i];
		pid_t daemon = (pid_t)x->facts.daemon_pid;

		if (x->pid && x->is_dora && dp_stop_command_accepted(c->uid, x->facts.uid) &&
		    (anywhere || is_same_network(pid, daemon ? daemon : x->pid)))
			return 1;
	}
	return 0;
}
