/* SPDX-License-Identifier: MIT */
/* A duration as people read it: in text, in sentences, in the live view. */
#ifndef DORA_PROBE_BASE_DURATION_H
#define DORA_PROBE_BASE_DURATION_H

#include <stddef.h>
#include <stdint.h>

#define DP_DURATION_MAX 32 /* bytes that the longest one takes, with its NUL */

/*
 * "1.23 s", "45 ms", "310 µs", "2 min 5 s": cut, not rounded, so it never says more than was
 * proven. DP_NULL: "unknown time". Returns buf.
 */
char *dp_duration_text(uint64_t ns, char *buf, size_t len);
/* dp_duration_text() rounded up: for what somebody needs (a grace period) and for upper bounds. */
char *dp_duration_text_up(uint64_t ns, char *buf, size_t len);
/* "between 1.20 and 1.25 s", or "1.20 s" where both ends print the same. 80 bytes are enough. */
char *dp_duration_range(uint64_t lo_ns, uint64_t hi_ns, char *buf, size_t len);

#endif
