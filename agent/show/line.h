/* SPDX-License-Identifier: MIT */
/*
 * A line being put together: a growing buffer with a limit, and the two ways in which a string from
 * outside may enter it. Errors stick: once something did not fit, the line is to be thrown away.
 */
#ifndef DORA_PROBE_LINE_H
#define DORA_PROBE_LINE_H

#include <stddef.h>
#include <stdint.h>

struct dp_line {
	char *data; /* owned; not NUL-terminated */
	size_t len;
	size_t cap;
	size_t limit; /* bytes that it may grow to */
	int error;    /* 0, -ENOMEM, or -E2BIG beyond the limit */
};

void dp_line_free(struct dp_line *l);
/* Empties it and forgets its error; the memory is kept for the next line. */
void dp_line_reset(struct dp_line *l);
void dp_line_add(struct dp_line *l, const char *data, size_t len);
void dp_line_str(struct dp_line *l, const char *s);
void dp_line_fmt(struct dp_line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `count` times the character c. */
void dp_line_fill(struct dp_line *l, char c, size_t count);

/*
 * s as a JSON string with its quotes; NULL as null. Bytes that are not UTF-8 become U+FFFD; control
 * and direction characters are escaped, since JSON lines are read on terminals too.
 */
void dp_line_json(struct dp_line *l, const char *s);
/*
 * s for a terminal: what could move the cursor, change colours or reorder text is shown as \x1b or
 * \u202e, bytes that are not UTF-8 as U+FFFD. Returns the columns, one for each character.
 */
size_t dp_line_text(struct dp_line *l, const char *s);
/*
 * `len` bytes of s as text of HTML or XML, in content and in quoted attributes alike: markup is
 * escaped, newlines stay, and everything else as by dp_line_text.
 */
void dp_line_html(struct dp_line *l, const char *s, size_t len);

#endif
