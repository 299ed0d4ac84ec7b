// SPDX-License-Identifier: MIT
/* `dora-probe replay FILE`: the same findings from a recording, without any privilege. */
#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "run/session.h"

static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	dp_log("%s", sentence);
}

/* What the live run was told, with what the user gives now over it. */
static void use_options(const void *ctx, struct dp_rec_options *m)
{
	dp_options_override(ctx, m);
}

/* Shows the whole recording. Returns the exit code. */
static int replay(struct dp_session *s, struct dp_replay *file, const struct dp_options *o)
{
	bool ended;
	int err = dp_session_replay(s, file, use_options, o, &ended);

	if (err < 0)
		dp_log("%s: damaged; what stands before is shown", o->file);
	else if (!ended && !s->pipe_broken && !s->output_error)
		dp_log("%s: the recording was not ended; no summary of its own", o->file);
	if (err < 0 || s->output_error)
		return DP_EX_INTERNAL;
	return o->fail_on_warning && s->warned ? DP_EX_WARNED : DP_EX_OK;
}

int dp_replay_command(const struct dp_options *o)
{
	struct dp_session s = {.say = say};
	const struct dp_show_options show_options = {
		.fd = STDOUT_FILENO,
		.format = o->json ? DP_SHOW_JSON : DP_SHOW_TEXT,
		.colour = dp_show_colour_wanted(STDOUT_FILENO),
		.verbose = o->verbosity,
		.columns = dp_show_columns_wanted(STDOUT_FILENO),
		.hold_threshold_ns = o->model.hold_threshold_ns,
	};
	struct dp_replay *file = NULL;
	char why[256] = "";
	int err, code = DP_EX_INTERNAL;

	signal(SIGPIPE, SIG_IGN);
	err = dp_replay_open(o->file, &file, why, sizeof(why));
	if (err) {
		dp_log("%s: %s", o->file, why[0] ? why : strerror(-err));
		return err == -EBADMSG || err == -ENOENT ? DP_EX_USAGE : DP_EX_INTERNAL;
	}
	s.show = dp_show_new(&show_options);
	if (s.show && dp_session_begin(&s) == 0)
		code = replay(&s, file, o);
	else
		say(NULL, "not enough memory");
	dp_replay_close(file);
	dp_session_end(&s);
	dp_show_free(s.show);
	return code;
}
