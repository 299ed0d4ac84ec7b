// SPDX-License-Identifier: MIT
/*
 * Dicts, and what an object or a module has, read from outside. Layouts: PyDictObject, PyDictKeysObject, PyModuleObject
 * and PyLongObject of the headers 3.8 to 3.14, of builds with a GIL.
 *
 * PyHeapTypeObject and PyTypeObject of the headers 3.8 to 3.13, where instance dicts moved three times: a pointer at
 * tp_dictoffset (to 3.10); values or a dict before the object (3.11: two words, 3.12: one, told apart by its lowest
 * bit); values inside of the object (3.13).
 */
#include <string.h>

#include "python/internal.h"

#define DICT_KEYS     32 /* PyDictObject.ma_keys and .ma_values */
#define MODULE_DICT   16 /* PyModuleObject.md_dict */
#define LONG_SIZE     16 /* ob_size to 3.11, then lv_tag with the size above three bits */
#define LONG_DIGITS   24 /* of 30 bits */
#define ENTRIES_MAX   65536
#define ENTRIES_CHUNK 64

#define TYPE_FLAGS   168 /* PyTypeObject.tp_flags, .tp_dictoffset */
#define TYPE_DICT    288
#define FLAG_INLINE  (1u << 2) /* Py_TPFLAGS_INLINE_VALUES, 3.13 */
#define FLAG_MANAGED (1u << 4) /* Py_TPFLAGS_MANAGED_DICT, 3.11 */

bool dp_keys_open(const struct dp_py *py, uint64_t keys, uint64_t values, struct dp_entries *ret)
{
	struct dp_entries e = {.stride = 24, .values = values};
	uint64_t head[5], size, width;

	if (keys == 0 || dp_remote_read(py->pid, keys, head, sizeof(head)) < 0)
		return false;
	if (py->layout.minor >= 11) {
		/* dk_log2_size, dk_log2_index_bytes, dk_kind; then dk_usable, dk_nentries */
		unsigned int log2_bytes = head[1] >> 8 & 0xff;

		if (log2_bytes > 40)
			return false;
		if ((head[1] >> 16 & 0xff) != 0)
			e.stride = 16;
		e.count = head[3];
		e.at = keys + 32 + (1ull << log2_bytes);
	} else {
		/* dk_size, dk_lookup, dk_usable, dk_nentries */
		size = head[1];
		width = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
		e.count = head[4];
		e.at = keys + 40 + size * width;
	}
	if (e.count > ENTRIES_MAX)
		return false;
	*ret = e;
	return true;
}

bool dp_dict_open(const struct dp_py *py, uint64_t dict, struct dp_entries *ret)
{
	uint64_t head[6];

	if (dict == 0 || dp_remote_read(py->pid, dict, head, sizeof(head)) < 0)
		return false;
	return dp_keys_open(py, head[DICT_KEYS / 8], head[DICT_KEYS / 8 + 1], ret);
}

/* A key that is looked for: a str, or an int. */
struct wanted {
	const char *name; /* NULL: the int */
	uint64_t number;
};

static bool is_number(const struct dp_py *py, uint64_t object, uint64_t number)
{
	uint32_t b[(LONG_DIGITS + 12) / 4];
	uint64_t size;

	if (dp_remote_read(py->pid, object, b, sizeof(b)) < 0)
		return false;
	memcpy(&size, &b[LONG_SIZE / 4], sizeof(size));
	if (py->layout.minor >= 12)
		size >>= 3;
	if (size != 3 && size != 2)
		return false; /* no address of a thread has fewer digits */
	return ((uint64_t)b[LONG_DIGITS / 4] | (uint64_t)b[LONG_DIGITS / 4 + 1] << 30 |
		(size == 3 ? (uint64_t)b[LONG_DIGITS / 4 + 2] << 60 : 0)) == number;
}

static bool is_wanted(const struct dp_py *py, uint64_t object, const struct wanted *w)
{
	char text[32];

	if (!w->name)
		return is_number(py, object, w->number);
	return dp_frames_string(py, object, text, sizeof(text)) == 0 && strcmp(text, w->name) == 0;
}

static uint64_t lookup(const struct dp_py *py, const struct dp_entries *e, const struct wanted *w)
{
	uint64_t words[ENTRIES_CHUNK * 3], value;
	unsigned int per = e->stride / 8;

	for (uint64_t i = 0; i < e->count; i += ENTRIES_CHUNK) {
		uint64_t n = e->count - i < ENTRIES_CHUNK ? e->count - i : ENTRIES_CHUNK;

		if (dp_remote_read(py->pid, e->at + i * e->stride, words, n * e->stride) < 0)
			return 0;
		for (uint64_t k = 0; k < n; k++) {
			uint64_t key = words[k * per + per - 2];

			value = words[k * per + per - 1];
			if (key == 0 || (value == 0 && !e->values) || !is_wanted(py, key, w))
				continue;
			if (e->values &&
			    dp_remote_u64(py->pid, e->values + (i + k) * 8, &value) < 0)
				return 0;
			return value;
		}
	}
	return 0;
}

uint64_t dp_dict_find(const struct dp_py *py, const struct dp_entries *e, const char *name)
{
	const struct wanted w = {.name = name};

	return lookup(py, e, &w);
}

uint64_t dp_dict_find_number(const struct dp_py *py, const struct dp_entries *e, uint64_t number)
{
	const struct wanted w = {.number = number};

	return lookup(py, e, &w);
}

unsigned int dp_entries_values(const struct dp_py *py, const struct dp_entries *e, uint64_t *ret,
			       unsigned int cap)
{
	uint64_t words[ENTRIES_CHUNK * 3];
	unsigned int per = e->stride / 8, n = 0;
	uint64_t count = e->count;

	if (e->values) {
		if (count > cap)
			count = cap;
		return dp_remote_read(py->pid, e->values, ret, count * 8) < 0 ? 0
									      : (unsigned int)count;
	}
	for (uint64_t i = 0; i < count && n < cap; i += ENTRIES_CHUNK) {
		uint64_t some = count - i < ENTRIES_CHUNK ? count - i : ENTRIES_CHUNK;

		if (dp_remote_read(py->pid, e->at + i * e->stride, words, some * e->stride) < 0)
			break;
		for (uint64_t k = 0; k < some && n < cap; k++)
			ret[n++] = words[k * per + per - 1];
	}
	return n;
}

bool dp_attributes_open(const struct dp_py *py, uint64_t object, struct dp_entries *ret)
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
		if (dp_remote_u64(py->pid, type + DP_TYPE_SIZE, &size) < 0 || size > 4096 ||
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

bool dp_module_open(const struct dp_py *py, const char *module, struct dp_entries *ret)
{
	uint64_t interp, dict = 0, object;
	struct dp_entries e;

	if (py->info.free_threaded || py->layout.is_modules == DP_NO_OFFSET ||
	    dp_py_interpreters(py, &interp, 1) != 1 ||
	    dp_remote_u64(py->pid, interp + py->layout.is_modules, &dict) < 0 ||
	    !dp_dict_open(py, dict, &e))
		return false;
	object = dp_dict_find(py, &e, module);
	return object != 0 && dp_remote_u64(py->pid, object + MODULE_DICT, &dict) == 0 &&
	       dp_dict_open(py, dict, ret);
}

uint64_t dp_module_attribute(const struct dp_py *py, const char *module, const char *name)
{
	struct dp_entries e;

	return dp_module_open(py, module, &e) ? dp_dict_find(py, &e, name) : 0;
}
