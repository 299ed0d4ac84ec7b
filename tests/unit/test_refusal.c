// SPDX-License-Identifier: MIT
/* What is read out of libbpf's messages when the kernel refuses a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "sense/refusal.h"

/* The shape of Linux 6.1's and 5.10's log under libbpf 1.1: the reason, then figures. */
static void test_reason(void **state)
{
	static const char *const messages[] = {
		"libbpf: map 'events': created successfully, fd=4\n",
		"libbpf: prog 'dp_socket_exit': BPF program load failed: Permission denied\n",
		"libbpf: prog 'dp_socket_exit': -- BEGIN PROG LOAD LOG --\n"
		"0: R1=ctx(off=0,imm=0) R10=fp0\n"
		"81: (85) call bpf_probe_read_user#112\n"
		"R2 min value is negative, either use unsigned or 'var &= const'\n"
		"processed 1342 insns (limit 1000000) max_states_per_insn 4 total_states 78 "
		"peak_states 78 mark_read 21\n"
		"-- END PROG LOAD LOG --\n",
		"libbpf: prog 'dp_socket_exit': failed to load: -13\n",
		"libbpf: failed to load object 'dora_probe_bpf'\n",
	};
	struct dp_refusal r = {0};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(messages); i++)
		dp_refusal_read(&r, messages[i]);
	assert_string_equal(r.program, "dp_socket_exit");
	assert_string_equal(r.said,
			    "R2 min value is negative, either use unsigned or 'var &= const'");
}

/* Logs with nothing but figures, without an end, with control bytes, of other programs. */
static void test_odd_logs(void **state)
{
	static const struct {
		const char *log, *want;
	} rows[] = {
		{"libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\nprocessed 0 insns (limit 1)\n"
		 "-- END PROG LOAD LOG --\n",
		 ""},
		{"libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\nfirst\nunknown func bpf_loop#181",
		 "unknown func bpf_loop#181"},
		{"libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\nred \033[31m\n\n"
		 "stack depth 64\n-- END PROG LOAD LOG --\n",
		 "red ?[31m"},
		{"libbpf: prog 'b': -- BEGIN PROG LOAD LOG --\nother\n-- END PROG LOAD LOG --\n",
		 ""},
		{"libbpf: prog 'a", ""},
		{"libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_refusal r = {0};

		dp_refusal_read(&r, "libbpf: prog 'a': BPF program load failed: -22\n");
		dp_refusal_read(&r, rows[i].log);
		assert_string_equal(r.program, "a");
		assert_string_equal(r.said, rows[i].want);
	}
}

static void test_long_line(void **state)
{
	static char message[4096] = "libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\n";
	struct dp_refusal r = {0};
	size_t len = strlen(message);

	(void)state;
	memset(message + len, 'x', sizeof(message) - 1 - len);
	dp_refusal_read(&r, "libbpf: prog 'a': BPF program load failed: -22\n");
	dp_refusal_read(&r, message);
	assert_int_equal(strlen(r.said), sizeof(r.said) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_odd_logs),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
