// SPDX-License-Identifier: MIT
/* Standard error while the view has the terminal: a message, and written again at the end. */
#include "view/view_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void errors_read(struct dp_view *v)
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

int errors_take(struct dp_view *v)
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

void errors_give_back(struct dp_view *v)
{
	ssize_t n = 0;

	if (v->stderr_was >= 0) {
		errors_read(v);
		dup2(v->stderr_was, STDERR_FILENO);
		close(v->stderr_was);
		if (v->stderr_text.len)
			n = write(STDERR_FILENO, v->stderr_text.data, v->stderr_text.len);
	}
	(void)n;
	if (v->errors >= 0)
		close(v->errors);
}
