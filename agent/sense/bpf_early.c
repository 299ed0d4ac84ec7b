// SPDX-License-Identifier: MIT
/*
 * The programs that tell of births and deaths go to the kernel before all others, which it checks for
 * half a second: what begins meanwhile is not missed, and waits in the ring. See bpf_source.h.
 */
#include "sense/bpf_object.h"

#include <errno.h>

int early_attach(struct dp_bpf *b)
{
	struct bpf_program *programs[BPF_EARLY] = {b->early->progs.dp_exec, b->early->progs.dp_fork,
						   b->early->progs.dp_exit};

	for (int i = 0; i < BPF_EARLY; i++) {
		b->early_links[i] = bpf_program__attach(programs[i]);
		if (!b->early_links[i])
			return -errno;
	}
	return 0;
}

int early_load(struct dp_bpf *b)
{
	const struct dora_probe_bpf *skel = b->early;
	struct bpf_program *p;

	bpf_object__for_each_program(p, skel->obj)
	{
		bool is = p == skel->progs.dp_exec || p == skel->progs.dp_fork ||
			  p == skel->progs.dp_exit;
		int err = bpf_program__set_autoload(p, is);

		if (err)
			return err;
	}
	return dora_probe_bpf__load(b->early);
}

void early_close(struct dp_bpf *b)
{
	for (int i = 0; i < BPF_EARLY; i++) {
		bpf_link__destroy(b->early_links[i]);
		b->early_links[i] = NULL;
	}
	dora_probe_bpf__destroy(b->early);
	b->early = NULL;
}
