/* SPDX-License-Identifier: MIT */
#include "sense/bpf_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/units.h"
#include "sense/bpf_features.h"
#include "sense/bpf_try.h"
#include "sense/refusal.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "dora_probe.skel.h"
#pragma GCC diagnostic pop

/*
 * Two nodes that send 64 KiB messages flat out (5,100 a second here) fill 7 MB of ring a second:
 * this holds a second of them. The agent maps it twice, so it costs 16 MiB of resident memory, all of
 * it shared with the kernel.
 */
#define RING_BYTES      (8u << 20)
#define SAMPLE_HZ       49           /* not a divisor of anything periodic in Python */
#define AGENT_CONNS_MAX (1ULL << 48) /* above: ids given out by the kernel's programs */

_Static_assert(DP_KERNEL_LOSSES == DP_LAST_KERNEL_LOSS + 1, "capture.h and names.h disagree");
_Static_assert(sizeof(struct dp_capture) == 32, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_sock_data) == 32, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_gil_span) == 48, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_sock_key) == 8, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_region_key) == 16, "layout shared with bpf/");

#define PROGRAM(name) offsetof(struct dora_probe_bpf, progs.name)

/* What is attached; libbpf knows from the section where. `sources` is what each one feeds. */
static const struct {
	size_t program; /* offset in the skeleton */
	uint32_t sources;
} attached[] = {
	{PROGRAM(dp_sched_switch), 1u << DP_SOURCE_SCHED},
	{PROGRAM(dp_signal_generate), 1u << DP_SOURCE_SIGNAL},
	{PROGRAM(dp_signal_deliver), 1u << DP_SOURCE_SIGNAL},
	{PROGRAM(dp_exec), 1u << DP_SOURCE_LIFECYCLE},
	{PROGRAM(dp_fork), 1u << DP_SOURCE_LIFECYCLE},
	{PROGRAM(dp_exit), 1u << DP_SOURCE_LIFECYCLE},
	{PROGRAM(dp_sys_exit), 1u << DP_SOURCE_SOCKET | 1u << DP_SOURCE_REGION},
	{PROGRAM(dp_sys_enter), 1u << DP_SOURCE_FUTEX},
};

/* Where dp_sys_enter and dp_sys_exit pass a system call on to; slots as enum dp_family of bpf/. */
enum family { FAMILY_GIL, FAMILY_SOCKET, FAMILY_REGION };

static const struct {
	size_t program;
	bool exit;
	enum family family;
} families[] = {
	{PROGRAM(dp_gil_enter), false, FAMILY_GIL},
	{PROGRAM(dp_socket_enter), false, FAMILY_SOCKET},
	{PROGRAM(dp_socket_exit), true, FAMILY_SOCKET},
	{PROGRAM(dp_region_enter), false, FAMILY_REGION},
	{PROGRAM(dp_region_exit), true, FAMILY_REGION},
};

/*
 * Attaching a uprobe takes the kernel 5 to 30 ms and detaching it 80 to 120 ms (measured on 6.18:
 * grace periods), and both need the target's memory map lock, which a target can hold for long. So
 * both are done by a short-lived thread, and the loop never waits for one but at the end.
 */
enum edge_step { EDGE_FREE, EDGE_ATTACHING, EDGE_ARMED, EDGE_FAILED, EDGE_DETACHING, EDGE_DONE };

#define PROGRAMS_EVERY_NS (10 * SEC)

struct armed {
	struct dp_bpf *b;
	enum edge_step step;
	pid_t pid;
	unsigned int gil_count;
	int err; /* EDGE_FAILED */
	uint64_t offset;
	struct bpf_link *link;
	pthread_t thread; /* to be joined in all steps but EDGE_FREE, if `threaded` */
	bool threaded;
	char path[PATH_MAX];
};

struct dp_bpf {
	struct dora_probe_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link *links[DP_COUNT_OF(attached)];
	size_t link_count;
	struct bpf_link **samples; /* per possible CPU, NULL where offline */
	int *sample_fds;
	int cpus;
	unsigned int sample_hz;
	uint64_t samples_missed;
	uint64_t programs_skipped, programs_asked_ns;
	struct dp_cpu_state *cpu_state; /* `cpus` of them */
	pthread_mutex_t lock;           /* of the slots in `armed` */
	struct armed *armed;            /* DP_MAX_TARGETS of them */
	uint64_t conns;
	uint32_t sources;
	int stats_fd;
	void (*fn)(void *ctx, const struct dp_capture *h, size_t len);
	void *fn_ctx;
	int drained;
};

static struct bpf_program *program_at(struct dora_probe_bpf *skel, size_t offset)
{
	struct bpf_program *p;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the pointer itself is copied. */
	memcpy(&p, (const char *)skel + offset, sizeof(p));
	return p;
}

static int prepare(struct dp_bpf *b, const struct dp_bpf_options *o)
{
	size_t ring = o->ring_bytes ? o->ring_bytes : RING_BYTES;
	int err;

	if (ring > UINT32_MAX)
		return -EINVAL;
	b->skel->rodata->wake_bytes = ring / 8;
	b->skel->rodata->run_min_ns = o->run_min_ns ? o->run_min_ns : DP_RUN_MIN_NS;
	b->skel->rodata->trace_all_exec = o->trace_all_exec != 0;
	err = bpf_map__set_max_entries(b->skel->maps.events, (uint32_t)ring);
	/* Preallocated, its 65,536 entries take 7 MB, of which a few hundred are used. */
	if (!err && dp_bpf_has_lazy_hash())
		err = bpf_map__set_map_flags(b->skel->maps.regions, BPF_F_NO_PREALLOC);
	return err;
}

static int on_capture(void *ctx, void *data, size_t len)
{
	struct dp_bpf *b = ctx;
	const struct dp_capture *h = data;

	/* A reservation is of a size class; the capture says how much of it is filled. */
	if (len < sizeof(*h) || h->size < sizeof(*h) || h->size > len)
		return 0;
	b->fn(b->fn_ctx, h, h->size);
	return ++b->drained >= DP_DRAIN_MAX ? -ECANCELED : 0;
}

const void *dp_bpf_object(size_t *ret_len)
{
	return dora_probe_bpf__elf_bytes(ret_len);
}

/* Says why the kernel refused the object; returns the error that the caller passes on. */
static int say_refused(const struct dp_refusal *r, int err, char *why, size_t why_len)
{
	if (err == -EPERM && !r->said[0]) {
		/* Before 5.11 maps count against RLIMIT_MEMLOCK, which libbpf tries to raise. */
		snprintf(why, why_len,
			 "the kernel refuses BPF maps or programs (%s); raise the limit of locked "
			 "memory and run it as root: ulimit -l unlimited",
			 strerror(-err));
		return err;
	}
	if (r->program[0])
		snprintf(why, why_len,
			 "the kernel does not accept the BPF program %s (%s)%s%s; see what else it "
			 "refuses with: dora-probe doctor",
			 r->program, strerror(-err), r->said[0] ? ": " : "", r->said);
	else
		snprintf(why, why_len,
			 "the kernel does not accept the BPF programs (%s); see what it says with: "
			 "dora-probe -v",
			 strerror(-err));
	return err == -ENOMEM ? err : -ENOTSUP;
}

int dp_bpf_open(const struct dp_bpf_options *o, struct dp_bpf **ret, char *why, size_t why_len)
{
	struct dp_refusal refusal = {0};
	struct dp_bpf *b;
	int err;

	dp_refusal_listen(NULL, o->verbose > 0);
	err = dp_bpf_can_load(why, why_len);
	if (err)
		return err;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->stats_fd = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->sample_hz = o->sample_hz ? o->sample_hz : SAMPLE_HZ;
	b->cpus = libbpf_num_possible_cpus();
	if (b->cpus <= 0) {
		err = b->cpus ? b->cpus : -EINVAL;
		goto cleanup;
	}
	b->samples = calloc((size_t)b->cpus, sizeof(struct bpf_link *));
	b->sample_fds = calloc((size_t)b->cpus, sizeof(int));
	b->cpu_state = calloc((size_t)b->cpus, sizeof(*b->cpu_state));
	b->armed = calloc(DP_MAX_TARGETS, sizeof(*b->armed));
	if (!b->samples || !b->sample_fds || !b->cpu_state || !b->armed) {
		err = -ENOMEM;
		goto cleanup;
	}
	b->skel = dora_probe_bpf__open();
	if (!b->skel) {
		err = -errno;
		snprintf(why, why_len, "the BPF object cannot be opened (%s); see: dora-probe -v",
			 strerror(-err));
		goto cleanup;
	}
	err = prepare(b, o);
	if (err) {
		snprintf(why, why_len, "the BPF object cannot be set up (%s); see: dora-probe -v",
			 strerror(-err));
		goto cleanup;
	}
	dp_refusal_listen(&refusal, o->verbose > 0);
	err = dora_probe_bpf__load(b->skel);
	dp_refusal_listen(NULL, o->verbose > 0);
	if (err) {
		err = say_refused(&refusal, err, why, why_len);
		goto cleanup;
	}
	b->ring = ring_buffer__new(bpf_map__fd(b->skel->maps.events), on_capture, b, NULL);
	if (!b->ring) {
		err = -errno;
		snprintf(why, why_len, "the ring buffer cannot be mapped (%s); see: dora-probe -v",
			 strerror(-err));
		goto cleanup;
	}
	*ret = b;
	b = NULL;
cleanup:
	dp_bpf_close(b);
	return err;
}

/* One cpu-clock event for each CPU that is online. */
static int attach_samples(struct dp_bpf *b)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = SEC / b->sample_hz,
	};

	for (int cpu = 0; cpu < b->cpus; cpu++) {
		int fd =
			(int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd < 0 && errno == ENODEV)
			continue;
		if (fd < 0)
			return -errno;
		/* The link owns the descriptor from here on. */
		b->samples[cpu] = bpf_program__attach_perf_event(b->skel->progs.dp_sample, fd);
		if (!b->samples[cpu]) {
			int err = -errno;

			close(fd);
			return err;
		}
		b->sample_fds[cpu] = fd;
	}
	b->sources |= 1u << DP_SOURCE_CPU_CLOCK;
	return 0;
}

static void detach(struct dp_bpf *b)
{
	for (int cpu = 0; b->samples && cpu < b->cpus; cpu++) {
		bpf_link__destroy(b->samples[cpu]);
		b->samples[cpu] = NULL;
	}
	while (b->link_count)
		bpf_link__destroy(b->links[--b->link_count]);
	b->sources = 0;
}

static int fill_families(struct dp_bpf *b)
{
	for (size_t i = 0; i < DP_COUNT_OF(families); i++) {
		struct bpf_map *map = families[i].exit ? b->skel->maps.exit_families
						       : b->skel->maps.enter_families;
		int prog = bpf_program__fd(program_at(b->skel, families[i].program));
		uint32_t slot = families[i].family;
		int err = bpf_map_update_elem(bpf_map__fd(map), &slot, &prog, BPF_ANY);

		if (err)
			return err;
	}
	return 0;
}

int dp_bpf_attach(struct dp_bpf *b, char *why, size_t why_len)
{
	const char *what = "the table of system calls";
	int err;

	if (b->link_count)
		return -EALREADY;
	err = fill_families(b);
	for (size_t i = 0; !err && i < DP_COUNT_OF(attached); i++) {
		struct bpf_program *p = program_at(b->skel, attached[i].program);
		struct bpf_link *link = bpf_program__attach(p);

		if (!link) {
			err = -errno;
			what = bpf_program__name(p);
			goto cleanup;
		}
		b->links[b->link_count++] = link;
		b->sources |= attached[i].sources;
	}
	if (!err) {
		what = "cpu-clock";
		err = attach_samples(b);
	}
cleanup:
	if (err) {
		detach(b);
		snprintf(why, why_len, "%s cannot be attached (%s); see: dora-probe -v", what,
			 strerror(-err));
		if (err == -EACCES)
			err = -EPERM;
		if (err == -ENOENT || err == -EOPNOTSUPP)
			err = -ENOTSUP;
	}
	return err;
}

uint32_t dp_bpf_sources(const struct dp_bpf *b)
{
	uint32_t sources = b->sources;
	pthread_mutex_t *lock = (pthread_mutex_t *)&b->lock;

	pthread_mutex_lock(lock);
	for (size_t i = 0; i < DP_MAX_TARGETS; i++)
		if (b->armed[i].step == EDGE_ARMED)
			sources |= 1u << DP_SOURCE_EDGE;
	pthread_mutex_unlock(lock);
	return sources;
}

static uint16_t *hint_of(struct dp_bpf *b, pid_t pid)
{
	return &b->skel->bss->watch_hints[(uint32_t)pid % DP_COUNT_OF(b->skel->bss->watch_hints)];
}

static uint64_t edge_key(pid_t pid, unsigned int gil)
{
	return (uint64_t)(uint32_t)pid * DP_MAX_GILS + gil;
}

int dp_bpf_watch(struct dp_bpf *b, pid_t pid, const struct dp_target *t)
{
	int targets = bpf_map__fd(b->skel->maps.targets);
	uint32_t key = (uint32_t)pid;
	int err;

	if (pid <= 0 || t->gil_count > DP_MAX_GILS)
		return -EINVAL;
	err = bpf_map_update_elem(targets, &key, t, BPF_NOEXIST);
	if (err == -EEXIST)
		return bpf_map_update_elem(targets, &key, t, BPF_EXIST);
	if (err)
		return err;
	__atomic_fetch_add(hint_of(b, pid), 1, __ATOMIC_RELEASE);
	return 0;
}

/* Deletes the entries of a map whose key or value is of the process. */
static void forget(struct dp_bpf *b, struct bpf_map *map, pid_t pid,
		   bool (*is_of)(struct dp_bpf *b, const void *key, const void *value,
				 uint32_t pid))
{
	uint64_t prev[2], next[2], value[32];
	uint32_t left = bpf_map__max_entries(map);
	int fd = bpf_map__fd(map);
	bool first = true, more, drop = false;

	do {
		more = left-- && !bpf_map_get_next_key(fd, first ? NULL : prev, next);
		/* Only now, so that the walk does not begin again at the map's start. */
		if (drop)
			bpf_map_delete_elem(fd, prev);
		if (!more)
			break;
		first = false;
		drop = !bpf_map_lookup_elem(fd, next, value) &&
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

	dp_bpf_disarm(b, pid);
	if (bpf_map_delete_elem(bpf_map__fd(b->skel->maps.targets), &key))
		return;
	__atomic_fetch_sub(hint_of(b, pid), 1, __ATOMIC_RELEASE);
	forget(b, b->skel->maps.sockets, pid, socket_is_of);
	forget(b, b->skel->maps.region_fds, pid, fd_is_of);
	forget(b, b->skel->maps.regions, pid, region_is_of);
	forget(b, b->skel->maps.thread_state, pid, thread_is_of);
	forget(b, b->skel->maps.ns_tids, pid, ns_tid_is_of);
}

uint64_t dp_bpf_new_conn(struct dp_bpf *b)
{
	return ++b->conns % AGENT_CONNS_MAX;
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
	uint32_t n;
	int err = bpf_map_update_elem(bpf_map__fd(b->skel->maps.sockets), &key, &s, BPF_NOEXIST);

	if (err)
		return err;
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
	int err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.thread_state), &key, &ts);

	if (!err)
		*ret = ts;
	return err;
}

int dp_bpf_edge(struct dp_bpf *b, pid_t pid, unsigned int gil, struct dp_edge_state *ret)
{
	uint64_t key = edge_key(pid, gil);
	struct dp_edge_state e;
	int err;

	if (gil >= DP_MAX_GILS)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.edges), &key, &e);
	if (!err)
		*ret = e;
	return err;
}

/* The slot in which the process is armed or being armed; NULL. Called with the lock held. */
static struct armed *armed_slot(struct dp_bpf *b, pid_t pid)
{
	for (size_t i = 0; i < DP_MAX_TARGETS; i++) {
		struct armed *a = &b->armed[i];

		if (a->pid == pid && a->step > EDGE_FREE && a->step < EDGE_DETACHING)
			return a;
	}
	return NULL;
}

static struct armed *free_slot(struct dp_bpf *b)
{
	for (size_t i = 0; i < DP_MAX_TARGETS; i++) {
		struct armed *a = &b->armed[i];

		if (a->step == EDGE_DONE) {
			if (a->threaded)
				pthread_join(a->thread, NULL);
			memset(a, 0, sizeof(*a));
		}
		if (a->step == EDGE_FREE)
			return a;
	}
	return NULL;
}

static void *edge_detach(void *arg)
{
	struct armed *a = arg;

	bpf_link__destroy(a->link);
	pthread_mutex_lock(&a->b->lock);
	a->link = NULL;
	a->step = EDGE_DONE;
	pthread_mutex_unlock(&a->b->lock);
	return NULL;
}

static void *edge_attach(void *arg)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);
	struct armed *a = arg;
	struct dp_bpf *b = a->b;
	struct bpf_link *link = bpf_program__attach_uprobe_opts(b->skel->progs.dp_edge, a->pid,
								a->path, a->offset, &opts);
	int err = link ? 0 : -errno;
	bool unwanted;

	pthread_mutex_lock(&b->lock);
	a->link = link;
	a->err = err;
	unwanted = a->step == EDGE_DETACHING;
	if (!unwanted)
		a->step = err ? EDGE_FAILED : EDGE_ARMED;
	/* The program ignores a GIL without time, so nothing counts from before this one. */
	for (unsigned int i = 0; !unwanted && !err && i < a->gil_count; i++) {
		struct dp_edge_state e = {.armed_ns = dp_now()};
		uint64_t key = edge_key(a->pid, i);

		bpf_map_update_elem(bpf_map__fd(b->skel->maps.edges), &key, &e, BPF_EXIST);
	}
	pthread_mutex_unlock(&b->lock);
	return unwanted ? edge_detach(a) : NULL;
}

int dp_bpf_arm(struct dp_bpf *b, pid_t pid, const char *path, uint64_t offset)
{
	int edges = bpf_map__fd(b->skel->maps.edges), err;
	struct dp_edge_state unarmed = {0};
	uint32_t target_key = (uint32_t)pid;
	struct dp_target t;
	struct armed *a;

	if (pid <= 0 || strlen(path) >= PATH_MAX)
		return -EINVAL;
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.targets), &target_key, &t);
	if (err)
		return err;
	pthread_mutex_lock(&b->lock);
	if (armed_slot(b, pid)) {
		err = -EALREADY;
		goto cleanup;
	}
	a = free_slot(b);
	if (!a) {
		err = -ENOSPC;
		goto cleanup;
	}
	for (unsigned int i = 0; !err && i < t.gil_count && i < DP_MAX_GILS; i++) {
		uint64_t key = edge_key(pid, i);

		err = bpf_map_update_elem(edges, &key, &unarmed, BPF_ANY);
	}
	if (err)
		goto cleanup;
	a->b = b;
	a->pid = pid;
	a->gil_count = t.gil_count;
	a->offset = offset;
	strcpy(a->path, path);
	err = -pthread_create(&a->thread, NULL, edge_attach, a);
	if (!err) {
		a->step = EDGE_ATTACHING;
		a->threaded = true;
	}
cleanup:
	pthread_mutex_unlock(&b->lock);
	return err;
}

int dp_bpf_armed(struct dp_bpf *b, pid_t pid)
{
	struct armed *a;
	int ret = -ENOENT;

	pthread_mutex_lock(&b->lock);
	a = armed_slot(b, pid);
	if (a)
		ret = a->step == EDGE_FAILED ? a->err : a->step == EDGE_ARMED;
	pthread_mutex_unlock(&b->lock);
	return ret;
}

void dp_bpf_disarm(struct dp_bpf *b, pid_t pid)
{
	struct armed *a;

	pthread_mutex_lock(&b->lock);
	a = armed_slot(b, pid);
	for (unsigned int i = 0; a && i < DP_MAX_GILS; i++) {
		uint64_t key = edge_key(pid, i);

		bpf_map_delete_elem(bpf_map__fd(b->skel->maps.edges), &key);
	}
	if (a && a->step == EDGE_ATTACHING) {
		/* Its thread sees this when it is through, and detaches. */
		a->step = EDGE_DETACHING;
	} else if (a) {
		pthread_join(a->thread, NULL);
		a->step = EDGE_DETACHING;
		a->threaded = !pthread_create(&a->thread, NULL, edge_detach, a);
		if (!a->threaded) {
			bpf_link__destroy(a->link);
			memset(a, 0, sizeof(*a));
		}
	}
	pthread_mutex_unlock(&b->lock);
}

/* Waits for the threads; the links that are still armed are closed here, one after the other. */
static void edges_close(struct dp_bpf *b)
{
	for (size_t i = 0; b->armed && i < DP_MAX_TARGETS; i++)
		dp_bpf_disarm(b, b->armed[i].pid);
	for (size_t i = 0; b->armed && i < DP_MAX_TARGETS; i++)
		if (b->armed[i].threaded)
			pthread_join(b->armed[i].thread, NULL);
}

void dp_bpf_close(struct dp_bpf *b)
{
	if (!b)
		return;
	edges_close(b);
	detach(b);
	ring_buffer__free(b->ring);
	dora_probe_bpf__destroy(b->skel);
	if (b->stats_fd >= 0)
		close(b->stats_fd);
	pthread_mutex_destroy(&b->lock);
	free(b->armed);
	free(b->cpu_state);
	free(b->sample_fds);
	free(b->samples);
	free(b);
}

int dp_bpf_fd(const struct dp_bpf *b)
{
	return ring_buffer__epoll_fd(b->ring);
}

int dp_bpf_drain(struct dp_bpf *b, void (*fn)(void *ctx, const struct dp_capture *h, size_t len),
		 void *ctx)
{
	int err;

	b->fn = fn;
	b->fn_ctx = ctx;
	b->drained = 0;
	err = ring_buffer__consume(b->ring);
	return err < 0 && err != -ECANCELED ? err : b->drained;
}

/* Samples that the clock should have taken and the program did not see, over all CPUs. */
static uint64_t samples_missed(struct dp_bpf *b)
{
	uint64_t missed = 0;

	for (int cpu = 0; cpu < b->cpus; cpu++) {
		uint64_t running_ns, expected;

		if (!b->samples[cpu] ||
		    read(b->sample_fds[cpu], &running_ns, sizeof(running_ns)) != sizeof(running_ns))
			continue;
		expected = running_ns / (SEC / b->sample_hz);
		/* The clock was read after the counter: one may have come between. */
		if (expected > b->cpu_state[cpu].samples + 1)
			missed += expected - b->cpu_state[cpu].samples - 1;
	}
	if (missed > b->samples_missed)
		b->samples_missed = missed;
	return b->samples_missed;
}

void dp_bpf_losses(struct dp_bpf *b, int fresh, uint64_t ret[DP_LOSS_COUNT])
{
	struct dp_bpf_program programs[64];
	uint32_t zero = 0;
	int n;

	memset(ret, 0, DP_LOSS_COUNT * sizeof(*ret));
	if (!bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.cpu_state), &zero, b->cpu_state)) {
		for (int cpu = 0; cpu < b->cpus; cpu++) {
			for (int i = 0; i < DP_KERNEL_LOSSES; i++)
				ret[i] += b->cpu_state[cpu].loss[i];
			ret[DP_LOSS_SIGNAL_REPEATED] += b->cpu_state[cpu].signals;
		}
	}
	ret[DP_LOSS_SAMPLE_SKIPPED] = b->samples_missed;
	ret[DP_LOSS_PROGRAM_SKIPPED] = b->programs_skipped;
	/* A system call per program, an interrupt per CPU: not at every tick. */
	if (!fresh && dp_now() < b->programs_asked_ns + PROGRAMS_EVERY_NS)
		return;
	ret[DP_LOSS_SAMPLE_SKIPPED] = samples_missed(b);
	b->programs_asked_ns = dp_now();
	ret[DP_LOSS_PROGRAM_SKIPPED] = 0;
	n = dp_bpf_programs(b, programs, (int)DP_COUNT_OF(programs));
	for (int i = 0; i < n && i < (int)DP_COUNT_OF(programs); i++)
		ret[DP_LOSS_PROGRAM_SKIPPED] += programs[i].recursion_misses;
	b->programs_skipped = ret[DP_LOSS_PROGRAM_SKIPPED];
}

int dp_bpf_stats(struct dp_bpf *b, int on)
{
	if (on && b->stats_fd < 0) {
		int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

		if (fd < 0)
			return fd;
		b->stats_fd = fd;
	} else if (!on && b->stats_fd >= 0) {
		close(b->stats_fd);
		b->stats_fd = -1;
	}
	return 0;
}

int dp_bpf_programs(struct dp_bpf *b, struct dp_bpf_program *ret, int max)
{
	struct bpf_program *prog;
	int n = 0;

	bpf_object__for_each_program(prog, b->skel->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			continue;
		if (n < max)
			ret[n] = (struct dp_bpf_program){
				.name = bpf_program__name(prog),
				.run_ns = info.run_time_ns,
				.run_count = info.run_cnt,
				.recursion_misses = info.recursion_misses,
			};
		n++;
	}
	return n;
}
