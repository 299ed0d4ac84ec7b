// SPDX-License-Identifier: MIT
/* The Chrome trace writer (trace.h). Streams: nothing grows with the recording. */
#include "show/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show/line.h"
#include "show/render.h"
#include "show/show.h"

struct dp_trace {
	FILE *out;
	struct dp_line line;
	unsigned long long next_id; /* of token lives */
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

static void slice(struct dp_trace *t, const struct dp_finding *f, const char *category,
		  const char *name, uint32_t tid, uint64_t start, uint64_t end)
{
	if (start == DP_NULL || end == DP_NULL || end < start)
		return;
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

void dp_trace_finding(struct dp_trace *t, const struct dp_finding *f)
{
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_NODE:
		name_process(t, f);
		break;
	case DP_FIND_GIL_HOLD:
		slice(t, f, "gil_hold", f->u.hold.place.function ? f->u.hold.place.function : "GIL",
		      f->u.hold.tid, f->u.hold.start_ns, f->u.hold.end_ns);
		break;
	case DP_FIND_GIL_WAIT:
		slice(t, f, "gil_wait", "waits for the GIL", f->u.wait.tid, f->u.wait.start_ns,
		      f->u.wait.end_ns);
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
