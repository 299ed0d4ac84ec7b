/* SPDX-License-Identifier: MIT */
/*
 * A process that pretends to be CPython 3.13 and lies. This program is its own target: it has a
 * section .PyRuntime, the child fills it and the objects it points to with what a test wants, the
 * parent reads it from outside. Every answer must come in bounded time and bounded size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "python/eval_loop.h"
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

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void put(uint8_t *base, size_t at, uint64_t v)
{
	memcpy(base + at, &v, sizeof(v));
}

struct objects {
	uint8_t *interp, *tstate, *frame[64], *code, *name, *file, *lines;
};

static uint8_t *take(size_t *used, size_t len)
{
	uint8_t *p = arena + *used;

	*used += (len + 63) & ~(size_t)63;
	return p;
}

static uint8_t *make_string(size_t *used, const char *s, uint64_t length)
{
	uint8_t *p = take(used, 64 + strlen(s) + 1);

	put(p, 16, length);
	put(p, 32, 1u << 2 | 1u << 5 | 1u << 6); /* one byte a character, compact, ASCII */
	memcpy(p + 40, s, strlen(s) + 1);
	return p;
}

/* A well-formed process: one interpreter, one thread that holds the GIL, three frames. */
static struct objects well_formed(void)
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
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
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

static pid_t start_liar(lie lie_fn, unsigned int seed)
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

static void end_liar(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void assert_sane(const struct dp_rec_stack *s)
{
	assert_true(s->frame_count <= DP_FRAMES_MAX);
	for (unsigned int i = 0; i < s->frame_count; i++) {
		assert_non_null(memchr(s->frames[i].function, 0, DP_FUNCTION_MAX));
		assert_non_null(memchr(s->frames[i].file, 0, DP_FILE_MAX));
		assert_true(s->frames[i].line >= 0);
	}
}

/* Everything that can be asked of a process; the CPU time it took, ns. */
static uint64_t ask_everything(pid_t pid, struct dp_rec_stack *s, int *ret_open)
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

/* Without exports and without section headers 3.13+ is still found by what its memory says. */
static void finds_a_runtime_without_sections(void **state)
{
	static uint8_t image[4u << 20];
	char dir[] = "/tmp/dp-hostile-XXXXXX", path[64], why[256];
	char *argv[] = {path, (char *)(uintptr_t) "liar", NULL};
	Elf64_Ehdr *eh = (Elf64_Ehdr *)(void *)image;
	int fd = open("/proc/self/exe", O_RDONLY), rc;
	ssize_t len = read(fd, image, sizeof(image));
	struct dp_rec_stack s;
	struct dp_py *p = NULL;
	struct child c;
	char line[32];

	(void)state;
	close(fd);
	assert_true(len > 10000 && len < (ssize_t)sizeof(image));
	eh->e_shoff = 0;
	eh->e_shnum = 0;
	eh->e_shstrndx = 0;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/app", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_int_equal(write(fd, image, (size_t)len), len);
	close(fd);
	c = start(argv, false);
	assert_non_null(fgets(line, sizeof(line), c.out));
	unlink(path);
	rmdir(dir);
	rc = dp_py_open(c.pid, &p, why, sizeof(why));
	if (rc != 0)
		fail_msg("%d %s", rc, why);
	assert_int_equal(dp_py_stack(p, c.pid, &s), 0);
	assert_int_equal(s.frame_count, 3);
	dp_py_close(p);
	stop(&c);
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
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

/* Random words everywhere but where the reader must start: pointers to anything, sizes of anything.
 */
static void scramble(struct objects *o, unsigned int seed)
{
	uint8_t *const object[] = {o->tstate, o->code,  o->frame[0], o->frame[1],
				   o->name,   o->lines, o->interp};
	unsigned int state = seed * 2654435761u + 1;

	for (unsigned int i = 0; i < 1 + seed % 12; i++) {
		uint8_t *base;
		uint64_t v;

		state = state * 1664525u + 1013904223u;
		base = object[(state >> 16) % 7];
		v = (state >> 8) % 4 == 0   ? state * 0x9e3779b97f4a7c15ull
		    : (state >> 8) % 4 == 1 ? addr_of(arena) + state % ARENA_LEN
		    : (state >> 8) % 4 == 2 ? addr_of(object[(state >> 20) % 7])
					    : state % 70000;
		state = state * 1664525u + 1013904223u;
		put(base, (state >> 16) % 25 * 8, v);
	}
}

static void survives_scrambled_memory(void **state)
{
	unsigned int opened = 0, framed = 0;

	(void)state;
	for (unsigned int seed = 0; seed < 300; seed++) {
		pid_t pid = start_liar(scramble, seed);
		struct dp_rec_stack s;
		uint64_t took;
		int rc;

		took = ask_everything(pid, &s, &rc);
		if (took > 500000000ull)
			fail_msg("seed %u: %lu ns", seed, (unsigned long)took);
		opened += rc == 0;
		framed += s.frame_count > 0;
		end_liar(pid);
	}
	printf("  of 300 scrambled targets %u opened, %u gave frames\n", opened, framed);
	/* Else the test did not reach what it is about. */
	assert_true(opened > 50 && framed > 30 && framed < 300);
}

/* Looked for by its name, and far too small to be what the name says. */
__attribute__((noinline, used)) static void _PyEval_EvalFrameDefault(void)
{
	__asm__ volatile("");
}

/* A file that claims anything in its headers and tables is refused or read within bounds. */
static void survives_scrambled_elf(void **state)
{
	static uint8_t image[4u << 20], saved[sizeof(image)];
	char path[] = "/tmp/dp-elf-XXXXXX";
	unsigned int opened = 0, found = 0, loops = 0, seed = 1;
	struct dp_code_range loop[DP_EVAL_RANGES];
	uint64_t code_offset = 0, code_len = 0;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)(const void *)image;
	int fd = open("/proc/self/exe", O_RDONLY);
	ssize_t len = read(fd, image, sizeof(image));

	(void)state;
	close(fd);
	assert_true(len > 10000 && len < (ssize_t)sizeof(image));
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, image + eh->e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD && (ph.p_flags & PF_X)) {
			code_offset = ph.p_offset & ~4095ull;
			code_len = ph.p_filesz;
		}
	}
	memcpy(saved, image, sizeof(image));
	fd = mkstemp(path);
	assert_true(fd >= 0);
	for (int round = 0; round < 400; round++) {
		struct dp_maps maps = {0};
		struct dp_elf_symbol sym;
		struct dp_elf elf;
		uint64_t before;
		char name[64];
		void *m;

		/* Round 0 is the file as it is; then headers, then all of it is hit. */
		for (int i = 0; i < (round == 0 ? 0 : 1 + round % 7); i++) {
			size_t reach = round % 3 == 0   ? 900
				       : round % 3 == 1 ? 8192
							: (size_t)len - 64;
			size_t shdrs = (size_t)eh->e_shoff;

			seed = seed * 1664525u + 1013904223u;
			image[18 + (seed >> 4) % reach] = round % 2 ? 0xff : (uint8_t)(seed >> 24);
			if (round % 4 == 0 && shdrs < (size_t)len - 4096)
				image[shdrs + (seed >> 8) % 2048] = (uint8_t)seed;
		}
		assert_int_equal(pwrite(fd, image, (size_t)len, 0), len);
		memcpy(image, saved, (size_t)len);
		m = mmap(NULL, code_len, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
			 (off_t)code_offset);
		assert_true(m != MAP_FAILED);
		assert_int_equal(dp_maps_read(getpid(), &maps), 0);
		before = cpu_ns();
		if (dp_elf_open(&elf, getpid(), dp_maps_find(&maps, addr_of(m))) == 0) {
			opened++;
			found += dp_elf_symtab(&elf, "survives_scrambled_elf", &sym) == 0;
			dp_elf_dynsym(&elf, "main", &sym);
			dp_elf_symtab(&elf, "nowhere_to_be_found", &sym);
			dp_elf_section(&elf, ".nowhere", &sym);
			dp_elf_function_at(&elf, 0x12345, name, sizeof(name));
			loops += dp_eval_loop_find(&elf, loop) != 0;
			dp_elf_close(&elf);
		}
		assert_true(round > 0 || (opened == 1 && found == 1));
		assert_true(cpu_ns() - before < 1000000000ull);
		munmap(m, code_len);
		dp_maps_free(&maps);
	}
	close(fd);
	unlink(path);
	printf("  of 400 scrambled files %u opened, %u gave the symbol, %u a bytecode loop\n",
	       opened, found, loops);
	assert_true(opened > 50 && opened < 400);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(believes_a_well_formed_one),
		cmocka_unit_test(reads_free_threaded),
		cmocka_unit_test(finds_a_runtime_without_sections),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(survives_scrambled_memory),
		cmocka_unit_test(survives_scrambled_elf),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc == 2 && strcmp(argv[1], "liar") == 0) {
		well_formed();
		puts("ready");
		for (;;)
			pause();
	}
	return cmocka_run_group_tests_name("python_hostile", tests, NULL, NULL);
}
