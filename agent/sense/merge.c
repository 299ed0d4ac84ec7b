// SPDX-License-Identifier: MIT
/*
 * The merge: small keys over records that lie in chained blocks of one arena. Nearly all keys come
 * in order and go into a queue; those that come after a later one go into a binary heap, and the
 * lesser of both heads leaves. A record is between 32 bytes and some 2.6 KB, so equal slots would
 * waste most of the memory; equal blocks waste less than one block each and never fragment. All
 * areas are mapped, not touched: a quiet agent pays for the few pages that it uses.
 */
#include "sense/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BYTES   128
#define CACHE_LINE    64
#define BLOCK_PAYLOAD (BLOCK_BYTES - sizeof(uint32_t))
#define BLOCKS        (DP_MERGE_ARENA_BYTES / BLOCK_BYTES)
#define NO_BLOCK      UINT32_MAX
/* After a burst the arena goes back to the kernel once this many blocks were in use: 2 MiB. */
#define BLOCKS_KEPT 16384u

_Static_assert(DP_SEND_BACK_NS < DP_MERGE_WATERMARK_NS, "a send that blocked comes in time");

struct block {
	uint32_t next;
	unsigned char bytes[BLOCK_PAYLOAD];
};
_Static_assert(sizeof(struct block) == BLOCK_BYTES, "blocks fill the arena");

struct key {
	uint64_t t_ns;
	uint64_t arrival; /* settles what the record itself leaves equal */
	uint32_t cpu;
	uint32_t seq;
	uint32_t block;
	uint32_t size;
};

struct dp_merge {
	struct key *queue; /* a ring, ascending */
	uint32_t queue_head, queue_count;
	struct key *heap; /* those that are behind the queue's end */
	uint32_t heap_count;
	struct block *blocks;
	uint32_t free_list;
	uint32_t fresh;       /* blocks from here on were never used */
	uint32_t blocks_free; /* in the list and fresh */
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
	m->blocks = map(DP_MERGE_ARENA_BYTES);
	if (!m->queue || !m->heap || !m->blocks) {
		dp_merge_free(m);
		return NULL;
	}
	m->free_list = NO_BLOCK;
	m->blocks_free = BLOCKS;
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
	if (m->blocks)
		munmap(m->blocks, DP_MERGE_ARENA_BYTES);
	free(m);
}

static void fetch_ahead(const struct dp_merge *m, uint32_t block)
{
	const char *b = (const char *)&m->blocks[block];

	for (size_t line = 0; line < BLOCK_BYTES; line += CACHE_LINE)
		__builtin_prefetch(b + line, 1);
}

static uint32_t block_take(struct dp_merge *m)
{
	uint32_t b = m->free_list;

	if (b != NO_BLOCK)
		m->free_list = m->blocks[b].next;
	else
		b = m->fresh++;
	m->blocks_free--;
	/* The next one to be taken has left the cache long ago: it comes back while this is filled. */
	if (m->free_list != NO_BLOCK)
		fetch_ahead(m, m->free_list);
	return b;
}

/* The caller has checked that enough blocks are free. */
static uint32_t store(struct dp_merge *m, const void *data, size_t size)
{
	const unsigned char *p = data;
	uint32_t first = block_take(m), b = first;

	for (;;) {
		size_t n = size < BLOCK_PAYLOAD ? size : BLOCK_PAYLOAD;

		memcpy(m->blocks[b].bytes, p, n);
		p += n;
		size -= n;
		if (!size)
			break;
		m->blocks[b].next = block_take(m);
		b = m->blocks[b].next;
	}
	m->blocks[b].next = NO_BLOCK;
	return first;
}

static void fetch(struct dp_merge *m, uint32_t b, void *ret, size_t size)
{
	unsigned char *p = ret;

	while (b != NO_BLOCK) {
		size_t n = size < BLOCK_PAYLOAD ? size : BLOCK_PAYLOAD;
		uint32_t next = m->blocks[b].next;

		memcpy(p, m->blocks[b].bytes, n);
		p += n;
		size -= n;
		m->blocks[b].next = m->free_list;
		m->free_list = b;
		m->blocks_free++;
		b = next;
	}
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
	size_t size = dp_record_size(r->h.type);
	size_t need = (size + BLOCK_PAYLOAD - 1) / BLOCK_PAYLOAD;
	struct key k;

	if (size == 0 || r->h.size != size)
		return -EINVAL;
	if (m->queue_count + m->heap_count == DP_MERGE_MAX || need > m->blocks_free)
		return -ENOBUFS;
	k = (struct key){.t_ns = r->h.t_ns,
			 .arrival = m->arrival++,
			 .cpu = r->h.cpu,
			 .seq = r->h.seq,
			 .block = store(m, r, size),
			 .size = (uint32_t)size};
	if (k.t_ns < m->left_ns) {
		_Static_assert(sizeof(r->h) <= BLOCK_PAYLOAD, "the header is in the first block");
		struct dp_rec_hdr h = r->h;

		h.flags |= DP_F_LATE;
		h.t_ns = m->left_ns;
		memcpy(m->blocks[k.block].bytes, &h, sizeof(h));
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
	(void)madvise(m->blocks, DP_MERGE_ARENA_BYTES, MADV_DONTNEED);
	(void)madvise(m->heap, DP_MERGE_MAX * sizeof(*m->heap), MADV_DONTNEED);
	(void)madvise(m->queue, DP_MERGE_MAX * sizeof(*m->queue), MADV_DONTNEED);
	m->free_list = NO_BLOCK;
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
	fetch(m, k.block, ret, k.size);
	/* Most likely the next to leave; by then it is in the cache. */
	if (m->queue_count)
		fetch_ahead(m, queue_at(m, 0)->block);
	m->left_ns = k.t_ns;
	if (m->queue_count + m->heap_count == 0 && m->fresh > BLOCKS_KEPT)
		give_back(m);
	return 1;
}

uint64_t dp_merge_late(const struct dp_merge *m)
{
	return m->late;
}
