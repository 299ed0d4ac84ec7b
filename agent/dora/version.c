// SPDX-License-Identifier: MIT
/*
 * The dora Python package of a running process (nodeconfig.h), found by what it has mapped and read
 * from the metadata that the installer left beside it. Everything here may be forged by the target:
 * it is read as data, within limits, in the target's own file system, and believed for display and
 * for the choice of a codec only.
 */
#include "base/procfile.h"
#include "dora/nodeconfig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPS_MAX     (8u * 1024 * 1024)
#define METADATA_MAX (64u * 1024)
#define ENTRIES_MAX  65536u

/*
 * Opens a path as the target sees it: absolute links resolve inside its root, magic links not at
 * all. Only what `type` says (S_IFREG, S_IFDIR) is opened for reading, so that no device or FIFO is
 * touched. Returns a descriptor or -errno.
 */
static int open_inside(int root, const char *path, mode_t type)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	struct stat st;
	int fd, out;

	fd = (int)syscall(__NR_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || (st.st_mode & S_IFMT) != type) {
		close(fd);
		return -ENOENT;
	}
	out = dp_procfile_reopen(fd, O_RDONLY | O_NONBLOCK);
	close(fd);
	return out;
}

/* A distribution: its package, the beginning of its dist-info directory, its name, and its other one. */
struct package {
	const char *name, *dist_info, *dist[2];
};

static const struct package node_package = {"dora", "dora_rs-", {"dora-rs", "dora_rs"}};
/* The `dora` command, which runs the daemon too. */
static const struct package cli_package = {
	"dora_cli", "dora_rs_cli-", {"dora-rs-cli", "dora_rs_cli"}};

/*
 * The directory that holds the package, when a line of maps names its extension module:
 * ".../site-packages/dora/dora.abi3.so" gives ".../site-packages". 1 or 0.
 */
static int package_dir(const struct package *p, const char *line, size_t len, char *ret, size_t cap)
{
	const char *path = memchr(line, '/', len);
	const char *name;
	size_t path_len, name_len, own = strlen(p->name);

	if (!path)
		return 0;
	path_len = len - (size_t)(path - line);
	name = memrchr(path, '/', path_len);
	name_len = path_len - (size_t)(name + 1 - path);
	/* "dora.abi3.so", "dora.cpython-311-x86_64-linux-gnu.so"; not "… (deleted)" */
	if (name_len < own + 4 || memcmp(name + 1, p->name, own) != 0 || name[1 + own] != '.' ||
	    memcmp(path + path_len - 3, ".so", 3) != 0)
		return 0;
	/* "/dora" in front of the module's own slash */
	if ((size_t)(name - path) < own + 1 || memcmp(name - own, p->name, own) != 0 ||
	    name[-(ptrdiff_t)own - 1] != '/')
		return 0;
	path_len = (size_t)(name - path) - own - 1;
	if (path_len == 0 || path_len >= cap)
		return 0;
	memcpy(ret, path, path_len);
	ret[path_len] = '\0';
	return 1;
}

static bool is_version_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
		      (s[i] >= 'A' && s[i] <= 'Z') || strchr(".+-_!", s[i])))
			return false;
	return len > 0;
}

static bool is_name_of(const struct package *p, const char *text, size_t len)
{
	for (int i = 0; i < 2; i++)
		if (len == strlen(p->dist[i]) && memcmp(text, p->dist[i], len) == 0)
			return true;
	return false;
}

/* Version of a METADATA file of the package (core metadata: RFC 822 headers). 0, -ENOENT. */
static int metadata_version(const struct package *p, const char *text, char *ret, size_t cap)
{
	const char *version = NULL;
	size_t version_len = 0;
	int is_dora = 0;

	while (*text && *text != '\n' && *text != '\r') { /* headers end at an empty line */
		size_t line = strcspn(text, "\r\n");

		if (line > 6 && strncmp(text, "Name: ", 6) == 0) {
			is_dora = is_name_of(p, text + 6, line - 6);
		} else if (line > 9 && strncmp(text, "Version: ", 9) == 0) {
			version = text + 9;
			version_len = line - 9;
		}
		text += line;
		if (*text == '\r')
			text++;
		if (*text == '\n')
			text++;
	}
	if (!is_dora || !version || version_len >= cap || !is_version_text(version, version_len))
		return -ENOENT;
	memcpy(ret, version, version_len);
	ret[version_len] = '\0';
	return 0;
}

/* Reads dir/entry/METADATA. 0 or -errno. */
static int read_metadata(const struct package *p, int root, const char *dir, const char *entry,
			 char *ret, size_t cap)
{
	char path[4096 + 300], *text = NULL;
	size_t len;
	int fd, err, n;

	n = snprintf(path, sizeof(path), "%s/%s/METADATA", dir, entry);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENOENT;
	fd = open_inside(root, path, S_IFREG);
	if (fd < 0)
		return fd;
	err = dp_procfile_load_fd(fd, METADATA_MAX, &text, &len);
	close(fd);
	if (err)
		return err;
	err = metadata_version(p, text, ret, cap);
	free(text);
	return err;
}

/*
 * Looks for dora_rs-*.dist-info in the package's directory. Two that disagree (left by a broken
 * upgrade) tell nothing. 0; -ENOENT; -EPERM.
 */
static int version_in(const struct package *p, int root, const char *dir, char *ret, size_t cap)
{
	static const char suffix[] = ".dist-info";
	size_t prefix = strlen(p->dist_info);
	char found[24] = "";
	struct dirent *entry;
	DIR *d;
	int fd = open_inside(root, dir, S_IFDIR);

	if (fd < 0)
		return fd == -EACCES || fd == -EPERM ? -EPERM : -ENOENT;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOENT;
	}
	for (unsigned int i = 0; i < ENTRIES_MAX && (entry = readdir(d)); i++) {
		size_t n = strlen(entry->d_name);
		char one[24];

		if (n < prefix + 1 + sizeof(suffix) ||
		    strncmp(entry->d_name, p->dist_info, prefix) != 0 ||
		    strcmp(entry->d_name + n - (sizeof(suffix) - 1), suffix) != 0)
			continue;
		if (read_metadata(p, root, dir, entry->d_name, one, sizeof(one)))
			continue;
		if (found[0] && strcmp(found, one) != 0) {
			found[0] = '\0';
			break;
		}
		memcpy(found, one, sizeof(found));
	}
	closedir(d);
	if (!found[0] || strlen(found) >= cap)
		return -ENOENT;
	memcpy(ret, found, strlen(found) + 1);
	return 0;
}

struct dir_search {
	const struct package *package;
	char dir[4096];
};

static int try_line(void *ctx, char *line)
{
	struct dir_search *s = ctx;

	return package_dir(s->package, line, strlen(line), s->dir, sizeof(s->dir));
}

static int version_of(const struct package *p, const char *proc, pid_t pid, char *ret, size_t len)
{
	struct dir_search s = {.package = p};
	int root, err;

	err = dp_procfile_lines_pid(proc, pid, "maps", MAPS_MAX, try_line, &s);
	if (err != 1)
		return err ? err : -ENOENT;
	root = dp_procfile_open(proc, pid, "root", O_PATH | O_DIRECTORY);
	if (root < 0)
		return root;
	err = version_in(p, root, s.dir, ret, len);
	close(root);
	return err == -ENOENT ? -ENODATA : err;
}

int dp_dora_version_read(const char *proc, pid_t pid, char *ret, size_t len)
{
	return version_of(&node_package, proc, pid, ret, len);
}

int dp_dora_daemon_version_read(const char *proc, pid_t pid, char *ret, size_t len)
{
	return version_of(&cli_package, proc, pid, ret, len);
}
