/* SPDX-License-Identifier: MIT */
/* What the tests of the wire decoder share: a sink that remembers, golden files, feeding. */
#ifndef DORA_PROBE_WIRE_SUPPORT_H
#define DORA_PROBE_WIRE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dora/wire.h"
#include "dora_probe/record.h"

#define BODY_MAX (1024 * 1024)

struct seen {
	struct dp_record *r;
	size_t count, cap;
	uint64_t loss[DP_LOSS_COUNT];
	struct dp_wire *w;
};

static inline void seen_record(void *ctx, const struct dp_record *r)
{
	struct seen *s = ctx;

	assert_int_equal(dp_record_check(r, r->h.size), 0);
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->r = realloc(s->r, s->cap * sizeof(*s->r));
		assert_non_null(s->r);
	}
	memset(&s->r[s->count], 0, sizeof(*s->r));
	memcpy(&s->r[s->count++], r, r->h.size);
}

static inline void seen_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t n, uint64_t t)
{
	struct seen *s = ctx;

	(void)pid;
	(void)t;
	assert_true(reason < DP_LOSS_COUNT);
	s->loss[reason] += n;
}

static inline void seen_begin(struct seen *s)
{
	struct dp_wire_sink sink = {seen_record, seen_loss, s};

	memset(s, 0, sizeof(*s));
	s->w = dp_wire_new(&sink);
	assert_non_null(s->w);
}

static inline void seen_end(struct seen *s)
{
	dp_wire_free(s->w);
	free(s->r);
}

static inline uint64_t seen_losses(const struct seen *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < DP_LOSS_COUNT; i++)
		n += s->loss[i];
	return n;
}

/* The i-th record that is no CONN_OPENED, or a failure. */
static inline const struct dp_record *said(const struct seen *s, size_t i)
{
	for (size_t k = 0; k < s->count; k++)
		if (s->r[k].h.type != DP_REC_CONN_OPENED && i-- == 0)
			return &s->r[k];
	fail_msg("fewer records than expected");
	return NULL;
}

static inline size_t said_count(const struct seen *s)
{
	size_t n = 0;

	for (size_t k = 0; k < s->count; k++)
		n += s->r[k].h.type != DP_REC_CONN_OPENED;
	return n;
}

/* One call, as one capture or as pieces of at most `piece` bytes; bytes beyond `copied` are cut. */
/* The `n` bytes at `at` of a call that moved `total`; `last`: no more of them come. */
static inline void piece_at(struct seen *s, struct dp_capture *h, struct dp_sock_data *d,
			    const uint8_t *p, size_t at, size_t n, int last)
{
	/* A copy on the heap: reading beyond the piece is then seen by the sanitizer. */
	uint8_t *copy = malloc(n ? n : 1);

	d->offset = (uint32_t)at;
	d->copied = (uint32_t)n;
	d->last = last != 0;
	memcpy(copy, p + at, n);
	h->size = (uint32_t)(sizeof(*h) + sizeof(*d) + n);
	dp_wire_data(s->w, h, d, copy);
	free(copy);
}

/*
 * A call that moved `total` bytes, of which the first `copied` come, in pieces, and then the last
 * `tail`.
 */
static inline void call_with_tail(struct seen *s, uint64_t conn, int direction, uint64_t t,
				  uint32_t tid, const uint8_t *p, size_t total, size_t copied,
				  size_t piece, size_t tail)
{
	struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = t, .pid = 7, .tid = tid};
	struct dp_sock_data d = {
		.conn = conn, .total = (uint32_t)total, .fd = 3, .direction = (uint8_t)direction};
	size_t at = 0;

	do {
		size_t n = copied - at < piece ? copied - at : piece;

		h.flags = (uint16_t)(at + n == copied && copied < total ? DP_F_CUT : 0);
		piece_at(s, &h, &d, p, at, n, at + n == copied && !tail);
		at += n;
	} while (at < copied);
	h.flags = 0;
	if (tail)
		piece_at(s, &h, &d, p, total - tail, tail, 1);
}

static inline void call_at(struct seen *s, uint64_t conn, int direction, uint64_t t, uint32_t tid,
			   const uint8_t *p, size_t total, size_t copied, size_t piece)
{
	call_with_tail(s, conn, direction, t, tid, p, total, copied, piece, 0);
}

static inline void call(struct seen *s, uint64_t conn, int direction, const void *p, size_t n)
{
	call_at(s, conn, direction, 1000, 9, p, n, n, DP_SOCK_PIECE_MAX);
}

static inline void put_len(uint8_t *p, uint64_t len)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(len >> (8 * i));
}

/* A frame as dora 0.3 to 0.5 write it: 8 bytes, then the body. */
static inline void frame(struct seen *s, uint64_t conn, int direction, const uint8_t *body,
			 size_t n)
{
	uint8_t len[8];

	put_len(len, n);
	call(s, conn, direction, len, 8);
	call(s, conn, direction, body, n);
}

static inline size_t unhex(const char *s, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (; s[0] && s[1] && s[0] != '\n'; s += 2) {
		unsigned int v;

		assert_int_equal(sscanf(s, "%2x", &v), 1);
		assert_true(n < cap);
		out[n++] = (uint8_t)v;
	}
	return n;
}

static inline FILE *golden_open(const char *name)
{
	char path[512];
	const char *slash = strrchr(__FILE__, '/');
	FILE *f;

	snprintf(path, sizeof(path), "%.*s/golden/%s", slash ? (int)(slash - __FILE__) : 1,
		 slash ? __FILE__ : ".", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);
	return f;
}

/* A line "label (size): hex" of a golden file. Returns the body's size; `label` without the size.
 */
static inline int golden_next(FILE *f, char *label, size_t label_cap, uint8_t *body, size_t cap,
			      size_t *ret_len)
{
	static char line[16384];
	char *colon, *paren;
	size_t want;

	if (!fgets(line, sizeof(line), f))
		return 0;
	colon = strrchr(line, ':');
	assert_non_null(colon);
	*ret_len = unhex(colon + 2, body, cap);
	*colon = '\0';
	paren = strrchr(line, '(');
	assert_non_null(paren);
	want = (size_t)strtoul(paren + 1, NULL, 10);
	assert_int_equal(*ret_len, want);
	paren[-1] = '\0';
	assert_true(strlen(line) < label_cap);
	memcpy(label, line, strlen(line) + 1);
	return 1;
}

/* The body with this label of a golden file. */
static inline size_t golden(const char *file, const char *label, uint8_t *body, size_t cap)
{
	FILE *f = golden_open(file);
	char have[128];
	size_t len;

	while (golden_next(f, have, sizeof(have), body, cap, &len)) {
		if (strcmp(have, label) == 0) {
			fclose(f);
			return len;
		}
	}
	fail_msg("no golden frame %s", label);
	return 0;
}

/* A small generator with a fixed seed: tests must not differ from run to run. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

static inline int same_records(const struct seen *a, const struct seen *b)
{
	if (a->count != b->count)
		return 0;
	for (size_t i = 0; i < a->count; i++)
		if (a->r[i].h.size != b->r[i].h.size ||
		    memcmp(&a->r[i], &b->r[i], a->r[i].h.size) != 0)
			return 0;
	return 1;
}

#endif
