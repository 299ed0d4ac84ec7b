// SPDX-License-Identifier: MIT
/* The doctor on made-up machines, and without rights. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "cli/doctor.h"
#include "cli/options.h"
#include "dora_probe/rights.h"
#include "skipping.h"

static char root[64];

static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const char *path, const char *target)
{
	char full[256];

	put(path, "");
	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(unlink(full), 0);
	assert_int_equal(symlink(target, full), 0);
}

/* A machine where all that comes from files is as it should be. */
static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/dora-probe-test.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put_link("/sys/kernel/btf/vmlinux", "/sys/kernel/btf/vmlinux");
	put("/sys/kernel/tracing/events/header", "");
	put("/sys/bus/event_source/devices/uprobe/type", "9\n");
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put("/proc/sys/kernel/yama/ptrace_scope", "1\n");
	put("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	put("/proc/sys/net/core/bpf_jit_enable", "1\n");
	put("/proc/self/mounts", "proc /proc proc rw,nosuid 0 0\n");
	put_link("/proc/self/ns/pid", "pid:[4026531836]");
	return 0;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf -- '%s'", root);
	return system(command);
}

static char *doctor(int json, int *ret_code)
{
	size_t len;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	*ret_code = dp_doctor_at(root, f, json);
	fclose(f);
	return text;
}

/* The state of one check, and that what is not ok says how to mend it. */
static void expect(const char *check, const char *want, const char *word)
{
	int code;
	char *text = doctor(1, &code), start[96], *line, *end;

	snprintf(start, sizeof(start), "{\"check\":\"%s\",\"state\":\"%s\"", check, want);
	line = strstr(text, start);
	if (!line)
		fail_msg("%s is not %s in %s", check, want, text);
	end = strchr(line, '\n');
	*end = '\0';
	if (!strstr(line, word))
		fail_msg("no \"%s\" in %s", word, line);
	assert_int_equal(strstr(line, "\"mend\":null") != NULL, strcmp(want, "ok") == 0);
	/* What is missing shows in the exit code. */
	if (strcmp(want, "missing") == 0)
		assert_int_not_equal(code, DP_EX_OK);
	free(text);
}

static void test_files(void **state)
{
	static const struct {
		const char *check, *path, *text, *want, *word;
	} rows[] = {
		{"lockdown", "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n",
		 "ok", "[integrity]"},
		{"lockdown", "/sys/kernel/security/lockdown", "none integrity [confidentiality]\n",
		 "missing", "lockdown=integrity"},
		{"ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope", "0\n", "ok", "\"0\""},
		{"ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope", "3\n", "missing",
		 "ptrace_scope=1"},
		{"jit", "/proc/sys/net/core/bpf_jit_enable", "0\n", "limited", "sysctl -w"},
		{"tracepoints", "/sys/kernel/btf/vmlinux", "this is no BTF", "missing", "BTF"},
		{"hidepid", "/proc/self/mounts", "proc /proc proc rw 0 0\n", "ok", "\"off\""},
		{"tracefs", "/sys/kernel/tracing/events/x", "", "ok", "/sys/kernel/tracing"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		char full[256];

		remove_root(NULL);
		assert_int_equal(make_root(NULL), 0);
		snprintf(full, sizeof(full), "%s%s", root, rows[i].path);
		unlink(full);
		put(rows[i].path, rows[i].text);
		expect(rows[i].check, rows[i].want, rows[i].word);
	}
}

static void test_absent_files(void **state)
{
	static const struct {
		const char *check, *path, *want, *word;
	} rows[] = {
		{"btf", "sys/kernel/btf", "missing", "CONFIG_DEBUG_INFO_BTF"},
		{"tracepoints", "sys/kernel/btf", "missing", "BTF"},
		{"tracefs", "sys/kernel/tracing", "limited", "mount -t tracefs"},
		{"uprobe", "sys/bus", "limited", "unconfirmed"},
		{"lockdown", "sys/kernel/security", "ok", "not in force"},
		{"ptrace_scope", "proc/sys/kernel/yama", "ok", "not in force"},
		{"unprivileged_bpf_disabled", "proc/sys", "ok", "no such"},
		{"hidepid", "proc/self/mounts", "ok", "off"},
		{"pid_namespace", "proc/self/ns", "missing", "--pid=host"},
	};
	char full[256], *text;
	int code;

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		char command[256];

		remove_root(NULL);
		assert_int_equal(make_root(NULL), 0);
		snprintf(command, sizeof(command), "rm -r -- '%s/%s'", root, rows[i].path);
		assert_int_equal(system(command), 0);
		expect(rows[i].check, rows[i].want, rows[i].word);
	}
	/* A kernel without BTF is a lack of a feature whatever the rights are. */
	remove_root(NULL);
	assert_int_equal(make_root(NULL), 0);
	snprintf(full, sizeof(full), "%s/sys/kernel/btf/vmlinux", root);
	assert_int_equal(unlink(full), 0);
	text = doctor(0, &code);
	assert_int_equal(code, DP_EX_FEATURE);
	free(text);
}

/* Without capabilities: 3, what is missing by name, and how to get it. hidepid begins to matter. */
static void test_without_rights(void **state)
{
	int status, fds[2];
	char text[32768];
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	(void)state;
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		skip_because("this kernel has no BTF, so features are missing as well");
	remove_root(NULL);
	assert_int_equal(make_root(NULL), 0);
	put("/proc/self/mounts",
	    "sysfs /sys sysfs rw 0 0\nproc /proc proc rw,hidepid=invisible,gid=5 0 0\n");
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		cap_t none = cap_init();
		FILE *out = fdopen(fds[1], "w");

		if (!none || !out || cap_set_proc(none) < 0)
			_exit(99);
		_exit(dp_doctor_at(root, out, 0));
	}
	close(fds[1]);
	while ((n = read(fds[0], text + got, sizeof(text) - 1 - got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != DP_EX_RIGHT)
		fail_msg("exit code %d: %s", WEXITSTATUS(status), text);
	assert_non_null(strstr(text, "missing   capabilities"));
	for (size_t i = 0; i < dp_rights_count; i++)
		if (dp_rights[i].when != DP_RIGHT_USER && !strstr(text, dp_rights[i].name))
			fail_msg("%s is not named in %s", dp_rights[i].name, text);
	/* Tried, not told by a file: the programs are refused, and nothing behind them is claimed. */
	assert_non_null(strstr(text, "missing   programs"));
	assert_non_null(strstr(text, "limited   attaching"));
	assert_null(strstr(text, "apt-get"));
	assert_non_null(strstr(text, "limited   hidepid of /proc    invisible"));
	assert_non_null(strstr(text, geteuid() == 0 ? "--cap-add=BPF" : "sudo setcap"));
}

static void test_cannot_write(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(dp_doctor_at(root, full, 0), DP_EX_INTERNAL);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_absent_files),
		cmocka_unit_test(test_without_rights),
		cmocka_unit_test(test_cannot_write),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
