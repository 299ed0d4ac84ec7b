// SPDX-License-Identifier: MIT
/* Stop and its deadline; see deadline.h. */
#include "model/deadline.h"

#include "base/units.h"

#include <signal.h>

/* A `dora stop` concerns the Stop events that follow within this time. */
#define COMMAND_NS (30 * SEC)

void stop_moved(struct stop *s, uint64_t t_ns)
{
	if (stop_is_on(s) && t_ns > s->at_ns && !s->moved_ns)
		s->moved_ns = t_ns;
}

uint64_t stop_grace(const struct stop *s, const struct identity *id, uint64_t option_ns)
{
	uint64_t grace = option_ns ? option_ns : id->grace.deadline_ns;

	/* What a `dora stop` asked for may give more time, never less than --grace. */
	if (s->command_grace_ns && s->at_ns - s->command_ns <= COMMAND_NS &&
	    (!option_ns || s->command_grace_ns > grace))
		grace = s->command_grace_ns;
	return grace;
}

static bool outlives_sigterm(const struct identity *id)
{
	return (id->facts.signals_caught | id->facts.signals_ignored) & (1ULL << (SIGTERM - 1));
}

void stop_begin(struct stop *s, const struct identity *id, uint64_t option_ns,
		enum dp_stop_reason why, uint64_t t_ns)
{
	bool term_first = id->grace.first_signal == SIGTERM;
	uint64_t grace, sigkill_ns;

	s->seen = true;
	s->at_ns = t_ns;
	s->reason = (uint8_t)why;
	grace = stop_grace(s, id, option_ns);
	if (why == DP_STOP_SIGTERM) {
		/* The daemon's own SIGTERM: what is left is its second stage. */
		s->deadline_ns = sigkill_ns = term_first ? t_ns + grace / 2 : t_ns;
	} else {
		s->deadline_ns = t_ns + grace;
		sigkill_ns = term_first ? t_ns + grace + grace / 2 : t_ns + grace;
	}
	s->first_signal = id->grace.first_signal;
	/* A process that catches or ignores SIGTERM lives until SIGKILL. */
	if (term_first && outlives_sigterm(id)) {
		s->first_signal = SIGKILL;
		s->deadline_ns = sigkill_ns;
	}
}
