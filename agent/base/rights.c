// SPDX-License-Identifier: MIT
/* The list of rights as text (rights.h). */
#include "dora_probe/rights.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/sentence.h"

#define RIGHT(name, bit, when, needed, stand_in, without)                                          \
	{"CAP_" #name, bit, when, needed, stand_in, without},
const struct dp_right dp_rights[] = {DP_RIGHTS(RIGHT)};
#undef RIGHT

const size_t dp_rights_count = DP_COUNT_OF(dp_rights);

const char *dp_rights_setcap(unsigned int whens, char *ret, size_t len)
{
	struct dp_sentence s;

	dp_sentence_begin(&s, ret, len);
	for (size_t i = 0; i < dp_rights_count; i++) {
		char name[32];
		size_t n = 0;

		if (!(whens & 1u << dp_rights[i].when))
			continue;
		for (const char *p = dp_rights[i].name; *p && n < sizeof(name) - 1; p++)
			name[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
		name[n] = '\0';
		dp_say(&s, ret[0] ? "," : "");
		dp_say(&s, name);
	}
	dp_say(&s, "+ep");
	return ret;
}

const char *dp_rights_container(unsigned int whens, char *ret, size_t len)
{
	struct dp_sentence s;

	dp_sentence_begin(&s, ret, len);
	for (size_t i = 0; i < dp_rights_count; i++) {
		if (!(whens & 1u << dp_rights[i].when))
			continue;
		dp_say(&s, ret[0] ? " --cap-add=" : "--cap-add=");
		dp_say(&s, dp_rights[i].name + strlen("CAP_"));
	}
	return ret;
}
