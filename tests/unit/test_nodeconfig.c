// SPDX-License-Identifier: MIT
/* The node configuration as real daemons write it (golden/node-config-*.yml), and hostile YAML. */
#include <arpa/inet.h>
#include <errno.h>

#include "base/array.h"
#include "base/utf8.h"
#include "dora/nodeconfig.h"
#include "nodeconfig_support.h"

static char *slurp(const char *name, size_t *ret_len)
{
	char *text = malloc(65536);
	FILE *f = golden_open(name);

	assert_non_null(text);
	*ret_len = fread(text, 1, 65535, f);
	text[*ret_len] = '\0';
	fclose(f);
	return text;
}

/* Parses exactly these bytes, on the heap. */
static int parse_n(const char *s, size_t n, struct dp_node_config *c)
{
	char *exact = malloc(n ? n : 1);
	int err;

	memcpy(exact, s, n);
	err = dp_node_config_parse(exact, n, c);
	free(exact);
	return err;
}

static int parse(const char *s, struct dp_node_config *c)
{
	memset(c, 0x5a, sizeof(*c));
	return parse_n(s, strlen(s), c);
}

/* Names of 70 bytes that differ in the last: apart, and as the same name is read from an option. */
static void test_long_names(void **state)
{
	static const char form[] = "dataflow_id: 01a2075b-dfe4-70df-b169-f1330a67871a\n"
				   "node_id: %s%c\n"
				   "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:4000\n";
	char name[70], text[512];
	struct dp_node_config a, b;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), form, name, '1');
	assert_int_equal(parse(text, &a), 0);
	snprintf(text, sizeof(text), form, name, '2');
	assert_int_equal(parse(text, &b), 0);
	assert_string_not_equal(a.node, b.node);
	assert_int_equal(strlen(a.node), sizeof(a.node) - 1);
	snprintf(text, sizeof(text), "%s1", name);
	dp_utf8_name(name, sizeof(a.node), text, strlen(text));
	assert_string_equal(a.node, name);
}

static void test_real(void **state)
{
	static const struct {
		const char *file, *dataflow, *path;
		enum dp_transport transport;
		uint16_t family, port;
	} cases[] = {
		{"node-config-tcp-0.3.12.yml", "01a2075b-dfe4-70df-b169-f1330a67871a", "",
		 DP_TRANSPORT_TCP, AF_INET, 44617},
		{"node-config-tcp-0.5.0.yml", "01a2075b-f17c-7d05-8278-b6e8d785fc9c", "",
		 DP_TRANSPORT_TCP, AF_INET, 35377},
		{"node-config-tcp-1.1.0.yml", "01a2075b-f7ea-7956-974d-155c59728039", "",
		 DP_TRANSPORT_TCP, AF_INET, 34033},
		{"node-config-unix-0.3.12.yml", "01a2075b-e5b9-7798-ae3a-e4a4e1692aa4",
		 "/tmp/01a2075b-e5b9-7798-ae3a-e4a4e1692aa4/recv-1.sock", DP_TRANSPORT_UNIX,
		 AF_UNIX, 0},
		{"node-config-shmem-0.4.1.yml", "01a2075b-ebbf-79cb-8a07-b9ec39d59c65", "",
		 DP_TRANSPORT_SHMEM, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++) {
		struct dp_node_config c, cut;
		size_t n;
		char *text = slurp(cases[i].file, &n);

		assert_int_equal(parse_n(text, n, &c), 0);
		assert_string_equal(c.dataflow, cases[i].dataflow);
		assert_string_equal(c.node, "recv-1");
		assert_string_equal(c.dataflow_name, "");
		assert_int_equal(c.transport, cases[i].transport);
		assert_int_equal(c.family, cases[i].family);
		assert_int_equal(c.port, cases[i].port);
		assert_string_equal(c.socket_path, cases[i].path);
		assert_int_equal(c.dynamic, 0);
		if (cases[i].family == AF_INET)
			assert_memory_equal(c.addr, "\x7f\0\0\1", 4);
		/* Cut anywhere: either refused, or nothing else than what the whole says. */
		for (size_t len = 0; len < n; len++) {
			memset(&cut, 0x5a, sizeof(cut));
			if (parse_n(text, len, &cut) == 0) {
				assert_string_equal(cut.dataflow, c.dataflow);
				assert_memory_equal(cut.node, c.node, strlen(cut.node));
			} else {
				assert_int_equal(cut.family, 0x5a5a); /* untouched */
			}
		}
		free(text);
	}
}

static void test_forms(void **state)
{
	struct dp_node_config c;

	(void)state;
	/* quoted, in another order, IPv6, named dataflow, dynamic */
	assert_int_equal(parse("dynamic: true\ndataflow_descriptor: {name: \"my flow\", "
			       "nodes: [{id: other, node_id: wrong}]}\n"
			       "daemon_communication: !Tcp {socket_addr: \"[::1]:65535\"}\n"
			       "node_id: \"re'cv: #1\"\ndataflow_id: '" UUID "'\n",
			       &c),
			 0);
	assert_string_equal(c.node, "re'cv: #1");
	assert_string_equal(c.dataflow, UUID);
	assert_string_equal(c.dataflow_name, "my flow");
	assert_int_equal(c.family, AF_INET6);
	assert_int_equal(c.port, 65535);
	assert_int_equal(c.addr[15], 1);
	assert_int_equal(c.dynamic, 1);
	/* the variant as a key */
	assert_int_equal(parse("dataflow_id: " UUID "\nnode_id: n\ndaemon_communication:\n  Tcp:\n"
			       "    socket_addr: 127.0.0.1:1\n",
			       &c),
			 0);
	assert_int_equal(c.transport, DP_TRANSPORT_TCP);
	assert_int_equal(c.port, 1);
	/* none, or one of a later dora */
	assert_int_equal(
		parse("dataflow_id: " UUID "\nnode_id: n\ndaemon_communication: null\n", &c), 0);
	assert_int_equal(c.transport, DP_TRANSPORT_UNKNOWN);
	assert_int_equal(
		parse("dataflow_id: " UUID "\nnode_id: n\ndaemon_communication: Interactive\n", &c),
		0);
	assert_int_equal(c.transport, DP_TRANSPORT_UNKNOWN);
	assert_int_equal(parse("dataflow_id: " UUID "\nnode_id: n\ndaemon_communication: !Quic\n"
			       "  socket_addr: 127.0.0.1:1\n",
			       &c),
			 0);
	assert_int_equal(c.transport, DP_TRANSPORT_UNKNOWN);
	assert_int_equal(c.port, 0);
	/* an operator runtime */
	assert_int_equal(parse("node:\n  dataflow_id: " UUID "\n  node_id: rt\n"
			       "  daemon_communication: !Tcp\n    socket_addr: 127.0.0.1:7\n"
			       "operators:\n- id: op\n  node_id: wrong\n",
			       &c),
			 0);
	assert_string_equal(c.node, "rt");
	assert_int_equal(c.port, 7);
	/* aliases are no values; control characters do not get out */
	assert_int_equal(parse("dataflow_id: " UUID "\nnode_id: \"a\\e[2J\\nb\"\n"
			       "x: &a [1]\ny: *a\n? *a\n: *a\n? [k]\n: node_id\n",
			       &c),
			 0);
	assert_string_equal(c.node, "a?[2J?b");
	assert_int_equal(parse("x: &a evil\ndataflow_id: " UUID "\nnode_id: *a\n", &c), -EBADMSG);
}

/* The watchdogs of the node's own entry, wherever it stands among the others. */
static void test_watchdogs(void **state)
{
	static const char head[] = "dataflow_id: " UUID "\nnode_id: cam\ndataflow_descriptor:\n";
	static const struct {
		const char *rest;
		uint64_t health, startup, finish; /* ms */
	} rows[] = {
		{"  nodes:\n  - id: cam\n    health_check_timeout: 3.0\n", 3000, 0, 0},
		{"  nodes:\n  - id: a\n    startup_timeout: 9\n  - startup_timeout: 2.5\n    id: cam\n"
		 "    finish_grace_secs: 0.25\n  - id: b\n    health_check_timeout: 7\n",
		 0, 2500, 250},
		/* null, quoted null, nonsense, negative, huge, with an exponent */
		{"  nodes: [{id: cam, health_check_timeout: null, startup_timeout: ~}]\n", 0, 0, 0},
		{"  nodes: [{id: cam, health_check_timeout: x, startup_timeout: -3}]\n", 0, 0, 0},
		{"  nodes: [{id: cam, health_check_timeout: 999999999999, startup_timeout: 3.}]\n",
		 0, 3000, 0},
		{"  nodes: [{id: cam, health_check_timeout: .5, startup_timeout: 1e3}]\n", 0, 0, 0},
		/* not of the entry itself, not in the sequence, of no entry */
		{"  nodes: [{id: cam, env: {health_check_timeout: 3, id: b}}]\n", 0, 0, 0},
		{"  nodes: {id: cam, health_check_timeout: 3}\n", 0, 0, 0},
		{"  health_check_timeout: 3\n  nodes: [[{id: cam, startup_timeout: 3}]]\n", 0, 0,
		 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_node_config c;
		char text[512];

		snprintf(text, sizeof(text), "%s%s", head, rows[i].rest);
		if (parse(text, &c) || c.health_ns != rows[i].health * 1000000 ||
		    c.startup_ns != rows[i].startup * 1000000 ||
		    c.finish_ns != rows[i].finish * 1000000)
			fail_msg("%s: %llu %llu %llu", rows[i].rest,
				 (unsigned long long)c.health_ns, (unsigned long long)c.startup_ns,
				 (unsigned long long)c.finish_ns);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"hello",
		"- a\n- b\n",
		"dataflow_id: " UUID "\n",
		"node_id: n\n",
		"dataflow_id: " UUID "\nnode_id: null\n",
		"dataflow_id: " UUID "0\nnode_id: n\n",
		"dataflow_id: nonsense\nnode_id: n\n",
		"dataflow_id: [" UUID "]\nnode_id: n\n",
		"x:\n  dataflow_id: " UUID "\n  node_id: n\n",
		"dataflow_id: " UUID "\nnode_id: n\ndaemon_communication: !Tcp {}\n",
		"dataflow_id: " UUID "\nnode_id: n\ndaemon_communication: !UnixDomain {}\n",
		"dataflow_id: " UUID "\nnode_id: \"unclosed\n",
		"dataflow_id: " UUID "\nnode_id: n\n\x01\x02",
	};
	static const char *const addrs[] = {
		"127.0.0.1",    "127.0.0.1:",   ":5",           "127.0.0.1:0", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:1x", "localhost:1", "127.0.0.1:000001",
		"[::1:5",       "::1:5x",       "[]:5",         "1.2.3.4.5:6", "[127.0.0.1]:5"};
	struct dp_node_config c;
	char text[512];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(bad); i++)
		if (parse(bad[i], &c) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	for (size_t i = 0; i < DP_COUNT_OF(addrs); i++) {
		snprintf(text, sizeof(text),
			 "dataflow_id: " UUID "\nnode_id: n\n"
			 "daemon_communication: !Tcp {socket_addr: '%s'}\n",
			 addrs[i]);
		if (parse(text, &c) != -EBADMSG)
			fail_msg("accepted address: %s", addrs[i]);
	}
	/* a path that no socket address holds */
	snprintf(text, sizeof(text),
		 "dataflow_id: " UUID "\nnode_id: n\n"
		 "daemon_communication: !UnixDomain {socket_file: /%0108d}\n",
		 0);
	assert_int_equal(parse(text, &c), -EBADMSG);
}

/* Nesting, aliases and size have limits; libyaml itself is kept from going quadratic. */
static void test_limits(void **state)
{
	static char big[1200000];
	struct dp_node_config c;
	size_t n;

	(void)state;
	memset(big, '[', sizeof(big));
	assert_int_equal(parse_n(big, 1000000, &c), -EBADMSG);
	memset(big, '{', sizeof(big));
	assert_int_equal(parse_n(big, 1000000, &c), -EBADMSG);
	memset(big, ' ', sizeof(big));
	n = (size_t)sprintf(big, "dataflow_id: " UUID "\nnode_id: n\n");
	memset(big + n, '\n', sizeof(big) - n);
	assert_int_equal(parse_n(big, 1024 * 1024, &c), 0);
	assert_int_equal(parse_n(big, 1024 * 1024 + 1, &c), -EBADMSG);
	/* many small values */
	for (; n + 2 < 1024 * 1024; n += 2)
		memcpy(big + n, "-\n", 2);
	assert_int_equal(parse_n(big, n, &c), -EBADMSG);
	/* an alias bomb is not followed */
	n = (size_t)sprintf(big, "a: &a [x,x]\n");
	for (int k = 'b'; k < 'z'; k++)
		n += (size_t)sprintf(big + n, "%c: &%c [*%c,*%c]\n", k, k, k - 1, k - 1);
	n += (size_t)sprintf(big + n, "dataflow_id: " UUID "\nnode_id: n\n");
	assert_int_equal(parse_n(big, n, &c), 0);
	n = (size_t)sprintf(big, "a: &a x\nb: [*a");
	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(big + n, ",*a");
	n += (size_t)sprintf(big + n, "]\ndataflow_id: " UUID "\nnode_id: n\n");
	assert_int_equal(parse_n(big, n, &c), -EBADMSG);
	/* a long id is cut, not refused */
	n = (size_t)sprintf(big, "dataflow_id: " UUID "\nnode_id: %0300d\n", 0);
	assert_int_equal(parse_n(big, n, &c), 0);
	assert_int_equal(strlen(c.node), DP_ID_MAX - 1);
}

static void test_garbage(void **state)
{
	static const char pieces[][12] = {"dataflow_id", "node_id", ": ",   "\n",  "  ", "!Tcp",
					  "&a",          "*a",      "[",    "]",   "{",  "}",
					  "|\n",         "\"",      "'",    "- ",  "? ", "node:\n",
					  "%YAML",       "---\n",   "\xff", "...", "#",  "0:1"};
	struct dp_node_config c;
	uint64_t seed = 11;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[600];
		size_t n = 0;

		for (unsigned int k = next_random(&seed) % 40; k; k--) {
			const char *p = pieces[next_random(&seed) % 24];

			memcpy(text + n, p, strlen(p));
			n += strlen(p);
		}
		(void)parse_n(text, n, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),       cmocka_unit_test(test_forms),
		cmocka_unit_test(test_bad),        cmocka_unit_test(test_limits),
		cmocka_unit_test(test_watchdogs),  cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
