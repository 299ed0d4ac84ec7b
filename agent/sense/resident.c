// SPDX-License-Identifier: MIT
/* The pages of a process' arguments and environment (resident.h). */
#include "sense/resident.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "base/procfile.h"

#define PAGES_MAX 1024 /* 4 MB: twice what the kernel takes at an exec by default */

/* Fields of stat after the name, which may have any character in it (proc(5)). */
#define FIELD_STATE     3
#define FIELD_ARG_START 48
#define FIELD_ENV_END   51

/* Bit 63: present (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGE_PRESENT (1ULL << 63)

/* arg_start, arg_end, env_start, env_end. */
static bool read_bounds(pid_t pid, uint64_t ret[4])
{
	char text[1024];
	const char *p;

	if (dp_procfile_read_pid("/proc", pid, "stat", text, sizeof(text)) < 0)
		return false;
	p = strrchr(text, ')');
	for (int field = FIELD_STATE; p && field <= FIELD_ENV_END; field++) {
		p = strchr(p + 1, ' ');
		if (p && field >= FIELD_ARG_START &&
		    !dp_number(p + 1, 10, INT64_MAX, &ret[field - FIELD_ARG_START]))
			return false;
	}
	return p != NULL;
}

static bool in_memory(int pagemap, uint64_t start, uint64_t end)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entry[PAGES_MAX], first = start / page;
	size_t count;

	if (start >= end)
		return start == end && start;
	if ((end - 1) / page - first >= PAGES_MAX)
		return false;
	count = (size_t)((end - 1) / page - first + 1);
	if (pread(pagemap, entry, count * sizeof(entry[0]), (off_t)(first * sizeof(entry[0]))) !=
	    (ssize_t)(count * sizeof(entry[0])))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!(entry[i] & PAGE_PRESENT))
			return false;
	return true;
}

bool dp_resident_start(pid_t pid)
{
	uint64_t at[4];
	bool yes;
	int fd;

	if (!read_bounds(pid, at))
		return false;
	fd = dp_procfile_open("/proc", pid, "pagemap", O_RDONLY);
	if (fd < 0)
		return false;
	yes = in_memory(fd, at[0], at[1]) && in_memory(fd, at[2], at[3]);
	close(fd);
	return yes;
}
