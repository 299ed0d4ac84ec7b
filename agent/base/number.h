/* SPDX-License-Identifier: MIT */
/* Strict reading of numbers. */
#ifndef DORA_PROBE_BASE_NUMBER_H
#define DORA_PROBE_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The digits at `s`, of base 10 or 16 (either case, no "0x"): neither blanks nor signs before them,
 * and no value above `max`. Returns what follows them, with the value in *ret; NULL, and *ret as it
 * was, where there are none or too many.
 */
const char *dp_number(const char *s, unsigned int base, uint64_t max, uint64_t *ret);

#endif
