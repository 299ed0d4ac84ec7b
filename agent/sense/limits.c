// SPDX-License-Identifier: MIT
/* What ends a watched node without a Stop, as its record tells it; see watched.h. */
#include "sense/watched.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* When the process started, by CLOCK_MONOTONIC, which unlike start_time stands still in suspend. */
static uint64_t started(const struct target *x)
{
	long hz = sysconf(_SC_CLK_TCK);
	uint64_t now = dp_now(), boot = dp_clock_ns(CLOCK_BOOTTIME), suspended, since;

	if (hz <= 0 || !x->start_time || !boot)
		return 0;
	/* Of two looks one after the other: BOOTTIME is never behind. */
	suspended = boot > now ? boot - now : 0;
	since = x->start_time * (SEC / (uint64_t)hz);
	return since > suspended ? since - suspended : 0;
}

void target_emit_limits(struct dp_targets *t, struct target *x, uint64_t t_ns)
{
	struct dp_rec_limits l;
	struct dp_record r;

	if (!x->is_dora || member_is_aside(x))
		return;
	memset(&l, 0, sizeof(l));
	l.started_ns = x->limits.started_ns ? x->limits.started_ns : started(x);
	l.health_ns = x->config.health_ns;
	l.startup_ns = x->config.startup_ns;
	l.finish_ns = x->config.finish_ns;
	l.run_parent_pid = (uint32_t)x->config.run_parent_pid;
	l.dora_source = x->facts.dora[0] ? x->dora_source : DP_DORA_FROM_ASSUMED;
	l.foreign = x->foreign;
	l.connected = x->limits.connected || x->conn_count;
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
	if (memcmp(&l, &x->limits, sizeof(l)) == 0)
		return;
	memcpy(&x->limits, &l, sizeof(l));
	dp_record_init(&r, DP_REC_NODE_LIMITS, t_ns, (uint32_t)x->pid, 0);
	r.u.limits = l;
	target_emit(t, &r);
}
