// SPDX-License-Identifier: MIT
/*
 * Where the target's pthread_cond_signal is. take_gil ends with a signal of switch_cond, drop_gil
 * signals cond, waiter or not (Python/ceval_gil.c, 3.8–3.15), so a uprobe there sees every edge.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "python/internal.h"

static bool starts(const struct dp_map *map, const char *prefix)
{
	return strncmp(map->base, prefix, strlen(prefix)) == 0;
}

/*
 * Up to glibc 2.33 libc.so has a stub of the same name that forwards to libpthread, so libpthread
 * comes first. A static binary keeps the function, its name only in .symtab.
 */
static int rank(const struct dp_py *py, const struct dp_map *map)
{
	if (starts(map, "libpthread.so") || starts(map, "libpthread-"))
		return 0;
	if (starts(map, "libc.so") || starts(map, "libc-2.") || starts(map, "ld-musl-") ||
	    starts(map, "libc.musl-"))
		return 1;
	return dp_map_same_file(map, &py->loc.map) ? 2 : 3;
}

static int site_in(pid_t pid, const struct dp_map *map, bool is_static, char *path, size_t path_len,
		   uint64_t *ret_offset)
{
	struct dp_elf_symbol sym;
	struct dp_elf elf;
	uint64_t offset;
	int rc = dp_elf_open(&elf, pid, map);

	if (rc < 0)
		return rc;
	rc = is_static ? dp_elf_symtab(&elf, "pthread_cond_signal", &sym)
		       : dp_elf_dynsym(&elf, "pthread_cond_signal", &sym);
	if (rc == 0)
		rc = dp_elf_file_offset(&elf, sym.value, &offset);
	if (rc == 0 && (elf.path[0] == '\0' || strlen(elf.path) >= path_len))
		rc = -ENOENT;
	if (rc == 0) {
		memcpy(path, elf.path, strlen(elf.path) + 1);
		*ret_offset = offset;
	}
	dp_elf_close(&elf);
	return rc;
}

int dp_py_cond_signal_site(struct dp_py *py, char *path, size_t path_len, uint64_t *ret_offset)
{
	int rc = dp_maps_read(py->pid, &py->maps);

	if (rc < 0)
		return rc;
	for (int want = 0; want <= 2; want++)
		for (unsigned int i = 0; i < py->maps.count; i++) {
			const struct dp_map *map = &py->maps.map[i];

			if (rank(py, map) == want &&
			    site_in(py->pid, map, want == 2, path, path_len, ret_offset) == 0)
				return 0;
		}
	return -ENOENT;
}
