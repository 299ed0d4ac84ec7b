// SPDX-License-Identifier: MIT
/* The exposition when nodes come, go and restart: totals go on, and it stays bounded. */
#include "metrics_support.h"

static void a_restarted_node_goes_on_counting(void **state)
{
	struct fixture *f = *state;
	struct dp_node_view *v = add_view(f, 1, "flow", "a");
	const char *series = "dora_probe_gil_held_seconds_total" FLOW("a");

	v->held_ns = 10 * S;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, S), series), "10.0");
	v->gone = 1;
	v->gone_ns = 2 * S;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 2 * S), series), "10.0");
	/* The new process is there while the view of the old one still is, and after it. */
	add_view(f, 2, "flow", "a")->held_ns = 3 * S;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 3 * S), series), "13.0");
	f->views.count = 0;
	add_view(f, 2, "flow", "a")->held_ns = 4 * S;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 4 * S), series), "14.0");
	/* A total that falls (it must not) does not make the counter fall. */
	f->views.v[0].held_ns = S;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 5 * S), series), "14.0");
	/* The same pid again, another process. */
	f->views.count = 0;
	add_view(f, 2, "flow", "a")->held_ns = S;
	f->views.facts[0].start_time = 999;
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 6 * S), series), "15.0");
}

static void a_name_that_comes_late_takes_the_totals_along(void **state)
{
	struct fixture *f = *state;
	const char *b;

	add_view(f, 1, "", "")->held_ns = 2 * S;
	render(f, DP_METRICS_TEXT, S);
	f->views.count = 0;
	add_view(f, 1, "flow", "a")->held_ns = 3 * S;
	b = render(f, DP_METRICS_TEXT, 2 * S);
	assert_string_equal(value(b, "dora_probe_gil_held_seconds_total" FLOW("a")), "3.0");
	assert_null(strstr(b, "node=\"\""));
}

static void series_of_a_node_that_left_expire(void **state)
{
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_GIL_WAIT, "a", 10 * S);
	struct dp_node_view *v = add_view(f, 1, "flow", "a");
	const char *b;

	g.u.wait = (struct dp_wait_finding){.start_ns = S, .end_ns = 2 * S};
	dp_metrics_finding(f->m, &g);
	render(f, DP_METRICS_TEXT, 10 * S);
	v->gone = 1;
	v->gone_ns = 11 * S;
	b = render(f, DP_METRICS_TEXT, 12 * S);
	/* States end with the process, counters stay for five minutes. */
	assert_string_equal(value(b, "dora_probe_stop_pending" FLOW("a")), "");
	assert_string_equal(value(b, "dora_probe_gil_wait_duration_seconds_count" FLOW("a")), "1");
	b = render(f, DP_METRICS_TEXT, 310 * S);
	assert_string_equal(value(b, "dora_probe_gil_wait_duration_seconds_count" FLOW("a")), "1");
	b = render(f, DP_METRICS_TEXT, 311 * S);
	assert_null(strstr(b, "node=\"a\""));
	/* The view may outlive the series: it does not bring them back. */
	assert_null(strstr(render(f, DP_METRICS_TEXT, 312 * S), "node=\"a\""));
	assert_string_equal(value(f->t.buf, "dora_probe_series_nodes_expired_total"), "1");
}

static void a_day_of_restarts_leaves_no_growing_series(void **state)
{
	struct fixture *f = *state;
	uint64_t now = S, first_cap = 0;
	unsigned int first_count = 0;

	/* A hundred nodes, each restarted every ten minutes for a day, every third dataflow new. */
	for (unsigned int round = 0; round < 144; round++) {
		char flow[DP_UUID_MAX], node[DP_ID_MAX];
		unsigned int n;

		f->views.count = 0;
		for (unsigned int i = 0; i < 100; i++) {
			struct dp_finding g = finding(DP_FIND_EXIT, node, now);

			snprintf(flow, sizeof(flow), "flow-%u", i % 3 ? 0 : round);
			snprintf(node, sizeof(node), "node-%u", i);
			add_view(f, round * 100 + i + 1, flow, node)->held_ns = S;
			g.dataflow = flow;
			g.u.exit.since_stop_ns = S;
			dp_metrics_finding(f->m, &g);
		}
		for (unsigned int i = 0; i < 20; i++, now += 30 * S)
			render(f, DP_METRICS_OPENMETRICS, now);
		n = assert_unique_series(render(f, DP_METRICS_OPENMETRICS, now));
		if (!first_count)
			first_count = n;
		if (round == 1)
			first_cap = f->t.cap;
		assert_int_equal(n, first_count);
		if (round > 1)
			assert_int_equal(f->t.cap, first_cap);
	}
	assert_string_equal(
		value(f->t.buf,
		      "dora_probe_gil_held_seconds_total{dataflow=\"flow-0\",node=\"node-1\"}"),
		"144.0");
}

static void more_nodes_than_places_are_a_loss(void **state)
{
	const char *lost = "dora_probe_records_lost_total{reason=\"node_limit\"}";
	struct fixture *f = *state;
	struct dp_finding g;
	char node[DP_ID_MAX];

	for (unsigned int i = 0; i < DP_METRICS_NODES + 2; i++) {
		snprintf(node, sizeof(node), "node-%u", i);
		add_view(f, i + 1, "flow", node);
	}
	render(f, DP_METRICS_TEXT, S);
	/* Counted once each, not again at every scrape. */
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 2 * S), lost), "2");
	assert_string_equal(value(f->t.buf, "dora_probe_watched_nodes"), "256");
	g = finding(DP_FIND_STOP, "one more", 3 * S);
	dp_metrics_finding(f->m, &g);
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 3 * S), lost), "3");

	/* One that left makes room at once. */
	f->views.v[0].gone = 1;
	f->views.v[0].gone_ns = 4 * S;
	render(f, DP_METRICS_TEXT, 5 * S);
	assert_string_equal(value(render(f, DP_METRICS_TEXT, 6 * S), "dora_probe_watched_nodes"),
			    "256");
	assert_null(strstr(f->t.buf, "node=\"node-0\""));
}

static void costs_never_fall(void **state)
{
	const struct dp_metrics_program programs[] = {{"on_\"switch", 2 * S}, {"b", S}};
	struct dp_metrics_cost c = {.records = 100,
				    .overhead_ratio = 0.0042,
				    .sources = 1u << DP_SOURCE_SCHED,
				    .program_count = 2,
				    .programs = programs};
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_LOSS, NULL, S);
	const char *b;

	c.losses[DP_LOSS_RING_FULL] = 5;
	dp_metrics_cost(f->m, &c);
	c.records = 50;
	c.losses[DP_LOSS_RING_FULL] = 1;
	dp_metrics_cost(f->m, &c);
	g.pid = 0;
	g.dataflow = NULL;
	g.u.loss = (struct dp_loss_finding){.reason = DP_LOSS_LATE_RECORD, .count = 1, .total = 9};
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_records_total"), "100");
	assert_string_equal(value(b, "dora_probe_records_lost_total{reason=\"ring_full\"}"), "5");
	assert_string_equal(value(b, "dora_probe_records_lost_total{reason=\"late_record\"}"), "9");
	assert_string_equal(value(b, "dora_probe_overhead_ratio"), "0.0042");
	assert_string_equal(value(b, "dora_probe_source_active{source=\"sched\"}"), "1");
	assert_string_equal(value(b, "dora_probe_source_active{source=\"futex\"}"), "0");
	assert_string_equal(value(b, "dora_probe_bpf_run_seconds_total{program=\"on_\\\"switch\"}"),
			    "2.0");
	c.overhead_ratio = -1;
	dp_metrics_cost(f->m, &c);
	assert_string_equal(value(render(f, DP_METRICS_TEXT, S), "dora_probe_overhead_ratio"), "");
}

static void the_worst_of_two_processes_with_one_name_is_shown(void **state)
{
	struct fixture *f = *state;
	const char *b;

	add_view(f, 1, "flow", "a")->hold_ns = S;
	add_view(f, 2, "flow", "a")->hold_ns = 2 * S;
	f->views.v[0].pending_tokens = f->views.v[1].pending_tokens = 2;
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_gil_current_hold_seconds" FLOW("a")), "2.0");
	assert_string_equal(value(b, "dora_probe_drop_tokens_pending" FLOW("a")), "4");
	assert_unique_series(b);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_restarted_node_goes_on_counting),
		T(a_name_that_comes_late_takes_the_totals_along),
		T(series_of_a_node_that_left_expire),
		T(a_day_of_restarts_leaves_no_growing_series),
		T(more_nodes_than_places_are_a_loss),
		T(costs_never_fall),
		T(the_worst_of_two_processes_with_one_name_is_shown),
	};

	return cmocka_run_group_tests_name("metrics: nodes", tests, NULL, NULL);
}
