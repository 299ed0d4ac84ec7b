// SPDX-License-Identifier: MIT
/* Sentences for people; see sentence.h. */
#include "decide/sentence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/utf8.h"

void dp_sentence_begin(struct dp_sentence *s, char *buf, size_t cap)
{
	s->buf = buf;
	s->cap = cap;
	s->len = 0;
	buf[0] = '\0';
}

void dp_say(struct dp_sentence *s, const char *text)
{
	size_t room = s->cap - 1 - s->len;
	size_t n = strlen(text);

	if (n > room)
		n = dp_utf8_cut(text, room);
	memcpy(s->buf + s->len, text, n);
	s->len += n;
	s->buf[s->len] = '\0';
}

void dp_sayf(struct dp_sentence *s, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dp_say(s, text);
}

void dp_say_u64(struct dp_sentence *s, uint64_t v)
{
	dp_sayf(s, "%" PRIu64, v);
}

void dp_say_duration(struct dp_sentence *s, uint64_t ns)
{
	uint64_t tenths, seconds;

	if (ns < 1000000) {
		dp_sayf(s, "%" PRIu64 " us", ns / 1000);
	} else if (ns < 999500000) {
		dp_sayf(s, "%" PRIu64 " ms", (ns + 500000) / 1000000);
	} else if (ns < 119950000000ULL) {
		tenths = (ns + 50000000) / 100000000;
		dp_say_u64(s, tenths / 10);
		if (tenths % 10)
			dp_sayf(s, ".%" PRIu64, tenths % 10);
		dp_say(s, " s");
	} else {
		seconds = ns / 1000000000;
		dp_sayf(s, "%" PRIu64 " min", seconds / 60);
		if (seconds % 60)
			dp_sayf(s, " %" PRIu64 " s", seconds % 60);
	}
}

void dp_say_signal(struct dp_sentence *s, uint32_t sig)
{
	/* Linux numbers of x86 and arm, signal(7). */
	static const char *const names[] = {
		NULL,     "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
		"FPE",    "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
		"STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
		"XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "IO",   "PWR",  "SYS",
	};

	if (sig > 0 && sig < DP_COUNT_OF(names)) {
		dp_sayf(s, "SIG%s", names[sig]);
	} else if (sig >= 34 && sig <= 64) {
		/* glibc keeps 32 and 33 for itself; its SIGRTMIN is 34. */
		dp_sayf(s, "SIGRTMIN+%u", sig - 34);
	} else {
		dp_sayf(s, "signal %u", sig);
	}
}

void dp_say_place(struct dp_sentence *s, const struct dp_place *p)
{
	if (!p->function || !p->function[0]) {
		if (p->library && p->library[0])
			dp_sayf(s, "native code of %s", p->library);
		else
			dp_say(s, "code that could not be read");
		return;
	}
	dp_say(s, p->function);
	if (!p->file || !p->file[0])
		return;
	if (p->line > 0)
		dp_sayf(s, " (%s:%d)", p->file, p->line);
	else
		dp_sayf(s, " (%s)", p->file);
}
