/* SPDX-License-Identifier: MIT */
/* The parser of the command line as the tests of options run it. */
#ifndef DORA_PROBE_OPTIONS_SUPPORT_H
#define DORA_PROBE_OPTIONS_SUPPORT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/options.h"

/* Runs the parser with both outputs captured. Words are separated by '|'. */
static int parse(const char *words, struct dp_options *ret, char *out, char *err, size_t len)
{
	static char copy[8192];
	char *argv[300], *save = NULL;
	char path[2][32] = {"/tmp/dora-probe-test.XXXXXX", "/tmp/dora-probe-test.XXXXXX"};
	char *text[2] = {out, err};
	int argc = 0, fd[2], old[2], result;

	argv[argc++] = (char *)(uintptr_t) "/usr/bin/dora-probe";
	snprintf(copy, sizeof(copy), "%s", words);
	/* An empty word is written as a lone "~". */
	for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save))
		argv[argc++] = strcmp(w, "~") == 0 ? w + 1 : w;
	argv[argc] = NULL;
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		fd[i] = mkstemp(path[i]);
		assert_true(fd[i] >= 0);
		unlink(path[i]);
		old[i] = dup(i + 1);
		dup2(fd[i], i + 1);
	}
	result = dp_options_parse(argc, argv, ret);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(fd[i], text[i], len - 1, 0);

		text[i][n < 0 ? 0 : n] = '\0';
		dup2(old[i], i + 1);
		close(old[i]);
		close(fd[i]);
	}
	return result;
}

static struct dp_options good(const char *words)
{
	struct dp_options o;
	char out[4096], err[4096];
	int code = parse(words, &o, out, err, sizeof(out));

	if (code != -1 || *out || *err)
		fail_msg("[%s]: %d, out: %s, err: %s", words, code, out, err);
	return o;
}

#endif
