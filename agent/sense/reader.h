/* SPDX-License-Identifier: MIT */
/*
 * Reading a target where nobody has to wait for it. Its memory may lie on a file system or behind a
 * page fault handler that never answers, its files may have any size: so they are read by a process
 * of the probe's own, one for each target. Whoever asks waits for a bounded time; a reader that does
 * not come back is killed, and the target is given up on, for longer each time. It has fewer rights
 * than the probe, and what it answers is checked: it has read what may be hostile.
 */
#ifndef DORA_PROBE_READER_H
#define DORA_PROBE_READER_H

#include <stdbool.h>

#include "dora/nodeconfig.h"
#include "dora_probe/request.h"
#include "python/pyprocess.h"

struct dp_reader;

/*
 * What may be waited in all until somebody fills it up again: each tick's share. Time spent waiting
 * for one target is not there for the next.
 */
struct dp_patience {
	uint64_t left_ns;
};
#define DP_PATIENCE_NS 20000000ULL /* of a tick */

/*
 * Of process `pid`, or of any (0). Nothing is started before the first question. `p` must outlive the
 * object. NULL without memory.
 */
struct dp_reader *dp_reader_new(pid_t pid, struct dp_patience *p);
/* Ends its process, without waiting for one that cannot be ended. */
void dp_reader_free(struct dp_reader *r);

/*
 * Ends a reader that does not come back. True: it has just been given up on (loss read_stuck), and
 * *ret_sentence, which stays, says why.
 */
bool dp_reader_check(struct dp_reader *r, uint64_t now_ns, const char **ret_sentence);
/* CPU time of its process so far, ns. */
uint64_t dp_reader_cpu_ns(const struct dp_reader *r);
/* The reader's process; 0 none. For tests. */
pid_t dp_reader_process(const struct dp_reader *r);

/*
 * As the functions of pyprocess.h and nodeconfig.h that have the same names, and besides:
 * -EINPROGRESS  not there yet. dp_reader_open, _fill, _site, _version, _stack and _waits can be asked
 *               again, the last two without waiting; the answers of the others are not kept, and
 *               these only with dp_reader_want.
 * -EBUSY        given up on, for now, or it has cost too much lately.
 */
int dp_reader_open(struct dp_reader *r, struct dp_py **py, char *why, size_t why_len);
/* The stack or the waits that have just been asked for, and are not there yet, will be asked for again. */
void dp_reader_want(struct dp_reader *r);
int dp_reader_fill(struct dp_reader *r, struct dp_py *py, struct dp_target *target);
int dp_reader_look(struct dp_reader *r, unsigned int index, struct dp_rec_look *ret,
		   uint32_t *ret_tid);
/* Fill the whole body, with the error in its status. `is_python`: frames too. */
int dp_reader_stack(struct dp_reader *r, bool is_python, pid_t tid, struct dp_rec_stack *ret);
int dp_reader_waits(struct dp_reader *r, pid_t tid, struct dp_rec_waits *ret);
/* The threads that Python knows of, as dp_py_threads(); returns how many, or -errno. */
int dp_reader_threads(struct dp_reader *r, pid_t ret[DP_THREADS_LOOKED_AT]);
int dp_reader_signal_pending(struct dp_reader *r);
int dp_reader_site(struct dp_reader *r, char *path, size_t len, uint64_t *ret_offset);
int dp_reader_dora_calls(struct dp_reader *r, struct dp_dora_calls *ret);
int dp_reader_dora_node(struct dp_reader *r, struct dp_dora_node *ret);
int dp_reader_version(struct dp_reader *r, char *ret, size_t len);

/* dp_native_stack() of any process, by a reader that has no target. */
int dp_reader_native_stack(struct dp_reader *r, pid_t pid, struct dp_rec_stack *ret);
int dp_reader_version_of(struct dp_reader *r, pid_t pid, char *ret, size_t len);
int dp_reader_config(struct dp_reader *r, pid_t pid, struct dp_node_config *ret);
int dp_reader_command(struct dp_reader *r, pid_t pid, struct dp_rec_command *ret);

#endif
