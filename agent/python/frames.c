// SPDX-License-Identifier: MIT
/* The Python stack of a thread: frames, code objects, names and lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/pyfile.h"
#include "base/utf8.h"
#include "python/internal.h"

#define BLOCK        (DP_FIELD_MAX + 8)
#define STRING_FIRST 512 /* covers the header and nearly every name in one read */
#define LEN_SANE     (1ull << 30)
#define TRIES        3

static uint64_t u64_at(const uint8_t *block, uint32_t offset)
{
	uint64_t v;

	memcpy(&v, block + offset, sizeof(v));
	return v;
}

static uint32_t u32_at(const uint8_t *block, uint32_t offset)
{
	uint32_t v;

	memcpy(&v, block + offset, sizeof(v));
	return v;
}

/* Bytes from the front of an object that cover these fields; absent ones count nothing. */
static size_t extent(const uint32_t *offsets, size_t count)
{
	uint32_t end = 0;

	for (size_t i = 0; i < count; i++)
		if (offsets[i] != DP_NO_OFFSET && offsets[i] + 8 > end)
			end = offsets[i] + 8;
	return end;
}

struct raw_frame {
	uint64_t addr, code, back, ip;
	uint32_t tlbc;
	bool of_c_stack;
};

static int read_raw(const struct dp_py *py, uint64_t addr, struct raw_frame *ret)
{
	const struct dp_layout *l = &py->layout;
	const uint32_t fields[] = {l->fr_back, l->fr_code, l->fr_lasti, l->fr_ip, l->fr_tlbc};
	size_t len = extent(fields, DP_COUNT_OF(fields));
	uint8_t b[BLOCK];
	int rc;

	/* The owner is one byte near the end: the whole word around it may lie past the frame. */
	if (l->fr_owner != DP_NO_OFFSET && l->fr_owner + 1 > len)
		len = l->fr_owner + 1;
	rc = dp_remote_read(py->pid, addr, b, len);
	if (rc < 0)
		return rc;
	*ret = (struct raw_frame){
		.addr = addr, .back = u64_at(b, l->fr_back), .code = u64_at(b, l->fr_code)};
	if (l->fr_ip != DP_NO_OFFSET) {
		ret->ip = u64_at(b, l->fr_ip);
		/* FRAME_OWNED_BY_CSTACK is 3 from 3.12 on; 3.14 adds an owner above it. */
		ret->of_c_stack = l->minor >= 12 && b[l->fr_owner] >= 3;
	} else {
		ret->ip = u32_at(b, l->fr_lasti);
	}
	/* A _PyStackRef of 3.14 keeps flags in the lowest two bits. */
	ret->code &= ~3ull;
	if (l->fr_tlbc != DP_NO_OFFSET)
		ret->tlbc = u32_at(b, l->fr_tlbc);
	return 0;
}

int dp_frames_top(const struct dp_py *py, uint64_t tstate, uint64_t *ret_frame, uint64_t *ret_ip)
{
	const struct dp_layout *l = &py->layout;
	uint64_t frame, at = tstate + l->ts_frame;
	struct raw_frame raw = {0};
	int rc;

	if (l->ts_cframe != DP_NO_OFFSET) {
		rc = dp_remote_u64(py->pid, tstate + l->ts_cframe, &at);
		if (rc < 0)
			return rc;
		at += l->cframe_frame;
	}
	rc = dp_remote_u64(py->pid, at, &frame);
	if (rc == 0 && frame != 0)
		rc = read_raw(py, frame, &raw);
	if (rc < 0)
		return rc;
	*ret_frame = frame;
	*ret_ip = raw.ip;
	return 0;
}

/*
 * kind, compact and ascii of PyASCIIObject.state follow `interned`, which is two bits, or a field
 * of its own of 8 or 16 bits where the free-threaded build needs it atomic. `interned` is at most
 * 3, so only the right position gives a valid kind.
 */
static bool string_state(uint32_t state, uint32_t *ret_kind, bool *ret_ascii)
{
	static const unsigned int position[] = {2, 8, 16};

	for (size_t i = 0; i < DP_COUNT_OF(position); i++) {
		uint32_t s = state >> position[i], kind = s & 7;

		if ((kind != 1 && kind != 2 && kind != 4) || !(s >> 3 & 1))
			continue;
		*ret_kind = kind;
		*ret_ascii = s >> 4 & 1;
		return !*ret_ascii || kind == 1;
	}
	return false;
}

/* The end of a str: the last component names the function, the last directories the file. */
int dp_frames_string(const struct dp_py *py, uint64_t addr, char *dst, size_t cap)
{
	const struct dp_layout *l = &py->layout;
	uint8_t first[STRING_FIRST], rest[4 * DP_FILE_MAX];
	char utf8[4 * DP_FILE_MAX + 1];
	const uint8_t *p;
	uint64_t length, skip;
	uint32_t kind, data;
	size_t used = 0, bytes;
	bool ascii;
	ssize_t n = dp_remote_read_some(py->pid, addr, first, sizeof(first));

	if (n < 0)
		return (int)n;
	if (cap > DP_FILE_MAX || l->str_compact_data > sizeof(first) ||
	    (size_t)n < l->str_ascii_data || l->str_length + 8 > (uint32_t)n ||
	    l->str_state + 4 > (uint32_t)n)
		return -EFAULT;
	if (py->loc.unicode_type != 0 && u64_at(first, l->ob_type) != py->loc.unicode_type)
		return -EFAULT;
	length = u64_at(first, l->str_length);
	if (length > LEN_SANE || !string_state(u32_at(first, l->str_state), &kind, &ascii))
		return -EFAULT;
	data = ascii ? l->str_ascii_data : l->str_compact_data;
	skip = length >= cap ? length - (cap - 1) : 0;
	bytes = (size_t)(length - skip) * kind;
	if (data + skip * kind + bytes <= (uint64_t)n) {
		p = first + data + skip * kind;
	} else {
		int rc = dp_remote_read(py->pid, addr + data + skip * kind, rest, bytes);

		if (rc < 0)
			return rc;
		p = rest;
	}
	for (size_t i = 0; i < bytes; i += kind) {
		uint32_t cp = p[i];

		if (kind > 1)
			cp |= (uint32_t)p[i + 1] << 8;
		if (kind > 2)
			cp |= (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24;
		used += dp_utf8_encode(utf8 + used, dp_utf8_may_show(cp) ? cp : '?');
	}
	dp_utf8_tail(dst, cap, utf8, used, skip > 0);
	return 0;
}

/* Streams the table: it may be long, the entry wanted is often near its start. */
static int32_t read_line(const struct dp_py *py, uint64_t table, int32_t first_line, int32_t offset)
{
	const struct dp_layout *l = &py->layout;
	uint8_t buf[4096];
	struct dp_linetable t;
	uint64_t size, at = 0;
	size_t have = 0;

	dp_linetable_begin(&t, l->line_format, first_line, offset);
	if (t.done)
		return dp_linetable_line(&t);
	if (dp_remote_u64(py->pid, table + l->bytes_size, &size) < 0 || size > DP_LINETABLE_MAX)
		return 0;
	while (!t.done && at < size) {
		size_t want = sizeof(buf) - have, used;

		/* Short at first: one read of a whole page costs more than most tables need. */
		if (at == 0)
			want = 1024;
		if (want > size - at)
			want = (size_t)(size - at);
		if (dp_remote_read(py->pid, table + l->bytes_data + at, buf + have, want) < 0)
			return 0;
		at += want;
		have += want;
		used = dp_linetable_feed(&t, buf, have);
		have -= used;
		memmove(buf, buf + used, have);
		if (have >= DP_LINETABLE_ENTRY_MAX && !t.done)
			return 0;
	}
	return dp_linetable_line(&t);
}

/* Where the bytecode starts that the frame runs: with 3.14t it may be the thread's own copy. */
static uint64_t bytecode_start(const struct dp_py *py, const struct raw_frame *f)
{
	const struct dp_layout *l = &py->layout;
	uint64_t array, entry;

	if (l->fr_tlbc == DP_NO_OFFSET || f->tlbc == 0)
		return f->code + l->co_bytecode;
	/* _PyCodeArray: Py_ssize_t size, then one pointer per thread index. */
	if (dp_remote_u64(py->pid, f->code + l->co_tlbc, &array) < 0 ||
	    dp_remote_u64(py->pid, array, &entry) < 0 || f->tlbc >= entry ||
	    dp_remote_u64(py->pid, array + 8 + 8ull * f->tlbc, &entry) < 0)
		return 0;
	return entry;
}

static int read_code(const struct dp_py *py, const struct raw_frame *f, struct dp_frame *ret)
{
	const struct dp_layout *l = &py->layout;
	const uint32_t fields[] = {l->ob_type,     l->co_filename,    l->co_name,
				   l->co_qualname, l->co_firstlineno, l->co_lines};
	struct dp_frame out = {0};
	uint8_t b[BLOCK];
	int64_t offset;
	uint64_t name;
	int32_t first;
	int rc = dp_remote_read(py->pid, f->code, b, extent(fields, 6));

	if (rc < 0)
		return rc;
	/* Torn reads and objects that are no code end here where the type's address is known. */
	if (py->loc.code_type != 0 && u64_at(b, l->ob_type) != py->loc.code_type)
		return -EFAULT;
	name = u64_at(b, l->co_qualname != DP_NO_OFFSET ? l->co_qualname : l->co_name);
	rc = dp_frames_string(py, name, out.function, sizeof(out.function));
	if (rc == 0)
		rc = dp_frames_string(py, u64_at(b, l->co_filename), out.file, sizeof(out.file));
	if (rc < 0)
		return rc;
	first = (int32_t)u32_at(b, l->co_firstlineno);
	if (l->fr_ip == DP_NO_OFFSET) {
		offset = (int32_t)f->ip;
		/* From 3.10 f_lasti counts instructions of two bytes. */
		if (l->line_format != DP_LINES_LNOTAB)
			offset *= 2;
	} else {
		uint64_t start = bytecode_start(py, f);

		offset = start == 0 ? INT64_MAX : (int64_t)(f->ip - start);
	}
	/* 3.11 and 3.12 point one unit before the start in a frame that has not begun. */
	if (first > 0 && offset >= -8 && offset < (1 << 28))
		out.line = read_line(py, u64_at(b, l->co_lines), first, (int32_t)offset);
	*ret = out;
	return 0;
}

/*
 * Where every frame that has room is of a library, the last one gives way to the first below that is
 * not: somebody's own code called them.
 */
static void find_user(const struct dp_py *py, uint64_t from, struct dp_rec_stack *ret)
{
	struct raw_frame raw;
	struct dp_frame f;

	for (uint32_t i = 0; i < DP_FRAMES_MAX; i++)
		if (!dp_pyfile_is_library(ret->frames[i].file))
			return;
	for (int step = 0; from != 0 && step < DP_FRAME_STEPS_MAX; step++, from = raw.back) {
		if (read_raw(py, from, &raw) < 0)
			return;
		if (raw.of_c_stack || raw.code == 0 || read_code(py, &raw, &f) < 0 ||
		    dp_pyfile_is_library(f.file))
			continue;
		ret->frames[DP_FRAMES_MAX - 1] = f;
		return;
	}
}

unsigned int dp_frames_addresses(const struct dp_py *py, uint64_t tstate, uint64_t *ret,
				 unsigned int cap)
{
	struct raw_frame raw;
	uint64_t frame, ip;
	unsigned int n = 0;

	if (dp_frames_top(py, tstate, &frame, &ip) < 0)
		return 0;
	for (int step = 0; frame != 0 && n < cap && step < DP_FRAME_STEPS_MAX; step++) {
		if (read_raw(py, frame, &raw) < 0)
			break;
		if (!raw.of_c_stack && raw.code != 0)
			ret[n++] = frame;
		frame = raw.back;
	}
	return n;
}

int dp_frames_read(const struct dp_py *py, uint64_t tstate, struct dp_rec_stack *ret)
{
	struct raw_frame raw[DP_FRAMES_MAX];
	unsigned int count = 0, shown = 0;
	uint64_t frame = 0, ip = 0, again = 0, again_ip, next;
	int rc = 0;

	/*
	 * First the chain, quickly, then names and lines, slowly. A thread that runs Python may
	 * change frames meanwhile: tried again, and what stays is at least valid frame by frame.
	 */
	for (int try = 0; try < TRIES; try++) {
		rc = dp_frames_top(py, tstate, &frame, &ip);
		if (rc < 0)
			return rc;
		count = 0;
		next = frame;
		for (int step = 0; next != 0 && step < DP_FRAME_STEPS_MAX && count < DP_FRAMES_MAX;
		     step++) {
			rc = read_raw(py, next, &raw[count]);
			if (rc < 0)
				break;
			next = raw[count].back;
			if (!raw[count].of_c_stack && raw[count].code != 0)
				count++;
		}
		if (rc == 0 && dp_frames_top(py, tstate, &again, &again_ip) == 0 && again == frame)
			break;
	}
	ret->frame = frame;
	ret->ip = ip;
	for (unsigned int i = 0; i < count; i++) {
		int bad = read_code(py, &raw[i], &ret->frames[shown]);

		if (bad == -ESRCH || bad == -EPERM)
			rc = bad;
		if (bad < 0) {
			rc = rc < 0 ? rc : bad;
			break;
		}
		shown++;
	}
	if (shown == DP_FRAMES_MAX && rc == 0)
		find_user(py, raw[count - 1].back, ret);
	ret->frame_count = shown;
	return shown > 0 && rc == -EFAULT ? 0 : rc;
}
