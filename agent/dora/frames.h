/* SPDX-License-Identifier: MIT */
/*
 * One frame: what its body says, codec by codec, as a row of items; and the state of a connection
 * that turns items into records.
 */
#ifndef DORA_PROBE_DORA_FRAMES_H
#define DORA_PROBE_DORA_FRAMES_H

#include "dora/cursor.h"
#include "dora/wire.h"

enum dp_codec {
	DP_CODEC_BINCODE, /* dora 0.3.6 to 0.5.0; 0 and 1 are dp_rec_register.codec */
	DP_CODEC_POSTCARD,
	DP_CODEC_UNKNOWN,
	DP_CODEC_UNSUPPORTED, /* known to be something else */
};

enum dp_item_type {
	DP_ITEM_REGISTER, /* uuid, id (node), text (message version) */
	DP_ITEM_WIRE,     /* kind, id, count */
	DP_ITEM_SENT,     /* token, id, text (region), bytes */
	DP_ITEM_DELIVERED,
	DP_ITEM_REPORTED, /* token */
	DP_ITEM_RETURNED, /* token */
};

struct dp_item {
	enum dp_item_type type;
	uint8_t kind;  /* enum dp_wire_kind */
	uint8_t cut;   /* found behind a hole, by the frame's end */
	uint8_t maybe; /* its bytes may be a payload's: true if the daemon closes the stream next */
	uint32_t count;
	const uint8_t *token; /* or the dataflow's uuid; 16 bytes inside the body */
	struct dp_slice id;
	struct dp_slice text;
	uint64_t bytes;
};

struct dp_items {
	void (*item)(void *ctx, const struct dp_item *it);
	void *ctx;
};

/*
 * Walks a body front to back and hands over what it says. DP_CUR_OK: all of it was understood.
 * DP_CUR_HOLE, DP_CUR_UNKNOWN: the items handed over are certain, more followed. DP_CUR_BAD: no
 * such frame; what was handed over must be thrown away.
 */
typedef enum dp_cursor_status dp_walk_fn(const struct dp_body *b, const struct dp_items *out);
dp_walk_fn dp_bincode_request, dp_bincode_reply, dp_postcard_request, dp_postcard_reply;

/* What is remembered of a connection between frames. */
struct dp_dialogue {
	uint64_t conn;
	uint32_t pid;
	uint8_t codec;      /* enum dp_codec */
	uint8_t role;       /* enum dp_conn_role */
	uint8_t by_shape;   /* the codec was told from frames alone, and may be told again */
	uint8_t json_reply; /* the last request was a NodeConfig, which is answered in JSON */
	uint8_t maybe_last; /* enum dp_wire_kind: the last event that the daemon has sent, if it sends no more */
};

/* The codec that a dora version speaks; DP_CODEC_UNKNOWN for "". */
enum dp_codec dp_codec_of_dora(const char *dora);

/*
 * Decodes one body and emits its records. Returns DP_CUR_OK, or what stopped it (nothing was
 * emitted for DP_CUR_BAD); the caller counts the loss.
 */
enum dp_cursor_status dp_frame_decode(struct dp_dialogue *d, const struct dp_wire_sink *sink,
				      enum dp_direction direction, const struct dp_body *b,
				      uint64_t t_ns, uint32_t tid);

/* Emits CONN_OPENED or CONN_CLOSED with the role known so far. */
void dp_dialogue_emit(const struct dp_dialogue *d, const struct dp_wire_sink *sink,
		      enum dp_record_type type, uint64_t t_ns, uint32_t pid, uint32_t tid);

#endif
