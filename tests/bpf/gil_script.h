/* SPDX-License-Identifier: MIT */
/* What the tests on a real Python share: a script that takes commands and measures itself. */
#ifndef DORA_PROBE_GIL_SCRIPT_H
#define DORA_PROBE_GIL_SCRIPT_H

#include "bpf_test.h"

/*
 * Commands on standard input, answers in nanoseconds of CLOCK_MONOTONIC. `hold` sleeps with the GIL
 * held (PyDLL does not release it), `spin` computes in one C call, `spin_ms` does so for some
 * milliseconds as far as a first, shorter one foretells, `loop` releases it a thousand
 * times a second for a moment, `foreign` lets go of it by the code of another library than Python's.
 * `hold` answers with four times: begin and end of the call, before the GIL was taken for it, and after it was let go of.
 */
static const char script[] =
	"import ctypes, os, sys, threading, time\n"
	"now = time.monotonic_ns\n"
	"held = ctypes.PyDLL(None)\n"
	"held.usleep.argtypes = [ctypes.c_uint]\n"
	"zero = os.open('/dev/zero', os.O_RDONLY)\n"
	"def say(*a): sys.stdout.write(' '.join(map(str, a)) + '\\n'); sys.stdout.flush()\n"
	"say(1)\n"
	"for line in sys.stdin:\n"
	"    cmd, *args = line.split()\n"
	"    if cmd == 'hold':\n"
	"        b = now(); os.read(zero, 1); t = now(); held.usleep(int(args[0])); e = now()\n"
	"        os.read(zero, 1); a = now(); say(t, e, b, a)\n"
	"    elif cmd == 'spin':\n"
	"        n = int(args[0]); os.read(zero, 1); t = now(); sum(range(n)); e = now()\n"
	"        os.read(zero, 1); say(t, e)\n"
	"    elif cmd == 'spin_ms':\n"
	"        n = 100000; t = now(); sum(range(n)); e = now()\n"
	"        n = int(n * int(args[0]) * 1000000 / (e - t))\n"
	"        os.read(zero, 1); t = now(); sum(range(n)); e = now()\n"
	"        os.read(zero, 1); say(t, e)\n"
	"    elif cmd == 'loop':\n"
	"        end = now() + int(args[0]) * 1000000; n = 0; longest = 0\n"
	"        while True:\n"
	"            t = now()\n"
	"            if t >= end: break\n"
	"            sum(range(2000)); os.read(zero, 1); n += 1\n"
	"        say(n)\n"
	"    elif cmd == 'wait':\n"
	"        at = []\n"
	"        def waiter():\n"
	"            at.append(threading.get_native_id())\n"
	"            time.sleep(0.05); at.append(now())\n"
	"        th = threading.Thread(target=waiter); th.start(); time.sleep(0.02)\n"
	"        t = now(); held.usleep(int(args[0])); e = now(); th.join()\n"
	"        say(t, e, at[0], at[1], threading.get_native_id())\n"
	"    elif cmd == 'hogs':\n"
	"        end = now() + int(args[0]) * 1000000\n"
	"        def hog():\n"
	"            while now() < end: pass\n"
	"        th = [threading.Thread(target=hog) for _ in range(2)]\n"
	"        [x.start() for x in th]; [x.join() for x in th]; say(1)\n"
	"    elif cmd == 'foreign':\n"
	"        t = now(); ctypes.CDLL(None).usleep(1000); say(t, now())\n"
	"    elif cmd == 'tid':\n"
	"        say(threading.get_native_id())\n";

struct fixture {
	struct session *s;
	struct child c;
	struct dp_target t;
};

static inline void begin(struct fixture *f, void **state, const struct python *py)
{
	const char *argv[] = {py->path, "-u", "-c", script, NULL};
	uint64_t v[8];

	f->s = *state;
	child_start(&f->c, argv);
	child_numbers(&f->c, v);
	assert_int_equal(gil_of(f->c.pid, py->version, &f->t), 0);
	assert_int_equal(dp_bpf_watch(f->s->bpf, f->c.pid, &f->t), 0);
	f->s->used = 0;
}

static inline void end(struct fixture *f)
{
	child_end(&f->c);
	drain(f->s);
	dp_bpf_unwatch(f->s->bpf, f->c.pid);
}

static inline int tell(struct fixture *f, const char *command, uint64_t v[8])
{
	child_tell(&f->c, command);
	return child_numbers(&f->c, v);
}

/*
 * The target takes its own times in Python a little before or after what it tells of, so two times may
 * differ by what that takes: DP_TEST_SLOW=N says that this processor needs N times as long as a real one
 * (tests/kernels: an emulated one).
 */
static inline uint64_t on_this_machine(uint64_t ns)
{
	const char *slow = getenv("DP_TEST_SLOW");

	return slow ? ns * strtoul(slow, NULL, 10) : ns;
}

static inline void near(const char *what, uint64_t a, uint64_t b, uint64_t tolerance)
{
	uint64_t d = a > b ? a - b : b - a;

	tolerance = on_this_machine(tolerance);

	if (d > tolerance)
		fail_msg("%s: %llu is %llu us from %llu", what, (unsigned long long)a,
			 (unsigned long long)d / 1000, (unsigned long long)b);
}

/* The first that is found. */
static inline void any_python(struct python *ret)
{
	if (!pythons(ret, 1))
		skip_because("no CPython found");
}

static inline void on_each_python(void **state, void (*test)(struct fixture *f))
{
	struct python py[8];
	int n = pythons(py, 8);

	if (!n)
		skip_because("no CPython found");
	for (int i = 0; i < n; i++) {
		struct fixture f;

		print_message("    %s\n", py[i].path);
		begin(&f, state, &py[i]);
		test(&f);
		end(&f);
	}
}

#endif
