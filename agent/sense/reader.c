// SPDX-License-Identifier: MIT
/* Asking a reader: its process is started, waited for within limits, ended (reader.h). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/utf8.h"
#include "sense/reader_job.h"

/* A read of memory that is swapped out, or of a file on a slow disk, is there by then … */
#define STUCK_NS (1000 * MS)
/* … and the search through all files of a program that has just been started. */
#define OPEN_STUCK_NS (3000 * MS)
/* CPU time of that search, and of reading one target within a second. */
#define OPEN_BUDGET_NS (500 * MS)
#define BUDGET_NS      (250 * MS)
/* It is left alone for a second, then two, four … at most. */
#define STRIKES_MAX 7
/* A slow processor may need more for its search than the first budget: it doubles so many times. */
#define DOUBLINGS_MAX 3

struct dp_reader {
	pid_t target; /* 0: any */
	struct dp_patience *patience;
	struct dp_reading *shared; /* with the process that runs; NULL none has been started */
	pid_t process;             /* 0 none */
	pid_t left;                /* killed, not waited for yet; 0 none */
	uint32_t asked;
	bool busy; /* a question has not been answered, or nobody has taken its answer */
	struct job question;
	uint64_t asked_ns;
	uint64_t second_ns,
		second_cpu_ns; /* begin of the second whose CPU time is limited, and then */
	uint64_t idle_until_ns;
	uint64_t ended_cpu_ns; /* of processes that have ended */
	unsigned int strikes;
	bool news; /* given up on, and not told yet */
	char sentence[DP_REASON_MAX];
};

struct dp_reader *dp_reader_new(pid_t pid, struct dp_patience *p)
{
	struct dp_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->target = pid;
	r->patience = p;
	return r;
}

uint64_t dp_reader_cpu_ns(const struct dp_reader *r)
{
	return r->ended_cpu_ns + (r->shared ? atomic_load(&r->shared->cpu_ns) : 0);
}

pid_t dp_reader_process(const struct dp_reader *r)
{
	return r->process;
}

/* CPU time of its process as the kernel has it now, also in the middle of an answer; ns, 0 unknown. */
static uint64_t used_ns(const struct dp_reader *r)
{
	clockid_t clock;

	return clock_getcpuclockid(r->process, &clock) ? 0 : dp_clock_ns(clock);
}

/* One that waits for what never comes cannot be ended where the kernel does not let it: it stays. */
/* Takes the exit of a reader that was long in dying: one in a page fault, say. */
static void reap(struct dp_reader *r)
{
	if (r->left && waitpid(r->left, NULL, WNOHANG) != 0)
		r->left = 0;
}

static void end_process(struct dp_reader *r)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t used = r->process ? used_ns(r) : 0;

	if (used)
		atomic_store(&r->shared->cpu_ns, used);
	if (r->process) {
		kill(r->process, SIGKILL);
		r->left = r->process;
		for (int i = 0; i < 5 && r->left; i++) {
			reap(r);
			if (r->left)
				nanosleep(&pause, NULL);
		}
	}
	r->ended_cpu_ns = dp_reader_cpu_ns(r);
	if (r->shared)
		munmap(r->shared, sizeof(*r->shared));
	r->shared = NULL;
	r->process = 0;
	r->busy = false;
}

void dp_reader_free(struct dp_reader *r)
{
	if (!r)
		return;
	end_process(r);
	free(r);
}

static void give_up(struct dp_reader *r, uint64_t now_ns, const char *why)
{
	unsigned int seconds = 1u << (r->strikes < STRIKES_MAX ? r->strikes++ : STRIKES_MAX - 1);

	r->idle_until_ns = now_ns + seconds * SEC;
	r->news = true;
	snprintf(r->sentence, sizeof(r->sentence), "%s; it is left alone for %u s", why, seconds);
}

static bool is_answered(const struct dp_reader *r)
{
	return atomic_load(&r->shared->answered) == r->asked;
}

/* Why its answer is no longer waited for; NULL: it is. */
static const char *lost_patience(const struct dp_reader *r, uint64_t now_ns)
{
	static const char *const slow[DOUBLINGS_MAX + 1] = {
		"looking for a Python in it has taken longer than 3 s",
		"looking for a Python in it has taken longer than 6 s",
		"looking for a Python in it has taken longer than 12 s",
		"looking for a Python in it has taken longer than 24 s",
	};
	static const char *const busy[DOUBLINGS_MAX + 1] = {
		"looking for a Python in it has taken more than 500 ms of CPU time",
		"looking for a Python in it has taken more than 1 s of CPU time",
		"looking for a Python in it has taken more than 2 s of CPU time",
		"looking for a Python in it has taken more than 4 s of CPU time",
	};
	unsigned int doubled = r->strikes < DOUBLINGS_MAX ? r->strikes : DOUBLINGS_MAX;

	if (r->question.kind != JOB_OPEN)
		return now_ns > r->asked_ns + STUCK_NS
			       ? "reading its memory has not come back for 1 s"
			       : NULL;
	if (now_ns > r->asked_ns + (OPEN_STUCK_NS << doubled))
		return slow[doubled];
	if (used_ns(r) > atomic_load(&r->shared->cpu_ns) + (OPEN_BUDGET_NS << doubled))
		return busy[doubled];
	return NULL;
}

bool dp_reader_check(struct dp_reader *r, uint64_t now_ns, const char **ret_sentence)
{
	const char *why;
	int status;

	reap(r);
	if (r->busy && !is_answered(r)) {
		if (waitpid(r->process, &status, WNOHANG) == r->process) {
			r->process = 0;
			end_process(r);
			give_up(r, now_ns, "the process that reads its memory has ended");
		} else if ((why = lost_patience(r, now_ns)) != NULL) {
			end_process(r);
			give_up(r, now_ns, why);
		}
	}
	*ret_sentence = r->sentence;
	if (!r->news)
		return false;
	r->news = false;
	return true;
}

/* 0 or -errno. */
static int start(struct dp_reader *r)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;
	int err = 0;

	if (r->process)
		return 0;
	r->shared = mmap(NULL, sizeof(*r->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->shared == MAP_FAILED) {
		r->shared = NULL;
		return -errno;
	}
	r->asked = 0;
	/* They stay blocked in the reader, which is ended by SIGKILL alone. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		reading_run(r->shared, parent);
	if (pid < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (err)
		end_process(r);
	else
		r->process = pid;
	return err;
}

/* Waits for the answer as long as there is patience. */
static bool wait_for_answer(struct dp_reader *r)
{
	uint64_t begin = dp_now(), waited = 0;

	while (!is_answered(r) && waited < r->patience->left_ns) {
		uint32_t value = atomic_load(&r->shared->answered);

		if (value != r->asked)
			reading_wait(&r->shared->answered, value, r->patience->left_ns - waited);
		waited = dp_now() - begin;
	}
	waited = dp_now() - begin;
	r->patience->left_ns -= waited < r->patience->left_ns ? waited : r->patience->left_ns;
	return is_answered(r);
}

static bool is_kept(uint32_t kind)
{
	return kind == JOB_OPEN || kind == JOB_FILL || kind == JOB_SITE || kind == JOB_VERSION;
}

static int take(struct dp_reader *r, struct job *ret)
{
	memcpy(ret, &r->shared->job, sizeof(*ret));
	r->busy = false;
	return ret->result;
}

/* Has it used up what reading one target may cost in this second? */
static bool is_over_budget(struct dp_reader *r, uint64_t now_ns)
{
	uint64_t cpu = dp_reader_cpu_ns(r);

	if (now_ns >= r->second_ns + SEC) {
		r->second_ns = now_ns;
		r->second_cpu_ns = cpu;
	}
	/* The search has a budget of its own. */
	if (r->question.kind == JOB_OPEN || cpu - r->second_cpu_ns <= BUDGET_NS)
		return false;
	give_up(r, now_ns, "reading it took more than 250 ms of CPU time within a second");
	r->second_ns = 0;
	return true;
}

/* Asks, or takes the answer to the same question. *j gets the answer. Its result, or as reader.h says. */
static int ask(struct dp_reader *r, struct job *j)
{
	uint64_t now = dp_now();
	int err;

	j->pid = r->target ? r->target : j->pid;
	if (r->busy) {
		bool same = is_kept(j->kind) && j->kind == r->question.kind &&
			    j->pid == r->question.pid;

		if (!is_answered(r) && !(same && wait_for_answer(r)))
			return -EINPROGRESS;
		if (same)
			return take(r, j);
		r->busy = false;
	}
	if (now < r->idle_until_ns || is_over_budget(r, now))
		return -EBUSY;
	err = start(r);
	if (err)
		return err;
	r->question = *j;
	memcpy(&r->shared->job, j, sizeof(*j));
	r->busy = true;
	r->asked_ns = now;
	atomic_store(&r->shared->asked, ++r->asked);
	reading_wake(&r->shared->asked);
	return wait_for_answer(r) ? take(r, j) : -EINPROGRESS;
}

/* A text of the reader's, which may have read what is hostile. */
static void take_text(char *ret, size_t len, const char *text, size_t text_len)
{
	dp_utf8_copy(ret, len, text, strnlen(text, text_len));
}

int dp_reader_open(struct dp_reader *r, struct dp_py **py, char *why, size_t why_len)
{
	struct job j = {.kind = JOB_OPEN};
	int err = ask(r, &j);

	why[0] = '\0';
	if (err == 0)
		return dp_py_take_copy(r->target, j.u.open.copy, py);
	if (err == -EBUSY)
		snprintf(why, why_len, "%s", r->sentence);
	else if (err == -EINPROGRESS)
		snprintf(why, why_len, "its memory is being looked through");
	else if (j.result == err)
		take_text(why, why_len, j.u.open.why, sizeof(j.u.open.why));
	else
		snprintf(why, why_len, "no process could be started to read it: %s",
			 strerror(-err));
	return err;
}

int dp_reader_fill(struct dp_reader *r, struct dp_py *py, struct dp_target *target)
{
	struct job j = {.kind = JOB_FILL};
	const struct dp_target *t = &j.u.fill.target;
	int n = ask(r, &j);

	if (n < 0)
		return n;
	if (n > DP_MAX_GILS || t->gil_count != (uint32_t)n ||
	    dp_py_take_copy(r->target, j.u.fill.copy, &py) < 0)
		return -EBADMSG;
	memcpy(target->gils, t->gils, sizeof(target->gils));
	target->gil_count = t->gil_count;
	target->has_native_tid = t->has_native_tid;
	target->off_native_tid = t->off_native_tid;
	target->off_pthread = t->off_pthread;
	target->off_pthread_tid = t->off_pthread_tid;
	target->other_pid_ns = t->other_pid_ns;
	memcpy(target->eval, t->eval, sizeof(target->eval));
	return n;
}

/* A body is taken as one of a recording would be: not at all when a value cannot be. */
static bool is_sound(enum dp_record_type type, const void *body, size_t len)
{
	struct dp_record r;

	memset(&r, 0, sizeof(r));
	dp_record_init(&r, type, 1, 1, 0);
	memcpy(&r.u, body, len);
	return dp_record_check(&r, sizeof(r)) == 0;
}

int dp_reader_look(struct dp_reader *r, unsigned int index, struct dp_rec_look *ret,
		   uint32_t *ret_tid)
{
	struct job j = {.kind = JOB_LOOK, .index = index};
	int err = ask(r, &j);

	if (err)
		return err;
	if (!is_sound(DP_REC_GIL_LOOK, &j.u.look.look, sizeof(*ret)))
		return -EBADMSG;
	*ret = j.u.look.look;
	*ret_tid = j.u.look.tid;
	return 0;
}

static int take_stack(int err, const struct job *j, struct dp_rec_stack *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (err != -EINPROGRESS && err != -EBUSY && j->result == err) {
		if (is_sound(DP_REC_STACK, &j->u.stack, sizeof(*ret))) {
			*ret = j->u.stack;
			return err;
		}
		err = -EBADMSG;
	}
	ret->status = err;
	ret->syscall_nr = -2;
	return err;
}

int dp_reader_stack(struct dp_reader *r, bool is_python, pid_t tid, struct dp_rec_stack *ret)
{
	struct job j = {.kind = JOB_STACK, .tid = tid, .is_python = is_python, .result = INT32_MIN};

	return take_stack(ask(r, &j), &j, ret);
}

int dp_reader_native_stack(struct dp_reader *r, pid_t pid, struct dp_rec_stack *ret)
{
	struct job j = {.kind = JOB_STACK, .pid = pid, .tid = pid, .result = INT32_MIN};

	return take_stack(ask(r, &j), &j, ret);
}

int dp_reader_threads(struct dp_reader *r, pid_t ret[DP_THREADS_LOOKED_AT])
{
	struct job j = {.kind = JOB_THREADS, .result = INT32_MIN};
	int err = ask(r, &j);

	if (err)
		return err;
	if (j.u.threads.count > DP_THREADS_LOOKED_AT)
		return -EBADMSG;
	memcpy(ret, j.u.threads.tids, sizeof(j.u.threads.tids));
	return (int)j.u.threads.count;
}

int dp_reader_waits(struct dp_reader *r, pid_t tid, struct dp_rec_waits *ret)
{
	struct job j = {.kind = JOB_WAITS, .tid = tid, .result = INT32_MIN};
	int err = ask(r, &j);

	memset(ret, 0, sizeof(*ret));
	if (err != -EINPROGRESS && err != -EBUSY && j.result == err &&
	    is_sound(DP_REC_WAITS, &j.u.waits, sizeof(*ret))) {
		*ret = j.u.waits;
		return err;
	}
	ret->status = err ? err : -EBADMSG;
	return ret->status;
}

int dp_reader_signal_pending(struct dp_reader *r)
{
	struct job j = {.kind = JOB_SIGNAL};

	return ask(r, &j);
}

int dp_reader_site(struct dp_reader *r, char *path, size_t len, uint64_t *ret_offset)
{
	struct job j = {.kind = JOB_SITE};
	int err = ask(r, &j);
	char own[32];

	if (err)
		return err;
	/* The kernel opens it: it must lead to a file of the target and of nobody else. */
	j.u.site.path[sizeof(j.u.site.path) - 1] = '\0';
	snprintf(own, sizeof(own), "/proc/%d/", (int)r->target);
	if (strncmp(j.u.site.path, own, strlen(own)) != 0 || strstr(j.u.site.path, "/../"))
		return -EBADMSG;
	snprintf(path, len, "%s", j.u.site.path);
	*ret_offset = j.u.site.offset;
	return 0;
}

int dp_reader_version_of(struct dp_reader *r, pid_t pid, char *ret, size_t len)
{
	struct job j = {.kind = JOB_VERSION, .pid = pid};
	int err = ask(r, &j);

	if (!err)
		take_text(ret, len, j.u.version, sizeof(j.u.version));
	return err;
}

int dp_reader_version(struct dp_reader *r, char *ret, size_t len)
{
	return dp_reader_version_of(r, 0, ret, len);
}

int dp_reader_config(struct dp_reader *r, pid_t pid, struct dp_node_config *ret)
{
	struct job j = {.kind = JOB_CONFIG, .pid = pid};
	struct dp_node_config *c = &j.u.config;
	int err = ask(r, &j);

	if (err)
		return err;
	c->dataflow[sizeof(c->dataflow) - 1] = '\0';
	c->dataflow_name[sizeof(c->dataflow_name) - 1] = '\0';
	c->node[sizeof(c->node) - 1] = '\0';
	c->socket_path[sizeof(c->socket_path) - 1] = '\0';
	if (c->transport >= DP_TRANSPORT_COUNT)
		return -EBADMSG;
	*ret = *c;
	return 0;
}

int dp_reader_command(struct dp_reader *r, pid_t pid, struct dp_rec_command *ret)
{
	struct job j = {.kind = JOB_COMMAND, .pid = pid};
	int err = ask(r, &j);

	if (!err && !is_sound(DP_REC_DORA_COMMAND, &j.u.command, sizeof(*ret)))
		return -EBADMSG;
	if (!err)
		*ret = j.u.command;
	return err;
}
