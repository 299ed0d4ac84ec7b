/* SPDX-License-Identifier: MIT */
/*
 * What this machine and this user's rights offer: each with ok, limited or missing, its value, what
 * it is for, and the command that mends it. Found out by trying where trying is harmless.
 */
#ifndef DORA_PROBE_DOCTOR_H
#define DORA_PROBE_DOCTOR_H

#include <stdio.h>

/*
 * Prints the findings on standard output, as text or (`json`) one object a line. Returns the exit
 * code: DP_EX_OK when all that is needed is there, DP_EX_FEATURE when the kernel lacks something,
 * else DP_EX_RIGHT when a right is missing; DP_EX_INTERNAL when standard output cannot be written.
 */
int dp_doctor(int json);

/* dp_doctor() with another folder in the place of / for files below /proc and /sys, for tests. */
int dp_doctor_at(const char *root, FILE *out, int json);

#endif
