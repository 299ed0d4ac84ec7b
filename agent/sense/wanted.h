/* SPDX-License-Identifier: MIT */
/* Which processes the user wants watched. Plain values: a copy of the struct is a copy of all. */
#ifndef DORA_PROBE_WANTED_H
#define DORA_PROBE_WANTED_H

#include <stdbool.h>
#include <sys/types.h>

#include "dora_probe/capture.h"
#include "dora_probe/record.h"

#define DP_NAMES_MAX   32
#define DP_NAME_LENGTH 127 /* of a node or dataflow as the user may give it, bytes */

struct dp_pid_list {
	unsigned int count;
	pid_t pid[DP_MAX_TARGETS]; /* each once */
};

struct dp_name_list {
	unsigned int count;
	char name[DP_NAMES_MAX][DP_ID_MAX];
};

struct dp_wanted {
	struct dp_pid_list pids;
	struct dp_name_list nodes;
	struct dp_name_list dataflows; /* uuid or name each */
	bool all;                      /* every dora node */
};

#endif
