/* SPDX-License-Identifier: MIT */
/* What a reader and those who ask share: memory of both; for reader.c, reader_questions.c and reading.c. */
#ifndef DORA_PROBE_READER_JOB_H
#define DORA_PROBE_READER_JOB_H

#include <stdatomic.h>

#include "sense/reader.h"

enum job_kind {
	JOB_OPEN,
	JOB_FILL,
	JOB_LOOK,
	JOB_STACK,
	JOB_WAITS,
	JOB_SIGNAL,
	JOB_SITE,
	JOB_VERSION,
	JOB_CONFIG,
	JOB_COMMAND,
	JOB_THREADS,
	JOB_DORA_CALLS,
	JOB_DORA_NODE,
};

#define SITE_PATH_MAX         256
#define DP_READER_VERSION_MAX 24

struct job_site {
	char path[SITE_PATH_MAX];
	uint64_t offset;
};

struct job {
	/* the question */
	uint32_t kind; /* enum job_kind */
	pid_t pid, tid;
	uint32_t index;     /* of the GIL */
	uint32_t is_python; /* STACK: with frames */
	/* the answer */
	int32_t result;
	union {
		struct {
			char why[DP_REASON_MAX];
			char copy[DP_PY_COPY_MAX]; /* valid with result 0 */
			/* With result 0 what is asked for next, so that it need not be: results as of FILL, SITE, VERSION. */
			int32_t filled, sited, has_version;
			struct dp_target target;
			struct job_site site;
			char version[DP_READER_VERSION_MAX];
		} open;
		struct {
			struct dp_target target;
			char copy[DP_PY_COPY_MAX];
		} fill;
		struct {
			struct dp_rec_look look;
			uint32_t tid;
		} look;
		struct dp_rec_stack stack;
		struct dp_rec_waits waits;
		struct job_site site;
		struct dp_dora_calls dora_calls;
		struct dp_dora_node dora_node;
		char version[DP_READER_VERSION_MAX];
		struct dp_node_config config;
		struct dp_rec_command command;
		struct {
			uint32_t count;
			pid_t tids[DP_THREADS_LOOKED_AT];
		} threads;
	} u;
};

struct dp_reading {
	_Atomic uint32_t asked;    /* number of the newest question; a futex */
	_Atomic uint32_t answered; /* number of the newest answer; a futex */
	_Atomic uint64_t cpu_ns;   /* of the reader, at that answer */
	struct job job;
};

/* The reader's side, in its own process: answers until it is killed. */
void reading_run(struct dp_reading *s, pid_t parent) __attribute__((noreturn));

/* futex(2) between processes. wait: until *word is no longer `value`, at most `ns` (0: for ever). */
void reading_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns);
void reading_wake(_Atomic uint32_t *word);

#endif
