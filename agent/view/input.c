// SPDX-License-Identifier: MIT
/* What comes from the terminal: signals and keys. */
#include "view/view_state.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/units.h"

#define KEYS_AT_ONCE 64
#define ESCAPE_NS    (100 * MS) /* a sequence comes at once, what comes later is another key */

static void suspend(struct dp_view *v)
{
	terminal_leave(v);
	/* SIGTSTP is blocked; it has come already, for this process and its group alike. */
	raise(SIGSTOP);
	terminal_enter(v);
}

void input_read_signals(struct dp_view *v)
{
	struct signalfd_siginfo s;

	while (read(v->signals, &s, sizeof(s)) == sizeof(s)) {
		switch ((int)s.ssi_signo) {
		case SIGWINCH:
			terminal_resize(v);
			break;
		case SIGTSTP:
			suspend(v);
			break;
		case SIGCONT:
			/* Stopped by somebody else, and a shell had the terminal meanwhile. */
			terminal_enter(v);
			break;
		case SIGHUP:
			v->hung_up = 1;
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

void input_read_keys(struct dp_view *v, uint64_t now_ns)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	uint8_t bytes[KEYS_AT_ONCE];
	ssize_t n;

	if (!v->keys || poll(&p, 1, 0) <= 0)
		return;
	if (p.revents & (POLLHUP | POLLERR | POLLNVAL)) {
		v->hung_up = 1;
		return;
	}
	if (now_ns - v->key_ns > ESCAPE_NS)
		v->key = (struct dp_view_keys){0};
	v->key_ns = now_ns;
	n = read(STDIN_FILENO, bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++)
		press(v, dp_view_key(&v->key, bytes[i]));
}

static int watch_fd(struct dp_view *v, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return fd >= 0 && epoll_ctl(v->events, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int input_open(struct dp_view *v)
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
