// SPDX-License-Identifier: MIT
/* The systemd unit, the manual page and the hints name the rights of rights.h, no more, no less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "dora_probe/rights.h"
#include "sense/privileges.h"
#include "skipping.h"

/* A file of the tree; the tests run in its root. */
static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 18);

	if (!f || !text)
		fail_msg("%s cannot be read", path);
	if (fread(text, 1, (1 << 18) - 1, f) == 0)
		fail_msg("%s is empty", path);
	fclose(f);
	return text;
}

/* Takes the next capability of the text: its bit, -1 at the end. */
static int next_capability(const char **text)
{
	const char *p = strstr(*text, "CAP_");
	char name[32];
	cap_value_t bit;
	size_t len;

	if (!p)
		return -1;
	len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	assert_true(len < sizeof(name));
	memcpy(name, p, len);
	name[len] = '\0';
	*text = p + len;
	if (cap_from_name(name, &bit) != 0)
		fail_msg("%s is no capability", name);
	return bit;
}

static uint64_t capabilities(const char *text)
{
	uint64_t set = 0;

	for (int bit; (bit = next_capability(&text)) >= 0;)
		set |= 1ULL << bit;
	return set;
}

static uint64_t listed(bool all)
{
	uint64_t set = 0;

	for (size_t i = 0; i < dp_rights_count; i++)
		if (all || dp_rights[i].when == DP_RIGHT_WATCH)
			set |= 1ULL << dp_rights[i].bit;
	return set;
}

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < dp_rights_count; i++) {
		cap_value_t bit = -1;

		assert_int_equal(cap_from_name(dp_rights[i].name, &bit), 0);
		assert_int_equal(bit, dp_rights[i].bit);
		assert_true(*dp_rights[i].without);
	}
}

static void test_unit_file(void **state)
{
	char *unit = read_file("agent/dist/dora-probe.service");
	char *line = strstr(unit, "\nCapabilityBoundingSet=");

	(void)state;
	assert_non_null(line);
	line[1 + strcspn(line + 1, "\n")] = '\0';
	assert_int_equal(capabilities(line), listed(false));
	/* A second line would add to the first. */
	assert_null(strstr(line + strlen(line) + 1, "\nCapabilityBoundingSet="));
	assert_null(strstr(line + strlen(line) + 1, "\nAmbientCapabilities="));
	/* Sockets are looked up by netlink, in the namespace of the node, and peeked at through pidfd_getfd. */
	line += strlen(line) + 1;
	assert_non_null(
		strstr(line, "\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"));
	assert_non_null(strstr(line, "\nRestrictNamespaces=net\n"));
	assert_non_null(strstr(line, " pidfd_getfd "));
	free(unit);
}

static void test_manual_page(void **state)
{
	char *page = read_file("agent/dist/dora-probe.8");
	char *section = strstr(page, ".SH CAPABILITIES"), *end;

	(void)state;
	assert_non_null(section);
	end = strstr(section + 1, ".SH ");
	assert_non_null(end);
	*end = '\0';
	assert_int_equal(capabilities(section), listed(true));
	free(page);
}

static void test_hints(void **state)
{
	char set[DP_RIGHTS_TEXT], add[DP_RIGHTS_TEXT];
	unsigned int all = 1u << DP_RIGHT_WATCH | 1u << DP_RIGHT_SIGNAL | 1u << DP_RIGHT_USER;
	cap_t caps;

	(void)state;
	dp_rights_setcap(all, set, sizeof(set));
	/* libcap reads it as setcap would. */
	caps = cap_from_text(set);
	assert_non_null(caps);
	for (size_t i = 0; i < dp_rights_count; i++) {
		cap_flag_value_t on = CAP_CLEAR;

		assert_int_equal(cap_get_flag(caps, dp_rights[i].bit, CAP_PERMITTED, &on), 0);
		assert_int_equal(on, CAP_SET);
	}
	cap_free(caps);
	dp_rights_container(1u << DP_RIGHT_WATCH, add, sizeof(add));
	assert_non_null(strstr(add, "--cap-add=SYS_ADMIN "));
	assert_null(strstr(add, "KILL"));
	dp_rights_setcap(1u << DP_RIGHT_WATCH, set, sizeof(set));
	assert_null(strstr(set, "cap_kill"));
}

/* In a process with the rights of a watch, but `other` in the place of CAP_DAC_READ_SEARCH: 0 or what was wrong. */
static int keeps_reading(cap_value_t other, bool enough)
{
	const struct dp_privileges none = {.may_signal = false};
	cap_t caps = cap_init();

	for (size_t i = 0; i < dp_rights_count; i++) {
		cap_value_t bit = dp_rights[i].bit;

		if (dp_rights[i].when != DP_RIGHT_WATCH)
			continue;
		if (bit == CAP_DAC_READ_SEARCH)
			bit = other;
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &bit, CAP_SET) < 0 ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &bit, CAP_SET) < 0)
			return 1;
	}
	if (cap_set_proc(caps) < 0)
		return 2;
	if (!dp_privileges_lacking() != enough)
		return 3;
	if (dp_privileges_drop(&none) < 0)
		return 4;
	caps = cap_get_proc();
	if (dp_privileges_has(caps, CAP_DAC_OVERRIDE) != (other == CAP_DAC_OVERRIDE))
		return 5;
	return dp_privileges_has(caps, CAP_DAC_READ_SEARCH) == (other == CAP_DAC_READ_SEARCH) ? 0
											      : 6;
}

/* What stands in for a right is enough to begin, and is still there when the other rights have been given up. */
static void test_stand_in(void **state)
{
	static const struct {
		cap_value_t other;
		bool enough;
	} cases[] = {{CAP_DAC_READ_SEARCH, true}, {CAP_DAC_OVERRIDE, true}, {CAP_CHOWN, false}};

	(void)state;
	if (geteuid() != 0)
		skip_because("only root has rights to give up");
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(keeps_reading(cases[i].other, cases[i].enough));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* How often a word stands in a text. */
static unsigned int times(const char *text, const char *word)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
		n++;
	return n;
}

/* Three ways of starting a container, each with all of the rights. */
static void test_containers(void **state)
{
	char *page = read_file("docs/containers.md"), add[DP_RIGHTS_TEXT];

	(void)state;
	dp_rights_container(1u << DP_RIGHT_WATCH, add, sizeof(add));
	assert_non_null(strstr(page, add));
	for (size_t i = 0; i < dp_rights_count; i++) {
		const char *name = dp_rights[i].name + strlen("CAP_");

		if (dp_rights[i].when == DP_RIGHT_WATCH)
			assert_true(times(page, name) >= 3);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),    cmocka_unit_test(test_unit_file),
		cmocka_unit_test(test_containers), cmocka_unit_test(test_manual_page),
		cmocka_unit_test(test_hints),      cmocka_unit_test(test_stand_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
