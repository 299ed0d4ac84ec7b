// SPDX-License-Identifier: MIT
/* Which processes are a CPython that is known, and what is found in its ELF files. */
#include <dlfcn.h>
#include <sys/stat.h>

#include "python_support.h"
#include "base/array.h"

static void says_what_is_no_cpython(void **state)
{
	char *sleeper[] = {(char *)(uintptr_t) "/bin/sleep", (char *)(uintptr_t) "600", NULL};
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_py *p = NULL;
	struct dp_rec_stack s;
	char why[256];
	struct child c;
	pid_t gone;
	int rc;

	(void)state;
	c = start(sleeper, false);
	/* Until its exec it is a copy of this very test, which is no CPython for other reasons. */
	while (((rc = dp_py_open(c.pid, &p, why, sizeof(why))) == -EAGAIN ||
		!strstr(why, "no CPython")) &&
	       now_ns() < until)
		short_pause();
	assert_int_equal(rc, -ENOENT);
	assert_non_null(strstr(why, "no CPython"));
	assert_null(p);
	/* Its state is read before its system call: until both are those of the sleep. */
	while (dp_native_stack(c.pid, c.pid, &s) == 0 &&
	       (s.state != 'S' || s.syscall_nr != SYS_clock_nanosleep) && now_ns() < until)
		short_pause();
	assert_int_equal(s.status, 0);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.syscall_nr, SYS_clock_nanosleep);
	assert_int_equal(s.frame_count, 0);
	assert_string_equal(s.comm, "sleep");
	assert_string_equal(s.library, "sleep");
	gone = c.pid;
	stop(&c);
	assert_int_equal(dp_py_open(gone, &p, why, sizeof(why)), -ESRCH);
	assert_int_equal(dp_native_stack(gone, gone, &s), -ESRCH);
	assert_int_equal(dp_py_open(2, &p, why, sizeof(why)), -ENOENT);
}

static void says_that_it_is_too_old(void **state)
{
	unsigned int tested = 0;

	(void)state;
	for (unsigned int i = 0; i < all.count; i++) {
		const struct python *py = &all.item[i];
		char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c",
				(char *)(uintptr_t) "import time\nprint('ready', "
						    "flush=True)\ntime.sleep(600)",
				NULL};
		struct facts f = {0};
		struct dp_py *p = NULL;
		char why[256];
		struct child c;
		int rc;

		if (supported(py) || py->minor > DP_PYTHON_LAST)
			continue;
		c = start(argv, false);
		hear(&c, &f, "ready");
		rc = dp_py_open(c.pid, &p, why, sizeof(why));
		assert_int_equal(rc, py->minor == 7 ? -ENOTSUP : -ENOENT);
		assert_non_null(strstr(why, DP_PYTHONS));
		stop(&c);
		tested++;
	}
	if (tested == 0)
		skip_case("too old a Python", "none older than 3.8 on this machine");
}

/* The image in memory tells the same as the file, for when no file can be opened. */
static void reads_elf_from_memory(void **state)
{
	static const char *const names[] = {"pthread_cond_signal", "lfind", "getppid", "nice"};
	struct dp_maps maps = {0};
	struct dp_elf_symbol file_sym, memory_sym;
	struct dp_elf file, memory;
	const struct dp_map *libc;
	struct dp_map pathless;

	(void)state;
	assert_int_equal(dp_maps_read(getpid(), &maps), 0);
	libc = dp_maps_find(&maps, (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "lfind"));
	assert_non_null(libc);
	pathless = *libc;
	pathless.path[0] = '\0';
	pathless.end += 4096; /* no such entry in map_files */
	assert_int_equal(dp_elf_open(&file, getpid(), libc), 0);
	assert_int_equal(dp_elf_open(&memory, getpid(), &pathless), 0);
	assert_true(file.fd >= 0 && memory.fd == -1);
	assert_string_equal(memory.path, "");
	for (size_t i = 0; i < DP_COUNT_OF(names); i++) {
		assert_int_equal(dp_elf_dynsym(&file, names[i], &file_sym), 0);
		assert_int_equal(dp_elf_dynsym(&memory, names[i], &memory_sym), 0);
		assert_true(file_sym.value == memory_sym.value && file_sym.size == memory_sym.size);
		assert_true(file_sym.value + file.bias ==
			    (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, names[i]));
	}
	assert_int_equal(dp_elf_dynsym(&memory, "no_such_function", &memory_sym), -ENOENT);
	dp_elf_close(&file);
	dp_elf_close(&memory);
	dp_maps_free(&maps);
}

/* The function that the dynamic loader gives us is the one found in a target's libc. */
static void finds_cond_signal(void **state)
{
	void *fn = dlsym(RTLD_DEFAULT, "pthread_cond_signal");
	struct dp_maps maps = {0};
	const struct dp_map *mine;
	uint64_t file_offset;

	(void)state;
	assert_non_null(fn);
	assert_int_equal(dp_maps_read(getpid(), &maps), 0);
	mine = dp_maps_find(&maps, (uint64_t)(uintptr_t)fn);
	assert_non_null(mine);
	file_offset = (uint64_t)(uintptr_t)fn - mine->start + mine->offset;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "free");
		struct facts f = {0};
		struct stat theirs, ours;
		uint64_t offset = 0;
		struct dp_py *p;
		char path[256];

		hear(&c, &f, "main");
		p = open_python(py, c.pid);
		assert_int_equal(dp_py_cond_signal_site(p, path, sizeof(path), &offset), 0);
		assert_int_equal(stat(path, &theirs), 0);
		assert_int_equal(stat(mine->path, &ours), 0);
		if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev)
			assert_int_equal(offset, file_offset);
		else
			skip_case("cond_signal offset", "the target has a libc of its own");
		assert_int_equal(dp_py_cond_signal_site(p, path, 4, &offset), -ENOENT);
		dp_py_close(p);
		stop(&c);
	}
	dp_maps_free(&maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_no_cpython),
		cmocka_unit_test(says_that_it_is_too_old),
		cmocka_unit_test(reads_elf_from_memory),
		cmocka_unit_test(finds_cond_signal),
	};

	return python_tests("python: ELF", tests, DP_COUNT_OF(tests));
}
