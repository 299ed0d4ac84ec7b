/* SPDX-License-Identifier: MIT */
/*
 * What the kernel programs tell of a thread as a whole stretch, when it is over: its time off the CPU with the
 * GIL, and its run of samples in which it was never found without. Each is of the hold in whose time it lies, which
 * a look may have closed already.
 */
#ifndef DORA_PROBE_MODEL_STRETCH_H
#define DORA_PROBE_MODEL_STRETCH_H

#include "model/gil.h"

/* Of DP_REC_GIL_OFFCPU: nobody but the thread could have let go of the GIL meanwhile. */
void stretch_off_cpu(const struct timeline_of *p, const struct dp_record *r);
/* Of DP_REC_GIL_RUN: narrows the hold's ends, or is a candidate where nobody looked in time. */
void stretch_run(const struct timeline_of *p, const struct dp_record *r);

#endif
