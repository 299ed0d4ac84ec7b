/* SPDX-License-Identifier: MIT */
/* The texts that are made from the table of options. */
#ifndef DORA_PROBE_MANUAL_H
#define DORA_PROBE_MANUAL_H

#include <stdio.h>

#include "cli/option_table.h"

/* The option's sentence of --help with its default in the place of @; cut at `len`. Returns ret. */
const char *dp_option_sentence(const struct dp_option *o, char *ret, size_t len);

/* The manual page's OPTIONS, in man(7) macros: every option of the table that is not hidden. */
void dp_manual_options(FILE *out);

#endif
