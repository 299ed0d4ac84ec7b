// SPDX-License-Identifier: MIT
/* Writing: series become OpenMetrics 1.0 or text 0.0.4 (metrics.h). */
#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/units.h"
#include "show/metrics_state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The longest line: name, labels of the node, own labels and an exemplar, all escaped. */
#define LINE_MAX_ 2048

_Static_assert(sizeof("function") - 1 + sizeof("line") - 1 + 10 + DP_FUNCTION_MAX <=
		       DP_METRICS_EXEMPLAR_CHARS,
	       "an exemplar of function and line fits OpenMetrics' limit whatever they are");

/* ---- text ------------------------------------------------------------------------------- */

/* Makes room for n more bytes. 0 or the sticky error. */
static int text_reserve(struct dp_metrics_text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : 65536;
	char *p;

	if (t->error)
		return t->error;
	if (t->len + n <= t->cap)
		return 0;
	if (t->len + n > DP_METRICS_BODY_MAX) {
		t->error = -EFBIG;
		return t->error;
	}
	while (cap < t->len + n)
		cap *= 2;
	p = realloc(t->buf, cap);
	if (!p) {
		t->error = -ENOMEM;
		return t->error;
	}
	t->buf = p;
	t->cap = cap;
	return 0;
}

/* The writers below trust that the line's LINE_MAX_ bytes were reserved (line_begin). */
static void put(struct dp_metrics_text *t, const char *s, size_t n)
{
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

static void put_s(struct dp_metrics_text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_u64(struct dp_metrics_text *t, uint64_t v)
{
	char b[20];
	size_t i = sizeof(b);

	do {
		b[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(t, b + i, sizeof(b) - i);
}

/* Nanoseconds as seconds, exactly, without trailing zeros but with one decimal at least. */
static void put_seconds(struct dp_metrics_text *t, uint64_t ns)
{
	uint64_t frac = ns % SEC;
	char b[10] = ".000000000";
	size_t n = sizeof(b);

	put_u64(t, ns / SEC);
	for (size_t i = n; i > 1; frac /= 10)
		b[--i] = (char)('0' + frac % 10);
	while (n > 2 && b[n - 1] == '0')
		n--;
	put(t, b, n);
}

static void put_signed_seconds(struct dp_metrics_text *t, int64_t ns)
{
	if (ns < 0)
		put(t, "-", 1);
	put_seconds(t, ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns);
}

static void put_label(struct dp_metrics_text *t, const char *name, const char *value)
{
	char b[2 * DP_FILE_MAX];

	put_s(t, name);
	put(t, "=\"", 2);
	put(t, b, metrics_escape(b, sizeof(b), value));
	put(t, "\"", 1);
}

/* ---- exposition ------------------------------------------------------------------------- */

#define X_DEF(e, type_, scope_, family_, unit_, labels_, help_)                                    \
	[DP_METRIC_##e] = {.type = DP_METRIC_TYPE_##type_,                                         \
			   .scope = DP_METRIC_SCOPE_##scope_,                                      \
			   .family = PREFIX_##scope_ family_,                                      \
			   .unit = unit_,                                                          \
			   .labels = labels_,                                                      \
			   .help = help_},
#define PREFIX_NODE  DP_METRIC_PREFIX
#define PREFIX_PROBE DP_METRIC_PREFIX
#define PREFIX_SELF  ""

static const struct dp_metric_def defs[DP_METRIC_COUNT] = {DP_METRICS(X_DEF)};

const struct dp_metric_def *dp_metric_def(unsigned int id)
{
	return id < DP_METRIC_COUNT ? &defs[id] : NULL;
}

struct out {
	struct dp_metrics_text *t;
	enum dp_metrics_format format;
	const struct dp_metric_def *def;
};

static const char *sample_suffix(const struct dp_metric_def *d)
{
	if (d->type == DP_METRIC_TYPE_COUNTER)
		return "_total";
	return d->type == DP_METRIC_TYPE_INFO ? "_info" : "";
}

static void head_line(struct out *o, const char *what, const char *suffix, const char *rest)
{
	put_s(o->t, what);
	put_s(o->t, o->def->family);
	put_s(o->t, suffix);
	put(o->t, " ", 1);
	put_s(o->t, rest);
	put(o->t, "\n", 1);
}

/*
 * OpenMetrics names the family without its samples' suffix and knows `info`; the older text format
 * names each sample, has no infos and no units.
 */
static void family_begin(struct out *o, unsigned int id)
{
	static const char *const types[] = {"info", "counter", "gauge", "histogram"};
	const char *suffix, *type;

	o->def = &defs[id];
	if (text_reserve(o->t, LINE_MAX_))
		return;
	suffix = o->format == DP_METRICS_TEXT ? sample_suffix(o->def) : "";
	type = types[o->def->type];
	if (o->format == DP_METRICS_TEXT && o->def->type == DP_METRIC_TYPE_INFO)
		type = "gauge";
	head_line(o, "# TYPE ", suffix, type);
	if (o->format == DP_METRICS_OPENMETRICS && *o->def->unit)
		head_line(o, "# UNIT ", suffix, o->def->unit);
	head_line(o, "# HELP ", suffix, o->def->help);
}

/* Name and labels up to the value's blank. `a` and `b` are label lists, escaped; "" for none. */
static int line_begin(struct out *o, const char *suffix, const char *a, const char *b)
{
	if (text_reserve(o->t, LINE_MAX_))
		return o->t->error;
	put_s(o->t, o->def->family);
	put_s(o->t, suffix);
	if (*a || *b) {
		put(o->t, "{", 1);
		put_s(o->t, a);
		if (*a && *b)
			put(o->t, ",", 1);
		put_s(o->t, b);
		put(o->t, "}", 1);
	}
	put(o->t, " ", 1);
	return 0;
}

static void line_u64(struct out *o, const char *a, const char *b, uint64_t v)
{
	if (line_begin(o, sample_suffix(o->def), a, b))
		return;
	put_u64(o->t, v);
	put(o->t, "\n", 1);
}

static void line_seconds(struct out *o, const char *a, const char *b, uint64_t ns)
{
	if (line_begin(o, sample_suffix(o->def), a, b))
		return;
	put_seconds(o->t, ns);
	put(o->t, "\n", 1);
}

static void line_double(struct out *o, double v)
{
	char b[40];

	if (line_begin(o, sample_suffix(o->def), "", ""))
		return;
	snprintf(b, sizeof(b), "%.9g\n", v);
	put_s(o->t, b);
}

static void put_exemplar(struct out *o, const struct exemplar *e)
{
	struct dp_metrics_text *t = o->t;
	char line[16];

	if (!e || !e->set || o->format != DP_METRICS_OPENMETRICS)
		return;
	put_s(t, " # {");
	if (*e->function) {
		put_label(t, "function", e->function);
		if (e->line) {
			put(t, ",", 1);
			snprintf(line, sizeof(line), "%d", e->line);
			put_label(t, "line", line);
		}
	} else {
		put_label(t, "cause", dp_cause_name((unsigned int)e->cause));
	}
	put_s(t, "} ");
	put_seconds(t, e->value_ns);
	if (e->wall_ns != DP_SNULL) {
		put(t, " ", 1);
		put_seconds(t, (uint64_t)e->wall_ns / 1000000 * 1000000);
	}
}

static void put_histogram(struct out *o, const struct series *s, unsigned int h,
			  const struct exemplar *exemplars)
{
	const struct histogram *g = &s->h[h];
	uint64_t sum = 0;

	for (unsigned int i = 0; i <= metrics_buckets[h].count; i++) {
		const char *le =
			i < metrics_buckets[h].count ? metrics_buckets[h].le[i] : "le=\"+Inf\"";

		sum += g->bucket[i];
		if (line_begin(o, "_bucket", s->labels, le))
			return;
		put_u64(o->t, sum);
		put_exemplar(o, exemplars ? &exemplars[i] : NULL);
		put(o->t, "\n", 1);
	}
	if (line_begin(o, "_count", s->labels, ""))
		return;
	put_u64(o->t, g->count);
	put(o->t, "\n", 1);
	if (line_begin(o, "_sum", s->labels, ""))
		return;
	put_seconds(o->t, g->sum_ns);
	put(o->t, "\n", 1);
}

static void put_info(struct out *o, const struct series *s)
{
	struct dp_metrics_text *t = o->t;

	if (!s->has_facts || text_reserve(t, LINE_MAX_))
		return;
	put_s(t, o->def->family);
	put_s(t, "_info{");
	put_s(t, s->labels);
	put(t, ",", 1);
	put_label(t, "python", s->python);
	put(t, ",", 1);
	put_label(t, "dora", s->dora);
	put(t, ",", 1);
	put_label(t, "transport", dp_transport_name(s->transport));
	put(t, ",", 1);
	put_label(t, "dataflow_name", s->dataflow_name);
	put_s(t, "} 1\n");
}

static void line_label_u64(struct out *o, const struct series *s, const char *name,
			   const char *value, uint64_t v)
{
	char b[64];

	snprintf(b, sizeof(b), "%s=\"%s\"", name, value);
	line_u64(o, s ? s->labels : "", b, v);
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
			put(o->t, "\n", 1);
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

static int gil_shown(const struct series *s)
{
	return s->gil || s->shown.held_ns || s->h[H_HOLD].count || s->h[H_WAIT].count;
}

static int tokens_shown(const struct series *s)
{
	return s->tokens || s->pending || s->shown.returned || s->shown.abandoned ||
	       s->shown.lost || s->h[H_TOKEN].count;
}

/* One family's samples of one node. States are shown of nodes that are there only. */
static void put_series(struct out *o, unsigned int id, const struct series *s)
{
	switch ((enum dp_metric_id)id) {
	case DP_METRIC_NODE_INFO:
		put_info(o, s);
		break;
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
	case DP_METRIC_STOP_PENDING:
		if (s->live)
			line_u64(o, s->labels, "", s->stop_pending);
		break;
	case DP_METRIC_STOP_SLACK:
		if (!s->live || s->slack_ns == DP_SNULL || line_begin(o, "", s->labels, ""))
			break;
		put_signed_seconds(o->t, s->slack_ns);
		put(o->t, "\n", 1);
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
	case DP_METRIC_SIGNAL_DELAY:
		if (s->stop_ever || s->h[H_SIGNAL].count)
			put_histogram(o, s, H_SIGNAL, NULL);
		break;
	case DP_METRIC_WARNINGS:
		put_warnings(o, s);
		break;
	case DP_METRIC_ACTIONS:
		put_actions(o, s);
		break;
	default:
		break;
	}
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
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
			line_double(o, m->overhead);
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
		switch (defs[id].scope) {
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

const char *dp_metrics_content_type(enum dp_metrics_format format)
{
	return format == DP_METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}
