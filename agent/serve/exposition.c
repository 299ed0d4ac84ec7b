// SPDX-License-Identifier: MIT
/* What is written of each metric: of the nodes, the probe and its process (metrics.h). */
#include "serve/openmetrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"

static void put_info(struct out *o, const struct series *s)
{
	struct dp_metrics_text *t = o->t;

	if (!s->has_facts || text_reserve(t, LINE_MAX_))
		return;
	put_s(t, o->def->family);
	put_s(t, "_info{");
	put_s(t, s->labels);
	put_bytes(t, ",", 1);
	put_label(t, "python", s->python);
	put_bytes(t, ",", 1);
	put_label(t, "dora", s->dora);
	put_bytes(t, ",", 1);
	put_label(t, "transport", dp_transport_name(s->transport));
	put_bytes(t, ",", 1);
	put_label(t, "dataflow_name", s->dataflow_name);
	put_s(t, "} 1\n");
}

static void put_warnings(struct out *o, const struct series *s)
{
	for (unsigned int k = 0; k < DP_WARN_COUNT; k++) {
		for (unsigned int c = 0; c < DP_CAUSE_COUNT; c++) {
			const struct exemplar *e = &s->warning_exemplar[k];
			char b[96];

			if (!s->warnings[k][c])
				continue;
			snprintf(b, sizeof(b), "kind=\"%s\",cause=\"%s\"", dp_warning_name(k),
				 dp_cause_name(c));
			if (line_begin(o, "_total", s->labels, b))
				return;
			put_u64(o->t, s->warnings[k][c]);
			put_exemplar(o, e->cause == (int)c ? e : NULL);
			put_bytes(o->t, "\n", 1);
		}
	}
}

static void put_actions(struct out *o, const struct series *s)
{
	for (unsigned int a = 0; a < DP_ACTION_COUNT; a++) {
		for (unsigned int r = 0; r < DP_RESULT_COUNT; r++) {
			/*
			 * A nudge is to be seen as a step from 0, so its series are there as soon
			 * as there is a stop that may lead to one.
			 */
			int early = s->stop_ever && a == DP_ACTION_NUDGE &&
				    (r == DP_RESULT_SENT || r == DP_RESULT_WOULD_SEND);
			char b[64];

			if (!s->actions[a][r] && !early)
				continue;
			snprintf(b, sizeof(b), "action=\"%s\",result=\"%s\"", dp_action_name(a),
				 dp_action_result_name(r));
			line_u64(o, s->labels, b, s->actions[a][r]);
		}
	}
}

/* A ratio of a node that is there; a negative one is not known. */
static void put_ratio(struct out *o, const struct series *s, double ratio)
{
	if (s->live && ratio >= 0)
		line_double(o, s->labels, ratio);
}

static int gil_shown(const struct series *s)
{
	return s->gil || s->shown.held_ns || s->h[H_HOLD].count || s->h[H_WAIT].count;
}

/* The families about holds of the GIL and waits for it. */
static void put_gil(struct out *o, unsigned int id, const struct series *s)
{
	switch ((enum dp_metric_id)id) {
	case DP_METRIC_GIL_HELD:
		if (gil_shown(s))
			line_seconds(o, s->labels, "", s->shown.held_ns);
		break;
	case DP_METRIC_GIL_HOLD:
		if (gil_shown(s))
			put_histogram(o, s, H_HOLD, s->hold_exemplar);
		break;
	case DP_METRIC_GIL_WAIT:
		if (gil_shown(s))
			put_histogram(o, s, H_WAIT, NULL);
		break;
	case DP_METRIC_CURRENT_HOLD:
		if (s->live && gil_shown(s))
			line_seconds(o, s->labels, "", s->hold_ns);
		break;
	case DP_METRIC_NOT_POLLING:
		if (s->live && gil_shown(s))
			line_seconds(o, s->labels, "", s->not_polling_ns);
		break;
	case DP_METRIC_GIL_HELD_RATIO:
		put_ratio(o, s, s->gil_held.ratio);
		break;
	case DP_METRIC_GIL_WAIT_RATIO:
		put_ratio(o, s, s->gil_wait.ratio);
		break;
	case DP_METRIC_WITHOUT_GIL_RATIO:
		put_ratio(o, s, s->running_without_gil.ratio);
		break;
	case DP_METRIC_BLOCKED_RATIO:
		put_ratio(o, s, s->blocked.ratio);
		break;
	case DP_METRIC_GIL_SHARE_ERROR:
		put_ratio(o, s, s->gil_held.error);
		break;
	default:
		break;
	}
}

static int tokens_shown(const struct series *s)
{
	return s->tokens || s->pending || s->shown.returned || s->shown.abandoned ||
	       s->shown.lost || s->h[H_TOKEN].count;
}

/* The families about drop tokens. */
static void put_tokens(struct out *o, unsigned int id, const struct series *s)
{
	switch ((enum dp_metric_id)id) {
	case DP_METRIC_TOKENS_PENDING:
		if (s->live && tokens_shown(s))
			line_u64(o, s->labels, "", s->pending);
		break;
	case DP_METRIC_OLDEST_PENDING:
		if (s->live && tokens_shown(s))
			line_seconds(o, s->labels, "", s->oldest_ns);
		break;
	case DP_METRIC_TOKENS:
		if (!tokens_shown(s))
			break;
		line_label_u64(o, s, "outcome", dp_token_state_name(DP_TOKEN_RETURNED),
			       s->shown.returned);
		line_label_u64(o, s, "outcome", dp_token_state_name(DP_TOKEN_ABANDONED),
			       s->shown.abandoned);
		line_label_u64(o, s, "outcome", dp_token_state_name(DP_TOKEN_LOST), s->shown.lost);
		break;
	case DP_METRIC_TOKEN_PENDING:
		if (tokens_shown(s))
			put_histogram(o, s, H_TOKEN, s->token_exemplar);
		break;
	case DP_METRIC_TOKEN_GIL_DELAY:
		if (tokens_shown(s))
			line_seconds(o, s->labels, "", s->shown.token_gil_ns);
		break;
	default:
		break;
	}
}

/* The families about a stop: one that may come, one that has come, how it ended. */
static void put_stop(struct out *o, unsigned int id, const struct series *s)
{
	switch ((enum dp_metric_id)id) {
	case DP_METRIC_STOP_PENDING:
		if (s->live)
			line_u64(o, s->labels, "", s->stop_pending);
		break;
	case DP_METRIC_STOP_SLACK:
		if (!s->live || s->slack_ns == DP_SNULL || line_begin(o, "", s->labels, ""))
			break;
		put_signed_seconds(o->t, s->slack_ns);
		put_bytes(o->t, "\n", 1);
		break;
	case DP_METRIC_STOP_DURATION:
		put_histogram(o, s, H_STOP, NULL);
		break;
	case DP_METRIC_STOP_FORECAST:
		if (s->live && s->need_ns != DP_NULL)
			line_seconds(o, s->labels, "", s->need_ns);
		break;
	case DP_METRIC_GRACE:
		if (s->live && s->grace_ns != DP_NULL)
			line_seconds(o, s->labels, "", s->grace_ns);
		break;
	case DP_METRIC_RECOMMENDED_GRACE:
		if (s->live && s->recommended_ns != DP_NULL)
			line_seconds(o, s->labels, "", s->recommended_ns);
		break;
	case DP_METRIC_NODE_EXITS:
		for (unsigned int r = 0; r < DP_EXIT_COUNT; r++)
			line_label_u64(o, s, "reason", dp_exit_reason_name(r), s->exits[r]);
		break;
	case DP_METRIC_NODE_LIVES:
		line_u64(o, s->labels, "", s->lives);
		break;
	case DP_METRIC_SIGNAL_DELAY:
		if (s->stop_ever || s->h[H_SIGNAL].count)
			put_histogram(o, s, H_SIGNAL, NULL);
		break;
	default:
		break;
	}
}

/* The families about what was said and done of a node, and what it is. */
static void put_node(struct out *o, unsigned int id, const struct series *s)
{
	switch ((enum dp_metric_id)id) {
	case DP_METRIC_NODE_INFO:
		put_info(o, s);
		break;
	case DP_METRIC_WARNINGS:
		put_warnings(o, s);
		break;
	case DP_METRIC_ACTIONS:
		put_actions(o, s);
		break;
	case DP_METRIC_OBSERVATION_LEVEL:
		if (s->live && s->level)
			line_label_u64(o, s, "level", dp_level_name(s->level), 1);
		break;
	default:
		break;
	}
}

/*
 * One family's samples of one node, by the one of these that has it. States are shown of nodes that
 * are there only.
 */
static void put_series(struct out *o, unsigned int id, const struct series *s)
{
	put_node(o, id, s);
	put_gil(o, id, s);
	put_tokens(o, id, s);
	put_stop(o, id, s);
}

static int count_fd(void *ctx, int fd)
{
	unsigned int *n = ctx;

	(void)fd;
	++*n;
	return 0;
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	dp_procfile_numbers("/proc", getpid(), "fd", count_fd, &n);
	return n ? n - 1 : 0; /* the directory itself */
}

/* Pages of size and resident set, from /proc/self/statm. 0 or -errno. */
static int memory_pages(uint64_t *ret_size, uint64_t *ret_resident)
{
	char text[128];
	ssize_t n = dp_procfile_read("/proc/self/statm", text, sizeof(text));
	const char *p;

	if (n < 0)
		return (int)n;
	p = dp_number(text, 10, UINT64_MAX, ret_size);
	return p && *p == ' ' && dp_number(p + 1, 10, UINT64_MAX, ret_resident) ? 0 : -EBADMSG;
}

static void put_self(struct out *o, const struct dp_metrics *m, unsigned int id)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size, resident;
	struct rlimit rl;
	unsigned int n;

	switch ((enum dp_metric_id)id) {
	case DP_METRIC_CPU:
		line_seconds(o, "", "", dp_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
		break;
	case DP_METRIC_RSS:
		if (memory_pages(&size, &resident) == 0)
			line_u64(o, "", "", resident * page);
		break;
	case DP_METRIC_VSIZE:
		if (memory_pages(&size, &resident) == 0)
			line_u64(o, "", "", size * page);
		break;
	case DP_METRIC_OPEN_FDS:
		n = open_fds();
		if (n)
			line_u64(o, "", "", n);
		break;
	case DP_METRIC_MAX_FDS:
		if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
			line_u64(o, "", "", rl.rlim_cur);
		break;
	case DP_METRIC_START_TIME:
		if (m->start_ns)
			line_seconds(o, "", "", m->start_ns);
		break;
	default:
		break;
	}
}

static void put_probe(struct out *o, const struct dp_metrics *m, unsigned int id)
{
	uint64_t v;
	char b[96], e[80];

	switch ((enum dp_metric_id)id) {
	case DP_METRIC_NODES_WATCHED:
		line_u64(o, "", "", m->live);
		break;
	case DP_METRIC_RECORDS:
		line_u64(o, "", "", m->records);
		break;
	case DP_METRIC_RECORDS_LOST:
		for (unsigned int i = 0; i < DP_LOSS_COUNT; i++) {
			v = m->losses[i] + (i == DP_LOSS_NODE_LIMIT ? m->no_room : 0);
			line_label_u64(o, NULL, "reason", dp_loss_name(i), v);
		}
		break;
	case DP_METRIC_BPF_RUN:
		for (unsigned int i = 0; i < m->program_count; i++) {
			metrics_escape(e, sizeof(e), m->programs[i].name);
			snprintf(b, sizeof(b), "program=\"%s\"", e);
			line_seconds(o, "", b, m->programs[i].run_ns);
		}
		break;
	case DP_METRIC_OVERHEAD:
		if (m->overhead >= 0)
			line_double(o, "", m->overhead);
		break;
	case DP_METRIC_SOURCE_ACTIVE:
		for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++)
			line_label_u64(o, NULL, "source", dp_source_name(i), m->sources >> i & 1);
		break;
	case DP_METRIC_RENDER:
		line_seconds(o, "", "", m->render_ns);
		break;
	case DP_METRIC_SERIES_EXPIRED:
		line_u64(o, "", "", m->expired);
		break;
	case DP_METRIC_BUILD_INFO:
		metrics_escape(e, sizeof(e), m->version);
		snprintf(b, sizeof(b), "version=\"%s\"", e);
		line_u64(o, "", b, 1);
		break;
	default:
		break;
	}
}

int dp_metrics_render(struct dp_metrics *m, enum dp_metrics_format format, uint64_t now_ns,
		      struct dp_metrics_text *t)
{
	struct out o = {.t = t, .format = format};

	dp_metrics_refresh(m, now_ns);
	t->len = 0;
	t->error = 0;
	for (unsigned int id = 0; id < DP_METRIC_COUNT; id++) {
		family_begin(&o, id);
		switch (dp_metric_def(id)->scope) {
		case DP_METRIC_SCOPE_NODE:
			for (unsigned int i = 0; i < DP_METRICS_NODES; i++)
				if (m->series[i].used)
					put_series(&o, id, &m->series[i]);
			break;
		case DP_METRIC_SCOPE_PROBE:
			put_probe(&o, m, id);
			break;
		case DP_METRIC_SCOPE_SELF:
			put_self(&o, m, id);
			break;
		}
	}
	if (format == DP_METRICS_OPENMETRICS && text_reserve(t, LINE_MAX_) == 0)
		put_s(t, "# EOF\n");
	return t->error;
}

void dp_metrics_rendered(struct dp_metrics *m, uint64_t duration_ns)
{
	m->render_ns = duration_ns;
}
