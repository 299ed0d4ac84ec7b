/* SPDX-License-Identifier: MIT */
/* One line for the node's author: what to do about a cause. */
#ifndef DORA_PROBE_MODEL_ADVICE_H
#define DORA_PROBE_MODEL_ADVICE_H

#include "model/node.h"

#define ADVICE_MAX 512

/* Writes the advice into `ret`. `place` is where it happens. */
void advice_for(int8_t cause, const struct node *n, const struct place *place,
		char ret[ADVICE_MAX]);

#endif
