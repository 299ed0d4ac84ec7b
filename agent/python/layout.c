// SPDX-License-Identifier: MIT
/*
 * Where CPython keeps things, per minor version.
 *
 * 3.8–3.12: computed by compiling each release's own headers with Py_BUILD_CORE (3.8.18, 3.9.18,
 * 3.10.13, 3.11.2 and 3.11.7, 3.12.1), equal on x86_64 and aarch64 but for the mutex size, and
 * unchanged over the patch releases of a minor version. From 3.13 on: _Py_DebugOffsets at the start
 * of _PyRuntime (Include/internal/pycore_debug_offsets.h; pycore_runtime.h in 3.13), and from the
 * headers what that structure does not tell.
 */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "python/internal.h"

#define NO DP_NO_OFFSET

/* struct _gil_runtime_state, the same 3.8–3.15; free-threaded builds put `int enabled` in front. */
static void gil_layout(struct dp_layout *l, bool musl, uint32_t shift)
{
	uint32_t mutex = 40;

#ifdef __aarch64__
	mutex = musl ? 40 : 48;
#else
	(void)musl;
#endif
	l->gil_interval = shift;
	l->gil_last_holder = shift + 8;
	l->gil_locked = shift + 16;
	l->gil_switch_number = shift + 24;
	l->gil_cond = shift + 32;
	l->gil_mutex = l->gil_cond + 48;
	l->gil_switch_cond = l->gil_mutex + mutex;
	l->gil_size = l->gil_switch_cond + 48 + mutex;
	l->gil_enabled = shift == 0 ? NO : 0;
}

/* What the versions below share; the version's own entry replaces what differs. */
#define COMMON                                                                                     \
	.rt_gil = NO, .rt_interp_head = NO, .rt_interp_main = NO, .rt_main_thread = NO,            \
	.rt_signals_pending = NO, .rt_drop_request = NO, .rt_main_tstate = NO, .is_gil = NO,       \
	.is_own_gil = NO, .is_drop_request = NO, .is_modules = NO, .type_cached_keys = NO,         \
	.rt_collecting = NO, .is_collecting = NO, .ts_prev = 0, .ts_next = 8, .ts_interp = 16,     \
	.ts_frame = NO, .ts_cframe = NO, .cframe_frame = NO, .ts_native_id = NO,                   \
	.ts_eval_breaker = NO, .fr_lasti = NO, .fr_ip = NO, .fr_owner = NO, .fr_tlbc = NO,         \
	.co_qualname = NO, .co_bytecode = NO, .co_tlbc = NO, .ob_type = 8, .bytes_size = 16,       \
	.bytes_data = 32, .str_length = 16, .str_state = 32

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct dp_layout by_minor[] = {
	{COMMON,
	 .minor = 8,
	 .rt_collecting = 544,
	 .is_modules = 56,
	 .type_cached_keys = 872,
	 .line_format = DP_LINES_LNOTAB,
	 .rt_gil = 1152,
	 .rt_interp_head = 32,
	 .rt_interp_main = 40,
	 .rt_main_thread = 72,
	 .rt_signals_pending = 1144,
	 .rt_drop_request = 596,
	 .is_next = 0,
	 .is_threads_head = 8,
	 .ts_frame = 24,
	 .ts_thread_id = 176,
	 .fr_back = 24,
	 .fr_code = 32,
	 .fr_lasti = 104,
	 .co_filename = 104,
	 .co_name = 112,
	 .co_firstlineno = 40,
	 .co_lines = 120,
	 .str_ascii_data = 48,
	 .str_compact_data = 72},
	{COMMON,
	 .minor = 9,
	 .is_collecting = 816,
	 .is_modules = 856,
	 .type_cached_keys = 864,
	 .line_format = DP_LINES_LNOTAB,
	 .rt_gil = 352,
	 .rt_interp_head = 32,
	 .rt_interp_main = 40,
	 .rt_main_thread = 72,
	 .rt_signals_pending = 344,
	 .is_next = 0,
	 .is_threads_head = 8,
	 .is_drop_request = 76,
	 .ts_frame = 24,
	 .ts_thread_id = 176,
	 .fr_back = 24,
	 .fr_code = 32,
	 .fr_lasti = 104,
	 .co_filename = 104,
	 .co_name = 112,
	 .co_firstlineno = 40,
	 .co_lines = 120,
	 .str_ascii_data = 48,
	 .str_compact_data = 72},
	{COMMON,
	 .minor = 10,
	 .is_collecting = 816,
	 .is_modules = 856,
	 .type_cached_keys = 872,
	 .line_format = DP_LINES_310,
	 .rt_gil = 352,
	 .rt_interp_head = 32,
	 .rt_interp_main = 40,
	 .rt_main_thread = 72,
	 .rt_signals_pending = 344,
	 .is_next = 0,
	 .is_threads_head = 8,
	 .is_drop_request = 72,
	 .ts_frame = 24,
	 .ts_thread_id = 176,
	 .fr_back = 24,
	 .fr_code = 32,
	 .fr_lasti = 96,
	 .co_filename = 104,
	 .co_name = 112,
	 .co_firstlineno = 40,
	 .co_lines = 120,
	 .str_ascii_data = 48,
	 .str_compact_data = 72},
	{COMMON,
	 .minor = 11,
	 .is_collecting = 848,
	 .is_modules = 888,
	 .type_cached_keys = 872,
	 .line_format = DP_LINES_LOCATIONS,
	 .rt_gil = 360,
	 .rt_interp_head = 40,
	 .rt_interp_main = 48,
	 .rt_main_thread = 80,
	 .rt_signals_pending = 352,
	 .is_next = 0,
	 .is_threads_head = 16,
	 .is_drop_request = 104,
	 .ts_cframe = 56,
	 .cframe_frame = 8,
	 .ts_native_id = 160,
	 .ts_thread_id = 152,
	 .fr_back = 48,
	 .fr_code = 32,
	 .fr_ip = 56,
	 .fr_owner = 69,
	 .co_filename = 112,
	 .co_name = 120,
	 .co_qualname = 128,
	 .co_firstlineno = 72,
	 .co_lines = 136,
	 .co_bytecode = 184,
	 .str_ascii_data = 48,
	 .str_compact_data = 72},
	{COMMON,
	 .minor = 12,
	 .is_collecting = 312,
	 .is_modules = 944,
	 .type_cached_keys = 880,
	 .line_format = DP_LINES_LOCATIONS,
	 .rt_interp_head = 40,
	 .rt_interp_main = 48,
	 .rt_main_thread = 64,
	 .rt_signals_pending = 2008,
	 .is_next = 0,
	 .is_threads_head = 72,
	 .is_gil = 384,
	 .is_own_gil = 392,
	 .is_drop_request = 372,
	 .ts_cframe = 56,
	 .cframe_frame = 0,
	 .ts_native_id = 144,
	 .ts_thread_id = 136,
	 .fr_back = 8,
	 .fr_code = 0,
	 .fr_ip = 56,
	 .fr_owner = 70,
	 .co_filename = 112,
	 .co_name = 120,
	 .co_qualname = 128,
	 .co_firstlineno = 68,
	 .co_lines = 136,
	 .co_bytecode = 192,
	 .str_ascii_data = 40,
	 .str_compact_data = 56},
	/* From here on only what _Py_DebugOffsets does not tell; the rest is read from it. */
	{COMMON, .minor = 13, .line_format = DP_LINES_LOCATIONS, .rt_main_thread = 656,
	 .rt_main_tstate = 664, .ts_eval_breaker = 24, .type_cached_keys = 880},
	{COMMON, .minor = 14, .line_format = DP_LINES_LOCATIONS, .rt_main_thread = 832,
	 .rt_main_tstate = 840, .ts_eval_breaker = 24},
	{COMMON, .minor = 15, .line_format = DP_LINES_LOCATIONS, .rt_main_thread = 960,
	 .rt_main_tstate = 968, .ts_eval_breaker = 24},
};
#pragma GCC diagnostic pop

static const struct dp_layout *find(unsigned int minor)
{
	for (size_t i = 0; i < DP_COUNT_OF(by_minor); i++)
		if (by_minor[i].minor == minor)
			return &by_minor[i];
	return NULL;
}

int dp_layout_tabled(unsigned int minor, bool musl, struct dp_layout *ret)
{
	const struct dp_layout *l = find(minor);

	if (!l)
		return -ENOTSUP;
	*ret = *l;
	gil_layout(ret, musl, 0);
	return 0;
}

int dp_layout_for(unsigned int minor, bool musl, struct dp_layout *ret)
{
	return minor > 12 ? -ENOTSUP : dp_layout_tabled(minor, musl, ret);
}

/* The minor versions whose _Py_DebugOffsets are known, from 3.13 on. */
#define DEBUG_FIRST 13
#define DEBUG_COUNT (DP_PYTHON_LAST - DEBUG_FIRST + 1)
_Static_assert(DP_COUNT_OF(by_minor) == DP_PYTHON_LAST - DP_PYTHON_FIRST + 1,
	       "an entry for each minor version");

/* Byte offsets of the fields within _Py_DebugOffsets, by minor version; 0: it has none. */
struct debug_field {
	uint16_t to; /* offset in struct dp_layout */
	uint32_t limit;
	uint16_t at[DEBUG_COUNT];
};

#define RT   (1u << 20)
#define IS   (1u << 20)
#define TINY DP_FIELD_MAX
/*
 * A field, the limit of its value, and a column for each minor version. The field of bits has no
 * legal width, and so does not compile, where there are more or fewer columns than minor versions.
 */
#define F(field, limit, ...)                                                                       \
	{                                                                                          \
		offsetof(struct dp_layout, field),                                                 \
			(limit) + 0 * sizeof(struct {                                              \
					  int a_column_for_each_minor_version                      \
					      : sizeof((uint16_t[]){__VA_ARGS__}) /                \
						sizeof(uint16_t) ==                                \
							  DEBUG_COUNT                              \
						  ? 1                                              \
						  : -1;                                            \
				  }),                                                              \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* clang-format off: one field a line, to be compared with the headers */
static const struct debug_field debug_fields[] = {
	F(rt_interp_head, RT, 40, 40, 40),     F(is_next, IS, 64, 64, 64),
	F(is_threads_head, IS, 72, 72, 72),    F(is_gil, IS, 112, 120, 120),
	F(ts_prev, TINY, 160, 184, 184),       F(ts_next, TINY, 168, 192, 192),
	F(ts_interp, TINY, 176, 200, 200),     F(ts_frame, TINY, 184, 208, 208),
	F(ts_thread_id, TINY, 192, 216, 240),  F(ts_native_id, TINY, 200, 224, 248),
	F(fr_back, TINY, 232, 256, 320),       F(fr_code, TINY, 240, 264, 328),
	F(fr_ip, TINY, 248, 272, 336),         F(fr_owner, TINY, 264, 288, 352),
	F(fr_tlbc, TINY, 0, 304, 368),         F(co_filename, TINY, 280, 320, 384),
	F(co_name, TINY, 288, 328, 392),       F(co_qualname, TINY, 296, 336, 400),
	F(co_lines, TINY, 304, 344, 408),      F(co_firstlineno, TINY, 312, 352, 416),
	F(co_bytecode, TINY, 344, 384, 448),   F(co_tlbc, TINY, 0, 392, 456),
	F(ob_type, TINY, 360, 408, 472),       F(bytes_size, TINY, 520, 600, 696),
	F(bytes_data, TINY, 528, 608, 704),    F(str_state, TINY, 544, 624, 720),
	F(str_length, TINY, 552, 632, 728),    F(str_ascii_data, TINY, 560, 640, 736),
	F(ts_eval_breaker, TINY, 0, 712, 840), F(is_modules, IS, 88, 96, 96),
};
/* clang-format on */

/* Fields within _Py_DebugOffsets from which others are put together; a row for each minor version. */
static const struct {
	/* interpreter_state's GIL and its fields, counted from the interpreter */
	uint16_t gil, gil_locked, gil_holder;
	uint16_t gc;            /* interpreter_state.gc */
	uint16_t gc_collecting; /* gc.collecting, counted from gc */
} debug_parts[] = {
	{120, 136, 144, 80, 576},
	{128, 144, 152, 88, 656},
	{128, 144, 152, 88, 760},
};
_Static_assert(DP_COUNT_OF(debug_parts) == DEBUG_COUNT, "a row for each minor version");

/* What lies beyond the bytes that are read is too large for any field. */
static uint64_t word(const uint8_t *buf, size_t at)
{
	uint64_t v;

	if (at > DP_DEBUG_OFFSETS_LEN - sizeof(v))
		return UINT64_MAX;
	memcpy(&v, buf + at, sizeof(v));
	return v;
}

int dp_layout_from_debug_offsets(const uint8_t *buf, bool musl, struct dp_layout *ret,
				 uint32_t *ret_hexversion, uint8_t *ret_free_threaded)
{
	const struct dp_layout *base;
	struct dp_layout l;
	uint64_t version = word(buf, 8), free_threaded = word(buf, 16);
	uint64_t gil, locked, holder, gc, collecting;
	unsigned int minor = (version >> 16) & 0xff, k;

	if (memcmp(buf, "xdebugpy", 8) != 0)
		return -ENOENT;
	base = find(minor);
	if (version >> 24 != 3 || version > UINT32_MAX || !base || minor < DEBUG_FIRST ||
	    free_threaded > 1)
		return -ENOTSUP;
	k = minor - DEBUG_FIRST;
	l = *base;
	for (size_t i = 0; i < DP_COUNT_OF(debug_fields); i++) {
		const struct debug_field *f = &debug_fields[i];
		uint64_t v;
		uint32_t narrow;

		if (f->at[k] == 0)
			continue;
		v = word(buf, f->at[k]);
		if (v >= f->limit)
			return -ENOTSUP;
		narrow = (uint32_t)v;
		memcpy((uint8_t *)&l + f->to, &narrow, sizeof(narrow));
	}
	/* interpreters.main follows interpreters.head, ceval.own_gil follows ceval.gil. */
	l.rt_interp_main = l.rt_interp_head + 8;
	l.is_own_gil = l.is_gil + 8;
	gc = word(buf, debug_parts[k].gc);
	collecting = word(buf, debug_parts[k].gc_collecting);
	if (gc < IS && collecting < IS)
		l.is_collecting = (uint32_t)(gc + collecting);
	/* PyCompactUnicodeObject adds utf8_length and utf8 to PyASCIIObject. */
	l.str_compact_data = l.str_ascii_data + 16;
	if (!free_threaded) {
		l.fr_tlbc = NO;
		l.co_tlbc = NO;
	}
	gil_layout(&l, musl, free_threaded ? 8 : 0);
	gil = word(buf, debug_parts[k].gil);
	locked = word(buf, debug_parts[k].gil_locked);
	holder = word(buf, debug_parts[k].gil_holder);
	if (locked - gil != l.gil_locked || holder - gil != l.gil_last_holder)
		return -ENOTSUP;
	*ret = l;
	*ret_hexversion = (uint32_t)version;
	*ret_free_threaded = (uint8_t)free_threaded;
	return 0;
}
