/* SPDX-License-Identifier: MIT */
/* Signals by their names. */
#ifndef DORA_PROBE_BASE_SIGNALS_H
#define DORA_PROBE_BASE_SIGNALS_H

#include <stddef.h>
#include <stdint.h>

/* "SIGINT", "SIGRTMIN+3"; what is no signal of Linux as "signal 99". 20 bytes are enough. */
char *dp_signal_text(uint32_t sig, char *buf, size_t len);

#endif
