/* SPDX-License-Identifier: MIT */
/* Signals that were generated for a process: who sent them, and when its handler ran. */
#ifndef DORA_PROBE_MODEL_SIGNALS_H
#define DORA_PROBE_MODEL_SIGNALS_H

#include "model/say.h"

struct signals {
	struct dp_signal_finding open[65];         /* by number; generated and not said yet */
	uint64_t delivered_ns[65], handled_ns[65]; /* by number, the last time; 0 never */
	uint32_t kill_signal; /* last deadly signal generated for it: SIGTERM or SIGKILL */
	uint32_t killer_pid;
	uint64_t kill_ns;
	uint64_t fatal_ns; /* delivery of what ended it: the kernel shows it as SIGKILL */
};

/* A signal was generated, delivered or handled: said when there is nothing more to come. */
void signals_record(struct signals *s, const struct env *e, struct identity *id,
		    const struct dp_record *r);
/* The daemon's own deadly signal for this process, SIGTERM or SIGKILL; 0: the record is another. */
uint32_t signals_of_daemon(const struct identity *id, const struct dp_record *r);
/* The process has ended, by the signal `by` (0: by itself): says what was not said yet. */
void signals_exit(struct signals *s, const struct env *e, struct identity *id, int by,
		  uint64_t t_ns);

#endif
