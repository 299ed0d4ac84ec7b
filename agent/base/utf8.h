/* SPDX-License-Identifier: MIT */
/* UTF-8 from outside: is it valid, and may it be shown? */
#ifndef DORA_PROBE_BASE_UTF8_H
#define DORA_PROBE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of U+FFFD, the replacement for what is no UTF-8. */
#define DP_UTF8_REPLACED "\xef\xbf\xbd"

/*
 * The character at `s`, of which `len` bytes (at least one) may be read: its code point in *ret,
 * and the bytes that it takes. A string that ends with NUL may be read to there: pass SIZE_MAX.
 * What is not UTF-8 (overlong forms, surrogates, beyond U+10FFFF, cut short) gives UINT32_MAX and
 * the length of the longest prefix of a valid sequence, at least 1: one replacement for each, as
 * the Unicode standard (chapter 3, table 3-7) recommends.
 */
size_t dp_utf8_decode(const char *s, size_t len, uint32_t *ret);

/*
 * May the character reach a terminal, a log, a label as it is? No for what these act on instead of
 * showing it: C0 and C1 controls, what reorders or hides text (Unicode technical report 36, section
 * 2.4), line and paragraph separators, annotations, tags; surrogates and what is no code point.
 */
bool dp_utf8_may_show(uint32_t c);

/* Writes c, a code point, in 1 to 4 bytes of dst. Returns how many. */
size_t dp_utf8_encode(char *dst, uint32_t c);

/* The most of the first `len` bytes of s that ends between two characters; s[len] is read. */
size_t dp_utf8_cut(const char *s, size_t len);

/*
 * Copies `len` bytes to dst of `cap` bytes (at least 1), NUL-terminated and cut between characters.
 * A character that may not be shown, NUL too, becomes one '?', what is no UTF-8 a '?' for each
 * byte.
 */
void dp_utf8_copy(char *dst, size_t cap, const void *src, size_t len);

/*
 * The same for a name by which things are told apart: one that does not fit in dst of `cap` bytes (at
 * least 16) ends in '~' and eight digits of its hash, so that two long names that begin alike differ.
 */
void dp_utf8_name(char *dst, size_t cap, const void *src, size_t len);

/*
 * Copies valid UTF-8 of `len` bytes to dst of `cap` bytes (at least 8), shortened to its end with
 * "..." before it where it does not fit or `cut_before` says so; a '/' nearby becomes the cut.
 */
void dp_utf8_tail(char *dst, size_t cap, const char *src, size_t len, bool cut_before);

#endif
