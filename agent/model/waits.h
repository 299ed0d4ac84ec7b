/* SPDX-License-Identifier: MIT */
/*
 * Whom the holder of the GIL waits for, and whether that chain ends at the GIL itself: only then it
 * is a deadlock. docs/model.md, "A deadlock", has the rules in words.
 */
#ifndef DORA_PROBE_MODEL_WAITS_H
#define DORA_PROBE_MODEL_WAITS_H

#include "model/hold.h"
#include "model/say.h"

/* What was read last about the process' main GIL. */
struct waits {
	uint64_t asked_ns;
	struct dp_rec_waits last; /* of a hold whose waits_known is set */
};

/* What proves that the chain of the record ends at the GIL; enum dp_proof. */
uint8_t waits_proof(const struct dp_rec_waits *r);
/* "waits for the end of thread worker (17), which sleeps"; "" where the first one does not wait. */
#define WAITS_WORDS_MAX 160
void waits_words(const struct dp_rec_waits *r, char ret[WAITS_WORDS_MAX]);
/*
 * The answer to a request: what it says of the hold that goes on, if it is about its holder. False
 * when the record is no such answer.
 */
bool waits_record(struct waits *w, struct hold *current, const struct dp_record *r);
/* Asks where the holder is asleep in a system call for long. */
void waits_ask(struct waits *w, const struct env *e, const struct identity *id,
	       const struct hold *current);
/* Whom the holder waits for; NULL not known. */
static inline const struct dp_rec_waits *waits_of(const struct waits *w, const struct hold *h)
{
	return h->tid && h->waits_known ? &w->last : NULL;
}

#endif
