// SPDX-License-Identifier: MIT
/* The list of rights as text (rights.h). */
#include "dora_probe/rights.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"

#define RIGHT(name, bit, when, needed, stand_in, without)                                          \
	{"CAP_" #name, bit, when, needed, stand_in, without},
const struct dp_right dp_rights[] = {DP_RIGHTS(RIGHT)};
#undef RIGHT

const size_t dp_rights_count = DP_COUNT_OF(dp_rights);

static void append(char *ret, size_t len, const char *text)
{
	size_t used = strlen(ret);

	snprintf(ret + used, len - used, "%s", text);
}

const char *dp_rights_setcap(unsigned int whens, char *ret, size_t len)
{
	ret[0] = '\0';
	for (size_t i = 0; i < dp_rights_count; i++) {
		char name[32];
		size_t n = 0;

		if (!(whens & 1u << dp_rights[i].when))
			continue;
		for (const char *p = dp_rights[i].name; *p && n < sizeof(name) - 1; p++)
			name[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
		name[n] = '\0';
		append(ret, len, ret[0] ? "," : "");
		append(ret, len, name);
	}
	append(ret, len, "+ep");
	return ret;
}

const char *dp_rights_container(unsigned int whens, char *ret, size_t len)
{
	ret[0] = '\0';
	for (size_t i = 0; i < dp_rights_count; i++) {
		if (!(whens & 1u << dp_rights[i].when))
			continue;
		append(ret, len, ret[0] ? " --cap-add=" : "--cap-add=");
		append(ret, len, dp_rights[i].name + strlen("CAP_"));
	}
	return ret;
}
