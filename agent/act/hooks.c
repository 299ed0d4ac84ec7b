// SPDX-License-Identifier: MIT
/* The user's hooks; see hooks.h. */
#include "act/hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act/child.h"
#include "base/array.h"
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
	bool other_user; /* than the probe is */
	struct dp_user user;
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
	if (!len || len >= DP_HOOK_NAME_MAX || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != len)
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

/* ---- facts, from the lists of fields.h ------------------------------------------------------- */

/* "held_ns" as "HELD_NS". */
static const char *in_capitals(const char *name, char ret[DP_HOOK_NAME_MAX])
{
	size_t i;

	for (i = 0; name[i] && i < DP_HOOK_NAME_MAX - 1; i++)
		ret[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
	ret[i] = '\0';
	return ret;
}

/* One function a kind of field; what is null in JSON is not set. */

static void fact_TEXT(struct dp_hook_facts *f, const char *name, const char *value)
{
	char capitals[DP_HOOK_NAME_MAX];

	dp_hook_fact(f, in_capitals(name, capitals), value);
}

static void fact_COUNT(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	char capitals[DP_HOOK_NAME_MAX];

	if (value != DP_NULL)
		dp_hook_fact_u64(f, in_capitals(name, capitals), value);
}

static void fact_NUMBER(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	char capitals[DP_HOOK_NAME_MAX];

	dp_hook_fact_u64(f, in_capitals(name, capitals), value);
}

static void fact_ID(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	fact_COUNT(f, name, value ? value : DP_NULL);
}

static void fact_MOMENT(struct dp_hook_facts *f, const char *name, uint64_t value)
{
	fact_ID(f, name, value);
}

static void fact_LINE(struct dp_hook_facts *f, const char *name, int32_t value)
{
	fact_ID(f, name, value > 0 ? (uint64_t)value : 0);
}

static void fact_SLACK(struct dp_hook_facts *f, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	fact_TEXT(f, name, value == DP_SNULL ? NULL : text);
}

static void fact_BOOL(struct dp_hook_facts *f, const char *name, bool value)
{
	fact_TEXT(f, name, value ? "true" : "false");
}

/* A signal by its name alone, which a shell's kill takes as well as a person. */
static void fact_SIGNAL(struct dp_hook_facts *f, const char *name, uint32_t signal)
{
	struct dp_sentence s;
	char text[24];

	dp_sentence_begin(&s, text, sizeof(text));
	dp_say_signal(&s, signal);
	fact_TEXT(f, name, signal ? text : NULL);
}

static void fact_DEADLINE(struct dp_hook_facts *f, const char *name, unsigned int source)
{
	fact_TEXT(f, name, source == DP_DEADLINE_NONE ? NULL : dp_deadline_source_name(source));
}

static void fact_CAUSE(struct dp_hook_facts *f, const char *name, int cause)
{
	fact_TEXT(f, name, cause < 0 ? NULL : dp_cause_name((unsigned int)cause));
}

static void fact_PROOF(struct dp_hook_facts *f, const char *name, unsigned int proof)
{
	fact_TEXT(f, name, proof == DP_PROOF_NONE ? NULL : dp_proof_name(proof));
}

/* The threads of the chain, in its order. */
static void fact_CHAIN(struct dp_hook_facts *f, const char *name, const struct dp_rec_waits *w)
{
	char text[16 * DP_LINKS_MAX] = "";
	size_t used = 0;

	for (uint32_t i = 0; w && i < w->link_count && i < DP_LINKS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, used ? ",%u" : "%u",
					 w->links[i].tid);
	fact_TEXT(f, name, text);
}

/* The words, with a comma between them. */
static void fact_EVIDENCE(struct dp_hook_facts *f, const char *name, uint32_t evidence)
{
	char text[128] = "";
	struct dp_sentence s;

	dp_sentence_begin(&s, text, sizeof(text));
	for (unsigned int i = 0; i < DP_EVIDENCE_COUNT; i++) {
		if (!(evidence & 1u << i))
			continue;
		if (text[0])
			dp_say(&s, ",");
		dp_say(&s, dp_evidence_name(i));
	}
	fact_TEXT(f, name, text[0] ? text : NULL);
}

#define FACT_WORD(kind, word)                                                                      \
	static void fact_##kind(struct dp_hook_facts *f, const char *name, unsigned int value)     \
	{                                                                                          \
		fact_TEXT(f, name, word(value));                                                   \
	}
FACT_WORD(KIND, dp_warning_name)
FACT_WORD(SEVERITY, dp_severity_name)
FACT_WORD(ACTION, dp_action_name)
FACT_WORD(RESULT, dp_action_result_name)

#define FACT_F(kind, type, name, null, unit, meaning)                                              \
	FACT_V(kind, name, d->name, null, unit, meaning)
#define FACT_V(kind, name, value, null, unit, meaning)                                             \
	_Static_assert(sizeof(#name) <= DP_HOOK_NAME_MAX, #name);                                  \
	fact_##kind(facts, #name, value);
#define FACT_M(type, name)

static void warning_facts(struct dp_hook_facts *facts, const struct dp_finding *f)
{
	const struct dp_warning_finding *d = &f->u.warning;

	DP_FINDING_warning(FACT_F, FACT_V, FACT_M)
}

static void action_facts(struct dp_hook_facts *facts, const struct dp_finding *f)
{
	const struct dp_action_finding *d = &f->u.action;

	DP_FINDING_action(FACT_F, FACT_V, FACT_M)
}

int dp_hook_facts_from(struct dp_hook_facts *f, const struct dp_finding *finding)
{
	if (finding->type != DP_FIND_WARNING && finding->type != DP_FIND_ACTION)
		return -EINVAL;
	dp_hook_facts_begin(f, finding->pid);
	fact_NUMBER(f, "t_ns", finding->t_ns);
	if (finding->type == DP_FIND_WARNING) {
		fact_TEXT(f, "event", "warning");
		warning_facts(f, finding);
	} else {
		fact_TEXT(f, "event", "action");
		action_facts(f, finding);
	}
	return 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* What of the caller's environment is wrong for another user. */
static bool is_of_user(const char *variable)
{
	static const char *const names[] = {"HOME=", "USER=", "LOGNAME=", "XDG_RUNTIME_DIR="};

	for (size_t i = 0; i < DP_COUNT_OF(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
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
	h->other_user = o->user && dp_user_is_other(o->user);
	if (h->other_user)
		h->user = *o->user;
	h->env = calloc(n + 2 + DP_HOOK_FACTS_MAX + 1, sizeof(*h->env));
	if (!h->env) {
		free(h);
		return -ENOMEM;
	}
	/* What a hook finds under our prefix is from us, or is not there. */
	for (i = 0; i < n; i++)
		if (strncmp(o->environment[i], PREFIX, strlen(PREFIX)) != 0 &&
		    !(h->other_user && is_of_user(o->environment[i])))
			h->env[h->inherited++] = o->environment[i];
	if (h->other_user) {
		h->env[h->inherited++] = h->user.home;
		h->env[h->inherited++] = h->user.name;
	}
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
	if (h->other_user)
		dp_user_become(&h->user, &o);
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
