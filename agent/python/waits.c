// SPDX-License-Identifier: MIT
/*
 * Who waits for whom, from the holder of a GIL on: see dp_rec_waits. Facts alone; whether they are a
 * deadlock says the model.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/procfile.h"
#include "python/internal.h"

#define THREADS_MAX 1024
/* Words on a stack that lie in the library's code and are looked at more closely. */
#define CANDIDATES_MAX 32
/* A thread that is caught between two waits is looked at again so often. */
#define LOOKS_MAX 3

/* What a thread's stack shows of the end of a chain. */
struct relation {
	bool refers, has_code;
};

struct threads {
	unsigned int count; /* of the process */
	unsigned int known; /* of these, read */
	struct dp_waiting at[THREADS_MAX];
	struct relation to_end[THREADS_MAX];
};

struct thread_walk {
	struct dp_py *py;
	struct threads *ret;
};

static int take_thread(void *ctx, int tid)
{
	const struct thread_walk *w = ctx;
	struct threads *t = w->ret;

	t->count++;
	if (t->known == THREADS_MAX)
		return 0;
	/* A waiter for the GIL wakes every 5 ms for some microseconds. */
	for (int i = 0; i < LOOKS_MAX; i++) {
		dp_waiting_read(w->py, tid, &t->at[t->known]);
		if (t->at[t->known].waits != DP_WAIT_NOTHING)
			break;
	}
	t->known++;
	return 0;
}

static int read_threads(struct dp_py *py, struct threads *ret)
{
	struct thread_walk w = {.py = py, .ret = ret};

	return dp_procfile_numbers("/proc", py->pid, "task", take_thread, &w);
}

static struct dp_waiting *find(struct threads *t, uint32_t tid)
{
	for (unsigned int i = 0; i < t->known; i++)
		if ((uint32_t)t->at[i].tid == tid)
			return &t->at[i];
	return NULL;
}

static bool is_linked(const struct dp_rec_waits *r, pid_t tid)
{
	for (uint32_t i = 0; i < r->link_count; i++)
		if (r->links[i].tid == (uint32_t)tid)
			return true;
	return false;
}

static void add_link(const struct dp_waiting *w, struct dp_rec_waits *ret)
{
	ret->links[ret->link_count++] = (struct dp_link){.tid = (uint32_t)w->tid,
							 .for_tid = w->for_tid,
							 .waits = w->waits,
							 .forever = w->forever,
							 .syscall_nr = w->call.nr};
}

/* Follows the waits from thread to owner; gives the last one. */
static const struct dp_waiting *follow_owners(struct threads *t, const struct dp_waiting *from,
					      struct dp_rec_waits *ret)
{
	const struct dp_waiting *w = from;

	add_link(w, ret);
	while (w->for_tid && ret->link_count < DP_LINKS_MAX && !is_linked(ret, (pid_t)w->for_tid)) {
		const struct dp_waiting *next = find(t, w->for_tid);

		if (!next)
			break;
		w = next;
		add_link(w, ret);
	}
	ret->owned = ret->link_count;
	return w;
}

/* `word` is what the end sleeps on, `code` the file whose code waits there, NULL unknown. */
static struct relation relation_of(const struct dp_py *py, const struct dp_waiting *w,
				   uint64_t word, const struct dp_map *code)
{
	uint64_t words[32 * 1024 / 8];
	struct relation r = {0};
	unsigned int candidates = 0;
	ssize_t n = 0;

	if (w->call.sp != 0 && w->call.sp % 8 == 0)
		n = dp_remote_read_some(py->pid, w->call.sp, words, sizeof(words));
	/* Where nothing can be seen it may be anything: a thread on the CPU has its stack to itself. */
	if (n <= 0)
		r.refers = w->waits != DP_WAIT_GIL;
	if (n <= 0 || !code)
		r.has_code = true;
	for (ssize_t i = 0; i < n / 8; i++) {
		const struct dp_map *map;

		r.refers |= words[i] == word;
		if (r.has_code || candidates == CANDIDATES_MAX)
			continue;
		map = dp_maps_find(&py->maps, words[i]);
		if (!map || !dp_map_same_file(map, code))
			continue;
		candidates++;
		r.has_code = dp_native_after_call(py->pid, words[i]);
	}
	return r;
}

static void count(struct dp_rec_waits *ret, const struct dp_waiting *w, struct relation r)
{
	bool able = w->waits != DP_WAIT_GIL && w->waits != DP_WAIT_IO &&
		    !(w->forever && w->for_tid) && !dp_waiting_is_ownerless(w);

	if (w->waits == DP_WAIT_GIL) {
		ret->refer_gil += r.refers;
		ret->library_gil += r.has_code;
	} else if (able) {
		ret->refer_able += r.refers;
		ret->library_able += r.has_code;
	} else if (w->waits == DP_WAIT_IO) {
		ret->refer_able += r.refers;
		ret->library_io += r.has_code;
	}
}

/*
 * Which threads can have to do with the end of the chain, that no owner is known of? Those that wait
 * for the GIL become links: first who has a reference, which says more than code of the library.
 */
static void survey(struct dp_py *py, struct threads *t, const struct dp_waiting *end,
		   struct dp_rec_waits *ret)
{
	const struct dp_map *found = dp_native_caller(py, &end->call);
	struct dp_map code;

	/* A copy: the maps may be read anew meanwhile. */
	if (found)
		code = *found;
	for (unsigned int i = 0; i < t->known; i++) {
		if (is_linked(ret, t->at[i].tid))
			continue;
		t->to_end[i] = relation_of(py, &t->at[i], end->word, found ? &code : NULL);
		count(ret, &t->at[i], t->to_end[i]);
	}
	for (int pass = 0; pass < 2; pass++)
		for (unsigned int i = 0; i < t->known && ret->link_count < DP_LINKS_MAX; i++) {
			const struct relation *r = &t->to_end[i];

			if (t->at[i].waits == DP_WAIT_GIL && !is_linked(ret, t->at[i].tid) &&
			    (pass == 0 ? r->refers : found && r->has_code))
				add_link(&t->at[i], ret);
		}
}

static void name_link(struct dp_py *py, const struct dp_waiting *w, struct dp_link *l)
{
	const struct dp_map *code;
	struct dp_rec_stack s;

	dp_py_stack(py, (pid_t)l->tid, &s);
	/* A waiter for the GIL is on the CPU every 5 ms: then the earlier look knows its library. */
	code = s.library[0] ? NULL : dp_native_caller(py, &w->call);
	if (code)
		memcpy(s.library, code->base, sizeof(s.library));
	l->state = s.state;
	if (s.thread[0])
		memcpy(l->thread, s.thread, sizeof(l->thread));
	else
		memcpy(l->thread, s.comm, sizeof(s.comm));
	memcpy(l->library, s.library, sizeof(l->library));
	if (s.frame_count == 0)
		return;
	memcpy(l->function, s.frames[0].function, sizeof(l->function));
	memcpy(l->file, s.frames[0].file, sizeof(l->file));
	l->line = s.frames[0].line;
}

int dp_py_waits(struct dp_py *py, pid_t tid, struct dp_rec_waits *ret)
{
	struct threads *t = calloc(1, sizeof(*t));
	const struct dp_waiting *end;
	int rc = -ENOMEM;

	memset(ret, 0, sizeof(*ret));
	if (!t)
		goto cleanup;
	rc = read_threads(py, t);
	if (rc < 0)
		goto cleanup;
	ret->threads = t->count;
	ret->looked_at = t->known;
	end = find(t, (uint32_t)tid);
	if (!end) {
		rc = -ESRCH;
		goto cleanup;
	}
	end = follow_owners(t, end, ret);
	if (dp_waiting_is_ownerless(end))
		survey(py, t, end, ret);
	for (uint32_t i = 0; i < ret->link_count; i++)
		name_link(py, find(t, ret->links[i].tid), &ret->links[i]);
cleanup:
	free(t);
	ret->status = rc;
	return rc;
}
