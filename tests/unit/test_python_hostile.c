// SPDX-License-Identifier: MIT
/* A Python that lies: every answer must come in bounded time and bounded size. */
#include <sys/mman.h>

#include "python_liar.h"
#include "base/array.h"

static void believes_a_well_formed_one(void **state)
{
	pid_t pid = start_liar(NULL, 0);
	struct dp_rec_stack s;
	int rc;

	(void)state;
	ask_everything(pid, &s, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(s.status, 0);
	assert_int_equal(s.frame_count, 3);
	assert_string_equal(s.frames[2].function, "function");
	assert_string_equal(s.frames[2].file, "file.py");
	assert_int_equal(s.frames[2].line, 42);
	assert_int_equal(s.is_main, 1);
	end_liar(pid);
}

/* The free-threaded build puts `int enabled` before the other GIL words. */
static void free_threaded(struct objects *o, unsigned int seed)
{
	uint8_t *gil = o->interp + IS_GIL;

	put(runtime, 16, 1);
	put(runtime, 136, IS_GIL + 24);
	put(runtime, 144, IS_GIL + 16);
	put(gil, 0, seed); /* enabled */
	put(gil, 8, 5000);
	put(gil, 16, addr_of(o->tstate));
	put(gil, 24, seed != 0);
}

static void reads_free_threaded(void **state)
{
	struct dp_rec_look look = {0};
	struct dp_target t = {0};
	struct dp_py *p = NULL;
	char why[256];
	uint32_t tid;
	pid_t pid;

	(void)state;
	pid = start_liar(free_threaded, 0);
	assert_int_equal(dp_py_open(pid, &p, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "without a GIL"));
	assert_int_equal(dp_py_info(p)->free_threaded, 1);
	assert_int_equal(dp_py_info(p)->gil_enabled, 0);
	assert_int_equal(dp_py_fill_target(p, &t), 0);
	assert_int_equal(dp_py_look(p, 0, &look, &tid), -EINVAL);
	dp_py_close(p);
	end_liar(pid);

	pid = start_liar(free_threaded, INT32_MAX);
	assert_int_equal(dp_py_open(pid, &p, why, sizeof(why)), 0);
	assert_int_equal(dp_py_info(p)->gil_enabled, 1);
	assert_int_equal(dp_py_fill_target(p, &t), 1);
	assert_int_equal(t.gils[0].off_cond, 40);
	assert_int_equal(t.gils[0].interval_us, 5000);
	assert_int_equal(dp_py_look(p, 0, &look, &tid), 0);
	assert_int_equal(look.locked, 1);
	assert_int_equal(tid, pid);
	dp_py_close(p);
	end_liar(pid);
}

static void frame_ring(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->frame[2], FR_BACK, addr_of(o->frame[0]));
}

static void frame_of_itself_skipped(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->frame[0], FR_BACK, addr_of(o->frame[0]));
	o->frame[0][FR_OWNER] = 3;
}

static void thread_ring(struct objects *o, unsigned int seed)
{
	uint8_t *second = o->frame[40];

	(void)seed;
	memcpy(second, o->tstate, 168);
	put(second, TS_NATIVE, 0);
	put(second, TS_THREAD, 5);
	put(o->tstate, TS_NATIVE, 0);
	put(o->tstate, TS_THREAD, 6);
	put(o->tstate, TS_PREV, addr_of(second));
	put(o->tstate, TS_NEXT, addr_of(second));
	put(second, TS_PREV, addr_of(o->tstate));
	put(second, TS_NEXT, addr_of(o->tstate));
}

static void interpreter_ring(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->interp, IS_NEXT, addr_of(o->frame[10]));
	put(o->frame[10], IS_NEXT, addr_of(o->frame[20]));
	put(o->frame[20], IS_NEXT, addr_of(o->frame[10]));
}

static void endless_string(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->name, 16, INT64_MAX);
	put(o->file, 16, (1ull << 30) - 1);
}

static void endless_table(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->lines, 16, INT64_MAX);
	put(o->frame[0], FR_IP, addr_of(o->code) + CO_CODE + (1u << 27));
}

static void long_table(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->lines, 16, ARENA_LEN / 2);
	put(o->frame[0], FR_IP, addr_of(o->code) + CO_CODE + (1u << 27));
}

static void foreign_holder(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->tstate, TS_NATIVE, 1);
}

static void huge_offsets(struct objects *o, unsigned int seed)
{
	(void)o;
	put(runtime, 184 + seed % 3 * 8, UINT64_MAX - 16 * seed);
}

static void unmapped_pointers(struct objects *o, unsigned int seed)
{
	static const uint64_t bad[] = {1, 4096, UINT64_MAX - 7, 0xffff800000000000ull,
				       0x7ffffffff000ull};
	uint64_t v = bad[seed % 5];

	put(o->tstate, TS_FRAME, v);
	put(o->code, CO_NAME, v);
	put(o->interp, IS_NEXT, v);
	put(o->tstate, TS_NEXT, v);
}

static void new_version(struct objects *o, unsigned int seed)
{
	(void)o;
	put(runtime, 8, seed == 0 ? 0x031000f0u : seed == 1 ? 0x040000f0u : UINT64_MAX);
}

static void not_started(struct objects *o, unsigned int seed)
{
	(void)o;
	(void)seed;
	put(runtime, RT_HEAD, 0);
	put(runtime, RT_MAIN, 0);
}

static void no_gil_words(struct objects *o, unsigned int seed)
{
	(void)seed;
	put(o->interp, IS_GIL + 16, 17);
}

static void is_bounded(void **state)
{
	static const struct {
		const char *name;
		lie fn;
		unsigned int seeds;
		int open; /* 1: whatever */
	} cases[] = {
		{"frame ring", frame_ring, 1, 0},
		{"frame of itself, skipped", frame_of_itself_skipped, 1, 0},
		{"thread ring", thread_ring, 1, 1},
		{"interpreter ring", interpreter_ring, 1, 0},
		{"endless string", endless_string, 1, 0},
		{"endless table", endless_table, 1, 0},
		{"long table", long_table, 1, 0},
		{"foreign holder", foreign_holder, 1, 0},
		{"huge offsets", huge_offsets, 3, -ENOTSUP},
		{"unmapped pointers", unmapped_pointers, 5, 1},
		{"new version", new_version, 3, -ENOTSUP},
		{"not started", not_started, 1, -EAGAIN},
		{"no GIL words", no_gil_words, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++)
		for (unsigned int seed = 0; seed < cases[i].seeds; seed++) {
			pid_t pid = start_liar(cases[i].fn, seed);
			struct dp_rec_stack s;
			uint64_t took;
			int rc;

			took = ask_everything(pid, &s, &rc);
			if (cases[i].open != 1 && rc != cases[i].open)
				fail_msg("%s %u: open %d", cases[i].name, seed, rc);
			if (took > 500000000ull)
				fail_msg("%s %u: %lu ns", cases[i].name, seed, (unsigned long)took);
			if (cases[i].fn == foreign_holder)
				assert_int_equal(s.frame_count, 0);
			if (cases[i].fn == frame_ring) {
				assert_int_equal(s.frame_count, DP_FRAMES_MAX);
				assert_string_equal(s.frames[7].function, "function");
			}
			end_liar(pid);
		}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(believes_a_well_formed_one),
		cmocka_unit_test(reads_free_threaded),
		cmocka_unit_test(is_bounded),

	};

	liar_begin(argc, argv);
	return cmocka_run_group_tests_name("python_hostile", tests, NULL, NULL);
}
