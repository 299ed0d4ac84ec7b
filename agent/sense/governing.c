// SPDX-License-Identifier: MIT
/* Sources that a watched process floods: the kernel, the decoder and the model are told; see watched.h. */
#include "sense/watched.h"

#include <string.h>

#include "base/clock.h"
#include "base/units.h"

static const enum dp_source source_of[GOVERNED_COUNT] = {[GOVERNED_SOCKETS] = DP_SOURCE_SOCKET,
							 [GOVERNED_REGIONS] = DP_SOURCE_REGION,
							 [GOVERNED_SWITCHES] = DP_SOURCE_SCHED};

void dp_targets_govern(struct dp_targets *t, double percent)
{
	governor_limits(percent, &t->limits);
}

/* A process that is watched, of which there are captures: the one that was found last is most often it. */
static struct target *target_of(struct dp_targets *t, pid_t pid)
{
	uint8_t *hint = &t->hints[(uint32_t)pid % TARGET_HINTS];

	if (pid && t->at[*hint].pid == pid)
		return &t->at[*hint];
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (pid && t->at[i].pid == pid) {
			*hint = (uint8_t)i;
			return &t->at[i];
		}
	return NULL;
}

void dp_targets_count(struct dp_targets *t, pid_t pid, enum dp_source source, uint64_t t_ns)
{
	struct target *x = target_of(t, pid);

	if (x && source == DP_SOURCE_SOCKET)
		governor_count(&x->governor, GOVERNED_SOCKETS, 1, t_ns);
	else if (x && source == DP_SOURCE_REGION)
		governor_count(&x->governor, GOVERNED_REGIONS, 1, t_ns);
}

static void emit_source(struct dp_targets *t, struct target *x, enum governed i, bool on)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_SOURCE_STATE, dp_now(), (uint32_t)x->pid, 0);
	memset(&r.u.source, 0, sizeof(r.u.source));
	r.u.source.source = (uint8_t)source_of[i];
	r.u.source.on = on;
	if (!on)
		governor_says(&x->governor, i, r.u.source.detail, sizeof(r.u.source.detail));
	target_emit(t, &r);
}

/* What its streams have said is no whole any more. */
static void lose_streams(struct dp_targets *t, const struct target *x)
{
	uint64_t now = dp_now();

	for (unsigned int i = 0; i < x->conn_count; i++)
		dp_wire_lost(t->wire, x->conns[i], now);
}

/* A source is left alone from now on, or looked at again; the kernel has been told. */
static void turned(struct dp_targets *t, struct target *x, enum governed i, bool on)
{
	emit_source(t, x, i, on);
	if (i == GOVERNED_SWITCHES)
		x->share_blind = true;
	if (i == GOVERNED_SOCKETS)
		lose_streams(t, x);
	if (on)
		target_mark_again(t, x, source_of[i]);
}

/*
 * Switches are counted by the kernel, and read here: those of a tick that came late are those of more than a second, and
 * what was counted before the first look may be another process'.
 */
static void count_switches(struct dp_targets *t, struct target *x, uint64_t now)
{
	uint64_t switches = dp_bpf_switches(t->bpf, x->pid, &x->ran_governor);
	uint64_t since = x->switches_read_ns;

	x->switches_read_ns = now;
	/* Without a GIL a switch is looked at no further. */
	if (!since || !x->kernel.gil_count)
		return;
	if (now - since > SEC)
		switches = switches * MS / ((now - since) / 1000);
	governor_count(&x->governor, GOVERNED_SWITCHES, (uint32_t)switches, now);
}

void target_govern(struct dp_targets *t, struct target *x, uint64_t now)
{
	uint32_t was = x->left_alone, is;

	if (!t->bpf || x->untold)
		return;
	count_switches(t, x, now);
	if (!was && !governor_has_counted(&x->governor))
		return;
	is = governor_tick(&x->governor, &t->limits, now);
	if (is == was)
		return;
	x->left_alone = is;
	x->kernel.resting = 0;
	for (int i = 0; i < GOVERNED_COUNT; i++)
		if (is & 1u << i)
			x->kernel.resting |= 1u << source_of[i];
	target_tell_kernel(t, x);
	for (int i = 0; i < GOVERNED_COUNT; i++)
		if ((is ^ was) & 1u << i)
			turned(t, x, (enum governed)i, !(is & 1u << i));
	target_refresh_facts(x);
	if (x->announced)
		target_emit_facts(t, x);
}
