/* SPDX-License-Identifier: MIT */
/* Who a watched process is. */
#ifndef DORA_PROBE_MODEL_IDENTITY_H
#define DORA_PROBE_MODEL_IDENTITY_H

#include "base/units.h"
#include "dora/nodeconfig.h"
#include "dora_probe/record.h"

#include <stdbool.h>

struct entry;

/* A node that has just started has not imported dora yet: its line waits for it this long, ns. */
#define INTRODUCE_NS (2 * SEC)
/* Whether its tokens can be seen shows with the first frame: its line waits for that as long, ns. */
#define UNHEARD_NS (500 * MS)

struct identity {
	uint32_t pid;
	bool gone;      /* not watched any more: it has ended or become another program */
	bool exited;    /* the process has ended */
	bool announced; /* its `node` line is out */
	uint64_t first_ns, gone_ns;
	struct entry *entry;   /* what it is a life of (lives.h); NULL nothing */
	uint32_t life;         /* its number there, from 1 */
	int8_t role;           /* enum dp_member_role; -1 it is no dora node */
	bool unproven;         /* taken for the node, but not connected yet */
	bool life_void;        /* was not the node after all */
	bool exit_held;        /* its exit waits to be said */
	bool late;             /* it ran before the probe: what is counted is since then */
	uint32_t consumer_tid; /* takes events and frees arrays; 0 not known yet */
	struct dp_rec_node facts;
	struct dp_rec_limits limits;
	bool limits_known;     /* recordings up to 0.1.0 do not tell them */
	uint64_t orphaned_ns;  /* its daemon has ended; 0 not */
	uint32_t orphaned_by;  /* wait status of the daemon */
	struct dp_grace grace; /* what its daemon gives by default */
	uint8_t grace_source;  /* how that is known: enum dp_deadline_source */
	uint32_t
		left_alone; /* sources that it floods, and that are not looked at: bit per enum dp_source */
};

/*
 * The thread that takes the node's events: main, whose tid is the pid, until another one is
 * known.
 */
static inline uint32_t identity_consumer(const struct identity *id)
{
	return id->consumer_tid ? id->consumer_tid : id->pid;
}

/*
 * Takes what its records say of what ends it: the daemon's default grace and how that is known.
 */
void identity_judge(struct identity *id);

/*
 * Can its drop tokens be counted? From dora 1.0 on there are none, which is known as well.
 */
bool identity_tokens_countable(const struct identity *id);
/* Is what these facts have new worth a line? Signal masks are not: they change with every handler. */
bool identity_differs(const struct identity *id, const struct dp_rec_node *facts);

#endif
