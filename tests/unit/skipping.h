/* SPDX-License-Identifier: MIT */
/* A test that cannot be done here says why, in the form that the summary of `make test` collects. */
#ifndef DORA_PROBE_TESTS_SKIPPING_H
#define DORA_PROBE_TESTS_SKIPPING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

/*
 * Ends the running cmocka test as skipped, does not return. `why` names what is missing here, without a line
 * end. The one place that calls skip(): tests/tools/test_skips.py.
 */
static inline void skip_because(const char *why)
{
	print_message("    SKIP: %s\n", why);
	skip();
}

/*
 * Skips under user emulation (DP_TEST_EMULATED, set by tests/setup/emulated_units.sh), where the kernel below is
 * of another architecture, or its files speak of the emulator. `why` says what is not shown there.
 */
static inline void skip_if_emulated(const char *why)
{
	if (getenv("DP_TEST_EMULATED"))
		skip_because(why);
}

#endif
