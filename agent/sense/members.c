// SPDX-License-Identifier: MIT
/* What each watched process is to its node: the group that shares its configuration; watched.h. */
#include "sense/watched.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/procfile.h"
#include "base/task.h"
#include "sense/procfs.h"
#include "sense/roles.h"

/* The calls in which a program waits for its child: for its end, or for what it prints. */
static const int32_t waiting_calls[] = {
	SYS_wait4,      SYS_waitid, SYS_ppoll, SYS_pselect6, SYS_read, SYS_epoll_pwait,
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_select
	SYS_select,
#endif
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
};

static bool waits(struct dp_targets *t, pid_t pid)
{
	struct dp_rec_stack s;

	if (dp_reader_native_stack(t->reader, pid, &s) || s.state != 'S')
		return false;
	for (size_t i = 0; i < DP_COUNT_OF(waiting_calls); i++)
		if (s.syscall_nr == waiting_calls[i])
			return true;
	return false;
}

static bool has_dora(const struct target *x)
{
	char version[24];

	return dp_reader_version(x->reader, version, sizeof(version)) == 0;
}

/* Before the interpreter is understood its program's name has to do. */
static bool is_python(const struct target *x)
{
	char exe[512];
	const char *name;

	if (x->py)
		return true;
	if (dp_procfile_link_pid("/proc", x->pid, "exe", exe, sizeof(exe)) <= 0)
		return x->looks_python;
	name = strrchr(exe, '/');
	return strncmp(name ? name + 1 : exe, "python", 6) == 0;
}

static bool same_node(const struct dp_node_config *a, const struct dp_node_config *b)
{
	return strcmp(a->node, b->node) == 0 && strcmp(a->dataflow, b->dataflow) == 0;
}

/* 0: not known. What has left is known only as it began. */
static pid_t parent_of(struct dp_targets *t, pid_t pid)
{
	const struct target *x;
	struct dp_task_stat st;

	if (dp_task_stat("/proc", pid, 0, &st) == 0)
		return st.ppid;
	x = target_find(t, pid);
	return x ? x->parent : 0;
}

/* The nearest ancestor with the same configuration, which need not be watched; 0 none. */
void member_link(struct dp_targets *t, struct target *x)
{
	struct dp_node_config c;

	x->above = 0;
	for (pid_t p = parent_of(t, x->pid); !x->above && p > 1; p = parent_of(t, p)) {
		const struct target *o = target_find(t, p);

		if (o ? o->is_dora && same_node(&o->config, &x->config)
		      : targets_config(t, p, &c) == 0 && same_node(&c, &x->config))
			x->above = p;
	}
}

/* Below a process that has left stands what is left of its line. */
void member_left(struct dp_targets *t, const struct target *left)
{
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && t->at[i].above == left->pid)
			t->at[i].above = left->above;
}

static void emit_member(struct dp_targets *t, struct target *x, uint64_t t_ns)
{
	struct dp_record r;
	struct dp_rec_member *m = &r.u.member;

	dp_record_init(&r, DP_REC_MEMBER, t_ns, (uint32_t)x->pid, 0);
	memset(m, 0, sizeof(*m));
	m->above_pid = (uint32_t)x->above;
	m->role = x->role;
	m->connected = x->connected;
	m->proven = x->proven;
	m->is_python = x->looks_python;
	memcpy(m->dataflow, x->config.dataflow, sizeof(m->dataflow));
	memcpy(m->node, x->config.node, sizeof(m->node));
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (x->member_told && memcmp(m, &x->member, sizeof(*m)) == 0)
		return;
	memcpy(&x->member, m, sizeof(*m));
	x->member_told = 1;
	target_emit(t, &r);
}

/* It is nothing that was asked for, but it may turn out to be the node. */
bool member_is_aside(const struct target *x)
{
	return x->is_dora && (x->role == DP_MEMBER_WRAPPER || x->role == DP_MEMBER_HELPER);
}

/*
 * What shows that it is a node, or none, may have happened before the opposite was told, with a later time: records go by
 * their times, and the last word counts.
 */
static uint64_t after_what_was_told(const struct target *x, uint64_t t_ns)
{
	return t_ns > x->told_ns ? t_ns : x->told_ns + 1;
}

/* The model is told of it as a node no longer; it goes on to be watched for its end. */
static void put_aside(struct dp_targets *t, struct target *x, uint64_t t_ns)
{
	struct dp_record r;

	target_tell_kernel(t, x);
	if (!x->announced || x->named)
		return;
	x->told_ns = after_what_was_told(x, t_ns);
	dp_record_init(&r, DP_REC_NODE_GONE, x->told_ns, (uint32_t)x->pid, 0);
	memset(&r.u.gone, 0, sizeof(r.u.gone));
	snprintf(r.u.gone.reason, sizeof(r.u.gone.reason), "%s",
		 x->role == DP_MEMBER_WRAPPER ? "the process that started the node"
					      : "a process that the node started");
	target_emit(t, &r);
	x->announced = 0;
}

static void apply(struct dp_targets *t, struct target *x, const struct dp_member *m, uint64_t t_ns)
{
	bool was_aside = member_is_aside(x), first = !x->member_told;

	x->role = x->config.dynamic && m->role == DP_MEMBER_NODE ? DP_MEMBER_DYNAMIC : m->role;
	x->proven = m->proven;
	emit_member(t, x, t_ns);
	if (member_is_aside(x)) {
		if (first || !was_aside)
			put_aside(t, x, t_ns);
		return;
	}
	if (first || was_aside) {
		x->next_try_ns = x->next_try_ns ? x->next_try_ns : dp_now();
		target_tell_kernel(t, x);
		target_refresh_facts(x);
		target_emit_facts_at(t, x, after_what_was_told(x, t_ns));
	}
}

/* What is known of it; what it takes to tell who is the node is read only where it is asked. */
static struct dp_member member_of(struct dp_targets *t, struct target *x, bool ask)
{
	struct dp_member m = {.pid = x->pid,
			      .above = x->above,
			      .start_time = x->start_time,
			      .connected = x->connected};

	x->looks_python = is_python(x);
	m.python = x->looks_python;
	if (ask) {
		m.waits = waits(t, x->pid);
		m.dora = x->py && has_dora(x);
	}
	return m;
}

/*
 * With --pid alone the others of the node are not watched: who has an ancestor that talks to the
 * daemon is its helper, everybody else the node.
 */
static void stand_alone(struct target *x, struct dp_member *m)
{
	bool incomplete;
	int fd;

	if (!m->connected && m->above &&
	    dp_proc_daemon_sockets("/proc", m->above, &x->config, &fd, 1, &incomplete) > 0)
		m->role = DP_MEMBER_HELPER;
}

void members_decide(struct dp_targets *t, const struct dp_node_config *of, uint64_t t_ns)
{
	struct dp_member m[DP_MAX_TARGETS];
	struct target *x[DP_MAX_TARGETS];
	bool connected = false;
	size_t n = 0;

	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid && t->at[i].is_dora && same_node(&t->at[i].config, of)) {
			x[n++] = &t->at[i];
			connected |= t->at[i].connected;
		}
	for (size_t i = 0; i < n; i++)
		m[i] = member_of(t, x[i], n > 1 && !connected);
	dp_roles_decide(m, n);
	if (n == 1)
		stand_alone(x[0], &m[0]);
	for (size_t i = 0; i < n; i++)
		apply(t, x[i], &m[i], t_ns);
}
