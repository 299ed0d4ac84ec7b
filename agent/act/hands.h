/* SPDX-License-Identifier: MIT */
/*
 * The guard's hands: sends the signals that the policy decided on, to the very process and thread
 * that were meant, after another look, and never SIGKILL or SIGSTOP.
 *
 * Process and thread ids are those of the caller's PID namespace, as everywhere in the agent; a
 * target in another one needs no translation here.
 */
#ifndef DORA_PROBE_HANDS_H
#define DORA_PROBE_HANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/record.h"
#include "dora_probe/request.h"

struct dp_hands;

struct dp_hands_options {
	/* Of the locks; NULL: /run/dora-probe as root, else /run/user/UID/dora-probe. */
	const char *lock_dir;
	const char *proc;     /* NULL: /proc */
	bool no_thread_pidfd; /* as on a kernel before 6.9, for tests */
};

/* 0 and *ret (owned by the caller), -ENOMEM, -ENAMETOOLONG (lock_dir, proc). All of `o` is copied. */
int dp_hands_new(const struct dp_hands_options *o, struct dp_hands **ret);
void dp_hands_free(struct dp_hands *h);

/*
 * May this process be signalled (signal 0)? To be asked when a node is found, so that a missing
 * right is known before it matters. 0; -EPERM, -ESRCH or other -errno with a sentence in `why`.
 */
int dp_hands_self_test(struct dp_hands *h, pid_t pid, uint64_t start_time, char *why,
		       size_t why_len);

/*
 * Takes hold of a thread as soon as it is named, so that its id cannot pass to another one before
 * the signal. Optional: dp_hands_act does it where it was not done. Holds up to four threads of a
 * process, the last named ones. 0; -ESRCH gone or not a thread of it; other -errno.
 */
int dp_hands_aim(struct dp_hands *h, pid_t pid, uint64_t start_time, pid_t tid);

/* Lets go of a process that has left: descriptors and lock. */
void dp_hands_forget(struct dp_hands *h, pid_t pid);

/*
 * The look immediately before the signal: is it still so that `tid` holds the GIL, or blocks?
 * 1 yes; 0 no, and why; -errno not to be told.
 */
typedef int (*dp_hands_look)(void *ctx, pid_t pid, pid_t tid, char *why, size_t why_len);

/*
 * Does a request of type ACT with action NUDGE or TERMINATE and fills the answer's body: SENT,
 * WOULD_SEND (everything checked, nothing sent), REFUSED (not as decided any more) or FAILED.
 * `look` may be NULL for TERMINATE only. Does not block.
 */
void dp_hands_act(struct dp_hands *h, const struct dp_request *q, dp_hands_look look, void *ctx,
		  struct dp_rec_action *ret);

#endif
