// SPDX-License-Identifier: MIT
/* The command `watch`: the user's options into a live run, and what came of it into an exit code. */
#include "cli/watch.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/values.h"
#include "run/live.h"
#include "view/view.h"

/* The one place of a live run that speaks on standard error. */
static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	dp_log("%s", sentence);
}

static int exit_code_of(int err)
{
	switch (err) {
	case 0:
		return DP_EX_OK;
	case -EPERM:
	case -EMFILE:
	case -EACCES:
		return DP_EX_RIGHT;
	case -ENOTSUP:
	case -ENOSYS:
		return DP_EX_FEATURE;
	case -ESRCH:
	case -ENOENT:
		return DP_EX_TARGET;
	default:
		return DP_EX_INTERNAL;
	}
}

static int exit_code(const struct dp_options *o, int err, const struct dp_live_result *r)
{
	if (err < 0 && r->failed == DP_LIVE_ENDPOINT &&
	    (err == -EINVAL || err == -EADDRINUSE || err == -EADDRNOTAVAIL))
		return DP_EX_USAGE;
	if (err < 0 && r->failed == DP_LIVE_USER)
		return DP_EX_USAGE;
	if (err < 0)
		return exit_code_of(err);
	if (r->output_error)
		return DP_EX_INTERNAL;
	if (r->never_seen)
		return DP_EX_TARGET;
	/* What was asked for by name never came. */
	if ((o->wanted.nodes.count || o->wanted.dataflows.count) && !r->nodes_seen)
		return DP_EX_TARGET;
	return o->fail_on_warning && r->warned ? DP_EX_WARNED : DP_EX_OK;
}

int dp_watch(const struct dp_options *o)
{
	struct dp_live_options live = {
		.wanted = o->wanted,
		.model = o->model,
		.exact_ns = o->exact_ns,
		.duration_ns = o->duration_ns,
		.share_interval_ns = o->share_interval_ns,
		.max_overhead = o->max_overhead,
		.show = {.fd = STDOUT_FILENO,
			 .format = o->json ? DP_SHOW_JSON : DP_SHOW_TEXT,
			 .colour = dp_show_colour_wanted(STDOUT_FILENO),
			 .columns = dp_show_columns_wanted(STDOUT_FILENO),
			 .verbose = o->verbosity,
			 .hold_threshold_ns = o->model.hold_threshold_ns},
		.view = o->view,
		.record = o->record,
		.acting = {.on_warning = o->on_warning,
			   .on_action = o->on_action,
			   .hook_user = o->hook_user,
			   .dora_cli = o->dora_cli,
			   .may_stop_dataflow = o->model.stop_dataflow_after_ns != 0,
			   .may_signal = o->model.shutdown != DP_SHUTDOWN_OBSERVE},
		.say = say,
	};
	struct dp_live_result result;
	char why[512] = "", addr[64];
	int err;

	if (o->view && dp_view_possible(why, sizeof(why)) < 0) {
		say(NULL, why);
		return DP_EX_USAGE;
	}
	/* The options have checked it. */
	if (o->listen && dp_parse_listen(o->listen, addr, sizeof(addr), &live.listen_port) == 0)
		live.listen_addr = addr;
	err = dp_live_run(&live, &result, why, sizeof(why));
	if (err < 0 && why[0])
		say(NULL, why);
	return exit_code(o, err, &result);
}
