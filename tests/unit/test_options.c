// SPDX-License-Identifier: MIT
/* The command line: each mistake with its one sentence, and what a whole line comes to. */
#include "options_support.h"
#include "base/array.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

/* Each mistake: the exit code, and words that the sentence must have (option and value). */
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

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
		{"--node|" A64 A64, "--node", "longer"},
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
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
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

static void test_defaults(void **state)
{
	struct dp_options o = good("--pid|4711");

	(void)state;
	assert_int_equal(o.command, DP_CMD_WATCH);
	assert_int_equal(o.wanted.pids.count, 1);
	assert_int_equal(o.wanted.pids.pid[0], 4711);
	assert_int_equal(o.wanted.nodes.count + o.wanted.dataflows.count, 0);
	assert_int_equal(o.wanted.all + o.json + o.view + o.verbosity + o.fail_on_warning, 0);
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
	assert_int_equal(o.given, 1); /* of the first row, --pid */
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
	assert_int_equal(o.wanted.pids.count, 3); /* the 2 that came twice once */
	assert_int_equal(o.wanted.pids.pid[2], 3);
	assert_int_equal(o.wanted.nodes.count, 2);
	assert_string_equal(o.wanted.nodes.name[1], "detector");
	assert_string_equal(o.wanted.dataflows.name[0], "robot");
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
	assert_int_equal(o.verbosity, -1);
	/* Options may stand before the file, and -- ends them. */
	assert_string_equal(good("replay|--json|--|--odd-name").file, "--odd-name");
	o = good("report|run.rec|-o|out.html");
	assert_int_equal(o.command, DP_CMD_REPORT);
	assert_string_equal(o.output, "out.html");
	assert_int_equal(good("--all").wanted.all, 1);
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
	assert_int_equal(good(words).wanted.pids.count, DP_MAX_TARGETS);
	strcat(words, ",1"); /* one that is there already needs no room */
	assert_int_equal(good(words).wanted.pids.count, DP_MAX_TARGETS);
	strcat(words, ",9999");
	assert_int_equal(parse(words, &o, out, err, sizeof(out)), DP_EX_USAGE);
	*words = '\0';
	for (int i = 0; i < DP_NAMES_MAX; i++)
		sprintf(words + strlen(words), "--node|n%d|", i);
	assert_int_equal(good(words).wanted.nodes.count, DP_NAMES_MAX);
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
	for (size_t w = 0; w < DP_COUNT_OF(words); w++) {
		assert_int_equal(parse(words[w], &o, out, err, sizeof(out)), DP_EX_OK);
		assert_string_equal(err, "");
		for (size_t i = 0; i < DP_COUNT_OF(names); i++)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),         cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),       cmocka_unit_test(test_commands),
		cmocka_unit_test(test_override),         cmocka_unit_test(test_limits),
		cmocka_unit_test(test_help_and_version),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
