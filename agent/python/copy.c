// SPDX-License-Identifier: MIT
/* A process as another process of the probe has found it: handed over, and checked (pyprocess.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/procfile.h"
#include "base/utf8.h"
#include "python/internal.h"

_Static_assert(sizeof(struct dp_py) <= DP_PY_COPY_MAX, "a copy has room for all of it");

void dp_py_give_copy(const struct dp_py *py, void *ret)
{
	struct dp_py copy = *py;

	/* Nothing that means something in one process only. */
	copy.maps = (struct dp_maps){0};
	copy.pagemap = -1;
	memcpy(ret, &copy, sizeof(copy));
}

/* What a look adds to addresses may be anything; what it adds to a buffer of its own may not. */
static bool is_sound(const struct dp_py *py, pid_t pid)
{
	const struct dp_layout *l = &py->layout;
	const uint32_t within[] = {l->ts_interp,    l->ts_frame,     l->ts_cframe,
				   l->ts_native_id, l->ts_thread_id, l->ts_eval_breaker};

	for (size_t i = 0; i < DP_COUNT_OF(within); i++)
		if (within[i] != DP_NO_OFFSET && within[i] > DP_FIELD_MAX)
			return false;
	return py->pid == pid && py->gil_count <= DP_MAX_GILS &&
	       memchr(py->info.version, '\0', sizeof(py->info.version)) &&
	       memchr(py->info.implementation, '\0', sizeof(py->info.implementation));
}

/* What the last looks have learned stays, where the GIL is the same. */
static void keep_looks(struct dp_py *now, const struct dp_py *was)
{
	for (unsigned int i = 0; i < now->gil_count; i++)
		for (unsigned int k = 0; k < was->gil_count; k++)
			if (now->gil[i].site.addr == was->gil[k].site.addr) {
				now->gil[i].tstate = was->gil[k].tstate;
				now->gil[i].pthread = was->gil[k].pthread;
				now->gil[i].cframe = was->gil[k].cframe;
				now->gil[i].frame = was->gil[k].frame;
			}
	now->tids = was->tids;
	now->pagemap = was->pagemap;
}

int dp_py_take_copy(pid_t pid, const void *copy, struct dp_py **py)
{
	char text[sizeof((*py)->info.version)];
	unsigned int levels = 1;
	struct dp_py now;
	uint32_t inner;

	memcpy(&now, copy, sizeof(now));
	now.maps = (struct dp_maps){0};
	now.pagemap = -1;
	if (!is_sound(&now, pid))
		return -EBADMSG;
	snprintf(text, sizeof(text), "%s", now.info.version);
	dp_utf8_copy(now.info.version, sizeof(now.info.version), text, strlen(text));
	if (*py) {
		keep_looks(&now, *py);
		**py = now;
		return 0;
	}
	memset(&now.tids, 0, sizeof(now.tids));
	now.tids.pid = pid;
	if (dp_task_inner_tid(pid, pid, &inner, &levels) == 0)
		now.tids.other_ns = levels > 1;
	*py = malloc(sizeof(now));
	if (!*py)
		return -ENOMEM;
	/* Where the kernel has no such file (CONFIG_PROC_PAGE_MONITOR), memory is read unseen. */
	now.pagemap = dp_procfile_open("/proc", pid, "pagemap", O_RDONLY);
	**py = now;
	return 0;
}
