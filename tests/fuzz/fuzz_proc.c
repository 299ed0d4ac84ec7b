// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of what is read below a target's root: /proc/PID/maps, the METADATA of its dora package, its
 * stat and status, the machine's table of TCP sockets. A tree of files in the place of /proc; the parts of the
 * input are divided by bytes 0xff.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/task.h"
#include "dora/nodeconfig.h"
#include "sense/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKAGES "/lib/python3/site-packages"

static char top[64];

static void folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", top, name);
	if (mkdir(path, 0700) < 0)
		abort();
}

static void put(const char *name, const uint8_t *data, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s", top, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void make_tree(void)
{
	snprintf(top, sizeof(top), "/dev/shm/fuzz-proc-XXXXXX");
	if (!mkdtemp(top))
		abort();
	folder("/7");
	folder("/7/net");
	folder("/7/fd");
	folder("/7/root");
	folder("/7/root/lib");
	folder("/7/root/lib/python3");
	folder("/7/root" PACKAGES);
	folder("/7/root" PACKAGES "/dora");
	folder("/7/root" PACKAGES "/dora_rs-0.5.0.dist-info");
}

static void region(void *ctx, const struct dp_proc_region *r)
{
	(void)ctx;
	if (!memchr(r->name, '\0', sizeof(r->name)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {
		"/7/maps",    "/7/root" PACKAGES "/dora_rs-0.5.0.dist-info/METADATA",
		"/7/net/tcp", "/7/stat",
		"/7/status",
	};
	static bool made;
	struct dp_node_config config = {
		.transport = DP_TRANSPORT_TCP, .family = 2, .port = 9, .addr = {127, 0, 0, 1}};
	struct dp_task_status status;
	struct dp_task_stat stat;
	char version[24];
	int fds[4];
	bool incomplete;

	if (!made)
		make_tree();
	made = true;
	for (size_t i = 0; i < DP_COUNT_OF(files); i++) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t len = end ? (size_t)(end - data) : size;

		put(files[i], data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	if (dp_dora_version_read(top, 7, version, sizeof(version)) == 0 &&
	    !memchr(version, '\0', sizeof(version)))
		abort();
	dp_proc_regions(top, 7, region, NULL);
	dp_proc_daemon_sockets(top, 7, &config, fds, 4, &incomplete);
	dp_task_stat(top, 7, 0, &stat);
	dp_task_status(top, 7, 0, &status);
	return 0;
}
