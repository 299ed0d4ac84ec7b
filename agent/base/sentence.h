/* SPDX-License-Identifier: MIT */
/*
 * Sentences for people, put together in a buffer of fixed size: always NUL-terminated, and cut
 * between two UTF-8 characters, never inside one.
 */
#ifndef DORA_PROBE_BASE_SENTENCE_H
#define DORA_PROBE_BASE_SENTENCE_H

#include <stddef.h>
#include <stdint.h>

#include "dora_probe/finding.h"

struct dp_sentence {
	char *buf;
	size_t cap; /* with the NUL; at least 1 */
	size_t len;
};

void dp_sentence_begin(struct dp_sentence *s, char *buf, size_t cap);
void dp_say(struct dp_sentence *s, const char *text);
/* Adds what snprintf(3) makes of it; a piece of 512 bytes or more is cut. */
void dp_sayf(struct dp_sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dp_say_u64(struct dp_sentence *s, uint64_t v);
/* Adds a duration as dp_duration_text() and as dp_duration_text_up() print it. */
void dp_say_duration(struct dp_sentence *s, uint64_t ns);
void dp_say_duration_up(struct dp_sentence *s, uint64_t ns);
/* Adds a signal as dp_signal_text() prints it. */
void dp_say_signal(struct dp_sentence *s, uint32_t sig);
/* "f (x.py:12)"; "native code of libfoo.so"; "code that could not be read". */
void dp_say_place(struct dp_sentence *s, const struct dp_place *p);

#endif
