// SPDX-License-Identifier: MIT
/* Readers: what they may, and what those who ask them do when one does not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "sense/cpu_budget.h"
#include "sense/reader.h"
#include "sense/resident.h"

static struct dp_patience patience;

static struct dp_reader *ready(void)
{
	struct dp_reader *r = dp_reader_new(getpid(), &patience);
	struct dp_rec_stack s;

	assert_non_null(r);
	assert_int_equal(dp_reader_process(r), 0);
	patience.left_ns = 5 * SEC;
	assert_int_equal(dp_reader_stack(r, false, getpid(), &s), 0);
	assert_int_not_equal(dp_reader_process(r), 0);
	return r;
}

/* Asks for a stack, waiting 20 ms at most. */
static int ask(struct dp_reader *r)
{
	struct dp_rec_stack s;
	int err;

	patience.left_ns = DP_PATIENCE_NS;
	err = dp_reader_stack(r, false, getpid(), &s);
	assert_int_equal(s.status, err);
	return err;
}

static void test_answers(void **state)
{
	struct dp_reader *r = ready();
	struct dp_py *py = NULL;
	const char *sentence;
	char why[192];

	(void)state;
	/* This program is no Python, and says what it is instead. */
	patience.left_ns = 5 * SEC;
	assert_int_equal(dp_reader_open(r, &py, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "no CPython"));
	assert_null(py);
	assert_false(dp_reader_check(r, dp_now(), &sentence));
	dp_reader_free(r);
}

static void test_one_that_stops(void **state)
{
	struct dp_reader *r = ready();
	pid_t process = dp_reader_process(r);
	const char *sentence;
	uint64_t begin;

	(void)state;
	assert_int_equal(kill(process, SIGSTOP), 0);
	begin = dp_now();
	assert_int_equal(ask(r), -EINPROGRESS);
	assert_true(dp_now() - begin < SEC);
	/* Nobody waits for it again, and it is not given up on too early. */
	patience.left_ns = 5 * SEC;
	assert_int_equal(ask(r), -EINPROGRESS);
	assert_false(dp_reader_check(r, dp_now(), &sentence));
	assert_true(dp_reader_check(r, dp_now() + 2 * SEC, &sentence));
	assert_non_null(strstr(sentence, "has not come back for 1 s"));
	assert_false(dp_reader_check(r, dp_now() + 2 * SEC, &sentence));
	assert_int_equal(dp_reader_process(r), 0);
	/* It is waited for, however long it takes to die. */
	for (int i = 0; i < 5000 && kill(process, 0) == 0; i++) {
		poll(NULL, 0, 1);
		dp_reader_check(r, dp_now() + 2 * SEC, &sentence);
	}
	assert_int_equal(kill(process, 0), -1);
	assert_int_equal(ask(r), -EBUSY);
	dp_reader_free(r);
}

/* An answer that nobody waited for is there when the same is asked again, and no other's is. */
static void test_one_that_is_late(void **state)
{
	struct dp_reader *r = ready();
	const char *sentence;
	struct dp_rec_waits w;
	int err;

	(void)state;
	assert_int_equal(kill(dp_reader_process(r), SIGSTOP), 0);
	assert_int_equal(ask(r), -EINPROGRESS);
	dp_reader_want(r);
	assert_int_equal(dp_reader_waits(r, getpid(), &w), -EINPROGRESS);
	assert_int_equal(kill(dp_reader_process(r), SIGCONT), 0);
	/* Another question does not throw it away, and is not answered in its place. */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(dp_reader_waits(r, getpid(), &w), -EINPROGRESS);
		poll(NULL, 0, 1);
	}
	while ((err = ask(r)) == -EINPROGRESS)
		assert_false(dp_reader_check(r, dp_now(), &sentence));
	assert_int_equal(err, 0);
	dp_reader_free(r);
}

/*
 * What costs all the time that it is given is read less often: an eighth of a second of CPU time in one
 * second, a sixteenth in the next …, and it is told each time that it becomes less. Never not at all.
 */
static void test_budget(void **state)
{
	unsigned int told = 0;
	uint64_t cpu = 0;
	struct cpu_budget b;

	(void)state;
	cpu_budget_open(&b, SEC);
	for (uint64_t now = SEC; now < 61 * SEC; now += MS) {
		uint64_t second = (now - SEC) / SEC, before = cpu;
		bool less = false;

		if (!cpu_budget_is_spent(&b, now, cpu, &less))
			cpu += MS;
		told += less;
		if (now == 41 * SEC)
			assert_true(cpu <= 250 * MS + 40 * SEC / 8);
		if (second < 1 && cpu == before)
			assert_true(cpu >= 250 * MS);
	}
	assert_int_equal(told, 3);
	assert_true(cpu >= 250 * MS + 59 * SEC / 32);
	assert_true(cpu <= 250 * MS + 61 * SEC / 8);
	/* Left in peace until it is whole again, it is as at first. */
	for (uint64_t now = 61 * SEC; now < 71 * SEC; now += 10 * MS)
		cpu_budget_is_spent(&b, now, cpu, &(bool){false});
	assert_int_equal(b.thrift, 0);
	/* What has a budget of its own is not charged. */
	cpu += 10 * SEC;
	cpu_budget_skip(&b, cpu);
	assert_false(cpu_budget_is_spent(&b, 71 * SEC, cpu, &(bool){false}));
}

static void test_one_that_dies(void **state)
{
	struct dp_reader *r = ready();
	const char *sentence;
	siginfo_t end;

	(void)state;
	assert_int_equal(kill(dp_reader_process(r), SIGKILL), 0);
	/* A busy machine takes its time with that. It is left for the reader to collect. */
	assert_int_equal(waitid(P_PID, (id_t)dp_reader_process(r), &end, WEXITED | WNOWAIT), 0);
	assert_int_equal(ask(r), -EINPROGRESS);
	assert_true(dp_reader_check(r, dp_now(), &sentence));
	assert_non_null(strstr(sentence, "has ended"));
	dp_reader_free(r);
}

static unsigned int descriptors_of(pid_t pid)
{
	unsigned int count = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d)) != NULL;)
		count += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return count;
}

static uint64_t status_of(pid_t pid, const char *field, int base)
{
	uint64_t value = UINT64_MAX;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtoull(line + strlen(field), NULL, base);
	if (f)
		fclose(f);
	return value;
}

/* It reads what may be hostile: all that it has is what reading needs. */
static void test_rights(void **state)
{
	const uint64_t reading = 1ULL << 2 | 1ULL << 19 | 1ULL << 40;
	struct dp_reader *r = ready();
	pid_t pid = dp_reader_process(r);

	(void)state;
	assert_int_equal(status_of(pid, "CapEff:", 16) & ~reading, 0);
	assert_int_equal(status_of(pid, "CapPrm:", 16) & ~reading, 0);
	assert_int_equal(status_of(pid, "NoNewPrivs:", 10), 1);
	assert_int_equal(descriptors_of(pid), 3);
	dp_reader_free(r);
}

static void test_resident(void **state)
{
	(void)state;
	assert_true(dp_resident_start(getpid()));
	assert_false(dp_resident_start(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),          cmocka_unit_test(test_one_that_stops),
		cmocka_unit_test(test_one_that_dies),    cmocka_unit_test(test_rights),
		cmocka_unit_test(test_one_that_is_late), cmocka_unit_test(test_budget),
		cmocka_unit_test(test_resident),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
