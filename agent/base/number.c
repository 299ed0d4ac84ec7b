// SPDX-License-Identifier: MIT
/* Strict reading of numbers (number.h). */
#include "base/number.h"

static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

const char *dp_number(const char *s, unsigned int base, uint64_t max, uint64_t *ret)
{
	const char *p = s;
	uint64_t v = 0;

	for (; digit(*p) < base; p++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, digit(*p), &v) || v > max)
			return NULL;
	if (p == s)
		return NULL;
	*ret = v;
	return p;
}
