// SPDX-License-Identifier: MIT
/*
 * `dora-probe list`: the dora nodes of this machine and what can be observed of each, by the same
 * facts as `watch`.
 */
#include "base/log.h"
#include "cli/watch.h"

#include <stdio.h>
#include <unistd.h>

#include "sense/targets.h"
#include "show/line.h"

struct list {
	int json;
	unsigned int nodes;
	struct dp_line line;
};

/* One column of at least `width`, made safe for a terminal. */
static void column(struct dp_line *l, const char *value, size_t width)
{
	size_t columns = dp_line_text(l, value && value[0] ? value : "-");

	dp_line_fill(l, ' ', (columns < width ? width - columns : 0) + 2);
}

static void print_text(struct dp_line *l, const struct dp_discovered *d, const char *observed)
{
	const struct dp_rec_node *f = d->facts;

	dp_line_fmt(l, "%8d  ", (int)d->pid);
	column(l, f->dataflow_name[0] ? f->dataflow_name : f->dataflow, 36);
	column(l, f->node, 16);
	column(l, f->python, 8);
	column(l, f->dora, 7);
	column(l, dp_transport_name(f->transport), 9);
	dp_line_text(l, observed);
	dp_line_str(l, "\n");
}

static void member(struct dp_line *l, const char *key, const char *value)
{
	dp_line_fmt(l, ",\"%s\":", key);
	dp_line_json(l, value && value[0] ? value : NULL);
}

static void print_json(struct dp_line *l, const struct dp_discovered *d)
{
	const struct dp_rec_node *f = d->facts;

	dp_line_fmt(l, "{\"event\":\"list\",\"pid\":%d", (int)d->pid);
	member(l, "dataflow", f->dataflow);
	member(l, "dataflow_name", f->dataflow_name);
	member(l, "node", f->node);
	member(l, "python", f->python);
	member(l, "dora", f->dora);
	member(l, "transport",
	       f->transport == DP_TRANSPORT_UNKNOWN ? "" : dp_transport_name(f->transport));
	dp_line_fmt(l, ",\"gil_observable\":%s,\"tokens_observable\":%s",
		    f->gil_observable ? "true" : "false", f->tokens_observable ? "true" : "false");
	member(l, "reason", f->reason);
	member(l, "role", dp_member_name(d->role));
	dp_line_str(l, "}\n");
}

/* What a shell script does before its node begins is none. */
static bool is_node(const struct dp_discovered *d)
{
	if (d->role != DP_MEMBER_NODE && d->role != DP_MEMBER_DYNAMIC)
		return false;
	return d->facts->is_python || d->connected || d->facts->transport == DP_TRANSPORT_SHMEM;
}

static void list_one(void *ctx, const struct dp_discovered *d)
{
	const struct dp_rec_node *f = d->facts;
	char observed[DP_REASON_MAX + 64];
	struct list *l = ctx;

	if (!is_node(d))
		return;
	l->nodes++;
	snprintf(observed, sizeof(observed), "%s%s%s%s%s",
		 f->gil_observable && f->tokens_observable ? "GIL, tokens, stop"
		 : f->gil_observable                       ? "GIL, stop"
		 : f->tokens_observable                    ? "tokens, stop"
							   : "stop",
		 f->reason[0] ? " (" : "", f->reason, f->reason[0] ? ")" : "",
		 f->transport == DP_TRANSPORT_SHMEM ? ", no frames" : "");
	dp_line_reset(&l->line);
	if (l->json) {
		print_json(&l->line, d);
	} else {
		if (l->nodes == 1)
			printf("%8s  %-36s  %-16s  %-8s  %-7s  %-9s  %s\n", "PID", "DATAFLOW",
			       "NODE", "PYTHON", "DORA", "TRANSPORT", "OBSERVABLE");
		print_text(&l->line, d, observed);
	}
	if (!l->line.error)
		fwrite(l->line.data, 1, l->line.len, stdout);
}

int dp_list(const struct dp_options *o)
{
	struct list l = {.json = o->json, .line = {.limit = 64 * 1024}};
	unsigned int unreadable = 0;
	int err = dp_targets_discover(list_one, &l, &unreadable);

	dp_line_free(&l.line);
	if (err) {
		dp_log("not enough memory");
		return DP_EX_INTERNAL;
	}
	if (geteuid() == 0)
		unreadable = 0;
	if (unreadable)
		dp_log("%u processes of other users may not be read: run `sudo dora-probe list`",
		       unreadable);
	if (!l.nodes) {
		if (!l.json)
			dp_log("no dora node is running");
		return unreadable ? DP_EX_RIGHT : DP_EX_OK;
	}
	return DP_EX_OK;
}
