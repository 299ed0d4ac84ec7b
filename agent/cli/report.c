// SPDX-License-Identifier: MIT
/* The command `report` (report.h). */
#include "cli/report.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "model/model.h"
#include "sense/recording.h"
#include "show/show.h"
#include "show/timeline.h"
#include "show/trace.h"

/* One of the three is there. */
struct report {
	struct dp_show *text;
	struct dp_timeline *page;
	struct dp_trace *trace;
	int error; /* first -errno of the text */
};

static void on_finding(void *ctx, const struct dp_finding *f)
{
	struct report *r = ctx;

	if (r->trace)
		dp_trace_finding(r->trace, f);
	if (r->page)
		dp_timeline_finding(r->page, f);
	if (r->text) {
		int err = dp_show_finding(r->text, f);

		/* A slow reader of a report is waited for: nothing runs meanwhile. */
		while (err == -ENOBUFS)
			err = dp_show_finding(r->text, f);
		if (err && !r->error)
			r->error = err;
	}
}

/* A recording has the answers already. */
static void on_request(void *ctx, const struct dp_request *q)
{
	(void)ctx;
	(void)q;
}

static int ends_in(const char *name, const char *ending)
{
	size_t len = name ? strlen(name) : 0;

	return len > strlen(ending) && strcmp(name + len - strlen(ending), ending) == 0;
}

/* Opens what the findings go into. 0 or -ENOMEM. */
static int begin(struct report *r, const struct dp_options *o, FILE *out)
{
	const struct dp_show_options text = {.fd = fileno(out),
					     .format = DP_SHOW_TEXT,
					     .verbose = o->verbosity,
					     .colour = !o->output &&
						       dp_show_colour_wanted(fileno(out)),
					     .hold_threshold_ns = o->model.hold_threshold_ns};

	if (ends_in(o->output, ".html"))
		r->page = dp_timeline_new();
	else if (ends_in(o->output, ".json"))
		r->trace = dp_trace_new(out);
	else
		r->text = dp_show_new(&text);
	return r->page || r->trace || r->text ? 0 : -ENOMEM;
}

/* Ends and frees it: 0 or the first error. `out` is NULL when there is nothing to write to. */
static int finish(struct report *r, FILE *out)
{
	int err = r->error, e = 0;

	if (r->trace)
		e = dp_trace_end(r->trace);
	if (r->page && out)
		e = dp_timeline_write(r->page, out);
	dp_timeline_free(r->page);
	dp_show_free(r->text);
	*r = (struct report){.error = err};
	return err ? err : e;
}

/*
 * Feeds the whole recording. 0, or what dp_replay_next ended with. A recording that was not ended
 * (a killed probe, a damaged file) is ended here at the time of its last record, so that the
 * model's summary is said.
 */
static int feed(struct dp_replay *replay, struct dp_model *model, const struct dp_options *o,
		const struct report *r)
{
	struct dp_record *rec = calloc(1, sizeof(*rec));
	int got, ended = 0;

	if (!rec)
		return -ENOMEM;
	while ((got = dp_replay_next(replay, rec)) == 1) {
		if (rec->h.type == DP_REC_OPTIONS) {
			dp_options_override(o, &rec->u.options);
			if (r->text)
				dp_show_set_hold_threshold(r->text,
							   rec->u.options.hold_threshold_ns);
			if (r->page)
				dp_timeline_set_hold_threshold(r->page,
							       rec->u.options.hold_threshold_ns);
		}
		ended = rec->h.type == DP_REC_END;
		dp_model_feed(model, rec);
	}
	if (!ended) {
		dp_record_init(rec, DP_REC_END, rec->h.t_ns, 0, 0);
		dp_model_feed(model, rec);
	}
	free(rec);
	return got;
}

int dp_report(const struct dp_options *o)
{
	struct report r = {.error = 0};
	const struct dp_model_sink sink = {.finding = on_finding, .request = on_request, .ctx = &r};
	struct dp_replay *replay = NULL;
	struct dp_model *model = NULL;
	char why[256] = "", temporary[PATH_MAX] = "";
	FILE *out = stdout;
	int code = DP_EX_INTERNAL, damaged = 0, err, fd;

	err = dp_replay_open(o->file, &replay, why, sizeof(why));
	if (err) {
		dp_log("%s: %s", o->file, why);
		return err == -EBADMSG || err == -ENOENT ? DP_EX_USAGE : DP_EX_INTERNAL;
	}
	signal(SIGPIPE, SIG_IGN);
	if (o->output) {
		if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", o->output) >=
		    (int)sizeof(temporary)) {
			err = -ENAMETOOLONG;
			*temporary = '\0';
			goto cleanup;
		}
		fd = mkstemp(temporary);
		out = fd < 0 ? NULL : fdopen(fd, "w");
		if (!out) {
			err = -errno;
			if (fd < 0)
				*temporary = '\0';
			else
				close(fd);
			goto cleanup;
		}
	}
	err = begin(&r, o, out);
	model = err ? NULL : dp_model_new(&sink);
	if (!model) {
		err = -ENOMEM;
		goto cleanup;
	}
	err = feed(replay, model, o, &r);
	if (err == -EBADMSG) {
		dp_log("%s: damaged behind byte %llu; this is what comes before", o->file,
		       (unsigned long long)dp_replay_offset(replay));
		damaged = 1;
		err = 0;
	}
	if (!err)
		err = finish(&r, out);
	if (!err && o->output) {
		/* mkstemp makes it private; a report is as private as the user's umask says. */
		mode_t mask = umask(077);

		umask(mask);
		if (fchmod(fileno(out), 0666 & ~mask) < 0 || fclose(out) != 0)
			err = -errno;
		out = NULL;
		if (!err && rename(temporary, o->output) < 0)
			err = -errno;
		if (!err)
			*temporary = '\0';
	}
	if (!err || err == -EPIPE)
		code = damaged ? DP_EX_INTERNAL : DP_EX_OK;
cleanup:
	if (err && err != -EPIPE)
		dp_log("%s: cannot write the report: %s", o->output ? o->output : "standard output",
		       strerror(-err));
	finish(&r, out);
	if (out && out != stdout)
		fclose(out);
	if (*temporary)
		unlink(temporary);
	dp_model_free(model);
	dp_replay_close(replay);
	return code;
}
