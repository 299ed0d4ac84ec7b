// SPDX-License-Identifier: MIT
/* What is there of a process when the probe comes; see watched.h. */
#include "sense/watched.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/task.h"
#include "sense/procfs.h"

/* Mapped messages of one process that are told one by one. */
#define REGIONS_TOLD 4096

struct counting {
	struct dp_targets *t;
	const struct target *x;
	struct dp_rec_stock *stock;
};

static void count_region(void *ctx, const struct dp_proc_region *region)
{
	struct counting *c = ctx;
	struct dp_record r;

	if (region->writable) {
		c->stock->regions_own++;
		return;
	}
	if (c->stock->regions == REGIONS_TOLD) {
		c->stock->regions_incomplete = 1;
		return;
	}
	c->stock->regions++;
	dp_record_init(&r, DP_REC_STOCK_REGION, dp_now(), (uint32_t)c->x->pid, 0);
	memset(&r.u.stock_region, 0, sizeof(r.u.stock_region));
	memcpy(r.u.stock_region.name, region->name, sizeof(r.u.stock_region.name));
	dp_proc_region_file("/proc", c->x->pid, region, &r.u.stock_region.since_lo_ns,
			    &r.u.stock_region.bytes);
	target_emit(c->t, &r);
}

static void look_at_daemon(struct dp_rec_stock *s, pid_t pid)
{
	char version[sizeof(s->daemon_version)];

	if (!pid)
		return;
	s->daemon_started_ns = dp_proc_started("/proc", pid);
	if (dp_dora_daemon_version_read("/proc", pid, version, sizeof(version)) == 0)
		snprintf(s->daemon_version, sizeof(s->daemon_version), "%s", version);
}

void target_take_stock(struct dp_targets *t, struct target *x, uint64_t since_ns)
{
	struct dp_task_status status;
	struct dp_record r;
	struct dp_rec_stock s;
	struct counting c = {.t = t, .x = x, .stock = &s};

	memset(&s, 0, sizeof(s));
	s.started_ns = dp_proc_started("/proc", x->pid);
	if (dp_task_status("/proc", x->pid, 0, &status) == 0)
		s.signals_pending = status.signals_pending;
	s.sockets = x->conn_count;
	s.sockets_incomplete = x->sockets_incomplete;
	look_at_daemon(&s, (pid_t)x->facts.daemon_pid);
	/* dora 1.x has no regions of this kind; those of its shared-memory transport are its own. */
	if (x->is_dora && !member_is_aside(x))
		dp_proc_regions("/proc", x->pid, count_region, &c);
	s.took_us = (uint32_t)((dp_now() - since_ns) / 1000);
	/* What a limit has cut off is lost: the tokens of those regions are never seen. */
	if (s.regions_incomplete)
		target_emit_loss(t, x->pid, DP_LOSS_TOKEN_LIMIT, 1);
	dp_record_init(&r, DP_REC_STOCK, dp_now(), (uint32_t)x->pid, 0);
	r.u.stock = s;
	target_emit(t, &r);
}
