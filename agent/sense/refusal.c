// SPDX-License-Identifier: MIT
/* Reading libbpf's messages (refusal.h); their shape is that of libbpf.c, 0.8 to 1.5. */
#include "sense/refusal.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

#define LOG_BEGINS "-- BEGIN PROG LOAD LOG --\n"
#define LOG_ENDS   "-- END PROG LOAD LOG --"

/* Lines of a verifier's log that are shown; a reason rarely needs more context. */
#define LOG_LINES 12

/* libbpf's print function gets no context of its caller's, so this cannot be a parameter. */
static struct {
	struct dp_refusal *refusal;
	bool verbose;
} listener;

static bool begins(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

/* Figures that the verifier writes below its reason. */
static bool is_statistics(const char *line)
{
	return begins(line, "processed ") || begins(line, "verification time ") ||
	       begins(line, "stack depth ");
}

static void read_log(struct dp_refusal *r, const char *log)
{
	const char *end = strstr(log, LOG_ENDS), *last = NULL;
	size_t last_len = 0;

	if (!end)
		end = log + strlen(log);
	while (log < end) {
		const char *newline = memchr(log, '\n', (size_t)(end - log));
		size_t len = (size_t)((newline ? newline : end) - log);

		if (len && !is_statistics(log)) {
			last = log;
			last_len = len;
		}
		log += len + 1;
	}
	if (last)
		dp_utf8_copy(r->said, sizeof(r->said), last, last_len);
}

void dp_refusal_read(struct dp_refusal *r, const char *message)
{
	static const char prefix[] = "libbpf: prog '";
	const char *name, *name_end, *rest;
	size_t len;

	if (!begins(message, prefix))
		return;
	name = message + sizeof(prefix) - 1;
	name_end = strchr(name, '\'');
	if (!name_end)
		return;
	len = (size_t)(name_end - name);
	rest = name_end + 1;
	if (!r->program[0] && strstr(rest, "load failed"))
		dp_utf8_copy(r->program, sizeof(r->program), name, len);
	if (r->said[0] || strlen(r->program) != len || strncmp(r->program, name, len) != 0)
		return;
	rest = strstr(rest, LOG_BEGINS);
	if (rest)
		read_log(r, rest + sizeof(LOG_BEGINS) - 1);
}

/* Shows a message; of a verifier's log its last lines. */
static void show(char *message)
{
	char *log = strstr(message, LOG_BEGINS), *from;
	int lines = 0;

	if (!log) {
		dp_log_lines(message);
		return;
	}
	log += sizeof(LOG_BEGINS) - 1;
	for (from = message + strlen(message); from > log; from--)
		if (from[-1] == '\n' && ++lines > LOG_LINES)
			break;
	if (from > log) {
		log[-1] = '\0'; /* of LOG_BEGINS' newline */
		dp_log_lines(message);
		dp_log_lines("(its beginning is left out)");
		dp_log_lines(from);
	} else {
		dp_log_lines(message);
	}
}

static int hear(enum libbpf_print_level level, const char *format, va_list args)
{
	char *message;
	int len;

	if (level == LIBBPF_DEBUG)
		return 0;
	len = vasprintf(&message, format, args);
	if (len < 0)
		return 0;
	if (listener.refusal)
		dp_refusal_read(listener.refusal, message);
	if (listener.verbose)
		show(message);
	free(message);
	return 0;
}

void dp_refusal_listen(struct dp_refusal *r, bool verbose)
{
	listener.refusal = r;
	listener.verbose = verbose;
	libbpf_set_print(hear);
}
