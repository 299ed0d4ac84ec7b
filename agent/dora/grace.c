// SPDX-License-Identifier: MIT
/* What follows from a dora version alone (nodeconfig.h). Pure: the model links this file. */
#include "base/array.h"
#include "base/units.h"
#include "dora/nodeconfig.h"

#include <signal.h>
#include <string.h>

struct version {
	unsigned int part[3];
	int prerelease; /* "1.0.0-rc.1", "1.0.0rc1", "1.0.0.dev2": before 1.0.0 */
};

/* "a.b.c" with whatever semver or PEP 440 puts behind it. 1, or 0 when it is no version. */
static int parse(const char *v, struct version *ret)
{
	struct version out = {0};

	for (int i = 0; i < 3; i++) {
		unsigned int digits = 0;

		if (i && *v++ != '.')
			return 0;
		for (; *v >= '0' && *v <= '9'; v++) {
			if (++digits > 6)
				return 0;
			out.part[i] = out.part[i] * 10 + (unsigned int)(*v - '0');
		}
		if (!digits)
			return 0;
	}
	/* Build metadata and post releases come after a.b.c, everything else before it. */
	out.prerelease = *v && *v != '+' && strncmp(v, ".post", 5) != 0;
	*ret = out;
	return 1;
}

int dp_version_at_least(const char *v, unsigned int major, unsigned int minor, unsigned int patch)
{
	const unsigned int want[3] = {major, minor, patch};
	struct version have;

	if (!v || !parse(v, &have))
		return 0;
	for (int i = 0; i < 3; i++)
		if (have.part[i] != want[i])
			return have.part[i] > want[i];
	return !have.prerelease;
}

const char *dp_dora_version_of_message(const char *message)
{
	/* Tags of dora and the version in libraries/message/Cargo.toml there; the newest of each.
	 */
	static const struct {
		const char *message, *dora;
	} known[] = {
		{"0.2.1", "1.0.0-rc.1"}, /* own numbering, not an ancestor of 0.4.0 */
		{"0.4.0", "0.3.6"},      {"0.4.1", "0.3.7"},  {"0.4.2", "0.3.8"},
		{"0.4.3", "0.3.9"},      {"0.4.4", "0.3.11"}, {"0.5.0", "0.3.12"},
		{"0.6.0", "0.3.13"},     {"0.7.0", "0.4.1"},  {"0.8.0", "0.5.0"},
	};

	if (!message)
		return "";
	for (size_t i = 0; i < DP_COUNT_OF(known); i++)
		if (strcmp(message, known[i].message) == 0)
			return known[i].dora;
	/* From 1.0.0 on the two are one number; its release candidates (from rc.4) as well. */
	if (dp_version_at_least(message, 1, 0, 0) || strncmp(message, "1.0.0-", 6) == 0)
		return message;
	return "";
}

/*
 * Daemon defaults (binaries/daemon/src, stop_all and its callers): 2 s then SIGKILL in 0.3.5; 15 s
 * then SIGKILL in 0.3.6 to 0.3.13; from 0.4.0 on 10 s then SIGTERM, half as long again, SIGKILL.
 */
void dp_grace_of(const char *dora, struct dp_grace *ret)
{
	struct version v;

	*ret = (struct dp_grace){
		.deadline_ns = 10 * SEC,
		.first_signal = SIGTERM,
	};
	if (!dora || !parse(dora, &v))
		return;
	if (dp_version_at_least(dora, 0, 4, 0))
		return;
	ret->first_signal = SIGKILL;
	ret->deadline_ns = (dp_version_at_least(dora, 0, 3, 6) ? 15 : 2) * SEC;
}
