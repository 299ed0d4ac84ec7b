// SPDX-License-Identifier: MIT
/* What of a process is in the kernel's maps: target, connections, regions, threads; bpf_source.h. */
#include "sense/bpf_object.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/array.h"

#define AGENT_CONNS_MAX (1ULL << 48) /* above: ids given out by the kernel's programs */

static uint16_t *hint_of(const struct dp_bpf *b, pid_t pid)
{
	return &bpf_variables(b)
			->watch_hints[(uint32_t)pid % DP_COUNT_OF(bpf_variables(b)->watch_hints)];
}

/* What it floods is left alone: its bits, where no other process has the same number. */
static void rest(struct dp_bpf *b, pid_t pid, uint32_t resting)
{
	uint16_t *bits =
		&bpf_variables(b)->watch_resting[(uint32_t)pid %
						 DP_COUNT_OF(bpf_variables(b)->watch_resting)];

	if (*hint_of(b, pid) <= 1)
		__atomic_store_n(bits, (uint16_t)resting, __ATOMIC_RELEASE);
	else
		__atomic_fetch_or(bits, (uint16_t)resting, __ATOMIC_RELEASE);
}

/*
 * How the connections of a process are followed: what the tracepoints do not tell of unix sockets is
 * left to the system calls, which are attached for it if they were not before.
 */
static int choose_way(struct dp_bpf *b, struct dp_target *t)
{
	const uint32_t sockets = 1u << DP_SOURCE_SOCKET;

	t->by_calls = !(b->traced & sockets) || t->daemon_family == AF_UNIX;
	if (!t->watch_sockets || !t->by_calls || b->called & sockets)
		return 0;
	return bpf_load_calls(b, sockets);
}

int dp_bpf_watch(struct dp_bpf *b, pid_t pid, const struct dp_target *wanted)
{
	const struct dp_share_state none = {0};
	struct dp_target t = *wanted;
	uint32_t key = (uint32_t)pid;
	int err, targets;

	if (pid <= 0 || t.gil_count > DP_MAX_GILS)
		return -EINVAL;
	if (!b)
		return 0;
	targets = bpf_map__fd(b->skel->maps.targets);
	err = choose_way(b, &t);
	if (err)
		return err;
	err = bpf_map_update_elem(targets, &key, &t, BPF_EXIST);
	if (!err)
		rest(b, pid, t.resting);
	if (err != -ENOENT)
		return err;
	if (!b->watched && !b->is_attached)
		err = bpf_attach_again(b);
	else
		err = 0;
	if (!err)
		err = bpf_map_update_elem(targets, &key, &t, BPF_NOEXIST);
	if (err) {
		dp_bpf_rest(b);
		return err;
	}
	b->watched++;
	/* As many as there are targets find room here. One without has no shares, and says so. */
	(void)bpf_map_update_elem(bpf_map__fd(b->skel->maps.shares), &key, &none, BPF_ANY);
	__atomic_fetch_add(hint_of(b, pid), 1, __ATOMIC_RELEASE);
	rest(b, pid, t.resting);
	return 0;
}

int dp_bpf_share(struct dp_bpf *b, pid_t pid, struct dp_share_state *ret)
{
	uint32_t key = (uint32_t)pid;
	struct dp_share_state s;
	int err;

	if (!b)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.shares), &key, &s);
	if (!err)
		*ret = s;
	return err;
}

bool dp_bpf_has_run(const struct dp_bpf *b, pid_t pid, uint32_t *mark)
{
	uint32_t was = *mark;

	if (!b)
		return true;
	/* Mapped memory of the kernel's: no system call. */
	*mark = __atomic_load_n(
		&bpf_variables(b)
			 ->watch_ran[(uint32_t)pid % DP_COUNT_OF(bpf_variables(b)->watch_ran)],
		__ATOMIC_RELAXED);
	return *mark != was;
}

uint32_t dp_bpf_switches(const struct dp_bpf *b, pid_t pid, uint32_t *mark)
{
	uint32_t was = *mark;

	return b && dp_bpf_has_run(b, pid, mark) && *hint_of(b, pid) == 1 ? *mark - was : 0;
}

int dp_bpf_mark_daemon(struct dp_bpf *b, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	uint8_t one = 1;

	if (!b)
		return 0;
	return bpf_map_update_elem(bpf_map__fd(b->skel->maps.daemons), &key, &one, BPF_ANY);
}

/* Deletes the entries of a map whose key or value is of the process. */
static void forget(struct dp_bpf *b, struct bpf_map *map, pid_t pid,
		   bool (*is_of)(struct dp_bpf *b, const void *key, const void *value,
				 uint32_t pid))
{
	uint64_t prev[2], next[2], value[32];
	uint32_t left = bpf_map__max_entries(map);
	int fd = bpf_map__fd(map);
	bool first = true, more, is_stale = false;

	do {
		more = left-- && !bpf_map_get_next_key(fd, first ? NULL : prev, next);
		/* Only now, so that the walk does not begin again at the map's start. */
		if (is_stale)
			bpf_map_delete_elem(fd, prev);
		if (!more)
			break;
		first = false;
		is_stale = !bpf_map_lookup_elem(fd, next, value) &&
			   is_of(b, next, value, (uint32_t)pid);
		memcpy(prev, next, sizeof(prev));
	} while (true);
}

static bool socket_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	const struct dp_sock_state *s = value;

	if (((const struct dp_sock_key *)key)->pid != pid)
		return false;
	bpf_map_delete_elem(bpf_map__fd(b->skel->maps.conn_fds), &s->conn);
	return true;
}

static bool stream_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	(void)b;
	(void)key;
	return ((const struct dp_sock_state *)value)->pid == pid;
}

static bool fd_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	(void)b;
	(void)value;
	return ((const struct dp_sock_key *)key)->pid == pid;
}

static bool thread_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	(void)b;
	(void)key;
	return ((const struct dp_thread_state *)value)->tgid == pid;
}

static bool region_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	(void)b;
	(void)value;
	return ((const struct dp_region_key *)key)->pid == pid;
}

static bool ns_tid_is_of(struct dp_bpf *b, const void *key, const void *value, uint32_t pid)
{
	(void)b;
	uint64_t k;

	(void)value;
	memcpy(&k, key, sizeof(k));
	return k >> 32 == pid;
}

void dp_bpf_unwatch(struct dp_bpf *b, pid_t pid)
{
	uint32_t key = (uint32_t)pid;

	if (!b)
		return;
	dp_bpf_disarm(b, pid);
	if (bpf_map_delete_elem(bpf_map__fd(b->skel->maps.targets), &key))
		return;
	rest(b, pid, 0);
	__atomic_fetch_sub(hint_of(b, pid), 1, __ATOMIC_RELEASE);
	bpf_map_delete_elem(bpf_map__fd(b->skel->maps.shares), &key);
	forget(b, b->skel->maps.sockets, pid, socket_is_of);
	forget(b, b->skel->maps.region_fds, pid, fd_is_of);
	forget(b, b->skel->maps.regions, pid, region_is_of);
	forget(b, b->skel->maps.thread_state, pid, thread_is_of);
	forget(b, b->skel->maps.ns_tids, pid, ns_tid_is_of);
	forget(b, b->skel->maps.streams, pid, stream_is_of);
	b->watched--;
	dp_bpf_rest(b);
}

uint64_t dp_bpf_new_conn(struct dp_bpf *b)
{
	return b ? ++b->conns % AGENT_CONNS_MAX : 1;
}

/* How many descriptors the process has marked for this connection. */
static uint32_t marks_of(struct dp_bpf *b, pid_t pid, uint64_t conn)
{
	int fd = bpf_map__fd(b->skel->maps.sockets);
	struct dp_sock_key key, *prev = NULL;
	struct dp_sock_state s;
	uint32_t n = 0;

	for (uint32_t i = 0; i < DP_MAX_SOCKETS && !bpf_map_get_next_key(fd, prev, &key); i++) {
		if (key.pid == (uint32_t)pid && !bpf_map_lookup_elem(fd, &key, &s) &&
		    s.conn == conn)
			n++;
		prev = &key;
	}
	return n;
}

int dp_bpf_mark_socket(struct dp_bpf *b, pid_t pid, int fd, uint64_t conn)
{
	struct dp_sock_key key = {.pid = (uint32_t)pid, .fd = fd};
	struct dp_sock_state s = {.conn = conn};
	uint32_t n, target = (uint32_t)pid;
	struct dp_target t;
	int err;

	if (!b)
		return 0;
	if (!bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.targets), &target, &t))
		s.traced = !t.by_calls;
	err = bpf_map_update_elem(bpf_map__fd(b->skel->maps.sockets), &key, &s, BPF_NOEXIST);

	if (err)
		return err;
	/* Ids rise: one that is marked for the first time has no other descriptor. */
	if (conn > b->conn_marked) {
		b->conn_marked = conn;
		return 0;
	}
	n = marks_of(b, pid, conn);
	if (n > 1)
		err = bpf_map_update_elem(bpf_map__fd(b->skel->maps.conn_fds), &conn, &n, BPF_ANY);
	return err;
}

int dp_bpf_mark_region(struct dp_bpf *b, pid_t pid, uint64_t addr, const char *name)
{
	struct dp_region_key key = {.addr = addr, .pid = (uint32_t)pid};
	struct dp_region_state s = {.created = 0};

	if (strlen(name) >= sizeof(s.name))
		return -ENAMETOOLONG;
	strcpy(s.name, name);
	return bpf_map_update_elem(bpf_map__fd(b->skel->maps.regions), &key, &s, BPF_ANY);
}

int dp_bpf_thread(struct dp_bpf *b, pid_t tid, struct dp_thread_state *ret)
{
	uint32_t key = (uint32_t)tid;
	struct dp_thread_state ts;
	int err;

	if (!b)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.thread_state), &key, &ts);

	if (!err)
		*ret = ts;
	return err;
}

int dp_bpf_thread_found(struct dp_bpf *b, pid_t tid, const struct dp_thread_state *s)
{
	uint32_t key = (uint32_t)tid;

	if (!b)
		return -ENOENT;
	return bpf_map__update_elem(b->skel->maps.thread_state, &key, sizeof(key), s, sizeof(*s),
				    BPF_NOEXIST);
}

void dp_bpf_thread_unfound(struct dp_bpf *b, pid_t tid)
{
	uint32_t key = (uint32_t)tid;

	if (b)
		bpf_map__delete_elem(b->skel->maps.thread_state, &key, sizeof(key), 0);
}
