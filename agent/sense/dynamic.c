// SPDX-License-Identifier: MIT
/*
 * Dynamic nodes: programs that somebody starts by hand and that join a dataflow by a name that only they know
 * (Node("name")). No environment tells of them. A Python that begins where a daemon serves such nodes may become
 * one: its connections are watched from its start on, and its Register frame says which node it is. See watched.h.
 */
#include "sense/watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/procfile.h"

/* Listening sockets stand before all others in /proc/net/tcp, 150 bytes each. */
#define LISTENERS_MAX (64u * 1024)

/* Does a daemon serve dynamic nodes where this process is (its network namespace)? */
static bool is_served(pid_t pid)
{
	char *text, wanted[48];
	bool found = false;
	size_t len;

	if (dp_procfile_load("/proc", pid, "net/tcp", LISTENERS_MAX, &text, &len) != 0)
		return false;
	snprintf(wanted, sizeof(wanted), ":%04X 00000000:0000 0A", DP_DYNAMIC_PORT);
	found = strstr(text, wanted) != NULL;
	free(text);
	return found;
}

static struct seeker *find(struct dp_targets *t, pid_t pid)
{
	for (int i = 0; pid && i < SEEKERS_MAX; i++)
		if (t->seekers[i].pid == pid)
			return &t->seekers[i];
	return NULL;
}

static void let_go(struct dp_targets *t, struct seeker *s, uint64_t t_ns)
{
	for (unsigned int i = 0; i < s->conn_count; i++)
		dp_wire_close(t->wire, s->conns[i], t_ns, (uint32_t)s->pid, 0);
	dp_bpf_unwatch(t->bpf, s->pid);
	*s = (struct seeker){.pid = 0};
}

void dynamic_begins(struct dp_targets *t, const struct dp_birth *birth)
{
	const struct dp_target kernel = {.watch_sockets = 1,
					 .daemon_family = AF_INET,
					 .daemon_port = DP_DYNAMIC_PORT,
					 .seeks = 1};
	struct seeker *s;

	if (!t->bpf || !wanted_others(&t->wanted) || birth->end_is_told ||
	    strncmp(birth->exe, "python", 6) != 0 || !is_served(birth->pid))
		return;
	s = find(t, birth->pid);
	if (!s)
		s = &t->seekers[t->next_seeker++ % SEEKERS_MAX];
	if (s->pid)
		let_go(t, s, dp_now());
	if (dp_bpf_watch(t->bpf, birth->pid, &kernel) != 0)
		return;
	*s = (struct seeker){.pid = birth->pid, .birth = *birth};
	s->birth.config = NULL;
}

bool dynamic_ended(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct seeker *s = find(t, pid);

	if (s)
		let_go(t, s, t_ns);
	return s != NULL;
}

void dynamic_connected(struct dp_targets *t, pid_t pid, const struct dp_sock_connect *c,
		       uint64_t t_ns)
{
	struct seeker *s = find(t, pid);
	char dora[24] = "";

	if (!s || s->conn_count == CONNS_MAX)
		return;
	s->conns[s->conn_count++] = c->conn;
	/* The first one asks where to connect to. */
	if (c->port != DP_DYNAMIC_PORT) {
		s->port = c->port;
		s->family = c->family;
		memcpy(s->addr, c->addr, sizeof(s->addr));
	}
	dp_reader_version_of(t->reader, pid, dora, sizeof(dora));
	dp_wire_open(t->wire, c->conn, (uint32_t)pid, t_ns, dora, 0);
}

bool dynamic_registered(struct dp_targets *t, pid_t pid, const struct dp_rec_register *reg,
			uint64_t t_ns)
{
	struct seeker *s = find(t, pid), was;
	struct dp_node_config config = {.transport = DP_TRANSPORT_TCP, .dynamic = 1};

	if (!s)
		return false;
	was = *s;
	snprintf(config.dataflow, sizeof(config.dataflow), "%s", reg->dataflow);
	snprintf(config.node, sizeof(config.node), "%s", reg->node);
	config.family = was.family;
	config.port = was.port;
	memcpy(config.addr, was.addr, sizeof(config.addr));
	if (!target_join(t, &was.birth, &config, was.conns, was.conn_count, t_ns)) {
		let_go(t, s, t_ns);
		return false;
	}
	*s = (struct seeker){.pid = 0};
	return true;
}
