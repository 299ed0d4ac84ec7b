/* SPDX-License-Identifier: MIT */
/* How many elements an array has. */
#ifndef DORA_PROBE_BASE_ARRAY_H
#define DORA_PROBE_BASE_ARRAY_H

#include <stddef.h>

/*
 * A constant of type size_t. A pointer in place of an array does not compile: its type is the type
 * of the address of its first element, and an array's is not.
 */
#define DP_COUNT_OF(a)                                                                             \
	(sizeof(a) / sizeof((a)[0]) +                                                              \
	 0 * sizeof(struct {                                                                       \
		 int not_an_array                                                                  \
		     : __builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0]))            \
		       ? -1                                                                        \
		       : 1;                                                                        \
	 }))

#endif
