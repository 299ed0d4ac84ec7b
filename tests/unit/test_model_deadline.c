// SPDX-License-Identifier: MIT
/* Deadlines after Stop, of every source, and how a node ended: one row is one life of a node. */
#include "base/array.h"
#include "model_lives.h"

static const struct life stopped_lives[] = {
	/* ---- by version ---- */
	{.name = "0.5.0: SIGTERM after 10 s",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(11050, SIGTERM, DAEMON), KILLED(11051, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10051},
	{.name = "0.3.12: SIGKILL after 15 s",
	 .dora = "0.3.12",
	 .steps = {STOP_AT(1000), SENT(16010, SIGKILL, DAEMON), KILLED(16011, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15011},
	{.name = "1.1.0 that catches SIGTERM: SIGKILL after 15 s, told once",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(11020, SIGTERM, DAEMON), SENT(16020, SIGKILL, DAEMON),
		   KILLED(16021, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15021},
	{.name = "ignores SIGTERM, so its sending is not seen",
	 .dora = "0.5.0",
	 .ignored = TERM,
	 .steps = {STOP_AT(1000), SENT(16020, SIGKILL, DAEMON), KILLED(16021, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15021},
	{.name = "a version that is not known",
	 .dora = "",
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), KILLED(11001, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10001},
	{.name = "a fork that calls itself 0.3.13",
	 .dora = "0.3.13",
	 .limits = {.foreign = 1},
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), KILLED(11001, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10001},
	/* ---- reality corrects ---- */
	{.name = "a shorter grace than known",
	 .dora = "1.1.0",
	 .steps = {STOP_AT(1000), SENT(3000, SIGTERM, DAEMON), KILLED(3001, SIGTERM)},
	 .stops = 2,
	 .deadline = 0,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 2001},
	{.name = "a longer one, of a process that catches SIGTERM",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(21000, SIGTERM, DAEMON), SENT(31000, SIGKILL, DAEMON),
		   KILLED(31001, SIGKILL)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 30001},
	{.name = "SIGKILL without SIGTERM on 0.4 and later is forced",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(4000, SIGKILL, DAEMON), KILLED(4001, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 3001},
	{.name = "of an unknown version it may be the grace of 0.3",
	 .dora = "",
	 .steps = {STOP_AT(1000), SENT(4000, SIGKILL, DAEMON), KILLED(4001, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3001},
	{.name = "killed by a user after Stop",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(10900, SIGKILL, USER), KILLED(10901, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 9901},
	/* ---- an exit at the deadline ---- */
	{.name = "a handler that exits 143",
	 .dora = "0.5.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), EXITS(11005, 143)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10005},
	{.name = "a handler that exits 0",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 2000},
		   STOP_AT(1000),
		   SENT(3000, SIGTERM, DAEMON),
		   EXITS(3005, 0)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 2005},
	{.name = "the same for a user's SIGTERM is an exit",
	 .dora = "0.5.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(2000, SIGTERM, USER), EXITS(2005, 143)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_ERROR,
	 .since = 1005},
	{.name = "in time",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), EXITS(10900, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 9900},
	/* ---- Stop was not seen ---- */
	{.name = "SIGTERM alone",
	 .dora = "0.5.0",
	 .steps = {SENT(8000, SIGTERM, DAEMON), KILLED(8001, SIGTERM)},
	 .stops = 1,
	 .deadline = 5000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = NO_TIME},
	{.name = "SIGKILL alone, up to 0.3.13",
	 .dora = "0.3.12",
	 .steps = {SENT(8000, SIGKILL, DAEMON), KILLED(8001, SIGKILL)},
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = NO_TIME},
	{.name = "SIGKILL alone, later",
	 .dora = "0.5.0",
	 .steps = {SENT(8000, SIGKILL, DAEMON), KILLED(8001, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
};

static void test_lives(void **state)
{
	(void)state;
	check_lives(stopped_lives, DP_COUNT_OF(stopped_lives));
}

/*
 * What a daemon did once is what is expected the next time: by the version, or by nothing at all. A
 * grace that was asked for shows no default, nor does one node of 1.x that is stopped alone.
 */
static void test_a_daemon_is_learned(void **state)
{
	static const struct {
		const char *dora;
		bool commanded, together;
		uint32_t signal;
		double after, deadline;
		enum dp_deadline_source source;
	} rows[] = {
		{"", false, true, SIGTERM, 4000, 4000, DP_DEADLINE_LEARNED},
		{"", false, true, SIGTERM, 10000, 10000, DP_DEADLINE_LEARNED},
		{"", false, true, SIGKILL, 15000, 15000, DP_DEADLINE_LEARNED},
		{"0.3.12", false, false, SIGTERM, 10000, 10000, DP_DEADLINE_LEARNED},
		{"0.5.0", false, false, SIGTERM, 10050, 10000, DP_DEADLINE_VERSION},
		{"0.5.0", false, false, SIGKILL, 3000, 10000, DP_DEADLINE_VERSION},
		{"0.5.0", true, false, SIGTERM, 3000, 10000, DP_DEADLINE_VERSION},
		{"1.1.0", false, false, SIGTERM, 5000, 10000, DP_DEADLINE_VERSION},
		{"1.1.0", false, true, SIGTERM, 5000, 5000, DP_DEADLINE_LEARNED},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct life l = {.name = "learned", .dora = rows[i].dora};
		struct table *t = born(&l);
		struct dp_record r;
		const struct said *s;

		if (rows[i].together) {
			node_of(t, 0, PID + 1, "lidar", rows[i].dora);
			r = record(DP_REC_WIRE_EVENT, 1010, PID + 1, PID + 1);
			r.u.wire.kind = DP_WIRE_STOP;
			feed(t, &r);
		}
		if (rows[i].commanded)
			live(t, &(struct step){.ms = 900, .what = COMMAND, .grace_ms = 3000});
		live(t, &(struct step)STOP_AT(1000));
		live(t, &(struct step)SENT(1000 + rows[i].after, rows[i].signal, DAEMON));
		live(t, &(struct step)KILLED(1001 + rows[i].after, rows[i].signal));
		/* The next life, of the same daemon, long after. */
		node_of(t, 60000, PID + 2, "cam", rows[i].dora);
		r = record(DP_REC_WIRE_EVENT, 70000, PID + 2, PID + 2);
		r.u.wire.kind = DP_WIRE_STOP;
		feed(t, &r);
		s = said(t, DP_FIND_STOP, count_said(t, DP_FIND_STOP) - 1);
		if (s->f.u.stop.deadline_ns != AT(70000 + rows[i].deadline) ||
		    s->f.u.stop.deadline_source != rows[i].source)
			fail_msg("row %zu: %.0f ms, %s", i,
				 ((double)s->f.u.stop.deadline_ns - (double)s->f.t_ns) / 1e6,
				 dp_deadline_source_name(s->f.u.stop.deadline_source));
		table_free(t);
	}
}

static const struct dp_warning_finding *daemon_gone(const struct table *t)
{
	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++) {
		const struct said *s = said(t, DP_FIND_WARNING, i);

		if (s->f.u.warning.kind == DP_WARN_DAEMON_GONE)
			return &s->f.u.warning;
	}
	return NULL;
}

/* The orphan guard of 1.x, a node that lives on, one that is as quick as its daemon, a suicide. */
static void test_the_daemon_goes(void **state)
{
	static const struct {
		const char *dora;
		uint32_t guarded, killer;
		double gone, ends;
		bool said;
		enum dp_exit_reason reason;
	} rows[] = {
		{"1.1.0", DAEMON, PID, 2000, 2150, false, DP_EXIT_ORPHAN},
		{"1.1.0", DAEMON, PID, 2000, 2450, true, DP_EXIT_ORPHAN},
		{"1.1.0", DAEMON, PID, 0, 2450, false, DP_EXIT_SIGNAL}, /* its daemon lives */
		{"0.5.0", 0, PID, 2000, 9000, true, DP_EXIT_SIGNAL},    /* no guard */
		{"0.5.0", 0, USER, 2000, 9000, true, DP_EXIT_SIGNAL},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct life l = {.name = "orphan",
				 .dora = rows[i].dora,
				 .limits = {.run_parent_pid = rows[i].guarded, .connected = 1}};
		struct table *t = born(&l);
		const struct dp_exit_finding *x;

		t->ticked_ms = 1900;
		if (rows[i].gone > 0)
			daemon_event(t, rows[i].gone, 0, SIGKILL);
		ticks_until(t, rows[i].ends - 5);
		live(t, &(struct step)SENT(rows[i].ends, SIGKILL, rows[i].killer));
		live(t, &(struct step)KILLED(rows[i].ends + 1, SIGKILL));
		x = &said(t, DP_FIND_EXIT, 0)->f.u.exit;
		if (x->reason != rows[i].reason || x->grace_kill ||
		    !!daemon_gone(t) != rows[i].said)
			fail_msg("row %zu: %s, said %d", i, dp_exit_reason_name(x->reason),
				 daemon_gone(t) != NULL);
		table_free(t);
	}
}

/* Nobody enforces the deadline of a Stop whose daemon has gone. */
static void test_no_deadline_without_a_daemon(void **state)
{
	struct life l = {.name = "gone", .dora = "0.5.0"};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)STOP_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 2000);
	daemon_event(t, 2000, 0, 0);
	ticks_until(t, 30000);
	assert_non_null(daemon_gone(t));
	assert_int_equal(daemon_gone(t)->deadline_ns, DP_NULL);
	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++)
		if (said(t, DP_FIND_WARNING, i)->f.u.warning.kind == DP_WARN_DEADLINE)
			assert_true(said(t, DP_FIND_WARNING, i)->f.t_ns < AT(4000));
	live(t, &(struct step)EXITS(31000, 0));
	assert_false(said(t, DP_FIND_EXIT, 0)->f.u.exit.grace_kill);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_a_daemon_is_learned),
		cmocka_unit_test(test_the_daemon_goes),
		cmocka_unit_test(test_no_deadline_without_a_daemon),

	};

	return cmocka_run_group_tests_name("model: deadlines", tests, NULL, NULL);
}
