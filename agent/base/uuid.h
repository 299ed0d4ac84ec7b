/* SPDX-License-Identifier: MIT */
/* UUIDs as text. */
#ifndef DORA_PROBE_BASE_UUID_H
#define DORA_PROBE_BASE_UUID_H

#include <stdbool.h>

/* Text form of 16 bytes in RFC order, lower case; `dst` takes 37 bytes. */
void dp_uuid_text(char dst[37], const unsigned char uuid[16]);

/* Is `s` a uuid in the usual 8-4-4-4-12 form? */
bool dp_uuid_is(const char *s);

#endif
