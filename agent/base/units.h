/* SPDX-License-Identifier: MIT */
/* Units of time in nanoseconds, the unit of every time in the agent. */
#ifndef DORA_PROBE_BASE_UNITS_H
#define DORA_PROBE_BASE_UNITS_H

#define US   1000ULL
#define MS   1000000ULL
#define SEC  (1000 * MS)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

#endif
