// SPDX-License-Identifier: MIT
/* Messages to standard error (log.h). */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

#define MESSAGE_MAX 2048

/* How long a reader of standard error is waited for, ms: the nodes are more important. */
#define PATIENCE_MS 20

/* Nothing can be said about a standard error that takes nothing. */
static void write_out(const char *data, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* A pipe that is writable has room for PIPE_BUF bytes, which is more than a line. */
	if (poll(&p, 1, PATIENCE_MS) == 0)
		return;
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* `prefix`, what fits of `len` bytes of text, and the end of the line. */
static void write_line(const char *prefix, const char *text, size_t len)
{
	char line[MESSAGE_MAX + 16];
	size_t n = strlen(prefix);

	memcpy(line, prefix, n);
	dp_utf8_copy(line + n, sizeof(line) - n - 1, text, len);
	n = strlen(line);
	line[n++] = '\n';
	write_out(line, n);
}

void dp_log(const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	write_line("dora-probe: ", message, strlen(message));
}

void dp_log_lines(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		write_line("", text, len);
		text += len + (text[len] == '\n');
	}
}
