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
#include "sense/reader_state.h"

/* A read of memory that is swapped out, or of a file on a slow disk, is there by then … */
#define STUCK_NS (1000 * MS)
/* … and the search through all files of a program that has just been started. */
#define OPEN_STUCK_NS (3000 * MS)
/* CPU time of that search. */
#define OPEN_BUDGET_NS (500 * MS)
/* A target is left alone for a second, then two, four …, in so many steps; from one again after FORGIVEN_NS. */
#define STRIKES_MAX 7
#define FORGIVEN_NS (30 * SEC)
/* A slow processor may need more for its search than the first budget: it doubles so many times. */
#define DOUBLINGS_MAX 3

struct dp_reader *dp_reader_new(pid_t pid, struct dp_patience *p)
{
	struct dp_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->target = pid;
	r->patience = p;
	cpu_budget_open(&r->budget, dp_now());
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

/* Takes the exit of a reader that was long in dying: one in a page fault, say. */
static void reap(struct dp_reader *r)
{
	if (r->left && waitpid(r->left, NULL, WNOHANG) != 0)
		r->left = 0;
}

/* Ends the reader. One that waits for what never comes, and cannot be killed meanwhile, stays. */
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
	r->busy = r->wanted = false;
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
	unsigned int seconds;

	if (r->idle_until_ns && now_ns > r->idle_until_ns + FORGIVEN_NS)
		r->strikes = 0;
	seconds = 1u << (r->strikes < STRIKES_MAX ? r->strikes++ : STRIKES_MAX - 1);
	r->idle_until_ns = now_ns + seconds * SEC;
	r->untold = true;
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
	if (!r->untold)
		return false;
	r->untold = false;
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
		return -ENOMEM;
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

/* Questions whose late answer is of use: what does not change, and what is asked once. */
static bool is_kept(uint32_t kind)
{
	return kind == JOB_OPEN || kind == JOB_FILL || kind == JOB_SITE || kind == JOB_VERSION ||
	       kind == JOB_STACK || kind == JOB_WAITS;
}

/* Whoever asks for a thread again comes to see whether the answer is there. */
static bool is_waited_for_again(uint32_t kind)
{
	return kind != JOB_STACK && kind != JOB_WAITS;
}

static int take(struct dp_reader *r, struct job *ret)
{
	memcpy(ret, &r->shared->job, sizeof(*ret));
	r->busy = r->wanted = false;
	return ret->result;
}

void dp_reader_want(struct dp_reader *r)
{
	r->wanted = r->busy && !is_waited_for_again(r->question.kind);
}

/* Has it used up what reading one target may cost? The search has a budget of its own. */
static bool is_over_budget(struct dp_reader *r, uint64_t now_ns)
{
	uint64_t cpu = dp_reader_cpu_ns(r);
	bool less_often = false, over;

	if (r->question.kind == JOB_OPEN)
		cpu_budget_skip(&r->budget, cpu);
	over = cpu_budget_is_spent(&r->budget, now_ns, cpu, &less_often);
	if (less_often) {
		r->untold = true;
		snprintf(r->sentence, sizeof(r->sentence),
			 "reading it takes more CPU time than it may (250 ms at once, a quarter of "
			 "the time): it is read less often");
	}
	return over;
}

int reader_ask(struct dp_reader *r, struct job *j)
{
	uint64_t now = dp_now();
	int err;

	j->pid = r->target ? r->target : j->pid;
	if (r->busy) {
		bool same = is_kept(j->kind) && j->kind == r->question.kind &&
			    j->pid == r->question.pid && j->tid == r->question.tid;

		if (!is_answered(r) &&
		    !(same && is_waited_for_again(j->kind) && wait_for_answer(r)))
			return -EINPROGRESS;
		if (same)
			return take(r, j);
		/* Whoever asked it comes for it at the next tick. */
		if (r->wanted && now < r->asked_ns + STUCK_NS)
			return -EINPROGRESS;
		r->busy = r->wanted = false;
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
