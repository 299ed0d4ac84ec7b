// SPDX-License-Identifier: MIT
/* The ground floor's readers (numbers, /proc/PID/stat and status, files within a limit) and its
 * log. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/task.h"
#include "skipping.h"

static void test_number(void **state)
{
	static const struct {
		const char *text;
		unsigned int base;
		uint64_t max, value;
		int eaten; /* -1 refused */
	} rows[] = {
		{"0", 10, 9, 0, 1},
		{"12 34", 10, UINT64_MAX, 12, 2},
		{"007", 10, 7, 7, 3},
		{"8", 10, 7, 0, -1},
		{"18446744073709551615", 10, UINT64_MAX, UINT64_MAX, 20},
		{"18446744073709551616", 10, UINT64_MAX, 0, -1},
		{"99999999999999999999999", 10, UINT64_MAX, 0, -1},
		{"fFx", 16, 255, 255, 2},
		{"0x10", 16, UINT64_MAX, 0, 1},
		{"1f", 10, UINT64_MAX, 1, 1},
		{"10000000000000000", 16, UINT64_MAX, 0, -1},
		{"", 10, UINT64_MAX, 0, -1},
		{" 1", 10, UINT64_MAX, 0, -1},
		{"-1", 10, UINT64_MAX, 0, -1},
		{"+1", 10, UINT64_MAX, 0, -1},
		{"x", 16, UINT64_MAX, 0, -1},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		uint64_t v = 77;
		const char *end = dp_number(rows[i].text, rows[i].base, rows[i].max, &v);

		if (rows[i].eaten < 0) {
			assert_null(end);
			assert_true(v == 77);
			continue;
		}
		assert_ptr_equal(end, rows[i].text + rows[i].eaten);
		assert_true(v == rows[i].value);
	}
}

/* From vsize on (field 23); what stands here is the number of the field. */
#define FROM_23                                                                                    \
	" 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 "

#define AFTER_NAME " S 4021 1 1 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 "

static void test_stat(void **state)
{
	static const char *const bad[] = {
		"",
		"12",
		"12 (x",
		"12 (x)",
		"12 (x) ",
		"12 )x( S 1",
		"12 (x) S 4021 1 1 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1",
		"12 (x)" AFTER_NAME "x 5",
		"12 (x)" AFTER_NAME "-1 5",
		"12 (x)" AFTER_NAME "18446744073709551616 5",
		"12 (x)" AFTER_NAME "812",
		"12 (x) S -4021 1 1 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 812 5",
	};
	struct dp_task_stat s;

	(void)state;
	assert_int_equal(dp_task_stat_parse("12 (python3)" AFTER_NAME "812 5", &s), 0);
	assert_string_equal(s.comm, "python3");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 4021);
	assert_true(s.start_time == 812);
	/* A name that looks like the end of one, and one that would move a terminal's cursor. */
	assert_int_equal(dp_task_stat_parse("12 (a) Z 1 (b))" AFTER_NAME "812 5", &s), 0);
	assert_string_equal(s.comm, "a) Z 1 (b)");
	assert_int_equal(s.state, 'S');
	assert_int_equal(dp_task_stat_parse("12 (a\x1b[2J\n)" AFTER_NAME "812 5", &s), 0);
	assert_string_equal(s.comm, "a?[2J?");
	/* What an older kernel does not tell, or not everybody, is not known. */
	assert_int_equal(s.cpu, -1);
	assert_int_equal(s.exit_status, -1);
	assert_true(s.arg_start == 0 && s.env_end == 0);
	assert_int_equal(dp_task_stat_parse("12 (x)" AFTER_NAME "812" FROM_23 "2304\n", &s), 0);
	assert_int_equal(s.cpu, 39);
	assert_true(s.arg_start == 48 && s.arg_end == 49 && s.env_start == 50 && s.env_end == 51);
	assert_int_equal(s.exit_status, 9 << 8);
	assert_int_equal(dp_task_stat_parse("12 (x)" AFTER_NAME "812" FROM_23, &s), 0);
	assert_true(s.env_end == 51 && s.exit_status == -1);
	for (size_t i = 0; i < DP_COUNT_OF(bad); i++) {
		memset(&s, 'z', sizeof(s));
		assert_int_equal(dp_task_stat_parse(bad[i], &s), -EBADMSG);
		assert_int_equal(s.state, 'z');
	}
	assert_true(dp_task_state_is_dead('Z') && dp_task_state_is_dead('X'));
	assert_false(dp_task_state_is_dead('S') || dp_task_state_is_dead('D'));
}

static void test_status(void **state)
{
	struct dp_task_status s;

	(void)state;
	dp_task_status_parse("Name:\tx\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t900\t12\t3\n"
			     "SigIgn:\t0000000001001000\nSigCgt:\t0000000100000002\n",
			     &s);
	assert_true(s.has_uids && s.has_signals && s.has_inner);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.euid, 1001);
	assert_int_equal(s.levels, 3);
	assert_int_equal(s.inner_id, 3);
	assert_true(s.signals_ignored == 0x1001000 && s.signals_caught == 0x100000002);

	/* What the name says of itself is no field. */
	dp_task_status_parse("Name:\tUid:\t0\t0\t0\t0\nState:\tS\n", &s);
	assert_false(s.has_uids || s.has_signals || s.has_inner);
	dp_task_status_parse("Name:\tx\nUid:\nNSpid:\t0\nSigIgn:\t\nSigCgt:\t2\n", &s);
	assert_false(s.has_uids || s.has_signals || s.has_inner);
	dp_task_status_parse("\nUid:\t1000\t4294967296\t0\t0\nSigIgn:\t0x\nSigCgt:\t2\n", &s);
	assert_false(s.has_uids || s.has_signals);
	dp_task_status_parse("", &s);
	assert_false(s.has_uids || s.has_signals || s.has_inner);
}

/* The kernel's own files of this process. */
static void test_own_task(void **state)
{
	struct dp_task_status status;
	struct dp_task_stat stat, thread;
	char name[16] = "";

	(void)state;
	skip_if_emulated("the kernel's files of this process are the emulator's");
	signal(SIGUSR2, SIG_IGN);
	prctl(PR_GET_NAME, name);
	assert_int_equal(dp_task_stat("/proc", getpid(), 0, &stat), 0);
	assert_int_equal(dp_task_stat("/proc", getpid(), getpid(), &thread), 0);
	assert_string_equal(stat.comm, name);
	assert_int_equal(stat.ppid, getppid());
	assert_int_equal(stat.state, 'R');
	assert_true(stat.start_time && stat.start_time == thread.start_time);
	assert_int_equal(dp_task_status("/proc", getpid(), 0, &status), 0);
	assert_true(status.has_uids && status.has_signals && status.has_inner);
	assert_int_equal(status.uid, getuid());
	assert_int_equal(status.euid, geteuid());
	assert_true(status.signals_ignored & 1ULL << (SIGUSR2 - 1));
	assert_int_equal(status.inner_id, getpid());
	assert_int_equal(dp_task_stat("/proc", INT32_MAX, 0, &stat), -ESRCH);
	assert_int_equal(dp_task_status("/proc", getpid(), INT32_MAX, &status), -ESRCH);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/dp-base-XXXXXX", sub[64], path[80], small[4], *text;
	size_t len;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sub, sizeof(sub), "%s/7", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(path, sizeof(path), "%s/name", sub);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("abcdef", f);
	fclose(f);

	assert_int_equal(dp_procfile_read(path, small, sizeof(small)), 3);
	assert_string_equal(small, "abc");
	assert_int_equal(dp_procfile_read_pid(dir, 7, "name", small, 1), 0);
	assert_string_equal(small, "");
	assert_int_equal(dp_procfile_read(dir, small, sizeof(small)), -EISDIR);
	assert_int_equal(dp_procfile_load(dir, 7, "name", 100, &text, &len), 0);
	assert_int_equal(len, 6);
	assert_string_equal(text, "abcdef");
	free(text);
	assert_int_equal(dp_procfile_load(dir, 7, "name", 4, &text, &len), 0);
	assert_string_equal(text, "abcd");
	free(text);
	unlink(path);
	assert_int_equal(dp_procfile_read(path, small, sizeof(small)), -ENOENT);
	assert_int_equal(dp_procfile_read_pid(dir, 7, "name", small, sizeof(small)), -ESRCH);
	assert_int_equal(dp_procfile_load(dir, 7, "name", 4, &text, &len), -ESRCH);
	rmdir(sub);
	rmdir(dir);
	assert_int_equal(dp_procfile_error(EACCES), -EPERM);
	assert_int_equal(dp_procfile_error(ESRCH), -ESRCH);
	assert_int_equal(dp_procfile_error(EISDIR), -EISDIR);
}

struct heap {
	int count, sum, stop_at;
	size_t longest;
	char last[64];
};

static int take_text(void *ctx, char *line)
{
	struct heap *h = ctx;
	size_t len = strlen(line);

	h->longest = len > h->longest ? len : h->longest;
	snprintf(h->last, sizeof(h->last), "%s", line);
	return ++h->count == h->stop_at ? 5 : 0;
}

static int take_number(void *ctx, int number)
{
	struct heap *h = ctx;

	h->sum += number;
	return ++h->count == h->stop_at ? 5 : 0;
}

/*
 * The end of a line that is too long is not taken for a line: in maps it would be one that the target
 * has written.
 */
static void test_lines(void **state)
{
	char dir[] = "/tmp/dp-base-XXXXXX", path[64];
	struct heap h = {.count = 0};
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lines", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "one\n\n%0*d forged\nlast", 2 * DP_PROCFILE_LINE, 0);
	fclose(f);
	assert_int_equal(dp_procfile_lines(path, 1 << 20, take_text, &h), 0);
	assert_int_equal(h.count, 4);
	assert_int_equal(h.longest, DP_PROCFILE_LINE);
	assert_string_equal(h.last, "last");

	h = (struct heap){.stop_at = 2};
	assert_int_equal(dp_procfile_lines(path, 1 << 20, take_text, &h), 5);
	assert_string_equal(h.last, "");
	/* What the limit has cut is no line. */
	h = (struct heap){.count = 0};
	assert_int_equal(dp_procfile_lines(path, 100, take_text, &h), 0);
	assert_in_range(h.count, 2, 3);
	assert_string_not_equal(h.last, "last");
	unlink(path);
	assert_int_equal(dp_procfile_lines(path, 100, take_text, &h), -ENOENT);
	assert_int_equal(dp_procfile_lines_pid(dir, 7, "lines", 100, take_text, &h), -ESRCH);
	rmdir(dir);
}

static void test_directories_and_links(void **state)
{
	char dir[] = "/tmp/dp-base-XXXXXX", path[64], to[8];
	static const char *const names[] = {"7", "12", "3x", "-4", "name"};
	struct heap h = {.count = 0};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < DP_COUNT_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/7/exe", dir);
	assert_int_equal(symlink("/usr/bin/python3", path), 0);

	assert_int_equal(dp_procfile_numbers(dir, 0, NULL, take_number, &h), 0);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.sum, 19);
	h = (struct heap){.stop_at = 1};
	assert_int_equal(dp_procfile_numbers(dir, 0, NULL, take_number, &h), 5);
	assert_int_equal(dp_procfile_numbers(dir, 7, "fd", take_number, &h), -ESRCH);

	assert_int_equal(dp_procfile_link(path, to, sizeof(to)), 7);
	assert_string_equal(to, "/usr/bi");
	assert_int_equal(dp_procfile_link_pid(dir, 8, "exe", to, sizeof(to)), -ESRCH);
	assert_string_equal(to, "");

	fd = dp_procfile_open(dir, 7, "", O_PATH | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(dp_procfile_reopen(fd, O_WRONLY), -EISDIR);
	close(fd);
	assert_int_equal(dp_procfile_open(dir, 7, "maps", O_RDONLY), -ESRCH);
	unlink(path);
	for (size_t i = 0; i < DP_COUNT_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		rmdir(path);
	}
	rmdir(dir);
}

/* Standard error while `say` runs. */
static void heard(void (*say)(void), char *ret, size_t len)
{
	int p[2], was = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(was >= 0);
	assert_int_equal(pipe(p), 0);
	assert_true(dup2(p[1], STDERR_FILENO) >= 0);
	close(p[1]);
	say();
	assert_true(dup2(was, STDERR_FILENO) >= 0);
	close(was);
	n = read(p[0], ret, len - 1);
	assert_true(n >= 0);
	ret[n] = '\0';
	close(p[0]);
}

static void say_foreign_text(void)
{
	dp_log("%d: cannot read %s\n\x1b[2J", 12, "\xff");
	dp_log_lines("libbpf: one\n\tlibbpf: two\nend");
}

static void say_too_much(void)
{
	char much[5000];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	dp_log("%s", much);
}

static void test_log(void **state)
{
	char text[8192];

	(void)state;
	heard(say_foreign_text, text, sizeof(text));
	assert_string_equal(text, "dora-probe: 12: cannot read ??"
				  "?[2J\nlibbpf: one\n?libbpf: two\nend\n");
	heard(say_too_much, text, sizeof(text));
	assert_in_range(strlen(text), 2000, 2100);
	assert_memory_equal(text, "dora-probe: xxx", 15);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_own_task),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_directories_and_links),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests_name("base_task", tests, NULL, NULL);
}
