// SPDX-License-Identifier: MIT
/* How a process of others has ended; ending.h. */
#include "sense/ending.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/task.h"

/* include/uapi/linux/pidfd.h, its first version; the exit code since 6.15. */
struct pidfd_info_ver0 {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define INFO_EXIT (1ULL << 3)
#define GET_INFO  _IOWR(0xff, 11, struct pidfd_info_ver0)

_Static_assert(sizeof(struct pidfd_info_ver0) == 64, "PIDFD_INFO_SIZE_VER0");

int ending_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Of one that nobody has waited for yet. */
static int zombie_status(pid_t pid, int *ret)
{
	struct dp_task_stat s;

	if (pid <= 0 || dp_task_stat("/proc", pid, 0, &s) < 0)
		return -ESRCH;
	if (s.exit_status < 0)
		return -EBADMSG;
	*ret = s.exit_status;
	return 0;
}

int ending_status(int fd, pid_t pid, int *ret)
{
	struct pidfd_info_ver0 info = {.mask = INFO_EXIT};

	if (fd >= 0 && ioctl(fd, GET_INFO, &info) == 0 && info.mask & INFO_EXIT) {
		*ret = info.exit_code;
		return 0;
	}
	return zombie_status(pid, ret);
}
