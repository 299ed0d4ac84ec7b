// SPDX-License-Identifier: MIT
/* Program by program (bpf_try.h). */
#include "sense/bpf_try.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "sense/refusal.h"

static struct bpf_object *open_object(const void *elf, size_t len, size_t only,
				      const char **ret_program)
{
	struct bpf_object *o = bpf_object__open_mem(elf, len, NULL);
	struct bpf_program *p;
	struct bpf_map *m;
	size_t i = 0;

	if (!o)
		return NULL;
	*ret_program = NULL;
	bpf_object__for_each_program(p, o)
	{
		if (i == only)
			*ret_program = bpf_program__name(p);
		bpf_program__set_autoload(p, i++ == only);
	}
	/* A ring of one page: nothing is brought through it here. */
	bpf_object__for_each_map(m, o) if (bpf_map__type(m) == BPF_MAP_TYPE_RINGBUF)
		bpf_map__set_max_entries(m, (unsigned int)sysconf(_SC_PAGESIZE));
	return o;
}

int dp_bpf_try(const void *elf, size_t len,
	       void (*fn)(void *ctx, const char *program, int err, const char *said), void *ctx)
{
	int refused = 0;

	for (size_t i = 0;; i++) {
		struct dp_refusal refusal = {0};
		const char *program;
		struct bpf_object *o;
		int err;

		dp_refusal_listen(&refusal, false);
		o = open_object(elf, len, i, &program);
		if (!o) {
			err = -errno;
			dp_refusal_listen(NULL, false);
			return err;
		}
		err = program ? bpf_object__load(o) : 0;
		dp_refusal_listen(NULL, false);
		if (program)
			fn(ctx, program, err, refusal.said);
		refused += err != 0;
		bpf_object__close(o);
		if (!program)
			return refused;
	}
}
