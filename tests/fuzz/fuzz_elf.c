// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of ELF files: any bytes, mapped as a library is, are refused or looked through.
 * Opened as those of a target are, by the mapping, so it is run by who may: root.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "python/eval_loop.h"
#include "python/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_through(const struct dp_elf *elf)
{
	struct dp_code_range eval[DP_EVAL_RANGES];
	struct dp_elf_symbol sym;
	char name[DP_FUNCTION_MAX];
	uint64_t offset;

	dp_elf_dynsym(elf, "_PyRuntime", &sym);
	dp_elf_symtab(elf, "_PyRuntime", &sym);
	dp_elf_section(elf, ".PyRuntime", &sym);
	dp_elf_file_offset(elf, 0x1000, &offset);
	dp_eval_loop_find(elf, eval);
	if (dp_elf_function_at(elf, 0x1010, name, sizeof(name)) == 0 &&
	    !memchr(name, '\0', sizeof(name)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_map map = {.executable = true};
	struct dp_elf elf;
	struct stat st;
	void *at;
	int fd;

	if (size == 0)
		return 0;
	fd = memfd_create("library", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fstat(fd, &st))
		abort();
	at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		abort();
	map.start = map.head = (uintptr_t)at;
	map.end = map.start + ((size + 4095) & ~(size_t)4095);
	map.inode = st.st_ino;
	map.dev_major = major(st.st_dev);
	map.dev_minor = minor(st.st_dev);
	if (dp_elf_open(&elf, getpid(), &map) == 0) {
		look_through(&elf);
		dp_elf_close(&elf);
	}
	munmap(at, size);
	close(fd);
	return 0;
}
