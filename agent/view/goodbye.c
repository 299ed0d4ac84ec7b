// SPDX-License-Identifier: MIT
/* A usable terminal whatever ends the process (goodbye.h). */
#include "view/goodbye.h"

#include <curses.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Behind curses.h, whose macros have common names. */
#include <term.h>

#include "base/array.h"

#define GOODBYE_MAX 256

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
		/* Replaces only handlers that are still SIG_DFL: others belong to a sanitizer, or a caller that ignores the signal. */
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

void goodbye_prepare(int fd, const struct termios *modes)
{
	goodbye.fd = fd;
	goodbye.modes = *modes;
	goodbye.len = 0;
	say_goodbye_with("sgr0");
	say_goodbye_with("cnorm");
	say_goodbye_with("rmcup");
	set_deadly(1);
}

void goodbye_cancel(void)
{
	set_deadly(0);
}
