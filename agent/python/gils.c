// SPDX-License-Identifier: MIT
/* The interpreters and the GILs of a process, as they are now. */
#include <errno.h>
#include <string.h>

#include "python/internal.h"

int dp_py_interpreters(const struct dp_py *py, uint64_t *ret, unsigned int cap)
{
	uint64_t main_interp, at;
	unsigned int count = 1;
	int rc;

	rc = dp_remote_u64(py->pid, py->loc.runtime + py->layout.rt_interp_main, &main_interp);
	if (rc < 0)
		return rc;
	if (main_interp == 0 || cap == 0)
		return 0;
	ret[0] = main_interp;
	rc = dp_remote_u64(py->pid, py->loc.runtime + py->layout.rt_interp_head, &at);
	for (int i = 0; rc == 0 && at != 0 && count < cap && i < DP_INTERPRETERS_MAX; i++) {
		if (at != main_interp)
			ret[count++] = at;
		rc = dp_remote_u64(py->pid, at + py->layout.is_next, &at);
	}
	return rc == -ESRCH || rc == -EPERM ? rc : (int)count;
}

static int read_gil(const struct dp_py *py, uint64_t interp, uint64_t addr, struct dp_gil *ret)
{
	const struct dp_layout *l = &py->layout;
	struct dp_gil g = {.interp = interp};
	uint64_t interval;
	int rc = dp_remote_u64(py->pid, addr + l->gil_interval, &interval);

	if (rc < 0)
		return rc;
	g.site = (struct dp_gil_site){
		.addr = addr,
		.off_last_holder = l->gil_last_holder,
		.off_locked = l->gil_locked,
		.off_switch_number = l->gil_switch_number,
		.off_cond = l->gil_cond,
		.off_mutex = l->gil_mutex,
		.off_switch_cond = l->gil_switch_cond,
		.size = l->gil_size,
		.interval_us = interval > UINT32_MAX ? UINT32_MAX : (uint32_t)interval,
	};
	if (l->rt_drop_request != DP_NO_OFFSET)
		g.drop_request = py->loc.runtime + l->rt_drop_request;
	else if (l->is_drop_request != DP_NO_OFFSET)
		g.drop_request = interp + l->is_drop_request;
	*ret = g;
	return 0;
}

/*
 * A new interpreter comes first in the runtime's list, but a GIL that is known keeps its number: its timeline goes by it.
 * What the looks have learnt of it is kept too.
 */
static void keep_order(struct dp_py *py, struct dp_gil *found, unsigned int count)
{
	struct dp_gil gil[DP_MAX_GILS];
	unsigned int n = 0;

	for (unsigned int k = 0; k < py->gil_count; k++)
		for (unsigned int i = 0; i < count; i++)
			if (found[i].site.addr && found[i].site.addr == py->gil[k].site.addr) {
				gil[n] = found[i];
				gil[n].tstate = py->gil[k].tstate;
				gil[n].pthread = py->gil[k].pthread;
				gil[n].cframe = py->gil[k].cframe;
				gil[n++].frame = py->gil[k].frame;
				found[i].site.addr = 0;
			}
	for (unsigned int i = 0; i < count; i++)
		if (found[i].site.addr)
			gil[n++] = found[i];
	memcpy(py->gil, gil, n * sizeof(gil[0]));
	py->gil_count = n;
}

int dp_py_rescan(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], addr;
	struct dp_gil found[DP_MAX_GILS];
	unsigned int count = 0;
	uint32_t own, word;
	int rc, n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	if (n < 0)
		return n;
	for (int i = 0; i < n && count < DP_MAX_GILS; i++) {
		bool known = false;

		if (l->rt_gil != DP_NO_OFFSET) {
			addr = py->loc.runtime + l->rt_gil;
		} else {
			rc = dp_remote_u64(py->pid, interp[i] + l->is_gil, &addr);
			if (rc == 0)
				rc = dp_remote_u32(py->pid, interp[i] + l->is_own_gil, &own);
			if (rc == -ESRCH || rc == -EPERM)
				return rc;
			/* A legacy subinterpreter shares the main one's GIL. */
			if (rc != 0 || addr == 0 || (i > 0 && own != 1))
				continue;
		}
		for (unsigned int k = 0; k < count; k++)
			known |= found[k].site.addr == addr;
		if (known || read_gil(py, interp[i], addr, &found[count]) < 0)
			continue;
		/* locked is -1 before the GIL is created and after it is destroyed. */
		if (dp_remote_u32(py->pid, addr + l->gil_locked, &word) < 0 || word == UINT32_MAX)
			continue;
		count++;
	}
	py->info.gil_enabled = 1;
	if (l->gil_enabled != DP_NO_OFFSET && count > 0) {
		rc = dp_remote_u32(py->pid, found[0].site.addr + l->gil_enabled, &word);
		if (rc < 0)
			return rc;
		py->info.gil_enabled = word != 0;
		if (word == 0)
			count = 0;
	}
	keep_order(py, found, count);
	return 0;
}
