// SPDX-License-Identifier: MIT
/*
 * Line tables against the interpreters that made them: every code object of a part of the standard
 * library, every bytecode offset, with code.co_lines() (3.10+) or dis.findlinestarts as the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "python/internal.h"
#include "pythons.h"

#define TABLE_MAX 262144
#define CODE_MAX  262144

static const char script[] =
	"import dis, importlib.util, sys, types\n"
	"names = ('argparse ast asyncio.base_events asyncio.tasks collections contextlib csv "
	"dataclasses '\n"
	"         'datetime decimal difflib email.message enum functools http.client inspect "
	"json.decoder '\n"
	"         'logging os pathlib pickle queue re socket subprocess tarfile tempfile textwrap "
	"'\n"
	"         'threading tokenize traceback typing unittest.case unittest.mock urllib.parse '\n"
	"         'xml.dom.minidom zipfile').split()\n"
	"seen = set()\n"
	"def lines(code):\n"
	"    if hasattr(code, 'co_lines'):\n"
	"        return [(s, e, l or 0) for s, e, l in code.co_lines()]\n"
	"    starts = list(dis.findlinestarts(code))\n"
	"    ends = [s for s, _ in starts[1:]] + [len(code.co_code)]\n"
	"    return [(s, e, l) for (s, l), e in zip(starts, ends)]\n"
	"def emit(code):\n"
	"    table = code.co_linetable if hasattr(code, 'co_linetable') else code.co_lnotab\n"
	"    sys.stdout.write('code %d %d %s\\n' % (code.co_firstlineno, len(code.co_code), "
	"table.hex() or '-'))\n"
	"    for s, e, l in lines(code):\n"
	"        sys.stdout.write('%d %d %d\\n' % (s, e, l))\n"
	"    for c in code.co_consts:\n"
	"        if isinstance(c, types.CodeType):\n"
	"            emit(c)\n"
	"for name in names:\n"
	"    try:\n"
	"        spec = importlib.util.find_spec(name)\n"
	"        emit(spec.loader.get_code(name))\n"
	"    except ImportError:\n"
	"        pass\n"
	"far = 'def far():\\n' + '    x = 1\\n' * 400 + '\\n' * 900 + '    x = "
	"(\\n1,\\n2,\\nx)\\n' * 9\n"
	"emit(compile(far, 'far', 'exec'))\n"
	"print('end')\n";

struct table {
	uint32_t format;
	int32_t first;
	uint8_t bytes[TABLE_MAX];
	size_t len;
	int32_t code_len;
	int32_t line[CODE_MAX];
};

/* As an observer reads it: in pieces, what is left over put before the next. */
static int32_t decode(const struct table *t, int32_t offset, size_t piece)
{
	uint8_t buf[4096];
	struct dp_linetable lt;
	size_t at = 0, have = 0;

	dp_linetable_begin(&lt, t->format, t->first, offset);
	while (!lt.done && at < t->len) {
		size_t n = piece < t->len - at ? piece : t->len - at, used;

		memcpy(buf + have, t->bytes + at, n);
		have += n;
		at += n;
		used = dp_linetable_feed(&lt, buf, have);
		assert_true(used <= have);
		have -= used;
		memmove(buf, buf + used, have);
		assert_true(lt.done || have < DP_LINETABLE_ENTRY_MAX);
	}
	return dp_linetable_line(&lt);
}

static void check(const struct python *py, const struct table *t, uint64_t *compared)
{
	for (int32_t offset = 0; offset < t->code_len; offset += 2) {
		int32_t line = decode(t, offset, offset % 6 == 0 ? 1 : 3000);

		if (line != t->line[offset / 2])
			fail_msg("%s: code at line %d, offset %d: line %d, CPython says %d",
				 py->version, t->first, offset, line, t->line[offset / 2]);
		++*compared;
	}
	assert_int_equal(decode(t, -2, 100), t->first);
}

static void against_cpython(void **state)
{
	static struct table t;
	const struct pythons *ps = *state;
	unsigned int tested = 0;

	for (unsigned int i = 0; i < ps->count; i++) {
		const struct python *py = &ps->item[i];
		char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c",
				(char *)(uintptr_t)script, NULL};
		uint64_t compared = 0, codes = 0;
		char *line = NULL;
		size_t cap = 0;
		bool ended = false;
		struct child c;

		if (!supported(py))
			continue;
		c = start(argv, false);
		assert_non_null(c.out);
		t.format = py->minor < 10    ? DP_LINES_LNOTAB
			   : py->minor == 10 ? DP_LINES_310
					     : DP_LINES_LOCATIONS;
		assert_true(getline(&line, &cap, c.out) > 0);
		/* One code object after the other: header, then its ranges. */
		while (!ended) {
			int32_t next_first = 0, next_len = 0;
			int at = 0, s, e, l;
			char *hex;

			assert_int_equal(sscanf(line, "code %d %d %n", &t.first, &t.code_len, &at),
					 2);
			hex = line + at;
			t.len = 0;
			while (hex[0] != '-' && hex[0] != '\n' && t.len < TABLE_MAX) {
				unsigned int byte;

				assert_int_equal(sscanf(hex, "%2x", &byte), 1);
				t.bytes[t.len++] = (uint8_t)byte;
				hex += 2;
			}
			assert_true(t.len < TABLE_MAX && t.code_len < 2 * CODE_MAX);
			memset(t.line, 0, (size_t)(t.code_len / 2 + 1) * sizeof(t.line[0]));
			for (;;) {
				assert_true(getline(&line, &cap, c.out) > 0);
				if (sscanf(line, "code %d %d", &next_first, &next_len) == 2)
					break;
				ended = strncmp(line, "end", 3) == 0;
				if (ended)
					break;
				assert_int_equal(sscanf(line, "%d %d %d", &s, &e, &l), 3);
				for (; s < e; s += 2)
					t.line[s / 2] = l;
			}
			check(py, &t, &compared);
			codes++;
		}
		free(line);
		stop(&c);
		assert_true(codes > 2000 && compared > 100000);
		printf("%s: %lu code objects, %lu offsets agree\n", py->version,
		       (unsigned long)codes, (unsigned long)compared);
		tested++;
	}
	assert_true(tested > 0);
}

/* Every byte string is accepted: bounded, no read past the end, a line or none. */
static void garbage(void **state)
{
	static struct table t;
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		t.format = (uint32_t)round % 3;
		t.first = round % 7 ? 1000 : INT32_MAX;
		t.len = (size_t)(round % 500);
		for (size_t i = 0; i < t.len; i++) {
			seed = seed * 1664525u + 1013904223u;
			t.bytes[i] = round % 5 ? (uint8_t)(seed >> 24) : 0xff;
		}
		for (int32_t offset = 0; offset < 4000; offset += 222) {
			int32_t whole = decode(&t, offset, 4000);

			assert_true(whole >= 0);
			assert_int_equal(whole, decode(&t, offset, 1));
		}
	}
}

/* Known answers by hand, from the descriptions of the formats. */
static void by_hand(void **state)
{
	static const uint8_t lnotab[] = {6, 1, 50, (uint8_t)-3, 0, 100};
	static const uint8_t l310[] = {4, 0, 2, 0x80, 6, (uint8_t)-2};
	/* 2 units at +0, 1 unit without line, 3 units at +5 (code 13), 1 unit long form -1 */
	static const uint8_t locations[] = {0x80 | 10 << 3 | 1,
					    0,
					    0,
					    0x80 | 15 << 3,
					    0x80 | 13 << 3 | 2,
					    5 << 1,
					    0x80 | 14 << 3,
					    1 << 1 | 1,
					    0,
					    0,
					    0};
	static struct table t;

	(void)state;
	t = (struct table){.format = DP_LINES_LNOTAB, .first = 10, .len = sizeof(lnotab)};
	memcpy(t.bytes, lnotab, sizeof(lnotab));
	assert_int_equal(decode(&t, 0, 9), 10);
	assert_int_equal(decode(&t, 6, 9), 11);
	assert_int_equal(decode(&t, 54, 9), 11);
	assert_int_equal(decode(&t, 56, 9), 108);
	t.format = DP_LINES_310;
	t.len = sizeof(l310);
	memcpy(t.bytes, l310, sizeof(l310));
	assert_int_equal(decode(&t, 2, 9), 10);
	assert_int_equal(decode(&t, 4, 9), 0);
	assert_int_equal(decode(&t, 6, 9), 8);
	assert_int_equal(decode(&t, 12, 9), 0);
	t.format = DP_LINES_LOCATIONS;
	t.len = sizeof(locations);
	memcpy(t.bytes, locations, sizeof(locations));
	assert_int_equal(decode(&t, 2, 20), 10);
	assert_int_equal(decode(&t, 4, 20), 0);
	assert_int_equal(decode(&t, 10, 20), 15);
	assert_int_equal(decode(&t, 12, 20), 14);
	assert_int_equal(decode(&t, 14, 20), 0);
}

int main(void)
{
	static struct pythons ps;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(garbage),
		cmocka_unit_test_prestate(against_cpython, &ps),
	};

	pythons_find(&ps);
	return cmocka_run_group_tests_name("linetable", tests, NULL, NULL);
}
