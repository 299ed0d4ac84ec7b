// SPDX-License-Identifier: MIT
/* /proc/PID/maps: what is mapped where. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/procfile.h"
#include "base/utf8.h"
#include "python/internal.h"

#define DELETED " (deleted)"

/* The file's head (offset 0) comes right before its other parts: addresses rise. */
static bool parse_line(char *line, struct dp_map *m, struct dp_map *head)
{
	unsigned int major, minor;
	uint64_t start, end, offset, inode;
	char prot[5] = "";
	const char *name;
	int at = 0;
	size_t len;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &start,
		   &end, prot, &offset, &major, &minor, &inode, &at) != 7 ||
	    at == 0 || end <= start)
		return false;
	memset(m, 0, offsetof(struct dp_map, path));
	m->start = start;
	m->end = end;
	m->offset = offset;
	m->inode = inode;
	m->dev_major = major;
	m->dev_minor = minor;
	m->writable = prot[1] == 'w';
	m->executable = prot[2] == 'x';
	m->shared = prot[3] == 's';

	name = line + at;
	len = strlen(name);
	if (len < sizeof(m->path))
		memcpy(m->path, name, len + 1);
	else
		m->path[0] = '\0';
	if (len > sizeof(DELETED) - 1 && strcmp(name + len - (sizeof(DELETED) - 1), DELETED) == 0)
		len -= sizeof(DELETED) - 1;
	for (size_t i = len; i > 0; i--)
		if (name[i - 1] == '/') {
			name += i;
			len -= i;
			break;
		}
	dp_utf8_copy(m->base, sizeof(m->base), name, len);

	if (inode != 0 && offset == 0)
		*head = *m;
	m->head = inode != 0 && dp_map_same_file(m, head) ? head->start : 0;
	return true;
}

struct map_walk {
	int (*each)(void *arg, const struct dp_map *map);
	void *arg;
	struct dp_map map, head;
};

static int take_line(void *ctx, char *line)
{
	struct map_walk *w = ctx;

	return parse_line(line, &w->map, &w->head) ? w->each(w->arg, &w->map) : 0;
}

int dp_maps_walk(pid_t pid, int (*each)(void *arg, const struct dp_map *map), void *arg)
{
	struct map_walk w = {.each = each, .arg = arg};

	return dp_procfile_lines_pid("/proc", pid, "maps", DP_MAPS_TEXT_MAX, take_line, &w);
}

static int keep_executable(void *arg, const struct dp_map *map)
{
	struct dp_maps *maps = arg;

	if (!map->executable)
		return 0;
	if (maps->count == DP_MAPS_KEPT_MAX)
		return 1;
	if (maps->count % 64 == 0) {
		struct dp_map *p = realloc(maps->map, (maps->count + 64) * sizeof(*p));

		if (!p)
			return -ENOMEM;
		maps->map = p;
	}
	maps->map[maps->count++] = *map;
	return 0;
}

int dp_maps_read(pid_t pid, struct dp_maps *maps)
{
	struct dp_maps now = {.read_ns = dp_now()};
	int rc = dp_maps_walk(pid, keep_executable, &now);

	if (rc < 0) {
		dp_maps_free(&now);
		return rc;
	}
	dp_maps_free(maps);
	*maps = now;
	return 0;
}

void dp_maps_free(struct dp_maps *maps)
{
	free(maps->map);
	*maps = (struct dp_maps){0};
}

const struct dp_map *dp_maps_find(const struct dp_maps *maps, uint64_t addr)
{
	unsigned int lo = 0, hi = maps->count;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (addr < maps->map[mid].start)
			hi = mid;
		else if (addr >= maps->map[mid].end)
			lo = mid + 1;
		else
			return &maps->map[mid];
	}
	return NULL;
}

bool dp_map_same_file(const struct dp_map *a, const struct dp_map *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

bool dp_map_is_plumbing(const struct dp_map *map)
{
	static const char *const stem[] = {
		"libc.so.",   "libc-2.",    "libc.musl-",   "ld-linux",    "ld-musl-",
		"ld-2.",      "ld.so",      "libpthread.",  "libpthread-", "libdl.so",
		"libdl-2.",   "libm.so.",   "libm-2.",      "librt.so",    "librt-2.",
		"libffi.so.", "libffi-",    "libgcc_s.so.", "libgcc_s-",   "libstdc++.",
		"libc++.",    "libc++abi.", "libresolv.",   "libresolv-",
	};

	if (strcmp(map->base, "[vdso]") == 0 || strcmp(map->base, "[vsyscall]") == 0)
		return true;
	for (size_t i = 0; i < DP_COUNT_OF(stem); i++)
		if (strncmp(map->base, stem[i], strlen(stem[i])) == 0)
			return true;
	return false;
}
