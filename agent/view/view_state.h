/* SPDX-License-Identifier: MIT */
/*
 * The live view inside: what view.c, terminal.c, errors.c and input.c share, and what each does for
 * the others. Private to them.
 */
#ifndef DORA_PROBE_VIEW_STATE_H
#define DORA_PROBE_VIEW_STATE_H

#include <curses.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <termios.h>

#include "show/render.h"
#include "view/keys.h"
#include "view/panel.h"
#include "view/view.h"

struct dp_view {
	struct dp_view_options o;
	SCREEN *screen;
	FILE *frame_file; /* what ncurses writes into; in memory */
	int out;          /* the terminal */
	bool out_nonblocking;
	int events; /* epoll of the three below */
	int signals, errors;
	int keys;             /* standard input is a terminal */
	struct termios modes; /* as they were */
	sigset_t signal_mask;
	bool has_mask;
	int stderr_was; /* a copy, -1 when it was left alone */
	struct dp_line stderr_text;

	char *pending; /* bytes of a frame that the terminal has not taken, from `done` on */
	size_t pending_len, done, pending_cap;

	struct dp_view_keys key;
	uint64_t key_ns;
	bool quit, hung_up, dirty, colour;
	uint64_t drawn_ns;
	struct dp_panel p;
	struct dp_panel_row *rows;
	struct dp_panel_messages live, *shown; /* shown: what a paused screen keeps */
	struct dp_show_options text_options;
	struct dp_text_state text;
	struct dp_line line;
	int64_t wall_offset_ns;
	uint64_t warnings, lost;
};

/* ---- terminal.c ---- */

/* Text mode writes UTF-8 whatever the locale says, and so does the view. */
void terminal_set_locale(void);
/*
 * The terminal under a description of its own, so that O_NONBLOCK is not set for everybody who has
 * it. Where it may not be opened anew (another user's terminal) in small pieces. 0 or -errno.
 */
int terminal_open(struct dp_view *v);
/* ncurses with its output in memory; it cannot find out the size and the modes there. 0, -errno. */
int terminal_open_screen(struct dp_view *v);
/* Takes what ncurses wrote and puts it behind what is pending. */
void terminal_collect(struct dp_view *v);
/* Gives the terminal what it takes within wait_ms. 1 when all is written. */
int terminal_drain(struct dp_view *v, int wait_ms);
/* The size is another: the next frame is drawn whole. */
void terminal_resize(struct dp_view *v);
/* Modes and screen are the view's, or what they were before. */
void terminal_enter(struct dp_view *v);
void terminal_leave(struct dp_view *v);

/* ---- errors.c: standard error meanwhile ---- */

/* Where standard error is a terminal, it becomes a pipe. 0 or -errno. */
int errors_take(struct dp_view *v);
/* What was written there becomes messages. */
void errors_read(struct dp_view *v);
/* Standard error is what it was, and gets all that was written to the pipe. */
void errors_give_back(struct dp_view *v);

/* ---- input.c: signals and keys ---- */

/* Blocks the signals of a terminal, and opens v->events for them, the keys and standard error. */
int input_open(struct dp_view *v);
void input_read_signals(struct dp_view *v);
void input_read_keys(struct dp_view *v, uint64_t now_ns);

#endif
