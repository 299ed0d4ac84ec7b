// SPDX-License-Identifier: MIT
/*
 * Whom a thread waits for, read out of real CPythons whose threads do. They really hang: each is
 * killed by its test, and by an alarm of its own should that fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/array.h"
#include "python/internal.h"
#include "pythons.h"

static struct pythons all;

/*
 * ARGV[1] names the scenario. Calls of `L` keep the GIL; `C` are addresses of C functions, for
 * threads that never want it.
 */
static const char script[] =
	"import ctypes, os, signal, sys, threading, time\n"
	"signal.alarm(60)\n"
	"L, F = ctypes.PyDLL(None), ctypes.CDLL(None)\n"
	"def say(): os.write(1, b'%d\\n' % threading.get_native_id())\n"
	"def thread(f, a=None):\n"
	"    t = ctypes.c_void_p()\n"
	"    assert L.pthread_create(ctypes.byref(t), None, f, a) == 0\n"
	"    return t\n"
	"@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)\n"
	"def wants_gil(_): pass\n"
	"def sleeper(): return thread(F.sleep, ctypes.c_void_p(600))\n"
	"def s_join_gil():\n"
	"    sys.setswitchinterval(100)  # the GIL stays here from the start of the thread on\n"
	"    say(); L.pthread_join(thread(wants_gil), None)\n"
	"def s_join_sleep(): t = sleeper(); say(); L.pthread_join(t, None)\n"
	"def s_join_sem():\n"
	"    s = ctypes.create_string_buffer(64); L.sem_init(s, 0, 0)\n"
	"    t = thread(F.sem_wait, ctypes.byref(s)); say(); L.pthread_join(t, None)\n"
	"def s_mutex_gil():\n"
	"    m, go = ctypes.create_string_buffer(64), threading.Event()\n"
	"    def owner(): L.pthread_mutex_lock(m); go.set(); time.sleep(0.3)\n"
	"    threading.Thread(target=owner, daemon=True).start()\n"
	"    go.wait(); say(); L.pthread_mutex_lock(m)\n"
	"def s_mutex_sleep():\n"
	"    m, go = ctypes.create_string_buffer(64), threading.Event()\n"
	"    def owner(): L.pthread_mutex_lock(m); go.set(); F.sleep(600)\n"
	"    threading.Thread(target=owner, daemon=True).start()\n"
	"    go.wait(); say(); L.pthread_mutex_lock(m)\n"
	"def s_sem(): s = ctypes.create_string_buffer(64); L.sem_init(s, 0, 0); say(); L.sem_wait(s)\n"
	"def s_sem_shared():\n"
	"    import mmap; b = mmap.mmap(-1, 4096); s = ctypes.c_char.from_buffer(b)\n"
	"    L.sem_init(ctypes.byref(s), 1, 0); say(); L.sem_wait(ctypes.byref(s))\n"
	"def s_sem_pshared():\n"
	"    s = ctypes.create_string_buffer(64); L.sem_init(s, 1, 0); say(); L.sem_wait(s)\n"
	"def s_sleep(): say(); L.sleep(600)\n"
	"def s_read(): r, w = os.pipe(); say(); L.read(r, ctypes.create_string_buffer(1), 1)\n"
	"def s_child(): p = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60'); say(); L.waitpid(p, None, 0)\n"
	"def s_names():\n"
	"    def f(): say(); time.sleep(600)\n"
	"    class Mine(threading.Thread): pass\n"
	"    for cls, name in ((threading.Thread, 'worker-3'), (Mine, 'a name that is longer than thirty'),\n"
	"                      (Mine, 'Größe'), (threading.Thread, None)):\n"
	"        t = cls(target=f, name=name, daemon=True); t.extra = 1\n"
	"        if name == 'Größe': t.__dict__\n"
	"        t.start(); time.sleep(0.2)\n"
	"    thread(nameless); time.sleep(0.2)\n"
	"    threading.current_thread().name = 'chief'; say(); time.sleep(600)\n"
	"@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)\n"
	"def nameless(_): say(); F.sleep(600)\n"
	"def s_collects():\n"
	"    import gc; gc.disable(); keep = [[] for _ in range(500000)]; say()\n"
	"    while True: gc.collect()\n"
	"def s_collects_not():\n"
	"    say()\n"
	"    while True: sum(range(100000))\n"
	"def s_no_threading():\n"
	"    import subprocess\n"
	"    os.execv(sys.executable, [sys.executable, '-S', '-E', '-c',\n"
	"             'import os; os.write(1, b\"%d\\\\n\" % os.getpid()); import time; time.sleep(60)'])\n"
	"def s_dora():\n"
	"    import types\n"
	"    m = sys.modules['dora'] = types.ModuleType('dora'); m.Node = type(iter([]))\n"
	"    say(); print(ctypes.c_uint64.from_address(id(m.Node) + 224).value, flush=True)\n"
	"    time.sleep(600)\n"
	"globals()['s_' + sys.argv[1]]()\n";

struct target {
	struct child c;
	struct dp_py *py;
	pid_t tid; /* of the thread that waits */
};

static struct target start_scenario(const struct python *py, const char *scenario)
{
	char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c",
			(char *)(uintptr_t)script, (char *)(uintptr_t)scenario, NULL};
	struct target t = {.c = start(argv, false)};
	uint64_t until = now_ns() + DEADLINE_NS;
	char line[64], why[256] = "";
	int rc;

	assert_non_null(t.c.out);
	if (!fgets(line, sizeof(line), t.c.out))
		fail_msg("%s: %s said nothing", py->version, scenario);
	t.tid = (pid_t)atoi(line);
	while ((rc = dp_py_open(t.c.pid, &t.py, why, sizeof(why))) == -EAGAIN && now_ns() < until)
		short_pause();
	if (rc != 0)
		fail_msg("%s: %s: %d %s", py->version, scenario, rc, why);
	return t;
}

static void end_scenario(struct target *t)
{
	dp_py_close(t->py);
	stop(&t->c);
}

/* What the thread waits for, and what the one waits for that it waits for. */
struct want {
	const char *scenario;
	uint8_t first, second; /* enum dp_wait; UNKNOWN: there is no second */
	bool forever;
};

static bool is_so(const struct dp_rec_waits *r, const struct want *w)
{
	if (r->status != 0 || r->link_count == 0 || r->links[0].waits != w->first ||
	    r->links[0].forever != w->forever)
		return false;
	if (w->second == DP_WAIT_UNKNOWN)
		return r->owned == 1 && r->links[0].for_tid == 0;
	return r->owned == 2 && r->links[0].for_tid == r->links[1].tid &&
	       r->links[1].waits == w->second;
}

/* Reads until it is so: the target is on its way there. */
static void check(const struct python *py, const struct want *w)
{
	struct target t = start_scenario(py, w->scenario);
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_rec_waits r;

	do {
		dp_py_waits(t.py, t.tid, &r);
		if (is_so(&r, w))
			break;
		short_pause();
	} while (now_ns() < until);
	if (!is_so(&r, w))
		fail_msg(
			"%s: %s: status %d, %u links, %u owned, waits %s forever %u for %u, then %s",
			py->version, w->scenario, r.status, r.link_count, r.owned,
			dp_wait_name(r.links[0].waits), r.links[0].forever, r.links[0].for_tid,
			dp_wait_name(r.links[1].waits));
	assert_int_equal(r.links[0].tid, t.tid);
	assert_true(r.links[0].line > 0);
	assert_string_equal(r.links[0].file, "<string>");
	assert_int_equal(r.threads, r.looked_at);
	end_scenario(&t);
}

static void test_waits(void **state)
{
	static const struct want wants[] = {
		{"join_gil", DP_WAIT_THREAD, DP_WAIT_GIL, true},
		{"join_sleep", DP_WAIT_THREAD, DP_WAIT_SLEEP, true},
		{"join_sem", DP_WAIT_THREAD, DP_WAIT_FUTEX, true},
		{"mutex_gil", DP_WAIT_MUTEX, DP_WAIT_GIL, true},
		{"mutex_sleep", DP_WAIT_MUTEX, DP_WAIT_SLEEP, true},
		{"sem", DP_WAIT_FUTEX, DP_WAIT_UNKNOWN, true},
		{"sem_shared", DP_WAIT_SHARED, DP_WAIT_UNKNOWN, true},
		/* Its flags let others in, its memory does not. */
		{"sem_pshared", DP_WAIT_FUTEX, DP_WAIT_UNKNOWN, true},
		{"sleep", DP_WAIT_SLEEP, DP_WAIT_UNKNOWN, false},
		{"read", DP_WAIT_IO, DP_WAIT_UNKNOWN, false},
		{"child", DP_WAIT_CHILD, DP_WAIT_UNKNOWN, false},
	};

	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++)
		for (size_t i = 0; py->minor >= 8 && i < DP_COUNT_OF(wants); i++)
			check(py, &wants[i]);
}

/* The names of threads by Python's own table, whatever shape the Thread objects have. */
static void test_thread_names(void **state)
{
	static const char *const names[] = {
		"worker-3", "...e that is longer than thirty", "Größe", "Thread-1", "", "chief"};

	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		struct target t;
		struct dp_rec_stack s;
		char line[64];

		if (py->minor < 8)
			continue;
		t = start_scenario(py, "names");
		for (size_t i = 0; i < DP_COUNT_OF(names); i++) {
			if (i > 0) {
				assert_non_null(fgets(line, sizeof(line), t.c.out));
				t.tid = (pid_t)atoi(line);
			}
			assert_int_equal(dp_py_stack(t.py, t.tid, &s), 0);
			/* From 3.10 on a name that is made up has the function's too. */
			if (strncmp(s.thread, names[i], strlen(names[i])) != 0 ||
			    (names[i][0] == '\0' && s.thread[0] != '\0'))
				fail_msg("%s: thread %zu is called '%s', not '%s'", py->version, i,
					 s.thread, names[i]);
		}
		end_scenario(&t);
	}
}

/* Where the type's code is that gives the next item; without dora there is none. */
static void test_dora_calls(void **state)
{
	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		struct dp_dora_calls calls;
		struct target t;
		char line[64];
		uint64_t code;

		if (py->minor < 8)
			continue;
		t = start_scenario(py, "dora");
		assert_non_null(fgets(line, sizeof(line), t.c.out));
		code = strtoull(line, NULL, 10);
		assert_int_equal(dp_py_dora_calls(t.py, &calls), 0);
		assert_int_equal(calls.count, 1);
		assert_true(calls.code.from <= code && code < calls.code.to);
		assert_int_equal(access(calls.path, R_OK), 0);
		assert_true(calls.offset[0] != 0);
		end_scenario(&t);
		t = start_scenario(py, "names");
		assert_int_equal(dp_py_dora_calls(t.py, &calls), -ENOENT);
		end_scenario(&t);
	}
}

static void test_main_thread_without_threading(void **state)
{
	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		struct dp_rec_stack s;
		struct target t;

		if (py->minor < 8)
			continue;
		t = start_scenario(py, "no_threading");
		assert_int_equal(dp_py_stack(t.py, t.tid, &s), 0);
		assert_string_equal(s.thread, "MainThread");
		end_scenario(&t);
	}
}

/* The collector's flag is seen while it runs, and not beside it. */
static void test_garbage_collection(void **state)
{
	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		uint64_t until = now_ns() + DEADLINE_NS;
		struct dp_rec_stack s;
		struct target t;

		if (py->minor < 8)
			continue;
		t = start_scenario(py, "collects");
		do {
			dp_py_stack(t.py, t.tid, &s);
		} while (!s.collecting && now_ns() < until);
		if (!s.collecting)
			fail_msg("%s: never seen to collect", py->version);
		end_scenario(&t);
		t = start_scenario(py, "collects_not");
		for (int i = 0; i < 200; i++) {
			dp_py_stack(t.py, t.tid, &s);
			assert_int_equal(s.collecting, 0);
		}
		end_scenario(&t);
	}
}

static void test_a_thread_that_is_not_there(void **state)
{
	struct dp_rec_waits r;

	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		struct target t;

		if (py->minor < 8)
			continue;
		t = start_scenario(py, "sleep");
		assert_int_equal(dp_py_waits(t.py, getpid(), &r), -ESRCH);
		assert_int_equal(r.status, -ESRCH);
		assert_int_equal(r.link_count, 0);
		end_scenario(&t);
		break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_thread_names),
		cmocka_unit_test(test_dora_calls),
		cmocka_unit_test(test_main_thread_without_threading),
		cmocka_unit_test(test_garbage_collection),
		cmocka_unit_test(test_a_thread_that_is_not_there),
	};

	alarm(300);
	pythons_find(&all);
	if (all.count == 0) {
		printf("SKIP: no CPython here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
