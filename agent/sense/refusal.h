/* SPDX-License-Identifier: MIT */
/*
 * What libbpf says while it loads an object, boiled down to the program that the kernel refused and
 * the verifier's last word about it.
 */
#ifndef DORA_PROBE_REFUSAL_H
#define DORA_PROBE_REFUSAL_H

#include <stdbool.h>

struct dp_refusal {
	char program[48]; /* "" as long as no program was refused */
	char said[192];   /* the verifier's last line that gives a reason, "" if it wrote none */
};

/*
 * Takes one message of libbpf, as its print function gets it after formatting. Only the first
 * program that is refused is kept: libbpf stops there.
 */
void dp_refusal_read(struct dp_refusal *r, const char *message);

/*
 * From here on libbpf's messages are read into `r` (borrowed, NULL for none). Verbose, its warnings
 * are shown on standard error as well; a verifier's log, which can have megabytes, is cut to its
 * last lines, and what libbpf says for its own debugging is left out (88 KB a start).
 */
void dp_refusal_listen(struct dp_refusal *r, bool verbose);

#endif
