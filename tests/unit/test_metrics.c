// SPDX-License-Identifier: MIT
/* The exposition: what is counted, under which names, and that it stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "serve/metrics.h"

#define S     1000000000ULL
#define NODES (DP_METRICS_NODES + 8)

/* A stand-in for the model's views, filled by each test. */
struct views {
	unsigned int count;
	struct dp_node_view v[NODES];
	struct dp_rec_node facts[NODES];
};

struct fixture {
	struct views views;
	struct dp_metrics *m;
	struct dp_metrics_text t;
};

static unsigned int views_count(const void *ctx)
{
	return ((const struct views *)ctx)->count;
}

static int views_view(const void *ctx, unsigned int i, struct dp_node_view *ret)
{
	const struct views *v = ctx;

	if (i >= v->count)
		return -1;
	*ret = v->v[i];
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->m = dp_metrics_new("1.2.3", &(struct dp_node_views){views_count, views_view, &f->views});
	*state = f;
	return f->m ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dp_metrics_free(f->m);
	free(f->t.buf);
	free(f);
	return 0;
}

static struct dp_node_view *add_view(struct fixture *f, uint32_t pid, const char *dataflow,
				     const char *node)
{
	unsigned int i = f->views.count++;
	struct dp_node_view *v = &f->views.v[i];

	memset(v, 0, sizeof(*v));
	memset(&f->views.facts[i], 0, sizeof(f->views.facts[i]));
	v->pid = pid;
	v->facts = &f->views.facts[i];
	v->need_ns = v->recommended_grace_ns = DP_NULL;
	v->slack_ns = DP_SNULL;
	f->views.facts[i].start_time = pid * 10;
	f->views.facts[i].gil_observable = f->views.facts[i].tokens_observable = 1;
	f->views.facts[i].transport = DP_TRANSPORT_TCP;
	snprintf(f->views.facts[i].dataflow, DP_UUID_MAX, "%s", dataflow);
	snprintf(f->views.facts[i].node, DP_ID_MAX, "%s", node);
	return v;
}

static struct dp_finding finding(unsigned int type, const char *node, uint64_t t_ns)
{
	struct dp_finding f = {.type = (uint8_t)type,
			       .t_ns = t_ns,
			       .wall_offset_ns = DP_SNULL,
			       .pid = 1,
			       .dataflow = "flow",
			       .node = node};

	return f;
}

static const char *render(struct fixture *f, enum dp_metrics_format format, uint64_t now)
{
	assert_int_equal(dp_metrics_render(f->m, format, now, &f->t), 0);
	f->t.buf[f->t.len] = '\0';
	return f->t.buf;
}

/* The value of the sample whose name and labels are exactly `series`; "" when there is none. */
static const char *value(const char *body, const char *series)
{
	static char v[128];
	size_t n = strlen(series);

	for (const char *l = body; l; l = strchr(l, '\n')) {
		l += *l == '\n';
		if (strncmp(l, series, n) == 0 && l[n] == ' ') {
			snprintf(v, sizeof(v), "%.*s", (int)strcspn(l + n + 1, " \n"), l + n + 1);
			return v;
		}
		if (!*l)
			break;
	}
	return "";
}

static int cmp_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two samples of one exposition may have the same name and labels. */
static unsigned int assert_unique_series(const char *body)
{
	char *copy = strdup(body), *save = NULL, **lines = calloc(100000, sizeof(*lines));
	unsigned int n = 0;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *exemplar = strstr(l, " # {"), *end;

		if (*l == '#')
			continue;
		if (exemplar)
			*exemplar = '\0';
		end = strrchr(l, ' ');
		assert_non_null(end);
		*end = '\0';
		assert_true(n < 100000);
		lines[n++] = l;
	}
	qsort(lines, n, sizeof(*lines), cmp_line);
	for (unsigned int i = 1; i < n; i++)
		if (strcmp(lines[i - 1], lines[i]) == 0)
			fail_msg("twice: %s", lines[i]);
	free(lines);
	free(copy);
	return n;
}

#define FLOW(node)        "{dataflow=\"flow\",node=\"" node "\"}"
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
		T(each_metric_has_its_head),
		T(states_come_from_views),
		T(a_node_without_gil_has_no_gil_series),
		T(holds_fall_into_buckets),
		T(tokens_waits_signals_and_exits_are_counted),
		T(warnings_count_when_raised_only),
		T(exemplars_carry_function_and_line),
		T(hostile_names_are_escaped),
		T(a_restarted_node_goes_on_counting),
		T(a_name_that_comes_late_takes_the_totals_along),
		T(series_of_a_node_that_left_expire),
		T(a_day_of_restarts_leaves_no_growing_series),
		T(more_nodes_than_places_are_a_loss),
		T(costs_never_fall),
		T(the_worst_of_two_processes_with_one_name_is_shown),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
