// SPDX-License-Identifier: MIT
/* Stop and its deadline; see deadline.h. */
#include "model/deadline.h"

#include "base/units.h"

#include <signal.h>

/* dora 1.x, `node restart` without --grace (DEFAULT_RESTART_GRACE; measured with 1.1.0). */
#define NODE_RESTART_NS (5 * SEC)
/* The daemon's timers come up to 0.1 s late (measured); what is less is no other grace. */
#define TREMBLE_NS (250 * MS)

void stop_moved(struct stop *s, uint64_t t_ns)
{
	if (stop_is_on(s) && t_ns > s->at_ns && !s->moved_ns)
		s->moved_ns = t_ns;
}

struct grace stop_grace(const struct identity *id, const struct dp_rec_command *c,
			uint64_t option_ns)
{
	struct grace g = {.ns = id->grace.deadline_ns, .source = id->grace_source};

	if (c && c->verb == DP_DORA_NODE_RESTART)
		g = (struct grace){.ns = NODE_RESTART_NS, .source = DP_DEADLINE_COMMAND};
	if (option_ns)
		g = (struct grace){.ns = option_ns, .source = DP_DEADLINE_OPTION};
	if (c && c->force && !option_ns)
		g = (struct grace){.ns = 0, .source = DP_DEADLINE_COMMAND};
	else if (c && c->grace_ns && (!option_ns || c->grace_ns > option_ns))
		g = (struct grace){.ns = c->grace_ns, .source = DP_DEADLINE_COMMAND};
	return g;
}

static bool outlives_sigterm(const struct identity *id)
{
	return (id->facts.signals_caught | id->facts.signals_ignored) & (1ULL << (SIGTERM - 1));
}

uint64_t stop_default_ns(const struct identity *id)
{
	uint64_t ns = id->grace.deadline_ns;

	return ns + (id->grace.first_signal == SIGTERM && outlives_sigterm(id) ? ns / 2 : 0);
}

/* The deadline of a grace that began at at_ns. */
static void set_deadline(struct stop *s, const struct identity *id)
{
	s->first_signal = s->term_first && !s->forced ? SIGTERM : SIGKILL;
	s->deadline_ns = s->at_ns + s->grace_ns;
	/* A process that catches or ignores SIGTERM lives until SIGKILL. */
	if (s->first_signal == SIGTERM && outlives_sigterm(id)) {
		s->first_signal = SIGKILL;
		s->deadline_ns += s->grace_ns / 2;
	}
}

void stop_begin(struct stop *s, const struct identity *id, const struct dp_rec_command *c,
		uint64_t option_ns, enum dp_stop_reason why, uint64_t t_ns)
{
	struct grace g = stop_grace(id, c, option_ns);

	s->seen = true;
	s->at_ns = t_ns;
	s->reason = (uint8_t)why;
	s->grace_ns = g.ns;
	s->source = g.source;
	s->forced |= c && c->force;
	s->commanded = g.source == DP_DEADLINE_COMMAND;
	s->term_first = id->grace.first_signal == SIGTERM;
	set_deadline(s, id);
	if (why == DP_STOP_SIGTERM) {
		/* The daemon's own SIGTERM: what is left is its second stage. */
		s->deadline_ns = t_ns + (s->term_first ? g.ns / 2 : 0);
		s->first_signal = SIGKILL;
		s->term_ns = t_ns;
	}
}

void stop_unenforced(struct stop *s)
{
	s->deadline_ns = 0;
	s->source = DP_DEADLINE_NONE;
}

void stop_corrected(struct stop *s, const struct identity *id, uint32_t signal, uint64_t t_ns)
{
	uint64_t took = t_ns > s->at_ns ? t_ns - s->at_ns : 0;
	uint64_t expected =
		signal == SIGTERM || !s->term_first ? s->grace_ns : s->grace_ns + s->grace_ns / 2;
	bool as_expected = took + TREMBLE_NS >= expected && took <= expected + TREMBLE_NS;

	if (signal == SIGTERM && s->reason != DP_STOP_SIGTERM) {
		s->term_first = true;
		if (!as_expected) {
			s->grace_ns = took;
			s->source = DP_DEADLINE_LEARNED;
		}
		set_deadline(s, id);
	} else if (signal == SIGKILL) {
		s->first_signal = SIGKILL;
		if (!as_expected) {
			s->deadline_ns = t_ns;
			s->source = DP_DEADLINE_LEARNED;
		}
	}
	if (signal == SIGTERM && !s->term_ns)
		s->term_ns = t_ns;
}
