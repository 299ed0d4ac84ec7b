// SPDX-License-Identifier: MIT
/* /proc, read as data (procfs.h). */
#include "sense/procfs.h"

#include <dirent.h>
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
#include "sense/sockdiag.h"

/* A process with more descriptors or mappings than this is read up to here. */
#define FDS_MAX     65536
#define LINE_LEN    4096
#define REGIONS_MAX 65536
/* Without the kernel's own table every connected unix socket without a name may be a node's. */
#define UNIX_GUESSES_MAX 64

/* Inode of a socket descriptor, 0 when it is something else. */
static uint64_t socket_inode(const char *proc, pid_t pid, const char *fd)
{
	char path[300], link[64];
	unsigned long long inode;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/fd/%s", proc, (int)pid, fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return 0;
	link[n] = '\0';
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

/*
 * Collects inodes from a table of the process' network namespace: connections to the listener
 * (`listening` 0) or the listener itself.
 */
static void read_tcp(const char *proc, pid_t pid, const char *table, const struct dp_node_config *c,
		     int listening, struct dp_sockets *ret)
{
	char path[128], line[LINE_LEN];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/net/%s", proc, (int)pid, table);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char local[40], remote[40];
		unsigned int lport, rport, state;
		unsigned long long inode;

		if (sscanf(line,
			   " %*d: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*u %*d %llu",
			   local, &lport, remote, &rport, &state, &inode) != 6)
			continue;
		/* 0A is LISTEN (include/net/tcp_states.h). */
		if (listening ? state == 0x0a && address_matches(local, strlen(local), c, lport)
			      : state != 0x0a && address_matches(remote, strlen(remote), c, rport))
			dp_sockets_add(ret, inode);
	}
	fclose(f);
}

/* Unix: the client's end has no path; its peer's inode is not in /proc/net/unix. */
static void read_unix(const char *proc, pid_t pid, const struct dp_node_config *c, int listening,
		      struct dp_sockets *ret)
{
	char path[128], line[LINE_LEN];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/net/unix", proc, (int)pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		unsigned int flags, type, state;
		unsigned long long inode;
		char name[256] = "";
		int n = sscanf(line, "%*x: %*x %*x %x %x %x %llu %255[^\n]", &flags, &type, &state,
			       &inode, name);

		/* type 1 stream; state 3 connected; the flag __SO_ACCEPTCON marks a listener. */
		if (n < 4 || type != 1)
			continue;
		if (listening ? n == 5 && (flags & 0x10000) && strcmp(name, c->socket_path) == 0
			      : n == 4 && state == 3)
			dp_sockets_add(ret, inode);
	}
	fclose(f);
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
	if (config->family == AF_UNIX) {
		read_unix(proc, pid, config, 0, ret);
		ret->incomplete |= ret->count > UNIX_GUESSES_MAX;
		if (ret->count > UNIX_GUESSES_MAX)
			ret->count = 0;
	} else if (config->family) {
		read_tcp(proc, pid, "tcp", config, 0, ret);
		read_tcp(proc, pid, "tcp6", config, 0, ret);
	}
}

int dp_proc_daemon_sockets(const char *proc, pid_t pid, const struct dp_node_config *config,
			   int *ret_fds, int max, bool *ret_incomplete)
{
	struct dp_sockets clients = {.count = 0};
	char path[64];
	struct dirent *e;
	int count = 0, seen = 0;
	DIR *d;

	daemon_clients(proc, pid, config, &clients);
	*ret_incomplete = clients.incomplete;
	if (clients.count == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%d/fd", proc, (int)pid);
	d = opendir(path);
	if (!d)
		return dp_procfile_error(errno);
	while ((e = readdir(d))) {
		uint64_t fd;

		if (!dp_number(e->d_name, 10, INT32_MAX, &fd))
			continue;
		if (count == max || seen++ == FDS_MAX) {
			*ret_incomplete = true;
			break;
		}
		if (dp_sockets_has(&clients, socket_inode(proc, pid, e->d_name)))
			ret_fds[count++] = (int)fd;
	}
	closedir(d);
	qsort(ret_fds, (size_t)count, sizeof(ret_fds[0]), by_number);
	return count;
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

int dp_proc_regions(const char *proc, pid_t pid,
		    void (*fn)(void *ctx, const struct dp_proc_region *r), void *ctx)
{
	char path[64], line[LINE_LEN];
	struct dp_proc_region r;
	int count = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/maps", proc, (int)pid);
	f = fopen(path, "re");
	if (!f)
		return dp_procfile_error(errno);
	while (fgets(line, sizeof(line), f) && count < REGIONS_MAX)
		if (region_of(line, &r)) {
			fn(ctx, &r);
			count++;
		}
	fclose(f);
	return count;
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

static int has_socket(const char *proc, pid_t pid, const struct dp_sockets *peers)
{
	char path[64];
	struct dirent *e;
	int found = 0, seen = 0;
	uint64_t number;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%d/fd", proc, (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	while (!found && (e = readdir(d)) && seen++ < FDS_MAX)
		if (dp_number(e->d_name, 10, INT32_MAX, &number)) {
			found = dp_sockets_has(peers, socket_inode(proc, pid, e->d_name));
		}
	closedir(d);
	return found;
}

pid_t dp_proc_node_ancestor(const char *proc, pid_t pid, const struct dp_node_config *config)
{
	struct dp_node_config c;
	struct dp_task_stat st;

	for (pid_t p = pid; dp_task_stat(proc, p, 0, &st) == 0 && st.ppid > 1; p = st.ppid)
		if (dp_node_config_read(proc, st.ppid, &c) == 0 &&
		    strcmp(c.node, config->node) == 0 && strcmp(c.dataflow, config->dataflow) == 0)
			return st.ppid;
	return 0;
}

int dp_proc_shares_socket(const char *proc, pid_t pid, int fd, pid_t other)
{
	struct dp_sockets one = {.count = 0};
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	dp_sockets_add(&one, socket_inode(proc, pid, name));
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

pid_t dp_proc_daemon(const char *proc, pid_t pid, const struct dp_node_config *config)
{
	struct dp_sockets peers = {.count = 0};
	struct daemon_search s = {.proc = proc, .peers = &peers};
	struct dp_task_stat st;

	if (config->family == AF_UNIX) {
		read_unix(proc, pid, config, 1, &peers);
	} else if (config->family) {
		read_tcp(proc, pid, "tcp", config, 1, &peers);
		read_tcp(proc, pid, "tcp6", config, 1, &peers);
	}
	if (peers.count == 0)
		return 0;
	/* Nearly always its parent, or the parent's parent (uv run). */
	for (pid_t p = pid; p > 1 && dp_task_stat(proc, p, 0, &st) == 0; p = st.ppid)
		if (st.ppid > 0 && has_socket(proc, st.ppid, &peers))
			return st.ppid;
	dp_proc_each(proc, try_daemon, &s);
	return s.found;
}

int dp_proc_threads(const char *proc, pid_t pid, pid_t *ret, int max)
{
	char path[64];
	struct dirent *e;
	uint64_t tid;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%d/task", proc, (int)pid);
	d = opendir(path);
	if (!d)
		return dp_procfile_error(errno);
	while (n < max && (e = readdir(d)))
		if (dp_number(e->d_name, 10, INT32_MAX, &tid))
			ret[n++] = (pid_t)tid;
	closedir(d);
	return n;
}

int dp_proc_each(const char *proc, void (*fn)(void *ctx, pid_t pid), void *ctx)
{
	DIR *d = opendir(proc);
	struct dirent *e;
	uint64_t pid;

	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (dp_number(e->d_name, 10, INT32_MAX, &pid))
			fn(ctx, (pid_t)pid);
	closedir(d);
	return 0;
}
