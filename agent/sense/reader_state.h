/* SPDX-License-Identifier: MIT */
/* A reader as those who ask it see it: reader.c keeps its process, reader_questions.c its answers. */
#ifndef DORA_PROBE_READER_STATE_H
#define DORA_PROBE_READER_STATE_H

#include "sense/cpu_budget.h"
#include "sense/reader.h"
#include "sense/reader_job.h"

/*
 * What came with the answer to OPEN, or was asked once. FILL is there once; the others hold as long as the process runs
 * its program: a C library, and a module once it is loaded, stay where they are.
 */
struct first_answers {
	bool fill, site, version, calls; /* is it there? */
	int filled;
	struct dp_target target;
	struct job_site at;
	struct dp_dora_calls dora_calls;
	char dora[DP_READER_VERSION_MAX];
};

struct dp_reader {
	pid_t target; /* 0: any */
	struct dp_patience *patience;
	struct dp_reading *shared; /* with the process that runs; NULL none has been started */
	pid_t process;             /* 0 none */
	pid_t left;                /* killed, not waited for yet; 0 none */
	uint32_t asked;
	bool busy;   /* a question has not been answered, or nobody has taken its answer */
	bool wanted; /* the answer is not to be thrown away for another question */
	struct job question;
	uint64_t asked_ns;
	struct cpu_budget budget;
	uint64_t idle_until_ns;
	uint64_t ended_cpu_ns; /* of processes that have ended */
	struct first_answers first;
	unsigned int strikes;
	bool untold; /* given up on or read less often, and not said yet */
	char sentence[DP_REASON_MAX];
};

/* Asks, or takes the answer to the same question. *j gets the answer. Its result, or as reader.h says. */
int reader_ask(struct dp_reader *r, struct job *j);

#endif
