/* SPDX-License-Identifier: MIT */
/* What the tests of node configurations share: reading and parsing a file. */
#ifndef DORA_PROBE_NODECONFIG_SUPPORT_H
#define DORA_PROBE_NODECONFIG_SUPPORT_H

#include "wire_support.h"

#define UUID "00112233-4455-6677-8899-aabbccddeeff"

static char base[64];

static inline int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/dora-probe-test-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static inline int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

#endif
