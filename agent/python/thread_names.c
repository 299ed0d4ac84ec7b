// SPDX-License-Identifier: MIT
/*
 * The name that Python's threading gives a thread: threading._active, a dict from the thread's ident
 * (pthread_self) to its Thread object, whose attribute _name is a str.
 *
 * Layouts: PyHeapTypeObject and PyTypeObject of the headers 3.8 to 3.13, where instance dicts moved three times: a pointer at tp_dictoffset (to 3.10); values or a
 * dict before the object (3.11: two words, 3.12: one, told apart by its lowest bit); values inside
 * of the object (3.13). Only layouts of builds with a GIL.
 */
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "python/internal.h"

#define TYPE_SIZE    32 /* PyTypeObject.tp_basicsize, .tp_flags, .tp_dictoffset */
#define TYPE_FLAGS   168
#define TYPE_DICT    288
#define FLAG_INLINE  (1u << 2) /* Py_TPFLAGS_INLINE_VALUES, 3.13 */
#define FLAG_MANAGED (1u << 4) /* Py_TPFLAGS_MANAGED_DICT, 3.11 */
/* A process that has not imported threading is asked again after this time, ns. */
#define AGAIN_NS SEC

/* The attributes of an instance, wherever its version keeps them. */
static bool attributes_open(const struct dp_py *py, uint64_t object, struct dp_entries *ret)
{
	const struct dp_layout *l = &py->layout;
	uint64_t type, v = 0, keys, flags, size, inlined[2];
	int64_t offset;

	if (dp_remote_u64(py->pid, object + l->ob_type, &type) < 0)
		return false;
	if (l->minor <= 10)
		return dp_remote_read(py->pid, type + TYPE_DICT, &offset, sizeof(offset)) == 0 &&
		       offset > 0 && offset < 4096 &&
		       dp_remote_u64(py->pid, object + (uint64_t)offset, &v) == 0 &&
		       dp_dict_open(py, v, ret);
	if (dp_remote_u64(py->pid, type + TYPE_FLAGS, &flags) < 0 || !(flags & FLAG_MANAGED) ||
	    dp_remote_u64(py->pid, type + l->type_cached_keys, &keys) < 0)
		return false;
	if (l->minor == 11 && dp_remote_u64(py->pid, object - 32, &v) == 0 && v != 0)
		return dp_keys_open(py, keys, v, ret);
	if (l->minor >= 13 && flags & FLAG_INLINE) {
		/* PyDictValues: capacity, size, embedded, valid, a byte each; then the values. */
		if (dp_remote_u64(py->pid, type + TYPE_SIZE, &size) < 0 || size > 4096 ||
		    dp_remote_read(py->pid, object + size, inlined, sizeof(inlined)) < 0)
			return false;
		if (inlined[0] >> 24 & 0xff)
			return dp_keys_open(py, keys, object + size + 8, ret);
	}
	if (dp_remote_u64(py->pid, object - 24, &v) < 0)
		return false;
	if (l->minor == 12 && v & 1)
		return dp_keys_open(py, keys, v + 1, ret);
	return dp_dict_open(py, v, ret);
}

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
	if (thread == 0 || !attributes_open(py, thread, &e))
		return false;
	text = dp_dict_find(py, &e, "_name");
	return text != 0 && dp_frames_string(py, text, ret, cap) == 0;
}
