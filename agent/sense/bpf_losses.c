// SPDX-License-Identifier: MIT
/* What the kernel side lost and what its programs cost; see bpf_source.h. */
#include "sense/bpf_object.h"

#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/units.h"

#define PROGRAMS_EVERY_NS (10 * SEC)

/* Samples that the clock should have taken and the program did not see, over all CPUs. */
static uint64_t samples_missed(struct dp_bpf *b)
{
	uint64_t missed = 0;

	for (int cpu = 0; cpu < b->cpus; cpu++) {
		uint64_t running_ns, expected, taken;

		if (!b->samples[cpu] ||
		    read(b->sample_fds[cpu], &running_ns, sizeof(running_ns)) != sizeof(running_ns))
			continue;
		expected = running_ns / (SEC / b->sample_hz);
		taken = b->cpu_state[cpu].samples - b->sample_base[cpu];
		/* The clock was read after the counter: one may have come between. */
		if (expected > taken + 1)
			missed += expected - taken - 1;
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
	if (!b)
		return;
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

uint64_t dp_bpf_ring_full(const struct dp_bpf *b, int cpu)
{
	return b && cpu < b->cpus ? b->cpu_state[cpu].loss[DP_LOSS_RING_FULL] : 0;
}

int dp_bpf_stats(struct dp_bpf *b, int on)
{
	if (!b)
		return 0;
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

/* Adds the loaded programs of an object behind the first `n`; returns how many there are then. */
static int add_programs(struct bpf_object *object, struct dp_bpf_program *ret, int n, int max)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(prog) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
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

int dp_bpf_programs(struct dp_bpf *b, struct dp_bpf_program *ret, int max)
{
	int n;

	if (!b)
		return 0;
	n = add_programs(b->early->obj, ret, 0, max);
	n = add_programs(b->skel->obj, ret, n, max);
	return b->calls ? add_programs(b->calls->obj, ret, n, max) : n;
}
