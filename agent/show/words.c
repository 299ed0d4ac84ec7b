// SPDX-License-Identifier: MIT
/* Words for a person (words.h). */
#include "show/words.h"

#include <string.h>

#include "base/array.h"
#include "base/duration.h"
#include "base/signals.h"
#include "show/show.h"

#define FILE_SHOWN_MAX 48

static const char *const causes[] = {
	[DP_CAUSE_UNKNOWN] = "cause unknown",
	[DP_CAUSE_GIL_NATIVE] = "one native call keeps the GIL",
	[DP_CAUSE_GIL_CONTENTION] = "other threads keep taking the GIL",
	[DP_CAUSE_BUSY_PYTHON] = "the event loop is busy in Python code",
	[DP_CAUSE_BLOCKED] = "the event loop is blocked while the GIL is free",
	[DP_CAUSE_REFERENCE_KEPT] = "the array is still referenced",
	[DP_CAUSE_NOT_REPORTED] = "freed, but no event has come to carry the report",
	[DP_CAUSE_NODE_DROPPED_FIRST] = "the node object was dropped before the array",
	[DP_CAUSE_RECEIVER_GONE] = "the receiver is gone",
	[DP_CAUSE_OWNER_NOT_COLLECTING] = "the owner does not collect it",
	[DP_CAUSE_DORA_INTERNAL] = "dora's own code keeps the GIL",
	[DP_CAUSE_RUNNING_WITHOUT_GIL] = "the event loop computes without the GIL",
	[DP_CAUSE_DEADLOCK] = "the holder of the GIL waits for a thread that waits for the GIL",
	[DP_CAUSE_NOT_CONNECTED] = "it had not connected to its daemon",
	[DP_CAUSE_STOPPED] = "its process is stopped (SIGSTOP, Ctrl-Z, a debugger)",
};
_Static_assert(DP_COUNT_OF(causes) == DP_CAUSE_COUNT, "a sentence for each cause");

const char *cause_words(int cause)
{
	return cause >= 0 && cause < DP_CAUSE_COUNT ? causes[cause] : causes[DP_CAUSE_UNKNOWN];
}

void put_duration(struct dp_line *l, uint64_t ns)
{
	char buf[40];

	dp_line_str(l, dp_duration_text(ns, buf, sizeof(buf)));
}

void put_signal(struct dp_line *l, uint32_t sig)
{
	char buf[32];

	dp_line_str(l, sig ? dp_signal_text(sig, buf, sizeof(buf)) : "an unknown signal");
}

/* A long path keeps its last two parts: enough to find the file, short enough to read. */
static void put_file(struct dp_line *l, const char *file)
{
	size_t len = strlen(file);
	const char *p = file + len;
	int parts = 0;

	if (len > FILE_SHOWN_MAX) {
		while (p > file && parts < 2)
			if (*--p == '/')
				parts++;
		if (p > file) {
			dp_line_str(l, "…");
			file = p;
		}
	}
	dp_line_text(l, file);
}

/* "f (x.py:12)", with what is known of it. */
static void put_frame(struct dp_line *l, const char *function, const char *file, int32_t line)
{
	if (has(function))
		dp_line_text(l, function);
	if (!has(file))
		return;
	dp_line_str(l, has(function) ? " (" : "");
	put_file(l, file);
	if (line > 0)
		dp_line_fmt(l, ":%d", line);
	dp_line_str(l, has(function) ? ")" : "");
}

static bool is_users_own(const struct dp_place *p)
{
	return p->line == p->user_line && has(p->function) && has(p->file) && has(p->user_file) &&
	       strcmp(p->function, p->user_function) == 0 && strcmp(p->file, p->user_file) == 0;
}

void put_place(struct dp_line *l, const struct dp_place *p, int native)
{
	const char *sep = "";

	if (has(p->function) || has(p->file)) {
		dp_line_str(l, has(p->function) ? " in " : " at ");
		put_frame(l, p->function, p->file, p->line);
		sep = ",";
	}
	if (has(p->user_function) && !is_users_own(p)) {
		dp_line_str(l, has(p->function) ? ", called from " : " called from ");
		put_frame(l, p->user_function, p->user_file, p->user_line);
		sep = ",";
	}
	if (native)
		dp_line_fmt(l, "%s in a native call%s", sep, has(p->library) ? " of " : "");
	else if (has(p->library))
		dp_line_fmt(l, "%s inside ", sep);
	if (has(p->library))
		put_file(l, p->library);
}

void put_thread(struct dp_line *l, const struct dp_place *p, uint32_t tid)
{
	if (!tid && !has(p->thread))
		return;
	dp_line_str(l, "thread ");
	if (has(p->thread))
		dp_line_text(l, p->thread);
	if (tid)
		dp_line_fmt(l, has(p->thread) ? " (tid %u)" : "%u", tid);
}

static bool put_share(struct dp_line *l, const char *sep, const char *what,
		      const struct dp_estimate *e)
{
	if (!(e->ratio >= 0))
		return false;
	dp_line_fmt(l, "%s%s %.1f %%", sep, what, e->ratio * 100);
	if (e->error >= 0.0005)
		dp_line_fmt(l, " (error %.1f)", e->error * 100);
	return true;
}

bool put_shares(struct dp_line *l, const struct dp_estimate *held, const struct dp_estimate *wait,
		const struct dp_estimate *without, const struct dp_estimate *blocked)
{
	bool any = put_share(l, "", "GIL held", held);

	any |= put_share(l, any ? ", " : "", "waited for", wait);
	any |= put_share(l, any ? ", " : "", "running without it", without);
	any |= put_share(l, any ? ", " : "", "main thread asleep", blocked);
	return any;
}
