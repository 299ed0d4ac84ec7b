/* SPDX-License-Identifier: MIT */
/*
 * FNV-1a, 64 bits (Fowler, Noll and Vo: http://www.isthe.com/chongo/tech/comp/fnv/). For tables and
 * for "is it the same as before": whoever chooses the input can make two of them equal.
 */
#ifndef DORA_PROBE_BASE_HASH_H
#define DORA_PROBE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DP_HASH_START 0xcbf29ce484222325ULL
#define DP_HASH_PRIME 0x100000001b3ULL

/* Goes on from `h`, DP_HASH_START at first. */
static inline uint64_t dp_hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * DP_HASH_PRIME;
	return h;
}

/* A string without its NUL; NULL is "". */
static inline uint64_t dp_hash_text(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * DP_HASH_PRIME;
	return h;
}

/* A number as its four bytes, the lowest first. */
static inline uint64_t dp_hash_u32(uint64_t h, uint32_t v)
{
	for (int i = 0; i < 4; i++, v >>= 8)
		h = (h ^ (v & 0xff)) * DP_HASH_PRIME;
	return h;
}

/*
 * Eight bytes at a time, by multiplying and folding: for what is looked up for every record, a third of the instructions.
 */
static inline uint64_t dp_hash_words(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = DP_HASH_START ^ len, w;

	for (; len >= sizeof(w); len -= sizeof(w), p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, p, len);
	h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* Both halves in 32 bits, as the authors advise for shorter hashes. */
static inline uint32_t dp_hash_fold(uint64_t h)
{
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

#endif
