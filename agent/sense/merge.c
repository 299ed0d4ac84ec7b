// SPDX-License-Identifier: MIT
/*
 * The merge: small keys over records that lie one behind the other in the chunks of one arena. Nearly all keys
 * come in order and go into a queue; those that come after a later one go into a binary heap, and the
 * lesser of both heads leaves. A record is between 32 bytes and some 2.6 KB. A chunk is used again when all
 * of its records have left, the one that was in use last first: so few are in use, and what is written and read lies in
 * one row. (Chained blocks of 128 bytes, each taken from a list that runs through memory which has left the cache
 * since, took 17 % of the agent's time in a flow flat out.) All areas are mapped, not touched: a quiet agent pays
 * for the few pages that it uses.
 */
#include "sense/merge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE  64
#define CHUNK_BYTES 32768u
#define CHUNKS      (DP_MERGE_ARENA_BYTES / CHUNK_BYTES)
#define NO_CHUNK    UINT32_MAX
/* After a burst the arena goes back to the kernel once this many chunks were in use: 2 MiB. */
#define CHUNKS_KEPT 64u

_Static_assert(DP_SEND_BACK_NS < DP_MERGE_WATERMARK_NS, "a send that blocked comes in time");
_Static_assert(sizeof(struct dp_record) <= CHUNK_BYTES, "a record has room in a chunk");

struct key {
	uint64_t t_ns;
	uint64_t arrival; /* settles what the record itself leaves equal */
	uint32_t cpu;
	uint32_t seq;
	uint32_t at; /* in the arena */
	uint32_t size;
};

struct dp_merge {
	struct key *queue; /* a ring, ascending */
	uint32_t queue_head, queue_count;
	struct key *heap; /* those that are behind the queue's end */
	uint32_t heap_count;
	unsigned char *arena;
	uint32_t chunk;                      /* the one that is being filled; NO_CHUNK none */
	uint32_t filled;                     /* bytes of it */
	uint32_t live[CHUNKS];               /* records in each */
	uint32_t empty[CHUNKS], empty_count; /* those that were in use and are not */
	uint32_t fresh;                      /* chunks from here on were never used */
	uint64_t arrival;
	uint64_t left_ns; /* time of the last record that left */
	uint64_t late;
};

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct dp_merge *dp_merge_new(void)
{
	struct dp_merge *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->queue = map(DP_MERGE_MAX * sizeof(*m->queue));
	m->heap = map(DP_MERGE_MAX * sizeof(*m->heap));
	m->arena = map(DP_MERGE_ARENA_BYTES);
	if (!m->queue || !m->heap || !m->arena) {
		dp_merge_free(m);
		return NULL;
	}
	m->chunk = NO_CHUNK;
	return m;
}

void dp_merge_free(struct dp_merge *m)
{
	if (!m)
		return;
	if (m->queue)
		munmap(m->queue, DP_MERGE_MAX * sizeof(*m->queue));
	if (m->heap)
		munmap(m->heap, DP_MERGE_MAX * sizeof(*m->heap));
	if (m->arena)
		munmap(m->arena, DP_MERGE_ARENA_BYTES);
	free(m);
}

static void fetch_ahead(const struct dp_merge *m, const struct key *k)
{
	const unsigned char *p = m->arena + k->at;

	for (uint32_t line = 0; line < k->size && line < 4 * CACHE_LINE; line += CACHE_LINE)
		__builtin_prefetch(p + line);
}

/* Room for `size` bytes; false: there is none. */
static bool make_room(struct dp_merge *m, uint32_t size)
{
	if (m->chunk != NO_CHUNK && m->filled + size <= CHUNK_BYTES)
		return true;
	if (m->chunk == NO_CHUNK || m->live[m->chunk]) {
		if (m->empty_count)
			m->chunk = m->empty[--m->empty_count];
		else if (m->fresh < CHUNKS)
			m->chunk = m->fresh++;
		else
			return false;
	}
	m->filled = 0;
	return true;
}

/* There is room for it. */
static uint32_t store(struct dp_merge *m, const void *data, uint32_t size)
{
	uint32_t at = m->chunk * CHUNK_BYTES + m->filled;

	memcpy(m->arena + at, data, size);
	m->live[m->chunk]++;
	m->filled += (size + 7) & ~7u;
	return at;
}

static void fetch(struct dp_merge *m, const struct key *k, void *ret)
{
	uint32_t chunk = k->at / CHUNK_BYTES;

	memcpy(ret, m->arena + k->at, k->size);
	if (--m->live[chunk])
		return;
	if (chunk == m->chunk)
		m->filled = 0;
	else
		m->empty[m->empty_count++] = chunk;
}

/* Sequence numbers wrap; two of one CPU at one nanosecond are never half the range apart. */
static int before(const struct key *a, const struct key *b)
{
	if (a->t_ns != b->t_ns)
		return a->t_ns < b->t_ns;
	if (a->cpu != b->cpu)
		return a->cpu < b->cpu;
	if (a->seq != b->seq)
		return (int32_t)(a->seq - b->seq) < 0;
	return a->arrival < b->arrival;
}

static void sift_up(struct key *heap, uint32_t i)
{
	struct key k = heap[i];

	while (i > 0 && before(&k, &heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = k;
}

static void sift_down(struct key *heap, uint32_t count)
{
	struct key k = heap[0];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < count) {
		if (child + 1 < count && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &k))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = k;
}

static struct key *queue_at(struct dp_merge *m, uint32_t i)
{
	return &m->queue[(m->queue_head + i) % DP_MERGE_MAX];
}

int dp_merge_push(struct dp_merge *m, const struct dp_record *r)
{
	uint32_t size = (uint32_t)dp_record_size(r->h.type);
	struct key k;

	if (size == 0 || r->h.size != size)
		return -EINVAL;
	if (m->queue_count + m->heap_count == DP_MERGE_MAX || !make_room(m, size))
		return -ENOBUFS;
	k = (struct key){.t_ns = r->h.t_ns,
			 .arrival = m->arrival++,
			 .cpu = r->h.cpu,
			 .seq = r->h.seq,
			 .at = store(m, r, size),
			 .size = size};
	if (k.t_ns < m->left_ns) {
		struct dp_rec_hdr h = r->h;

		h.flags |= DP_F_LATE;
		h.t_ns = m->left_ns;
		memcpy(m->arena + k.at, &h, sizeof(h));
		k.t_ns = m->left_ns;
		m->late++;
	}
	if (m->queue_count && before(&k, queue_at(m, m->queue_count - 1))) {
		m->heap[m->heap_count] = k;
		sift_up(m->heap, m->heap_count++);
	} else {
		*queue_at(m, m->queue_count++) = k;
	}
	return 0;
}

/* After a burst the memory goes back. Failure only means that it stays. */
static void give_back(struct dp_merge *m)
{
	(void)madvise(m->arena, DP_MERGE_ARENA_BYTES, MADV_DONTNEED);
	(void)madvise(m->heap, DP_MERGE_MAX * sizeof(*m->heap), MADV_DONTNEED);
	(void)madvise(m->queue, DP_MERGE_MAX * sizeof(*m->queue), MADV_DONTNEED);
	m->chunk = NO_CHUNK;
	m->empty_count = 0;
	m->fresh = 0;
}

int dp_merge_pop(struct dp_merge *m, uint64_t until_ns, struct dp_record *ret)
{
	const struct key *first = m->queue_count ? queue_at(m, 0) : NULL;
	int from_heap = m->heap_count && (!first || before(&m->heap[0], first));
	struct key k;

	if (from_heap)
		first = &m->heap[0];
	if (!first || first->t_ns >= until_ns)
		return 0;
	k = *first;
	if (from_heap) {
		m->heap[0] = m->heap[--m->heap_count];
		if (m->heap_count)
			sift_down(m->heap, m->heap_count);
	} else {
		m->queue_head = --m->queue_count ? (m->queue_head + 1) % DP_MERGE_MAX : 0;
	}
	fetch(m, &k, ret);
	/* Most likely the next to leave; by then it is in the cache. */
	if (m->queue_count)
		fetch_ahead(m, queue_at(m, 0));
	m->left_ns = k.t_ns;
	if (m->queue_count + m->heap_count == 0 && m->fresh > CHUNKS_KEPT)
		give_back(m);
	return 1;
}

const struct dp_record *dp_merge_waiting(const struct dp_merge *m, uint32_t n)
{
	if (n >= m->queue_count)
		return NULL;
	return (const void *)(m->arena + m->queue[(m->queue_head + n) % DP_MERGE_MAX].at);
}

uint64_t dp_merge_late(const struct dp_merge *m)
{
	return m->late;
}
