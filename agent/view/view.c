// SPDX-License-Identifier: MIT
/* The live view on the caller's loop: frames, findings, its beginning and its end (view.h). */
#include "view/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "view/goodbye.h"
#include "view/view_state.h"

#define STDERR_KEPT_MAX 16384
#define TEXT_MAX_BYTES  (64 * 1024)
#define ROWS_MAX        DP_MAX_TARGETS

static void put(void *ctx, int y, unsigned int mood, const char *text)
{
	const struct dp_view *v = ctx;
	attr_t a = A_NORMAL;

	switch (mood & ~DP_MOOD_SELECTED) {
	case DP_MOOD_DIM:
		a = A_DIM;
		break;
	case DP_MOOD_HEADING:
		a = A_BOLD;
		break;
	case DP_MOOD_BAR:
		a = A_REVERSE;
		break;
	case DP_MOOD_NOTICE:
		a = v->colour ? (attr_t)COLOR_PAIR(1) : A_BOLD;
		break;
	case DP_MOOD_ALARM:
		a = A_BOLD | (v->colour ? (attr_t)COLOR_PAIR(2) : 0);
		break;
	}
	if (mood & DP_MOOD_SELECTED)
		a |= A_REVERSE;
	attrset((int)a);
	mvaddstr(y, 0, text);
}

static void refresh_rows(struct dp_view *v, uint64_t now_ns)
{
	unsigned int count = v->o.nodes.count(v->o.nodes.ctx);
	struct dp_node_view node;

	v->p.row_count = 0;
	for (unsigned int i = 0; i < count && v->p.row_count < ROWS_MAX; i++) {
		if (v->o.nodes.view(v->o.nodes.ctx, i, &node) < 0)
			break;
		if (node.superseded)
			continue;
		if (node.gone && now_ns > node.gone_ns + DP_PANEL_GONE_NS &&
		    node.pid != v->p.selected_pid)
			continue;
		dp_panel_row_from(&v->rows[v->p.row_count++], &node);
	}
	dp_panel_sort(v->rows, v->p.row_count);
	*v->shown = v->live;
	v->p.now_ns = now_ns;
	v->p.wall_offset_ns = v->wall_offset_ns;
	v->p.warnings = v->warnings;
	v->p.records_lost = v->lost;
}

static void draw(struct dp_view *v, uint64_t now_ns)
{
	if (!v->p.paused)
		refresh_rows(v, now_ns);
	erase();
	dp_panel_draw(&v->p, COLS, LINES, put, v);
	wnoutrefresh(stdscr);
	doupdate();
	terminal_collect(v);
	v->drawn_ns = now_ns;
	v->dirty = 0;
}

int dp_view_fd(const struct dp_view *v)
{
	return v->events;
}

int dp_view_run(struct dp_view *v, uint64_t now_ns)
{
	input_read_signals(v);
	errors_read(v);
	input_read_keys(v, now_ns);
	if (v->hung_up)
		return -EIO;
	if (v->quit)
		return 1;
	if (terminal_drain(v, 0) && now_ns - v->drawn_ns >= DP_VIEW_FRAME_NS &&
	    (!v->p.paused || v->dirty)) {
		draw(v, now_ns);
		terminal_drain(v, 0);
	}
	return v->hung_up ? -EIO : 0;
}

void dp_view_finding(struct dp_view *v, const struct dp_finding *f)
{
	uint8_t mood = DP_MOOD_PLAIN;

	if (f->wall_offset_ns != DP_SNULL)
		v->wall_offset_ns = f->wall_offset_ns;
	if (f->type == DP_FIND_WARNING && !f->u.warning.resolved) {
		v->warnings++;
		mood = f->u.warning.severity == DP_SEVERITY_CRITICAL ? DP_MOOD_ALARM
								     : DP_MOOD_NOTICE;
	} else if (f->type == DP_FIND_LOSS) {
		v->lost += f->u.loss.count;
		mood = DP_MOOD_DIM;
	} else if (f->type == DP_FIND_ACTION || f->type == DP_FIND_STOP) {
		mood = DP_MOOD_NOTICE;
	}
	if (f->type >= DP_FIND_COUNT || !dp_finding_passes(f, &v->text_options))
		return;
	dp_line_reset(&v->line);
	dp_render_text(&v->line, &v->text, &v->text_options, f);
	if (!v->line.error && v->line.len)
		dp_panel_keep(&v->live, f->pid, mood, v->line.data, v->line.len);
}

int dp_view_open(const struct dp_view_options *o, struct dp_view **ret)
{
	struct dp_view *v = calloc(1, sizeof(*v));
	int err = -ENOMEM;

	if (!v)
		return -ENOMEM;
	v->o = *o;
	v->out = v->events = v->signals = v->errors = v->stderr_was = -1;
	v->wall_offset_ns = DP_SNULL;
	v->line.limit = TEXT_MAX_BYTES;
	v->text.table.limit = TEXT_MAX_BYTES;
	v->stderr_text.limit = STDERR_KEPT_MAX;
	v->text_options = (struct dp_show_options){.fd = -1,
						   .format = DP_SHOW_TEXT,
						   .verbose = o->verbose,
						   .hold_threshold_ns = o->hold_threshold_ns};
	v->rows = calloc(ROWS_MAX, sizeof(*v->rows));
	v->shown = calloc(1, sizeof(*v->shown));
	if (!v->rows || !v->shown)
		goto cleanup;
	terminal_set_locale();
	err = terminal_open(v);
	if (!err)
		err = errors_take(v);
	if (!err)
		err = input_open(v);
	v->p = (struct dp_panel){.rows = v->rows,
				 .messages = v->shown,
				 .wall_offset_ns = DP_SNULL,
				 .keys = v->keys,
				 .warn_hold_ns = o->warn_hold_ns,
				 .pending_ns = o->pending_threshold_ns};
	if (!err)
		err = terminal_open_screen(v);
cleanup:
	if (err) {
		dp_view_close(v);
		return err;
	}
	*ret = v;
	return 0;
}

void dp_view_close(struct dp_view *v)
{
	struct signalfd_siginfo s;

	if (!v)
		return;
	if (v->screen) {
		terminal_leave(v);
		goodbye_cancel();
		delscreen(v->screen);
	}
	if (v->frame_file)
		fclose(v->frame_file);
	errors_give_back(v);
	/* What has come while they were blocked is done with: a SIGHUP here would end the summary.
	 */
	while (v->signals >= 0 && read(v->signals, &s, sizeof(s)) == sizeof(s))
		;
	if (v->has_mask)
		sigprocmask(SIG_SETMASK, &v->signal_mask, NULL);
	if (v->signals >= 0)
		close(v->signals);
	if (v->events >= 0)
		close(v->events);
	if (v->out >= 0)
		close(v->out);
	dp_line_free(&v->stderr_text);
	dp_line_free(&v->line);
	dp_line_free(&v->text.table);
	free(v->pending);
	free(v->rows);
	free(v->shown);
	free(v);
}
