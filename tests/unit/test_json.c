// SPDX-License-Identifier: MIT
/*
 * JSON lines: every event is parsed back by a real parser (python3's) and checked against a table
 * of the keys that users' programs rely on.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "findings.h"
#include "base/array.h"
#include "json_contract.h"

/* Reads the table as argument 1, "full" or "empty" as argument 2, JSON lines as standard input. */
static const char checker[] =
	"import json, re, sys\n"
	"table = {l.split()[0]: l.split()[1:] for l in sys.argv[1].splitlines()}\n"
	"mode, seen = sys.argv[2], set()\n"
	"def no(x): raise ValueError('not JSON: ' + x)\n"
	"def pairs(p):\n"
	"    keys = [k for k, v in p]\n"
	"    assert len(set(keys)) == len(keys), ('key twice', keys)\n"
	"    return dict(p)\n"
	"def check(name, o):\n"
	"    seen.add(name)\n"
	"    assert name in table, (name, 'is no event of tests/unit/json_contract.h')\n"
	"    for k in table[name]:\n"
	"        key, nullable = k.rstrip('?'), k.endswith('?')\n"
	"        assert key in o, (name, key, 'is in json_contract.h, and not in the line')\n"
	"        null = o[key] is None\n"
	"        assert null == (nullable and mode == 'empty'), (name, key, o[key],\n"
	"            'findings.h: finding_' + mode + '(); ? in json_contract.h: can be null')\n"
	"        if null: continue\n"
	"        if key.endswith('_ns') or key in ('pid', 'tid', 'bytes', 'line', 'records'):\n"
	"            assert type(o[key]) is int, (name, key, o[key])\n"
	"        if key in ('resolved', 'dry_run', 'saved', 'grace_kill', 'gil_observable', "
	"'at_risk'):\n"
	"            assert type(o[key]) is bool, (name, key, o[key])\n"
	"        if key in ('nodes', 'waiters', 'sources', 'targets'):\n"
	"            assert type(o[key]) is list, (name, key, o[key])\n"
	"    extra = set(o) - {k.rstrip('?') for k in table[name]} - {'t_ns', 'time', 'event'}\n"
	"    extra -= {k for k in extra if k.endswith('_name') and k[:-5] in o}\n"
	"    assert not extra, (name, 'tests/unit/json_contract.h does not have', extra)\n"
	"for line in sys.stdin.buffer:\n"
	"    o = json.loads(line.decode('utf-8', 'strict'), parse_constant=no, "
	"object_pairs_hook=pairs)\n"
	"    assert list(o)[:3] == ['t_ns', 'time', 'event'] and type(o['t_ns']) is int, o\n"
	"    if mode == 'full':\n"
	"        assert o['time'] == '2026-11-23T07:02:27.123456Z', o['time']\n"
	"    else:\n"
	"        assert o['time'] is None\n"
	"    check(o['event'], o)\n"
	"    for n in o.get('nodes', []): check('summary.nodes', n)\n"
	"assert seen == set(table), set(table) ^ seen\n";

/* Runs python3 on fd's content; its exit status. */
static int python(const char *script, const char *arg1, const char *arg2, int fd)
{
	int status;
	pid_t pid;

	lseek(fd, 0, SEEK_SET);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fd, 0);
		execlp("python3", "python3", "-c", script, arg1, arg2, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct dp_show *json_to(int fd)
{
	const struct dp_show_options o = {.fd = fd, .format = DP_SHOW_JSON};
	struct dp_show *s = dp_show_new(&o);

	assert_non_null(s);
	return s;
}

static void check_all(struct dp_finding (*make)(enum dp_finding_type), const char *mode)
{
	int fd = temp_fd();
	struct dp_show *s = json_to(fd);

	for (int type = 0; type < DP_FIND_COUNT; type++) {
		struct dp_finding f = make((enum dp_finding_type)type);

		assert_int_equal(dp_show_finding(s, &f), 0);
	}
	dp_show_free(s);
	assert_int_equal(python(checker, contract, mode, fd), 0);
	close(fd);
}

static void test_every_event_full(void **state)
{
	(void)state;
	check_all(finding_full, "full");
}

static void test_every_event_unknown(void **state)
{
	(void)state;
	check_all(finding_empty, "empty");
}

/* The checker itself must be able to fail: a missing key and a null where none is allowed. */
static void test_checker_can_fail(void **state)
{
	static const char line[] = "{\"t_ns\":1,\"time\":null,\"event\":\"loss\",\"reason\":null,"
				   "\"count\":1}\n";
	int fd = temp_fd(), stderr_fd = dup(2), null = open("/dev/null", O_WRONLY);

	(void)state;
	dup2(null, 2);
	assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
	assert_int_not_equal(python(checker, "loss reason\n", "empty", fd), 0);
	assert_int_not_equal(python(checker, "loss count total\n", "empty", fd), 0);
	assert_int_not_equal(python(checker, "loss count\n", "empty", fd), 0);
	assert_int_equal(python(checker, "loss reason? count\n", "empty", fd), 0);
	dup2(stderr_fd, 2);
	close(stderr_fd);
	close(null);
	close(fd);
}

static char *one_line(const struct dp_finding *f)
{
	int fd = temp_fd();
	struct dp_show *s = json_to(fd);
	char *text;

	assert_int_equal(dp_show_finding(s, f), 0);
	dp_show_free(s);
	text = read_all(fd);
	close(fd);
	return text;
}

#define assert_has(text, part)                                                                     \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("no `%s` in: %s", (part), (text));                                \
	} while (0)

/* Numbers and names exactly as fixed: values, not only keys. */
static void test_values(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
	char *text = one_line(&f);

	(void)state;
	assert_has(text, "{\"t_ns\":100000000000,\"time\":\"2026-11-23T07:02:27.123456Z\","
			 "\"event\":\"gil_hold\",\"pid\":1234,");
	assert_has(text, "\"start_lo_ns\":98750000000,\"start_ns\":98790000000,"
			 "\"end_ns\":99995000000,\"end_hi_ns\":100000000000,"
			 "\"duration_ns\":1205000000,\"precision\":\"bounded\"");
	assert_has(text, "\"native\":true");
	assert_has(text, "\"waiters\":[1241,1242]");
	free(text);

	f = finding_full(DP_FIND_TOKEN);
	text = one_line(&f);
	assert_has(text, "\"token\":\"0190abcd-0001-0203-0405-060708090a0b\"");
	assert_has(text, "\"state\":\"returned\"");
	assert_has(text, "\"cause\":\"gil_native\"");
	free(text);

	f = finding_full(DP_FIND_EXIT);
	text = one_line(&f);
	assert_has(text, "\"gil_share\":0.984000");
	assert_has(text, "\"signal\":9,\"signal_name\":\"SIGKILL\"");
	free(text);

	f = finding_full(DP_FIND_NODE);
	text = one_line(&f);
	assert_has(text, "\"readiness\":{\"nudge_signal\":\"SIGINT\",\"disposition\":\"ignored\","
			 "\"caught_signal\":\"SIGUSR1\"}");
	free(text);

	f = finding_full(DP_FIND_WARNING);
	text = one_line(&f);
	assert_has(text, "\"slack_ns\":-500000000");
	free(text);

	f = finding_full(DP_FIND_EXIT);
	f.u.exit.gil_share = (double)NAN;
	text = one_line(&f);
	assert_has(text, "\"gil_share\":null");
	free(text);

	f = finding_full(DP_FIND_EXIT);
	f.u.exit.gil_share = 1.0;
	text = one_line(&f);
	assert_has(text, "\"gil_share\":1.000000");
	free(text);
}

/* Names of a hostile target: what a strict parser reads back is the name, made valid. */
static const char *const hostile[] = {
	"plain",
	"quote\" back\\slash",
	"new\nline\ttab\rret",
	"esc\033[31mred\033[0m",
	"\001\037\177",
	"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80",
	"latin1 \xe9 end",
	"\xff\xfe",
	"\xc0\xaf overlong",
	"\xed\xa0\x80 surrogate",
	"\xf4\x90\x80\x80 beyond",
	"cut \xe2\x82",
	"cut \xf0\x9f\x98",
	"\xc2\x9b"
	"31m C1",
	"\xe2\x80\xae"
	"reversed",
	"\xf3\xa0\x80\xa0 tag",
	"\xe2\x82"
	"A\xf0\x9f"
	"B",
	"</script>&amp;",
	"'; rm -rf /",
	"\x80",
};

static void test_hostile_names(void **state)
{
	/* stdin: JSON lines; argument 1: the raw names in hex, one a line. */
	static const char script[] = "import json, sys\n"
				     "names = [bytes.fromhex(h) for h in sys.argv[1].split()]\n"
				     "lines = sys.stdin.buffer.read().split(b'\\n')[:-1]\n"
				     "assert len(lines) == len(names), (len(lines), len(names))\n"
				     "for raw, line in zip(names, lines):\n"
				     "    assert all(b >= 0x20 and b != 0x7f for b in line), line\n"
				     "    text = line.decode('utf-8', 'strict')\n"
				     "    assert not any(0x80 <= ord(c) < 0xa0 or ord(c) == 0x202e "
				     "for c in text), line\n"
				     "    o = json.loads(text)\n"
				     "    want = raw.decode('utf-8', 'replace')\n"
				     "    assert o['node'] == want, (o['node'], want)\n"
				     "    assert o['function'] == want and o['thread'] == want\n";
	char hex[4096] = "";
	int fd = temp_fd();
	struct dp_show *s = json_to(fd);

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(hostile); i++) {
		struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);

		f.node = hostile[i];
		f.u.hold.place.function = hostile[i];
		f.u.hold.place.thread = hostile[i];
		assert_int_equal(dp_show_finding(s, &f), 0);
		for (const char *p = hostile[i]; *p; p++)
			sprintf(hex + strlen(hex), "%02x", (unsigned char)*p);
		strcat(hex, "\n");
	}
	dp_show_free(s);
	assert_int_equal(python(script, hex, "", fd), 0);
	close(fd);
}

/* More nodes than fit: still one valid line, and the rest is counted. */
static void test_huge_summary(void **state)
{
	static const char script[] =
		"import json, sys\n"
		"lines = sys.stdin.read().splitlines()\n"
		"assert len(lines) == 1\n"
		"o = json.loads(lines[0])\n"
		"assert len(o['nodes']) + o['nodes_left_out'] == 4000, o['nodes_left_out']\n"
		"assert len(o['nodes']) > 100 and o['nodes_left_out'] > 0\n"
		"assert len(lines[0]) < 600000\n";
	struct dp_finding f = finding_full(DP_FIND_SUMMARY);
	int fd = temp_fd();
	struct dp_show *s = json_to(fd);

	(void)state;
	assert_int_equal(dp_show_finding(s, &f), 0);
	f = finding_full(DP_FIND_SUMMARY_NODE);
	for (int i = 0; i < 4000; i++)
		assert_int_equal(dp_show_finding(s, &f), 0);
	f = finding_full(DP_FIND_SUMMARY_END);
	assert_int_equal(dp_show_finding(s, &f), 0);
	dp_show_free(s);
	assert_int_equal(python(script, "", "", fd), 0);
	close(fd);
}

static void test_filters(void **state)
{
	int fd = temp_fd();
	const struct dp_show_options o = {
		.fd = fd, .format = DP_SHOW_JSON, .hold_threshold_ns = 1205 * MS};
	struct dp_show *s = dp_show_new(&o);
	struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
	char *text;

	(void)state;
	assert_int_equal(dp_show_finding(s, &f), 0); /* exactly at the threshold: printed */
	f.u.hold.end_ns--;
	f.u.hold.tid = 777;
	assert_int_equal(dp_show_finding(s, &f), 0);
	f = finding_full(DP_FIND_TOKEN);
	f.u.token.print = 0;
	assert_int_equal(dp_show_finding(s, &f), 0);
	/* Parts of a summary that was never begun print nothing. */
	f = finding_full(DP_FIND_SUMMARY_NODE);
	assert_int_equal(dp_show_finding(s, &f), 0);
	f = finding_full(DP_FIND_SUMMARY_END);
	assert_int_equal(dp_show_finding(s, &f), 0);
	dp_show_free(s);
	text = read_all(fd);
	assert_has(text, "\"tid\":1240");
	assert_null(strstr(text, "777"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	close(fd);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void test_broken_pipe(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_LOSS);
	struct dp_show *s;
	int p[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(p), 0);
	s = json_to(p[1]);
	assert_int_equal(dp_show_finding(s, &f), 0);
	close(p[0]);
	assert_int_equal(dp_show_finding(s, &f), -EPIPE);
	assert_int_equal(dp_show_finding(s, &f), -EPIPE);
	dp_show_free(s);
	close(p[1]);
}

struct reader {
	int fd;
	char *buf;
	size_t len, cap;
};

static void *read_until_end(void *arg)
{
	struct reader *r = arg;
	ssize_t n;

	while (r->len < r->cap) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};

		poll(&p, 1, -1);
		n = read(r->fd, r->buf + r->len, r->cap - r->len);
		if (n <= 0)
			break;
		r->len += (size_t)n;
	}
	return NULL;
}

/*
 * A reader that does not read holds the writer up for a bounded time, on a blocking and on a
 * non-blocking pipe; lines are kept whole and in order, or left out whole, and that is said.
 */
static void slow_reader(int nonblock)
{
	struct reader reader = {.cap = 4 * DP_SHOW_BACKLOG_MAX};
	struct dp_finding f = finding_full(DP_FIND_LOSS);
	unsigned int accepted = 0, lines = 0;
	struct timespec before, after;
	pthread_t thread;
	struct dp_show *s;
	int fds[2], r = 0;

	reader.buf = malloc(reader.cap);
	assert_non_null(reader.buf);
	assert_int_equal(pipe2(fds, nonblock ? O_NONBLOCK : 0), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
	s = json_to(fds[1]);
	clock_gettime(CLOCK_MONOTONIC, &before);
	/* Large summaries fill the backlog in few calls, each of which waits. */
	for (int i = 0; i < 12 && r == 0; i++) {
		struct dp_finding g = finding_full(DP_FIND_SUMMARY);

		g.u.summary.records = accepted;
		assert_int_equal(dp_show_finding(s, &g), 0);
		g = finding_full(DP_FIND_SUMMARY_NODE);
		for (int n = 0; n < 400; n++)
			assert_int_equal(dp_show_finding(s, &g), 0);
		g = finding_full(DP_FIND_SUMMARY_END);
		r = dp_show_finding(s, &g);
		assert_true(r == 0 || r == -ENOBUFS);
		accepted += r == 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(r, -ENOBUFS);
	/* Twelve calls of 0.1 s at most, with room for a busy machine. */
	assert_true(after.tv_sec - before.tv_sec < 20);

	reader.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, read_until_end, &reader), 0);
	assert_int_equal(dp_show_finding(s, &f), 0);
	dp_show_free(s);
	close(fds[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (char *p = reader.buf, *end; p < reader.buf + reader.len; p = end + 1, lines++) {
		char *number;

		end = memchr(p, '\n', (size_t)(reader.buf + reader.len - p));
		assert_non_null(end);
		*end = '\0';
		assert_memory_equal(p, "{\"t_ns\":", 8);
		assert_int_equal(end[-1], '}');
		number = strstr(p, lines < accepted ? "\"records\":" : "\"total\":34");
		assert_non_null(number);
		if (lines < accepted)
			assert_int_equal(strtoul(number + strlen("\"records\":"), NULL, 10), lines);
	}
	assert_int_equal(lines, accepted + 1);
	free(reader.buf);
	close(fds[0]);
}

static void test_slow_reader(void **state)
{
	(void)state;
	slow_reader(0);
	slow_reader(1);
}

static void test_bad_fd(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_LOSS);
	int fd = open("/dev/null", O_RDONLY);
	struct dp_show *s = json_to(fd);

	(void)state;
	assert_int_equal(dp_show_finding(s, &f), -EBADF);
	dp_show_free(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_full), cmocka_unit_test(test_every_event_unknown),
		cmocka_unit_test(test_checker_can_fail), cmocka_unit_test(test_values),
		cmocka_unit_test(test_hostile_names),    cmocka_unit_test(test_huge_summary),
		cmocka_unit_test(test_filters),          cmocka_unit_test(test_broken_pipe),
		cmocka_unit_test(test_slow_reader),      cmocka_unit_test(test_bad_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
