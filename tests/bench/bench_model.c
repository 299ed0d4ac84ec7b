// SPDX-License-Identifier: MIT
/*
 * What the model costs per record: a recording, read once, is fed to a new model again and again.
 * Prints the best round's CPU time per record, and the number of findings, which must not change.
 *
 *   bench_model RECORDING [rounds] [cold]
 *
 * cold: at each tick the caches are filled with something else, as two nodes that send flat out fill them between two
 * ticks of the agent; the time that takes is not counted.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/model.h"
#include "sense/recording.h"

static uint64_t findings, requests;

static void on_finding(void *ctx, const struct dp_finding *f)
{
	(void)ctx;
	(void)f;
	findings++;
}

static void on_request(void *ctx, const struct dp_request *r)
{
	(void)ctx;
	(void)r;
	requests++;
}

/* Records one behind the other, as they lie in the merge. */
struct records {
	unsigned char *data;
	size_t *at, count, used;
};

static void *more(void *old, size_t bytes)
{
	void *p = realloc(old, bytes);

	if (!p)
		abort();
	return p;
}

static const struct dp_record *record(const struct records *all, size_t i)
{
	return (const void *)(all->data + all->at[i]);
}

/* All records of the file. */
static void load(const char *path, struct records *ret)
{
	struct records all = {0};
	struct dp_replay *file;
	struct dp_record r;
	char why[256];

	if (dp_replay_open(path, &file, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s: %s\n", path, why);
		exit(1);
	}
	while (dp_replay_next(file, &r) == 1) {
		if (all.count % 1024 == 0) {
			all.at = more(all.at, (all.count + 1024) * sizeof(*all.at));
			all.data = more(all.data, all.used + 1024 * sizeof(r));
		}
		memcpy(all.data + all.used, &r, r.h.size);
		all.at[all.count++] = all.used;
		all.used += (r.h.size + 7) & ~7UL;
	}
	dp_replay_close(file);
	*ret = all;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Leaves nothing of the model in the caches. Returns the CPU time that it took. */
static double fill_caches(void)
{
	static unsigned char other[64u << 20];
	double begin = seconds();

	for (size_t i = 0; i < sizeof(other); i += 64)
		other[i]++;
	return seconds() - begin;
}

static double one_round(const struct records *all, bool is_cold)
{
	struct dp_model_sink sink = {.finding = on_finding, .request = on_request};
	struct dp_model *m = dp_model_new(&sink);
	double begin, other = 0;

	if (!m)
		abort();
	findings = requests = 0;
	begin = seconds();
	for (size_t i = 0; i < all->count; i++) {
		if (is_cold && record(all, i)->h.type == DP_REC_TICK)
			other += fill_caches();
#ifdef DP_MODEL_AHEAD
		for (unsigned int ahead = DP_MODEL_AHEAD; ahead; ahead -= DP_MODEL_STEP)
			if (i + ahead < all->count)
				dp_model_expect(m, record(all, i + ahead), ahead);
#endif
		dp_model_feed(m, record(all, i));
	}
	begin = seconds() - begin;
	dp_model_free(m);
	return begin - other;
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 20;
	bool is_cold = argc > 3 && strcmp(argv[3], "cold") == 0;
	struct records all;
	double best = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_model RECORDING [rounds] [cold]\n");
		return 2;
	}
	load(argv[1], &all);
	for (long i = 0; all.count && i < rounds; i++) {
		double t = one_round(&all, is_cold);

		if (i == 0 || t < best)
			best = t;
	}
	printf("%s%zu records, %llu findings, %llu requests: %.1f ns per record\n",
	       is_cold ? "cold: " : "", all.count, (unsigned long long)findings,
	       (unsigned long long)requests, all.count ? best * 1e9 / (double)all.count : 0);
	free(all.data);
	free(all.at);
	return 0;
}
