/* SPDX-License-Identifier: MIT */
/*
 * A process that pretends to be CPython 3.13 and lies. The program is its own target: it has a
 * section .PyRuntime, the child fills it and the objects it points to with what a test wants, the
 * parent reads it from outside.
 */
#ifndef DORA_PROBE_PYTHON_LIAR_H
#define DORA_PROBE_PYTHON_LIAR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/array.h"
#include "python/internal.h"
#include "pythons.h"

#define RUNTIME_LEN 4096
#define ARENA_LEN   (1u << 20)
#define HEX         0x030d00f0u

/* Offsets of the pretended runtime: those of 3.13 where the reader has them fixed. */
enum {
	RT_HEAD = 632,
	RT_MAIN = 640,
	RT_MAIN_THREAD = 656,
	RT_MAIN_TSTATE = 664,
	IS_NEXT = 128,
	IS_THREADS = 136,
	IS_GIL_PTR = 16,
	IS_OWN = 24,
	IS_GIL = 512,
	TS_PREV = 0,
	TS_NEXT = 8,
	TS_INTERP = 16,
	TS_FRAME = 72,
	TS_THREAD = 152,
	TS_NATIVE = 160,
	FR_CODE = 0,
	FR_BACK = 8,
	FR_IP = 56,
	FR_OWNER = 70,
	CO_FIRST = 68,
	CO_FILE = 112,
	CO_NAME = 120,
	CO_QUAL = 128,
	CO_LINES = 136,
	CO_CODE = 200,
};

__attribute__((section(".PyRuntime"), aligned(16), used)) static uint8_t runtime[RUNTIME_LEN] = {1};

/* At a fixed distance in parent and child: mapped before the fork. */
static uint8_t *arena;

static inline uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static inline void put(uint8_t *base, size_t at, uint64_t v)
{
	memcpy(base + at, &v, sizeof(v));
}

struct objects {
	uint8_t *interp, *tstate, *frame[64], *code, *name, *file, *lines;
};

static inline uint8_t *take(size_t *used, size_t len)
{
	uint8_t *p = arena + *used;

	*used += (len + 63) & ~(size_t)63;
	return p;
}

static inline uint8_t *make_string(size_t *used, const char *s, uint64_t length)
{
	uint8_t *p = take(used, 64 + strlen(s) + 1);

	put(p, 16, length);
	put(p, 32, 1u << 2 | 1u << 5 | 1u << 6); /* one byte a character, compact, ASCII */
	memcpy(p + 40, s, strlen(s) + 1);
	return p;
}

/* A well-formed process: one interpreter, one thread that holds the GIL, three frames. */
static inline struct objects well_formed(void)
{
	static const uint16_t at[][2] = {
		{40, RT_HEAD},    {64, IS_NEXT},      {72, IS_THREADS},  {112, IS_GIL_PTR},
		{120, IS_GIL},    {136, IS_GIL + 16}, {144, IS_GIL + 8}, {160, TS_PREV},
		{168, TS_NEXT},   {176, TS_INTERP},   {184, TS_FRAME},   {192, TS_THREAD},
		{200, TS_NATIVE}, {232, FR_BACK},     {240, FR_CODE},    {248, FR_IP},
		{264, FR_OWNER},  {280, CO_FILE},     {288, CO_NAME},    {296, CO_QUAL},
		{304, CO_LINES},  {312, CO_FIRST},    {344, CO_CODE},    {360, 8},
		{520, 16},        {528, 32},          {544, 32},         {552, 16},
		{560, 40},
	};
	struct objects o = {0};
	size_t used = 64;
	uint8_t *gil;

	memset(runtime, 0, sizeof(runtime));
	memcpy(runtime, "xdebugpy", 8);
	put(runtime, 8, HEX);
	for (size_t i = 0; i < DP_COUNT_OF(at); i++)
		put(runtime, at[i][0], at[i][1]);
	o.interp = take(&used, 1024);
	o.tstate = take(&used, 512);
	o.code = take(&used, 512);
	for (int i = 0; i < 64; i++)
		o.frame[i] = take(&used, 128);
	o.name = make_string(&used, "function", 8);
	o.file = make_string(&used, "file.py", 7);
	o.lines = take(&used, 128);
	put(runtime, RT_HEAD, addr_of(o.interp));
	put(runtime, RT_MAIN, addr_of(o.interp));
	put(runtime, RT_MAIN_THREAD, 77);
	put(runtime, RT_MAIN_TSTATE, addr_of(o.tstate));
	gil = o.interp + IS_GIL;
	put(o.interp, IS_GIL_PTR, addr_of(gil));
	put(o.interp, IS_OWN, 1);
	put(o.interp, IS_THREADS, addr_of(o.tstate));
	put(gil, 0, 5000);
	put(gil, 8, addr_of(o.tstate));
	put(gil, 16, 1);
	put(o.tstate, TS_INTERP, addr_of(o.interp));
	put(o.tstate, TS_FRAME, addr_of(o.frame[0]));
	put(o.tstate, TS_THREAD, 77);
	put(o.tstate, TS_NATIVE, (uint64_t)getpid());
	for (int i = 0; i < 3; i++) {
		put(o.frame[i], FR_CODE, addr_of(o.code));
		put(o.frame[i], FR_IP, addr_of(o.code) + CO_CODE + 2);
		put(o.frame[i], FR_BACK, i < 2 ? addr_of(o.frame[i + 1]) : 0);
	}
	put(o.code, CO_FIRST, 41);
	put(o.code, CO_FILE, addr_of(o.file));
	put(o.code, CO_NAME, addr_of(o.name));
	put(o.code, CO_QUAL, addr_of(o.name));
	put(o.code, CO_LINES, addr_of(o.lines));
	put(o.lines, 16, 3);
	o.lines[32] = 0x80 | 11 << 3 | 7; /* the next line, eight units */
	return o;
}

typedef void (*lie)(struct objects *o, unsigned int seed);

static inline pid_t start_liar(lie lie_fn, unsigned int seed)
{
	int fd[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct objects o;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		o = well_formed();
		if (lie_fn)
			lie_fn(&o, seed);
		if (write(fd[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	return pid;
}

static inline void end_liar(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static inline void assert_sane(const struct dp_rec_stack *s)
{
	assert_true(s->frame_count <= DP_FRAMES_MAX);
	for (unsigned int i = 0; i < s->frame_count; i++) {
		assert_non_null(memchr(s->frames[i].function, 0, DP_FUNCTION_MAX));
		assert_non_null(memchr(s->frames[i].file, 0, DP_FILE_MAX));
		assert_true(s->frames[i].line >= 0);
	}
}

/* Everything that can be asked of a process; the CPU time it took, ns. */
static inline uint64_t ask_everything(pid_t pid, struct dp_rec_stack *s, int *ret_open)
{
	uint64_t before = cpu_ns();
	struct dp_target t = {0};
	struct dp_rec_look look = {0};
	struct dp_py *p = NULL;
	uint32_t tid = 0;
	char why[256], path[256];
	uint64_t offset;

	memset(s, 0, sizeof(*s));
	*ret_open = dp_py_open(pid, &p, why, sizeof(why));
	if (*ret_open == 0) {
		int n = dp_py_fill_target(p, &t);

		assert_true(n <= DP_MAX_GILS);
		for (int i = 0; i < n; i++) {
			dp_py_look(p, (unsigned int)i, &look, &tid);
			/* Only a thread of the process itself can ever be named. */
			assert_true(tid == 0 || tid == (uint32_t)pid);
		}
		dp_py_stack(p, pid, s);
		assert_sane(s);
		dp_py_signal_pending(p);
		dp_py_cond_signal_site(p, path, sizeof(path), &offset);
	} else {
		assert_null(p);
		assert_true(strlen(why) > 10);
	}
	dp_py_close(p);
	return cpu_ns() - before;
}

/* To be called first by main(): as "PROGRAM liar" it is a well-formed process and does not come back. */
static inline void liar_begin(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc != 2 || strcmp(argv[1], "liar") != 0)
		return;
	well_formed();
	puts("ready");
	for (;;)
		pause();
}

#endif
