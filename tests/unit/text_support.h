/* SPDX-License-Identifier: MIT */
/* What the tests of the text output share: a finding as the lines that a person reads. */
#ifndef DORA_PROBE_TEXT_SUPPORT_H
#define DORA_PROBE_TEXT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "findings.h"

/*
 * The text of one finding, or of a whole summary, at a verbosity, in lines of at most so many
 * columns. Owned by the caller.
 */
static inline char *text_in(const struct dp_finding *f, size_t count, int verbose, int colour,
			    size_t columns)
{
	int fd = temp_fd();
	const struct dp_show_options o = {.fd = fd,
					  .format = DP_SHOW_TEXT,
					  .verbose = verbose,
					  .colour = colour,
					  .columns = columns};
	struct dp_show *s = dp_show_new(&o);
	char *text;

	assert_non_null(s);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(dp_show_finding(s, &f[i]), 0);
	dp_show_free(s);
	text = read_all(fd);
	close(fd);
	return text;
}

static inline char *text_of(const struct dp_finding *f, size_t count, int verbose, int colour)
{
	return text_in(f, count, verbose, colour, 0);
}

#endif
