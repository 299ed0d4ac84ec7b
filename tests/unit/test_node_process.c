// SPDX-License-Identifier: MIT
/*
 * What a process tells of its node: its configuration and its dora package, in a /proc of our own
 * and in the real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dora/nodeconfig.h"
#include "nodeconfig_support.h"

/* ---- processes ------------------------------------------------------------------------------ */

static void put_file(const char *text, size_t n, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void test_read_fake(void **state)
{
	static const char env[] = "A=1\0DORA_NODE_CONFIGX=no\0XDORA_NODE_CONFIG=no\0"
				  "DORA_NODE_CONFIG=dataflow_id: " UUID "\nnode_id: n\n\0Z=2";
	static const char runtime[] =
		"DORA_RUNTIME_CONFIG=node: {dataflow_id: " UUID ", node_id: rt}\noperators: []\n";
	static const char none[] = "A=1\0B=DORA_NODE_CONFIG=x";
	static const char broken[] = "DORA_NODE_CONFIG=nonsense";
	struct dp_node_config c;

	(void)state;
	put_file(env, sizeof(env), "%s/1/environ", base);
	put_file(runtime, sizeof(runtime), "%s/2/environ", base);
	put_file(none, sizeof(none), "%s/3/environ", base);
	put_file(broken, sizeof(broken), "%s/4/environ", base);
	put_file("", 0, "%s/5/environ", base);
	put_file(env, sizeof(env) - 4, "%s/7/environ", base); /* no NUL at the end */
	assert_int_equal(dp_node_config_read(base, 1, &c), 0);
	assert_string_equal(c.node, "n");
	assert_int_equal(dp_node_config_read(base, 2, &c), 0);
	assert_string_equal(c.node, "rt");
	assert_int_equal(dp_node_config_read(base, 3, &c), -ENOENT);
	assert_int_equal(dp_node_config_read(base, 4, &c), -EBADMSG);
	assert_int_equal(dp_node_config_read(base, 5, &c), -ENOENT);
	assert_int_equal(dp_node_config_read(base, 6, &c), -ESRCH);
	assert_int_equal(dp_node_config_read(base, 7, &c), 0);
}

/* A real process, its real environment. */
static void test_read_real(void **state)
{
	static const char config[] = "DORA_NODE_CONFIG=dataflow_id: " UUID "\nnode_id: real\n"
				     "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:4444\n";
	struct dp_node_config c;
	char text[24];
	int sync[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(sync, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *argv[] = {(char *)"sleep", (char *)"60", NULL};
		char *envp[] = {(char *)"A=b", (char *)config, NULL};

		execve("/bin/sleep", argv, envp);
		_exit(1);
	}
	close(sync[1]);
	/* The end of file comes when exec has closed the child's end. */
	assert_int_equal(read(sync[0], text, 1), 0);
	close(sync[0]);
	assert_int_equal(dp_node_config_read("/proc", pid, &c), 0);
	assert_string_equal(c.node, "real");
	assert_int_equal(c.port, 4444);
	assert_int_equal(dp_dora_version_read("/proc", pid, text, sizeof(text)), -ENOENT);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(dp_node_config_read("/proc", pid, &c), -ESRCH);
	assert_int_equal(dp_dora_version_read("/proc", pid, text, sizeof(text)), -ESRCH);
}

/* A package tree under root/, and a process that has mapped its module. */
static void package(int pid, const char *site, const char *module, const char *dist,
		    const char *metadata)
{
	char maps[512], root[256], link[256];

	snprintf(maps, sizeof(maps),
		 "55d0c0000000-55d0c0001000 r--p 00000000 08:01 123   /usr/bin/python3.11\n"
		 "7f0000000000-7f0000001000 r-xp 00001000 08:01 124                  %s%s\n"
		 "7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \n"
		 "7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0   [stack]\n",
		 site, module);
	put_file(maps, strlen(maps), "%s/%d/maps", base, pid);
	if (dist)
		put_file(metadata, strlen(metadata), "%s/root%s/%s/METADATA", base, site, dist);
	snprintf(root, sizeof(root), "%s/root", base);
	mkdir(root, 0700);
	snprintf(link, sizeof(link), "%s/%d/root", base, pid);
	(void)!symlink("../root", link);
}

static void test_version(void **state)
{
	static const char good[] = "Metadata-Version: 2.3\nName: dora-rs\nVersion: 0.5.0\n"
				   "Requires-Dist: pyarrow\n\nVersion: 9.9.9\n";
	static const char dist[] = "dora_rs-0.5.0.dist-info";
	static const char module[] = "/dora/dora.abi3.so";
	char v[24] = "untouched", path[512], to[512];

	(void)state;
	package(10, "/venv/site-packages", module, dist, good);
	assert_int_equal(dp_dora_version_read(base, 10, v, sizeof(v)), 0);
	assert_string_equal(v, "0.5.0");
	strcpy(v, "untouched");
	assert_int_equal(dp_dora_version_read(base, 10, v, 5), -ENODATA); /* does not fit */
	/* another name of the module, a path with a space */
	package(11, "/my venv/lib", "/dora/dora.cpython-311-x86_64-linux-gnu.so",
		"dora_rs-0.3.12.dist-info", "Name: dora-rs\r\nVersion: 0.3.12\r\n");
	assert_int_equal(dp_dora_version_read(base, 11, v, sizeof(v)), 0);
	assert_string_equal(v, "0.3.12");
	strcpy(v, "untouched");
	/* not the node API: the CLI's module, a namesake, one that was replaced on disk */
	package(12, "/venv/site-packages", "/dora_cli/dora_cli.abi3.so", NULL, NULL);
	assert_int_equal(dp_dora_version_read(base, 12, v, sizeof(v)), -ENOENT);
	package(13, "/venv/site-packages", "/pandora/dora.abi3.so", NULL, NULL);
	assert_int_equal(dp_dora_version_read(base, 13, v, sizeof(v)), -ENOENT);
	package(14, "/venv/site-packages", "/dora/dora.abi3.so (deleted)", NULL, NULL);
	assert_int_equal(dp_dora_version_read(base, 14, v, sizeof(v)), -ENOENT);
	/* no metadata, metadata of something else, no version, a hostile one, a long one */
	package(15, "/a", module, NULL, NULL);
	assert_int_equal(dp_dora_version_read(base, 15, v, sizeof(v)), -ENODATA);
	package(16, "/b", module, dist, "Name: dora-rs-cli\nVersion: 0.5.0\n");
	assert_int_equal(dp_dora_version_read(base, 16, v, sizeof(v)), -ENODATA);
	package(17, "/c", module, dist, "Name: dora-rs\n\nVersion: 0.5.0\n");
	assert_int_equal(dp_dora_version_read(base, 17, v, sizeof(v)), -ENODATA);
	package(18, "/d", module, dist, "Name: dora-rs\nVersion: 0.5.0\x1b[2J\n");
	assert_int_equal(dp_dora_version_read(base, 18, v, sizeof(v)), -ENODATA);
	package(19, "/e", module, dist, "Name: dora-rs\nVersion: 0.5.0.0.0.0.0.0.0.0.0.0.0\n");
	assert_int_equal(dp_dora_version_read(base, 19, v, sizeof(v)), -ENODATA);
	/* two that disagree */
	package(20, "/f", module, dist, good);
	package(20, "/f", module, "dora_rs-0.4.1.dist-info", "Name: dora-rs\nVersion: 0.4.1\n");
	assert_int_equal(dp_dora_version_read(base, 20, v, sizeof(v)), -ENODATA);
	assert_int_equal(dp_dora_version_read(base, 999, v, sizeof(v)), -ESRCH);
	assert_string_equal(v, "untouched");
	/* An absolute link stays inside the target's root. */
	package(21, "/g", module, NULL, NULL);
	snprintf(path, sizeof(path), "%s/root/g", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/root/g/%s", base, dist);
	assert_int_equal(symlink("/venv/site-packages/dora_rs-0.5.0.dist-info", path), 0);
	assert_int_equal(dp_dora_version_read(base, 21, v, sizeof(v)), 0);
	assert_string_equal(v, "0.5.0");
	strcpy(v, "untouched");
	/* … and one to a place outside of it finds nothing there. */
	put_file(good, strlen(good), "%s/outside/METADATA", base);
	package(22, "/h", module, NULL, NULL);
	snprintf(path, sizeof(path), "%s/root/h", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/root/h/%s", base, dist);
	snprintf(to, sizeof(to), "%s/outside", base);
	assert_int_equal(symlink(to, path), 0);
	assert_int_equal(dp_dora_version_read(base, 22, v, sizeof(v)), -ENODATA);
	/* A FIFO is not opened: the test would hang. */
	package(23, "/i", module, NULL, NULL);
	snprintf(path, sizeof(path), "%s/root/i", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/root/i/%s", base, dist);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/root/i/%s/METADATA", base, dist);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(dp_dora_version_read(base, 23, v, sizeof(v)), -ENODATA);
	assert_string_equal(v, "untouched");
}

/* The maps of a real process: this one maps a file of the right name. */
static void test_version_real(void **state)
{
	static const char good[] = "Name: dora-rs\nVersion: 1.1.0\n";
	char v[24], path[256];
	void *p;
	int fd;

	(void)state;
	put_file(good, strlen(good), "%s/pkgs/dora_rs-1.1.0.dist-info/METADATA", base);
	put_file(good, strlen(good), "%s/pkgs/dora/dora.abi3.so", base);
	snprintf(path, sizeof(path), "%s/pkgs/dora/dora.abi3.so", base);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(dp_dora_version_read("/proc", getpid(), v, sizeof(v)), 0);
	assert_string_equal(v, "1.1.0");
	unlink(path);
	assert_int_equal(dp_dora_version_read("/proc", getpid(), v, sizeof(v)), -ENOENT);
	munmap(p, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_fake),
		cmocka_unit_test(test_read_real),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_version_real),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
