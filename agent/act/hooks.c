// SPDX-License-Identifier: MIT
/* The user's hooks; see hooks.h. */
#include "act/hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act/child.h"
#include "base/utf8.h"
#include "base/sentence.h"

#define PREFIX "DORA_PROBE_"

struct running {
	struct dp_child child;
	uint32_t pid; /* the node's */
	enum dp_hook_kind kind;
};

struct dp_hooks {
	const char *command[2];
	uint64_t limit_ns;
	unsigned int max_running;
	size_t inherited;
	char **env; /* inherited ones, then room for the facts and NULL */
	struct running running[DP_HOOKS_RUNNING_MAX];
};

void dp_hook_facts_begin(struct dp_hook_facts *f, uint32_t pid)
{
	f->count = 0;
	f->pid = pid;
}

int dp_hook_fact(struct dp_hook_facts *f, const char *name, const char *value)
{
	size_t len = strlen(name);
	struct dp_sentence s;
	char *text;

	if (!value || !value[0])
		return 0;
	if (!len || len > 20 || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != len)
		return -EINVAL;
	if (f->count >= DP_HOOK_FACTS_MAX)
		return -ENOSPC;
	text = f->text[f->count];
	dp_sentence_begin(&s, text, sizeof(f->text[0]));
	dp_say(&s, PREFIX);
	dp_say(&s, name);
	dp_say(&s, "=");
	/* A script that reads lines must not see two where there is one. */
	dp_utf8_copy(text + s.len, DP_HOOK_VALUE_MAX, value, strlen(value));
	f->count++;
	return 0;
}

int dp_hook_fact_u64(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return dp_hook_fact(f, name, text);
}

/* A time or count that may be null. */
static void fact_time(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	if (value != DP_NULL)
		dp_hook_fact_u64(f, name, value);
}

static void fact_id(struct dp_hook_facts *f, const char *name, uint32_t value)
{
	if (value)
		dp_hook_fact_u64(f, name, value);
}

static void warning_facts(struct dp_hook_facts *f, const struct dp_warning_finding *w)
{
	char text[24];

	dp_hook_fact(f, "EVENT", "warning");
	dp_hook_fact(f, "KIND", dp_warning_name(w->kind));
	dp_hook_fact(f, "SEVERITY", dp_severity_name(w->severity));
	if (w->cause >= 0)
		dp_hook_fact(f, "CAUSE", dp_cause_name((unsigned int)w->cause));
	dp_hook_fact(f, "RESOLVED", w->resolved ? "true" : "false");
	fact_id(f, "HOLDER_TID", w->holder_tid);
	dp_hook_fact(f, "THREAD", w->place.thread);
	dp_hook_fact(f, "FUNCTION", w->place.function);
	dp_hook_fact(f, "FILE", w->place.file);
	dp_hook_fact(f, "LIBRARY", w->place.library);
	if (w->place.line > 0)
		dp_hook_fact_u64(f, "LINE", (uint64_t)w->place.line);
	fact_time(f, "HELD_NS", w->held_ns);
	fact_time(f, "PENDING_TOKENS", w->pending_tokens);
	fact_time(f, "OLDEST_PENDING_NS", w->oldest_pending_ns);
	fact_time(f, "DEADLINE_NS", w->deadline_ns);
	if (w->slack_ns != DP_SNULL) {
		snprintf(text, sizeof(text), "%" PRId64, w->slack_ns);
		dp_hook_fact(f, "SLACK_NS", text);
	}
	dp_hook_fact(f, "ADVICE", w->advice);
}

static void action_facts(struct dp_hook_facts *f, const struct dp_action_finding *a)
{
	struct dp_sentence s;
	char text[24];

	dp_hook_fact(f, "EVENT", "action");
	dp_hook_fact(f, "ACTION", dp_action_name(a->action));
	dp_hook_fact(f, "RESULT", dp_action_result_name(a->result));
	dp_hook_fact(f, "DRY_RUN", a->dry_run ? "true" : "false");
	if (a->signal) {
		dp_sentence_begin(&s, text, sizeof(text));
		dp_say_signal(&s, a->signal);
		dp_hook_fact(f, "SIGNAL", text);
	}
	fact_id(f, "TID", a->tid);
	fact_id(f, "ATTEMPT", a->attempt);
	dp_hook_fact(f, "REASON", a->reason);
}

int dp_hook_facts_from(struct dp_hook_facts *f, const struct dp_finding *finding)
{
	if (finding->type != DP_FIND_WARNING && finding->type != DP_FIND_ACTION)
		return -EINVAL;
	dp_hook_facts_begin(f, finding->pid);
	dp_hook_fact_u64(f, "T_NS", finding->t_ns);
	fact_id(f, "PID", finding->pid);
	dp_hook_fact(f, "DATAFLOW", finding->dataflow);
	dp_hook_fact(f, "NODE", finding->node);
	if (finding->type == DP_FIND_WARNING)
		warning_facts(f, &finding->u.warning);
	else
		action_facts(f, &finding->u.action);
	return 0;
}

int dp_hooks_new(const struct dp_hooks_options *o, struct dp_hooks **ret)
{
	struct dp_hooks *h = calloc(1, sizeof(*h));
	size_t n = 0, i;

	if (!h)
		return -ENOMEM;
	h->command[DP_HOOK_WARNING] = o->on_warning;
	h->command[DP_HOOK_ACTION] = o->on_action;
	h->limit_ns = o->limit_ns ? o->limit_ns : DP_HOOK_LIMIT_NS;
	h->max_running = o->max_running && o->max_running < DP_HOOKS_RUNNING_MAX
				 ? o->max_running
				 : DP_HOOKS_RUNNING_MAX;
	while (o->environment && o->environment[n])
		n++;
	h->env = calloc(n + DP_HOOK_FACTS_MAX + 1, sizeof(*h->env));
	if (!h->env) {
		free(h);
		return -ENOMEM;
	}
	/* What a hook finds under our prefix is from us, or is not there. */
	for (i = 0; i < n; i++)
		if (strncmp(o->environment[i], PREFIX, strlen(PREFIX)) != 0)
			h->env[h->inherited++] = o->environment[i];
	*ret = h;
	return 0;
}

void dp_hooks_free(struct dp_hooks *h)
{
	size_t i;

	if (!h)
		return;
	for (i = 0; i < DP_HOOKS_RUNNING_MAX; i++)
		dp_child_kill(&h->running[i].child);
	free(h->env);
	free(h);
}

static void answer_begin(struct dp_rec_action *ret, struct dp_sentence *s, enum dp_hook_kind kind)
{
	memset(ret, 0, sizeof(*ret));
	ret->action = DP_ACTION_HOOK;
	ret->result = DP_RESULT_FAILED;
	ret->attempt = 1;
	dp_sentence_begin(s, ret->reason, sizeof(ret->reason));
	dp_say(s, kind == DP_HOOK_WARNING ? "--on-warning: " : "--on-action: ");
}

int dp_hooks_run(struct dp_hooks *h, enum dp_hook_kind kind, const struct dp_hook_facts *f,
		 uint64_t now_ns, struct dp_rec_action *ret)
{
	char *argv[] = {"sh", "-c", (char *)h->command[kind], NULL};
	struct dp_child_options o = {
		.path = "/bin/sh", .argv = argv, .envp = h->env, .limit_ns = h->limit_ns};
	struct running *r = NULL;
	struct dp_sentence s;
	unsigned int i;
	int err;

	if (!h->command[kind])
		return -ENOENT;
	for (i = 0; i < h->max_running && !r; i++)
		if (!h->running[i].child.pid)
			r = &h->running[i];
	if (!r) {
		answer_begin(ret, &s, kind);
		dp_say(&s, "not run: ");
		dp_say_u64(&s, h->max_running);
		dp_say(&s, " hooks are running already");
		return -EBUSY;
	}
	/* The child has its own copy from fork on, so the facts need to live no longer than that.
	 */
	for (i = 0; i < f->count; i++)
		h->env[h->inherited + i] = (char *)f->text[i];
	h->env[h->inherited + i] = NULL;
	err = dp_child_start(&o, now_ns, &r->child);
	h->env[h->inherited] = NULL;
	if (err) {
		answer_begin(ret, &s, kind);
		dp_say(&s, "not run: ");
		dp_say(&s, strerror(-err));
		return err;
	}
	r->pid = f->pid;
	r->kind = kind;
	return 0;
}

static void answer(const struct running *r, const struct dp_child_end *end,
		   struct dp_rec_action *ret)
{
	struct dp_sentence s;

	answer_begin(ret, &s, r->kind);
	if (end->code == 0)
		ret->result = DP_RESULT_SENT;
	if (end->timed_out) {
		dp_say(&s, "killed at its time limit, after ");
	} else if (end->code >= 0) {
		dp_say(&s, "exit code ");
		dp_say_u64(&s, (uint64_t)end->code);
		dp_say(&s, " after ");
	} else if (end->signal) {
		dp_say(&s, "ended by ");
		dp_say_signal(&s, (uint32_t)end->signal);
		dp_say(&s, " after ");
	} else {
		dp_say(&s, "ended, how is not known, after ");
	}
	dp_say_duration(&s, end->took_ns);
	if (ret->result != DP_RESULT_SENT && r->child.text_len) {
		dp_say(&s, ": ");
		dp_say(&s, r->child.text);
	}
}

unsigned int dp_hooks_poll(struct dp_hooks *h, uint64_t now_ns, dp_hook_done done, void *ctx)
{
	struct dp_rec_action ret;
	struct dp_child_end end;
	unsigned int i, running = 0;

	for (i = 0; i < DP_HOOKS_RUNNING_MAX; i++) {
		struct running *r = &h->running[i];

		if (!r->child.pid)
			continue;
		if (!dp_child_poll(&r->child, now_ns, &end)) {
			running++;
			continue;
		}
		answer(r, &end, &ret);
		done(ctx, r->pid, &ret);
	}
	return running;
}
