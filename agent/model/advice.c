// SPDX-License-Identifier: MIT
/* What to do about a cause; see advice.h. */
#include "model/advice.h"

#include "model/token.h"
#include "model/waits.h"

#include <stdio.h>
#include <string.h>

/* The advice by cause, %s for the place. Advice that is put together from more than that is not here. */
static const char *const at_place[DP_CAUSE_COUNT] = {
	[DP_CAUSE_GIL_NATIVE] =
		"release the GIL in the native call of %s (Py_BEGIN_ALLOW_THREADS, nogil), split it, or move it to another process",
	[DP_CAUSE_GIL_CONTENTION] =
		"another thread keeps taking the GIL in %s: move that work to a process, or shorten it",
	[DP_CAUSE_BUSY_PYTHON] =
		"%s does not come back to next(): shorten the handler, or give the work its own process",
	[DP_CAUSE_BLOCKED] =
		"not the GIL: %s waits; use next(timeout) or wait elsewhere than in the event loop",
	[DP_CAUSE_RUNNING_WITHOUT_GIL] =
		"not the GIL: %s computes without it and does not come back to next(): give the work its own thread or process",
	[DP_CAUSE_DEADLOCK] =
		"%s waits for a lock while it holds the GIL that the lock's owner needs: break the cycle; on dora up to 0.5.0 avoid recv_async",
};

static const char *const anywhere[DP_CAUSE_COUNT] = {
	[DP_CAUSE_NOT_CONNECTED] =
		"connect first (Node()), then load what takes long; or give it a longer startup_timeout",
	[DP_CAUSE_STOPPED] =
		"the process is stopped, by SIGSTOP, Ctrl-Z or a debugger: kill -CONT it, or let the debugger go on",
	[DP_CAUSE_REFERENCE_KEPT] =
		"the node keeps the array: copy what is needed and drop the event's value",
	[DP_CAUSE_NOT_REPORTED] =
		"harmless alone: freed, but no further event came to carry the report; a timer input makes it prompt",
	[DP_CAUSE_NODE_DROPPED_FIRST] =
		"the node object was dropped while arrays were alive: delete events and arrays before the node",
	[DP_CAUSE_RECEIVER_GONE] =
		"the receiver ended with tokens pending; the daemon never cleans these up: see why it ended",
	[DP_CAUSE_OWNER_NOT_COLLECTING] =
		"every receiver has returned it, the owner does not take it: upgrade dora (0.5.0 mends it) or send more often",
};

/*
 * Inputs that are still queued in a node that is on its way out. dora waits for its event thread
 * before it lets go of them, while their owner gives them up.
 */
static unsigned int queued_at_the_end(const struct node *n)
{
	unsigned int count = 0;

	if (!n->stop.seen && !n->stop.inputs_closed)
		return 0;
	for (const struct delivery *d = n->account.pending_first; d; d = d->next_pending)
		count += !d->mapped_ns;
	return count;
}

static void inside_dora(const struct node *n, char ret[ADVICE_MAX])
{
	unsigned int queued = queued_at_the_end(n);

	if (streams_at_barrier(&n->streams))
		snprintf(
			ret, ADVICE_MAX,
			"Node() waits until every node of the dataflow has connected: nothing to do here, see which one has not (dora-probe list, `dora logs`)");
	else if (queued)
		snprintf(
			ret, ADVICE_MAX,
			"dora drops the node with %u input%s queued, whose tokens are given up meanwhile: take them before leaving (next() until it returns None)",
			queued, queued == 1 ? "" : "s");
	else
		snprintf(
			ret, ADVICE_MAX,
			"dora's own code holds the GIL (creating or dropping a node): nothing to do in the node");
}

/* What the native call waits for stands before what helps. */
static void native_wait(const struct dp_rec_waits *w, const char *where, char ret[ADVICE_MAX])
{
	char words[WAITS_WORDS_MAX];
	size_t used = 0;

	waits_words(w, words);
	if (words[0])
		used = (size_t)snprintf(ret, ADVICE_MAX, "the call %s; ", words);
	snprintf(ret + used, ADVICE_MAX - used, at_place[DP_CAUSE_GIL_NATIVE], where);
}

/* The collector runs where the count of objects happens to reach its threshold: that line is innocent. */
static void collector(const struct place *p, char ret[ADVICE_MAX])
{
	const char *slash = strrchr(p->user_file, '/');
	size_t used;

	used = (size_t)snprintf(
		ret, ADVICE_MAX,
		"Python's garbage collector walks all objects: gc.freeze() once the node is set up, a higher gc.set_threshold(), or gc.collect() at a moment that suits");
	if (p->user_function[0])
		snprintf(ret + used, ADVICE_MAX - used, " (it ran within %s, %s:%d)",
			 p->user_function, slash ? slash + 1 : p->user_file, (int)p->user_line);
}

void advice_for(int8_t cause, const struct node *n, const struct place *place, char ret[ADVICE_MAX])
{
	char where[DP_FUNCTION_MAX + DP_FILE_MAX + 32] = "its code";
	const char *slash = strrchr(place->file, '/');
	const struct dp_rec_waits *waits = waits_of(&n->waits, &n->timeline.gils[0].cur);

	if (place->known && place->function[0])
		snprintf(where, sizeof(where), "%s (%s:%d)", place->function,
			 slash ? slash + 1 : place->file, (int)place->line);
	if (place->collecting)
		collector(place, ret);
	else if (cause == DP_CAUSE_DORA_INTERNAL)
		inside_dora(n, ret);
	else if (cause == DP_CAUSE_GIL_NATIVE && waits)
		native_wait(waits, where, ret);
	else if (cause >= 0 && cause < DP_CAUSE_COUNT && at_place[cause])
		snprintf(ret, ADVICE_MAX, at_place[cause], where);
	else if (cause >= 0 && cause < DP_CAUSE_COUNT && anywhere[cause])
		snprintf(ret, ADVICE_MAX, "%s", anywhere[cause]);
	else
		snprintf(ret, ADVICE_MAX, "not enough evidence%s%s",
			 n->id.facts.reason[0] ? ": " : "", n->id.facts.reason);
}
