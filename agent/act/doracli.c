// SPDX-License-Identifier: MIT
/* `dora stop`; see doracli.h. */
#include "act/doracli.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/child.h"
#include "act/user.h"
#include "base/units.h"
#include "base/sentence.h"
#include "base/uuid.h"

/* `dora stop` returns when the dataflow has ended, at 1.5 D at the latest, and starts Python. */
#define MORE_NS      (10 * SEC)
#define GRACE_MIN_NS MS
#define GRACE_MAX_NS (24 * 3600 * SEC)
#define ENV_MAX      32

struct running {
	struct dp_child child;
	uint32_t pid;
	uint32_t attempt;
	char dataflow[DP_UUID_MAX];
};

struct dp_doracli {
	const char *command;
	char *const *environment;
	struct running running[DP_DORACLI_RUNNING_MAX];
};

static int runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int dp_doracli_find(const char *given, const char *path, char *ret, size_t len)
{
	char candidate[PATH_MAX], real[PATH_MAX];
	const char *dir, *end;

	if (given) {
		if (!runnable(given) || !realpath(given, real))
			return -ENOENT;
		/*
		 * The name as given, only made absolute: a script of a virtual environment may be a
		 * link, and finds its Python by where it is called.
		 */
		if (given[0] == '/')
			snprintf(candidate, sizeof(candidate), "%s", given);
		else
			snprintf(candidate, sizeof(candidate), "%s", real);
		goto found;
	}
	for (dir = path; dir && *dir; dir = *end ? end + 1 : end) {
		end = strchrnul(dir, ':');
		/* An empty or relative entry means the current directory: anybody's. */
		if (*dir != '/' || end - dir > PATH_MAX - 8)
			continue;
		snprintf(candidate, sizeof(candidate), "%.*s/dora", (int)(end - dir), dir);
		if (runnable(candidate))
			goto found;
	}
	return -ENOENT;
found:
	if (strlen(candidate) >= len)
		return -ENAMETOOLONG;
	memcpy(ret, candidate, strlen(candidate) + 1);
	return 0;
}

int dp_doracli_new(const char *command, char *const *environment, struct dp_doracli **ret)
{
	struct dp_doracli *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->command = command;
	c->environment = environment;
	*ret = c;
	return 0;
}

void dp_doracli_free(struct dp_doracli *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < DP_DORACLI_RUNNING_MAX; i++)
		dp_child_kill(&c->running[i].child);
	free(c);
}

static void answer_begin(struct dp_rec_action *ret, struct dp_sentence *s, uint32_t attempt,
			 enum dp_action_result result)
{
	memset(ret, 0, sizeof(*ret));
	ret->action = DP_ACTION_STOP_DATAFLOW;
	ret->result = (uint8_t)result;
	ret->attempt = attempt;
	dp_sentence_begin(s, ret->reason, sizeof(ret->reason));
}

static void fail(struct dp_rec_action *ret, const struct dp_request *q,
		 enum dp_action_result result, const char *text)
{
	struct dp_sentence s;

	answer_begin(ret, &s, q->attempt, result);
	dp_say(&s, text);
}

static int handed_on(const char *e)
{
	return !strncmp(e, "LANG=", 5) || !strncmp(e, "LC_", 3) || !strncmp(e, "TZ=", 3) ||
	       (!strncmp(e, "DORA_", 5) && strncmp(e, "DORA_PROBE_", 11) != 0);
}

/* Why this request cannot be carried out at all; NULL if it can. */
static const char *cannot(const struct dp_doracli *c, const struct dp_request *q,
			  enum dp_action_result *ret_result)
{
	*ret_result = DP_RESULT_REFUSED;
	if (!memchr(q->dataflow, 0, sizeof(q->dataflow)) || !dp_uuid_is(q->dataflow))
		return "dora stop: the dataflow's uuid is not known";
	if (q->grace_ns < GRACE_MIN_NS || q->grace_ns > GRACE_MAX_NS)
		return "dora stop: no sensible grace period";
	*ret_result = DP_RESULT_FAILED;
	if (!c->command[0])
		return "no `dora` command in PATH; name it with --dora-cli PATH";
	return NULL;
}

/* A place for one more `dora stop`; NULL and why if there is none for this dataflow. */
static struct running *place_for(struct dp_doracli *c, const char *dataflow, const char **why)
{
	struct running *free_one = NULL;

	for (size_t i = 0; i < DP_DORACLI_RUNNING_MAX; i++) {
		struct running *r = &c->running[i];

		if (!r->child.pid) {
			free_one = free_one ? free_one : r;
		} else if (!strcmp(r->dataflow, dataflow)) {
			*why = "dora stop: runs already for this dataflow";
			return NULL;
		}
	}
	*why = "dora stop: too many are running";
	return free_one;
}

/* What the command gets for its environment: home, user, a path, and what may be handed on. */
static void fill_environment(const struct dp_doracli *c, char *home, char *name,
			     char *env[static ENV_MAX + 4])
{
	size_t n = 0;

	env[n++] = home;
	env[n++] = name;
	env[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
	for (size_t i = 0; c->environment && c->environment[i] && n < ENV_MAX; i++)
		if (handed_on(c->environment[i]))
			env[n++] = c->environment[i];
	env[n] = NULL;
}

int dp_doracli_stop(struct dp_doracli *c, const struct dp_request *q, uid_t uid, uint64_t now_ns,
		    struct dp_rec_action *ret)
{
	struct dp_child_options o = {0};
	struct dp_user user;
	char grace[32];
	char *argv[] = {(char *)c->command, "stop", NULL, "--grace-duration", grace, NULL};
	char *env[ENV_MAX + 4];
	enum dp_action_result result;
	struct running *r;
	const char *why = cannot(c, q, &result);
	int err;

	if (why) {
		fail(ret, q, result, why);
		return 1;
	}
	r = place_for(c, q->dataflow, &why);
	if (!r) {
		fail(ret, q, DP_RESULT_REFUSED, why);
		return 1;
	}
	snprintf(r->dataflow, sizeof(r->dataflow), "%s", q->dataflow);
	argv[2] = r->dataflow;
	/* Whole milliseconds: dora's duration syntax has no fractions. */
	snprintf(grace, sizeof(grace), "%" PRIu64 "ms", (uint64_t)(q->grace_ns / MS));
	dp_user_of(uid, &user);
	dp_user_become(&user, &o);
	fill_environment(c, user.home, user.name, env);
	o.path = c->command;
	o.argv = argv;
	o.envp = env;
	o.limit_ns = q->grace_ns + q->grace_ns / 2 + MORE_NS;
	err = dp_child_start(&o, now_ns, &r->child);
	if (err) {
		fail(ret, q, DP_RESULT_FAILED, strerror(-err));
		return 1;
	}
	r->pid = q->pid;
	r->attempt = q->attempt;
	return 0;
}

unsigned int dp_doracli_poll(struct dp_doracli *c, uint64_t now_ns, dp_doracli_done done, void *ctx)
{
	struct dp_rec_action ret;
	struct dp_child_end end;
	struct dp_sentence s;
	unsigned int i, running = 0;

	for (i = 0; i < DP_DORACLI_RUNNING_MAX; i++) {
		struct running *r = &c->running[i];

		if (!r->child.pid)
			continue;
		if (!dp_child_poll(&r->child, now_ns, &end)) {
			running++;
			continue;
		}
		answer_begin(&ret, &s, r->attempt,
			     end.code == 0 ? DP_RESULT_SENT : DP_RESULT_FAILED);
		dp_say(&s, "dora stop ");
		dp_say(&s, r->dataflow);
		if (end.timed_out)
			dp_say(&s, " killed at its time limit, after ");
		else
			dp_say(&s, end.code == 0 ? " done after " : " failed after ");
		dp_say_duration(&s, end.took_ns);
		if (end.code != 0 && r->child.text_len) {
			dp_say(&s, ": ");
			dp_say(&s, r->child.text);
		}
		done(ctx, r->pid, &ret);
	}
	return running;
}
