/* SPDX-License-Identifier: MIT */
/* What the tests of the exposition share: node views, findings, and the value of a sample. */
#ifndef DORA_PROBE_METRICS_SUPPORT_H
#define DORA_PROBE_METRICS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

static inline unsigned int views_count(const void *ctx)
{
	return ((const struct views *)ctx)->count;
}

static inline int views_view(const void *ctx, unsigned int i, struct dp_node_view *ret)
{
	const struct views *v = ctx;

	if (i >= v->count)
		return -1;
	*ret = v->v[i];
	return 0;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->m = dp_metrics_new("1.2.3", &(struct dp_node_views){views_count, views_view, &f->views});
	*state = f;
	return f->m ? 0 : -1;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	dp_metrics_free(f->m);
	free(f->t.buf);
	free(f);
	return 0;
}

static inline struct dp_node_view *add_view(struct fixture *f, uint32_t pid, const char *dataflow,
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

static inline struct dp_finding finding(unsigned int type, const char *node, uint64_t t_ns)
{
	struct dp_finding f = {.type = (uint8_t)type,
			       .t_ns = t_ns,
			       .wall_offset_ns = DP_SNULL,
			       .pid = 1,
			       .dataflow = "flow",
			       .node = node};

	return f;
}

static inline const char *render(struct fixture *f, enum dp_metrics_format format, uint64_t now)
{
	assert_int_equal(dp_metrics_render(f->m, format, now, &f->t), 0);
	f->t.buf[f->t.len] = '\0';
	return f->t.buf;
}

/* The value of the sample whose name and labels are exactly `series`; "" when there is none. */
static inline const char *value(const char *body, const char *series)
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

static inline int cmp_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two samples of one exposition may have the same name and labels. */
static inline unsigned int assert_unique_series(const char *body)
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

#define FLOW(node) "{dataflow=\"flow\",node=\"" node "\"}"

#endif
