// SPDX-License-Identifier: MIT
/*
 * Loads the linked BPF object program by program with the verifier's statistics on and prints for each
 *   figures PROGRAM instructions=N states=N peak=N
 * Exit code 1 when a program is refused: its name and the end of the verifier's log go to standard error.
 * One for which the agent has another way (the system calls) may be refused: `absent PROGRAM`, and why.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define LOG_BYTES (1 << 20)
#define LOG_STATS 4 /* BPF_LOG_STATS, kernel/bpf/verifier.c, since 5.2 */

/* By tracepoints of newer kernels; see agent/sense/bpf_trial.c. */
static bool has_another_way(const char *name)
{
	static const char *const begin[] = {"dp_sock_", "dp_region_lock", "dp_region_area",
					    "dp_sched_switch_futex", "dp_sched_waking"};

	for (size_t i = 0; i < DP_COUNT_OF(begin); i++)
		if (strncmp(name, begin[i], strlen(begin[i])) == 0)
			return true;
	return false;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static unsigned long number_after(const char *log, const char *word)
{
	const char *at = strstr(log, word);

	return at ? strtoul(at + strlen(word), NULL, 10) : 0;
}

/* 0, or -errno when the kernel refuses it. */
static int load_one(const char *path, const char *name)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	char *log = calloc(1, LOG_BYTES);
	struct bpf_program *p;
	int err;

	if (!obj || !log)
		return -ENOMEM;
	bpf_object__for_each_program(p, obj)
	{
		bool it = strcmp(bpf_program__name(p), name) == 0;

		bpf_program__set_autoload(p, it);
		if (!it)
			continue;
		bpf_program__set_log_level(p, LOG_STATS);
		bpf_program__set_log_buf(p, log, LOG_BYTES);
	}
	err = bpf_object__load(obj);
	if (err && has_another_way(name)) {
		printf("absent %s (%s)\n", name, strerror(-err));
		err = 0;
	} else if (err)
		fprintf(stderr, "%s is refused (%s): %s\n", name, strerror(-err),
			log + (strlen(log) > 400 ? strlen(log) - 400 : 0));
	else
		printf("figures %s instructions=%lu states=%lu peak=%lu\n", name,
		       number_after(log, "processed "), number_after(log, "total_states "),
		       number_after(log, "peak_states "));
	bpf_object__close(obj);
	free(log);
	return err;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	struct bpf_program *p;
	int bad = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: verifier_figures OBJECT\n");
		return 2;
	}
	libbpf_set_print(quiet);
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	bpf_object__for_each_program(p, obj) bad += load_one(argv[1], bpf_program__name(p)) != 0;
	bpf_object__close(obj);
	return bad != 0;
}
