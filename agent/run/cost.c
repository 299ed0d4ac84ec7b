// SPDX-License-Identifier: MIT
/* The run's own cost (cost.h). */
#include "run/cost.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/units.h"

#define STATS_EVERY 30

/* Statistics that the kernel refuses leave out most of the cost: nothing is said rather than less. */
static void turn_on(struct dp_cost *c, struct dp_bpf *b)
{
	char why[192];
	int err = dp_bpf_stats(b, 1);

	c->stats_on = err == 0;
	if (!err)
		return;
	c->programs_share = -1;
	if (c->stats_refused)
		return;
	c->stats_refused = true;
	snprintf(
		why, sizeof(why),
		"the kernel does not count the run time of BPF programs (%s): dora_probe_overhead_ratio is not known",
		strerror(-err));
	c->say(c->ctx, why);
}

/*
 * Run time of the kernel programs: counted by the kernel only while statistics are on, which taxes
 * every BPF program of the machine. So they are on for one second in STATS_EVERY, and scaled.
 * Returns the nanoseconds that all programs took since the last call, estimated.
 */
static uint64_t sample_programs(struct dp_cost *c, struct dp_bpf *b)
{
	struct dp_bpf_program p[DP_METRICS_PROGRAMS_MAX];
	uint64_t sum = 0;
	int n;

	if (c->round++ % STATS_EVERY == 0) {
		turn_on(c, b);
		n = dp_bpf_programs(b, p, DP_METRICS_PROGRAMS_MAX);
		for (int i = 0; i < n && i < DP_METRICS_PROGRAMS_MAX; i++)
			c->window_ns[i] = p[i].run_ns;
		return 0;
	}
	if (!c->stats_on)
		return 0;
	c->stats_on = false;
	n = dp_bpf_programs(b, p, DP_METRICS_PROGRAMS_MAX);
	dp_bpf_stats(b, 0); /* closes a descriptor: cannot fail */
	n = n < 0 ? 0 : n > DP_METRICS_PROGRAMS_MAX ? DP_METRICS_PROGRAMS_MAX : n;
	for (int i = 0; i < n; i++) {
		uint64_t part = (p[i].run_ns - c->window_ns[i]) * STATS_EVERY;

		c->programs[i].name = p[i].name;
		c->programs[i].run_ns += part;
		sum += part;
	}
	c->told.programs = c->programs;
	c->told.program_count = (unsigned int)n;
	return sum;
}

double dp_cost_ratio(uint64_t cpu_ns, uint64_t stretch_ns, double programs_share,
		     unsigned int watched)
{
	if (!stretch_ns || !watched || programs_share < 0)
		return -1;
	return ((double)cpu_ns / (double)stretch_ns + programs_share) / watched;
}

void dp_cost_tell(struct dp_cost *c, struct dp_bpf *b, struct dp_metrics *m,
		  const struct dp_targets *t, const uint64_t losses[DP_LOSS_COUNT],
		  uint64_t records)
{
	struct rusage u;
	uint64_t now = dp_now(), cpu, programs = sample_programs(c, b);

	getrusage(RUSAGE_SELF, &u);
	cpu = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 * MS +
	      (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000 + dp_targets_readers_ns(t);
	if (programs)
		c->programs_share = (double)programs / (STATS_EVERY * 1e9);
	c->told.overhead_ratio = dp_cost_ratio(cpu - c->cpu_ns, c->at_ns ? now - c->at_ns : 0,
					       c->programs_share, dp_targets_alive(t));
	c->at_ns = now;
	c->cpu_ns = cpu;
	c->told.sources = dp_bpf_sources(b) | 1u << DP_SOURCE_SAMPLER;
	c->told.records = records;
	memcpy(c->told.losses, losses, sizeof(c->told.losses));
	dp_metrics_cost(m, &c->told);
	if (now - c->refreshed_ns >= 60000 * MS) {
		c->refreshed_ns = now;
		dp_metrics_refresh(m, now);
	}
}
