/* SPDX-License-Identifier: MIT */
/*
 * A run of the model, the same for watch, replay and report: records go to the recorder and the
 * model, findings go to whatever shows them.
 */
#ifndef DORA_PROBE_SESSION_H
#define DORA_PROBE_SESSION_H

#include <stdbool.h>

#include "model/model.h"
#include "sense/recording.h"
#include "serve/metrics.h"
#include "show/show.h"
#include "show/timeline.h"
#include "show/trace.h"
#include "view/view.h"

/* Zeroed, but for the first two blocks. The caller owns what shows; NULL: not wanted. */
struct dp_session {
	struct dp_show *show;
	struct dp_view *view; /* while it is open, `show` gets nothing */
	struct dp_metrics *metrics;
	struct dp_timeline *page;
	struct dp_trace *trace;
	bool patient; /* a reader that is too slow for its lines is waited for */

	void (*finding)(void *ctx, const struct dp_finding *f); /* also, before it is shown; NULL */
	void (*request)(void *ctx,
			const struct dp_request *q);  /* NULL: the answers are in a file */
	void (*say)(void *ctx, const char *sentence); /* a failure on the way */
	void *ctx;

	struct dp_model *model;
	struct dp_recorder *recorder; /* NULL: nothing is recorded */
	const char *record_path;
	uint64_t records;
	bool warned; /* a warning has been said */
	bool pipe_broken, record_failed;
	int output_error; /* first -errno of `show`, other than a reader that has left */
};

/* Makes the model. 0 or -ENOMEM. */
int dp_session_begin(struct dp_session *s);
/* Records from here on, into `path`, which must outlive it. 0, or -errno with a sentence in `why`. */
int dp_session_record(struct dp_session *s, const char *path, char *why, size_t why_len);
/* One record, in order. Returns false when the recording ended here for a failure (which was said). */
bool dp_session_feed(struct dp_session *s, const struct dp_record *r);
/* What became of output that was written beside the findings: `err` as of dp_show_finding. */
void dp_session_shown(struct dp_session *s, int err);
/* Is there nobody left to show anything to? */
bool dp_session_unheard(const struct dp_session *s);

/*
 * Feeds a whole recording; `options` may change what it says the live run was told, and the
 * threshold of what shows follows. A recording that was not ended (a killed probe, a damaged file)
 * is ended at the time of its last record, so that the summary is said. *ret_ended: it was ended.
 * 0, or what dp_replay_next failed with.
 */
int dp_session_replay(struct dp_session *s, struct dp_replay *file,
		      void (*options)(const void *ctx, struct dp_rec_options *o), const void *ctx,
		      bool *ret_ended);

/* Frees the model and closes the recording, whose failure is said. */
void dp_session_end(struct dp_session *s);

#endif
