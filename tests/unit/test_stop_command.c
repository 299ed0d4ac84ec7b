// SPDX-License-Identifier: MIT
/* `dora stop` on a command line, and the duration syntax that goes with it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/units.h"
#include "dora/stop_command.h"

#define UUID "019a8f3e-1111-7222-8333-944455556666"

/* As dora 0.5.0's own parser takes or rejects them (tried with `dora stop --grace-duration`). */
static void durations_as_dora_reads_them(void **state)
{
	static const struct {
		const char *text;
		int ret;
		uint64_t ns;
	} rows[] = {
		{"5s", 0, 5 * SEC},
		{"500ms", 0, 500 * MS},
		{"1m30s", 0, 90 * SEC},
		{"1m 30s", 0, 90 * SEC},
		{"1m+30s", 0, 90 * SEC},
		{"1m + 30s", 0, 90 * SEC},
		{"2min", 0, 120 * SEC},
		{"1h", 0, 3600 * SEC},
		{"1H", 0, 3600 * SEC},
		{"100us", 0, 100000},
		{"3\xc2\xb5s", 0, 3000},
		{"2seconds", 0, 2 * SEC},
		{"1second", 0, SEC},
		{"1d", 0, 86400 * SEC},
		{"5ms5s", 0, 5005 * MS},
		{"0s", 0, 0},
		{"", -EINVAL, 0},
		{"5", 0, 5 * SEC}, /* 1.1.0; 0.5.0 refuses it */
		{"1m30", 0, 90 * SEC},
		{"5 5", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"5x", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"-5s", -EINVAL, 0},
		{"+5s", -EINVAL, 0},
		{" 5s", -EINVAL, 0},
		{"5s+", -EINVAL, 0},
		{"5s ", -EINVAL, 0},
		{"5sss", -EINVAL, 0},
		{"18446744073709551616s", -ERANGE, 0},
		{"18446744073709551615s", -ERANGE, 0},
		{"18446744073s18446744073s", -ERANGE, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		uint64_t ns = 77;
		int ret = dp_dora_duration(rows[i].text, &ns);

		if (ret != rows[i].ret || ns != (ret ? 77 : rows[i].ns))
			fail_msg("'%s': %d, %llu", rows[i].text, ret, (unsigned long long)ns);
	}
}

/* Arguments separated by '|'. */
static int parse(const char *row, struct dp_rec_command *ret)
{
	char line[512];
	size_t len = strlen(row) + 1, i;

	assert_true(len <= sizeof(line));
	memcpy(line, row, len);
	for (i = 0; i < len; i++)
		if (line[i] == '|')
			line[i] = '\0';
	return dp_stop_command_parse(line, len, ret);
}

static void command_lines(void **state)
{
	static const struct {
		const char *row;
		int ret;
		uint64_t grace;
		int force;
		const char *target;
	} rows[] = {
		{"dora|stop", 0, 0, 0, ""},
		{"/opt/bin/dora|stop|" UUID, 0, 0, 0, UUID},
		{"dora|stop|" UUID "|--grace-duration|5s", 0, 5 * SEC, 0, UUID},
		{"dora|stop|--grace-duration|500ms|" UUID, 0, 500 * MS, 0, UUID},
		{"dora|stop|--grace-duration=2s|--name=plot", 0, 2 * SEC, 0, "plot"},
		{"dora|stop|--name|plot|-f", 0, 0, 1, "plot"},
		{"dora|stop|-n|plot", 0, 0, 0, "plot"},
		{"dora|stop|-nplot", 0, 0, 0, "plot"},
		{"dora|stop|-fn|plot", 0, 0, 1, "plot"},
		{"dora|stop|--force|--all", 0, 0, 1, ""},
		{"dora|stop|--coordinator-addr|10.0.0.1|--coordinator-port|6012|plot", 0, 0, 0,
		 "plot"},
		{"dora|stop|--|--force", 0, 0, 0, "--force"},
		/* The wheel's script. */
		{"/v/bin/python3|/v/bin/dora|stop|" UUID "|--grace-duration|1m30s", 0, 90 * SEC, 0,
		 UUID},
		{"python3.11|-I|-u|/v/bin/dora|stop", 0, 0, 0, ""},
		{"/usr/bin/python|/v/bin/dora|stop|plot", 0, 0, 0, "plot"},
		/* Given, but not understood: as if not given. */
		{"dora|stop|--grace-duration|1s*2|plot", 0, 0, 0, "plot"},
		{"dora|stop|--grace-duration|99999999999999999999s", 0, 0, 0, ""},
		/* Printed, so printable; bounded. */
		{"dora|stop|a\x1b[2Jb\nc", 0, 0, 0, "a?[2Jb?c"},
		{"dora|stop|"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		 0, 0, 0, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
		/* dora itself would reject these. */
		{"dora|stop|--grace-duration", -EBADMSG, 0, 0, NULL},
		{"dora|stop|-n", -EBADMSG, 0, 0, NULL},
		/* Something else. */
		{"dora|start|stop", -ENOENT, 0, 0, NULL},
		{"dora", -ENOENT, 0, 0, NULL},
		{"dora|stop|--help", -ENOENT, 0, 0, NULL},
		{"notdora|stop", -ENOENT, 0, 0, NULL},
		{"dora-probe|stop", -ENOENT, 0, 0, NULL},
		{"grep|dora|stop", -ENOENT, 0, 0, NULL},
		{"sh|-c|dora stop", -ENOENT, 0, 0, NULL},
		{"python3|-c|dora|stop", -ENOENT, 0, 0, NULL},
		{"python3|-m|dora|stop", -ENOENT, 0, 0, NULL},
		{"pythonista|/v/bin/dora|stop", -ENOENT, 0, 0, NULL},
		{"python3", -ENOENT, 0, 0, NULL},
		{"python3|-u", -ENOENT, 0, 0, NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_rec_command c;
		int ret;

		memset(&c, 0xee, sizeof(c));
		c.uid = 1000;
		ret = parse(rows[i].row, &c);
		if (ret != rows[i].ret)
			fail_msg("'%s': %d", rows[i].row, ret);
		assert_int_equal(c.uid, 1000);
		if (ret) {
			assert_int_equal(c.force, 0xee); /* untouched */
			continue;
		}
		if (c.grace_ns != rows[i].grace || c.force != rows[i].force ||
		    strcmp(c.dataflow, rows[i].target) != 0)
			fail_msg("'%s': grace %llu, force %d, target '%s'", rows[i].row,
				 (unsigned long long)c.grace_ns, c.force, c.dataflow);
	}
}

/* The other commands that end nodes, as `dora … --help` of 1.1.0 lists them. */
static void commands_that_end_nodes(void **state)
{
	static const struct {
		const char *row;
		int ret;
		enum dp_dora_command verb;
		uint64_t grace;
		int force;
		const char *dataflow, *node;
	} rows[] = {
		{"dora|stop|plot", 0, DP_DORA_STOP, 0, 0, "plot", ""},
		{"dora|restart|plot|--grace-duration|3s", 0, DP_DORA_RESTART, 3 * SEC, 0, "plot",
		 ""},
		{"dora|restart|-n|plot|-f", 0, DP_DORA_RESTART, 0, 1, "plot", ""},
		{"dora|cluster|restart|plot", 0, DP_DORA_RESTART, 0, 0, "plot", ""},
		{"dora|destroy", 0, DP_DORA_DESTROY, 0, 0, "", ""},
		{"dora|down|--force", 0, DP_DORA_DESTROY, 0, 1, "", ""},
		{"dora|cluster|down", 0, DP_DORA_DESTROY, 0, 0, "", ""},
		{"dora|node|restart|cam", 0, DP_DORA_NODE_RESTART, 0, 0, "", "cam"},
		{"python3|/v/bin/dora|node|restart|cam|--grace|20s", 0, DP_DORA_NODE_RESTART,
		 20 * SEC, 0, "", "cam"},
		{"dora|node|stop|--grace=2s|-d|plot|cam", 0, DP_DORA_NODE_STOP, 2 * SEC, 0, "plot",
		 "cam"},
		{"dora|node|stop|-dplot|cam", 0, DP_DORA_NODE_STOP, 0, 0, "plot", "cam"},
		{"dora|node|stop|-d=plot|cam", 0, DP_DORA_NODE_STOP, 0, 0, "plot", "cam"},
		{"dora|node|remove|--dataflow|" UUID "|cam|--grace|1m", 0, DP_DORA_NODE_REMOVE,
		 60 * SEC, 0, UUID, "cam"},
		{"dora|node|replace|-d|" UUID "|cam|--from-yaml|new.yml|--grace|20s", 0,
		 DP_DORA_NODE_REPLACE, 20 * SEC, 0, UUID, "cam"},
		/* No grace at all is a grace too, and not the same as none given. */
		{"dora|node|stop|cam|--grace|0s", 0, DP_DORA_NODE_STOP, 1, 0, "", "cam"},
		/* Each has its own name of the option. */
		{"dora|node|stop|cam|--grace-duration=2s", 0, DP_DORA_NODE_STOP, 0, 0, "", "cam"},
		{"dora|stop|plot|--grace=2s", 0, DP_DORA_STOP, 0, 0, "plot", ""},
		/* Rejected by dora, or nothing that ends a node. */
		{"dora|node|stop", -EBADMSG, 0, 0, 0, NULL, NULL},
		{"dora|node|stop|cam|--grace", -EBADMSG, 0, 0, 0, NULL, NULL},
		{"dora|node", -ENOENT, 0, 0, 0, NULL, NULL},
		{"dora|node|list", -ENOENT, 0, 0, 0, NULL, NULL},
		{"dora|node|add|--from-yaml|new.yml", -ENOENT, 0, 0, 0, NULL, NULL},
		{"dora|cluster|status", -ENOENT, 0, 0, 0, NULL, NULL},
		{"dora|node|restart|--help", -ENOENT, 0, 0, 0, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_rec_command c = {.started_ns = 77};
		int ret = parse(rows[i].row, &c);

		if (ret != rows[i].ret)
			fail_msg("'%s': %d", rows[i].row, ret);
		assert_true(c.started_ns == 77);
		if (ret)
			continue;
		if (c.verb != rows[i].verb || c.grace_ns != rows[i].grace ||
		    c.force != rows[i].force || strcmp(c.dataflow, rows[i].dataflow) != 0 ||
		    strcmp(c.node, rows[i].node) != 0)
			fail_msg("'%s': verb %u, grace %llu, force %u, dataflow '%s', node '%s'",
				 rows[i].row, c.verb, (unsigned long long)c.grace_ns, c.force,
				 c.dataflow, c.node);
	}
}

static void hostile_command_lines_are_bounded(void **state)
{
	static char line[DP_STOP_CMDLINE_MAX + 16];
	static const char wheel[] = "python3\0/v/bin/dora\0stop\0--grace-duration\0005s\0-fn\0plot";
	struct dp_rec_command c = {0};
	size_t i;

	(void)state;
	/* Not ended by NUL, empty, too long, too many arguments. */
	assert_int_equal(dp_stop_command_parse("dora\0stop", 9, &c), -ENOENT);
	assert_int_equal(dp_stop_command_parse("", 0, &c), -ENOENT);
	memset(line, 0, sizeof(line));
	memcpy(line, "dora\0stop", 10);
	assert_int_equal(dp_stop_command_parse(line, sizeof(line), &c), -ENOENT);
	assert_int_equal(dp_stop_command_parse(line, 200, &c), -ENOENT);
	/* Every cut of a valid one is either taken or refused, within its length. */
	memcpy(line, wheel, sizeof(wheel));
	for (i = 0; i <= sizeof(wheel); i++) {
		char *exact = malloc(i ? i : 1);

		assert_non_null(exact);
		memcpy(exact, line, i);
		dp_stop_command_parse(exact, i, &c);
		free(exact);
	}
}

static void only_root_and_the_daemons_user_are_believed(void **state)
{
	(void)state;
	assert_true(dp_stop_command_accepted(0, 1000));
	assert_true(dp_stop_command_accepted(1000, 1000));
	assert_false(dp_stop_command_accepted(1001, 1000));
	assert_false(dp_stop_command_accepted(1000, 0));
}

static void write_file(const char *dir, const char *name, const char *text, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void read_from_proc(void **state)
{
	static const char line[] = "dora\0stop\0plot\0--grace-duration\0003s";
	static const char status[] = "Name:\tevil\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\n";
	char dir[] = "/tmp/dp_stop_XXXXXX", sub[64], path[128];
	struct dp_rec_command c = {.uid = 5};

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sub, sizeof(sub), "%s/77", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(dp_stop_command_read(dir, 77, &c), -ESRCH);
	write_file(sub, "cmdline", line, sizeof(line));
	assert_int_equal(dp_stop_command_read(dir, 77, &c), -ESRCH); /* left in between */
	write_file(sub, "status", status, sizeof(status) - 1);
	assert_int_equal(dp_stop_command_read(dir, 77, &c), 0);
	assert_int_equal(c.uid, 1001);
	assert_true(c.grace_ns == 3 * SEC);
	assert_string_equal(c.dataflow, "plot");
	write_file(sub, "status", "Uid:\n", 5);
	assert_int_equal(dp_stop_command_read(dir, 77, &c), -EBADMSG);
	write_file(sub, "cmdline", "", 0); /* a kernel thread, or a zombie */
	assert_int_equal(dp_stop_command_read(dir, 77, &c), -ENOENT);
	snprintf(path, sizeof(path), "%s/cmdline", sub);
	unlink(path);
	snprintf(path, sizeof(path), "%s/status", sub);
	unlink(path);
	rmdir(sub);
	rmdir(dir);
}

/*
 * The real thing: a program called dora, looked at while it waits for its input. Its having read
 * one line is how it says that the exec is over.
 */
static void read_from_a_real_process(void **state)
{
	char dir[] = "/tmp/dp_stop_XXXXXX", dora[64], b;
	struct dp_rec_command c;
	int in[2], out[2];
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(dora, sizeof(dora), "%s/dora", dir);
	assert_int_equal(symlink("/bin/sh", dora), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	/* As "dora stop": sh takes `stop` for a script in its directory. */
	write_file(dir, "stop", "echo x; read line\n", 18);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (chdir(dir) || dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
			_exit(1);
		execl(dora, dora, "stop", "--grace-duration", "4s", "-f", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(read(out[0], &b, 1), 1);
	assert_int_equal(dp_stop_command_read(NULL, pid, &c), 0);
	assert_int_equal(c.uid, geteuid());
	assert_int_equal(c.force, 1);
	assert_true(c.grace_ns == 4 * SEC);
	assert_int_equal(write(in[1], "\n", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(dp_stop_command_read(NULL, pid, &c), -ESRCH);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	unlink(dora);
	snprintf(dora, sizeof(dora), "%s/stop", dir);
	unlink(dora);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_as_dora_reads_them),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(commands_that_end_nodes),
		cmocka_unit_test(hostile_command_lines_are_bounded),
		cmocka_unit_test(only_root_and_the_daemons_user_are_believed),
		cmocka_unit_test(read_from_proc),
		cmocka_unit_test(read_from_a_real_process),
	};

	return cmocka_run_group_tests_name("stop_command", tests, NULL, NULL);
}
