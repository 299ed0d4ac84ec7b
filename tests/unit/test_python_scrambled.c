// SPDX-License-Identifier: MIT
/*
 * A Python whose memory or ELF file is damaged at random: every answer must come in bounded time
 * and bounded size.
 */
#include <elf.h>
#include <sys/mman.h>

#include "python/eval_loop.h"
#include "python_liar.h"

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
		cmocka_unit_test(finds_a_runtime_without_sections),
		cmocka_unit_test(survives_scrambled_memory),
		cmocka_unit_test(survives_scrambled_elf),
	};

	liar_begin(argc, argv);
	return cmocka_run_group_tests_name("python_scrambled", tests, NULL, NULL);
}
