/* SPDX-License-Identifier: MIT */
/*
 * What the kernel tests share: a running dp_bpf that keeps every capture, child processes as
 * targets that report the truth in CLOCK_MONOTONIC nanoseconds, and the GIL of a CPython found by
 * the simplest means that do not share code with the agent.
 */
#ifndef DORA_PROBE_BPF_TEST_H
#define DORA_PROBE_BPF_TEST_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/units.h"
#include "sense/bpf_source.h"
#include "../unit/skipping.h"

#define MAX_LOG (64UL * 1024 * 1024)

struct session {
	struct dp_bpf *bpf;
	unsigned char *log; /* captures, one after the other */
	size_t used;
	uint32_t last_seq[64];
	unsigned int gaps; /* missing sequence numbers */
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static inline void keep(void *ctx, const struct dp_capture *h, size_t len)
{
	struct session *s = ctx;

	assert_true(h->type > DP_CAP_NONE && h->type < DP_CAP_COUNT);
	assert_int_equal(h->size, len);
	assert_true(h->cpu < 64);
	/* The first is number 1. */
	s->gaps += h->seq - s->last_seq[h->cpu] - 1;
	s->last_seq[h->cpu] = h->seq;
	len = (len + 7) & ~(size_t)7;
	assert_true(s->used + len <= MAX_LOG);
	memcpy(s->log + s->used, h, h->size);
	s->used += len;
}

static inline void drain(struct session *s)
{
	int n;

	do {
		n = dp_bpf_drain(s->bpf, keep, s);
		assert_true(n >= 0);
	} while (n);
}

/* Next capture of a type and process (0: any) after `prev` (NULL: the first); NULL at the end. */
static inline const void *next_capture(const struct session *s, const void *prev, int type,
				       pid_t pid)
{
	size_t at = 0;

	if (prev)
		at = (size_t)((const unsigned char *)prev - s->log);
	while (at < s->used) {
		const struct dp_capture *h = (const void *)(s->log + at);

		if (h != prev && (!type || h->type == type) && (!pid || h->pid == (uint32_t)pid))
			return h;
		at += (h->size + 7) & ~7U;
	}
	return NULL;
}

static inline unsigned int count_captures(const struct session *s, int type, pid_t pid)
{
	const void *c = NULL;
	unsigned int n = 0;

	while ((c = next_capture(s, c, type, pid)))
		n++;
	return n;
}

static inline const void *body(const struct dp_capture *h)
{
	return h + 1;
}

/* Drains until `n` captures of a kind are there, at most for `ms`. Returns how many there are. */
static inline unsigned int await(struct session *s, int type, pid_t pid, unsigned int n,
				 unsigned int ms)
{
	uint64_t until = now_ns() + ms * MS;

	for (;;) {
		struct pollfd p = {.fd = dp_bpf_fd(s->bpf), .events = POLLIN};
		unsigned int have;

		drain(s);
		have = count_captures(s, type, pid);
		if (have >= n || now_ns() >= until)
			return have;
		poll(&p, 1, 10);
	}
}

static inline int session_start_with(void **state, const struct dp_bpf_options *o)
{
	struct session *s = calloc(1, sizeof(*s));
	char why[256] = "";
	int err;

	if (geteuid() != 0) {
		fprintf(stderr, "SKIP: not root\n");
		exit(77);
	}
	/* The truth that the targets tell is compared with ours: neither shall wait for a CPU. */
	if (sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1}))
		fprintf(stderr, "no real-time priority: times may be missed on a busy machine\n");
	s->log = malloc(MAX_LOG);
	err = dp_bpf_open(o, &s->bpf, why, sizeof(why));
	if (!err)
		err = dp_bpf_attach(s->bpf, why, sizeof(why));
	if (err)
		fprintf(stderr, "%d: %s\n", err, why);
	*state = s;
	return err;
}

static inline int session_start(void **state)
{
	struct dp_bpf_options o = {0};

	return session_start_with(state, &o);
}

static inline int session_stop(void **state)
{
	struct session *s = *state;
	uint64_t losses[DP_LOSS_COUNT];

	/* Whatever was lost was counted, and nothing else is missing. */
	drain(s);
	dp_bpf_losses(s->bpf, 1, losses);
	assert_true(s->gaps <= losses[DP_LOSS_RING_FULL]);
	assert_int_equal(losses[DP_LOSS_MAP_FULL], 0);
	assert_int_equal(losses[DP_LOSS_PROGRAM_SKIPPED], 0);
	dp_bpf_close(s->bpf);
	free(s->log);
	free(s);
	return 0;
}

/* ---- children --------------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int in;  /* its standard input */
	int out; /* its standard output */
};

static inline void child_start(struct child *c, const char *const argv[])
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
}

/* A line of the child's output without its end; fails the test after ten seconds of silence. */
static inline void child_line(struct child *c, char *line, size_t len)
{
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = c->out, .events = POLLIN};

		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(read(c->out, line + n, 1), 1);
		if (line[n] == '\n')
			break;
		assert_true(++n < len - 1);
	}
	line[n] = 0;
}

static inline void child_tell(struct child *c, const char *line)
{
	assert_int_equal(write(c->in, line, strlen(line)), (ssize_t)strlen(line));
	assert_int_equal(write(c->in, "\n", 1), 1);
}

/* A line of up to eight numbers. Returns how many. */
static inline int child_numbers(struct child *c, uint64_t v[8])
{
	char line[256], *p = line, *end;
	int n = 0;

	child_line(c, line, sizeof(line));
	while (n < 8) {
		v[n] = strtoull(p, &end, 10);
		if (end == p)
			break;
		p = end;
		n++;
	}
	return n;
}

static inline int child_end(struct child *c)
{
	int status;

	close(c->in);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	return status;
}

/* ---- CPython ---------------------------------------------------------------------------- */

static inline uint64_t peek(pid_t pid, uint64_t addr)
{
	uint64_t v = 0;
	struct iovec to = {&v, sizeof(v)}, from = {(void *)(uintptr_t)addr, sizeof(v)};

	assert_int_equal(process_vm_readv(pid, &to, 1, &from, 1, 0), sizeof(v));
	return v;
}

/* Value and ELF type of a dynamic symbol's default version in a file; 0 not there. */
static inline uint64_t dynamic_symbol(const char *path, const char *name, int *ret_type,
				      uint64_t *ret_offset)
{
	uint64_t value = 0;
	Elf_Scn *scn = NULL;
	GElf_Ehdr eh;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf;

	if (fd < 0)
		return 0;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || !gelf_getehdr(elf, &eh)) {
		close(fd);
		return 0;
	}
	*ret_type = eh.e_type;
	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data, *versions = NULL;
		Elf_Scn *v = NULL;
		GElf_Shdr sh, vsh;

		gelf_getshdr(scn, &sh);
		if (sh.sh_type != SHT_DYNSYM)
			continue;
		while ((v = elf_nextscn(elf, v)))
			if (gelf_getshdr(v, &vsh) && vsh.sh_type == SHT_GNU_versym)
				versions = elf_getdata(v, NULL);
		data = elf_getdata(scn, NULL);
		for (size_t i = 0; i < sh.sh_size / sh.sh_entsize; i++) {
			GElf_Versym version = 1;
			GElf_Sym sym;

			gelf_getsym(data, (int)i, &sym);
			if (!sym.st_value || strcmp(elf_strptr(elf, sh.sh_link, sym.st_name), name))
				continue;
			/* Hidden versions are the old ones, kept for old binaries. */
			if (versions && gelf_getversym(versions, (int)i, &version) &&
			    version & 0x8000)
				continue;
			value = sym.st_value;
		}
	}
	for (size_t i = 0; ret_offset && i < eh.e_phnum; i++) {
		GElf_Phdr ph;

		gelf_getphdr(elf, (int)i, &ph);
		if (ph.p_type == PT_LOAD && value >= ph.p_vaddr && value < ph.p_vaddr + ph.p_memsz)
			*ret_offset = value - ph.p_vaddr + ph.p_offset;
	}
	elf_end(elf);
	close(fd);
	return value;
}

/* Address of `name` in the process, in the first mapped file that has it. Its path in ret_path. */
static inline uint64_t symbol_in(pid_t pid, const char *name, const char *file_part, char *ret_path,
				 uint64_t *ret_offset)
{
	char maps[64], line[1024];
	uint64_t ret = 0;
	FILE *f;

	snprintf(maps, sizeof(maps), "/proc/%d/maps", pid);
	f = fopen(maps, "r");
	assert_non_null(f);
	while (!ret && fgets(line, sizeof(line), f)) {
		char *path = strchr(line, '/');
		uint64_t start = strtoull(line, NULL, 16), value;
		unsigned int pgoff = 1;
		int type = 0;

		sscanf(line, "%*s %*s %x", &pgoff);
		if (!path || pgoff || !strstr(path, file_part))
			continue;
		path[strcspn(path, "\n")] = 0;
		value = dynamic_symbol(path, name, &type, ret_offset);
		if (!value)
			continue;
		ret = type == ET_DYN ? start + value : value;
		strcpy(ret_path, path);
	}
	fclose(f);
	return ret;
}

/* The main GIL of a CPython 3.8 to 3.13 (x86_64, default build). 0, or -1 for another version. */
static inline int gil_of(pid_t pid, const char *version, struct dp_target *t)
{
	char path[512];
	uint64_t runtime = symbol_in(pid, "_PyRuntime", "python", path, NULL), gil, interp;
	int minor = atoi(version + 2);

	memset(t, 0, sizeof(*t));
	if (!runtime)
		return -1;
	switch (minor) {
	case 8:
		gil = runtime + 1152;
		break;
	case 9:
	case 10:
		gil = runtime + 352;
		break;
	case 11:
		gil = runtime + 360;
		t->off_native_tid = 160;
		break;
	case 12:
		interp = peek(pid, runtime + 48);
		gil = peek(pid, interp + 384);
		t->off_native_tid = 144;
		break;
	case 13:
		interp = peek(pid, runtime + 640);
		gil = peek(pid, interp + 16);
		t->off_native_tid = 160;
		break;
	default:
		return -1;
	}
	t->has_native_tid = minor >= 11;
	t->off_pthread = 176;     /* PyThreadState.thread_id, 3.8 to 3.10 */
	t->off_pthread_tid = 720; /* struct pthread of glibc x86_64 */
	t->gil_count = 1;
	t->gils[0] = (struct dp_gil_site){
		.addr = gil,
		.off_last_holder = 8,
		.off_locked = 16,
		.off_switch_number = 24,
		.off_cond = 32,
		.off_mutex = 80,
		.off_switch_cond = 80 + sizeof(pthread_mutex_t),
		.size = 208,
		.interval_us = 5000,
	};
	return 0;
}

/* The interpreters of this machine that the tests run on; NULL-terminated, first is Debian's. */
struct python {
	const char *version;
	char path[256];
};

static inline int pythons(struct python *ret, int max)
{
	static const char *const versions[] = {"3.8.18", "3.9.18", "3.10.13",
					       "3.11.7", "3.12.1", "3.13.0"};
	static const char *const systems[] = {"3.9", "3.10", "3.11", "3.12", "3.13", "3.14"};
	const char *home = getenv("PYENV_ROOT");
	int n = 0;

	/* The system's own, whichever release it has. */
	for (size_t i = 0; i < DP_COUNT_OF(systems) && n < max; i++) {
		snprintf(ret[n].path, sizeof(ret[n].path), "/usr/bin/python%s", systems[i]);
		ret[n].version = systems[i];
		if (!access(ret[n].path, X_OK))
			n++;
	}
	for (size_t i = 0; i < DP_COUNT_OF(versions) && n < max; i++) {
		if (home)
			snprintf(ret[n].path, sizeof(ret[n].path), "%s/versions/%s/bin/python3",
				 home, versions[i]);
		else
			snprintf(ret[n].path, sizeof(ret[n].path),
				 "%s/.pyenv/versions/%s/bin/python3", getenv("HOME"), versions[i]);
		ret[n].version = versions[i];
		if (!access(ret[n].path, X_OK))
			n++;
	}
	return n;
}

#endif
