// SPDX-License-Identifier: MIT
/* The command line: tables of good and of bad input, each mistake with its one sentence. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/options.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

static void test_duration(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint64_t ns;
	} rows[] = {
		{"300ms", 0, 300 * MS},
		{"2s", 0, 2 * SEC},
		{"1m30s", 0, 90 * SEC},
		{"0s", 0, 0},
		{"0ms", 0, 0},
		{"15us", 0, 15000},
		{"1h", 0, 3600 * SEC},
		{"1h2m3s4ms5us", 0, 3723 * SEC + 4 * MS + 5000},
		{"007s", 0, 7 * SEC},
		{"90m", 0, 5400 * SEC},
		{"9223372036s", 0, 9223372036ULL * SEC},
		{"", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"0", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-5ms", -EINVAL, 0},
		{"+5ms", -EINVAL, 0},
		{" 5ms", -EINVAL, 0},
		{"5ms ", -EINVAL, 0},
		{"5 ms", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"50xs", -EINVAL, 0},
		{"5S", -EINVAL, 0},
		{"5ns", -EINVAL, 0},
		{"5min", -EINVAL, 0},
		{"30s1m", -EINVAL, 0},
		{"1s1s", -EINVAL, 0},
		{"1m30", -EINVAL, 0},
		{"0x10s", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"inf", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"5ms\n", -EINVAL, 0},
		{"99999999999999999999999999999999s", -EINVAL, 0}, /* no number at all */
		{"99999999999999999999s", -ERANGE, 0},
		{"9223372037s", -ERANGE, 0},
		{"9223372036s999ms", -ERANGE, 0},
		{"2562048h", -ERANGE, 0},
		{"99999999999999999999s5", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ns = 4711;
		int err = dp_parse_duration(rows[i].s, &ns);

		if (err != rows[i].err || ns != (err ? 4711 : rows[i].ns))
			fail_msg("\"%s\": %d, %llu ns", rows[i].s, err, (unsigned long long)ns);
	}
}

static void test_number(void **state)
{
	static const struct {
		const char *s;
		int err;
	} rows[] = {
		{"1", 0},
		{"10", 0},
		{"5", 0},
		{"005", 0},
		{"0", -ERANGE},
		{"11", -ERANGE},
		{"", -EINVAL},
		{"-1", -EINVAL},
		{"+1", -EINVAL},
		{" 1", -EINVAL},
		{"1 ", -EINVAL},
		{"0x1", -EINVAL},
		{"1.0", -EINVAL},
		{"one", -EINVAL},
		{"18446744073709551616", -ERANGE},
		{"18446744073709551617", -ERANGE},
		{"99999999999999999999x", -EINVAL},
	};
	uint64_t v = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (dp_parse_u64(rows[i].s, 1, 10, &v) != rows[i].err)
			fail_msg("\"%s\"", rows[i].s);
	assert_int_equal(dp_parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void test_signal(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint32_t sig;
	} rows[] = {
		{"INT", 0, 2},
		{"SIGINT", 0, 2},
		{"int", 0, 2},
		{"sigusr1", 0, 10},
		{"2", 0, 2},
		{"64", 0, 64},
		{"TERM", 0, 15},
		{"KILL", -EPERM, 0},
		{"SIGKILL", -EPERM, 0},
		{"9", -EPERM, 0},
		{"STOP", -EPERM, 0},
		{"19", -EPERM, 0},
		{"0", -EINVAL, 0},
		{"65", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"SIG", -EINVAL, 0},
		{"INTX", -EINVAL, 0},
		{"-2", -EINVAL, 0},
		{"SIGSIGINT", -EINVAL, 0},
		{"SIG2", -EINVAL, 0},
		{" INT", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t sig = 0;

		if (dp_parse_signal(rows[i].s, &sig) != rows[i].err || sig != rows[i].sig)
			fail_msg("\"%s\": %u", rows[i].s, sig);
	}
}

static void test_listen(void **state)
{
	static const struct {
		const char *s, *addr;
		uint16_t port;
	} rows[] = {
		{"127.0.0.1:9469", "127.0.0.1", 9469},
		{"[::1]:9469", "::1", 9469},
		{"0.0.0.0:65535", "0.0.0.0", 65535},
		{"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1},
		{"here", NULL, 0},
		{"", NULL, 0},
		{":", NULL, 0},
		{":9469", NULL, 0},
		{"127.0.0.1", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"127.0.0.1:0", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:99999", NULL, 0},
		{"127.0.0.1:+1", NULL, 0},
		{"127.0.0.1:1x", NULL, 0},
		{"999.0.0.1:9469", NULL, 0},
		{"127.1:9469", NULL, 0},
		{"localhost:9469", NULL, 0},
		{"::1:9469", NULL, 0},
		{"[::1:9469", NULL, 0},
		{"[]:1", NULL, 0},
		{"[:1", NULL, 0},
		{"[127.0.0.1]:1", NULL, 0},
		{"[::1]x:1", NULL, 0},
		{"1111111111111111111111111111111111111111111111111111111:1", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char addr[64] = "untouched";
		uint16_t port = 7;
		int err = dp_parse_listen(rows[i].s, addr, sizeof(addr), &port);

		if (err != (rows[i].addr ? 0 : -EINVAL) ||
		    strcmp(addr, rows[i].addr ? rows[i].addr : "untouched") != 0 ||
		    port != (rows[i].addr ? rows[i].port : 7))
			fail_msg("\"%s\": %d %s %u", rows[i].s, err, addr, port);
	}
	assert_int_equal(dp_parse_listen("127.0.0.1:1", (char[4]){0}, 4, &(uint16_t){0}), -EINVAL);
}

/* Runs the parser with both outputs captured. Words are separated by '|'. */
static int parse(const char *words, struct dp_options *ret, char *out, char *err, size_t len)
{
	static char copy[8192];
	char *argv[300], *save = NULL;
	char path[2][32] = {"/tmp/dora-probe-test.XXXXXX", "/tmp/dora-probe-test.XXXXXX"};
	char *text[2] = {out, err};
	int argc = 0, fd[2], old[2], result;

	argv[argc++] = (char *)(uintptr_t) "/usr/bin/dora-probe";
	snprintf(copy, sizeof(copy), "%s", words);
	/* An empty word is written as a lone "~". */
	for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save))
		argv[argc++] = strcmp(w, "~") == 0 ? w + 1 : w;
	argv[argc] = NULL;
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		fd[i] = mkstemp(path[i]);
		assert_true(fd[i] >= 0);
		unlink(path[i]);
		old[i] = dup(i + 1);
		dup2(fd[i], i + 1);
	}
	result = dp_options_parse(argc, argv, ret);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(fd[i], text[i], len - 1, 0);

		text[i][n < 0 ? 0 : n] = '\0';
		dup2(old[i], i + 1);
		close(old[i]);
		close(fd[i]);
	}
	return result;
}

/* Each mistake: the exit code, and words that the sentence must have (option and value). */
static void test_mistakes(void **state)
{
	static const struct {
		const char *words, *says, *says_too;
	} rows[] = {
		{"", "--pid", "--all"},
		{"watch", "--pid", "--all"},
		{"--pid", "pid", "requires an argument"},
		{"--pid|12abc", "--pid", "\"12abc\""},
		{"--pid|~", "--pid", "\"\""},
		{"--pid|0", "--pid", "\"0\""},
		{"--pid|-5", "--pid", "\"-5\""},
		{"--pid|+5", "--pid", "\"+5\""},
		{"--pid| 5", "--pid", "\" 5\""},
		{"--pid|0x10", "--pid", "\"0x10\""},
		{"--pid|4194305", "--pid", "4194305"},
		{"--pid|99999999999999999999", "--pid", "99999999999999999999"},
		{"--pid|1,,2", "--pid", "\"\" is not"},
		{"--pid|1,", "--pid", "\"\" is not"},
		{"--pid|,1", "--pid", "\"\" is not"},
		{"--pid|1 2", "--pid", "\"1 2\""},
		{"--node|~", "--node", "empty"},
		{"--node|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "--node", "longer"},
		{"--dataflow|~", "--dataflow", "empty"},
		{"--all|--pid|1", "--all", "--pid"},
		{"--pid|1|--hold-threshold|50", "--hold-threshold", "\"50\""},
		{"--pid|1|--hold-threshold|50xs", "--hold-threshold", "\"50xs\""},
		{"--pid|1|--hold-threshold|-5ms", "--hold-threshold", "\"-5ms\""},
		{"--pid|1|--warn-hold|0s", "--warn-hold", "\"0s\""},
		{"--pid|1|--token-threshold|x", "--token-threshold", "\"x\""},
		{"--pid|1|--pending-threshold|99999999999999999999s", "--pending-threshold",
		 "too long"},
		{"--pid|1|--grace|0s", "--grace", "\"0s\""},
		{"--pid|1|--nudge-after|soon", "--nudge-after", "\"soon\""},
		{"--pid|1|--nudge-interval|0ms", "--nudge-interval", "\"0ms\""},
		{"--pid|1|--stop-dataflow-after|1", "--stop-dataflow-after", "\"1\""},
		{"--pid|1|--duration|~", "--duration", "\"\""},
		{"--pid|1|--duration|0s", "--duration", "\"0s\""},
		{"--pid|1|--exact=soon", "--exact", "\"soon\""},
		{"--pid|1|--exact=", "--exact", "\"\""},
		{"--pid|1|--exact|5s", "\"5s\"", "neither a command"},
		{"--pid|1|--shutdown|kill", "--shutdown", "\"kill\""},
		{"--pid|1|--shutdown|Observe", "--shutdown", "\"Observe\""},
		{"--pid|1|--nudge-signal|KILL", "--nudge-signal", "\"KILL\""},
		{"--pid|1|--nudge-signal|SIGSTOP", "--nudge-signal", "\"SIGSTOP\""},
		{"--pid|1|--nudge-signal|NUDGE", "--nudge-signal", "\"NUDGE\""},
		{"--pid|1|--nudge-signal|99", "--nudge-signal", "\"99\""},
		{"--pid|1|--listen|here", "--listen", "\"here\""},
		{"--pid|1|--listen|127.0.0.1:99999", "--listen", "99999"},
		{"--pid|1|--max-overhead|-1", "--max-overhead", "\"-1\""},
		{"--pid|1|--max-overhead|much", "--max-overhead", "\"much\""},
		{"--pid|1|--max-overhead|0", "--max-overhead", "\"0\""},
		{"--pid|1|--max-overhead|0.0", "--max-overhead", "\"0.0\""},
		{"--pid|1|--max-overhead|100.1", "--max-overhead", "\"100.1\""},
		{"--pid|1|--max-overhead|1.", "--max-overhead", "\"1.\""},
		{"--pid|1|--max-overhead|.5", "--max-overhead", "\".5\""},
		{"--pid|1|--max-overhead|1e1", "--max-overhead", "\"1e1\""},
		{"--pid|1|--max-overhead|nan", "--max-overhead", "\"nan\""},
		{"--pid|1|--max-overhead|5%", "--max-overhead", "\"5%\""},
		{"--pid|1|--record|~", "--record", "empty"},
		{"--pid|1|--record|-", "--record", "\"-\""},
		{"--pid|1|--dora-cli|~", "--dora-cli", "empty"},
		{"--pid|1|--on-warning|~", "--on-warning", "empty"},
		{"--pid|1|--on-action|~", "--on-action", "empty"},
		{"--pid|1|--json|--view", "--json", "--view"},
		{"--pid|1|-v|-q", "-v", "-q"},
		{"--pid|1|-q|-v", "-v", "-q"},
		{"--pid|1|-o|x.html", "--output", "\"watch\""},
		{"--pid|1|--frobnicate", "--frobnicate", "unrecognized"},
		{"--pid|1|-x", "x", "invalid option"},
		{"--pid|1|--json=yes", "--json", "doesn't allow"},
		{"frobnicate", "\"frobnicate\"", "command"},
		{"--pid|1|stray", "\"stray\"", "command"},
		{"--pid|1|list", "\"list\"", "first word"},
		{"list|--all", "--all", "\"list\""},
		{"list|--pid|1", "--pid", "\"list\""},
		{"list|stray", "\"stray\"", "command"},
		{"doctor|--record|x", "--record", "\"doctor\""},
		{"replay", "replay", "FILE"},
		{"replay|a|b", "replay", "\"b\""},
		{"replay|~", "replay", "empty"},
		{"replay|a|--pid|1", "--pid", "\"replay\""},
		{"replay|a|--record|b", "--record", "\"replay\""},
		{"replay|a|--listen|127.0.0.1:1", "--listen", "\"replay\""},
		{"replay|a|--on-warning|x", "--on-warning", "\"replay\""},
		{"report", "report", "FILE"},
		{"report|a|--json", "--json", "\"report\""},
		{"report|a|-o|~", "--output", "empty"},
		{"report|a|-o|x.pdf", "x.pdf", ".html"},
		{"report|a|-o|.html", ".html", "end in"},
	};
	char out[16384], err[16384];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dp_options o, untouched;
		unsigned int lines = 0;
		int code;

		memset(&o, 0x5A, sizeof(o));
		memset(&untouched, 0x5A, sizeof(untouched));
		code = parse(rows[i].words, &o, out, err, sizeof(out));
		for (const char *p = err; *p; p++)
			lines += *p == '\n';
		if (code != DP_EX_USAGE || *out || !strstr(err, rows[i].says) ||
		    !strstr(err, rows[i].says_too) || lines < 1 || lines > 2 ||
		    strncmp(err, "dora-probe: ", 12) != 0)
			fail_msg("[%s]: %d, out: %s, err: %s", rows[i].words, code, out, err);
		assert_memory_equal(&o, &untouched, sizeof(o));
	}
}

static struct dp_options good(const char *words)
{
	struct dp_options o;
	char out[4096], err[4096];
	int code = parse(words, &o, out, err, sizeof(out));

	if (code != -1 || *out || *err)
		fail_msg("[%s]: %d, out: %s, err: %s", words, code, out, err);
	return o;
}

static void test_defaults(void **state)
{
	struct dp_options o = good("--pid|4711");

	(void)state;
	assert_int_equal(o.command, DP_CMD_WATCH);
	assert_int_equal(o.pid_count, 1);
	assert_int_equal(o.pids[0], 4711);
	assert_int_equal(o.node_count + o.dataflow_count, 0);
	assert_int_equal(o.all + o.json + o.view + o.verbosity + o.fail_on_warning, 0);
	assert_null(o.listen);
	assert_null(o.on_warning);
	assert_null(o.on_action);
	assert_null(o.record);
	assert_null(o.file);
	assert_null(o.output);
	assert_string_equal(o.dora_cli, "dora");
	assert_true(o.max_overhead == 1.0);
	assert_int_equal(o.duration_ns, 0);
	assert_int_equal(o.exact_ns, 0);
	assert_int_equal(o.given, 0);
	assert_int_equal(o.model.hold_threshold_ns, 50 * MS);
	assert_int_equal(o.model.warn_hold_ns, 500 * MS);
	assert_int_equal(o.model.pending_threshold_ns, SEC);
	assert_int_equal(o.model.token_threshold_ns, SEC);
	assert_int_equal(o.model.grace_ns, 0);
	assert_int_equal(o.model.nudge_after_ns, 0);
	assert_int_equal(o.model.nudge_interval_ns, 500 * MS);
	assert_int_equal(o.model.stop_dataflow_after_ns, 0);
	assert_int_equal(o.model.nudge_signal, 2);
	assert_int_equal(o.model.shutdown, DP_SHUTDOWN_OBSERVE);
	assert_int_equal(o.model.save_tokens + o.model.dry_run + o.model.exact, 0);
}

static void test_everything(void **state)
{
	struct dp_options o = good(
		"watch|--pid|1,2|--pid=2,3|--node|camera|--node|detector|--dataflow|robot|--json|"
		"--listen|[::1]:9469|--hold-threshold|20ms|--warn-hold|1s|--token-threshold|0s|"
		"--pending-threshold|2s|--grace|1m|--shutdown|nudge|--nudge-signal|USR1|"
		"--nudge-after|1s|--nudge-interval|200ms|--stop-dataflow-after|5s|--dora-cli|/opt/"
		"dora|"
		"--save-tokens|--dry-run|--fail-on-warning|--on-warning|notify|--on-action|act|"
		"--exact=10s|--max-overhead|2.5|--record|run.rec|--duration|1h|-v");

	(void)state;
	assert_int_equal(o.pid_count, 3); /* the 2 that came twice once */
	assert_int_equal(o.pids[2], 3);
	assert_int_equal(o.node_count, 2);
	assert_string_equal(o.nodes[1], "detector");
	assert_string_equal(o.dataflows[0], "robot");
	assert_int_equal(o.json, 1);
	assert_string_equal(o.listen, "[::1]:9469");
	assert_int_equal(o.model.hold_threshold_ns, 20 * MS);
	assert_int_equal(o.model.warn_hold_ns, SEC);
	assert_int_equal(o.model.token_threshold_ns, 0);
	assert_int_equal(o.model.pending_threshold_ns, 2 * SEC);
	assert_int_equal(o.model.grace_ns, 60 * SEC);
	assert_int_equal(o.model.shutdown, DP_SHUTDOWN_NUDGE);
	assert_int_equal(o.model.nudge_signal, 10);
	assert_int_equal(o.model.nudge_after_ns, SEC);
	assert_int_equal(o.model.nudge_interval_ns, 200 * MS);
	assert_int_equal(o.model.stop_dataflow_after_ns, 5 * SEC);
	assert_string_equal(o.dora_cli, "/opt/dora");
	assert_int_equal(o.model.save_tokens, 1);
	assert_int_equal(o.model.dry_run, 1);
	assert_int_equal(o.fail_on_warning, 1);
	assert_string_equal(o.on_warning, "notify");
	assert_string_equal(o.on_action, "act");
	assert_int_equal(o.model.exact, 1);
	assert_int_equal(o.exact_ns, 10 * SEC);
	assert_true(o.max_overhead == 2.5);
	assert_string_equal(o.record, "run.rec");
	assert_int_equal(o.duration_ns, 3600 * SEC);
	assert_int_equal(o.verbosity, 1);
	assert_int_equal(o.given, (1u << 12) - 1);
}

static void test_commands(void **state)
{
	struct dp_options o = good("list|--json");

	(void)state;
	assert_int_equal(o.command, DP_CMD_LIST);
	assert_int_equal(o.json, 1);
	assert_int_equal(good("doctor").command, DP_CMD_DOCTOR);
	o = good("replay|run.rec|--hold-threshold|10ms|-q");
	assert_int_equal(o.command, DP_CMD_REPLAY);
	assert_string_equal(o.file, "run.rec");
	assert_int_equal(o.given, DP_GIVEN_HOLD_THRESHOLD);
	assert_int_equal(o.verbosity, -1);
	/* Options may stand before the file, and -- ends them. */
	assert_string_equal(good("replay|--json|--|--odd-name").file, "--odd-name");
	o = good("report|run.rec|-o|out.html");
	assert_int_equal(o.command, DP_CMD_REPORT);
	assert_string_equal(o.output, "out.html");
	assert_int_equal(good("--all").all, 1);
	/* The token threshold follows the pending threshold, wherever it stands. */
	assert_int_equal(good("--all|--pending-threshold|3s").model.token_threshold_ns, 3 * SEC);
	assert_int_equal(
		good("--all|--token-threshold|1ms|--pending-threshold|3s").model.token_threshold_ns,
		MS);
	assert_int_equal(good("--all|--exact").model.exact, 1);
	assert_true(good("--all|--max-overhead|100").max_overhead == 100.0);
	assert_true(good("--all|--max-overhead|0.25").max_overhead == 0.25);
}

/* A replay takes from the recording what the user did not give. */
static void test_override(void **state)
{
	struct dp_rec_options m = {.hold_threshold_ns = 1,
				   .warn_hold_ns = 2,
				   .grace_ns = 3,
				   .pending_threshold_ns = 4,
				   .token_threshold_ns = 5};
	struct dp_options o = good("replay|f|--hold-threshold|9ms|--shutdown|nudge");

	(void)state;
	dp_options_override(&o, &m);
	assert_int_equal(m.hold_threshold_ns, 9 * MS);
	assert_int_equal(m.shutdown, DP_SHUTDOWN_NUDGE);
	assert_int_equal(m.warn_hold_ns, 2);
	assert_int_equal(m.grace_ns, 3);
	assert_int_equal(m.pending_threshold_ns, 4);
	assert_int_equal(m.token_threshold_ns, 5);
	o = good("replay|f|--pending-threshold|2s");
	dp_options_override(&o, &m);
	assert_int_equal(m.pending_threshold_ns, 2 * SEC);
	assert_int_equal(m.token_threshold_ns, 2 * SEC);
}

/* The limits of lists, reached and passed by one. */
static void test_limits(void **state)
{
	char words[8192] = "--pid|1", out[4096], err[4096];
	struct dp_options o;

	(void)state;
	for (int i = 2; i <= DP_MAX_TARGETS; i++)
		sprintf(words + strlen(words), ",%d", i);
	assert_int_equal(good(words).pid_count, DP_MAX_TARGETS);
	strcat(words, ",1"); /* one that is there already needs no room */
	assert_int_equal(good(words).pid_count, DP_MAX_TARGETS);
	strcat(words, ",9999");
	assert_int_equal(parse(words, &o, out, err, sizeof(out)), DP_EX_USAGE);
	*words = '\0';
	for (int i = 0; i < DP_NAMES_MAX; i++)
		sprintf(words + strlen(words), "--node|n%d|", i);
	assert_int_equal(good(words).node_count, DP_NAMES_MAX);
	strcat(words, "--node|more");
	assert_int_equal(parse(words, &o, out, err, sizeof(out)), DP_EX_USAGE);
}

static void test_help_and_version(void **state)
{
	static const char *const names[] = {
		"--pid",
		"--node",
		"--dataflow",
		"--all",
		"--json",
		"--view",
		"--listen",
		"--hold-threshold",
		"--warn-hold",
		"--token-threshold",
		"--pending-threshold",
		"--grace",
		"--shutdown",
		"--nudge-signal",
		"--nudge-after",
		"--nudge-interval",
		"--stop-dataflow-after",
		"--dora-cli",
		"--save-tokens",
		"--dry-run",
		"--fail-on-warning",
		"--on-warning",
		"--on-action",
		"--exact",
		"--max-overhead",
		"--record",
		"--duration",
		"--output",
		"--verbose",
		"--quiet",
		"--version",
		"--help",
		"EXAMPLES",
		"EXIT STATUS",
		"list",
		"doctor",
		"replay",
		"report",
	};
	static const char *const words[] = {
		"--help",        "-h", "list|--help", "report|-h", "--help|--frobnicate",
		"--pid|1|--help"};
	char out[16384], err[16384];
	struct dp_options o;

	(void)state;
	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		assert_int_equal(parse(words[w], &o, out, err, sizeof(out)), DP_EX_OK);
		assert_string_equal(err, "");
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strstr(out, names[i]))
				fail_msg("--help does not name %s", names[i]);
		for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
			assert_true(strlen(line) <= 80);
	}
	assert_int_equal(parse("--version", &o, out, err, sizeof(out)), DP_EX_OK);
	assert_string_equal(out, "dora-probe " DP_VERSION "\n");
	assert_int_equal(parse("--usage", &o, out, err, sizeof(out)), DP_EX_OK);
	assert_non_null(strstr(out, "--save-tokens"));
}

/* The manual page and the completion know every option; run from the top of the tree, as make does.
 */
static void test_documents(void **state)
{
	static const char *const files[] = {"agent/dist/dora-probe.8",
					    "agent/dist/dora-probe.bash"};
	char help[16384], err[4096], text[32768];
	struct dp_options o;

	(void)state;
	assert_int_equal(parse("--help", &o, help, err, sizeof(help)), DP_EX_OK);
	for (size_t f = 0; f < 2; f++) {
		FILE *in = fopen(files[f], "re");
		size_t len = 0;
		int c, options_seen = 0;

		if (!in)
			fail_msg("cannot open %s: run from the top of the tree", files[f]);
		/* Without the backslashes of the manual page's hyphens. */
		while ((c = fgetc(in)) != EOF && len < sizeof(text) - 1)
			if (c != '\\')
				text[len++] = (char)c;
		text[len] = '\0';
		fclose(in);
		for (const char *p = strstr(help, "      --"); p; p = strstr(p, "      --")) {
			char name[64];
			size_t n;

			p += 6;
			n = 2 + strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-");
			snprintf(name, sizeof(name), "%.*s", (int)n, p);
			if (!strstr(text, name))
				fail_msg("%s does not name %s", files[f], name);
			options_seen++;
		}
		assert_true(options_seen > 25);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration),         cmocka_unit_test(test_number),
		cmocka_unit_test(test_signal),           cmocka_unit_test(test_listen),
		cmocka_unit_test(test_mistakes),         cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),       cmocka_unit_test(test_commands),
		cmocka_unit_test(test_limits),           cmocka_unit_test(test_override),
		cmocka_unit_test(test_help_and_version), cmocka_unit_test(test_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
