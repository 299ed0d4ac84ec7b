// SPDX-License-Identifier: MIT
/* The live run: what it tells the model of itself (living.h). */
#include "run/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"

/*
 * What a release and the take after it cost a process while the edge source is armed: a loop of
 * read and write on a pipe went from 0.8 to 3.2–4.8 µs a call (6.18, a virtual machine). The budget
 * of --max-overhead becomes a rate by it.
 */
#define EDGE_RELEASE_NS 3500.0
#define WALL_STEP_NS    50000000LL /* a wall clock that moved by more has been set */

void live_wall_clock(struct live *w, uint64_t t_ns)
{
	int64_t offset = dp_wall_offset();
	struct dp_record r;

	if (w->wall_offset_ns && llabs(offset - w->wall_offset_ns) < WALL_STEP_NS)
		return;
	w->wall_offset_ns = offset;
	dp_record_init(&r, DP_REC_WALL_CLOCK, t_ns, 0, 0);
	r.u.wall_clock.offset_ns = offset;
	live_push(w, &r);
}

static void append(char *buf, size_t len, const char *words)
{
	size_t have = strlen(buf);

	snprintf(buf + have, len - have, "%s%s", have ? "," : "", words);
}

/*
 * All that describes the run has the time at which it began: what begins while the sources are loaded
 * comes after it.
 */
void live_push_session(struct live *w)
{
	const struct dp_live_options *o = w->o;
	struct utsname u;
	struct dp_record r;
	char pid[16];

	dp_record_init(&r, DP_REC_SESSION, w->started_ns, 0, 0);
	memset(&r.u.session, 0, sizeof(r.u.session));
	snprintf(r.u.session.version, sizeof(r.u.session.version), "%s", DP_VERSION);
	if (uname(&u) == 0)
		snprintf(r.u.session.kernel, sizeof(r.u.session.kernel), "%s", u.release);
	for (unsigned int i = 0; i < o->wanted.pids.count; i++) {
		snprintf(pid, sizeof(pid), "%d", (int)o->wanted.pids.pid[i]);
		append(r.u.session.targets, sizeof(r.u.session.targets), pid);
	}
	for (unsigned int i = 0; i < o->wanted.nodes.count; i++)
		append(r.u.session.targets, sizeof(r.u.session.targets), o->wanted.nodes.name[i]);
	for (unsigned int i = 0; i < o->wanted.dataflows.count; i++)
		append(r.u.session.targets, sizeof(r.u.session.targets),
		       o->wanted.dataflows.name[i]);
	if (o->wanted.all)
		append(r.u.session.targets, sizeof(r.u.session.targets), "all");
	live_push(w, &r);

	dp_record_init(&r, DP_REC_OPTIONS, w->started_ns, 0, 0);
	r.u.options = o->model;
	r.u.options.max_edge_rate = (uint64_t)(o->max_overhead / 100.0 * 1e9 / EDGE_RELEASE_NS);
	if (o->model.exact && o->exact_ns)
		r.u.options.exact_until_ns = w->started_ns + o->exact_ns;
	live_push(w, &r);
	live_wall_clock(w, w->started_ns);
}

void live_push_sources(struct live *w)
{
	uint32_t on = dp_bpf_sources(w->bpf) | 1u << DP_SOURCE_SAMPLER;

	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++) {
		struct dp_record r;

		if (!(on & (1u << i)))
			continue;
		dp_record_init(&r, DP_REC_SOURCE_STATE, w->started_ns, 0, 0);
		memset(&r.u.source, 0, sizeof(r.u.source));
		r.u.source.source = (uint8_t)i;
		r.u.source.on = 1;
		for (unsigned int k = 0; i == DP_SOURCE_SYSCALLS && k < DP_SOURCE_COUNT; k++)
			if (dp_bpf_called(w->bpf) & 1u << k)
				append(r.u.source.detail, sizeof(r.u.source.detail),
				       dp_source_name(k));
		live_push(w, &r);
	}
}
