/* SPDX-License-Identifier: MIT */
/* Loads the kernel side, attaches it and drains its ring; see bpf_source.h. */
#include "sense/bpf_object.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/units.h"
#include "sense/bpf_features.h"
#include "sense/bpf_try.h"
#include "sense/refusal.h"

/*
 * Two nodes that send 64 KiB messages flat out (5,100 a second here) fill 7 MB of ring a second:
 * this holds a second of them. The agent maps it twice, so it costs 16 MiB of resident memory, all of
 * it shared with the kernel.
 */
#define RING_BYTES (8u << 20)
#define SAMPLE_HZ  49 /* not a divisor of anything periodic in Python */

_Static_assert(DP_KERNEL_LOSSES == DP_LAST_KERNEL_LOSS + 1, "capture.h and names.h disagree");
_Static_assert(sizeof(struct dp_capture) == 32, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_sock_data) == 32, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_gil_span) == 48, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_sock_key) == 8, "layout shared with bpf/");
_Static_assert(sizeof(struct dp_region_key) == 16, "layout shared with bpf/");

#define PROGRAM(name) offsetof(struct dora_probe_bpf, progs.name)

/* What is attached after births and deaths; libbpf knows from the section where. `sources` is what each one feeds. */
static const struct {
	size_t program; /* offset in the skeleton */
	uint32_t sources;
} attached[] = {
	{PROGRAM(dp_sched_switch), 1u << DP_SOURCE_SCHED},
	{PROGRAM(dp_signal_generate), 1u << DP_SOURCE_SIGNAL},
	{PROGRAM(dp_signal_deliver), 1u << DP_SOURCE_SIGNAL},
	{PROGRAM(dp_sys_exit), 1u << DP_SOURCE_SOCKET | 1u << DP_SOURCE_REGION},
	{PROGRAM(dp_sys_enter), 1u << DP_SOURCE_FUTEX},
};

_Static_assert(DP_COUNT_OF(attached) <= BPF_LINKS_MAX, "a link for each");

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

static struct bpf_program *program_at(struct dora_probe_bpf *skel, size_t offset)
{
	struct bpf_program *p;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the pointer itself is copied. */
	memcpy(&p, (const char *)skel + offset, sizeof(p));
	return p;
}

static int prepare(struct dora_probe_bpf *skel, const struct dp_bpf_options *o)
{
	size_t ring = o->ring_bytes ? o->ring_bytes : RING_BYTES;
	int err;

	if (ring > UINT32_MAX)
		return -EINVAL;
	skel->rodata->wake_bytes = ring / 8;
	skel->rodata->run_min_ns = o->run_min_ns ? o->run_min_ns : DP_RUN_MIN_NS;
	skel->rodata->trace_all_exec = o->trace_all_exec != 0;
	err = bpf_map__set_max_entries(skel->maps.events, (uint32_t)ring);
	if (!err && o->sockets_max)
		err = bpf_map__set_max_entries(skel->maps.sockets, o->sockets_max);
	if (!err && o->regions_max)
		err = bpf_map__set_max_entries(skel->maps.regions, o->regions_max);
	/* Preallocated, its 65,536 entries take 7 MB, of which a few hundred are used. */
	if (!err && dp_bpf_has_lazy_hash())
		err = bpf_map__set_map_flags(skel->maps.regions, BPF_F_NO_PREALLOC);
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

/* What is kept for each CPU and for each armed process. */
static int allocate(struct dp_bpf *b)
{
	b->cpus = libbpf_num_possible_cpus();
	if (b->cpus <= 0)
		return b->cpus ? b->cpus : -EINVAL;
	b->samples = calloc((size_t)b->cpus, sizeof(struct bpf_link *));
	b->sample_fds = calloc((size_t)b->cpus, sizeof(int));
	b->cpu_state = calloc((size_t)b->cpus, sizeof(*b->cpu_state));
	b->armed = calloc(DP_MAX_TARGETS, sizeof(*b->armed));
	return b->samples && b->sample_fds && b->cpu_state && b->armed ? 0 : -ENOMEM;
}

static int open_object(const struct dp_bpf_options *o, struct dora_probe_bpf **ret, char *why,
		       size_t why_len)
{
	int err;

	*ret = dora_probe_bpf__open();
	if (!*ret) {
		err = -errno;
		snprintf(why, why_len, "the BPF object cannot be opened (%s); see: dora-probe -v",
			 strerror(-err));
		return err;
	}
	err = prepare(*ret, o);
	if (err)
		snprintf(why, why_len, "the BPF object cannot be set up (%s); see: dora-probe -v",
			 strerror(-err));
	return err;
}

/* Births and deaths first, which are told from then on; then the rest. */
static int load_both(struct dp_bpf *b)
{
	int err = early_load(b);

	if (!err)
		err = early_attach(b);
	if (!err)
		err = early_share(b);
	return err ? err : dora_probe_bpf__load(b->skel);
}

/* Opens the object, sets it up, has the kernel take it, maps its ring. */
static int load(struct dp_bpf *b, const struct dp_bpf_options *o, char *why, size_t why_len)
{
	struct dp_refusal refusal = {0};
	int err = open_object(o, &b->early, why, why_len);

	if (!err)
		err = open_object(o, &b->skel, why, why_len);
	if (err)
		return err;
	dp_refusal_listen(&refusal, o->verbose > 0);
	err = load_both(b);
	dp_refusal_listen(NULL, o->verbose > 0);
	if (err)
		return say_refused(&refusal, err, why, why_len);
	b->ring = ring_buffer__new(bpf_map__fd(b->skel->maps.events), on_capture, b, NULL);
	if (!b->ring) {
		err = -errno;
		snprintf(why, why_len, "the ring buffer cannot be mapped (%s); see: dora-probe -v",
			 strerror(-err));
		return err;
	}
	return 0;
}

int dp_bpf_open(const struct dp_bpf_options *o, struct dp_bpf **ret, char *why, size_t why_len)
{
	struct dp_bpf *b;
	int err;

	dp_refusal_listen(NULL, o->verbose > 0);
	err = dp_bpf_can_load(why, why_len);
	if (err)
		return err;
	b = calloc(1, sizeof(*b));
	if (!b) {
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	b->stats_fd = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->sample_hz = o->sample_hz ? o->sample_hz : SAMPLE_HZ;
	err = allocate(b);
	if (err)
		snprintf(why, why_len, "the kernel side cannot be set up: %s", strerror(-err));
	else
		err = load(b, o, why, why_len);
	if (err)
		dp_bpf_close(b);
	else
		*ret = b;
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
	if (!err)
		b->sources |= 1u << DP_SOURCE_LIFECYCLE;
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

void dp_bpf_close(struct dp_bpf *b)
{
	if (!b)
		return;
	edges_close(b);
	detach(b);
	ring_buffer__free(b->ring);
	early_close(b);
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
