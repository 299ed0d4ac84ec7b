// SPDX-License-Identifier: MIT
/*
 * Dynamic nodes: programs that somebody starts by hand and that join a dataflow by a name that only they know
 * (Node("name")). No environment tells of them. A Python that begins where a daemon serves such nodes may become
 * one: its connections are watched from its start on, and its Register frame says which node it is. One that ran before
 * us says so by its object of dora's type Node alone. See watched.h.
 */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/procfile.h"
#include "sense/peers.h"
#include "sense/procfs.h"

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

/* What the kernel has told of it and nobody has read yet still comes, and is nobody's loss. */
static void let_go(struct dp_targets *t, struct seeker *s, uint64_t t_ns)
{
	t->strangers[t->next_stranger++ % SEEKERS_MAX] = s->pid;
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
	/* A node has other connections than those to its daemon: dora 1.x speaks with its peers by zenoh. */
	dp_wire_try(t->wire, c->conn, (uint32_t)pid, t_ns, dora);
}

void dynamic_closed(struct dp_targets *t, pid_t pid, uint64_t conn)
{
	struct seeker *s = find(t, pid);

	for (unsigned int i = 0; s && i < s->conn_count; i++)
		if (s->conns[i] == conn) {
			s->conns[i] = s->conns[--s->conn_count];
			return;
		}
}

bool dp_targets_reads(struct dp_targets *t, pid_t pid, uint64_t conn)
{
	const struct seeker *s;

	if (target_find(t, pid))
		return true;
	s = find(t, pid);
	for (unsigned int i = 0; s && i < s->conn_count; i++)
		if (s->conns[i] == conn)
			return true;
	for (int i = 0; !s && i < SEEKERS_MAX; i++)
		if (t->strangers[i] == pid)
			return false;
	return !s;
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

/* Does the daemon that this connection leads to serve dynamic nodes, too? Then it is a daemon. */
static bool leads_to_daemon(pid_t pid, const struct dp_node_config *config)
{
	struct dp_node_config asked = {.transport = DP_TRANSPORT_TCP,
				       .family = AF_INET,
				       .port = DP_DYNAMIC_PORT,
				       .addr = {127, 0, 0, 1}};
	pid_t daemon = dp_proc_daemon("/proc", pid, config);

	return daemon && dp_proc_listens("/proc", daemon, &asked);
}

/*
 * Where its connections to the daemon lead; without them it is a node all the same. A daemon of dora 1.x listens for
 * its peers, too, with whom it has one connection each, and with a node three or more.
 */
static void find_daemon(pid_t pid, struct dp_node_config *config)
{
	struct dp_node_config places[CONNS_MAX];
	int n = dp_peers_tcp(pid, places, CONNS_MAX), most = 0;

	for (int i = 0; i < n; i++) {
		int fds[CONNS_MAX], times;
		bool incomplete;

		times = dp_peers(pid, &places[i], fds, CONNS_MAX, &incomplete);
		if (times <= most || places[i].port == DP_DYNAMIC_PORT ||
		    !leads_to_daemon(pid, &places[i]))
			continue;
		most = times;
		config->family = places[i].family;
		config->port = places[i].port;
		memcpy(config->addr, places[i].addr, sizeof(config->addr));
	}
}

static bool is_python(pid_t pid)
{
	char exe[512];
	const char *name;

	if (dp_procfile_link_pid("/proc", pid, "exe", exe, sizeof(exe)) <= 0)
		return false;
	name = strrchr(exe, '/');
	return strncmp(name ? name + 1 : exe, "python", 6) == 0;
}

int dynamic_config(struct dp_targets *t, pid_t pid, struct dp_node_config *ret)
{
	struct dp_node_config config = {.transport = DP_TRANSPORT_TCP, .dynamic = 1};
	struct dp_dora_node node;
	struct dp_reader *reader;
	int err;

	if (!is_python(pid) || !is_served(pid))
		return -ENOENT;
	/* One of its own: what others are asked meanwhile takes nothing of its time. */
	reader = dp_reader_new(pid, &t->patience);
	if (!reader)
		return -ENOENT;
	err = dp_reader_dora_node(reader, &node);
	t->ended_cpu_ns += dp_reader_cpu_ns(reader);
	dp_reader_free(reader);
	if (err)
		return err == -EPERM ? err : -ENOENT;
	memcpy(config.dataflow, node.dataflow, sizeof(config.dataflow));
	memcpy(config.node, node.node, sizeof(config.node));
	find_daemon(pid, &config);
	*ret = config;
	return 0;
}
