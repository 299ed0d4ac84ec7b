// SPDX-License-Identifier: MIT
/*
 * What a target can do against those that read it. As a library (-shared) cut_off() puts a page fault
 * handler that never answers under its own memory, and waits; as a program it maps the files that it
 * is given as if they were its libraries.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The pages from `from` on are gone; whoever touches one waits for ever. Returns only on failure. */
int cut_off(uintptr_t from, size_t len)
{
	struct uffdio_api api = {.api = UFFD_API};
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = from & ~(page - 1);
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	reg.range.start = start;
	reg.range.len = ((from + len + page - 1) & ~(page - 1)) - start;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return 1;
	if (mmap((void *)start, reg.range.len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return 2;
	/* Nothing of Python may run any more: its own memory is not there. */
	for (;;)
		syscall(SYS_pause);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) ||
		    mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) ==
			    MAP_FAILED)
			return 1;
		close(fd);
	}
	puts("up");
	fflush(stdout);
	for (;;)
		pause();
}
