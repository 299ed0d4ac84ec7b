/* SPDX-License-Identifier: MIT */
/* The kernel side as an object, seen from inside: for bpf_*.c of this room alone. */
#ifndef DORA_PROBE_BPF_OBJECT_H
#define DORA_PROBE_BPF_OBJECT_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include "sense/bpf_source.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "dora_probe.skel.h"
#pragma GCC diagnostic pop

#define BPF_LINKS_MAX 8
#define BPF_EARLY     3 /* programs of births and deaths */

/*
 * Attaching a uprobe takes the kernel 5 to 30 ms and detaching it 80 to 120 ms (measured on 6.18:
 * grace periods), and both need the target's memory map lock, which a target can hold for long. So
 * both are done by a short-lived thread, and the loop never waits for one but at the end.
 */
enum edge_step { EDGE_FREE, EDGE_ATTACHING, EDGE_ARMED, EDGE_FAILED, EDGE_DETACHING, EDGE_DONE };

struct armed {
	struct dp_bpf *b;
	enum edge_step step;
	pid_t pid;
	unsigned int gil_count;
	int err; /* EDGE_FAILED */
	uint64_t offset;
	struct bpf_link *link;
	pthread_t thread; /* to be joined in all steps but EDGE_FREE, if `threaded` */
	bool threaded;
	char path[PATH_MAX];
};

struct dp_bpf {
	struct dora_probe_bpf *skel;
	struct dora_probe_bpf *early; /* the same object, of which only the lifecycle is loaded */
	struct bpf_link *early_links[BPF_EARLY];
	struct ring_buffer *ring;
	struct bpf_link *links[BPF_LINKS_MAX];
	size_t link_count;
	struct bpf_link **samples; /* per possible CPU, NULL where offline */
	int *sample_fds;
	int cpus;
	unsigned int sample_hz;
	uint64_t samples_missed;
	uint64_t programs_skipped, programs_asked_ns;
	struct dp_cpu_state *cpu_state; /* `cpus` of them */
	pthread_mutex_t lock;           /* of the slots in `armed` */
	struct armed *armed;            /* DP_MAX_TARGETS of them */
	uint64_t conns;
	uint32_t sources;
	int stats_fd;
	void (*fn)(void *ctx, const struct dp_capture *h, size_t len);
	void *fn_ctx;
	int drained;
};

/* Each 0 or -errno. Loads births and deaths from b->early, and with them all maps. */
int early_load(struct dp_bpf *b);
int early_attach(struct dp_bpf *b);
/* The rest, b->skel, is to use the same maps. */
int early_share(struct dp_bpf *b);
void early_close(struct dp_bpf *b);

/* Lets go of every armed process: waits for the threads, closes the links that are left. */
void edges_close(struct dp_bpf *b);

#endif
