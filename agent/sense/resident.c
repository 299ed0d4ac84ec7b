// SPDX-License-Identifier: MIT
/* The pages of a process' arguments and environment (resident.h). */
#include "sense/resident.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/procfile.h"
#include "base/task.h"

#define PAGES_MAX 1024 /* 4 MB: twice what the kernel takes at an exec by default */

/* Bit 63: present (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGE_PRESENT (1ULL << 63)

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
	struct dp_task_stat s;
	bool yes;
	int fd;

	if (dp_task_stat("/proc", pid, 0, &s) < 0)
		return false;
	fd = dp_procfile_open("/proc", pid, "pagemap", O_RDONLY);
	if (fd < 0)
		return false;
	yes = in_memory(fd, s.arg_start, s.arg_end) && in_memory(fd, s.env_start, s.env_end);
	close(fd);
	return yes;
}
