// SPDX-License-Identifier: MIT
/* Of a node of which everything is known, every metric of the list has a sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/array.h"
#include "findings.h"
#include "serve/metrics.h"

static unsigned int one_node(const void *ctx)
{
	(void)ctx;
	return 1;
}

static int known_node(const void *ctx, unsigned int i, struct dp_node_view *ret)
{
	(void)ctx;
	(void)i;
	*ret = (struct dp_node_view){.pid = 1234,
				     .facts = &full_facts,
				     .hold_ns = SEC,
				     .held_ns = SEC,
				     .pending_tokens = 1,
				     .oldest_pending_ns = SEC,
				     .tokens_returned = 1,
				     .token_gil_ns = SEC,
				     .stop_seen = true,
				     .deadline_known = true,
				     .slack_ns = (int64_t)SEC,
				     .need_ns = SEC,
				     .grace_ns = SEC,
				     .recommended_grace_ns = SEC};
	return 0;
}

/* Is there a sample of the family? Its name may have one of the endings that its type has. */
static bool has_sample(const char *text, const char *family)
{
	static const char *const endings[] = {"", "_total", "_info", "_bucket"};
	size_t n = strlen(family);

	for (const char *l = text; l; l = strchr(l, '\n')) {
		l += *l == '\n';
		if (strncmp(l, family, n) != 0)
			continue;
		for (size_t i = 0; i < DP_COUNT_OF(endings); i++) {
			size_t e = strlen(endings[i]);

			if (strncmp(l + n, endings[i], e) == 0 && strchr(" {", l[n + e]))
				return true;
		}
	}
	return false;
}

static void test_every_metric_has_a_sample(void **state)
{
	const struct dp_node_views views = {one_node, known_node, NULL};
	const struct dp_metrics_program program = {"on_switch", SEC};
	struct dp_metrics *m = dp_metrics_new("1.2.3", &views);
	struct dp_metrics_text t = {0};
	unsigned int missing = 0;

	(void)state;
	assert_non_null(m);
	for (int type = 0; type < DP_FIND_COUNT; type++) {
		const struct dp_finding f = finding_full((enum dp_finding_type)type);

		dp_metrics_finding(m, &f);
	}
	dp_metrics_cost(m, &(struct dp_metrics_cost){.programs = &program,
						     .program_count = 1,
						     .overhead_ratio = 0.5});
	dp_metrics_rendered(m, MS);
	assert_int_equal(dp_metrics_render(m, DP_METRICS_TEXT, SEC, &t), 0);
	t.buf[t.len] = '\0';
	for (unsigned int i = 0; dp_metric_def(i); i++)
		if (!has_sample(t.buf, dp_metric_def(i)->family)) {
			print_error("%s has no sample: see agent/serve/exposition.c\n",
				    dp_metric_def(i)->family);
			missing++;
		}
	assert_int_equal(missing, 0);
	free(t.buf);
	dp_metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_metric_has_a_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
