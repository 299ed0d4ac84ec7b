/* SPDX-License-Identifier: MIT */
/*
 * Will a node make its deadline? How much time it has to spare, how the matter will end, and when
 * that is worth a line. Pure functions; times are CLOCK_MONOTONIC ns of the model, 0 unknown.
 */
#ifndef DORA_PROBE_SLACK_H
#define DORA_PROBE_SLACK_H

#include "base/units.h"
#include "dora_probe/finding.h"

#include <stdbool.h>

/*
 * A hold of unknown length that was there at Stop is taken for one that will not end after this
 * share of the grace: 15 %, so that the first warning leaves at least 80 % of it.
 */
#define DP_SLACK_FIRST_PER_CENT 15u
/* A warning is closed when what raised it has been gone for this long. */
#define DP_SLACK_SETTLE_NS SEC

/* deadline - now - need; DP_SNULL without a deadline. need_ns DP_NULL counts as nothing. */
int64_t dp_slack(uint64_t deadline_ns, uint64_t now_ns, uint64_t need_ns);

/*
 * Until when is it believed that what began at `since` ends at `end` (after `since`), as earlier
 * ones did? Until it has outlasted them by a quarter, at least by 0.2 s.
 */
uint64_t dp_believed_until(uint64_t since_ns, uint64_t end_ns);

/*
 * A warning with steps. `raise` is the level that the facts call for, `keep` the one that they
 * still justify by the laxer thresholds (keep >= raise); both 0 for none, else 1 + enum
 * dp_severity.
 */
struct dp_step {
	uint64_t low_since_ns;
	uint8_t level;
};
enum dp_step_change {
	DP_STEP_NONE,
	DP_STEP_RAISED,   /* a line: a level not reached before */
	DP_STEP_RESOLVED, /* the closing line */
};
enum dp_step_change dp_step(struct dp_step *s, unsigned int raise, unsigned int keep,
			    uint64_t now_ns, uint64_t settle_ns);

struct dp_outlook_view {
	uint64_t stop_ns;     /* 0: no Stop, no outlook */
	uint64_t deadline_ns; /* 0: none (all_inputs_closed) */
	uint64_t grace_ns;
	uint64_t need_ns;  /* clean-up as measured; DP_NULL unknown */
	uint64_t moved_ns; /* as in struct dp_policy_view */
	/*
	 * What keeps the event loop from its next() and still goes on: a hold, a sleep, a handler,
	 * a wait for the GIL; 0 none.
	 */
	uint64_t stuck_since_ns;
	uint64_t stuck_expected_end_ns;
	bool deadlock; /* that is proven never to end */
	bool outputs_done, exited;
};

struct dp_outlook {
	int64_t slack_ns;  /* DP_SNULL without a deadline */
	uint64_t ready_ns; /* when it will have left, as things look; DP_NULL nobody knows */
	bool miss;         /* it will be killed, as things look */
	bool reacted;      /* it has shown any reaction to Stop */
};

void dp_outlook(const struct dp_outlook_view *v, uint64_t now_ns, struct dp_outlook *ret);

/* The two warnings of a Stop: it does not react (stop_pending), it will be late (deadline). */
struct dp_stop_steps {
	uint64_t stop_ns;
	struct dp_step pending, deadline;
};

struct dp_stop_change {
	struct dp_outlook outlook;
	uint8_t pending, deadline; /* enum dp_step_change */
	/* enum dp_severity of the line; of a closing line the one that is closed */
	uint8_t pending_severity, deadline_severity;
	char text[DP_REASON_MAX]; /* the outlook in a sentence, "" without a change */
};

void dp_stop_warn(struct dp_stop_steps *s, const struct dp_outlook_view *v, uint64_t now_ns,
		  struct dp_stop_change *ret);

/* ---- before any Stop --------------------------------------------------------------------- */

struct dp_forecast_view {
	uint64_t grace_ns;
	uint64_t hold_start_ns; /* of the hold that is going on; 0 none */
	uint64_t hold_expected_end_ns;
	uint64_t longest_hold_ns; /* of those that ended; 0 none measured */
	uint64_t need_ns;         /* clean-up as measured; DP_NULL unknown */
	uint64_t pending_tokens;
};

struct dp_forecast {
	uint64_t need_ns;
	bool at_least; /* a hold of unknown length is in it */
	bool at_risk;
	char text[DP_REASON_MAX];
};

/* "if you stopped now, …". 0, or -ENODATA when nothing is measured that could be said. */
int dp_forecast(const struct dp_forecast_view *v, const char *node, uint64_t now_ns,
		struct dp_forecast *ret);

#endif
