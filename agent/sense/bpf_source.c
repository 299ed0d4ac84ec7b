// SPDX-License-Identifier: MIT
/* Loads the kernel side and drains its ring; see bpf_source.h. */
#include "sense/bpf_object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

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

/* Names that a kernel's type information has to have for the tracepoints to be used. */
static const char *const needed_names[] = {"bpf_task_pt_regs",
					   "btf_trace_sock_send_length",
					   "btf_trace_sock_recv_length",
					   "btf_trace_inet_sock_set_state",
					   "btf_trace_tcp_destroy_sock",
					   "btf_trace_sched_waking",
					   "btf_trace_vm_unmapped_area",
					   "btf_trace_mmap_lock_released",
					   NULL};

/* Which way each source goes, before anything is tried. */
static void choose_way(struct dp_bpf *b, const struct dp_bpf_options *o)
{
	const char *forced = secure_getenv("DORA_PROBE_SOURCES");
	enum dp_bpf_way way = o->way;

	if (forced && strcmp(forced, "syscalls") == 0)
		way = DP_BPF_SYSCALLS;
	else if (forced && strcmp(forced, "tracepoints") == 0)
		way = DP_BPF_TRACEPOINTS;
	b->forced = way != DP_BPF_AUTO;
	if (way == DP_BPF_TRACEPOINTS || (way == DP_BPF_AUTO && dp_bpf_has_types(needed_names)))
		b->traced = BPF_TWO_WAYS;
	/* A switch that no tracepoint tells of (virtual machines) loses a wait: only where it is asked for. */
	if (!b->forced)
		b->traced &= ~(1u << DP_SOURCE_FUTEX);
	b->called = BPF_TWO_WAYS & ~b->traced;
}

/* Gives a second object the maps of the first. */
static int share_maps(struct dora_probe_bpf *from, struct dora_probe_bpf *to)
{
	struct bpf_map *m;
	int err = 0;

	bpf_object__for_each_map(m, to->obj)
	{
		const struct bpf_map *had =
			bpf_object__find_map_by_name(from->obj, bpf_map__name(m));

		if (!err)
			err = had ? bpf_map__reuse_fd(m, bpf_map__fd(had)) : -ENOENT;
	}
	return err;
}

int bpf_load_calls(struct dp_bpf *b, uint32_t called)
{
	struct dora_probe_bpf *skel;
	int err;

	b->called |= called;
	if (b->calls)
		return b->is_attached ? bpf_attach_again(b) : 0;
	skel = dora_probe_bpf__open();
	if (!skel)
		return -errno;
	err = share_maps(b->skel, skel);
	if (!err)
		err = bpf_choose_programs(skel, 0, BPF_TWO_WAYS, true);
	if (!err)
		err = dora_probe_bpf__load(skel);
	if (err) {
		dora_probe_bpf__destroy(skel);
		return err;
	}
	b->calls = skel;
	return b->is_attached ? bpf_attach_again(b) : 0;
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

/* Before 5.11 maps count against RLIMIT_MEMLOCK, which libbpf tries to raise (commit 3ac1f01b43b6). */
static bool memory_is_by_limit(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11));
}

/* Says why the kernel refused the object; returns the error that the caller passes on. */
static int say_refused(const struct dp_refusal *r, int err, char *why, size_t why_len)
{
	if (err == -EPERM && !r->said[0] && !memory_is_by_limit()) {
		snprintf(
			why, why_len,
			"the kernel refuses bpf(2) to who has the rights for it (%s), as a seccomp filter or a user "
			"namespace does; %s",
			strerror(-err), dp_bpf_how_to_allow());
		return err;
	}
	if (err == -EPERM && !r->said[0]) {
		snprintf(why, why_len,
			 "the kernel refuses BPF maps or programs (%s); raise the limit of locked "
			 "memory and run it as root: ulimit -l unlimited",
			 strerror(-err));
		return err;
	}
	if (err == -EMFILE || err == -ENFILE) {
		snprintf(why, why_len,
			 "too few files may be open for the BPF programs (%s); raise the limit: "
			 "ulimit -n 1024",
			 strerror(-err));
		return -EMFILE;
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
	b->sample_base = calloc((size_t)b->cpus, sizeof(uint64_t));
	b->cpu_state = calloc((size_t)b->cpus, sizeof(*b->cpu_state));
	b->armed = calloc(DP_MAX_TARGETS, sizeof(*b->armed));
	return b->samples && b->sample_fds && b->sample_base && b->cpu_state && b->armed ? 0
											 : -ENOMEM;
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

/* Births and deaths first, which are told from then on; then the rest, with the same maps. */
static int load_both(struct dp_bpf *b, const struct dp_bpf_options *o)
{
	int err = early_load(b);

	if (!err)
		err = early_attach(b);
	if (!err && o->begun && !b->begun) {
		b->begun = true;
		o->begun(o->begun_ctx);
	}
	if (!err)
		err = share_maps(b->early, b->skel);
	if (!err)
		err = bpf_choose_programs(b->skel, b->traced, b->called, false);
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
	err = load_both(b, o);
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

/* As before load(). */
static void unload(struct dp_bpf *b)
{
	early_close(b);
	dora_probe_bpf__destroy(b->skel);
	b->skel = NULL;
}

const char *dp_bpf_refused(const struct dp_bpf *b)
{
	return b->refused;
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
	choose_way(b, o);
	err = allocate(b);
	if (err)
		snprintf(why, why_len, "the kernel side cannot be set up: %s", strerror(-err));
	else
		err = load(b, o, why, why_len);
	/* Of two ways the other one is left; what it says if it is refused too is what is told. */
	if (err == -ENOTSUP && b->traced && !b->forced) {
		snprintf(b->refused, sizeof(b->refused), "%s", why);
		unload(b);
		b->traced = 0;
		b->called = BPF_TWO_WAYS;
		err = load(b, o, why, why_len);
	}
	if (err)
		dp_bpf_close(b);
	else
		*ret = b;
	return err;
}

void dp_bpf_close(struct dp_bpf *b)
{
	if (!b)
		return;
	edges_close(b);
	bpf_detach(b);
	ring_buffer__free(b->ring);
	dora_probe_bpf__destroy(b->calls);
	unload(b);
	if (b->stats_fd >= 0)
		close(b->stats_fd);
	pthread_mutex_destroy(&b->lock);
	free(b->kept);
	free(b->armed);
	free(b->cpu_state);
	free(b->sample_base);
	free(b->sample_fds);
	free(b->samples);
	free(b);
}

uint32_t dp_bpf_called(const struct dp_bpf *b)
{
	return b ? b->called : 0;
}

int dp_bpf_fd(const struct dp_bpf *b)
{
	return ring_buffer__epoll_fd(b->ring);
}

/* What came before the ring was looked at. It may ask for captures itself, which are none of these. */
static void hand_kept(struct dp_bpf *b)
{
	uint8_t *kept = b->kept;
	size_t len = b->kept_len;

	b->kept = NULL;
	b->kept_len = 0;
	for (size_t at = 0; at < len;) {
		const struct dp_capture *h = (const void *)(kept + at);

		b->fn(b->fn_ctx, h, h->size);
		at += h->size;
	}
	free(kept);
}

int dp_bpf_drain(struct dp_bpf *b, void (*fn)(void *ctx, const struct dp_capture *h, size_t len),
		 void *ctx)
{
	int err;

	if (!b)
		return 0;
	b->fn = fn;
	b->fn_ctx = ctx;
	b->drained = 0;
	/* With what the ring has: who drains takes all up to now for told. */
	if (b->kept)
		hand_kept(b);
	err = ring_buffer__consume(b->ring);
	return err < 0 && err != -ECANCELED ? err : b->drained;
}
