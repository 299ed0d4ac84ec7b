/* SPDX-License-Identifier: MIT */
/* Milliseconds and seconds in nanoseconds, the unit of every time in the model. */
#ifndef DORA_PROBE_MODEL_UNITS_H
#define DORA_PROBE_MODEL_UNITS_H

#define MS  1000000ULL
#define SEC 1000000000ULL

#endif
