// SPDX-License-Identifier: MIT
/* What was lost (losses.h). */
#include "run/losses.h"

#include "base/clock.h"
#include "base/units.h"

#define MISSING_NS     (1000 * MS)
#define THIN_LOSSES_NS (10000 * MS)

/*
 * A gap in a CPU's numbers is a missing capture, or one still to come: a program that is
 * interrupted or preempted between taking its number and its place in the ring arrives late.
 */
void dp_losses_sequence(struct dp_losses *l, const struct dp_capture *h)
{
	struct dp_cpu_sequence *c;
	int32_t step;

	if (h->cpu >= DP_CPUS_MAX)
		return;
	c = &l->cpus[h->cpu];
	step = (int32_t)(h->seq - c->last);
	if (step > 1 && c->last)
		c->missing += (uint64_t)step - 1;
	else if (step <= 0 && c->missing)
		c->missing--;
	if (step > 0)
		c->last = h->seq;
}

/*
 * The kernel counts what its ring has no room for before the next capture of that CPU has its
 * number. So once all is drained and then the counts are read, a gap is larger than they are only if
 * something else was lost, or is still to come.
 */
void dp_losses_missing(struct dp_losses *l, uint64_t now)
{
	for (int i = 0; i < DP_CPUS_MAX; i++) {
		struct dp_cpu_sequence *c = &l->cpus[i];
		uint64_t explained = c->ring_full + c->told;
		uint64_t rest = c->missing > explained ? c->missing - explained : 0;

		if (!rest || !c->since_ns || rest < c->least)
			c->least = rest;
		if (!rest || !c->since_ns)
			c->since_ns = rest ? now : 0;
		if (!rest || now - c->since_ns < MISSING_NS)
			continue;
		l->push(l->ctx, 0, DP_LOSS_SEQUENCE_GAP, c->least);
		dp_targets_lost(l->targets, now);
		c->told += c->least;
		c->since_ns = 0;
	}
}

void dp_losses_tick(struct dp_losses *l, struct dp_bpf *b, const struct dp_merge *m, int last)
{
	const uint32_t thin = 1u << DP_LOSS_SAMPLE_SKIPPED | 1u << DP_LOSS_PROGRAM_SKIPPED |
			      1u << DP_LOSS_READ_FAULT | 1u << DP_LOSS_LATE_RECORD |
			      1u << DP_LOSS_SIGNAL_REPEATED;
	uint64_t now[DP_LOSS_COUNT] = {0};
	uint64_t t = dp_now();
	uint64_t few_samples = DP_SAMPLE_HZ * l->cpus_online * (t - l->thin_ns) / (1000 * MS) / 2;
	int thin_due = last || t - l->thin_ns >= THIN_LOSSES_NS;

	if (thin_due)
		l->thin_ns = t;
	dp_bpf_losses(b, last || thin_due, now);
	for (int i = 0; i < DP_CPUS_MAX; i++)
		l->cpus[i].ring_full = dp_bpf_ring_full(b, i);
	now[DP_LOSS_LATE_RECORD] = dp_merge_late(m);
	now[DP_LOSS_RING_FULL] += l->merge_full;
	for (int i = 0; i < DP_LOSS_COUNT; i++) {
		if (now[i] <= l->told[i] || ((thin & (1u << i)) && !thin_due))
			continue;
		/* A busy or sleeping machine takes a sample less here and there: that is not told. */
		if (i == DP_LOSS_SAMPLE_SKIPPED && now[i] - l->told[i] < few_samples) {
			l->told[i] = now[i];
			continue;
		}
		l->push(l->ctx, 0, (enum dp_loss)i, now[i] - l->told[i]);
		if (i == DP_LOSS_RING_FULL)
			dp_targets_lost(l->targets, t);
		l->told[i] = now[i];
	}
}
