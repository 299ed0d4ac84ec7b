// SPDX-License-Identifier: MIT
/* Sentences for people; see sentence.h. */
#include "act/sentence.h"

#include <string.h>

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

	if (n > room) {
		n = room;
		/* 10xxxxxx continues a UTF-8 character: step back to its first byte. */
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(s->buf + s->len, text, n);
	s->len += n;
	s->buf[s->len] = '\0';
}

void dp_say_u64(struct dp_sentence *s, uint64_t v)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	dp_say(s, digits + at);
}

static void say_tenths(struct dp_sentence *s, uint64_t tenths)
{
	char tenth[3] = {'.', (char)('0' + tenths % 10), '\0'};

	dp_say_u64(s, tenths / 10);
	if (tenths % 10)
		dp_say(s, tenth);
}

void dp_say_duration(struct dp_sentence *s, uint64_t ns)
{
	uint64_t seconds;

	if (ns < 1000000) {
		dp_say_u64(s, ns / 1000);
		dp_say(s, " us");
	} else if (ns < 999500000) {
		dp_say_u64(s, (ns + 500000) / 1000000);
		dp_say(s, " ms");
	} else if (ns < 119950000000ULL) {
		say_tenths(s, (ns + 50000000) / 100000000);
		dp_say(s, " s");
	} else {
		seconds = ns / 1000000000;
		dp_say_u64(s, seconds / 60);
		dp_say(s, " min");
		if (seconds % 60) {
			dp_say(s, " ");
			dp_say_u64(s, seconds % 60);
			dp_say(s, " s");
		}
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

	if (sig > 0 && sig < sizeof(names) / sizeof(names[0])) {
		dp_say(s, "SIG");
		dp_say(s, names[sig]);
	} else if (sig >= 34 && sig <= 64) {
		/* glibc keeps 32 and 33 for itself; its SIGRTMIN is 34. */
		dp_say(s, "SIGRTMIN+");
		dp_say_u64(s, sig - 34);
	} else {
		dp_say(s, "signal ");
		dp_say_u64(s, sig);
	}
}

void dp_say_place(struct dp_sentence *s, const struct dp_place *p)
{
	if (p->function && p->function[0]) {
		dp_say(s, p->function);
		if (p->file && p->file[0]) {
			dp_say(s, " (");
			dp_say(s, p->file);
			if (p->line > 0) {
				dp_say(s, ":");
				dp_say_u64(s, (uint64_t)p->line);
			}
			dp_say(s, ")");
		}
	} else if (p->library && p->library[0]) {
		dp_say(s, "native code of ");
		dp_say(s, p->library);
	} else {
		dp_say(s, "code that could not be read");
	}
}
