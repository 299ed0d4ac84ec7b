// SPDX-License-Identifier: MIT
/* `dora-probe replay FILE`: the same findings from a recording, without any privilege. */
#include "base/log.h"
#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "sense/recording.h"
#include "show/show.h"

struct replay {
	struct dp_show *show;
	int warned, pipe_broken, output_error;
};

static void finding(void *ctx, const struct dp_finding *f)
{
	struct replay *r = ctx;
	int err;

	if (f->type == DP_FIND_WARNING && !f->u.warning.resolved)
		r->warned = 1;
	if (r->pipe_broken || r->output_error)
		return;
	err = dp_show_finding(r->show, f);
	if (err == -EPIPE)
		r->pipe_broken = 1;
	else if (err && err != -ENOBUFS)
		r->output_error = err;
}

/* Answers are in the file. */
static void request(void *ctx, const struct dp_request *q)
{
	(void)ctx;
	(void)q;
}

/* What the live run was told, with what the user gives now over it. */
static void use_options(struct replay *r, const struct dp_options *o, struct dp_rec_options *m)
{
	dp_options_override(o, m);
	dp_show_set_hold_threshold(r->show, m->hold_threshold_ns);
}

int dp_replay_command(const struct dp_options *o)
{
	struct replay ctx = {0};
	struct dp_model_sink sink = {.finding = finding, .request = request, .ctx = &ctx};
	struct dp_show_options show_options = {
		.fd = STDOUT_FILENO,
		.format = o->json ? DP_SHOW_JSON : DP_SHOW_TEXT,
		.colour = dp_show_colour_wanted(STDOUT_FILENO),
		.verbose = o->verbosity,
		.hold_threshold_ns = o->model.hold_threshold_ns,
	};
	struct dp_replay *file = NULL;
	struct dp_model *model = NULL;
	struct dp_record r;
	char why[256] = "";
	int err, code = DP_EX_INTERNAL, complete = 0;

	signal(SIGPIPE, SIG_IGN);
	err = dp_replay_open(o->file, &file, why, sizeof(why));
	if (err) {
		dp_log("%s: %s", o->file, why[0] ? why : strerror(-err));
		return err == -EBADMSG || err == -ENOENT ? DP_EX_USAGE : DP_EX_INTERNAL;
	}
	ctx.show = dp_show_new(&show_options);
	model = dp_model_new(&sink);
	if (!ctx.show || !model) {
		dp_log("not enough memory");
		goto cleanup;
	}
	while (!ctx.pipe_broken && (err = dp_replay_next(file, &r)) == 1) {
		if (r.h.type == DP_REC_OPTIONS)
			use_options(&ctx, o, &r.u.options);
		complete = r.h.type == DP_REC_END;
		dp_model_feed(model, &r);
	}
	code = DP_EX_OK;
	if (err < 0) {
		dp_log("%s: damaged; what stands before is shown", o->file);
		code = DP_EX_INTERNAL;
	} else if (!complete && !ctx.pipe_broken) {
		dp_log("%s: the recording was not ended; no summary of its own", o->file);
	}
	if (!complete && !ctx.pipe_broken) {
		/* Ends the model where the file ends, so that its summary is said. */
		dp_record_init(&r, DP_REC_END, 0, 0, 0);
		dp_model_feed(model, &r);
	}
	if (ctx.output_error) {
		dp_log("standard output: %s", strerror(-ctx.output_error));
		code = DP_EX_INTERNAL;
	}
	if (code == DP_EX_OK && o->fail_on_warning && ctx.warned)
		code = DP_EX_WARNED;
cleanup:
	dp_replay_close(file);
	dp_model_free(model);
	dp_show_free(ctx.show);
	return code;
}
