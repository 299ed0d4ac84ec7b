// SPDX-License-Identifier: MIT
/*
 * The name that Python's threading gives a thread: threading._active, a dict from the thread's ident
 * (pthread_self) to its Thread object, whose attribute _name is a str.
 */
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "python/internal.h"

/* A process that has not imported threading is asked again after this time, ns. */
#define AGAIN_NS SEC

/* Address of threading._active, which stays the same object for the life of the process. */
static uint64_t find_active(struct dp_py *py)
{
	if (py->active_threads != 0 || dp_now() - py->active_tried_ns < AGAIN_NS)
		return py->active_threads;
	py->active_tried_ns = dp_now();
	py->active_threads = dp_module_attribute(py, "threading", "_active");
	return py->active_threads;
}

bool dp_thread_name(struct dp_py *py, uint64_t ident, char *ret, size_t cap)
{
	struct dp_entries e;
	uint64_t thread, text;

	if (py->info.free_threaded || py->layout.type_cached_keys == DP_NO_OFFSET ||
	    py->layout.is_modules == DP_NO_OFFSET || !dp_dict_open(py, find_active(py), &e))
		return false;
	thread = dp_dict_find_number(py, &e, ident);
	if (thread == 0 || !dp_attributes_open(py, thread, &e))
		return false;
	text = dp_dict_find(py, &e, "_name");
	return text != 0 && dp_frames_string(py, text, ret, cap) == 0;
}
