// SPDX-License-Identifier: MIT
/*
 * Attaches the kernel side with the first watched process and detaches it with the last: while nothing
 * is watched nobody on the machine pays for it. See bpf_source.h.
 */
#include "sense/bpf_object.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/units.h"

#define PROGRAM(name) offsetof(struct dora_probe_bpf, progs.name)
#define BIT(source)   (1u << DP_SOURCE_##source)

/*
 * What is attached after births and deaths (bpf_early.c), which stay; libbpf knows from the section where. A program without `traced` and `called` always
 * is; else where tracepoints, or system calls, are the way of one of these sources.
 */
static const struct {
	size_t program; /* offset in the skeleton */
	uint32_t feeds;
	uint32_t traced;
	uint32_t called;
} attached[] = {
	{.program = PROGRAM(dp_sched_switch), .feeds = BIT(SCHED), .called = BIT(FUTEX)},
	{.program = PROGRAM(dp_sched_switch_futex), .feeds = BIT(SCHED), .traced = BIT(FUTEX)},
	{.program = PROGRAM(dp_sched_waking), .traced = BIT(SOCKET) | BIT(FUTEX)},
	{.program = PROGRAM(dp_signal_generate), .feeds = BIT(SIGNAL)},
	{.program = PROGRAM(dp_signal_deliver), .feeds = BIT(SIGNAL)},
	{.program = PROGRAM(dp_sock_state), .feeds = BIT(SOCKET), .traced = BIT(SOCKET)},
	{.program = PROGRAM(dp_sock_destroy), .feeds = BIT(SOCKET), .traced = BIT(SOCKET)},
	{.program = PROGRAM(dp_sock_send), .feeds = BIT(SOCKET), .traced = BIT(SOCKET)},
	{.program = PROGRAM(dp_sock_recv), .feeds = BIT(SOCKET), .traced = BIT(SOCKET)},
	{.program = PROGRAM(dp_region_area), .feeds = BIT(REGION), .traced = BIT(REGION)},
	{.program = PROGRAM(dp_region_lock), .feeds = BIT(REGION), .traced = BIT(REGION)},
	{.program = PROGRAM(dp_sys_exit),
	 .feeds = BIT(SYSCALLS),
	 .called = BIT(SOCKET) | BIT(REGION)},
	{.program = PROGRAM(dp_sys_enter),
	 .feeds = BIT(SYSCALLS),
	 .called = BIT(FUTEX) | BIT(SOCKET) | BIT(REGION)},
};

_Static_assert(DP_COUNT_OF(attached) <= BPF_LINKS_MAX, "a link for each");

/* Where dp_sys_enter and dp_sys_exit pass a system call on to; slots as enum dp_family of bpf/. */
enum family { FAMILY_GIL, FAMILY_SOCKET, FAMILY_REGION };

static const struct {
	size_t program;
	bool exit;
	enum family family;
	uint32_t feeds;
} families[] = {
	{PROGRAM(dp_gil_enter), false, FAMILY_GIL, BIT(FUTEX)},
	{PROGRAM(dp_socket_enter), false, FAMILY_SOCKET, BIT(SOCKET)},
	{PROGRAM(dp_socket_exit), true, FAMILY_SOCKET, BIT(SOCKET)},
	{PROGRAM(dp_region_enter), false, FAMILY_REGION, BIT(REGION)},
	{PROGRAM(dp_region_exit), true, FAMILY_REGION, BIT(REGION)},
};

static struct bpf_program *program_at(struct dora_probe_bpf *skel, size_t offset)
{
	struct bpf_program *p;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the pointer itself is copied. */
	memcpy(&p, (const char *)skel + offset, sizeof(p));
	return p;
}

static bool is_used(size_t i, uint32_t traced, uint32_t called)
{
	if (!attached[i].traced && !attached[i].called)
		return true;
	return (attached[i].traced & traced) || (attached[i].called & called);
}

int bpf_choose_programs(struct dora_probe_bpf *skel, uint32_t traced, uint32_t called, bool only)
{
	struct bpf_program *const early[BPF_EARLY] = {skel->progs.dp_exec, skel->progs.dp_fork,
						      skel->progs.dp_exit};
	int err = 0;

	for (int i = 0; !err && i < BPF_EARLY; i++)
		err = bpf_program__set_autoload(early[i], false);
	if (only && !err)
		err = bpf_program__set_autoload(skel->progs.dp_edge, false);
	if (only && !err)
		err = bpf_program__set_autoload(skel->progs.dp_sample, false);
	for (size_t i = 0; !err && i < DP_COUNT_OF(attached); i++)
		err = bpf_program__set_autoload(program_at(skel, attached[i].program),
						is_used(i, traced, called) &&
							(!only || attached[i].called));
	for (size_t i = 0; !err && i < DP_COUNT_OF(families); i++)
		err = bpf_program__set_autoload(program_at(skel, families[i].program),
						(families[i].feeds & called) != 0);
	return err;
}

/* The loaded one of that name: of the object, or of the one that was loaded for system calls later. */
static struct bpf_program *loaded_at(struct dp_bpf *b, size_t offset)
{
	struct bpf_program *p = program_at(b->skel, offset);

	return bpf_program__fd(p) < 0 && b->calls ? program_at(b->calls, offset) : p;
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
	uint32_t zero = 0;

	/* What was sampled when it was attached before is none of this clock's. */
	if (!bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.cpu_state), &zero, b->cpu_state))
		for (int cpu = 0; cpu < b->cpus; cpu++)
			b->sample_base[cpu] = b->cpu_state[cpu].samples;
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
	b->sources |= BIT(CPU_CLOCK);
	return 0;
}

void bpf_detach(struct dp_bpf *b)
{
	for (int cpu = 0; b->samples && cpu < b->cpus; cpu++) {
		bpf_link__destroy(b->samples[cpu]);
		b->samples[cpu] = NULL;
	}
	for (size_t i = DP_COUNT_OF(attached); i-- > 0;) {
		bpf_link__destroy(b->links[i]);
		b->links[i] = NULL;
	}
	b->is_attached = false;
}

static int fill_families(struct dp_bpf *b)
{
	struct dora_probe_bpf *skel = b->calls ? b->calls : b->skel;

	for (size_t i = 0; i < DP_COUNT_OF(families); i++) {
		struct bpf_map *map =
			families[i].exit ? skel->maps.exit_families : skel->maps.enter_families;
		int prog = bpf_program__fd(program_at(skel, families[i].program));
		uint32_t slot = families[i].family;
		int err;

		if (!(families[i].feeds & b->called))
			continue;
		err = bpf_map_update_elem(bpf_map__fd(map), &slot, &prog, BPF_ANY);
		if (err)
			return err;
	}
	return 0;
}

/* Attaches what is not attached yet; *ret_what is what failed. */
static int attach_all(struct dp_bpf *b, const char **ret_what)
{
	int err = fill_families(b);

	bpf_variables(b)->traced_futex = (b->traced & BIT(FUTEX)) != 0;
	*ret_what = "the table of system calls";
	for (size_t i = 0; !err && i < DP_COUNT_OF(attached); i++) {
		struct bpf_program *p = loaded_at(b, attached[i].program);

		if (b->links[i] || !is_used(i, b->traced, b->called))
			continue;
		b->links[i] = bpf_program__attach(p);
		if (!b->links[i]) {
			*ret_what = bpf_program__name(p);
			return -errno;
		}
		b->sources |= attached[i].feeds;
	}
	b->sources |= BIT(LIFECYCLE) | BIT(FUTEX) | (b->called & (BIT(SOCKET) | BIT(REGION)));
	if (!err && !b->is_attached) {
		*ret_what = "cpu-clock";
		err = attach_samples(b);
	}
	b->is_attached = err == 0;
	return err;
}

/* What the tracepoints do not show of this process goes by system calls. */
static int replace_blind(struct dp_bpf *b, const char **ret_what)
{
	uint32_t blind = b->traced ? bpf_blind_sources(b) : 0;
	int err;

	if (!blind)
		return 0;
	bpf_detach(b);
	b->traced &= ~blind;
	err = bpf_load_calls(b, blind);
	if (!err)
		err = attach_all(b, ret_what);
	if (!err && blind & BIT(REGION) && !bpf_sees_regions(b))
		err = -ENODATA;
	return err;
}

int dp_bpf_attach(struct dp_bpf *b, char *why, size_t why_len)
{
	const char *what;
	int err;

	if (b->is_attached)
		return -EALREADY;
	err = attach_all(b, &what);
	if (!err)
		err = replace_blind(b, &what);
	bpf_forget_trial(b);
	if (!err)
		return 0;
	bpf_detach(b);
	if (err == -ENODATA) {
		snprintf(
			why, why_len,
			"the kernel has taken the programs, and they see nothing of what this process does; "
			"report it with the output of: dora-probe doctor; uname -a");
		return -ENOTSUP;
	}
	snprintf(why, why_len, "%s cannot be attached (%s); see: dora-probe -v", what,
		 strerror(-err));
	if (err == -EACCES)
		err = -EPERM;
	if (err == -ENOENT || err == -EOPNOTSUPP)
		err = -ENOTSUP;
	return err;
}

void dp_bpf_rest(struct dp_bpf *b)
{
	if (b && b->is_attached && !b->watched)
		bpf_detach(b);
}

int bpf_attach_again(struct dp_bpf *b)
{
	const char *what;
	int err = attach_all(b, &what);

	if (err)
		bpf_detach(b);
	return err;
}
