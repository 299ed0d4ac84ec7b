/* SPDX-License-Identifier: MIT */
/* Completions of the command line, made from the table of options (option_table.h). */
#ifndef DORA_PROBE_COMPLETION_H
#define DORA_PROBE_COMPLETION_H

#include <stdio.h>

void dp_completion_bash(FILE *out);
void dp_completion_zsh(FILE *out);
void dp_completion_fish(FILE *out);

#endif
