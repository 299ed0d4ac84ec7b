// SPDX-License-Identifier: MIT
/* `dora-probe list`: the dora nodes of this machine and what can be observed of each. */
#include "base/log.h"
#include "cli/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "dora/nodeconfig.h"
#include "python/pyprocess.h"
#include "sense/procfs.h"
#include "show/line.h"

struct list {
	int json;
	unsigned int nodes, unreadable;
	struct dp_line line;
};

/* One column of at least `width`, made safe for a terminal. */
static void column(struct dp_line *l, const char *value, size_t width)
{
	size_t columns = dp_line_text(l, value && value[0] ? value : "-");

	dp_line_fill(l, ' ', (columns < width ? width - columns : 0) + 2);
}

static void print_text(struct dp_line *l, pid_t pid, const struct dp_node_config *c,
		       const char *python, const char *dora, const char *observed)
{
	dp_line_fmt(l, "%8d  ", (int)pid);
	column(l, c->dataflow_name[0] ? c->dataflow_name : c->dataflow, 36);
	column(l, c->node, 16);
	column(l, python, 8);
	column(l, dora, 7);
	column(l, dp_transport_name(c->transport), 9);
	dp_line_text(l, observed);
	dp_line_str(l, "\n");
}

static void member(struct dp_line *l, const char *key, const char *value)
{
	dp_line_fmt(l, ",\"%s\":", key);
	dp_line_json(l, value && value[0] ? value : NULL);
}

/* What can be observed of a node, and why not more; "" nothing is missing. */
struct observable {
	bool gil, tokens;
	const char *reason;
};

static void print_json(struct dp_line *l, pid_t pid, const struct dp_node_config *c,
		       const char *python, const char *dora, const struct observable *o)
{
	dp_line_fmt(l, "{\"event\":\"list\",\"pid\":%d", (int)pid);
	member(l, "dataflow", c->dataflow);
	member(l, "dataflow_name", c->dataflow_name);
	member(l, "node", c->node);
	member(l, "python", python);
	member(l, "dora", dora);
	member(l, "transport",
	       c->transport == DP_TRANSPORT_UNKNOWN ? "" : dp_transport_name(c->transport));
	dp_line_fmt(l, ",\"gil_observable\":%s,\"tokens_observable\":%s", o->gil ? "true" : "false",
		    o->tokens ? "true" : "false");
	member(l, "reason", o->reason);
	dp_line_str(l, "}\n");
}

/*
 * Children and wrappers of a node inherit its environment: a node talks to its daemon, or is a
 * Python that is about to and has not been started by one.
 */
static bool is_node(pid_t pid, const struct dp_node_config *c, bool is_python)
{
	bool incomplete;
	int fds[4], n, own = 0;
	pid_t above;

	if (c->transport == DP_TRANSPORT_SHMEM)
		return true;
	n = dp_proc_daemon_sockets("/proc", pid, c, fds, 4, &incomplete);
	above = dp_proc_node_ancestor("/proc", pid, c);
	for (int i = 0; i < n; i++)
		own += !above || !dp_proc_shares_socket("/proc", pid, fds[i], above);
	return own || (is_python && !above);
}

/* py: NULL when it is no Python that can be watched, for the reason `why`. */
static struct observable what_of(const struct dp_node_config *c, const char *dora, struct dp_py *py,
				 const char *why)
{
	struct dp_target kernel = {0};
	struct observable o = {.reason = ""};

	o.gil = py && dp_py_fill_target(py, &kernel) > 0;
	o.tokens = c->transport != DP_TRANSPORT_SHMEM && c->transport != DP_TRANSPORT_UNKNOWN &&
		   !dp_version_at_least(dora, 1, 0, 0);
	if (!o.gil)
		o.reason = py ? "free-threaded without a GIL" : why;
	else if (c->transport == DP_TRANSPORT_SHMEM)
		o.reason = "shared-memory transport";
	else if (dp_version_at_least(dora, 1, 0, 0))
		o.reason = "dora 1.x has no drop tokens";
	return o;
}

/* The last column. */
static void observable_text(const struct observable *o, const struct dp_node_config *c, char *ret,
			    size_t len)
{
	snprintf(ret, len, "%s%s%s%s%s",
		 o->gil && o->tokens ? "GIL, tokens, stop"
		 : o->gil            ? "GIL, stop"
		 : o->tokens         ? "tokens, stop"
				     : "stop",
		 o->reason[0] ? " (" : "", o->reason, o->reason[0] ? ")" : "",
		 c->transport == DP_TRANSPORT_SHMEM ? ", no frames" : "");
}

static void print_one(struct list *l, pid_t pid, const struct dp_node_config *c, const char *python,
		      const char *dora, const struct observable *o)
{
	char observed[DP_REASON_MAX + 64];

	dp_line_reset(&l->line);
	if (l->json) {
		print_json(&l->line, pid, c, python, dora, o);
	} else {
		if (l->nodes == 1)
			printf("%8s  %-36s  %-16s  %-8s  %-7s  %-9s  %s\n", "PID", "DATAFLOW",
			       "NODE", "PYTHON", "DORA", "TRANSPORT", "OBSERVABLE");
		observable_text(o, c, observed, sizeof(observed));
		print_text(&l->line, pid, c, python, dora, observed);
	}
	if (!l->line.error)
		fwrite(l->line.data, 1, l->line.len, stdout);
}

static void list_one(void *ctx, pid_t pid)
{
	struct list *l = ctx;
	struct dp_node_config c;
	struct observable o;
	struct dp_py *py = NULL;
	char why[DP_REASON_MAX] = "", dora[24] = "";
	int err;

	err = dp_node_config_read("/proc", pid, &c);
	if (err == -EPERM && geteuid() != 0)
		l->unreadable++;
	if (err)
		return;
	err = dp_py_open(pid, &py, why, sizeof(why));
	if (is_node(pid, &c, !err)) {
		l->nodes++;
		dp_dora_version_read("/proc", pid, dora, sizeof(dora));
		o = what_of(&c, dora, py, why);
		print_one(l, pid, &c, py ? dp_py_info(py)->version : "", dora, &o);
	}
	dp_py_close(py);
}

int dp_list(const struct dp_options *o)
{
	struct list l = {.json = o->json, .line = {.limit = 64 * 1024}};

	dp_proc_each("/proc", list_one, &l);
	dp_line_free(&l.line);
	if (l.unreadable)
		dp_log("%u processes of other users may not be read: run `sudo dora-probe list`",
		       l.unreadable);
	if (!l.nodes) {
		if (!l.json)
			dp_log("no dora node is running");
		return l.unreadable ? DP_EX_RIGHT : DP_EX_OK;
	}
	return DP_EX_OK;
}
