/* SPDX-License-Identifier: MIT */
/* A test that cannot be done here says why, in the form that the summary of `make test` collects. */
#ifndef DORA_PROBE_TESTS_SKIPPING_H
#define DORA_PROBE_TESTS_SKIPPING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/*
 * Ends the running cmocka test as skipped, does not return. `why` names what is missing here, without a line
 * end. The one place that calls skip(): tests/tools/test_skips.py.
 */
static inline void skip_because(const char *why)
{
	print_message("    SKIP: %s\n", why);
	skip();
}

#endif
