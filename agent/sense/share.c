// SPDX-License-Identifier: MIT
/* What a process' time went to, once a second; see targets.h. */
#include "sense/watched.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"

#define STRETCH_NS (1000 * MS)

/* Time on a CPU, and wanting one, of the main thread (CONFIG_SCHED_INFO); 0 where it is not told. */
static void read_main(pid_t pid, uint64_t *ret_cpu_ns, uint64_t *ret_wait_ns)
{
	char name[48], text[96];
	uint64_t cpu, wait;
	const char *p;

	*ret_cpu_ns = *ret_wait_ns = 0;
	snprintf(name, sizeof(name), "task/%d/schedstat", (int)pid);
	if (dp_procfile_read_pid("/proc", pid, name, text, sizeof(text)) < 0)
		return;
	p = dp_number(text, 10, UINT64_MAX, &cpu);
	if (!p || *p != ' ' || !dp_number(p + 1, 10, UINT64_MAX, &wait))
		return;
	*ret_cpu_ns = cpu;
	*ret_wait_ns = wait;
}

static void mark(struct dp_targets *t, struct target *x, struct share_mark *ret)
{
	bool has_run = x->untold || dp_bpf_has_run(t->bpf, x->pid, &x->ran_share);

	/* All of it stands still with the process. */
	if (!has_run && x->share.at_ns) {
		*ret = x->share;
		ret->looks = ret->looks_held = 0;
		ret->at_ns = dp_now();
		return;
	}
	*ret = (struct share_mark){.cpu_ns = dp_cpu_ns(x->pid)};
	if (dp_bpf_share(t->bpf, x->pid, &ret->kernel))
		ret->kernel = (struct dp_share_state){0};
	read_main(x->pid, &ret->main_cpu_ns, &ret->main_wait_ns);
	ret->at_ns = dp_now();
}

/* What has been added since; UINT64_MAX where one of the two was not read. */
static uint64_t since(uint64_t was, uint64_t is)
{
	return was && is >= was ? is - was : UINT64_MAX;
}

void target_share(struct dp_targets *t, struct target *x, uint64_t now)
{
	const struct share_mark was = x->share;
	struct share_mark is;
	struct dp_record r;
	bool blind;

	if (was.at_ns && now < was.at_ns + STRETCH_NS)
		return;
	mark(t, x, &is);
	x->share = is;
	/* Taken up again in the kernel's map, it counts anew. */
	if (!was.at_ns || is.kernel.samples < was.kernel.samples)
		return;
	/* Of its time off the CPU not all was seen: the samples, and what is left over, say nothing. */
	blind = x->share_blind;
	x->share_blind = (x->left_alone & 1u << GOVERNED_SWITCHES) != 0;
	dp_record_init(&r, DP_REC_SHARE, is.at_ns, (uint32_t)x->pid, (uint32_t)x->pid);
	r.u.share = (struct dp_rec_share){
		.from_ns = was.at_ns,
		.every_ns = t->share_every_ns,
		.cpu_ns = blind ? UINT64_MAX : since(was.cpu_ns, is.cpu_ns),
		.main_cpu_ns = blind ? UINT64_MAX : since(was.main_cpu_ns, is.main_cpu_ns),
		.main_queued_ns = was.main_cpu_ns && is.main_cpu_ns
					  ? is.main_wait_ns - was.main_wait_ns
					  : UINT64_MAX,
		.off_ns = is.kernel.off_ns - was.kernel.off_ns,
		.wait_ns = is.kernel.wait_ns - was.kernel.wait_ns,
		.samples = (uint32_t)(is.kernel.samples - was.kernel.samples),
		.samples_held = (uint32_t)(is.kernel.held - was.kernel.held),
		.looks = was.looks,
		.looks_held = was.looks_held,
	};
	target_emit(t, &r);
}
