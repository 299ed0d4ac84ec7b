// SPDX-License-Identifier: MIT
/* Effects (acting.h). */
#include "run/acting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* 0; -EINVAL with a sentence. */
static int find_hook_user(struct dp_acting *a, char *why, size_t why_len)
{
	if (!a->o.hook_user) {
		dp_user_of(dp_user_invoking(), &a->hook_user);
		return 0;
	}
	if (dp_user_named(a->o.hook_user, &a->hook_user) == 0)
		return 0;
	snprintf(why, why_len, "--hook-user: there is no user %s", a->o.hook_user);
	return -EINVAL;
}

bool dp_acting_runs(const struct dp_acting *a)
{
	return a->o.may_stop_dataflow || a->o.on_warning || a->o.on_action;
}

bool dp_acting_switches_user(const struct dp_acting *a)
{
	return a->o.may_stop_dataflow ||
	       ((a->o.on_warning || a->o.on_action) && dp_user_is_other(&a->hook_user));
}

int dp_acting_open(struct dp_acting *a, char *why, size_t why_len)
{
	struct dp_hands_options hands = {0};
	struct dp_hooks_options hooks = {
		.on_warning = a->o.on_warning, .on_action = a->o.on_action, .environment = environ};
	int err = find_hook_user(a, why, why_len);

	if (err)
		return err;
	hooks.user = &a->hook_user;
	err = dp_hands_new(&hands, &a->hands);
	if (!err)
		err = dp_hooks_new(&hooks, &a->hooks);
	a->dora_path[0] = '\0';
	if (!err && a->o.may_stop_dataflow &&
	    dp_doracli_find(a->o.dora_cli, getenv("PATH"), a->dora_path, sizeof(a->dora_path)) < 0)
		a->say(a->ctx,
		       "no `dora` command found: --stop-dataflow-after cannot act; give its path with --dora-cli");
	if (!err)
		err = dp_doracli_new(a->dora_path, environ, &a->dora);
	if (err)
		snprintf(why, why_len, "%s", strerror(-err));
	return err;
}

static void push_answer(void *ctx, uint32_t pid, const struct dp_rec_action *answer)
{
	struct dp_acting *a = ctx;
	struct dp_record r;

	dp_record_init(&r, DP_REC_ACTION_RESULT, dp_now(), pid, 0);
	r.u.action = *answer;
	a->record(a->ctx, &r);
}

struct look {
	struct dp_targets *targets;
	bool anywhere;
};

static int still(void *ctx, pid_t pid, pid_t tid, char *why, size_t why_len)
{
	const struct look *l = ctx;

	/* Main runs Python's handlers wherever it is. */
	if (l->anywhere && pid == tid)
		return 1;
	return dp_targets_still(l->targets, pid, tid, why, why_len);
}

static void act(struct dp_acting *a, const struct dp_request *q)
{
	const struct dp_rec_node *facts = dp_targets_facts(a->targets, (pid_t)q->pid);
	struct dp_record r;

	/* The time before the signal: what it makes the process do comes after it. */
	dp_record_init(&r, DP_REC_ACTION_RESULT, dp_now(), q->pid, q->tid);
	memset(&r.u.action, 0, sizeof(r.u.action));
	if (q->action == DP_ACTION_STOP_DATAFLOW) {
		if (!facts || dp_doracli_stop(a->dora, q, facts->uid, dp_now(), &r.u.action) == 0)
			return;
	} else {
		struct look look = {.targets = a->targets, .anywhere = q->anywhere};

		dp_hands_act(a->hands, q, still, &look, &r.u.action);
	}
	a->record(a->ctx, &r);
}

/* --on-warning and --on-action; what a hook's own end says starts no further hook. */
static void hook(struct dp_acting *a, const struct dp_finding *f)
{
	enum dp_hook_kind kind = f->type == DP_FIND_WARNING ? DP_HOOK_WARNING : DP_HOOK_ACTION;
	struct dp_hook_facts facts;
	struct dp_rec_action answer;
	int err;

	if (f->type == DP_FIND_ACTION && f->u.action.action == DP_ACTION_HOOK)
		return;
	if ((kind == DP_HOOK_WARNING && !a->o.on_warning) ||
	    (kind == DP_HOOK_ACTION && !a->o.on_action))
		return;
	dp_hook_facts_begin(&facts, f->pid);
	if (dp_hook_facts_from(&facts, f) < 0)
		return;
	err = dp_hooks_run(a->hooks, kind, &facts, dp_now(), &answer);
	if (err && err != -ENOENT)
		push_answer(a, f->pid, &answer);
}

/* A right that is missing is to be known before it matters. */
static void self_test(struct dp_acting *a, const struct dp_finding *f)
{
	char why[DP_REASON_MAX], line[DP_REASON_MAX + DP_ID_MAX + 32];

	if (!a->o.may_signal || !f->u.node.facts->is_dora)
		return;
	if (dp_hands_self_test(a->hands, (pid_t)f->pid, f->u.node.facts->start_time, why,
			       sizeof(why)) == 0)
		return;
	snprintf(line, sizeof(line), "%s could not be helped: %s", f->u.node.facts->node, why);
	a->say(a->ctx, line);
}

void dp_acting_finding(struct dp_acting *a, const struct dp_finding *f)
{
	if (f->type == DP_FIND_WARNING || f->type == DP_FIND_ACTION)
		hook(a, f);
	if (f->type == DP_FIND_NODE)
		self_test(a, f);
}

void dp_acting_request(struct dp_acting *a, const struct dp_request *q)
{
	if (q->type == DP_REQ_ACT) {
		act(a, q);
		return;
	}
	/* A thread is taken hold of when it is named, before its id can pass to another. */
	if (q->type == DP_REQ_READ_STACK && a->o.may_signal)
		dp_hands_aim(a->hands, (pid_t)q->pid, q->start_time, (pid_t)q->tid);
	dp_targets_request(a->targets, q);
}

unsigned int dp_acting_poll(struct dp_acting *a, uint64_t now_ns)
{
	return dp_hooks_poll(a->hooks, now_ns, push_answer, a) +
	       dp_doracli_poll(a->dora, now_ns, push_answer, a);
}

void dp_acting_close(struct dp_acting *a)
{
	dp_hooks_free(a->hooks);
	dp_doracli_free(a->dora);
	dp_hands_free(a->hands);
}
