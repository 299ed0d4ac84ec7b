// SPDX-License-Identifier: MIT
/* The exposition: what is counted, under which names. */
#include "base/units.h"
#include "metrics_support.h"

#define FLOW_(node, more) "{dataflow=\"flow\",node=\"" node "\"," more "}"

static void each_metric_has_its_head(void **state)
{
	struct fixture *f = *state;
	char line[512];
	const char *b;

	add_view(f, 1, "flow", "a");
	b = render(f, DP_METRICS_OPENMETRICS, S);
	for (unsigned int i = 0; dp_metric_def(i); i++) {
		const struct dp_metric_def *d = dp_metric_def(i);

		snprintf(line, sizeof(line), "# HELP %s %s\n", d->family, d->help);
		assert_non_null(strstr(b, line));
		snprintf(line, sizeof(line), "# UNIT %s %s\n", d->family, d->unit);
		assert_int_equal(strstr(b, line) != NULL, *d->unit != '\0');
		/* OpenMetrics: the unit is the end of the name. */
		assert_string_equal(d->family + strlen(d->family) - strlen(d->unit), d->unit);
	}
	assert_int_equal(dp_metric_def(0)->type, DP_METRIC_TYPE_INFO);
	assert_string_equal(b + strlen(b) - 6, "# EOF\n");
	b = render(f, DP_METRICS_TEXT, S);
	assert_null(strstr(b, "# EOF"));
	assert_null(strstr(b, "# UNIT"));
	assert_non_null(strstr(b, "# TYPE dora_probe_node_info gauge\n"));
	assert_non_null(strstr(b, "# TYPE dora_probe_gil_held_seconds_total counter\n"));
	assert_string_equal(value(b, "dora_probe_build_info{version=\"1.2.3\"}"), "1");
}

static void states_come_from_views(void **state)
{
	struct fixture *f = *state;
	struct dp_node_view *v = add_view(f, 1, "flow", "a");
	const char *b;

	v->hold_ns = 1500 * MS;
	v->pending_tokens = 3;
	v->oldest_pending_ns = 2 * S + 5;
	v->stop_seen = v->deadline_known = 1;
	v->slack_ns = -(int64_t)(2500 * MS);
	v->need_ns = 12 * S;
	v->grace_ns = 10 * S;
	v->recommended_grace_ns = 20 * S;
	v->held_ns = 7 * S + 1;
	v->tokens_returned = 10;
	v->tokens_abandoned = 2;
	v->token_gil_ns = 3 * S;
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_gil_current_hold_seconds" FLOW("a")), "1.5");
	assert_string_equal(value(b, "dora_probe_drop_tokens_pending" FLOW("a")), "3");
	assert_string_equal(value(b, "dora_probe_drop_token_oldest_pending_seconds" FLOW("a")),
			    "2.000000005");
	assert_string_equal(value(b, "dora_probe_stop_pending" FLOW("a")), "1");
	assert_string_equal(value(b, "dora_probe_stop_slack_seconds" FLOW("a")), "-2.5");
	assert_string_equal(value(b, "dora_probe_stop_forecast_seconds" FLOW("a")), "12.0");
	assert_string_equal(value(b, "dora_probe_recommended_grace_seconds" FLOW("a")), "20.0");
	assert_string_equal(value(b, "dora_probe_stop_grace_seconds" FLOW("a")), "10.0");
	assert_string_equal(value(b, "dora_probe_gil_held_seconds_total" FLOW("a")), "8.500000001");
	assert_string_equal(
		value(b, "dora_probe_drop_tokens_total" FLOW_("a", "outcome=\"abandoned\"")), "2");
	assert_string_equal(value(b, "dora_probe_drop_token_gil_delay_seconds_total" FLOW("a")),
			    "3.0");
	assert_string_equal(value(b, "dora_probe_watched_nodes"), "1");

	/* What is not known is absent, not 0. */
	v->stop_seen = 0;
	v->need_ns = v->recommended_grace_ns = DP_NULL;
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_stop_slack_seconds" FLOW("a")), "");
	assert_string_equal(value(b, "dora_probe_stop_forecast_seconds" FLOW("a")), "");
	assert_string_equal(value(b, "dora_probe_recommended_grace_seconds" FLOW("a")), "");
	assert_string_equal(value(b, "dora_probe_stop_pending" FLOW("a")), "0");
}

static void a_node_without_gil_has_no_gil_series(void **state)
{
	struct fixture *f = *state;
	const char *b;

	add_view(f, 1, "flow", "rust");
	f->views.facts[0].gil_observable = 0;
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_gil_held_seconds_total" FLOW("rust")), "");
	assert_string_equal(value(b, "dora_probe_gil_current_hold_seconds" FLOW("rust")), "");
	assert_string_equal(value(b, "dora_probe_drop_tokens_pending" FLOW("rust")), "0");
}

static void holds_fall_into_buckets(void **state)
{
	static const uint64_t ns[] = {5 * MS, 5 * MS + 1, 61 * S};
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_GIL_HOLD, "a", 100 * S);
	const char *b;

	add_view(f, 1, "flow", "a");
	for (unsigned int i = 0; i < 3; i++) {
		g.u.hold = (struct dp_hold_finding){
			.precision = DP_PRECISION_EXACT, .start_ns = S, .end_ns = S + ns[i]};
		dp_metrics_finding(f->m, &g);
	}
	/* Neither an unconfirmed hold nor one without an end is a proven one. */
	g.u.hold.precision = DP_PRECISION_UNCONFIRMED;
	dp_metrics_finding(f->m, &g);
	g.u.hold.precision = DP_PRECISION_EXACT;
	g.u.hold.end_ns = DP_NULL;
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_TEXT, S);
#define HOLD "dora_probe_gil_hold_duration_seconds"
	assert_string_equal(value(b, HOLD "_bucket" FLOW_("a", "le=\"0.005\"")), "1");
	assert_string_equal(value(b, HOLD "_bucket" FLOW_("a", "le=\"0.02\"")), "2");
	assert_string_equal(value(b, HOLD "_bucket" FLOW_("a", "le=\"60.0\"")), "2");
	assert_string_equal(value(b, HOLD "_bucket" FLOW_("a", "le=\"+Inf\"")), "3");
	assert_string_equal(value(b, HOLD "_count" FLOW("a")), "3");
	assert_string_equal(value(b, HOLD "_sum" FLOW("a")), "61.010000001");
}

static void tokens_waits_signals_and_exits_are_counted(void **state)
{
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_TOKEN, "a", S);
	const char *b;

	add_view(f, 1, "flow", "a");
	g.u.token = (struct dp_token_finding){
		.state = DP_TOKEN_RETURNED, .pending_ns = 700 * MS, .cause = DP_CAUSE_GIL_NATIVE};
	dp_metrics_finding(f->m, &g);
	g.u.token.state = DP_TOKEN_LOST;
	dp_metrics_finding(f->m, &g);
	g = finding(DP_FIND_GIL_WAIT, "a", S);
	g.u.wait = (struct dp_wait_finding){.start_ns = S, .end_ns = 2 * S};
	dp_metrics_finding(f->m, &g);
	g = finding(DP_FIND_SIGNAL, "a", S);
	g.u.signal = (struct dp_signal_finding){
		.sent_ns = S, .delivered_ns = 2 * S, .handled_ns = 3 * S};
	dp_metrics_finding(f->m, &g);
	g.u.signal.handled_ns = DP_NULL;
	dp_metrics_finding(f->m, &g);
	g = finding(DP_FIND_EXIT, "a", S);
	g.u.exit = (struct dp_exit_finding){.reason = DP_EXIT_GRACE_KILL, .since_stop_ns = 10 * S};
	dp_metrics_finding(f->m, &g);
	g.u.exit = (struct dp_exit_finding){.reason = DP_EXIT_CLEAN, .since_stop_ns = DP_NULL};
	dp_metrics_finding(f->m, &g);
	g = finding(DP_FIND_ACTION, "a", S);
	g.u.action =
		(struct dp_action_finding){.action = DP_ACTION_NUDGE, .result = DP_RESULT_SENT};
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_TEXT, S);
	assert_string_equal(value(b, "dora_probe_drop_token_pending_seconds_count" FLOW("a")), "1");
	assert_string_equal(value(b, "dora_probe_drop_token_pending_seconds_sum" FLOW("a")), "0.7");
	assert_string_equal(value(b, "dora_probe_gil_wait_duration_seconds_count" FLOW("a")), "1");
	assert_string_equal(value(b, "dora_probe_signal_handling_delay_seconds_sum" FLOW("a")),
			    "2.0");
	assert_string_equal(value(b, "dora_probe_signal_handling_delay_seconds_count" FLOW("a")),
			    "1");
	assert_string_equal(
		value(b, "dora_probe_node_exits_total" FLOW_("a", "reason=\"grace_kill\"")), "1");
	assert_string_equal(value(b, "dora_probe_node_exits_total" FLOW_("a", "reason=\"clean\"")),
			    "1");
	assert_string_equal(value(b, "dora_probe_node_exits_total" FLOW_("a", "reason=\"error\"")),
			    "0");
	assert_string_equal(
		value(b, "dora_probe_stop_duration_seconds_bucket" FLOW_("a", "le=\"10.0\"")), "1");
	assert_string_equal(value(b, "dora_probe_stop_duration_seconds_count" FLOW("a")), "1");
	assert_string_equal(
		value(b, "dora_probe_actions_total" FLOW_("a", "action=\"nudge\",result=\"sent\"")),
		"1");
}

static void warnings_count_when_raised_only(void **state)
{
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_WARNING, "a", S);
	const char *b;

	g.u.warning = (struct dp_warning_finding){
		.kind = DP_WARN_GIL_HOLD, .cause = DP_CAUSE_GIL_NATIVE, .held_ns = S};
	dp_metrics_finding(f->m, &g);
	g.u.warning.resolved = 1;
	dp_metrics_finding(f->m, &g);
	g.u.warning = (struct dp_warning_finding){.kind = DP_WARN_DEADLINE, .cause = -1};
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_TEXT, S);
#define WARN "dora_probe_warnings_total"
	assert_string_equal(value(b, WARN FLOW_("a", "kind=\"gil_hold\",cause=\"gil_native\"")),
			    "1");
	assert_string_equal(value(b, WARN FLOW_("a", "kind=\"deadline\",cause=\"unknown\"")), "1");
}

static void exemplars_carry_function_and_line(void **state)
{
	struct fixture *f = *state;
	struct dp_finding g = finding(DP_FIND_GIL_HOLD, "a", 3 * S);
	char function[300];
	const char *b, *e, *end;

	add_view(f, 1, "flow", "a");
	g.wall_offset_ns = (int64_t)(1700000000 * S + 123 * MS);
	g.u.hold = (struct dp_hold_finding){.precision = DP_PRECISION_BOUNDED,
					    .start_ns = S,
					    .end_ns = S + 30 * MS,
					    .place = {.function = "sol\"ve\n", .line = 42}};
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_OPENMETRICS, S);
	assert_non_null(strstr(
		b, HOLD
		"_bucket" FLOW_("a", "le=\"0.05\"") " 1 # {function=\"sol\\\"ve\\n\",line=\"42\"} "
						    "0.03 1700000003.123\n"));
	assert_null(strstr(render(f, DP_METRICS_TEXT, S), "# {"));

	memset(function, 'f', sizeof(function) - 1);
	function[sizeof(function) - 1] = '\0';
	g.u.hold.place.function = function;
	g.u.hold.place.line = INT32_MAX;
	dp_metrics_finding(f->m, &g);
	b = render(f, DP_METRICS_OPENMETRICS, S);
	e = strstr(b, "{function=\"f");
	assert_non_null(e);
	end = strchr(e, '}');
	/* Without braces, quotes, equals signs and the comma. */
	assert_true(end - e - 1 - 4 - 2 - 1 <= DP_METRICS_EXEMPLAR_CHARS);
}

static void hostile_names_are_escaped(void **state)
{
	struct fixture *f = *state;
	const char *b;

	add_view(f, 1, "flow", "a\"} 1\nevil{x=\"\\");
	add_view(f, 2, "flow", "bell\a");
	/* Prints as the one above, so it must be the same series. */
	add_view(f, 3, "flow", "bell\x01");
	add_view(f, 4, "flow", "bro\xc3ken \xf0\x9f\xa4\x96");
	for (unsigned int i = 0; i < 4; i++)
		f->views.v[i].held_ns = S;
	b = render(f, DP_METRICS_OPENMETRICS, S);
	assert_unique_series(b);
	assert_null(strstr(b, "\nevil"));
	assert_string_equal(
		value(b, "dora_probe_gil_held_seconds_total{dataflow=\"flow\",node=\"a\\\"} "
			 "1\\nevil{x=\\\"\\\\\"}"),
		"1.0");
	assert_string_equal(value(b, "dora_probe_gil_held_seconds_total" FLOW("bell?")), "2.0");
	assert_string_equal(
		value(b, "dora_probe_gil_held_seconds_total" FLOW("bro?ken \xf0\x9f\xa4\x96")),
		"1.0");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_metric_has_its_head),
		T(states_come_from_views),
		T(a_node_without_gil_has_no_gil_series),
		T(holds_fall_into_buckets),
		T(tokens_waits_signals_and_exits_are_counted),
		T(warnings_count_when_raised_only),
		T(exemplars_carry_function_and_line),
		T(hostile_names_are_escaped),

	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
