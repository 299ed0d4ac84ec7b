/* SPDX-License-Identifier: MIT */
/* The commands that run the model: watch (live) and replay (from a recording). */
#ifndef DORA_PROBE_WATCH_H
#define DORA_PROBE_WATCH_H

#include "cli/options.h"

/* Each runs to its end and returns the exit code. */
int dp_watch(const struct dp_options *o);
int dp_replay_command(const struct dp_options *o);
int dp_list(const struct dp_options *o);
int dp_report(const struct dp_options *o);

#endif
