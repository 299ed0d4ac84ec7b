/* SPDX-License-Identifier: MIT */
/* The command `report`: a recording, replayed into the model, as text, a page or a trace. */
#ifndef DORA_PROBE_REPORT_H
#define DORA_PROBE_REPORT_H

#include "cli/options.h"

/*
 * Returns the exit code; what went wrong is on standard error. The output appears under its name only
 * when it is complete. A recording that is damaged in the middle is reported up to there, and that is
 * said.
 */
int dp_report(const struct dp_options *o);

#endif
