// SPDX-License-Identifier: MIT
/* libFuzzer harness of line tables: every byte string is accepted, in pieces of any length, to its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "python/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_linetable t;
	int32_t first, offset;
	size_t piece, at = 0, have = 0;
	uint8_t buf[256];

	if (size < 10)
		return 0;
	memcpy(&first, data + 2, 4);
	memcpy(&offset, data + 6, 4);
	piece = data[1] % 128 + DP_LINETABLE_ENTRY_MAX;
	dp_linetable_begin(&t, data[0] % 3, first, offset);
	data += 10;
	size -= 10;
	/* As frames.c does it: what was not eaten comes again before the next piece. */
	while (!t.done && (at < size || have)) {
		size_t n = piece < size - at ? piece : size - at, ate;

		if (n > sizeof(buf) - have)
			n = sizeof(buf) - have;
		memcpy(buf + have, data + at, n);
		at += n;
		have += n;
		ate = dp_linetable_feed(&t, buf, have);
		if (ate > have)
			abort();
		if (ate == 0 && at == size)
			break;
		if (ate == 0 && !t.done && have >= DP_LINETABLE_ENTRY_MAX)
			abort(); /* it would never go on */
		memmove(buf, buf + ate, have - ate);
		have -= ate;
	}
	dp_linetable_line(&t);
	return 0;
}
