// SPDX-License-Identifier: MIT
/* The two pictures of a run: parsed by real parsers (python3's), with hostile names and too much of
 * all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "findings.h"
#include "base/array.h"
#include "show/timeline.h"
#include "show/trace.h"

static int python(const char *script, int fd)
{
	int status;
	pid_t pid;

	lseek(fd, 0, SEEK_SET);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fd, 0);
		execlp("python3", "python3", "-c", script, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char nasty[] = "</title><script>alert(1)</script>\"'&\033[31m\xff\n";

static void test_trace(void **state)
{
	static const char script[] =
		"import json, sys\n"
		"o = json.load(sys.stdin)\n"
		"ev = o['traceEvents']\n"
		"by = {}\n"
		"for e in ev: by.setdefault((e['ph'], e['cat']), []).append(e)\n"
		"h = by['X', 'gil_hold']\n"
		"assert len(h) == 2 and h[0]['ts'] == 98790000.0 and h[0]['dur'] == 1205000.0, h\n"
		"assert h[0]['pid'] == 1234 and h[0]['tid'] == 1240 and h[0]['name'] == 'process'\n"
		"assert h[0]['args']['precision'] == 'bounded'\n"
		"assert h[1]['name'].startswith('</title>')\n"
		"b, e = by['b', 'token'], by['e', 'token']\n"
		"assert [x['id'] for x in b] == [x['id'] for x in e] and b[0]['pid'] == 1300\n"
		"assert e[0]['ts'] - b[0]['ts'] == 1290000.0\n"
		"assert by['M', '__metadata'][0]['args']['name'] == 'camera'\n"
		"for c in ('warning', 'stop', 'action', 'exit', 'loss', 'signal'):\n"
		"    assert len(by['i', c]) == 1, c\n"
		"assert len(by['X', 'gil_wait']) == 1\n";
	int fd = temp_fd();
	FILE *out = fdopen(dup(fd), "w");
	struct dp_trace *t = dp_trace_new(out);
	struct dp_finding f;

	(void)state;
	for (int type = 0; type < DP_FIND_COUNT; type++) {
		f = finding_full((enum dp_finding_type)type);
		dp_trace_finding(t, &f);
	}
	f = finding_full(DP_FIND_GIL_HOLD);
	f.u.hold.place.function = nasty;
	dp_trace_finding(t, &f);
	/* What has no times is not drawn, and does not break the file. */
	f = finding_empty(DP_FIND_GIL_HOLD);
	dp_trace_finding(t, &f);
	f = finding_empty(DP_FIND_TOKEN);
	dp_trace_finding(t, &f);
	assert_int_equal(dp_trace_end(t), 0);
	fclose(out);
	assert_int_equal(python(script, fd), 0);
	close(fd);
}

/*
 * Holds of a thread whose brackets overlap, a wait that reaches into a hold, in the order in which they
 * are found: on no track does one slice begin within another and end after it.
 */
static void test_trace_slices_nest(void **state)
{
	static const char script[] =
		"import json, sys\n"
		"tracks = {}\n"
		"for e in json.load(sys.stdin)['traceEvents']:\n"
		"    if e['ph'] == 'X':\n"
		"        tracks.setdefault((e['pid'], e['tid']), []).append((e['ts'], e['ts'] + e['dur']))\n"
		"assert sum(map(len, tracks.values())) == 9, tracks\n"
		"for all in tracks.values():\n"
		"    for a in all:\n"
		"        for b in all:\n"
		"            assert not a[0] < b[0] < a[1] < b[1], (a, b)\n";
	static const struct {
		enum dp_finding_type type;
		uint32_t tid;
		uint64_t start, end;
	} rows[] = {
		{DP_FIND_GIL_HOLD, 1240, 100, 200}, {DP_FIND_GIL_HOLD, 1240, 150, 300},
		{DP_FIND_GIL_WAIT, 1240, 280, 400}, {DP_FIND_GIL_WAIT, 1240, 390, 450},
		{DP_FIND_GIL_HOLD, 1240, 300, 440}, {DP_FIND_GIL_HOLD, 1241, 290, 310},
		{DP_FIND_GIL_WAIT, 1241, 100, 290}, {DP_FIND_GIL_HOLD, 1240, 439, 500},
		{DP_FIND_GIL_HOLD, 1240, 450, 460},
	};
	int fd = temp_fd();
	FILE *out = fdopen(dup(fd), "w");
	struct dp_trace *t = dp_trace_new(out);

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_finding f = finding_full(rows[i].type);

		if (rows[i].type == DP_FIND_GIL_HOLD) {
			f.u.hold.tid = rows[i].tid;
			f.u.hold.start_ns = rows[i].start * MS;
			f.u.hold.end_ns = rows[i].end * MS;
		} else {
			f.u.wait.tid = rows[i].tid;
			f.u.wait.start_ns = rows[i].start * MS;
			f.u.wait.end_ns = rows[i].end * MS;
		}
		dp_trace_finding(t, &f);
	}
	assert_int_equal(dp_trace_end(t), 0);
	fclose(out);
	assert_int_equal(python(script, fd), 0);
	close(fd);
}

static void test_page(void **state)
{
	static const char script[] =
		"import re, sys, xml.etree.ElementTree as E\n"
		"text = sys.stdin.buffer.read().decode('utf-8', 'strict')\n"
		"root = E.fromstring(text)\n"
		"s, x = '{http://www.w3.org/2000/svg}', '{http://www.w3.org/1999/xhtml}'\n"
		"assert not list(root.iter(x + 'script')) and not list(root.iter(s + 'script'))\n"
		"for e in root.iter():\n"
		"    for k, v in e.attrib.items():\n"
		"        assert not k.startswith('on') and k not in ('href', 'src'), (k, v)\n"
		"assert not re.search(r'url\\(|@import', text)\n"
		"rest = text.replace('http://www.w3.org/1999/xhtml', '').replace("
		"'http://www.w3.org/2000/svg', '')\n"
		"assert '://' not in rest\n"
		"assert not re.search('[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]', text)\n"
		"svg = max(root.iter(s + 'svg'), key=lambda e: float(e.get('width')))\n"
		"rects = [(r.get('class'), float(r.get('x')), float(r.get('width')), "
		"float(r.get('y')))\n"
		"         for r in svg.iter(s + 'rect')]\n"
		"holds = [r for r in rects if r[0] == 'hold']\n"
		"assert len(holds) == 2 and len([r for r in rects if r[0] == 'token']) == 3, "
		"rects\n"
		"assert len([r for r in rects if r[0] == 'wait']) == 1\n"
		"assert len([l for l in svg.iter(s + 'line') if 'mark' in l.get('class')]) == 4\n"
		"assert all(r[1] >= 150 and r[2] > 0 for r in rects)\n"
		"assert all(r[1] + r[2] <= float(svg.get('width')) for r in rects)\n"
		"assert max(r[3] for r in rects) + 14 <= float(svg.get('height'))\n"
		"tokens = [r for r in rects if r[0] == 'token']\n"
		"assert len({r[3] for r in tokens}) == 3, 'overlapping tokens share a lane'\n"
		"titles = [t.text for t in svg.iter(s + 'title')]\n"
		"assert any(t.startswith('hold held the GIL for between 1.20 and 1.25 s in process "
		"'"
		"'(vision.py:42)') for t in titles), titles\n"
		"assert any('</title><script>alert(1)' in t for t in titles), titles\n"
		"names = [t.text for t in svg.iter(s + 'text') if t.get('class') == 'name']\n"
		"assert names[0] == 'camera' and names[1] == 'detector', names\n"
		"pre = root.find('.//' + x + 'pre').text\n"
		"assert 'told to stop by its daemon' in pre and 'Summary: 12345 records' in pre\n";
	struct dp_timeline *t = dp_timeline_new();
	int fd = temp_fd();
	FILE *out = fdopen(dup(fd), "w");
	struct dp_finding f;

	(void)state;
	assert_non_null(t);
	for (int type = 0; type < DP_FIND_COUNT; type++) {
		f = finding_full((enum dp_finding_type)type);
		dp_timeline_finding(t, &f);
	}
	for (int i = 0; i < 2; i++) {
		f = finding_full(DP_FIND_TOKEN);
		dp_timeline_finding(t, &f);
	}
	f = finding_full(DP_FIND_GIL_HOLD);
	f.u.hold.place.function = nasty;
	dp_timeline_finding(t, &f);
	f = finding_empty(DP_FIND_GIL_HOLD);
	f.pid = 1234;
	dp_timeline_finding(t, &f);
	assert_int_equal(dp_timeline_write(t, out), 0);
	dp_timeline_free(t);
	fclose(out);
	assert_int_equal(python(script, fd), 0);
	close(fd);
}

/* A run without a finding, and one with far too many: pages all the same, the longest spans kept.
 */
static void test_page_limits(void **state)
{
	static const char empty[] = "import sys, xml.etree.ElementTree as E\n"
				    "E.fromstring(sys.stdin.buffer.read())\n";
	static const char huge[] =
		"import re, sys, xml.etree.ElementTree as E\n"
		"text = sys.stdin.buffer.read().decode()\n"
		"root = E.fromstring(text)\n"
		"s = '{http://www.w3.org/2000/svg}'\n"
		"svg = max(root.iter(s + 'svg'), key=lambda e: float(e.get('width')))\n"
		"assert len(list(svg.iter(s + 'rect'))) + len([l for l in svg.iter(s + 'line')"
		" if 'mark' in l.get('class')]) == 20000\n"
		"left = int(re.search(r'(\\d+) shorter spans', text).group(1))\n"
		"assert left == 100000 + 255 + 1 - 20000, left\n"
		"assert 'Only the first 256 nodes' in text\n"
		"assert any('held the GIL for 1 h 0 min' in t.text for t in svg.iter(s + "
		"'title'))\n"
		"assert any(t.text.startswith('stop ') for t in svg.iter(s + 'title'))\n"
		"assert 'More findings than fit here' in text\n"
		"assert len(text) < 40e6\n";
	struct dp_timeline *t = dp_timeline_new();
	int fd = temp_fd();
	FILE *out = fdopen(dup(fd), "w");
	struct dp_finding f;

	(void)state;
	assert_int_equal(dp_timeline_write(t, out), 0);
	dp_timeline_free(t);
	fclose(out);
	assert_int_equal(python(empty, fd), 0);
	close(fd);

	fd = temp_fd();
	out = fdopen(dup(fd), "w");
	t = dp_timeline_new();
	f = finding_full(DP_FIND_STOP);
	f.pid = 5000;
	dp_timeline_finding(t, &f);
	f = finding_full(DP_FIND_GIL_HOLD);
	f.u.hold.precision = DP_PRECISION_EXACT;
	for (uint64_t i = 0; i < 100000; i++) {
		f.pid = 5000;
		f.u.hold.start_ns = T0 + i * 30 * MS;
		f.u.hold.end_ns = f.u.hold.start_ns + (i == 777 ? 3600 * SEC : 20 * MS + i);
		dp_timeline_finding(t, &f);
	}
	for (uint32_t i = 0; i < 300; i++) {
		f.pid = 10000 + i;
		dp_timeline_finding(t, &f);
	}
	assert_int_equal(dp_timeline_write(t, out), 0);
	dp_timeline_free(t);
	fclose(out);
	assert_int_equal(python(huge, fd), 0);
	close(fd);
}

/* From the first moment to the last one of all, as a damaged recording may say: a page of ordinary size. */
static void test_page_of_all_time(void **state)
{
	struct dp_timeline *t = dp_timeline_new();
	struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
	int fd = temp_fd();
	FILE *out = fdopen(dup(fd), "w");

	(void)state;
	f.u.hold.start_ns = 1;
	f.u.hold.end_ns = 2;
	dp_timeline_finding(t, &f);
	f.u.hold.start_ns = UINT64_MAX - 2;
	f.u.hold.end_ns = UINT64_MAX - 1;
	dp_timeline_finding(t, &f);
	assert_int_equal(dp_timeline_write(t, out), 0);
	dp_timeline_free(t);
	fclose(out);
	assert_true(lseek(fd, 0, SEEK_END) < 1000000);
	close(fd);
}

static void test_cannot_write(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct dp_timeline *page = dp_timeline_new();
	struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
	struct dp_trace *trace;

	(void)state;
	assert_non_null(full);
	dp_timeline_finding(page, &f);
	assert_int_equal(dp_timeline_write(page, full), -ENOSPC);
	dp_timeline_free(page);
	fclose(full);
	full = fopen("/dev/full", "w");
	trace = dp_trace_new(full);
	dp_trace_finding(trace, &f);
	assert_int_equal(dp_trace_end(trace), -ENOSPC);
	fclose(full);
}

/* Times of a damaged recording, up to the last number there is: the page stays a page. */
static void test_page_without_end(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);

	(void)state;
	for (uint64_t less = 0; less < 5; less++) {
		int fd = temp_fd();
		FILE *out = fdopen(dup(fd), "w");
		struct dp_timeline *t = dp_timeline_new();

		f.u.hold.start_ns = less;
		f.u.hold.end_ns = UINT64_MAX - 1 - less * 1000000000000000ULL;
		dp_timeline_finding(t, &f);
		/* Ended here, it would be by a signal. */
		alarm(20);
		assert_int_equal(dp_timeline_write(t, out), 0);
		alarm(0);
		dp_timeline_free(t);
		fclose(out);
		assert_in_range(lseek(fd, 0, SEEK_END), 1000, 1 << 20);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_trace_slices_nest),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_limits),
		cmocka_unit_test(test_cannot_write),
		cmocka_unit_test(test_page_without_end),
		cmocka_unit_test(test_page_of_all_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
