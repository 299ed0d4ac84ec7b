// SPDX-License-Identifier: MIT
/*
 * What the model costs per record: a recording, read once, is fed to a new model again and again.
 * Prints the best round's CPU time per record, and the number of findings, which must not change.
 *
 *   bench_model RECORDING [rounds]
 */
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

/* All records of the file; *ret_count of them. The caller frees. */
static struct dp_record *load(const char *path, size_t *ret_count)
{
	struct dp_record *all = NULL;
	struct dp_replay *file;
	size_t count = 0, room = 0;
	char why[256];

	if (dp_replay_open(path, &file, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s: %s\n", path, why);
		exit(1);
	}
	do {
		if (count == room) {
			room = room ? room * 2 : 1024;
			all = realloc(all, room * sizeof(*all));
			if (!all)
				abort();
		}
		memset(&all[count], 0, sizeof(all[count]));
	} while (dp_replay_next(file, &all[count]) == 1 && ++count);
	dp_replay_close(file);
	*ret_count = count;
	return all;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double one_round(const struct dp_record *all, size_t count)
{
	struct dp_model_sink sink = {.finding = on_finding, .request = on_request};
	struct dp_model *m = dp_model_new(&sink);
	double begin;

	if (!m)
		abort();
	findings = requests = 0;
	begin = seconds();
	for (size_t i = 0; i < count; i++)
		dp_model_feed(m, &all[i]);
	begin = seconds() - begin;
	dp_model_free(m);
	return begin;
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 20;
	struct dp_record *all;
	double best = 0;
	size_t count;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_model RECORDING [rounds]\n");
		return 2;
	}
	all = load(argv[1], &count);
	for (long i = 0; count && i < rounds; i++) {
		double t = one_round(all, count);

		if (i == 0 || t < best)
			best = t;
	}
	printf("%zu records, %llu findings, %llu requests: %.1f ns per record\n", count,
	       (unsigned long long)findings, (unsigned long long)requests,
	       count ? best * 1e9 / (double)count : 0);
	free(all);
	return 0;
}
