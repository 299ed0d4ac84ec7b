// SPDX-License-Identifier: MIT
/*
 * Dicts, read from outside. Layouts: PyDictObject, PyDictKeysObject, PyModuleObject and PyLongObject of the headers
 * 3.8 to 3.14, of builds with a GIL.
 */
#include <string.h>

#include "python/internal.h"

#define DICT_KEYS     32 /* PyDictObject.ma_keys and .ma_values */
#define MODULE_DICT   16 /* PyModuleObject.md_dict */
#define LONG_SIZE     16 /* ob_size to 3.11, then lv_tag with the size above three bits */
#define LONG_DIGITS   24 /* of 30 bits */
#define ENTRIES_MAX   65536
#define ENTRIES_CHUNK 64

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

uint64_t dp_module_attribute(struct dp_py *py, const char *module, const char *name)
{
	uint64_t interp, dict = 0, object;
	struct dp_entries e;

	if (py->info.free_threaded || py->layout.is_modules == DP_NO_OFFSET ||
	    dp_py_interpreters(py, &interp, 1) != 1 ||
	    dp_remote_u64(py->pid, interp + py->layout.is_modules, &dict) < 0 ||
	    !dp_dict_open(py, dict, &e))
		return 0;
	object = dp_dict_find(py, &e, module);
	if (object == 0 || dp_remote_u64(py->pid, object + MODULE_DICT, &dict) < 0 ||
	    !dp_dict_open(py, dict, &e))
		return 0;
	return dp_dict_find(py, &e, name);
}
