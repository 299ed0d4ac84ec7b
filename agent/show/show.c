// SPDX-License-Identifier: MIT
/* Prints findings: renders each into one buffer and writes it without being held up (show.h). */
#include "show/show.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "show/render.h"
#include "show/row.h"
#include "show/wrap.h"

/* A finding's strings are bounded (record.h), so one line stays far below this. */
#define LINE_MAX_BYTES (64 * 1024)
/* Summary of some 500 nodes; what does not fit is counted in the line itself. */
#define SUMMARY_MAX_BYTES (512 * 1024)
/* A pipe that poll() calls writable takes PIPE_BUF bytes without blocking (pipe(7)). */
#define PIECE        4096
#define LAST_WAIT_MS 2000
/* How long the text waits for more tokens that end alike. */
#define HELD_BACK_NS (500 * MS)

struct dp_show {
	struct dp_show_options o;
	struct dp_line line;
	struct dp_line narrow; /* text: the line as wide as is wanted */
	struct dp_json_state json;
	struct dp_text_state text;
	struct dp_line
		backlog; /* whole lines not yet taken by the reader, but for the first's head */
	size_t done;     /* bytes of the backlog that are written */
	int error;       /* of an earlier write: nothing more is tried */
	int whole;       /* a regular file never blocks: no need for pieces */
};

struct dp_show *dp_show_new(const struct dp_show_options *o)
{
	struct dp_show *s = calloc(1, sizeof(*s));
	struct stat st;

	if (!s)
		return NULL;
	s->o = *o;
	s->line.limit = SUMMARY_MAX_BYTES + LINE_MAX_BYTES;
	s->narrow.limit = 2 * s->line.limit;
	s->json.summary.limit = SUMMARY_MAX_BYTES;
	s->text.table.limit = SUMMARY_MAX_BYTES;
	s->backlog.limit = DP_SHOW_BACKLOG_MAX;
	s->whole = fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode);
	return s;
}

static int64_t now_ms(void)
{
	return (int64_t)(dp_now() / MS);
}

/*
 * Writes the backlog. A blocking descriptor is asked by poll() first, so that a paused terminal or
 * pager does not stop the probe. 0 when all is written, -EAGAIN when the reader was too slow.
 */
static int drain(struct dp_show *s, int wait_ms)
{
	int64_t end = now_ms() + wait_ms;

	while (s->done < s->backlog.len) {
		size_t left = s->backlog.len - s->done;
		struct pollfd p = {.fd = s->o.fd, .events = POLLOUT};
		int64_t rest = end - now_ms();
		ssize_t n;
		int r = poll(&p, 1, rest > 0 ? (int)rest : 0);

		if (r == 0)
			return -EAGAIN;
		if (r < 0) {
			if (errno == EINTR && now_ms() < end)
				continue;
			return errno == EINTR ? -EAGAIN : -errno;
		}
		n = write(s->o.fd, s->backlog.data + s->done,
			  s->whole || left < PIECE ? left : PIECE);
		if (n >= 0) {
			s->done += (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			/* A reader that takes a few bytes at a time may leave room that is too
			 * small. */
			if (now_ms() >= end)
				return -EAGAIN;
			if (errno == EAGAIN)
				nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		} else {
			return -errno;
		}
	}
	dp_line_reset(&s->backlog);
	s->done = 0;
	return 0;
}

/* The text of a finding of this type, in lines that are not too wide. */
static const struct dp_line *narrowed(struct dp_show *s, unsigned int type)
{
	bool is_row = type != DP_FIND_SUMMARY && type != DP_FIND_SUMMARY_END;

	if (!s->o.columns || s->line.error)
		return &s->line;
	dp_line_reset(&s->narrow);
	dp_wrap(&s->narrow, s->line.data, s->line.len, s->o.columns,
		is_row ? row_indent(&s->text) + DP_WRAP_FURTHER : 0);
	return &s->narrow;
}

/* Queues the finished line behind what is still unwritten, whole or not at all. */
static int queue(struct dp_show *s, const struct dp_line *line)
{
	if (s->done) {
		memmove(s->backlog.data, s->backlog.data + s->done, s->backlog.len - s->done);
		s->backlog.len -= s->done;
		s->done = 0;
	}
	dp_line_add(&s->backlog, line->data, line->len);
	if (s->backlog.error) {
		int r = s->backlog.error == -E2BIG ? -ENOBUFS : s->backlog.error;

		s->backlog.error = 0;
		return r;
	}
	return 0;
}

/* Hands the line on. 0, or what was lost of it as dp_show_finding says. */
static int put_line(struct dp_show *s, const struct dp_line *line)
{
	int queued, r;

	if (line->error)
		return line->error;
	if (line->len == 0)
		return 0;
	queued = queue(s, line);
	r = drain(s, DP_SHOW_WAIT_MS);
	if (queued == -ENOBUFS && (r == 0 || r == -EAGAIN)) {
		queued = queue(s, line);
		r = drain(s, 0);
	}
	if (r < 0 && r != -EAGAIN) {
		s->error = r;
		return r;
	}
	return queued;
}

int dp_show_finding(struct dp_show *s, const struct dp_finding *f)
{
	if (s->error)
		return s->error;
	if (s->o.format == DP_SHOW_NOTHING || f->type >= DP_FIND_COUNT ||
	    !dp_finding_passes(f, &s->o))
		return 0;
	dp_line_reset(&s->line);
	if (s->o.format == DP_SHOW_JSON) {
		dp_render_json(&s->line, &s->json, f);
		return put_line(s, &s->line);
	}
	dp_render_text(&s->line, &s->text, &s->o, f);
	return put_line(s, narrowed(s, f->type));
}

int dp_show_waiting(struct dp_show *s, uint64_t now_ns)
{
	if (s->error || s->o.format != DP_SHOW_TEXT || now_ns < HELD_BACK_NS)
		return s->error;
	dp_line_reset(&s->line);
	dp_render_text_alike(&s->line, &s->text, now_ns - HELD_BACK_NS);
	return put_line(s, narrowed(s, DP_FIND_TOKEN));
}

void dp_show_free(struct dp_show *s)
{
	if (!s)
		return;
	if (!s->error) {
		(void)dp_show_waiting(s, UINT64_MAX);
		(void)drain(s, LAST_WAIT_MS);
	}
	dp_line_free(&s->line);
	dp_line_free(&s->narrow);
	dp_line_free(&s->json.summary);
	dp_line_free(&s->text.table);
	dp_line_free(&s->backlog);
	free(s);
}

void dp_show_set_hold_threshold(struct dp_show *s, uint64_t ns)
{
	s->o.hold_threshold_ns = ns;
}

int dp_show_colour_wanted(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

size_t dp_show_columns_wanted(int fd)
{
	struct winsize w;

	return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : DP_SHOW_COLUMNS;
}

int dp_finding_passes(const struct dp_finding *f, const struct dp_show_options *o)
{
	if (f->type == DP_FIND_TOKEN)
		return f->u.token.print;
	if (f->type == DP_FIND_GIL_HOLD)
		return dp_hold_duration(&f->u.hold) >= o->hold_threshold_ns;
	return 1;
}

const char *dp_event_name(unsigned int type)
{
	/* The three parts of the summary are one event. */
	static const char *const names[DP_FIND_COUNT] = {
#define EVENT_NAME(e, list, event) [DP_FIND_##e] = event,
		DP_FINDING_EVENTS(EVENT_NAME)[DP_FIND_SUMMARY] = "summary",
		[DP_FIND_SUMMARY_NODE] = "summary",
		[DP_FIND_SUMMARY_END] = "summary",
	};

	return type < DP_FIND_COUNT ? names[type] : "?";
}
