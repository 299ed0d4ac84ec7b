// SPDX-License-Identifier: MIT
/* Which of the processes with one configuration is the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "dora_probe/names.h"
#include "sense/roles.h"

enum { C = 1, P = 2, D = 4, W = 8 }; /* connected, python, dora mapped, waits for a child */

struct row {
	const char *what;
	struct {
		pid_t pid, above;
		unsigned int is;
		const char *role; /* expected */
	} m[5];
	bool proven;
};

/* Members in the order of their start. */
static const struct row rows[] = {
	{"a node alone, connected", {{10, 0, C | P | D, "node"}}, true},
	{"a node alone, importing", {{10, 0, P, "node"}}, false},
	{"a node in Rust that has not connected", {{10, 0, 0, "node"}}, false},
	{"a shell that waits for its Python", {{10, 0, W, "wrapper"}, {11, 10, P, "node"}}, false},
	{"uv, which waits in its own way", {{10, 0, 0, "wrapper"}, {11, 10, P, "node"}}, false},
	{"launcher, shell, node",
	 {{10, 0, P | W, "wrapper"}, {11, 10, W, "wrapper"}, {12, 11, P, "node"}},
	 false},
	{"the same, connected: a launcher that computes is none the more the node",
	 {{10, 0, P | D, "wrapper"}, {11, 10, 0, "wrapper"}, {12, 11, C | P | D, "node"}},
	 true},
	{"a node that waits for a program which is no Python",
	 {{10, 0, P | W, "node"}, {11, 10, 0, "helper"}},
	 false},
	{"a node that has imported dora and waits for a Python",
	 {{10, 0, P | D | W, "node"}, {11, 10, P, "helper"}},
	 false},
	{"a node with a helper that imports dora too",
	 {{10, 0, P | D, "node"}, {11, 10, P | D, "helper"}},
	 false},
	{"a launcher that has not imported dora, a node that has",
	 {{10, 0, P, "wrapper"}, {11, 10, P | D, "node"}},
	 false},
	{"helpers of a connected node, one below the other",
	 {{10, 0, C | P | D, "node"}, {11, 10, W, "helper"}, {12, 11, P | D, "helper"}},
	 true},
	{"a launcher that the node has left behind by a double fork",
	 {{10, 0, P, "wrapper"}, {12, 0, C | P | D, "node"}},
	 true},
	{"a helper whose parent has left",
	 {{10, 0, C | P | D, "node"}, {12, 0, P, "helper"}},
	 true},
	{"a shell that waits for what is no Python",
	 {{10, 0, W, "wrapper"}, {11, 10, 0, "node"}},
	 false},
	{"a line of four, the node at its end, and its helper",
	 {{10, 0, 0, "wrapper"},
	  {11, 10, P | W, "wrapper"},
	  {12, 11, W, "wrapper"},
	  {13, 12, C | P | D, "node"},
	  {14, 13, 0, "helper"}},
	 true},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_member m[5] = {0}, back[5];
		size_t n = 0;

		for (; n < 5 && rows[i].m[n].pid; n++)
			m[n] = (struct dp_member){
				.pid = rows[i].m[n].pid,
				.above = rows[i].m[n].above,
				.start_time = 100 + n,
				.connected = rows[i].m[n].is & C,
				.python = (rows[i].m[n].is & P) != 0,
				.dora = (rows[i].m[n].is & D) != 0,
				.waits = (rows[i].m[n].is & W) != 0,
			};
		/* The order in which they are found must not matter. */
		for (size_t j = 0; j < n; j++)
			back[j] = m[n - 1 - j];
		dp_roles_decide(m, n);
		dp_roles_decide(back, n);
		for (size_t j = 0; j < n; j++) {
			if (strcmp(dp_member_name(m[j].role), rows[i].m[j].role) != 0 ||
			    back[n - 1 - j].role != m[j].role || m[j].proven != rows[i].proven)
				fail_msg("%s: member %zu is %s (%s from behind), want %s",
					 rows[i].what, j, dp_member_name(m[j].role),
					 dp_member_name(back[n - 1 - j].role), rows[i].m[j].role);
		}
	}
}

/* A /proc that lies: who is above whom goes in a circle. */
static void test_circle(void **state)
{
	struct dp_member m[2] = {{.pid = 1, .above = 2, .start_time = 1, .waits = true},
				 {.pid = 2, .above = 1, .start_time = 2, .waits = true}};

	(void)state;
	dp_roles_decide(m, 2);
	assert_int_equal((m[0].role == DP_MEMBER_NODE) + (m[1].role == DP_MEMBER_NODE), 1);
	dp_roles_decide(m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_circle),
	};

	return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
