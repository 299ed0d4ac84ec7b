/* SPDX-License-Identifier: MIT */
/* Strings that come from a target: bounded, valid UTF-8, printable. */
#ifndef DORA_PROBE_DORA_TEXT_H
#define DORA_PROBE_DORA_TEXT_H

#include <stddef.h>

/*
 * Copies `len` bytes of foreign text into `dst` of `cap` bytes (cap > 0), always NUL-terminated.
 * Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and bytes
 * that are no valid UTF-8 become '?'; what does not fit is cut between characters.
 */
void dp_text_copy(char *dst, size_t cap, const void *src, size_t len);

/* Text form of a 16-byte uuid in RFC order; `dst` takes 37 bytes. */
void dp_text_uuid(char dst[37], const unsigned char uuid[16]);

/* 1 when `s` is a uuid in the usual 8-4-4-4-12 form. */
int dp_text_is_uuid(const char *s);

#endif
