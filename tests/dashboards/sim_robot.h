/* SPDX-License-Identifier: MIT */
/*
 * A robot made up: findings and node views as the model would give them for a dataflow of N nodes,
 * without a kernel, Python or dora. Deterministic: the same ticks give the same findings.
 */
#ifndef DORA_PROBE_SIM_ROBOT_H
#define DORA_PROBE_SIM_ROBOT_H

#include <stdint.h>

#include "serve/metrics.h"

struct robot;

/* `hostile` gives node 0 a name that tries to break out of its label. */
struct robot *robot_new(unsigned int number, unsigned int nodes, int hostile, uint64_t now_ns);
void robot_free(struct robot *r);
struct dp_metrics *robot_metrics(struct robot *r);

/* Lets the nodes live up to now_ns; about ten times a second. */
void robot_tick(struct robot *r, uint64_t now_ns);

/* From now on; 0 or -ENOENT. A hold keeps tokens pending for as long. */
int robot_hold(struct robot *r, unsigned int node, uint64_t for_ns);
/*
 * The node is told to stop and would need `need_ns`: in time it leaves by itself, else it is nudged
 * after 4 s and killed at the end of the grace (10 s); either way a new process follows 2 s later.
 */
int robot_stop(struct robot *r, unsigned int node, uint64_t need_ns);
void robot_lose(struct robot *r, uint64_t records);
/* Finds something for every metric of every node at once: the fullest exposition there can be. */
void robot_fill(struct robot *r, unsigned int rounds);

#endif
