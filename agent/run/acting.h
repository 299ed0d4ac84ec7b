/* SPDX-License-Identifier: MIT */
/* The effects of a live run: the guard's hands, the hooks, `dora stop`. */
#ifndef DORA_PROBE_ACTING_H
#define DORA_PROBE_ACTING_H

#include "act/doracli.h"
#include "act/hands.h"
#include "act/hooks.h"
#include "dora_probe/finding.h"
#include "sense/targets.h"

struct dp_acting_options {
	const char *on_warning, *on_action; /* commands, NULL none; must outlive it */
	const char *hook_user;              /* as whom they run; NULL: who has started the probe */
	const char *dora_cli;               /* NULL: by PATH */
	bool may_stop_dataflow;             /* a `dora` is needed */
	bool may_signal;                    /* --shutdown other than observe */
};

struct dp_acting {
	struct dp_acting_options o;
	struct dp_targets *targets;
	void (*record)(void *ctx, const struct dp_record *r); /* an answer */
	void (*say)(void *ctx, const char *sentence);
	void *ctx;

	struct dp_hands *hands;
	struct dp_hooks *hooks;
	struct dp_user hook_user;
	struct dp_doracli *dora;
	char dora_path[512];
};

/* With the sinks filled in, the rest zeroed. 0, or -errno with a sentence in `why`. */
int dp_acting_open(struct dp_acting *a, char *why, size_t why_len);
/* Does it run programs; as other users? Known once it is open. */
bool dp_acting_runs(const struct dp_acting *a);
bool dp_acting_switches_user(const struct dp_acting *a);
/* Does what the model asks for; its other requests are passed on to the targets. */
void dp_acting_request(struct dp_acting *a, const struct dp_request *q);
/* Runs the hooks of a finding, and tries the rights that a new node needs. */
void dp_acting_finding(struct dp_acting *a, const struct dp_finding *f);
/* Hears of commands that have ended. Returns how many still run. */
unsigned int dp_acting_poll(struct dp_acting *a, uint64_t now_ns);
void dp_acting_close(struct dp_acting *a);

#endif
