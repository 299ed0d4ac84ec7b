// SPDX-License-Identifier: MIT
/* Sentences for people; see sentence.h. */
#include "base/sentence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/signals.h"
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
	char text[DP_DURATION_MAX];

	dp_say(s, dp_duration_text(ns, text, sizeof(text)));
}

void dp_say_duration_up(struct dp_sentence *s, uint64_t ns)
{
	char text[DP_DURATION_MAX];

	dp_say(s, dp_duration_text_up(ns, text, sizeof(text)));
}

void dp_say_signal(struct dp_sentence *s, uint32_t sig)
{
	char text[24];

	dp_say(s, dp_signal_text(sig, text, sizeof(text)));
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
