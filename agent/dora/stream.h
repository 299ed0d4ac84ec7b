/* SPDX-License-Identifier: MIT */
/*
 * One direction of one connection: the bytes of its calls put together again and cut into frames
 * (u64 LE length, body). It knows of missing bytes exactly as much as the captures say, and keeps
 * a bounded part of a frame only.
 */
#ifndef DORA_PROBE_DORA_STREAM_H
#define DORA_PROBE_DORA_STREAM_H

#include "dora/cursor.h"

/* Bytes of one body that are kept; the rest of a longer one is skipped but for its end. */
#define DP_STREAM_BODY_MAX (256u * 1024)
/* Bytes that the bodies of all streams together may take. */
#define DP_STREAMS_MAX (32u * 1024 * 1024)
/* Of a body with a hole the end is kept too: a drop token and its surroundings take 92 bytes. */
#define DP_STREAM_TAIL 256
/*
 * The longest body that is believed. dora 1.x refuses more than 64 MiB, earlier ones have no limit;
 * a reply of a daemon that queued events for a node that does not poll can be long.
 */
#define DP_FRAME_MAX (256u * 1024 * 1024)

/* Shared by all streams of a decoder: what their buffers take. */
struct dp_stream_pool {
	size_t used;
};

struct dp_stream {
	uint8_t *buf;
	uint32_t cap;
	uint32_t have; /* bytes of the body in buf, without a gap */
	uint64_t len;  /* of the body */
	uint64_t pos;  /* bytes of the body that went by */
	/* The call that is being put together. */
	uint32_t call_total;
	uint32_t call_pos;
	uint32_t call_tid;
	uint8_t in_call;
	uint8_t header[8];
	uint8_t header_have;
	uint8_t synced;         /* frame boundaries are known */
	uint8_t proving;        /* synced by the shape of a call; the first frame must prove it */
	uint8_t holed;          /* the body has bytes that are not in buf */
	uint8_t limited;        /* … because of our own limits */
	uint8_t invalid_streak; /* frames in a row that could not be read */
	uint16_t tail_len; /* bytes at the end of tail[] that follow each other without a gap */
	uint8_t tail[2 * DP_STREAM_TAIL];
};

enum dp_stream_event {
	DP_STREAM_LOST,  /* the boundary was lost: what follows is skipped up to the next one */
	DP_STREAM_FRAME, /* `body` is a whole frame; the return value says how it was */
};

/*
 * Called while bytes are fed. For FRAME it returns 1 when the frame was understood, 0 when not,
 * -1 when it says nothing about the boundary.
 */
typedef int dp_stream_fn(void *ctx, enum dp_stream_event event, const struct dp_body *body,
			 int limited);

/* `synced`: the next byte is the first of a frame. */
void dp_stream_init(struct dp_stream *s, int synced);
void dp_stream_done(struct dp_stream *s, struct dp_stream_pool *pool);

/*
 * One piece of a call: `copied` bytes that lie at `offset` of the `total` bytes which the call by
 * `tid` transferred. Bytes that no piece brought are skipped exactly.
 */
void dp_stream_piece(struct dp_stream *s, struct dp_stream_pool *pool, uint32_t tid, uint32_t total,
		     uint32_t offset, const uint8_t *bytes, uint32_t copied, int last,
		     dp_stream_fn *fn, void *ctx);

/* Whole calls are missing: drops the frame in progress. 1 when the stream had a boundary to lose.
 */
int dp_stream_lost(struct dp_stream *s, struct dp_stream_pool *pool);

/* A frame has begun and is not complete. */
int dp_stream_in_frame(const struct dp_stream *s);

/* The last frame was understood, and of the one in progress no byte that went by is missing. */
int dp_stream_whole(const struct dp_stream *s);

#endif
