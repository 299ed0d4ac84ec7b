// SPDX-License-Identifier: MIT
/*
 * The terminal's side of the live view (view.h). ncurses makes the frames, but into a file in
 * memory: it would wait for a terminal that is stopped (Ctrl-S, a suspended tmux or ssh), and with
 * it the whole probe. From there they go to the terminal as it takes them. For the same reason the
 * terminal's modes are set and its keys are read here.
 */
#include "show/view.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Behind curses.h, whose macros have common names. */
#include <term.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/units.h"
#include "show/panel.h"
#include "show/render.h"

#define KEYS_AT_ONCE    64
#define ESCAPE_NS       (100 * MS) /* a sequence comes at once, what comes later is another key */
#define PIECE           256 /* what a terminal that poll() calls writable is given without O_NONBLOCK */
#define LAST_WAIT_MS    1000
#define STDERR_KEPT_MAX 16384
#define TEXT_MAX_BYTES  (64 * 1024)
#define GOODBYE_MAX     256
#define ROWS_MAX        DP_MAX_TARGETS

struct dp_view {
	struct dp_view_options o;
	SCREEN *screen;
	FILE *frame_file; /* what ncurses writes into; in memory */
	int out;          /* the terminal */
	int out_nonblocking;
	int events; /* epoll of the three below */
	int signals, errors;
	int keys; /* standard input is a terminal */
	int has_modes;
	struct termios modes; /* as they were */
	sigset_t signal_mask;
	int has_mask;
	int stderr_was; /* a copy, -1 when it was left alone */
	struct dp_line stderr_text;

	char *pending; /* bytes of a frame that the terminal has not taken, from `done` on */
	size_t pending_len, done, pending_cap;

	struct dp_view_keys key;
	uint64_t key_ns;
	int quit, gone, dirty, colour;
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

/* ---- keys -------------------------------------------------------------------------------- */

enum { KEYS_PLAIN, KEYS_ESCAPE, KEYS_SEQUENCE, KEYS_SEQUENCE_TAIL };

enum dp_view_key dp_view_key(struct dp_view_keys *k, uint8_t byte)
{
	uint8_t state = k->state;

	if (byte == 0x1B) {
		k->state = KEYS_ESCAPE;
		return DP_KEY_NONE;
	}
	k->state = KEYS_PLAIN;
	if (state == KEYS_ESCAPE) {
		/* CSI and SS3 (ECMA-48): cursor keys come as one or the other. */
		if (byte == '[' || byte == 'O')
			k->state = KEYS_SEQUENCE;
		return DP_KEY_NONE;
	}
	if (state != KEYS_PLAIN) {
		/* Parameters and intermediates, then one final byte. */
		if (byte >= 0x20 && byte < 0x40) {
			k->state = KEYS_SEQUENCE_TAIL;
			return DP_KEY_NONE;
		}
		/* With parameters they are pressed with Shift or Ctrl: still an arrow. */
		switch (byte) {
		case 'A':
			return DP_KEY_UP;
		case 'B':
			return DP_KEY_DOWN;
		case 'H':
			return DP_KEY_FIRST;
		case 'F':
			return DP_KEY_LAST;
		}
		return DP_KEY_NONE;
	}
	switch (byte) {
	case 'q':
	case 'Q':
	case 0x03: /* Ctrl-C, where the terminal sends it as a key */
		return DP_KEY_QUIT;
	case 'p':
	case 'P':
		return DP_KEY_PAUSE;
	case 'k':
		return DP_KEY_UP;
	case 'j':
		return DP_KEY_DOWN;
	case 'g':
		return DP_KEY_FIRST;
	case 'G':
		return DP_KEY_LAST;
	case 0x0C: /* Ctrl-L */
		return DP_KEY_REDRAW;
	}
	return DP_KEY_NONE;
}

/* ---- the worst case ------------------------------------------------------------------------ */

/*
 * What a signal that ends the process needs in order to leave a usable terminal. A handler is given
 * nothing else, so this cannot be part of the view.
 */
static struct {
	struct termios modes;
	char screen[GOODBYE_MAX];
	size_t len;
	int fd;
} goodbye;

/* Only what signal-safety(7) lists. The handler is gone already (SA_RESETHAND). */
static void die_tidily(int signal)
{
	ssize_t n = write(goodbye.fd, goodbye.screen, goodbye.len);

	(void)n;
	tcsetattr(goodbye.fd, TCSANOW, &goodbye.modes);
	raise(signal);
}

/* Every signal whose default is the end of the process, but for those that the probe handles. */
static const int deadly[] = {
	SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,    SIGABRT, SIGTRAP, SIGSYS, SIGUSR1,   SIGUSR2,
	SIGALRM, SIGPOLL, SIGPROF, SIGVTALRM, SIGXCPU, SIGXFSZ, SIGPWR, SIGSTKFLT,
};

static void set_deadly(int on)
{
	for (size_t i = 0; i < DP_COUNT_OF(deadly); i++) {
		struct sigaction was, a = {.sa_flags = (int)SA_RESETHAND};

		if (sigaction(deadly[i], NULL, &was) < 0)
			continue;
		/* Not where somebody else (a sanitizer, a caller that ignores it) has a say. */
		if (on && was.sa_handler == SIG_DFL)
			a.sa_handler = die_tidily;
		else if (!on && was.sa_handler == die_tidily)
			a.sa_handler = SIG_DFL;
		else
			continue;
		sigaction(deadly[i], &a, NULL);
	}
}

/* A capability's text without its padding ($<5>), which no terminal of today needs. */
static void say_goodbye_with(const char *name)
{
	const char *s = tigetstr(name);

	if (!s || s == (char *)-1)
		return;
	while (*s && goodbye.len < sizeof(goodbye.screen)) {
		if (s[0] == '$' && s[1] == '<' && strchr(s, '>'))
			s = strchr(s, '>') + 1;
		else
			goodbye.screen[goodbye.len++] = *s++;
	}
}

/* ---- the terminal -------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	return (int64_t)(dp_now() / MS);
}

/* Takes what ncurses wrote and puts it behind what is pending. */
static void collect(struct dp_view *v)
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
		v->gone = 1;
}

/* Gives the terminal what it takes within wait_ms. 1 when all is written. */
static int drain(struct dp_view *v, int wait_ms)
{
	int64_t end = now_ms() + wait_ms;

	while (v->done < v->pending_len && !v->gone) {
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
			v->gone = 1;
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

static void resize(struct dp_view *v)
{
	struct winsize w;

	/* A size of 0 is a terminal that does not know (a serial line): 24 lines of 80 then. */
	if (ioctl(v->out, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		w = (struct winsize){.ws_row = 24, .ws_col = 80};
	resizeterm(w.ws_row > 500 ? 500 : w.ws_row, w.ws_col > 1000 ? 1000 : w.ws_col);
	clearok(curscr, TRUE);
	v->dirty = 1;
}

static void enter(struct dp_view *v)
{
	set_modes(v);
	resize(v);
}

static void leave(struct dp_view *v)
{
	endwin();
	collect(v);
	drain(v, LAST_WAIT_MS);
	tcsetattr(v->out, TCSANOW, &v->modes);
}

/* ---- standard error -------------------------------------------------------------------------- */

static void read_errors(struct dp_view *v)
{
	char buf[4096];
	ssize_t n;

	if (v->errors < 0)
		return;
	while ((n = read(v->errors, buf, sizeof(buf) - 1)) > 0) {
		char *line = buf, *eol;

		dp_line_add(&v->stderr_text, buf, (size_t)n);
		buf[n] = '\0';
		for (; *line; line = eol + 1) {
			eol = strchr(line, '\n');
			if (eol)
				*eol = '\0';
			dp_line_reset(&v->line);
			dp_line_text(&v->line, line);
			if (!v->line.error)
				dp_panel_keep(&v->live, 0, DP_MOOD_NOTICE, v->line.data,
					      v->line.len);
			if (!eol)
				break;
		}
	}
}

static int take_errors(struct dp_view *v)
{
	int p[2];

	if (!isatty(STDERR_FILENO))
		return 0;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	v->errors = p[0];
	v->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (v->stderr_was < 0 || dup2(p[1], STDERR_FILENO) < 0) {
		close(p[1]);
		return -errno;
	}
	close(p[1]);
	return 0;
}

static void give_errors_back(struct dp_view *v)
{
	ssize_t n = 0;

	if (v->stderr_was >= 0) {
		read_errors(v);
		dup2(v->stderr_was, STDERR_FILENO);
		close(v->stderr_was);
		if (v->stderr_text.len)
			n = write(STDERR_FILENO, v->stderr_text.data, v->stderr_text.len);
	}
	(void)n;
	if (v->errors >= 0)
		close(v->errors);
}

/* ---- signals and keys ------------------------------------------------------------------------ */

static void suspend(struct dp_view *v)
{
	leave(v);
	/* SIGTSTP is blocked; it has come already, for this process and its group alike. */
	raise(SIGSTOP);
	enter(v);
}

static void read_signals(struct dp_view *v)
{
	struct signalfd_siginfo s;

	while (read(v->signals, &s, sizeof(s)) == sizeof(s)) {
		switch ((int)s.ssi_signo) {
		case SIGWINCH:
			resize(v);
			break;
		case SIGTSTP:
			suspend(v);
			break;
		case SIGCONT:
			/* Stopped by somebody else, and a shell had the terminal meanwhile. */
			enter(v);
			break;
		case SIGHUP:
			v->gone = 1;
			break;
		case SIGQUIT:
			v->quit = 1;
			break;
		}
	}
}

static void select_row(struct dp_view *v, unsigned int i)
{
	if (i >= v->p.row_count)
		return;
	v->p.selected_pid = v->rows[i].v.pid;
	v->p.selected_start = v->rows[i].facts.start_time;
}

static void press(struct dp_view *v, enum dp_view_key key)
{
	unsigned int at = dp_panel_selected(&v->p);

	if (key == DP_KEY_NONE)
		return;
	v->dirty = 1;
	switch (key) {
	case DP_KEY_QUIT:
		v->quit = 1;
		break;
	case DP_KEY_PAUSE:
		v->p.paused = !v->p.paused;
		break;
	case DP_KEY_UP:
		select_row(v, at ? at - 1 : 0);
		break;
	case DP_KEY_DOWN:
		select_row(v, at + 1);
		break;
	case DP_KEY_FIRST:
		select_row(v, 0);
		break;
	case DP_KEY_LAST:
		select_row(v, v->p.row_count ? v->p.row_count - 1 : 0);
		break;
	case DP_KEY_REDRAW:
		clearok(curscr, TRUE);
		break;
	case DP_KEY_NONE:
		break;
	}
}

static void read_keys(struct dp_view *v, uint64_t now_ns)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	uint8_t bytes[KEYS_AT_ONCE];
	ssize_t n;

	if (!v->keys || poll(&p, 1, 0) <= 0)
		return;
	if (p.revents & (POLLHUP | POLLERR | POLLNVAL)) {
		v->gone = 1;
		return;
	}
	if (now_ns - v->key_ns > ESCAPE_NS)
		v->key = (struct dp_view_keys){0};
	v->key_ns = now_ns;
	n = read(STDIN_FILENO, bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++)
		press(v, dp_view_key(&v->key, bytes[i]));
}

/* ---- frames ---------------------------------------------------------------------------------- */

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
	collect(v);
	v->drawn_ns = now_ns;
	v->dirty = 0;
}

int dp_view_fd(const struct dp_view *v)
{
	return v->events;
}

int dp_view_run(struct dp_view *v, uint64_t now_ns)
{
	read_signals(v);
	read_errors(v);
	read_keys(v, now_ns);
	if (v->gone)
		return -EIO;
	if (v->quit)
		return 1;
	if (drain(v, 0) && now_ns - v->drawn_ns >= DP_VIEW_FRAME_NS && (!v->p.paused || v->dirty)) {
		draw(v, now_ns);
		drain(v, 0);
	}
	return v->gone ? -EIO : 0;
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

/* ---- opening and closing -----------------------------------------------------------------------
 */

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

/* Text mode writes UTF-8 whatever the locale says, and so does the view. */
static void set_locale(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

/*
 * The terminal under a description of its own, so that O_NONBLOCK is not set for everybody who has
 * it. Where it may not be opened anew (another user's terminal) in small pieces.
 */
static int open_terminal(struct dp_view *v)
{
	v->out = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	v->out_nonblocking = v->out >= 0 && isatty(v->out);
	if (v->out >= 0 && !v->out_nonblocking)
		close(v->out);
	if (!v->out_nonblocking)
		v->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (v->out < 0 || tcgetattr(v->out, &v->modes) < 0)
		return -errno;
	v->has_modes = 1;
	v->keys = isatty(STDIN_FILENO);
	return 0;
}

static int watch_fd(struct dp_view *v, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return fd >= 0 && epoll_ctl(v->events, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int open_events(struct dp_view *v)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &set, &v->signal_mask) < 0)
		return -errno;
	v->has_mask = 1;
	v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	v->events = epoll_create1(EPOLL_CLOEXEC);
	if (v->signals < 0 || v->events < 0)
		return -errno;
	err = watch_fd(v, v->signals);
	if (!err)
		err = watch_fd(v, v->errors);
	if (!err && v->keys)
		err = watch_fd(v, STDIN_FILENO);
	return err;
}

/* ncurses with its output in memory; it cannot find out the size and the modes there. */
static int open_screen(struct dp_view *v)
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
	goodbye.fd = v->out;
	goodbye.modes = v->modes;
	goodbye.len = 0;
	say_goodbye_with("sgr0");
	say_goodbye_with("cnorm");
	say_goodbye_with("rmcup");
	set_deadly(1);
	enter(v);
	return 0;
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
	set_locale();
	err = open_terminal(v);
	if (!err)
		err = take_errors(v);
	if (!err)
		err = open_events(v);
	v->p = (struct dp_panel){.rows = v->rows,
				 .messages = v->shown,
				 .wall_offset_ns = DP_SNULL,
				 .keys = v->keys,
				 .warn_hold_ns = o->warn_hold_ns,
				 .pending_ns = o->pending_threshold_ns};
	if (!err)
		err = open_screen(v);
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
		leave(v);
		set_deadly(0);
		delscreen(v->screen);
	}
	if (v->frame_file)
		fclose(v->frame_file);
	give_errors_back(v);
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
