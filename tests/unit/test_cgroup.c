// SPDX-License-Identifier: MIT
/* The memory that control groups leave to the probe, of both versions, by a tree of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sense/cgroup.h"

static char top[64];

static void put(const char *name, const char *text)
{
	char path[256], command[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\"", path);
	assert_int_equal(system(command), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t memory(void)
{
	char proc[96], sys[96];

	snprintf(proc, sizeof(proc), "%s/proc", top);
	snprintf(sys, sizeof(sys), "%s/sys", top);
	return dp_cgroup_memory(proc, sys);
}

static void test_limits(void **state)
{
	char command[128];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/test-cgroup-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_true(memory() == UINT64_MAX);
	put("proc/self/cgroup", "0::/system.slice/a.service\n");
	assert_true(memory() == UINT64_MAX);
	put("sys/system.slice/a.service/memory.max", "max\n");
	assert_true(memory() == UINT64_MAX);
	put("sys/system.slice/memory.max", "67108864\n");
	assert_int_equal(memory(), 64 << 20);
	put("sys/system.slice/a.service/memory.max", "33554432\n");
	assert_int_equal(memory(), 32 << 20);
	/* Both versions at once, as systems have them that are between the two. */
	put("proc/self/cgroup", "8:pids:/x\n4:memory:/x/y\n0::/\n");
	put("sys/memory/x/memory.limit_in_bytes", "1048576\n");
	put("sys/memory/x/y/memory.limit_in_bytes", "9223372036854771712\n");
	assert_int_equal(memory(), 1 << 20);
	put("proc/self/cgroup", "nonsense");
	assert_true(memory() == UINT64_MAX);
	snprintf(command, sizeof(command), "rm -r %s", top);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
