// SPDX-License-Identifier: MIT
/* What was lost; see losses.h. */
#include "model/losses.h"

#include "base/units.h"

#include <string.h>

/* Between two lines about losses. */
#define TELL_NS (1 * SEC)

/* Does a loss of this kind mean that the model has missed a record? */
static bool is_missed_record(enum dp_loss reason)
{
	return reason != DP_LOSS_SAMPLE_SKIPPED && reason != DP_LOSS_PROGRAM_SKIPPED &&
	       reason != DP_LOSS_RECORDER_WRITE && reason != DP_LOSS_PAYLOAD_CUT &&
	       reason != DP_LOSS_READ_FAULT && reason != DP_LOSS_LATE_RECORD &&
	       reason != DP_LOSS_SIGNAL_REPEATED;
}

void losses_count(struct losses *l, enum dp_loss reason, uint32_t pid, uint64_t count,
		  uint64_t t_ns)
{
	struct untold *u = &l->untold[reason];

	if (!u->count) {
		u->since_ns = t_ns;
		u->pid = pid;
	} else if (u->pid != pid) {
		u->pid = 0;
	}
	u->count += count;
	u->t_ns = t_ns;
	l->count[reason] += count;
	if (is_missed_record(reason))
		l->records += count;
}

bool losses_due(struct losses *l, uint64_t now, bool all, enum dp_loss *ret_reason,
		struct untold *ret)
{
	struct untold *u = NULL;

	if (!all && l->told_ns && now - l->told_ns < TELL_NS)
		return false;
	for (int i = 0; i < DP_LOSS_COUNT; i++)
		if (l->untold[i].count && (!u || l->untold[i].since_ns < u->since_ns))
			u = &l->untold[i];
	if (!u)
		return false;
	*ret_reason = (enum dp_loss)(u - l->untold);
	*ret = *u;
	memset(u, 0, sizeof(*u));
	l->told_ns = now;
	return true;
}
