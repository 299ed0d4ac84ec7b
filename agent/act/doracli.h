/* SPDX-License-Identifier: MIT */
/*
 * The orderly end of a dataflow: `dora stop UUID --grace-duration D`, run as the node's user. Which
 * `dora` is the caller's choice (--dora-cli, or the caller's PATH), never a target's.
 */
#ifndef DORA_PROBE_DORACLI_H
#define DORA_PROBE_DORACLI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/record.h"
#include "dora_probe/request.h"

#define DP_DORACLI_RUNNING_MAX 4u

struct dp_doracli;

/*
 * The command: `given` (--dora-cli, may be NULL), else `dora` in the absolute directories of
 * `path` (the caller's PATH, may be NULL). Writes an absolute path. 0; -ENOENT; -ENAMETOOLONG.
 */
int dp_doracli_find(const char *given, const char *path, char *ret, size_t len);

/*
 * `command` as found above, "" when there is none (each stop then fails with that reason). Of
 * `environment` (the caller's) only LANG, LC_*, TZ and DORA_* are handed on. Both must outlive the
 * object. 0 and *ret (owned by the caller), or -ENOMEM.
 */
int dp_doracli_new(const char *command, char *const *environment, struct dp_doracli **ret);
void dp_doracli_free(struct dp_doracli *c);

/*
 * Starts the stop of q->dataflow with q->grace_ns as user `uid`. now_ns: CLOCK_MONOTONIC. 1: *ret
 * is the answer already (refused, failed). 0: started, the answer comes by
 * dp_doracli_poll.
 */
int dp_doracli_stop(struct dp_doracli *c, const struct dp_request *q, uid_t uid, uint64_t now_ns,
		    struct dp_rec_action *ret);

typedef void (*dp_doracli_done)(void *ctx, uint32_t pid, const struct dp_rec_action *answer);
/* Looks after the commands, at every tick; never blocks. Returns how many still run. */
unsigned int dp_doracli_poll(struct dp_doracli *c, uint64_t now_ns, dp_doracli_done done,
			     void *ctx);

#endif
