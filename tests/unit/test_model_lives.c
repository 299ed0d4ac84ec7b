// SPDX-License-Identifier: MIT
/* One entry per node: its members, whose exit it was, its lives, a crash loop. */
#include "model_table.h"

#include "base/array.h"
#include "base/units.h"

#define FLOW "flow"

static void member(struct table *t, double ms, uint32_t pid, uint32_t above,
		   enum dp_member_role role, bool connected, bool proven, bool python)
{
	struct dp_record r = record(DP_REC_MEMBER, ms, pid, 0);

	ticks_until(t, ms);
	r.u.member.above_pid = above;
	r.u.member.role = (uint8_t)role;
	r.u.member.connected = connected;
	r.u.member.proven = proven;
	r.u.member.is_python = python;
	snprintf(r.u.member.dataflow, sizeof(r.u.member.dataflow), FLOW);
	snprintf(r.u.member.node, sizeof(r.u.member.node), "n");
	feed(t, &r);
}

/* Facts as they are at the first moment: the names, and nothing of the program. */
static void young(struct table *t, double ms, uint32_t pid)
{
	struct dp_record r = record(DP_REC_NODE_FACTS, ms, pid, 0);

	r.u.node.is_dora = 1;
	r.u.node.start_time = pid;
	snprintf(r.u.node.dataflow, sizeof(r.u.node.dataflow), FLOW);
	snprintf(r.u.node.node, sizeof(r.u.node.node), "n");
	feed(t, &r);
}

static void ends(struct table *t, double ms, uint32_t pid, int status)
{
	struct dp_record r = record(DP_REC_PROC_EXIT, ms, pid, pid);

	ticks_until(t, ms);
	r.u.exit.status = status;
	r.u.exit.is_process = 1;
	feed(t, &r);
}

static void gone(struct table *t, double ms, uint32_t pid)
{
	struct dp_record r = record(DP_REC_NODE_GONE, ms, pid, 0);

	feed(t, &r);
}

static void end(struct table *t, double ms)
{
	struct dp_record r = record(DP_REC_END, ms, 0, 0);

	ticks_until(t, ms);
	feed(t, &r);
}

#define CODE(n) ((n) << 8)

/* The one exit that was said is of this process. */
static void one_exit(const struct table *t, uint32_t pid, int code)
{
	const struct said *s = said(t, DP_FIND_EXIT, 0);

	assert_int_equal(count_said(t, DP_FIND_EXIT), 1);
	assert_int_equal(s->f.pid, pid);
	assert_int_equal(s->f.u.exit.code, code);
	assert_int_equal(count_said(t, DP_FIND_NODE), 1);
	assert_int_equal(said(t, DP_FIND_NODE, 0)->f.pid, pid);
	assert_int_equal(said(t, DP_FIND_NODE, 0)->f.u.node.life, 1);
}

static void test_dies_at_its_first_line(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_NODE, false, false, true);
	young(t, 10, 5);
	ends(t, 27, 5, CODE(1));
	one_exit(t, 5, 1);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason, DP_EXIT_ERROR);
	end(t, 50);
	assert_int_equal(count_said(t, DP_FIND_SUMMARY_NODE), 1);
	table_free(t);
}

/* A shell passes on how its Python ended: one life, one exit, the Python's. */
static void test_dies_below_a_shell(void **state)
{
	static const struct {
		int inner, outer;
	} rows[] = {{CODE(1), CODE(1)}, {9, 9}, {9, CODE(137)}, {9, CODE(247)}, {0, 0}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct table *t = table_new();

		member(t, 10, 5, 0, DP_MEMBER_NODE, false, false, false);
		young(t, 10, 5);
		member(t, 12, 5, 0, DP_MEMBER_WRAPPER, false, false, false);
		gone(t, 12, 5);
		member(t, 12, 6, 5, DP_MEMBER_NODE, false, false, true);
		young(t, 12, 6);
		ends(t, 30, 6, rows[i].inner);
		assert_int_equal(count_said(t, DP_FIND_EXIT), 0);
		/* With its child gone the shell is taken for the node once more. */
		member(t, 30, 5, 0, DP_MEMBER_NODE, false, false, false);
		young(t, 30, 5);
		ends(t, 33, 5, rows[i].outer);
		one_exit(t, 6, rows[i].inner & 0x7f ? -1 : rows[i].inner >> 8);
		table_free(t);
	}
}

/* What was asked of a launcher while it was taken for the node, and is answered when it no longer is. */
static void test_late_answer_of_a_launcher(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_NODE, false, false, true);
	young(t, 10, 5);
	member(t, 12, 5, 0, DP_MEMBER_WRAPPER, false, false, true);
	gone(t, 12, 5);
	member(t, 12, 6, 5, DP_MEMBER_NODE, false, false, true);
	young(t, 12, 6);
	young(t, 14, 5);
	ticks_until(t, 3000);
	ends(t, 3010, 6, 0);
	ends(t, 3020, 5, 0);
	end(t, 3500);
	one_exit(t, 6, 0);
	table_free(t);
}

/* A shell whose program is not there at all. */
static void test_command_not_found(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_NODE, false, false, false);
	young(t, 10, 5);
	member(t, 12, 5, 0, DP_MEMBER_WRAPPER, false, false, false);
	gone(t, 12, 5);
	member(t, 12, 6, 5, DP_MEMBER_NODE, false, false, false);
	young(t, 12, 6);
	ends(t, 14, 6, 0); /* mkdir */
	ends(t, 16, 5, CODE(127));
	one_exit(t, 5, 127);
	table_free(t);
}

/* What a launcher did before its node came is none of it; nor is its own end afterwards. */
static void test_wrapper_of_a_node(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_WRAPPER, false, false, true);
	member(t, 11, 6, 5, DP_MEMBER_NODE, false, false, false);
	young(t, 11, 6);
	ends(t, 15, 6, 0);
	member(t, 20, 7, 5, DP_MEMBER_NODE, true, true, true);
	node(t, 20, 7, "n");
	member(t, 20, 5, 0, DP_MEMBER_WRAPPER, false, true, true);
	ends(t, 2000, 7, CODE(3));
	ends(t, 2003, 5, CODE(3));
	end(t, 4000);
	one_exit(t, 7, 3);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	table_free(t);
}

static void test_wrapper_dies_first(void **state)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_SIGNAL, 900, 5, 5);
	const struct said *w;

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_WRAPPER, false, true, false);
	member(t, 10, 7, 5, DP_MEMBER_NODE, true, true, true);
	node(t, 10, 7, "n");
	r.u.signal =
		(struct dp_signal_op){.kind = DP_SIGNAL_GENERATED, .signal = 9, .sender_pid = 77};
	ticks_until(t, 900);
	feed(t, &r);
	ends(t, 901, 5, 9);
	assert_int_equal(count_said(t, DP_FIND_EXIT), 0);
	w = said(t, DP_FIND_WARNING, 0);
	assert_non_null(w);
	assert_int_equal(w->f.u.warning.kind, DP_WARN_WRAPPER_KILLED);
	assert_int_equal(w->f.u.warning.severity, DP_SEVERITY_WARNING);
	assert_non_null(strstr(w->advice, "SIGKILL of process 77"));
	ends(t, 1500, 7, 0);
	one_exit(t, 7, 0);
	table_free(t);
}

/* A launcher that leaves at once, before its node has connected: told when that is certain. */
static void test_double_fork(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_NODE, false, false, true);
	young(t, 10, 5);
	member(t, 20, 6, 5, DP_MEMBER_HELPER, false, false, true);
	ends(t, 30, 5, 0);
	assert_int_equal(count_said(t, DP_FIND_EXIT), 0);
	member(t, 31, 6, 0, DP_MEMBER_NODE, false, false, true);
	young(t, 31, 6);
	ticks_until(t, 1700);
	assert_int_equal(count_said(t, DP_FIND_EXIT), 0);
	member(t, 1700, 6, 0, DP_MEMBER_NODE, true, true, true);
	node(t, 1700, 6, "n");
	assert_int_equal(count_said(t, DP_FIND_WARNING), 1);
	assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.kind, DP_WARN_WRAPPER_KILLED);
	assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.severity, DP_SEVERITY_NOTICE);
	ends(t, 1900, 6, 0);
	one_exit(t, 6, 0);
	table_free(t);
}

/* A shell that tries again and again: each Python that died is a life. */
static void test_supervisor(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_WRAPPER, false, false, false);
	for (uint32_t i = 0; i < 4; i++) {
		member(t, 20 + 2000 * i, 10 + i, 5, DP_MEMBER_NODE, false, false, true);
		young(t, 20 + 2000 * i, 10 + i);
		ends(t, 60 + 2000 * i, 10 + i, CODE(1));
	}
	end(t, 9000);
	assert_int_equal(count_said(t, DP_FIND_EXIT), 4);
	assert_int_equal(said(t, DP_FIND_NODE, 3)->f.u.node.life, 4);
	assert_int_equal(said(t, DP_FIND_SUMMARY_NODE, 0)->f.u.summary_node.lives, 4);
	table_free(t);
}

/* A loop is told once for each of its steps, and when it is over. */
static void test_crash_loop(void **state)
{
	struct table *t = table_new();
	const struct said *w;

	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		member(t, 100 + 100 * i, 10 + i, 0, DP_MEMBER_NODE, false, false, true);
		young(t, 100 + 100 * i, 10 + i);
		ends(t, 120 + 100 * i, 10 + i, CODE(1));
	}
	assert_int_equal(count_said(t, DP_FIND_EXIT), 12);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 3);
	w = said(t, DP_FIND_WARNING, 0);
	assert_int_equal(w->f.u.warning.severity, DP_SEVERITY_NOTICE);
	assert_int_equal(w->f.pid, 11);
	assert_non_null(strstr(w->advice, "2 lives in 100 ms, restarted once, ended in trouble"));
	w = said(t, DP_FIND_WARNING, 1);
	assert_int_equal(w->f.u.warning.kind, DP_WARN_CRASH_LOOP);
	assert_int_equal(w->f.u.warning.not_polling_ns, DP_NULL);
	assert_int_equal(w->f.u.warning.severity, DP_SEVERITY_WARNING);
	assert_int_equal(w->f.pid, 12);
	assert_non_null(
		strstr(w->advice, "3 lives in 200 ms, restarted 2 times, ended in trouble"));
	assert_non_null(strstr(w->advice, "exit code 1 before it had connected"));
	assert_int_equal(said(t, DP_FIND_WARNING, 2)->f.u.warning.severity, DP_SEVERITY_CRITICAL);
	ticks_until(t, 62000);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 4);
	assert_int_equal(said(t, DP_FIND_WARNING, 3)->f.u.warning.resolved, 1);
	table_free(t);
}

/* A node that is stopped, or that leaves as it should, is in no crash loop. */
static void test_no_loop(void **state)
{
	struct table *t = table_new();

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		member(t, 100 + 100 * i, 10 + i, 0, DP_MEMBER_NODE, true, true, true);
		node(t, 100 + 100 * i, 10 + i, "n");
		ends(t, 150 + 100 * i, 10 + i, 0);
	}
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	assert_int_equal(said(t, DP_FIND_NODE, 4)->f.u.node.life, 5);
	table_free(t);
}

/* Totals of a thousand lives are one row, and few of the model's slots. */
static void test_many_lives(void **state)
{
	struct table *t = table_new();

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		double ms = 10 + 600.0 * i;
		uint32_t pid = 100 + i;

		member(t, ms, pid, 0, DP_MEMBER_NODE, true, true, true);
		node(t, ms, pid, "n");
		ticks_until(t, ms);
		t->said_count = 0;
		ends(t, ms + 500, pid, i == 500 ? CODE(1) : 0);
	}
	assert_true(dp_model_node_count(t->m) <= 8);
	t->said_count = 0;
	end(t, 600500);
	assert_int_equal(count_said(t, DP_FIND_SUMMARY_NODE), 1);
	assert_int_equal(said(t, DP_FIND_SUMMARY_NODE, 0)->f.u.summary_node.lives, 1000);
	assert_int_equal(said(t, DP_FIND_SUMMARY_NODE, 0)->f.pid, 1099);
	table_free(t);
}

/* Facts that were read at the very end of a process, and come after it, begin no new life. */
static void test_facts_after_the_end(void **state)
{
	struct table *t = table_new();

	(void)state;
	member(t, 10, 5, 0, DP_MEMBER_NODE, true, true, true);
	young(t, 10, 5);
	ends(t, 900, 5, 0);
	young(t, 901, 5);
	end(t, 4000);
	one_exit(t, 5, 0);
	assert_int_equal(said(t, DP_FIND_SUMMARY_NODE, 0)->f.u.summary_node.lives, 1);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dies_at_its_first_line),
		cmocka_unit_test(test_dies_below_a_shell),
		cmocka_unit_test(test_late_answer_of_a_launcher),
		cmocka_unit_test(test_command_not_found),
		cmocka_unit_test(test_wrapper_of_a_node),
		cmocka_unit_test(test_wrapper_dies_first),
		cmocka_unit_test(test_double_fork),
		cmocka_unit_test(test_supervisor),
		cmocka_unit_test(test_crash_loop),
		cmocka_unit_test(test_no_loop),
		cmocka_unit_test(test_many_lives),
		cmocka_unit_test(test_facts_after_the_end),
	};

	return cmocka_run_group_tests_name("model: lives", tests, NULL, NULL);
}
