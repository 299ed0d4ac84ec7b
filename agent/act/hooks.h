/* SPDX-License-Identifier: MIT */
/*
 * --on-warning CMD and --on-action CMD: the user's commands, run by /bin/sh -c. The facts reach
 * them in environment variables DORA_PROBE_* alone and are never part of the command.
 */
#ifndef DORA_PROBE_HOOKS_H
#define DORA_PROBE_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "act/user.h"
#include "base/units.h"
#include "dora_probe/finding.h"
#include "dora_probe/record.h"

#define DP_HOOK_LIMIT_NS     (5 * SEC)
#define DP_HOOKS_RUNNING_MAX 4u
#define DP_HOOK_FACTS_MAX    32u
#define DP_HOOK_NAME_MAX     21u  /* bytes of a name without DORA_PROBE_, with its NUL */
#define DP_HOOK_VALUE_MAX    256u /* bytes of one value; longer ones are cut */

struct dp_hooks;

struct dp_hooks_options {
	const char *on_warning, *on_action; /* NULL: none */
	uint64_t limit_ns;                  /* 0: 5 s */
	unsigned int max_running;           /* 0, or above it: DP_HOOKS_RUNNING_MAX */
	char *const *environment;           /* the caller's own, handed on but for DORA_PROBE_* */
	const struct dp_user *user;         /* they run as; NULL: as the probe does. Copied */
};

/* The facts of one run. */
struct dp_hook_facts {
	unsigned int count;
	uint32_t pid; /* that they are about */
	char text[DP_HOOK_FACTS_MAX][32 + DP_HOOK_VALUE_MAX];
};

void dp_hook_facts_begin(struct dp_hook_facts *f, uint32_t pid);
/*
 * Adds DORA_PROBE_<name>=value, name in capitals. Control bytes of the value become '?'. NULL and
 * "" (unknown) add nothing: an unknown fact is an unset variable. 0, -ENOSPC, -EINVAL (the name).
 */
int dp_hook_fact(struct dp_hook_facts *f, const char *name, const char *value);
int dp_hook_fact_u64(struct dp_hook_facts *f, const char *name, uint64_t value);
/* All facts of a WARNING or ACTION, named as the fields of its JSON line. -EINVAL for others. */
int dp_hook_facts_from(struct dp_hook_facts *f, const struct dp_finding *finding);

enum dp_hook_kind { DP_HOOK_WARNING, DP_HOOK_ACTION };

/* 0 and *ret (owned by the caller), or -errno. The options' strings must outlive the object. */
int dp_hooks_new(const struct dp_hooks_options *o, struct dp_hooks **ret);
/* Kills what still runs. */
void dp_hooks_free(struct dp_hooks *h);

/*
 * Starts a hook. now_ns: CLOCK_MONOTONIC. 0 started, the answer comes by dp_hooks_poll; -ENOENT
 * none is configured, nothing to answer; -EBUSY as many as may be are running; other -errno. *ret
 * is the answer when it is neither 0 nor -ENOENT.
 */
int dp_hooks_run(struct dp_hooks *h, enum dp_hook_kind kind, const struct dp_hook_facts *f,
		 uint64_t now_ns, struct dp_rec_action *ret);

typedef void (*dp_hook_done)(void *ctx, uint32_t pid, const struct dp_rec_action *answer);

/*
 * Looks after the running ones, to be called at every tick; `done` gets each that has ended. Never
 * blocks. Returns how many still run.
 */
unsigned int dp_hooks_poll(struct dp_hooks *h, uint64_t now_ns, dp_hook_done done, void *ctx);

#endif
