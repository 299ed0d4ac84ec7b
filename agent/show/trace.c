// SPDX-License-Identifier: MIT
/* The Chrome trace writer (trace.h). Streams: nothing grows with the recording. */
#include "show/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show/line.h"
#include "show/render.h"
#include "show/show.h"

#define TRACKS_MAX 1024
/* Waits of a thread have a track of their own: its number is beyond every thread's. */
#define WAIT_TRACK (1u << 30)

/* Slices of one track that overlap without one being within the other are drawn wrongly. */
struct track {
	uint32_t pid, tid;
	struct last {
		uint64_t start_ns, end_ns;
	} hold, wait;
};

struct dp_trace {
	FILE *out;
	struct dp_line line;
	unsigned long long next_id; /* of token lives */
	struct track tracks[TRACKS_MAX];
	unsigned int track_count, track_oldest;
	int started;
	int error;
};

static void put(struct dp_trace *t)
{
	int err = t->line.error;

	if (!err && fwrite(t->line.data, 1, t->line.len, t->out) != t->line.len)
		err = errno ? -errno : -EIO;
	if (err && !t->error)
		t->error = err;
	dp_line_reset(&t->line);
}

struct dp_trace *dp_trace_new(FILE *out)
{
	struct dp_trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->out = out;
	t->line.limit = 64 * 1024;
	dp_line_str(&t->line, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
	put(t);
	return t;
}

int dp_trace_end(struct dp_trace *t)
{
	int err;

	dp_line_str(&t->line, "\n]}\n");
	put(t);
	if (fflush(t->out) != 0 && !t->error)
		t->error = -errno;
	err = t->error;
	dp_line_free(&t->line);
	free(t);
	return err;
}

/* The format's times are microseconds; three decimals keep the nanoseconds. */
static void put_us(struct dp_line *l, const char *key, uint64_t ns)
{
	dp_line_fmt(l, ",\"%s\":%llu.%03llu", key, (unsigned long long)(ns / 1000),
		    (unsigned long long)(ns % 1000));
}

static void open_event(struct dp_trace *t, const char *phase, const char *category, uint32_t pid,
		       uint32_t tid, uint64_t ts)
{
	struct dp_line *l = &t->line;

	dp_line_str(l, t->started ? ",\n" : "\n");
	t->started = 1;
	dp_line_fmt(l, "{\"ph\":\"%s\",\"cat\":\"%s\",\"pid\":%u,\"tid\":%u", phase, category, pid,
		    tid ? tid : pid);
	put_us(l, "ts", ts);
}

static void put_name(struct dp_line *l, const char *name)
{
	dp_line_str(l, ",\"name\":");
	dp_line_json(l, name && *name ? name : "?");
}

/* The finding itself, as its JSON line, is the event's arguments. */
static void close_event(struct dp_trace *t, const struct dp_finding *f)
{
	struct dp_json_state none = {.in_summary = 0};
	struct dp_line json = {.limit = 64 * 1024};

	dp_render_json(&json, &none, f);
	if (json.error) {
		t->line.error = json.error;
	} else if (json.len) {
		dp_line_str(&t->line, ",\"args\":");
		dp_line_add(&t->line, json.data, json.len - 1);
	}
	dp_line_str(&t->line, "}");
	dp_line_free(&json);
	put(t);
}

static void name_process(struct dp_trace *t, const struct dp_finding *f)
{
	open_event(t, "M", "__metadata", f->pid, 0, 0);
	dp_line_str(&t->line, ",\"name\":\"process_name\",\"args\":{\"name\":");
	dp_line_json(&t->line, f->node && *f->node ? f->node : "process");
	dp_line_str(&t->line, "}}");
	put(t);
}

/* The thread's entry; where all are taken, the one that was made first is given up. */
static struct track *track_of(struct dp_trace *t, uint32_t pid, uint32_t tid)
{
	struct track *k;

	for (unsigned int i = t->track_count; i-- > 0;)
		if (t->tracks[i].pid == pid && t->tracks[i].tid == tid)
			return &t->tracks[i];
	if (t->track_count < TRACKS_MAX)
		k = &t->tracks[t->track_count++];
	else
		k = &t->tracks[t->track_oldest++ % TRACKS_MAX];
	*k = (struct track){.pid = pid, .tid = tid};
	open_event(t, "M", "__metadata", pid, tid | WAIT_TRACK, 0);
	dp_line_fmt(&t->line,
		    ",\"name\":\"thread_name\",\"args\":{\"name\":\"%u waits for the GIL\"}}", tid);
	put(t);
	return k;
}

/*
 * `last`: the last slice of that track. One that reaches into it begins where it ends: the bracket of a
 * hold's start may lie before the end of the hold before.
 */
static void slice(struct dp_trace *t, const struct dp_finding *f, const char *category,
		  const char *name, uint32_t tid, uint64_t start, uint64_t end, struct last *last)
{
	if (start == DP_NULL || end == DP_NULL || end < start)
		return;
	if (start < last->end_ns && end > last->end_ns)
		start = last->end_ns;
	else if (start < last->start_ns && end > last->start_ns)
		start = last->start_ns;
	*last = (struct last){.start_ns = start, .end_ns = end};
	open_event(t, "X", category, f->pid, tid, start);
	put_us(&t->line, "dur", end - start);
	put_name(&t->line, name);
	close_event(t, f);
}

static void token(struct dp_trace *t, const struct dp_finding *f)
{
	const struct dp_token_finding *k = &f->u.token;
	uint64_t start = k->delivered_ns != DP_NULL ? k->delivered_ns : k->sent_ns;
	uint64_t end = k->reported_ns != DP_NULL ? k->reported_ns : f->t_ns;
	uint32_t pid = k->receiver_pid ? k->receiver_pid : f->pid;
	unsigned long long id = ++t->next_id;

	if (start == DP_NULL || end < start)
		return;
	open_event(t, "b", "token", pid, 0, start);
	dp_line_fmt(&t->line, ",\"id\":\"%llu\"", id);
	put_name(&t->line, k->output && *k->output ? k->output : "token");
	close_event(t, f);
	open_event(t, "e", "token", pid, 0, end);
	dp_line_fmt(&t->line, ",\"id\":\"%llu\"", id);
	put_name(&t->line, k->output && *k->output ? k->output : "token");
	dp_line_str(&t->line, "}");
	put(t);
}

static void instant(struct dp_trace *t, const struct dp_finding *f, const char *name)
{
	open_event(t, "i", dp_event_name(f->type), f->pid, 0, f->t_ns);
	dp_line_str(&t->line, ",\"s\":\"p\"");
	put_name(&t->line, name);
	close_event(t, f);
}

/* The shares as a counter track of the process, which holds each value up to the next. */
static void share(struct dp_trace *t, const struct dp_finding *f)
{
	const struct dp_share_finding *k = &f->u.share;

	if (!(k->gil_held.ratio >= 0) || k->duration_ns > f->t_ns)
		return;
	open_event(t, "C", "share", f->pid, 0, f->t_ns - k->duration_ns);
	put_name(&t->line, "GIL shares, %");
	dp_line_fmt(&t->line, ",\"args\":{\"held\":%.2f", k->gil_held.ratio * 100);
	if (k->gil_wait.ratio >= 0)
		dp_line_fmt(&t->line, ",\"waited for\":%.2f", k->gil_wait.ratio * 100);
	dp_line_str(&t->line, "}}");
	put(t);
}

void dp_trace_finding(struct dp_trace *t, const struct dp_finding *f)
{
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_NODE:
		name_process(t, f);
		break;
	case DP_FIND_GIL_HOLD:
		slice(t, f, "gil_hold", f->u.hold.place.function ? f->u.hold.place.function : "GIL",
		      f->u.hold.tid, f->u.hold.start_ns, f->u.hold.end_ns,
		      &track_of(t, f->pid, f->u.hold.tid)->hold);
		break;
	case DP_FIND_GIL_WAIT:
		slice(t, f, "gil_wait", "waits for the GIL", f->u.wait.tid | WAIT_TRACK,
		      f->u.wait.start_ns, f->u.wait.end_ns,
		      &track_of(t, f->pid, f->u.wait.tid)->wait);
		break;
	case DP_FIND_TOKEN:
		token(t, f);
		break;
	case DP_FIND_WARNING:
		instant(t, f, dp_warning_name(f->u.warning.kind));
		break;
	case DP_FIND_STOP:
		instant(t, f, "stop");
		break;
	case DP_FIND_ACTION:
		instant(t, f, dp_action_name(f->u.action.action));
		break;
	case DP_FIND_EXIT:
		instant(t, f, "exit");
		break;
	case DP_FIND_SIGNAL:
		instant(t, f, "signal");
		break;
	case DP_FIND_LOSS:
		instant(t, f, "loss");
		break;
	case DP_FIND_SHARE:
		share(t, f);
		break;
	case DP_FIND_START:
	case DP_FIND_FORECAST:
	case DP_FIND_STOCK:
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
}
