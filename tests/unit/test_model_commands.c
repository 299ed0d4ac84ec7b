// SPDX-License-Identifier: MIT
/*
 * Deadlines that a command sets, a `dora stop` that is seen or found running: one row is one life
 * of a node.
 */
#include "base/array.h"
#include "model_lives.h"

static const struct life commanded_lives[] = {
	{.name = "dora stop --grace-duration",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000, .dataflow = "flow"},
		   STOP_AT(1000),
		   SENT(4010, SIGTERM, DAEMON),
		   KILLED(4011, SIGTERM)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3011},
	{.name = "dora stop without a grace",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND}, STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "of another dataflow",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000, .dataflow = "other"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "too long ago",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000}, STOP_AT(31000), EXITS(31200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "node restart by default",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900, .what = COMMAND, .verb = DP_DORA_NODE_RESTART, .node = "cam"},
		   STOP_AT(1000),
		   SENT(6001, SIGTERM, DAEMON),
		   KILLED(6002, SIGTERM)},
	 .stops = 1,
	 .deadline = 5000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 5002},
	{.name = "node restart of one that catches SIGTERM",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {{.ms = 900, .what = COMMAND, .verb = DP_DORA_NODE_RESTART, .node = "cam"},
		   STOP_AT(1000),
		   SENT(6001, SIGTERM, DAEMON),
		   SENT(8501, SIGKILL, DAEMON),
		   KILLED(8502, SIGKILL)},
	 .stops = 1,
	 .deadline = 7500,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 7502},
	{.name = "node replace --grace",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_REPLACE,
		    .grace_ms = 20000,
		    .node = "cam",
		    .dataflow = "flow"},
		   STOP_AT(1000),
		   EXITS(9000, 0)},
	 .stops = 1,
	 .deadline = 20000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 8000},
	{.name = "of another node",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_STOP,
		    .grace_ms = 2000,
		    .node = "lidar"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "of the life before this one",
	 .dora = "1.1.0",
	 .steps = {{.ms = -100,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_RESTART,
		    .grace_ms = 20000,
		    .node = "cam"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "the newest of two",
	 .dora = "1.1.0",
	 .steps = {{.ms = 500,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_STOP,
		    .grace_ms = 20000,
		    .node = "cam"},
		   {.ms = 900, .what = COMMAND, .grace_ms = 4000},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 4000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--grace is not shortened",
	 .dora = "0.5.0",
	 .option_ms = 9000,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000},
		   STOP_AT(1000),
		   SENT(4000, SIGTERM, DAEMON),
		   KILLED(4001, SIGTERM)},
	 /* … until the daemon shows that it was shorter. */
	 .stops = 2,
	 .deadline = 0,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3001},
	{.name = "--grace is lengthened",
	 .dora = "0.5.0",
	 .option_ms = 2000,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000}, STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--grace alone",
	 .dora = "0.5.0",
	 .option_ms = 2000,
	 .steps = {STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 2000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_OPTION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--force",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900, .what = COMMAND, .force = 1},
		   STOP_AT(1000),
		   SENT(1001, SIGKILL, DAEMON),
		   KILLED(1002, SIGKILL)},
	 .stops = 1,
	 .deadline = 0,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 2},
	{.name = "--force while another stop is under way",
	 .dora = "0.3.12",
	 .steps = {STOP_AT(1000),
		   {.ms = 3000, .what = COMMAND, .force = 1},
		   SENT(3001, SIGKILL, DAEMON),
		   KILLED(3002, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 2002},
};

static void test_commanded_lives(void **state)
{
	(void)state;
	check_lives(commanded_lives, DP_COUNT_OF(commanded_lives));
}

static void test_what_old_recordings_have_of_commands(void **state)
{
	struct life l = {.name = "STOP_COMMAND", .dora = "0.5.0"};
	struct table *t = born(&l);
	struct dp_record r = record(DP_REC_STOP_COMMAND, 900, 55, 55);

	(void)state;
	r.u.stop_command.grace_ns = ns(4000);
	snprintf(r.u.stop_command.target, sizeof(r.u.stop_command.target), "flow");
	feed(t, &r);
	live(t, &(struct step)STOP_AT(1000));
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_ns, AT(5000));
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_source, DP_DEADLINE_COMMAND);
	table_free(t);
}

/* The second Ctrl-C of `dora run` up to 0.3.13 kills what is left: no grace was given. */
static void test_second_interrupt(void **state)
{
	for (int presses = 1; presses <= 2; presses++) {
		struct life l = {.name = "Ctrl-C", .dora = "0.3.12"};
		struct table *t = born(&l);

		for (int i = 0; i < presses; i++)
			daemon_event(t, 990 + 1000 * i, SIGINT, 0);
		live(t, &(struct step)STOP_AT(1000));
		live(t, &(struct step)SENT(2000, SIGKILL, DAEMON));
		live(t, &(struct step)KILLED(2001, SIGKILL));
		assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason,
				 presses == 2 ? DP_EXIT_SIGNAL : DP_EXIT_GRACE_KILL);
		table_free(t);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commanded_lives),
		cmocka_unit_test(test_what_old_recordings_have_of_commands),
		cmocka_unit_test(test_second_interrupt),

	};

	return cmocka_run_group_tests_name("model: commands", tests, NULL, NULL);
}
