// SPDX-License-Identifier: MIT
/* Prints the list of metrics as the table of dashboards/metrics.md. */
#include <stdio.h>
#include <string.h>

#include "serve/metrics.h"

int main(void)
{
	static const char *const types[] = {"info", "counter", "gauge", "histogram"};

	puts("<!-- made by `make docs` from include/dora_probe/metrics.h -->\n"
	     "# Metrics\n\n"
	     "Labels `dataflow` and `node` are on all that are about a node. Series of a node that "
	     "left\n"
	     "expire after five minutes. What is not known is absent, never 0.\n\n"
	     "| metric | type | labels | meaning |\n|---|---|---|---|");
	for (unsigned int i = 0; dp_metric_def(i); i++) {
		const struct dp_metric_def *d = dp_metric_def(i);
		const char *suffix = "", *scope = "", *comma = "";

		if (d->type == DP_METRIC_TYPE_COUNTER)
			suffix = "_total";
		else if (d->type == DP_METRIC_TYPE_INFO)
			suffix = "_info";
		if (d->scope == DP_METRIC_SCOPE_NODE)
			scope = "dataflow, node";
		if (*scope && *d->labels)
			comma = ", ";
		printf("| `%s%s` | %s | %s%s", d->family, suffix, types[d->type], scope, comma);
		for (const char *p = d->labels; *p; p++)
			printf(*p == ',' ? ", " : "%c", *p);
		printf(" | %s |\n", d->help);
	}
	return 0;
}
