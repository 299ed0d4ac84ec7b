// SPDX-License-Identifier: MIT
/* Has the node gone on to something else since Stop? See progress.h. */
#include "model/progress.h"

#include "base/hash.h"

#include <string.h>

static bool frame_is(const struct dp_frame *f, const char *function, const char *file)
{
	return strcmp(f->function, function) == 0 && place_file_ends(f->file, file);
}

/* One number for the stack from this frame outwards; never 0. */
static uint64_t key_from(const struct dp_rec_stack *s, uint32_t frame)
{
	uint64_t h = DP_HASH_START;

	for (uint32_t i = frame; i < s->frame_count; i++) {
		h = dp_hash_text(h, s->frames[i].function);
		h = dp_hash_bytes(h, "\xff", 1); /* which no UTF-8 has */
		h = dp_hash_text(h, s->frames[i].file);
		h = dp_hash_u32(h, (uint32_t)s->frames[i].line);
	}
	return h ? h : 1;
}

static uint64_t key_of(const struct dp_rec_stack *s)
{
	return key_from(s, 0);
}

static bool is_below_asyncio(const struct dp_rec_stack *s)
{
	for (uint32_t i = 1; i < s->frame_count; i++)
		if (strstr(s->frames[i].file, "/asyncio/"))
			return true;
	return false;
}

/* Main has returned, and the interpreter joins the threads that are no daemons. */
static bool is_finalising(const struct dp_rec_stack *s)
{
	return s->is_main && s->frame_count < DP_FRAMES_MAX &&
	       frame_is(&s->frames[s->frame_count - 1], "_shutdown", "/threading.py");
}

static bool is_known(struct progress *p, uint64_t key, uint64_t t_ns)
{
	for (uint32_t i = 0; i < PROGRESS_PLACES; i++) {
		if (p->known[i].key != key)
			continue;
		p->known[i].seen_ns = t_ns;
		return true;
	}
	return false;
}

/* The place that was not seen for longest gives way. */
static void note_known(struct progress *p, uint64_t key, uint64_t t_ns)
{
	uint32_t oldest = 0;

	if (is_known(p, key, t_ns))
		return;
	for (uint32_t i = 1; i < PROGRESS_PLACES; i++)
		if (p->known[i].seen_ns < p->known[oldest].seen_ns)
			oldest = i;
	p->known[oldest].key = key;
	p->known[oldest].seen_ns = t_ns;
}

static struct progress_thread *thread_of(struct progress *p, uint32_t tid)
{
	struct progress_thread *oldest = &p->threads[0];

	for (uint32_t i = 0; i < PROGRESS_THREADS; i++) {
		if (p->threads[i].tid == tid)
			return &p->threads[i];
		if (p->threads[i].seen_ns < oldest->seen_ns)
			oldest = &p->threads[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->tid = tid;
	return oldest;
}

/* A thread that is neither main nor the consumer: what it does may keep the process. */
static void note_thread(struct progress *p, bool stopped, const struct dp_record *r)
{
	struct progress_thread *t = thread_of(p, r->h.tid);
	uint64_t key = key_of(&r->u.stack);
	bool known = false;

	t->seen_ns = r->h.t_ns;
	for (uint32_t i = 0; i < PROGRESS_THREAD_PLACES; i++)
		known |= t->known[i] == key;
	if (stopped)
		t->same = known ? t->same + 1 : 0;
	else if (!known)
		t->known[t->next++ % PROGRESS_THREAD_PLACES] = key;
}

uint32_t progress_threads_go_on(const struct progress *p, uint64_t now)
{
	uint32_t tid = 0;

	for (uint32_t i = 0; i < PROGRESS_THREADS; i++) {
		const struct progress_thread *t = &p->threads[i];

		if (!t->tid || now - t->seen_ns > PROGRESS_THREAD_FRESH_NS)
			continue;
		if (t->same < PROGRESS_THREAD_LOOKS)
			return 0;
		tid = t->tid;
	}
	return tid;
}

static uint64_t name_of(const struct dp_frame *f)
{
	return dp_hash_text(dp_hash_text(DP_HASH_START, f->function), f->file);
}

/* It waits in next(): the innermost frame is the one that called it. */
static void note_loop(struct progress *p, const struct dp_rec_stack *s)
{
	if (s->state != 'S' || s->frame_count == DP_FRAMES_MAX)
		return;
	p->loop_depth = s->frame_count;
	p->loop_name = name_of(&s->frames[0]);
}

/* From where the function that calls next() has called what this is; 0 it is not on the stack, or not known. */
static uint64_t call_of(const struct progress *p, const struct dp_rec_stack *s)
{
	uint32_t frame;

	if (!p->loop_depth || s->frame_count <= p->loop_depth || s->frame_count == DP_FRAMES_MAX)
		return 0;
	frame = s->frame_count - p->loop_depth;
	return name_of(&s->frames[frame]) == p->loop_name ? key_from(s, frame) : 0;
}

static bool is_call_of_before(const struct progress *p, uint64_t call)
{
	for (uint32_t i = 0; call && i < PROGRESS_CALLS; i++)
		if (p->calls[i] == call)
			return true;
	return false;
}

static void note_before(struct progress *p, const struct dp_rec_stack *s)
{
	uint64_t call = call_of(p, s);

	if (place_library_is_dora(s->library))
		note_loop(p, s);
	else if (call && !is_call_of_before(p, call))
		p->calls[p->next_call++ % PROGRESS_CALLS] = call;
}

uint32_t progress_only_thread(const struct progress *p, uint64_t now)
{
	uint32_t tid = 0;

	for (uint32_t i = 0; i < PROGRESS_THREADS; i++) {
		const struct progress_thread *t = &p->threads[i];

		if (!t->tid || now - t->seen_ns > PROGRESS_THREADS_EVERY_NS + 500 * MS)
			continue;
		if (tid)
			return 0;
		tid = t->tid;
	}
	return tid;
}

static void note_place(struct place *p, const struct dp_rec_stack *s)
{
	memcpy(p->function, s->frames[0].function, sizeof(p->function));
	memcpy(p->file, s->frames[0].file, sizeof(p->file));
	p->line = s->frames[0].line;
	p->known = true;
	memcpy(p->thread, s->comm, sizeof(p->thread));
	memcpy(p->library, s->library, sizeof(p->library));
}

static void since_stop(struct progress *p, const struct dp_record *r, uint64_t key)
{
	uint64_t t = r->h.t_ns;

	if (!is_known(p, key, t)) {
		p->other_ns = t;
		if (r->u.stack.is_main && place_is_join(&r->u.stack))
			p->joining_ns = t;
		if (is_call_of_before(p, call_of(p, &r->u.stack)))
			p->call_ns = t;
		if (p->fresh_count < PROGRESS_NEW)
			p->fresh[p->fresh_count++] = key;
		return;
	}
	/* It has come back: so what was seen in between belongs to the same loop. */
	for (uint32_t i = 0; i < p->fresh_count; i++)
		note_known(p, p->fresh[i], t);
	p->fresh_count = 0;
	p->kept_ns = t;
	if (r->u.stack.has_gil_wait || t < p->held_up_ns + PROGRESS_CHANCE_NS)
		return;
	p->same_ns = t;
	note_place(&p->place, &r->u.stack);
}

static void end_busy(struct progress *p, uint64_t t_ns)
{
	if (p->busy_since_ns && t_ns > p->busy_since_ns &&
	    t_ns - p->busy_since_ns > p->longest_busy_ns)
		p->longest_busy_ns = t_ns - p->busy_since_ns;
}

/* A handler ends when the node takes its next message, or is found in next() again. */
static void note_busy(struct progress *p, uint64_t took_ns, const struct dp_record *r)
{
	if (took_ns > p->busy_since_ns && took_ns <= r->h.t_ns) {
		end_busy(p, took_ns);
		p->busy_since_ns = took_ns;
	}
	if (place_library_is_dora(r->u.stack.library)) {
		end_busy(p, r->h.t_ns);
		p->busy_since_ns = 0;
	} else if (!p->busy_since_ns) {
		p->busy_since_ns = r->h.t_ns;
	}
}

uint64_t progress_expected_end(const struct progress *p)
{
	return p->busy_since_ns && p->longest_busy_ns ? p->busy_since_ns + p->longest_busy_ns : 0;
}

/* In one sleep or one native call since before Stop: where it is now it was then, though nobody looked. */
static bool was_here(const struct dp_record *r, const struct stop *s, const struct hold *current)
{
	const struct dp_rec_stack *k = &r->u.stack;

	if (k->state == 'S' && k->asleep_since_ns && k->asleep_since_ns <= s->at_ns)
		return true;
	return current->tid == r->h.tid && current->native.verdict == 1 && hold_proven(current) &&
	       hold_start(current) <= s->at_ns;
}

void progress_stack(struct progress *p, const struct stop *s, const struct hold *current,
		    uint32_t consumer, uint64_t took_ns, const struct dp_record *r)
{
	const struct dp_rec_stack *k = &r->u.stack;
	bool stopped = stop_is_on(s) && r->h.t_ns > s->at_ns;

	if (k->status != 0 || k->frame_count == 0)
		return;
	if (stopped && is_finalising(k)) {
		if (!p->finalising_ns)
			p->finalising_ns = r->h.t_ns;
		return;
	}
	if (r->h.tid != consumer) {
		if (!k->is_main)
			note_thread(p, stopped, r);
		return;
	}
	note_busy(p, took_ns, r);
	p->asyncio = is_below_asyncio(k);
	if (!stopped)
		p->before_ns = r->h.t_ns;
	else if (was_here(r, s, current))
		p->before_ns = s->at_ns;
	if (place_is_idle_loop(k)) {
		if (stopped)
			p->idle_ns = r->h.t_ns;
		return;
	}
	if (!stopped)
		note_before(p, k);
	if (!stopped || was_here(r, s, current))
		note_known(p, key_of(k), r->h.t_ns);
	if (stopped)
		since_stop(p, r, key_of(k));
}

/* Asks where the other threads are before any Stop, and what they do while main waits for them. */
static void ask_threads(struct progress *p, const struct env *e, const struct identity *id,
			const struct stop *s)
{
	struct dp_request q = {.type = DP_REQ_READ_THREADS};
	uint64_t every = s->seen ? PROGRESS_EVERY_NS : PROGRESS_THREADS_EVERY_NS;
	bool waits = p->finalising_ns || (p->joining_ns && e->now - p->joining_ns < SEC);

	if ((s->seen && !waits) || e->now - p->threads_asked_ns < every)
		return;
	p->threads_asked_ns = e->now;
	say_request(e, id, &q);
}

void progress_ask(struct progress *p, const struct env *e, const struct identity *id,
		  const struct stop *s)
{
	struct dp_request q = {.type = DP_REQ_READ_STACK,
			       .tid = s->seen ? id->pid : identity_consumer(id)};

	if (!id->facts.is_python)
		return;
	ask_threads(p, e, id, s);
	if (e->now - p->asked_ns < PROGRESS_EVERY_NS)
		return;
	if (s->seen && identity_consumer(id) == id->pid && !s->outputs_done)
		return;
	p->asked_ns = e->now;
	say_request(e, id, &q);
}
