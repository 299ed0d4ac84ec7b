/* SPDX-License-Identifier: MIT */
/* Regions as both sources of them tell of them: for region and region_trace. */
#ifndef DORA_PROBE_REGION_BPF_H
#define DORA_PROBE_REGION_BPF_H

#include "emit.bpf.h"

static __always_inline void emit_region(enum dp_region_kind kind, __u64 id, __u64 addr,
					const char *name)
{
	struct {
		struct dp_capture h;
		struct dp_region_op b;
	} *c = capture_reserve(DP_CAP_REGION, sizeof(*c), bpf_ktime_get_ns(), id >> 32, (__u32)id);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.kind = kind;
	c->b.addr = addr;
	__builtin_memcpy(c->b.name, name, DP_REGION_NAME_MAX);
	capture_submit(c);
}

/* A region that is mapped at that address, if there is one, leaves the process. */
static __always_inline void region_unmapped(__u64 id, __u64 addr)
{
	struct dp_region_key key = {.pid = id >> 32, .addr = addr};
	struct dp_region_state *found, r;

	found = bpf_map_lookup_elem(&regions, &key);
	if (!found)
		return;
	r = *found;
	bpf_map_delete_elem(&regions, &key);
	if (!is_resting(id >> 32, DP_SOURCE_REGION))
		emit_region(DP_REGION_UNMAPPED, id, addr, r.name);
}

#endif
