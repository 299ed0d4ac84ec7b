// SPDX-License-Identifier: MIT
/* Golden sentences: what a person reads for each event, precision and state. */
#include <stdint.h>
#include <time.h>

#include "text_support.h"
#include "base/array.h"

#define PREFIX "2026-11-23\n07:02:27.123  camera    "
#define UNDER  "                                  "

static void expect(const struct dp_finding *f, int verbose, const char *want)
{
	char *text = text_of(f, 1, verbose, 0);

	if (*want) {
		assert_memory_equal(text, PREFIX, strlen(PREFIX));
		assert_string_equal(text + strlen(PREFIX), want);
	} else {
		assert_string_equal(text, "");
	}
	free(text);
}

static void test_each_event(void **state)
{
	static const struct {
		enum dp_finding_type type;
		int least_verbose; /* at and above this the line is printed, below it is not */
		const char *want;
	} rows[] = {
		{DP_FIND_START, 0,
		 "start     dora-probe 0.1.0 on 6.1.0, watching camera,1234; sources: futex, "
		 "sampler\n"},
		{DP_FIND_NODE, 0,
		 "node      pid 1234 of dataflow flow, Python 3.11.7, dora 0.5.0 over tcp\n" UNDER
		 "its drop tokens cannot be observed: the sockets were opened before\n" UNDER
		 "it ignores SIGINT: a nudge would not help; it catches SIGUSR1\n"},
		{DP_FIND_GIL_HOLD, 0,
		 "hold      held the GIL for between 1.20 and 1.25 s in process (vision.py:42), in "
		 "a native call of libvision.so; thread MainThread (tid 1240); 2 threads waited; "
		 "7.0 ms of it off the CPU\n"},
		{DP_FIND_GIL_WAIT, 1,
		 "wait      thread 1241 waited for the GIL for 12 ms, held by thread 1240\n"},
		{DP_FIND_WARNING, -1,
		 "WARNING   3 drop tokens pending, the oldest for 1.50 s, deadline in 8.00 s: one "
		 "native call keeps the GIL; GIL held for at least 2.00 s by thread MainThread "
		 "(tid 1240) in process (vision.py:42), inside libvision.so\n" UNDER
		 "release the GIL in that call, or split it\n" UNDER
		 "thread MainThread (tid 1240) in process (vision.py:12), inside libvision.so: "
		 "waits for a mutex of thread 1241\n" UNDER
		 "thread worker (tid 1241): waits for the GIL\n"},
		{DP_FIND_SIGNAL, 0,
		 "signal    SIGINT from pid 99 was handled after 1.20 s, thread 1234\n"},
		{DP_FIND_STOP, 0, "stop      told to stop by its daemon; SIGTERM in 10.0 s\n"},
		{DP_FIND_ACTION, -1,
		 "action    nudge: SIGINT to thread 1240 sent, attempt 2: held since before "
		 "Stop\n"},
		{DP_FIND_EXIT, -1,
		 "exit      killed by SIGKILL from pid 99 at the end of its grace period, 15.0 s "
		 "after it was told to stop; 57 drop tokens abandoned; GIL held for 98 % of the "
		 "time from stop to exit: one native call keeps the GIL\n" UNDER "why\n"},
		{DP_FIND_LOSS, 0,
		 "loss      12 lost (ring_full), 34 in all: may have spoilt holds, waits, tokens, stop, "
		 "signals, exits, nodes around this time\n"},
		{DP_FIND_FORECAST, 0, "forecast  it needs 12 s\n"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_finding f = finding_full(rows[i].type);

		for (int verbose = -1; verbose <= 1; verbose++)
			expect(&f, verbose, verbose >= rows[i].least_verbose ? rows[i].want : "");
	}
}

/* The words never say more than the precision. */
static void test_precision(void **state)
{
	static const struct {
		enum dp_precision precision;
		uint64_t lo, start, end, hi;
		const char *want;
	} rows[] = {
		{DP_PRECISION_EXACT, T0 - SEC, T0 - SEC, T0, T0, "held the GIL for 1.00 s"},
		{DP_PRECISION_EXACT, T0 - SEC + 1, T0 - SEC + 1, T0, T0, "held the GIL for 999 ms"},
		{DP_PRECISION_BOUNDED, T0 - 1250 * MS, T0 - 1200 * MS, T0, T0,
		 "held the GIL for between 1.20 and 1.25 s"},
		{DP_PRECISION_BOUNDED, T0 - 1200 * MS, T0 - 1200 * MS, T0, T0,
		 "held the GIL for 1.20 s"},
		/* A bound is missing: only the proven part can be said. */
		{DP_PRECISION_BOUNDED, DP_NULL, T0 - 1200 * MS, T0, T0,
		 "held the GIL for at least 1.20 s"},
		{DP_PRECISION_BOUNDED, 0, T0 - 1200 * MS, T0, T0,
		 "held the GIL for at least 1.20 s"},
		{DP_PRECISION_BOUNDED, T0 - SEC, T0 - 1200 * MS, T0, T0 - SEC,
		 "held the GIL for at least 1.20 s"},
		{DP_PRECISION_AT_LEAST, T0 - 1250 * MS, T0 - 1209 * MS, T0, T0 + SEC,
		 "held the GIL for at least 1.20 s"},
		{DP_PRECISION_UNCONFIRMED, T0 - 1250 * MS, T0 - 1200 * MS, T0, T0,
		 "looks as if it held the GIL for 1.20 s, unconfirmed"},
		{DP_PRECISION_COUNT, T0 - 1250 * MS, T0 - 1200 * MS, T0, T0,
		 "looks as if it held the GIL for 1.20 s, unconfirmed"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
		char want[256];

		f.u.hold = (struct dp_hold_finding){.tid = 7,
						    .precision = (uint8_t)rows[i].precision,
						    .native = -1,
						    .start_lo_ns = rows[i].lo,
						    .start_ns = rows[i].start,
						    .end_ns = rows[i].end,
						    .end_hi_ns = rows[i].hi,
						    .off_cpu_ns = DP_NULL};
		snprintf(want, sizeof(want), "hold      %s; thread 7\n", rows[i].want);
		expect(&f, 0, want);
	}
}

static void test_places(void **state)
{
	static const struct {
		struct dp_place place;
		int8_t native;
		uint8_t dora;
		const char *want;
	} rows[] = {
		{{0}, -1, 0, ""},
		{{0}, 1, 0, " in a native call"},
		{{.function = "f"}, 0, 0, " in f"},
		{{.function = "f", .file = "a.py"}, 0, 0, " in f (a.py)"},
		{{.file = "a.py", .line = 3}, -1, 0, " at a.py:3"},
		{{.function = "f", .file = "a.py", .line = 3},
		 1,
		 0,
		 " in f (a.py:3), in a native call"},
		{{.library = "libc.so.6"}, -1, 0, " inside libc.so.6"},
		{{.library = "libc.so.6"}, 1, 0, " in a native call of libc.so.6"},
		{{.function = "f", .library = "dora.abi3.so"},
		 1,
		 1,
		 " in f, in a native call of dora.abi3.so, inside dora's own code"},
		{{.function = "f\033[2J", .file = "/a\n.py", .line = 1},
		 0,
		 0,
		 " in f\\x1b[2J (/a\\x0a.py:1)"},
		{{.function = "f",
		  .line = 1,
		  .file = "/home/robot/.venv/lib/python3.11/site-packages/vision/detect.py"},
		 0,
		 0,
		 " in f (…/vision/detect.py:1)"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_finding f = finding_full(DP_FIND_GIL_HOLD);
		char want[256];

		f.u.hold = (struct dp_hold_finding){.tid = 7,
						    .precision = DP_PRECISION_EXACT,
						    .native = rows[i].native,
						    .dora_internal = rows[i].dora,
						    .start_lo_ns = T0 - SEC,
						    .start_ns = T0 - SEC,
						    .end_ns = T0,
						    .end_hi_ns = T0,
						    .off_cpu_ns = DP_NULL,
						    .place = rows[i].place};
		snprintf(want, sizeof(want), "hold      held the GIL for 1.00 s%s; thread 7\n",
			 rows[i].want);
		expect(&f, 0, want);
	}
}

static void test_tokens(void **state)
{
	static const char *const want[] = {
		[DP_TOKEN_OPEN] = "still pending at the end, after 1.29 s",
		[DP_TOKEN_RETURNED] = "returned, was pending for 1.29 s",
		[DP_TOKEN_ABANDONED] = "abandoned after pending for 1.29 s",
		[DP_TOKEN_LOST] = "lost from sight, after pending for at least 1.29 s",
	};
	struct dp_finding f = finding_full(DP_FIND_TOKEN);
	char line[512];

	(void)state;
	for (int i = 0; i < DP_TOKEN_COUNT; i++) {
		f.u.token.state = (uint8_t)i;
		snprintf(line, sizeof(line),
			 "token     08090a0b (camera/image to detector, 1.0 MB) %s, 1.20 s of that "
			 "because of the GIL: one native call keeps the GIL\n",
			 want[i]);
		expect(&f, 0, line);
		expect(&f, -1, "");
	}
	snprintf(
		line, sizeof(line),
		"token     0190abcd-0001-0203-0405-060708090a0b (camera/image to detector, 1.0 MB) "
		"%s, 1.20 s of that because of the GIL: one native call keeps the GIL\n",
		want[DP_TOKEN_LOST]);
	expect(&f, 1, line);
	f.u.token.state = DP_TOKEN_RETURNED;
	f.u.token.cause = -1;
	f.u.token.gil_held_ns = 0;
	f.u.token.receiver = NULL;
	f.u.token.bytes = 0;
	f.u.token.pending_ns = DP_NULL;
	expect(&f, 0,
	       "token     08090a0b (camera/image to a node that is not watched) returned, was pending for unknown time\n");
}

static unsigned int lines_with(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* A node that leaves gives up a hundred tokens at once: three rows and their number. */
static void test_tokens_that_end_alike(void **state)
{
	struct dp_finding f[14];
	char *text;

	(void)state;
	for (int i = 0; i < 14; i++) {
		f[i] = finding_full(DP_FIND_TOKEN);
		f[i].t_ns += (uint64_t)i * 10000000;
		f[i].u.token.pending_ns = (uint64_t)(20 - i) * 1000000000;
		f[i].u.token.state = DP_TOKEN_ABANDONED;
	}
	/* One of another way between them; the last one comes after a pause; a line at the end. */
	f[6].u.token.receiver = "map";
	f[12].t_ns += 300000000;
	f[13] = finding_full(DP_FIND_GIL_HOLD);
	f[13].t_ns = f[12].t_ns;
	text = text_of(f, 14, 0, 0);
	assert_int_equal(lines_with(text, " token "), 5);
	assert_int_equal(lines_with(text, "to map"), 1);
	assert_int_equal(lines_with(text, UNDER "and 8 more (camera/image to detector) abandoned "
						"alike, pending for 9.00 s to 17.0 s; -v shows "
						"each\n"),
			 1);
	assert_int_equal(lines_with(text, " more ("), 1);
	free(text);
	/* Without anything after them their number comes at the end. */
	text = text_of(f, 5, 0, 0);
	assert_int_equal(lines_with(text, " token "), 3);
	assert_int_equal(lines_with(text, "and 2 more"), 1);
	free(text);
	text = text_of(f, 13, 1, 0);
	assert_int_equal(lines_with(text, " token "), 13);
	assert_int_equal(lines_with(text, " more ("), 0);
	free(text);
}

/* What is held back is told half a second later, though nothing else happens. */
static void test_tokens_held_back(void **state)
{
	int fd = temp_fd();
	const struct dp_show_options o = {.fd = fd, .format = DP_SHOW_TEXT};
	struct dp_show *s = dp_show_new(&o);
	struct dp_finding f = finding_full(DP_FIND_TOKEN);
	char *text;

	(void)state;
	assert_non_null(s);
	for (int i = 0; i < 7; i++)
		assert_int_equal(dp_show_finding(s, &f), 0);
	assert_int_equal(dp_show_waiting(s, f.t_ns + 400000000), 0);
	text = read_all(fd);
	assert_int_equal(lines_with(text, "and 4 more"), 0);
	free(text);
	assert_int_equal(dp_show_waiting(s, f.t_ns + 600000000), 0);
	assert_int_equal(dp_show_waiting(s, f.t_ns + 700000000), 0);
	text = read_all(fd);
	assert_int_equal(lines_with(text, "and 4 more"), 1);
	free(text);
	dp_show_free(s);
	close(fd);
}

static void test_warnings(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_WARNING);
	struct dp_warning_finding *w = &f.u.warning;

	(void)state;
	w->advice = NULL;
	w->place.library = NULL;
	w->kind = DP_WARN_GIL_HOLD;
	w->severity = DP_SEVERITY_CRITICAL;
	expect(&f, 0,
	       "CRITICAL  the GIL has been held for at least 2.00 s by thread MainThread (tid "
	       "1240) "
	       "in process (vision.py:42)\n");
	w->place.file = "/usr/lib/python3.11/json/encoder.py";
	w->place.function = "encode";
	w->place.line = 200;
	expect(&f, 0,
	       "CRITICAL  the GIL has been held for at least 2.00 s by thread MainThread (tid "
	       "1240) in encode (/usr/lib/python3.11/json/encoder.py:200), called from process "
	       "(vision.py:42)\n");
	w->place.function = "<garbage collection>";
	w->place.file = NULL;
	w->place.line = 0;
	expect(&f, 0,
	       "CRITICAL  the GIL has been held for at least 2.00 s by thread MainThread (tid "
	       "1240) in <garbage collection>, called from process (vision.py:42)\n");
	w->kind = DP_WARN_DEADLINE;
	w->cause = DP_CAUSE_UNKNOWN;
	w->holder_tid = 0;
	w->place = (struct dp_place){0};
	w->held_ns = DP_NULL;
	w->severity = DP_SEVERITY_NOTICE;
	expect(&f, 0,
	       "notice    not expected to make its deadline, 500 ms short, deadline in 8.00 s: "
	       "cause unknown\n");
	w->slack_ns = (int64_t)SEC;
	expect(&f, 0, "notice    may miss its deadline, deadline in 8.00 s: cause unknown\n");
	w->slack_ns = DP_SNULL;
	w->deadline_ns = T0 - SEC;
	w->cause = -1;
	expect(&f, 0, "notice    may miss its deadline, deadline passed 1.00 s ago\n");
	w->kind = DP_WARN_STOP_PENDING;
	w->deadline_ns = DP_NULL;
	expect(&f, 0, "notice    told to stop and still running\n");
	w->kind = DP_WARN_DEADLOCK;
	w->cause = DP_CAUSE_DEADLOCK;
	w->chain = NULL;
	expect(&f, 0,
	       "notice    threads wait for each other: the holder of the GIL waits for a thread "
	       "that waits for the GIL\n");
	w->advice = "break the cycle";
	w->chain = &full_chain;
	expect(&f, 0,
	       "notice    threads wait for each other: the holder of the GIL waits for a thread "
	       "that waits for the GIL\n"
	       "                                  break the cycle\n"
	       "                                  thread MainThread (tid 1240) in process "
	       "(vision.py:12), inside libvision.so: waits for a mutex of thread 1241\n"
	       "                                  thread worker (tid 1241): waits for the GIL\n");
	w->advice = NULL;
	w->kind = DP_WARN_TOKEN_PENDING;
	w->cause = DP_CAUSE_REFERENCE_KEPT;
	w->pending_tokens = 1;
	expect(&f, 0,
	       "notice    1 drop token pending, for 1.50 s: the array is still referenced\n");
	w->resolved = 1;
	expect(&f, -1, "over      drop tokens are no longer pending for so long\n");
	w->kind = DP_WARN_GIL_HOLD;
	expect(&f, 0, "over      the GIL is no longer held for so long\n");
}

static void test_signals_and_stops(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_SIGNAL);

	(void)state;
	/* A signal handled in good time is only for -v. */
	f.u.signal.sent_ns = T0 - 99 * MS;
	f.u.signal.delivered_ns = T0 - 98 * MS;
	expect(&f, 0, "");
	expect(&f, 1, "signal    SIGINT from pid 99 was handled after 99 ms, thread 1234\n");
	f.u.signal.sent_ns = T0 - 3 * SEC;
	f.u.signal.handled_ns = f.u.signal.delivered_ns = DP_NULL;
	f.u.signal.tid = 0;
	expect(&f, 0, "signal    SIGINT from pid 99 has not been delivered after 3.00 s\n");

	f = finding_full(DP_FIND_STOP);
	f.u.stop.reason = DP_STOP_ALL_INPUTS_CLOSED;
	f.u.stop.deadline_ns = DP_NULL;
	expect(&f, 0, "stop      all its inputs are closed; no deadline\n");
	f.u.stop.reason = DP_STOP_SIGTERM;
	f.u.stop.deadline_ns = T0 + SEC;
	f.u.stop.kill_signal = 0;
	expect(&f, 0, "stop      told to stop by SIGTERM; deadline in 1.00 s\n");
}

static void test_actions_and_exits(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_ACTION);

	(void)state;
	f.u.action.attempt = 1;
	f.u.action.result = DP_RESULT_WOULD_SEND;
	expect(&f, 0,
	       "action    nudge: SIGINT to thread 1240 would be sent, nothing was: held since "
	       "before Stop\n");
	f.u.action.result = DP_RESULT_REFUSED;
	f.u.action.dry_run = 1;
	expect(&f, 0,
	       "action    nudge: SIGINT to thread 1240 not sent (dry run): held since before "
	       "Stop\n");
	f.u.action = (struct dp_action_finding){.action = DP_ACTION_STOP_DATAFLOW,
						.result = DP_RESULT_FAILED,
						.attempt = 1,
						.reason = "no such command"};
	expect(&f, 0, "action    stop the dataflow: failed: no such command\n");

	f = finding_full(DP_FIND_EXIT);
	f.u.exit = (struct dp_exit_finding){
		.code = 0, .cause = -1, .since_stop_ns = 3 * SEC, .gil_share = -1.0, .saved = 1};
	expect(&f, 0,
	       "exit      ended with exit code 0, 3.00 s after it was told to stop, in time after "
	       "a "
	       "nudge\n");
	f.u.exit = (struct dp_exit_finding){
		.code = -1, .cause = -1, .since_stop_ns = DP_NULL, .gil_share = -1.0};
	expect(&f, 0, "exit      ended, how is not known\n");
}

static void test_forecasts(void **state)
{
	struct dp_finding f = finding_full(DP_FIND_FORECAST);

	(void)state;
	f.u.forecast.text = NULL;
	expect(&f, 0,
	       "forecast  stopped now, it would need 12.0 s of a grace period of 10.0 s: at risk of being killed\n");
	f.u.forecast.at_risk = 0;
	expect(&f, 0, "");
	expect(&f, 1, "forecast  stopped now, it would need 12.0 s of a grace period of 10.0 s\n");
	f.u.forecast.at_least = 1;
	f.u.forecast.need_ns = 12 * SEC + 1;
	expect(&f, 1,
	       "forecast  stopped now, it would need at least 12.0 s of a grace period of 10.0 "
	       "s\n");
	f.u.forecast.text = "if you stopped now\033[2J";
	expect(&f, 1, "forecast  if you stopped now\\x1b[2J\n");
}

/* What was there when the probe came; a limit that cut the look is said below. */
static void test_stock(void **state)
{
	struct dp_finding f[2] = {finding_full(DP_FIND_STOCK), finding_empty(DP_FIND_STOCK)};
	char *text;

	(void)state;
	f[1].node = "b";
	text = text_of(f, 2, 0, 0);
	assert_string_equal(
		text,
		"2026-11-23\n"
		"07:02:27.123  camera    found     it runs already for 25.0 s, with 4 connections "
		"to its daemon (dora 0.5.0); 300 messages mapped, the oldest for at most 24.0 s; "
		"a `dora stop` runs for 2.00 s\n"
		"                                  not known: what was before\n"
		"+100.000      b         found     it runs already, with 0 connections to its "
		"daemon\n"
		"                                  a limit cut the look at its sockets and "
		"memory: there may be more\n");
	free(text);
	text = text_of(f, 2, -1, 0);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_event),
		cmocka_unit_test(test_precision),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_tokens_that_end_alike),
		cmocka_unit_test(test_tokens_held_back),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_signals_and_stops),
		cmocka_unit_test(test_actions_and_exits),
		cmocka_unit_test(test_forecasts),
		cmocka_unit_test(test_stock),

	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
