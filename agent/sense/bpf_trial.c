// SPDX-License-Identifier: MIT
/*
 * Do the tracepoints see what they are there for? Each source is tried on this very process: a kernel may
 * take a program and give it other registers than it expects. See bpf_object.h.
 */
#include "sense/bpf_object.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"

#define REGION_BYTES (4u << 20) /* so that huge pages would move it */
#define WAIT_NS      (200 * MS)
#define KEPT_MAX     (1u << 20)
#define LENGTH       100 /* of a frame, as its first eight bytes say it */

/* A GIL as far as the programs look at it: the layout of 3.12, of which only the order matters. */
struct gil {
	uint64_t head[4];
	uint32_t cond[12], mutex[12], switch_cond[12];
};

struct sleeper {
	struct gil *gil;
	_Atomic pid_t tid;
};

static bool maps_region(struct dp_bpf *b, uint64_t addr)
{
	struct dp_region_key key = {.addr = addr, .pid = (uint32_t)getpid()};
	struct dp_region_state r;

	return bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.regions), &key, &r) == 0;
}

/* What cannot be tried (no /dev/shm, no loopback) is taken as seen. */
static bool sees_regions(struct dp_bpf *b)
{
	bool mapped = true, unmapped = true;
	char path[64];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/shmem_0%x", (unsigned int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return true;
	if (ftruncate(fd, REGION_BYTES) == 0) {
		at = mmap(NULL, REGION_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		if (at != MAP_FAILED) {
			mapped = maps_region(b, (uintptr_t)at);
			munmap(at, REGION_BYTES);
			unmapped = !maps_region(b, (uintptr_t)at);
		}
	}
	unlink(path);
	close(fd);
	return mapped && unmapped;
}

/* The connection of this descriptor, as the programs know it. */
static bool stream_of(struct dp_bpf *b, int fd, struct dp_sock_state *ret)
{
	struct dp_sock_key key = {.pid = (uint32_t)getpid(), .fd = fd};
	struct dp_sock_state mark;

	return bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.sockets), &key, &mark) == 0 &&
	       bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.streams), &mark.sock, ret) == 0;
}

/* A frame's length each way is kept in the map until its body comes. */
static bool sees_bytes(struct dp_bpf *b, int client, int server)
{
	uint64_t length = LENGTH, got;
	struct dp_sock_state s;

	if (send(client, &length, sizeof(length), MSG_NOSIGNAL) != sizeof(length) ||
	    recv(server, &got, sizeof(got), MSG_WAITALL) != sizeof(got) ||
	    send(server, &length, sizeof(length), MSG_NOSIGNAL) != sizeof(length) ||
	    recv(client, &got, sizeof(got), MSG_WAITALL) != sizeof(got))
		return true;
	if (!stream_of(b, client, &s) || s.length[DP_TO_DAEMON] != LENGTH ||
	    s.length[DP_FROM_DAEMON] != LENGTH)
		return false;
	return true;
}

static bool sees_sockets(struct dp_bpf *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server = -1;
	socklen_t len = sizeof(a);
	bool seen = true;

	if (bind(listener, (void *)&a, len) == 0 && listen(listener, 1) == 0 &&
	    getsockname(listener, (void *)&a, &len) == 0 && connect(client, (void *)&a, len) == 0)
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server >= 0) {
		seen = sees_bytes(b, client, server);
		close(server);
	}
	close(client);
	close(listener);
	return seen;
}

static void *sleep_in_gil(void *arg)
{
	struct sleeper *s = arg;
	uint64_t until = dp_now() + SEC;
	struct timespec at = {(time_t)(until / SEC), (long)(until % SEC)};

	s->tid = (pid_t)syscall(SYS_gettid);
	syscall(SYS_futex, s->gil->cond, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, &at, NULL,
		FUTEX_BITSET_MATCH_ANY);
	return NULL;
}

static bool sees_waits(struct dp_bpf *b, struct gil *g)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct sleeper s = {.gil = g};
	uint64_t since = dp_now();
	struct dp_thread_state ts = {0};
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_in_gil, &s))
		return true;
	do
		nanosleep(&pause, NULL);
	while (dp_now() - since < WAIT_NS &&
	       (!s.tid || dp_bpf_thread(b, s.tid, &ts) || !ts.wait_ns));
	syscall(SYS_futex, g->cond, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	pthread_join(thread, NULL);
	return ts.wait_ns >= since;
}

struct keeping {
	struct dp_bpf *b;
	uint8_t *all;
	size_t len;
};

/* What this process has caused is of no interest; what else began or ended meanwhile is of the run. */
static void keep(void *ctx, const struct dp_capture *h, size_t len)
{
	size_t room = (len + 7) & ~(size_t)7;
	struct keeping *k = ctx;
	struct dp_capture *kept;
	uint8_t *all;

	if (h->pid == (uint32_t)getpid() || h->cpu >= (uint32_t)k->b->cpus ||
	    k->len + room > KEPT_MAX)
		return;
	all = realloc(k->all, k->len + room);
	if (!all)
		return;
	k->all = all;
	kept = (void *)(all + k->len);
	memcpy(kept, h, len);
	kept->size = (uint32_t)room;
	/* The numbers of a CPU are without a gap again, and go on behind these. */
	kept->seq = (uint32_t)++k->b->cpu_state[h->cpu].seq;
	k->len += room;
}

void bpf_forget_trial(struct dp_bpf *b)
{
	struct keeping k = {.b = b};
	uint32_t zero = 0;

	memset(b->cpu_state, 0, (size_t)b->cpus * sizeof(*b->cpu_state));
	memset(b->sample_base, 0, (size_t)b->cpus * sizeof(*b->sample_base));
	while (dp_bpf_drain(b, keep, &k) > 0)
		;
	(void)bpf_map_update_elem(bpf_map__fd(b->skel->maps.cpu_state), &zero, b->cpu_state,
				  BPF_ANY);
	b->kept = k.all;
	b->kept_len = k.len;
}

/* The process is watched no more, and all stays attached. */
static void leave(struct dp_bpf *b)
{
	b->watched++;
	dp_bpf_unwatch(b, getpid());
	b->watched--;
}

bool bpf_sees_regions(struct dp_bpf *b)
{
	struct dp_target t = {.has_native_tid = 1};
	bool seen;

	if (dp_bpf_watch(b, getpid(), &t))
		return true;
	seen = sees_regions(b);
	leave(b);
	return seen;
}

uint32_t bpf_blind_sources(struct dp_bpf *b)
{
	struct gil g = {0};
	struct dp_target t = {
		.gils = {{.addr = (uintptr_t)&g,
			  .off_last_holder = 8,
			  .off_locked = 16,
			  .off_switch_number = 24,
			  .off_cond = offsetof(struct gil, cond),
			  .off_mutex = offsetof(struct gil, mutex),
			  .off_switch_cond = offsetof(struct gil, switch_cond),
			  .size = sizeof(g)}},
		.gil_count = 1,
		.has_native_tid = 1,
		.watch_sockets = 1,
		.daemon_family = AF_INET,
	};
	uint32_t blind = 0;

	if (dp_bpf_watch(b, getpid(), &t))
		return 0;
	if (b->traced & 1u << DP_SOURCE_SOCKET && !sees_sockets(b))
		blind |= 1u << DP_SOURCE_SOCKET;
	if (b->traced & 1u << DP_SOURCE_REGION && !sees_regions(b))
		blind |= 1u << DP_SOURCE_REGION;
	if (b->traced & 1u << DP_SOURCE_FUTEX && !sees_waits(b, &g))
		blind |= 1u << DP_SOURCE_FUTEX;
	leave(b);
	return blind;
}
