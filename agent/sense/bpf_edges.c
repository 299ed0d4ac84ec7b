// SPDX-License-Identifier: MIT
/* The edge source: a uprobe in one process, armed and disarmed by threads; see bpf_source.h. */
#include "sense/bpf_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"

static uint64_t edge_key(pid_t pid, unsigned int gil)
{
	return (uint64_t)(uint32_t)pid * DP_MAX_GILS + gil;
}

uint32_t dp_bpf_sources(const struct dp_bpf *b)
{
	uint32_t sources;
	pthread_mutex_t *lock;

	if (!b)
		return 0;
	lock = (pthread_mutex_t *)&b->lock;
	sources = b->sources;
	pthread_mutex_lock(lock);
	for (size_t i = 0; i < DP_MAX_TARGETS; i++)
		if (b->armed[i].step == EDGE_ARMED)
			sources |= 1u << DP_SOURCE_EDGE;
	pthread_mutex_unlock(lock);
	return sources;
}

int dp_bpf_edge(struct dp_bpf *b, pid_t pid, unsigned int gil, struct dp_edge_state *ret)
{
	uint64_t key = edge_key(pid, gil);
	struct dp_edge_state e;
	int err;

	if (!b)
		return -ENOENT;
	if (gil >= DP_MAX_GILS)
		return -ENOENT;
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.edges), &key, &e);
	if (!err)
		*ret = e;
	return err;
}

/* The slot in which the process is armed or being armed; NULL. Called with the lock held. */
static struct armed *armed_slot(struct dp_bpf *b, pid_t pid)
{
	for (size_t i = 0; i < DP_MAX_TARGETS; i++) {
		struct armed *a = &b->armed[i];

		if (a->pid == pid && a->step > EDGE_FREE && a->step < EDGE_DETACHING)
			return a;
	}
	return NULL;
}

static struct armed *free_slot(struct dp_bpf *b)
{
	for (size_t i = 0; i < DP_MAX_TARGETS; i++) {
		struct armed *a = &b->armed[i];

		if (a->step == EDGE_DONE) {
			if (a->threaded)
				pthread_join(a->thread, NULL);
			memset(a, 0, sizeof(*a));
		}
		if (a->step == EDGE_FREE)
			return a;
	}
	return NULL;
}

/* All that is attached, or some of it: NULL is no link. */
static void destroy_links(struct armed *a)
{
	bpf_link__destroy(a->link);
	a->link = NULL;
	for (size_t i = 0; i < DP_COUNT_OF(a->call_links); i++) {
		bpf_link__destroy(a->call_links[i]);
		a->call_links[i] = NULL;
	}
}

static void *edge_detach(void *arg)
{
	struct armed *a = arg;

	destroy_links(a);
	pthread_mutex_lock(&a->b->lock);
	a->step = EDGE_DONE;
	pthread_mutex_unlock(&a->b->lock);
	return NULL;
}

static struct bpf_link *attach_at(const struct armed *a, const char *path, uint64_t offset)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);

	return bpf_program__attach_uprobe_opts(a->b->skel->progs.dp_edge, a->pid, path, offset,
					       &opts);
}

/*
 * Processes whose calls are seen at the same time: the kernel needs some 100 ms for each uprobe that goes, one after
 * the other, and the end of the probe waits for that.
 */
#define CALLS_SEEN_MAX 8

/* With the lock held. */
static bool has_room_for_calls(const struct dp_bpf *b)
{
	unsigned int n = 0;

	for (size_t i = 0; i < DP_MAX_TARGETS; i++)
		n += b->armed[i].step != EDGE_FREE && b->armed[i].calls.count;
	return n < CALLS_SEEN_MAX;
}

static bool is_unwanted(struct armed *a)
{
	bool ret;

	pthread_mutex_lock(&a->b->lock);
	ret = a->step == EDGE_DETACHING;
	pthread_mutex_unlock(&a->b->lock);
	return ret;
}

/*
 * Dora's calls as well, for which nobody waits; what is attached of them counts only if all are. Is the whole still
 * wanted afterwards?
 */
static bool attach_calls(struct armed *a)
{
	bool all = true, wanted;

	for (uint32_t i = 0; all && i < a->calls.count && !is_unwanted(a); i++) {
		a->call_links[i] = attach_at(a, a->calls.path, a->calls.offset[i]);
		all = a->call_links[i] != NULL;
	}
	pthread_mutex_lock(&a->b->lock);
	wanted = a->step != EDGE_DETACHING;
	a->calls_ns = all && wanted ? dp_now() : 0;
	a->attaching_calls = false;
	pthread_mutex_unlock(&a->b->lock);
	return wanted;
}

static void *edge_attach(void *arg)
{
	struct armed *a = arg;
	struct dp_bpf *b = a->b;
	bool unwanted;
	int err;

	a->link = attach_at(a, a->path, a->offset);
	err = a->link ? 0 : -errno;
	pthread_mutex_lock(&b->lock);
	a->err = err;
	unwanted = a->step == EDGE_DETACHING;
	if (!unwanted)
		a->step = err ? EDGE_FAILED : EDGE_ARMED;
	a->attaching_calls = a->step == EDGE_ARMED && a->calls.count;
	/* The program ignores a GIL without time, so nothing counts from before this one. */
	for (unsigned int i = 0; !unwanted && !err && i < a->gil_count; i++) {
		struct dp_edge_state e = {.armed_ns = dp_now()};
		uint64_t key = edge_key(a->pid, i);

		bpf_map_update_elem(bpf_map__fd(b->skel->maps.edges), &key, &e, BPF_EXIST);
	}
	pthread_mutex_unlock(&b->lock);
	if (!unwanted && !err && a->calls.count)
		unwanted = !attach_calls(a);
	return unwanted ? edge_detach(a) : NULL;
}

int dp_bpf_arm(struct dp_bpf *b, pid_t pid, const char *path, uint64_t offset,
	       const struct dp_dora_calls *calls)
{
	int edges, err;
	struct dp_edge_state unarmed = {0};
	uint32_t target_key = (uint32_t)pid;
	struct dp_target t;
	struct armed *a;

	if (!b)
		return -ENOTSUP;
	if (pid <= 0 || strlen(path) >= PATH_MAX)
		return -EINVAL;
	edges = bpf_map__fd(b->skel->maps.edges);
	err = bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.targets), &target_key, &t);
	if (err)
		return err;
	pthread_mutex_lock(&b->lock);
	if (armed_slot(b, pid)) {
		err = -EALREADY;
		goto cleanup;
	}
	a = free_slot(b);
	if (!a) {
		err = -ENOSPC;
		goto cleanup;
	}
	for (unsigned int i = 0; !err && i < t.gil_count && i < DP_MAX_GILS; i++) {
		uint64_t key = edge_key(pid, i);

		err = bpf_map_update_elem(edges, &key, &unarmed, BPF_ANY);
	}
	if (err)
		goto cleanup;
	a->b = b;
	a->pid = pid;
	a->gil_count = t.gil_count;
	a->offset = offset;
	strcpy(a->path, path);
	if (calls && has_room_for_calls(b))
		a->calls = *calls;
	err = -pthread_create(&a->thread, NULL, edge_attach, a);
	if (!err) {
		a->step = EDGE_ATTACHING;
		a->threaded = true;
	}
cleanup:
	pthread_mutex_unlock(&b->lock);
	return err;
}

int dp_bpf_armed(struct dp_bpf *b, pid_t pid)
{
	struct armed *a;
	int ret = -ENOENT;

	if (!b)
		return ret;
	pthread_mutex_lock(&b->lock);
	a = armed_slot(b, pid);
	if (a)
		ret = a->step == EDGE_FAILED ? a->err : a->step == EDGE_ARMED;
	pthread_mutex_unlock(&b->lock);
	return ret;
}

uint64_t dp_bpf_dora_calls_ns(struct dp_bpf *b, pid_t pid)
{
	const struct armed *a;
	uint64_t ret;

	if (!b)
		return 0;
	pthread_mutex_lock(&b->lock);
	a = armed_slot(b, pid);
	ret = a && a->step == EDGE_ARMED ? a->calls_ns : 0;
	pthread_mutex_unlock(&b->lock);
	return ret;
}

void dp_bpf_disarm(struct dp_bpf *b, pid_t pid)
{
	struct armed *a;

	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	a = armed_slot(b, pid);
	for (unsigned int i = 0; a && i < DP_MAX_GILS; i++) {
		uint64_t key = edge_key(pid, i);

		bpf_map_delete_elem(bpf_map__fd(b->skel->maps.edges), &key);
	}
	if (a && (a->step == EDGE_ATTACHING || a->attaching_calls)) {
		/* Its thread sees this when it is through, and detaches. */
		a->step = EDGE_DETACHING;
	} else if (a) {
		pthread_join(a->thread, NULL);
		a->step = EDGE_DETACHING;
		a->threaded = !pthread_create(&a->thread, NULL, edge_detach, a);
		if (!a->threaded) {
			destroy_links(a);
			memset(a, 0, sizeof(*a));
		}
	}
	pthread_mutex_unlock(&b->lock);
}

/* Waits for the threads; the links that are still armed are closed here, one after the other. */
void edges_close(struct dp_bpf *b)
{
	for (size_t i = 0; b->armed && i < DP_MAX_TARGETS; i++)
		dp_bpf_disarm(b, b->armed[i].pid);
	for (size_t i = 0; b->armed && i < DP_MAX_TARGETS; i++)
		if (b->armed[i].threaded)
			pthread_join(b->armed[i].thread, NULL);
}
