/* SPDX-License-Identifier: MIT */
/* Which node a real CPython says that it is, by objects that look as dora's Node does in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/array.h"
#include "python/internal.h"
#include "pythons.h"

static struct pythons all;

/* ARGV[1] names the scenario. A node has a String (capacity, address, length) and a UUID, as words between others. */
static const char script[] =
	"import ctypes, os, signal, sys, threading, time, types\n"
	"signal.alarm(60)\n"
	"kept = []\n"
	"class Node: __slots__ = tuple('abcdefghijklmnop')\n"
	"sys.modules['dora'] = types.ModuleType('dora'); sys.modules['dora'].Node = Node\n"
	"ID = '01a21ca1-2bcd-7e68-8fbe-7a04467d150a'\n"
	"def words(name, uuid=ID, times=1):\n"
	"    b = ctypes.create_string_buffer(name.encode()); kept.append(b); n = len(b.value)\n"
	"    u = bytes.fromhex(uuid.replace('-', ''))\n"
	"    return ([7] + [n + 3, ctypes.addressof(b), n] * times + [0, 1] +\n"
	"            [int.from_bytes(u[:8], 'little'), int.from_bytes(u[8:], 'little')])\n"
	"def node(w):\n"
	"    n = Node(); kept.append(n); assert len(w) <= 16\n"
	"    for i, v in enumerate(w): ctypes.c_uint64.from_address(id(n) + 16 + 8 * i).value = v\n"
	"    ctypes.c_int64.from_address(id(n)).value = 1 << 29; return n\n"
	"def wait(): os.write(1, b'.\\n'); time.sleep(600)\n"
	"def s_global(): global here; here = node(words('camera')); hide(); wait()\n"
	"def hide(): globals()['kept'] = id(kept)\n"
	"def s_local(): n = node(words('camera')); keep = kept; hide(); wait(); del n, keep\n"
	"def s_attribute():\n"
	"    class Robot:\n"
	"        def __init__(self): self.speed = 1; self.node = node(words('camera')); self.name = 'x'\n"
	"        def run(self): hide(); wait()\n"
	"    keep = kept; Robot().run(); del keep\n"
	"def s_thread():\n"
	"    def run(n): hide(); wait()\n"
	"    threading.Thread(target=run, args=(node(words('camera')),), daemon=True).start(); time.sleep(600)\n"
	"def s_often(): b = node(words('camera', times=2) + words('?')[1:4]); hide(); wait(); del b\n"
	"def s_two(): a = node(words('camera')); b = node(words('plotter')); hide(); wait(); del a, b\n"
	"def s_two_names(): b = node(words('camera') + words('plotter')[1:4]); hide(); wait(); del b\n"
	"def s_no_uuid(): b = node(words('camera', '01a21ca1-2bcd-3e68-8fbe-7a04467d150a')); hide(); wait(); del b\n"
	"def s_no_name(): b = node(words('a/b')); hide(); wait(); del b\n"
	"def s_far(): b = node([7, 9, 8, 6] + words('camera')[4:]); hide(); wait(); del b\n"
	"def s_none(): wait()\n"
	"def s_no_dora(): del sys.modules['dora']; b = node(words('camera')); hide(); wait(); del b\n"
	"globals()['s_' + sys.argv[1]]()\n";

struct want {
	const char *scenario;
	int result;
};

static void check(const struct python *py, const struct want *w)
{
	char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c",
			(char *)(uintptr_t)script, (char *)(uintptr_t)w->scenario, NULL};
	struct child c = start(argv, false);
	uint64_t until = now_ns() + DEADLINE_NS;
	char line[64], why[256] = "";
	struct dp_dora_node node = {.node = ""};
	struct dp_py *p;
	int rc;

	assert_non_null(c.out);
	if (!fgets(line, sizeof(line), c.out))
		fail_msg("%s: %s said nothing", py->version, w->scenario);
	while ((rc = dp_py_open(c.pid, &p, why, sizeof(why))) == -EAGAIN && now_ns() < until)
		short_pause();
	if (rc != 0)
		fail_msg("%s: %s: %d %s", py->version, w->scenario, rc, why);
	rc = dp_py_dora_node(p, &node);
	if (rc != w->result)
		fail_msg("%s: %s: %d, '%s'", py->version, w->scenario, rc, node.node);
	if (rc == 0) {
		assert_string_equal(node.node, "camera");
		assert_string_equal(node.dataflow, "01a21ca1-2bcd-7e68-8fbe-7a04467d150a");
	} else {
		assert_string_equal(node.node, "");
	}
	dp_py_close(p);
	stop(&c);
}

static void test_node(void **state)
{
	static const struct want wants[] = {
		{"global", 0},          {"local", 0},         {"attribute", 0},
		{"thread", 0},          {"often", 0},         {"two", -ENOENT},
		{"two_names", -ENOENT}, {"no_uuid", -ENOENT}, {"no_name", -ENOENT},
		{"far", -ENOENT},       {"none", -ENOENT},    {"no_dora", -ENOENT},
	};

	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++)
		for (size_t i = 0; py->minor >= 8 && i < DP_COUNT_OF(wants); i++)
			check(py, &wants[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node),
	};

	alarm(300);
	pythons_find(&all);
	if (all.count == 0) {
		printf("SKIP: no CPython here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
