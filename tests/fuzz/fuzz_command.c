// SPDX-License-Identifier: MIT
/* libFuzzer harness of command lines: of a `dora` command that ends nodes, and of the probe's own options. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "dora/stop_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGS_MAX 32

static void options(const uint8_t *data, size_t size)
{
	static struct dp_options o;
	char *text = malloc(size + 1), *argv[ARGS_MAX + 1];
	int argc = 0;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	argv[argc++] = (char *)"dora-probe";
	for (size_t at = 0; at < size && argc < ARGS_MAX; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	argv[argc] = NULL;
	memset(&o, 0, sizeof(o));
	dp_options_parse(argc, argv, &o);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_record r;
	char *exact;

	if (size < 1)
		return 0;
	if (data[0] & 1) {
		options(data + 1, size - 1);
		return 0;
	}
	exact = malloc(size);
	if (!exact)
		abort();
	memcpy(exact, data + 1, size - 1);
	memset(&r, 0, sizeof(r));
	dp_record_init(&r, DP_REC_DORA_COMMAND, 1, 7, 7);
	if (dp_stop_command_parse(exact, size - 1, &r.u.command) == 0 &&
	    dp_record_check(&r, r.h.size) != 0)
		abort();
	free(exact);
	return 0;
}
