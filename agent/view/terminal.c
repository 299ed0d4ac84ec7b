// SPDX-License-Identifier: MIT
/*
 * The terminal's side of the live view. ncurses makes the frames, but into a file in memory: it
 * would wait for a terminal that is stopped (Ctrl-S, a suspended tmux or ssh), and with it the whole
 * probe. From there they go to the terminal as it takes them. For the same reason the terminal's
 * modes are set and its keys are read here and in input.c.
 */
#include "view/view_state.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Behind curses.h, whose macros have common names. */
#include <term.h>

#include "base/clock.h"
#include "base/procfile.h"
#include "base/units.h"
#include "show/show.h"
#include "view/goodbye.h"

#define PIECE        256 /* what a terminal that poll() calls writable is given without O_NONBLOCK */
#define LAST_WAIT_MS 1000

static int64_t now_ms(void)
{
	return (int64_t)(dp_now() / MS);
}

void terminal_collect(struct dp_view *v)
{
	int fd = fileno(v->frame_file);
	off_t len = lseek(fd, 0, SEEK_CUR);
	size_t left = v->pending_len - v->done, want;

	if (len <= 0)
		return;
	if (v->done && left)
		memmove(v->pending, v->pending + v->done, left);
	v->pending_len = left;
	v->done = 0;
	want = left + (size_t)len;
	if (want > v->pending_cap) {
		char *bigger = realloc(v->pending, want);

		if (bigger) {
			v->pending = bigger;
			v->pending_cap = want;
		}
	}
	if (want <= v->pending_cap) {
		ssize_t n = pread(fd, v->pending + left, (size_t)len, 0);

		if (n > 0)
			v->pending_len += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		v->hung_up = 1;
}

int terminal_drain(struct dp_view *v, int wait_ms)
{
	int64_t end = now_ms() + wait_ms;

	while (v->done < v->pending_len && !v->hung_up) {
		struct pollfd p = {.fd = v->out, .events = POLLOUT};
		size_t left = v->pending_len - v->done;
		int64_t rest = end - now_ms();
		ssize_t n;
		int r = poll(&p, 1, rest > 0 ? (int)rest : 0);

		if (r == 0 || (r < 0 && errno == EINTR && rest <= 0))
			return 0;
		if (r < 0)
			continue;
		n = write(v->out, v->pending + v->done,
			  v->out_nonblocking || left < PIECE ? left : PIECE);
		if (n > 0) {
			v->done += (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			v->hung_up = 1;
		} else if (now_ms() >= end) {
			return 0;
		}
	}
	return v->done == v->pending_len;
}

/*
 * Keys one by one and not echoed; Ctrl-S and Ctrl-Q are no flow control; a newline only moves down,
 * as ncurses takes for granted. Ctrl-C and Ctrl-Z stay signals. Nothing is waited for.
 */
static void set_modes(struct dp_view *v)
{
	struct termios t = v->modes;

	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL);
	t.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON);
	t.c_oflag &= ~(tcflag_t)(ONLCR | TABDLY);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	tcsetattr(v->out, TCSANOW, &t);
}

void terminal_resize(struct dp_view *v)
{
	struct winsize w;

	/* A size of 0 is a terminal that does not know (a serial line): 24 lines of 80 then. */
	if (ioctl(v->out, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		w = (struct winsize){.ws_row = 24, .ws_col = 80};
	resizeterm(w.ws_row > 500 ? 500 : w.ws_row, w.ws_col > 1000 ? 1000 : w.ws_col);
	clearok(curscr, TRUE);
	v->dirty = 1;
}

void terminal_enter(struct dp_view *v)
{
	set_modes(v);
	terminal_resize(v);
}

void terminal_leave(struct dp_view *v)
{
	endwin();
	terminal_collect(v);
	terminal_drain(v, LAST_WAIT_MS);
	tcsetattr(v->out, TCSANOW, &v->modes);
}

int dp_view_possible(char *why, size_t why_len)
{
	const char *term = getenv("TERM"), *cup;
	int err = 0;

	if (!isatty(STDOUT_FILENO)) {
		snprintf(why, why_len,
			 "--view needs a terminal on standard output; leave it out for text, or "
			 "give --json for another program");
		return -ENOTTY;
	}
	if (!term || !*term || setupterm(term, STDOUT_FILENO, &err) != OK) {
		snprintf(why, why_len,
			 "--view: TERM is %s, which terminfo does not know; set it to what the "
			 "terminal is, for example TERM=xterm",
			 term && *term ? term : "not set");
		return -ENOTSUP;
	}
	cup = tigetstr("cup");
	del_curterm(cur_term);
	if (!cup || cup == (char *)-1) {
		snprintf(why, why_len, "--view: a terminal of type TERM=%s has no movable cursor",
			 term);
		return -ENOTSUP;
	}
	return 0;
}

void terminal_set_locale(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

int terminal_open(struct dp_view *v)
{
	v->out = dp_procfile_reopen(STDOUT_FILENO, O_WRONLY | O_NONBLOCK);
	v->out_nonblocking = v->out >= 0 && isatty(v->out);
	if (v->out >= 0 && !v->out_nonblocking)
		close(v->out);
	if (!v->out_nonblocking)
		v->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (v->out < 0 || tcgetattr(v->out, &v->modes) < 0)
		return -errno;
	v->keys = isatty(STDIN_FILENO);
	return 0;
}

int terminal_open_screen(struct dp_view *v)
{
	int fd = memfd_create("dora-probe view", MFD_CLOEXEC);

	v->frame_file = fd < 0 ? NULL : fdopen(fd, "w+");
	if (!v->frame_file) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	use_env(FALSE);
	v->screen = newterm(NULL, v->frame_file, stdin);
	if (!v->screen)
		return -ENOTSUP;
	typeahead(-1);
	curs_set(0);
	v->colour = dp_show_colour_wanted(STDOUT_FILENO) && has_colors() && start_color() == OK;
	if (v->colour) {
		short background = use_default_colors() == OK ? -1 : COLOR_BLACK;

		init_pair(1, COLOR_YELLOW, background);
		init_pair(2, COLOR_RED, background);
	}
	goodbye_prepare(v->out, &v->modes);
	terminal_enter(v);
	return 0;
}
