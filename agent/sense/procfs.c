// SPDX-License-Identifier: MIT
/* /proc, read as data (procfs.h). */
#include "sense/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/task.h"
#include "base/units.h"
#include "sense/peers.h"
#include "sense/sockdiag.h"

/* A process with more descriptors or mappings than this is read up to here. */
#define FDS_MAX     65536
#define REGIONS_MAX 65536
/* The most that is read of a table of sockets or mappings, bytes. */
#define TEXT_MAX (64u << 20)
/* Without the kernel's own table every connected unix socket without a name may be a node's. */
#define UNIX_GUESSES_MAX 64

/* Inode of a socket descriptor, 0 when it is something else. */
static uint64_t socket_inode(const char *proc, pid_t pid, int fd)
{
	char name[24], link[64];
	unsigned long long inode;

	snprintf(name, sizeof(name), "fd/%d", fd);
	if (dp_procfile_link_pid(proc, pid, name, link, sizeof(link)) <= 0)
		return 0;
	return sscanf(link, "socket:[%llu]", &inode) == 1 ? inode : 0;
}

/* Address of /proc/net/tcp: 32-bit words in host order, as hex; port as hex. */
static int address_matches(const char *hex, size_t hex_len, const struct dp_node_config *c,
			   unsigned int port)
{
	uint8_t bytes[16];
	size_t len = hex_len / 2;

	if (port != c->port || len > sizeof(bytes) || len % 4)
		return 0;
	for (size_t w = 0; w < len / 4; w++) {
		char word[9];
		uint64_t v = 0;
		uint32_t v32;

		memcpy(word, hex + w * 8, 8);
		word[8] = '\0';
		if (!dp_number(word, 16, UINT32_MAX, &v))
			return 0;
		v32 = (uint32_t)v;
		memcpy(bytes + w * 4, &v32, 4);
	}
	if (len == 4)
		return c->family == AF_INET && memcmp(bytes, c->addr, 4) == 0;
	if (c->family == AF_INET6)
		return memcmp(bytes, c->addr, 16) == 0;
	/* An IPv4 connection of an IPv6 socket: ::ffff:a.b.c.d */
	return memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0 &&
	       memcmp(bytes + 12, c->addr, 4) == 0;
}

/* What is wanted of a table of sockets: connections to the listener, or the listener itself. */
struct table_search {
	const struct dp_node_config *config;
	bool listening;
	struct dp_sockets *ret;
};

static int tcp_line(void *ctx, char *line)
{
	const struct table_search *s = ctx;
	const struct dp_node_config *c = s->config;
	char local[40], remote[40];
	unsigned int lport, rport, state;
	unsigned long long inode;

	if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*u %*d %llu",
		   local, &lport, remote, &rport, &state, &inode) != 6)
		return 0;
	/* 0A is LISTEN (include/net/tcp_states.h). */
	if (s->listening ? state == 0x0a && address_matches(local, strlen(local), c, lport)
			 : state != 0x0a && address_matches(remote, strlen(remote), c, rport))
		dp_sockets_add(s->ret, inode);
	return 0;
}

/* Unix: the client's end has no path; its peer's inode is not in /proc/net/unix. */
static int unix_line(void *ctx, char *line)
{
	const struct table_search *s = ctx;
	unsigned int flags, type, state;
	unsigned long long inode;
	char name[256] = "";
	int n = sscanf(line, "%*x: %*x %*x %x %x %x %llu %255[^\n]", &flags, &type, &state, &inode,
		       name);

	/* type 1 stream; state 3 connected; the flag __SO_ACCEPTCON marks a listener. */
	if (n < 4 || type != 1)
		return 0;
	if (s->listening ? n == 5 && (flags & 0x10000) && strcmp(name, s->config->socket_path) == 0
			 : n == 4 && state == 3)
		dp_sockets_add(s->ret, inode);
	return 0;
}

/* Collects inodes from the tables of the process' network namespace. */
static void read_tables(const char *proc, pid_t pid, const struct dp_node_config *c, bool listening,
			struct dp_sockets *ret)
{
	struct table_search s = {.config = c, .listening = listening, .ret = ret};

	if (c->family == AF_UNIX) {
		dp_procfile_lines_pid(proc, pid, "net/unix", TEXT_MAX, unix_line, &s);
	} else if (c->family) {
		dp_procfile_lines_pid(proc, pid, "net/tcp", TEXT_MAX, tcp_line, &s);
		dp_procfile_lines_pid(proc, pid, "net/tcp6", TEXT_MAX, tcp_line, &s);
	}
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * The client ends of connections to the daemon: exactly, where the kernel tells. Else by the tables of
 * /proc, in which a unix socket's peer is not: any that might be one, and so not all that is known.
 */
static void daemon_clients(const char *proc, pid_t pid, const struct dp_node_config *config,
			   struct dp_sockets *ret)
{
	if (strcmp(proc, "/proc") == 0 && dp_sockdiag_clients(pid, config, ret) == 0)
		return;
	read_tables(proc, pid, config, false, ret);
	if (config->family == AF_UNIX && ret->count > UNIX_GUESSES_MAX) {
		ret->incomplete = true;
		ret->count = 0;
	}
}

/* Descriptors whose socket is one of those. */
struct fd_search {
	const char *proc;
	pid_t pid;
	const struct dp_sockets *sockets;
	int *ret;
	int max, count, seen;
	bool incomplete;
};

static int take_socket(void *ctx, int fd)
{
	struct fd_search *s = ctx;

	if (s->count == s->max || s->seen++ == FDS_MAX) {
		s->incomplete = true;
		return 1;
	}
	if (dp_sockets_has(s->sockets, socket_inode(s->proc, s->pid, fd)))
		s->ret[s->count++] = fd;
	return 0;
}

int dp_proc_daemon_sockets(const char *proc, pid_t pid, const struct dp_node_config *config,
			   int *ret_fds, int max, bool *ret_incomplete)
{
	struct dp_sockets clients = {.count = 0};
	struct fd_search s = {
		.proc = proc, .pid = pid, .sockets = &clients, .ret = ret_fds, .max = max};
	int r = strcmp(proc, "/proc") ? -ENOSYS
				      : dp_peers(pid, config, ret_fds, max, ret_incomplete);

	/* The tables of sockets, of the kernel's or of /proc, take some ms of CPU time each on a large machine. */
	if (r >= 0)
		return r;
	daemon_clients(proc, pid, config, &clients);
	*ret_incomplete = clients.incomplete;
	if (clients.count == 0)
		return 0;
	r = dp_procfile_numbers(proc, pid, "fd", take_socket, &s);
	if (r < 0)
		return r;
	*ret_incomplete |= s.incomplete;
	qsort(ret_fds, (size_t)s.count, sizeof(ret_fds[0]), by_number);
	return s.count;
}

/* One line of maps: "start-end perms offset device inode  path". */
static bool region_of(const char *line, struct dp_proc_region *ret)
{
	const char *at = strstr(line, " /dev/shm/shmem_"), *p;
	size_t n;

	if (!at)
		return false;
	at += strlen(" /dev/shm/");
	n = strcspn(at, " \n");
	if (n >= sizeof(ret->name))
		return false;
	p = dp_number(line, 16, UINT64_MAX, &ret->addr);
	p = p && *p == '-' ? dp_number(p + 1, 16, UINT64_MAX, &ret->end) : NULL;
	if (!p || *p != ' ' || !p[1] || !p[2])
		return false;
	ret->writable = p[2] == 'w';
	memset(ret->name, 0, sizeof(ret->name));
	memcpy(ret->name, at, n);
	return true;
}

struct region_walk {
	void (*fn)(void *ctx, const struct dp_proc_region *r);
	void *ctx;
	int count;
};

static int take_region(void *ctx, char *line)
{
	struct region_walk *w = ctx;
	struct dp_proc_region r;

	if (region_of(line, &r)) {
		w->fn(w->ctx, &r);
		w->count++;
	}
	return w->count == REGIONS_MAX;
}

int dp_proc_regions(const char *proc, pid_t pid,
		    void (*fn)(void *ctx, const struct dp_proc_region *r), void *ctx)
{
	struct region_walk w = {.fn = fn, .ctx = ctx};
	int r = dp_procfile_lines_pid(proc, pid, "maps", TEXT_MAX, take_region, &w);

	return r < 0 && w.count == 0 ? r : w.count;
}

int dp_proc_region_file(const char *proc, pid_t pid, const struct dp_proc_region *r,
			uint64_t *ret_changed_ns, uint64_t *ret_bytes)
{
	uint64_t now = dp_now(), wall = dp_clock_ns(CLOCK_REALTIME), changed;
	struct stat st;
	char path[128];

	/* By the mapping, not by the name: whatever the target has put at that name. */
	snprintf(path, sizeof(path), "%s/%d/map_files/%llx-%llx", proc, (int)pid,
		 (unsigned long long)r->addr, (unsigned long long)r->end);
	if (stat(path, &st) < 0)
		return dp_procfile_error(errno);
	changed = (uint64_t)st.st_mtim.tv_sec * SEC + (uint64_t)st.st_mtim.tv_nsec;
	/* A wall clock that was set back since, or a time that the target has set: not known. */
	*ret_changed_ns =
		changed && changed <= wall && wall - changed < now ? now - (wall - changed) : 0;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

uint64_t dp_proc_started(const char *proc, pid_t pid)
{
	uint64_t now = dp_now(), boot = dp_clock_ns(CLOCK_BOOTTIME), start;
	struct dp_task_stat st;
	long hz = sysconf(_SC_CLK_TCK);

	if (hz <= 0 || dp_task_stat(proc, pid, 0, &st) < 0)
		return 0;
	start = st.start_time / (uint64_t)hz * SEC +
		st.start_time % (uint64_t)hz * SEC / (uint64_t)hz;
	return start <= boot && boot - start < now ? now - (boot - start) : 0;
}

static bool has_socket(const char *proc, pid_t pid, const struct dp_sockets *peers)
{
	int fd;
	struct fd_search s = {.proc = proc, .pid = pid, .sockets = peers, .ret = &fd, .max = 1};

	return dp_procfile_numbers(proc, pid, "fd", take_socket, &s) >= 0 && s.count;
}

int dp_proc_shares_socket(const char *proc, pid_t pid, int fd, pid_t other)
{
	struct dp_sockets one = {.count = 0};

	dp_sockets_add(&one, socket_inode(proc, pid, fd));
	return one.inode[0] && has_socket(proc, other, &one);
}

struct daemon_search {
	const char *proc;
	const struct dp_sockets *peers;
	pid_t found;
};

static void try_daemon(void *ctx, pid_t pid)
{
	struct daemon_search *s = ctx;

	if (!s->found && has_socket(s->proc, pid, s->peers))
		s->found = pid;
}

static void listeners(const char *proc, pid_t pid, const struct dp_node_config *config,
		      struct dp_sockets *ret)
{
	if (strcmp(proc, "/proc") || dp_sockdiag_listener(pid, config, ret) < 0)
		read_tables(proc, pid, config, true, ret);
}

bool dp_proc_listens(const char *proc, pid_t pid, const struct dp_node_config *config)
{
	struct dp_sockets found = {.count = 0};

	listeners(proc, pid, config, &found);
	return found.count && has_socket(proc, pid, &found);
}

pid_t dp_proc_daemon(const char *proc, pid_t pid, const struct dp_node_config *config)
{
	struct dp_sockets peers = {.count = 0};
	struct daemon_search s = {.proc = proc, .peers = &peers};
	struct dp_task_stat st;

	listeners(proc, pid, config, &peers);
	if (peers.count == 0)
		return 0;
	/* Nearly always its parent, or the parent's parent (uv run). */
	for (pid_t p = pid; p > 1 && dp_task_stat(proc, p, 0, &st) == 0; p = st.ppid)
		if (st.ppid > 0 && has_socket(proc, st.ppid, &peers))
			return st.ppid;
	dp_proc_each(proc, try_daemon, &s);
	return s.found;
}

struct tids {
	pid_t *ret;
	int max, count;
};

static int take_tid(void *ctx, int tid)
{
	struct tids *t = ctx;

	t->ret[t->count++] = tid;
	return t->count == t->max;
}

int dp_proc_threads(const char *proc, pid_t pid, pid_t *ret, int max)
{
	struct tids t = {.ret = ret, .max = max};
	int r = dp_procfile_numbers(proc, pid, "task", take_tid, &t);

	return r < 0 ? r : t.count;
}

struct process_walk {
	void (*fn)(void *ctx, pid_t pid);
	void *ctx;
};

static int take_process(void *ctx, int pid)
{
	const struct process_walk *w = ctx;

	w->fn(w->ctx, pid);
	return 0;
}

int dp_proc_each(const char *proc, void (*fn)(void *ctx, pid_t pid), void *ctx)
{
	struct process_walk w = {.fn = fn, .ctx = ctx};

	return dp_procfile_numbers(proc, 0, NULL, take_process, &w);
}
