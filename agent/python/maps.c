/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps: what is mapped where. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
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
	m->readable = prot[0] == 'r';
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

int dp_maps_walk(pid_t pid, int (*each)(void *arg, const struct dp_map *map), void *arg)
{
	char path[32], *buf = NULL;
	size_t cap = 64 * 1024, have = 0, total = 0;
	struct dp_map map, head = {0};
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? -EPERM
		       : errno == ENOENT                 ? -ESRCH
							 : -errno;
	buf = malloc(cap);
	if (!buf) {
		rc = -ENOMEM;
		goto cleanup;
	}
	while (total < DP_MAPS_TEXT_MAX) {
		ssize_t n = read(fd, buf + have, cap - have - 1);
		char *line = buf, *nl;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = errno == ESRCH ? -ESRCH : errno == EACCES ? -EPERM : -errno;
			goto cleanup;
		}
		if (n == 0)
			break;
		total += (size_t)n;
		have += (size_t)n;
		buf[have] = '\0';
		while ((nl = memchr(line, '\n', have - (size_t)(line - buf))) != NULL) {
			*nl = '\0';
			if (parse_line(line, &map, &head)) {
				rc = each(arg, &map);
				if (rc != 0)
					goto cleanup;
			}
			line = nl + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have + 1 >= cap)
			have = 0; /* no line is that long: PATH_MAX is a sixteenth of it */
	}
cleanup:
	free(buf);
	close(fd);
	return rc;
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
