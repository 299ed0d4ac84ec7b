// SPDX-License-Identifier: MIT
/* Dora's watchdogs, which end a node without a Stop: their deadlines, warnings and kills. */
#include "base/array.h"
#include "model_lives.h"

#define CLOSED_AT(t)                                                                               \
	{                                                                                          \
		.ms = (t), .what = TOLD, .by = DP_WIRE_ALL_INPUTS_CLOSED                           \
	}
#define REQUEST_AT(t)                                                                              \
	{                                                                                          \
		.ms = (t), .what = REQUEST                                                         \
	}

static const struct life watched_lives[] = {
	{.name = "health check",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, DAEMON), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_HEALTH_KILL,
	 .since = NO_TIME},
	{.name = "health check of a node that was found silent",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000, .connected = 1},
	 .steps = {SENT(600, SIGKILL, DAEMON), KILLED(601, SIGKILL)},
	 .reason = DP_EXIT_HEALTH_KILL,
	 .since = NO_TIME},
	{.name = "not the health check: it was not silent",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), REQUEST_AT(5000), SENT(5600, SIGKILL, DAEMON),
		   KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "not the health check: another's hand",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, USER), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "no health check",
	 .dora = "1.1.0",
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, DAEMON), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "startup timeout",
	 .dora = "",
	 .limits = {.startup_ns = 5000, .started_ns = 1},
	 .steps = {SENT(9500, SIGKILL, DAEMON), KILLED(9501, SIGKILL)},
	 .reason = DP_EXIT_STARTUP_KILL,
	 .since = NO_TIME},
	{.name = "connected in time: the startup timeout is over",
	 .dora = "1.1.0",
	 .limits = {.startup_ns = 5000},
	 .steps = {REQUEST_AT(2000), SENT(9500, SIGKILL, DAEMON), KILLED(9501, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "before the startup timeout",
	 .dora = "1.1.0",
	 .limits = {.startup_ns = 5000},
	 .steps = {SENT(3000, SIGKILL, DAEMON), KILLED(3001, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "finish grace of the descriptor",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = 14000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_DESCRIPTOR,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "finish grace by default",
	 .dora = "1.1.0",
	 .limits = {.connected = 1},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = 130000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "no finish grace up to 0.5.0",
	 .dora = "0.5.0",
	 .limits = {.connected = 1},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = NO_TIME,
	 .source = DP_DEADLINE_NONE,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "end of the finish grace",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), STOP_AT(6000), SENT(16010, SIGTERM, DAEMON),
		   KILLED(16011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_FINISH_KILL,
	 .since = 10011},
	{.name = "a Stop before the end of the finish grace",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), STOP_AT(2000), SENT(12010, SIGTERM, DAEMON),
		   KILLED(12011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10011},
	{.name = "a Stop that was asked for",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000),
		   {.ms = 5900, .what = COMMAND},
		   STOP_AT(6000),
		   SENT(16010, SIGTERM, DAEMON),
		   KILLED(16011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10011},
};

static void test_watched_lives(void **state)
{
	(void)state;
	check_lives(watched_lives, DP_COUNT_OF(watched_lives));
}

static const struct said *deadline_warning(const struct table *t, unsigned int i)
{
	for (unsigned int j = 0; j < count_said(t, DP_FIND_WARNING); j++) {
		const struct said *s = said(t, DP_FIND_WARNING, j);

		if (s->f.u.warning.kind == DP_WARN_DEADLINE && i-- == 0)
			return s;
	}
	return NULL;
}

/* A watchdog's deadline is warned of by steps, and closed by the next request. */
static void test_watchdog_is_warned_of(void **state)
{
	static const double at[] = {1000 + 1200, 1000 + 2100, 1000 + 2700};
	struct life l = {.name = "health", .dora = "1.1.0", .limits = {.health_ns = 3000}};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)REQUEST_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 5000);
	for (unsigned int i = 0; i < 3; i++) {
		const struct said *s = deadline_warning(t, i);

		assert_non_null(s);
		assert_int_equal(s->f.t_ns, AT(at[i]));
		assert_int_equal(s->f.u.warning.severity, DP_SEVERITY_NOTICE + i);
		assert_int_equal(s->f.u.warning.deadline_ns, AT(4000));
		assert_int_equal(s->f.u.warning.deadline_source, DP_DEADLINE_DESCRIPTOR);
		assert_int_equal(s->f.u.warning.slack_ns, AT(4000) - AT(at[i]));
		assert_non_null(strstr(s->advice, "health_check_timeout"));
	}
	assert_null(deadline_warning(t, 3));
	live(t, &(struct step)REQUEST_AT(5005));
	ticks_until(t, 5020);
	assert_true(deadline_warning(t, 3)->f.u.warning.resolved);
	/* A node that goes on asking is not warned of. */
	for (double ms = 5500; ms < 9000; ms += 500) {
		live(t, &(struct step)REQUEST_AT(ms));
		ticks_until(t, ms + 400);
	}
	assert_null(deadline_warning(t, 4));
	table_free(t);
}

/* A Stop takes the node out of the watchdog's hands: its warning ends, those of the Stop begin. */
static void test_stop_ends_the_watchdog(void **state)
{
	struct life l = {.name = "health", .dora = "1.1.0", .limits = {.health_ns = 3000}};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)REQUEST_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 2300);
	assert_non_null(deadline_warning(t, 0));
	live(t, &(struct step)STOP_AT(2305));
	ticks_until(t, 2320);
	assert_true(deadline_warning(t, 1)->f.u.warning.resolved);
	assert_int_equal(deadline_warning(t, 1)->f.u.warning.deadline_ns, AT(12305));
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watched_lives),
		cmocka_unit_test(test_watchdog_is_warned_of),
		cmocka_unit_test(test_stop_ends_the_watchdog),
	};

	return cmocka_run_group_tests_name("model: watchdogs", tests, NULL, NULL);
}
