/* SPDX-License-Identifier: MIT */
/* Where the code of the bytecode loop lies: so that a sample tells bytecode from native code. */
#ifndef DORA_PROBE_PYTHON_EVAL_LOOP_H
#define DORA_PROBE_PYTHON_EVAL_LOOP_H

#include "python/internal.h"

/*
 * Fills `ret`, addresses of the process, from the front; all that is not used is 0, 0. Returns how many; 0 when no
 * part is known, or not enough of it to be the whole loop: then nothing may be concluded from an address.
 */
unsigned int dp_eval_loop_find(const struct dp_elf *elf, struct dp_code_range ret[DP_EVAL_RANGES]);

#endif
