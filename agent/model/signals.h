/* SPDX-License-Identifier: MIT */
/* Signals that were generated for a process: who sent them, and when its handler ran. */
#ifndef DORA_PROBE_MODEL_SIGNALS_H
#define DORA_PROBE_MODEL_SIGNALS_H

#include "model/say.h"

struct signals {
	struct dp_signal_finding open[65]; /* by number; generated and not said yet */
	uint32_t kill_signal; /* last deadly signal generated for it: SIGTERM or SIGKILL */
	uint32_t killer_pid;
	uint64_t kill_ns;
	uint64_t fatal_ns; /* delivery of what ended it: the kernel shows it as SIGKILL */
};

/* A signal was generated, delivered or handled: said when there is nothing more to come. */
void signals_record(struct signals *s, const struct env *e, struct identity *id,
		    const struct dp_record *r);
/* Is the record the daemon's own SIGTERM for this process? */
bool signals_is_daemon_term(const struct identity *id, const struct dp_record *r);
/* Was the signal `by`, which ended the process, the daemon's? False where the daemon is not known. */
bool signals_is_of_daemon(const struct signals *s, const struct identity *id, uint32_t by);
/* The process has ended, by the signal `by` (0: by itself): says what was not said yet. */
void signals_exit(struct signals *s, const struct env *e, struct identity *id, int by,
		  uint64_t t_ns);

#endif
