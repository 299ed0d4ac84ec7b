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
#ifdef __clang_analyzer__
/* Which takes a function of a system header for one that frees nothing. */
#define bpf_object__destroy_skeleton free
#endif
#include "dora_probe.skel.h"
#pragma GCC diagnostic pop

#define BPF_LINKS_MAX 24
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
	struct dp_dora_calls calls; /* … too, as far as they are known */
	struct bpf_link *call_links[DP_DORA_CALLS_MAX];
	uint64_t calls_ns;    /* all of them are there since; 0 not */
	bool attaching_calls; /* its thread is about to: who disarms it must not wait for that */
	pthread_t thread;     /* to be joined in all steps but EDGE_FREE, if `threaded` */
	bool threaded;
	char path[PATH_MAX];
};

struct dp_bpf {
	struct dora_probe_bpf *skel;
	struct dora_probe_bpf
		*early; /* of which only births and deaths are loaded; it has the maps */
	struct bpf_link *early_links[BPF_EARLY];
	struct dora_probe_bpf *calls; /* loaded later, for system calls alone, with the same maps */
	struct ring_buffer *ring;
	struct bpf_link *links[BPF_LINKS_MAX]; /* NULL where not attached */
	bool is_attached;                      /* all of them */
	/* Sources (1 << enum dp_source) that come from tracepoints, and from system calls; SOCKET may be in both. */
	uint32_t traced, called;
	bool begun;        /* dp_bpf_options.begun has been called */
	bool forced;       /* the way was: nothing else is tried */
	char refused[512]; /* why not by tracepoints, "" if the kernel took them or was not asked */
	unsigned int watched;
	struct bpf_link **samples; /* per possible CPU, NULL where offline */
	int *sample_fds;
	uint64_t *sample_base; /* samples taken when the clock was attached */
	int cpus;
	unsigned int sample_hz;
	uint64_t samples_missed;
	uint64_t programs_skipped, programs_asked_ns;
	struct dp_cpu_state *cpu_state; /* `cpus` of them */
	pthread_mutex_t lock;           /* of the slots in `armed` */
	struct armed *armed;            /* DP_MAX_TARGETS of them */
	uint64_t conns;
	uint64_t conn_marked; /* the highest id that a descriptor has been marked with */
	uint32_t sources;
	int stats_fd;
	void (*fn)(void *ctx, const struct dp_capture *h, size_t len);
	void *fn_ctx;
	int drained;
	/* Captures of others that came while the programs were tried; the first drain hands them over. */
	uint8_t *kept;
	size_t kept_len;
};

/*
 * The programs' variables, of all objects: those of the object that has made the maps. libbpf 1.5 (met in Debian 13)
 * does not map the variables of an object whose maps are another's, its `bss` is memory that no program reads.
 */
static inline struct dora_probe_bpf__bss *bpf_variables(const struct dp_bpf *b)
{
	return b->early->bss;
}

/* The sources that have two ways. */
#define BPF_TWO_WAYS (1u << DP_SOURCE_FUTEX | 1u << DP_SOURCE_SOCKET | 1u << DP_SOURCE_REGION)

/*
 * Which programs of the object are to be loaded, by the way of each source; with `only` those of system
 * calls alone. 0 or -errno.
 */
int bpf_choose_programs(struct dora_probe_bpf *skel, uint32_t traced, uint32_t called, bool only);
/*
 * The sources that come from tracepoints and do not see what this process does before their eyes; all are
 * attached, nothing is watched. For a moment the process is a target of its own.
 */
uint32_t bpf_blind_sources(struct dp_bpf *b);
/* The same question about regions by system calls. What cannot be tried is taken as seen. */
bool bpf_sees_regions(struct dp_bpf *b);
/* Nothing of this process is of the run: what its trials have captured, and the numbers that it had. Once. */
void bpf_forget_trial(struct dp_bpf *b);
/* Loads what `called` asks for and is not loaded yet. 0 or -errno. */
int bpf_load_calls(struct dp_bpf *b, uint32_t called);
/* Attaches what is not attached yet. 0 or -errno, then as while nothing is watched. */
int bpf_attach_again(struct dp_bpf *b);
void bpf_detach(struct dp_bpf *b);

/* Each 0 or -errno. Loads births and deaths from b->early, and with them all maps. */
int early_load(struct dp_bpf *b);
int early_attach(struct dp_bpf *b);
void early_close(struct dp_bpf *b);

/* Lets go of every armed process: waits for the threads, closes the links that are left. */
void edges_close(struct dp_bpf *b);

#endif
