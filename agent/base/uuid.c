// SPDX-License-Identifier: MIT
/* UUIDs as text (uuid.h). */
#include "base/uuid.h"

#include <stddef.h>

void dp_uuid_text(char dst[37], const unsigned char uuid[16])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			dst[at++] = '-';
		dst[at++] = hex[uuid[i] >> 4];
		dst[at++] = hex[uuid[i] & 15];
	}
	dst[at] = '\0';
}

bool dp_uuid_is(const char *s)
{
	for (size_t i = 0; i < 36; i++) {
		char c = s[i];

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return false;
		} else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
			     (c >= 'A' && c <= 'F'))) {
			return false;
		}
	}
	return s[36] == '\0';
}
