// SPDX-License-Identifier: MIT
/* Writing: OpenMetrics 1.0 or text 0.0.4, line by line (openmetrics.h). */
#include "serve/openmetrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

_Static_assert(sizeof("function") - 1 + sizeof("line") - 1 + 10 + DP_FUNCTION_MAX <=
		       DP_METRICS_EXEMPLAR_CHARS,
	       "an exemplar of function and line fits OpenMetrics' limit whatever they are");

int text_reserve(struct dp_metrics_text *t, size_t n)
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

void put_bytes(struct dp_metrics_text *t, const char *s, size_t n)
{
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

void put_s(struct dp_metrics_text *t, const char *s)
{
	put_bytes(t, s, strlen(s));
}

void put_u64(struct dp_metrics_text *t, uint64_t v)
{
	char b[20];
	size_t i = sizeof(b);

	do {
		b[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put_bytes(t, b + i, sizeof(b) - i);
}

void put_seconds(struct dp_metrics_text *t, uint64_t ns)
{
	uint64_t frac = ns % SEC;
	char b[10] = ".000000000";
	size_t n = sizeof(b);

	put_u64(t, ns / SEC);
	for (size_t i = n; i > 1; frac /= 10)
		b[--i] = (char)('0' + frac % 10);
	while (n > 2 && b[n - 1] == '0')
		n--;
	put_bytes(t, b, n);
}

void put_signed_seconds(struct dp_metrics_text *t, int64_t ns)
{
	if (ns < 0)
		put_bytes(t, "-", 1);
	put_seconds(t, ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns);
}

void put_label(struct dp_metrics_text *t, const char *name, const char *value)
{
	char b[2 * DP_FILE_MAX];

	put_s(t, name);
	put_bytes(t, "=\"", 2);
	put_bytes(t, b, metrics_escape(b, sizeof(b), value));
	put_bytes(t, "\"", 1);
}

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
	put_bytes(o->t, " ", 1);
	put_s(o->t, rest);
	put_bytes(o->t, "\n", 1);
}

/*
 * OpenMetrics names the family without its samples' suffix and knows `info`; the older text format
 * names each sample, has no infos and no units.
 */
void family_begin(struct out *o, unsigned int id)
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

int line_begin(struct out *o, const char *suffix, const char *a, const char *b)
{
	if (text_reserve(o->t, LINE_MAX_))
		return o->t->error;
	put_s(o->t, o->def->family);
	put_s(o->t, suffix);
	if (*a || *b) {
		put_bytes(o->t, "{", 1);
		put_s(o->t, a);
		if (*a && *b)
			put_bytes(o->t, ",", 1);
		put_s(o->t, b);
		put_bytes(o->t, "}", 1);
	}
	put_bytes(o->t, " ", 1);
	return 0;
}

void line_u64(struct out *o, const char *a, const char *b, uint64_t v)
{
	if (line_begin(o, sample_suffix(o->def), a, b))
		return;
	put_u64(o->t, v);
	put_bytes(o->t, "\n", 1);
}

void line_seconds(struct out *o, const char *a, const char *b, uint64_t ns)
{
	if (line_begin(o, sample_suffix(o->def), a, b))
		return;
	put_seconds(o->t, ns);
	put_bytes(o->t, "\n", 1);
}

void line_double(struct out *o, const char *labels, double v)
{
	char b[40];

	if (line_begin(o, sample_suffix(o->def), labels, ""))
		return;
	snprintf(b, sizeof(b), "%.9g\n", v);
	put_s(o->t, b);
}

void line_label_u64(struct out *o, const struct series *s, const char *name, const char *value,
		    uint64_t v)
{
	char b[64];

	snprintf(b, sizeof(b), "%s=\"%s\"", name, value);
	line_u64(o, s ? s->labels : "", b, v);
}

void put_exemplar(struct out *o, const struct exemplar *e)
{
	struct dp_metrics_text *t = o->t;
	char line[16];

	if (!e || !e->set || o->format != DP_METRICS_OPENMETRICS)
		return;
	put_s(t, " # {");
	if (*e->function) {
		put_label(t, "function", e->function);
		if (e->line) {
			put_bytes(t, ",", 1);
			snprintf(line, sizeof(line), "%d", e->line);
			put_label(t, "line", line);
		}
	} else {
		put_label(t, "cause", dp_cause_name((unsigned int)e->cause));
	}
	put_s(t, "} ");
	put_seconds(t, e->value_ns);
	if (e->wall_ns != DP_SNULL) {
		put_bytes(t, " ", 1);
		put_seconds(t, (uint64_t)e->wall_ns / 1000000 * 1000000);
	}
}

void put_histogram(struct out *o, const struct series *s, unsigned int h,
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
		put_bytes(o->t, "\n", 1);
	}
	if (line_begin(o, "_count", s->labels, ""))
		return;
	put_u64(o->t, g->count);
	put_bytes(o->t, "\n", 1);
	if (line_begin(o, "_sum", s->labels, ""))
		return;
	put_seconds(o->t, g->sum_ns);
	put_bytes(o->t, "\n", 1);
}

const char *dp_metrics_content_type(enum dp_metrics_format format)
{
	return format == DP_METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}
