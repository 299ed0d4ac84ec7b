/* SPDX-License-Identifier: MIT */
/*
 * The lines of an exposition, in OpenMetrics 1.0 or text 0.0.4: names, labels, values, exemplars.
 * Private to serve/. Errors stick in the text; once there is one, nothing more is added.
 */
#ifndef DORA_PROBE_SERVE_OPENMETRICS_H
#define DORA_PROBE_SERVE_OPENMETRICS_H

#include <stddef.h>
#include <stdint.h>

#include "serve/metrics_state.h"

/* The longest line: name, labels of the node, own labels and an exemplar, all escaped. */
#define LINE_MAX_ 2048

struct out {
	struct dp_metrics_text *t;
	enum dp_metrics_format format;
	const struct dp_metric_def *def;
};

/* Makes room for n more bytes. 0 or the sticky error. */
int text_reserve(struct dp_metrics_text *t, size_t n);

/* ---- into a line whose LINE_MAX_ bytes were reserved, by line_begin or text_reserve ---- */

void put_bytes(struct dp_metrics_text *t, const char *s, size_t n);
void put_s(struct dp_metrics_text *t, const char *s);
void put_u64(struct dp_metrics_text *t, uint64_t v);
/* Nanoseconds as seconds, exactly, without trailing zeros but with one decimal at least. */
void put_seconds(struct dp_metrics_text *t, uint64_t ns);
void put_signed_seconds(struct dp_metrics_text *t, int64_t ns);
/* name="value", the value escaped. */
void put_label(struct dp_metrics_text *t, const char *name, const char *value);
/* Behind a sample's value, where the format has exemplars; NULL and one that is not set: nothing. */
void put_exemplar(struct out *o, const struct exemplar *e);

/* ---- whole lines ---- */

/* Type, unit and help of metric `id`, whose samples follow. */
void family_begin(struct out *o, unsigned int id);
/*
 * Name and labels of a sample up to the value's blank; what follows ends the line. `a` and `b` are
 * label lists, escaped; "" for none. 0 or the sticky error.
 */
int line_begin(struct out *o, const char *suffix, const char *a, const char *b);
/* A sample of the family, with its suffix. */
void line_u64(struct out *o, const char *a, const char *b, uint64_t v);
void line_seconds(struct out *o, const char *a, const char *b, uint64_t ns);
void line_double(struct out *o, const char *labels, double v);
/* One of the series (NULL: of none) that one more label, not escaped, tells from the others. */
void line_label_u64(struct out *o, const struct series *s, const char *name, const char *value,
		    uint64_t v);
/* Buckets, count and sum. `exemplars`: one for each bucket, or NULL. */
void put_histogram(struct out *o, const struct series *s, unsigned int h,
		   const struct exemplar *exemplars);

#endif
