// SPDX-License-Identifier: MIT
/* A run of the model (session.h). */
#include "run/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void say(const struct dp_session *s, const char *sentence)
{
	if (s->say)
		s->say(s->ctx, sentence);
}

void dp_session_shown(struct dp_session *s, int err)
{
	char why[128];

	if (err == -EPIPE) {
		s->pipe_broken = true;
	} else if (err && err != -ENOBUFS && !s->output_error) {
		/* -ENOBUFS: a reader too slow for its own lines has lost some, show/ tells it. */
		s->output_error = err;
		snprintf(why, sizeof(why), "standard output: %s", strerror(-err));
		say(s, why);
	}
}

bool dp_session_unheard(const struct dp_session *s)
{
	return s->pipe_broken || s->output_error;
}

static void show(struct dp_session *s, const struct dp_finding *f)
{
	int err = dp_show_finding(s->show, f);

	while (s->patient && err == -ENOBUFS)
		err = dp_show_finding(s->show, f);
	dp_session_shown(s, err);
}

static void on_finding(void *ctx, const struct dp_finding *f)
{
	struct dp_session *s = ctx;

	if (f->type == DP_FIND_WARNING && !f->u.warning.resolved)
		s->warned = true;
	if (s->metrics)
		dp_metrics_finding(s->metrics, f);
	if (s->finding)
		s->finding(s->ctx, f);
	if (s->trace)
		dp_trace_finding(s->trace, f);
	if (s->page)
		dp_timeline_finding(s->page, f);
	if (s->view)
		dp_view_finding(s->view, f);
	else if (s->show && !dp_session_unheard(s))
		show(s, f);
}

static void on_request(void *ctx, const struct dp_request *q)
{
	struct dp_session *s = ctx;

	if (s->request)
		s->request(s->ctx, q);
}

int dp_session_begin(struct dp_session *s)
{
	const struct dp_model_sink sink = {.finding = on_finding, .request = on_request, .ctx = s};

	s->model = dp_model_new(&sink);
	return s->model ? 0 : -ENOMEM;
}

int dp_session_record(struct dp_session *s, const char *path, char *why, size_t why_len)
{
	int err = dp_recorder_open(path, &s->recorder);

	if (err)
		snprintf(why, why_len, "%s: %s", path,
			 err == -EEXIST ? "exists and is no recording: not overwritten"
					: strerror(-err));
	else
		s->record_path = path;
	return err;
}

bool dp_session_feed(struct dp_session *s, const struct dp_record *r)
{
	char why[512];
	int err = 0;

	if (s->recorder && !s->record_failed)
		err = dp_recorder_write(s->recorder, r);
	if (err) {
		s->record_failed = true;
		snprintf(why, sizeof(why), "%s: the recording ends here, at a %s record: %s",
			 s->record_path, dp_record_name(r->h.type), strerror(-err));
		say(s, why);
	}
	dp_model_feed(s->model, r);
	s->records++;
	return err == 0;
}

static void use_options(struct dp_session *s, const struct dp_rec_options *o)
{
	if (s->show)
		dp_show_set_hold_threshold(s->show, o->hold_threshold_ns);
	if (s->page)
		dp_timeline_set_hold_threshold(s->page, o->hold_threshold_ns);
}

int dp_session_replay(struct dp_session *s, struct dp_replay *file,
		      void (*options)(const void *ctx, struct dp_rec_options *o), const void *ctx,
		      bool *ret_ended)
{
	struct dp_record r;
	uint64_t last_ns = 0;
	int err = 0;

	*ret_ended = false;
	while (!dp_session_unheard(s) && (err = dp_replay_next(file, &r)) == 1) {
		if (r.h.type == DP_REC_OPTIONS) {
			options(ctx, &r.u.options);
			use_options(s, &r.u.options);
		}
		*ret_ended = r.h.type == DP_REC_END;
		last_ns = r.h.t_ns;
		dp_session_feed(s, &r);
	}
	if (!*ret_ended && !dp_session_unheard(s)) {
		dp_record_init(&r, DP_REC_END, last_ns, 0, 0);
		dp_session_feed(s, &r);
	}
	return err < 0 ? err : 0;
}

void dp_session_end(struct dp_session *s)
{
	char why[512];

	if (s->recorder && dp_recorder_close(s->recorder) < 0 && !s->record_failed) {
		snprintf(why, sizeof(why), "%s: could not be written to the end", s->record_path);
		say(s, why);
	}
	s->recorder = NULL;
	dp_model_free(s->model);
	s->model = NULL;
}
