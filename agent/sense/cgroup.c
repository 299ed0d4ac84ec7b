// SPDX-License-Identifier: MIT
/* Limits of control groups (cgroup.h). */
#include "sense/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/procfile.h"

/* The number in a file of `group`, UINT64_MAX where there is none: "max", or no such file. */
static uint64_t limit(const char *folder, const char *group, const char *file)
{
	char path[PATH_MAX], text[32];
	uint64_t bytes;

	if (snprintf(path, sizeof(path), "%s%s/%s", folder, group, file) >= (int)sizeof(path) ||
	    dp_procfile_read(path, text, sizeof(text)) < 0 ||
	    !dp_number(text, 10, UINT64_MAX, &bytes))
		return UINT64_MAX;
	return bytes;
}

/* The least from the group up to the top of the hierarchy. */
static uint64_t nearest(const char *folder, char *group, const char *file)
{
	uint64_t least = UINT64_MAX;

	for (;;) {
		uint64_t bytes = limit(folder, group, file);
		char *end = strrchr(group, '/');

		if (bytes < least)
			least = bytes;
		if (!end)
			return least;
		*end = '\0';
	}
}

uint64_t dp_cgroup_memory(const char *proc, const char *sys)
{
	char path[PATH_MAX], folder[PATH_MAX], text[4096], *next = text;
	uint64_t least = UINT64_MAX;

	snprintf(path, sizeof(path), "%s/self/cgroup", proc);
	if (dp_procfile_read(path, text, sizeof(text)) < 0)
		return UINT64_MAX;
	/* "4:memory:/group" or, of version 2, "0::/group". */
	for (char *line; (line = strsep(&next, "\n"));) {
		char *group = strchr(line, '/');
		uint64_t bytes = UINT64_MAX;

		if (group && strncmp(line, "0::", 3) == 0) {
			bytes = nearest(sys, group, "memory.max");
		} else if (group && strstr(line, ":memory:")) {
			snprintf(folder, sizeof(folder), "%s/memory", sys);
			bytes = nearest(folder, group, "memory.limit_in_bytes");
		}
		if (bytes < least)
			least = bytes;
	}
	return least;
}
