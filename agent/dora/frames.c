// SPDX-License-Identifier: MIT
/* From a frame's items to records; which codec a connection speaks (frames.h). */
#include "dora/frames.h"

#include <stdbool.h>

#include "base/utf8.h"
#include "base/uuid.h"
#include "dora/nodeconfig.h"

/*
 * Items of one frame that are kept between the walk that proves the frame and their emission. A
 * frame with more of them (a node that was slow to poll) is walked a second time.
 */
#define ITEMS_KEPT 8

struct collected {
	struct dp_item items[ITEMS_KEPT];
	size_t count;
};

static void collect(void *ctx, const struct dp_item *it)
{
	struct collected *c = ctx;

	if (c->count < ITEMS_KEPT)
		c->items[c->count] = *it;
	c->count++;
}

struct emitter {
	struct dp_dialogue *dialogue;
	const struct dp_wire_sink *sink;
	uint64_t t_ns;
	uint32_t tid;
	uint8_t direction;
	uint8_t partial;
};

static void begin(struct dp_record *r, const struct emitter *e, enum dp_record_type type, int cut)
{
	size_t size = dp_record_size(type);

	dp_record_init(r, type, e->t_ns, e->dialogue->pid, e->tid);
	if (cut)
		r->h.flags |= DP_F_CUT;
	memset(&r->u, 0, size - sizeof(r->h));
}

void dp_dialogue_emit(const struct dp_dialogue *d, const struct dp_wire_sink *sink,
		      enum dp_record_type type, uint64_t t_ns, uint32_t pid, uint32_t tid)
{
	struct dp_record r;

	dp_record_init(&r, type, t_ns, pid, tid);
	r.u.conn = (struct dp_rec_conn){.conn = d->conn, .role = d->role};
	sink->record(sink->ctx, &r);
}

/* What a connection is for shows in what is said on it (node/mod.rs opens one per purpose). */
static enum dp_conn_role role_of(const struct dp_item *it)
{
	switch (it->type) {
	case DP_ITEM_SENT:
		return DP_ROLE_CONTROL;
	case DP_ITEM_DELIVERED:
	case DP_ITEM_REPORTED:
		return DP_ROLE_EVENTS;
	case DP_ITEM_RETURNED:
		return DP_ROLE_DROP;
	case DP_ITEM_REGISTER:
		return DP_ROLE_UNKNOWN;
	case DP_ITEM_WIRE:
		break;
	}
	switch ((enum dp_wire_kind)it->kind) {
	case DP_WIRE_INPUT:
	case DP_WIRE_STOP:
	case DP_WIRE_ALL_INPUTS_CLOSED:
	case DP_WIRE_INPUT_CLOSED:
	case DP_WIRE_RELOAD:
	case DP_WIRE_NODE_FAILED:
	case DP_WIRE_EVENTS_END:
	case DP_WIRE_OTHER_EVENT:
	case DP_WIRE_SUBSCRIBE:
	case DP_WIRE_NEXT_EVENT:
		return DP_ROLE_EVENTS;
	case DP_WIRE_SUBSCRIBE_DROP:
	case DP_WIRE_NEXT_DROP:
	case DP_WIRE_DROPS_END:
		return DP_ROLE_DROP;
	case DP_WIRE_SEND_MESSAGE:
	case DP_WIRE_CLOSE_OUTPUTS:
	case DP_WIRE_OUTPUTS_DONE:
		return DP_ROLE_CONTROL;
	case DP_WIRE_EVENT_STREAM_DROPPED:
		return DP_ROLE_EVENTS_CLOSE;
	case DP_WIRE_NONE:
	case DP_WIRE_OTHER_REQUEST:
	case DP_WIRE_RESULT_OK:
	case DP_WIRE_RESULT_ERR:
	case DP_WIRE_KIND_COUNT:
		break;
	}
	return DP_ROLE_UNKNOWN;
}

static void put_text(char *dst, size_t cap, struct dp_slice s)
{
	if (s.p)
		dp_utf8_copy(dst, cap, s.p, s.len);
}

/* The role is said before the first record of the frame that shows it. */
static void learn_role(const struct emitter *e, const struct collected *c)
{
	struct dp_dialogue *d = e->dialogue;

	for (size_t i = 0; i < c->count && i < ITEMS_KEPT && d->role == DP_ROLE_UNKNOWN; i++)
		d->role = (uint8_t)role_of(&c->items[i]);
	if (d->role != DP_ROLE_UNKNOWN)
		dp_dialogue_emit(d, e->sink, DP_REC_CONN_OPENED, e->t_ns, d->pid, e->tid);
}

static void emit(void *ctx, const struct dp_item *it)
{
	static const uint16_t token_types[] = {
		[DP_ITEM_SENT] = DP_REC_TOKEN_SENT,
		[DP_ITEM_DELIVERED] = DP_REC_TOKEN_DELIVERED,
		[DP_ITEM_REPORTED] = DP_REC_TOKEN_REPORTED,
		[DP_ITEM_RETURNED] = DP_REC_TOKEN_RETURNED,
	};
	struct emitter *e = ctx;
	struct dp_dialogue *d = e->dialogue;
	struct dp_slice region = it->text;
	int cut = it->cut || e->partial;
	struct dp_record r;

	if (it->maybe) {
		d->maybe_last = it->kind;
		return;
	}
	switch (it->type) {
	case DP_ITEM_REGISTER:
		begin(&r, e, DP_REC_WIRE_REGISTER, cut);
		dp_uuid_text(r.u.reg.dataflow, it->token);
		put_text(r.u.reg.node, sizeof(r.u.reg.node), it->id);
		put_text(r.u.reg.message_version, sizeof(r.u.reg.message_version), it->text);
		r.u.reg.codec = d->codec;
		break;
	case DP_ITEM_WIRE:
		begin(&r, e, e->direction == DP_TO_DAEMON ? DP_REC_WIRE_REQUEST : DP_REC_WIRE_EVENT,
		      cut);
		r.u.wire.kind = it->kind;
		r.u.wire.role = d->role;
		r.u.wire.count = it->count;
		put_text(r.u.wire.id, sizeof(r.u.wire.id), it->id);
		break;
	case DP_ITEM_SENT:
	case DP_ITEM_DELIVERED:
	case DP_ITEM_REPORTED:
	case DP_ITEM_RETURNED:
		begin(&r, e, (enum dp_record_type)token_types[it->type], cut);
		memcpy(r.u.token.token, it->token, DP_TOKEN_LEN);
		r.u.token.bytes = it->bytes;
		if (region.len && region.p[0] == '/') {
			region.p++;
			region.len--;
		}
		put_text(r.u.token.region, sizeof(r.u.token.region), region);
		put_text(r.u.token.id, sizeof(r.u.token.id), it->id);
		break;
	}
	e->sink->record(e->sink->ctx, &r);
}

static bool is_prerelease_of_1_0_0(const char *v)
{
	return strncmp(v, "1.0.0", 5) == 0 && !dp_version_at_least(v, 1, 0, 0);
}

enum dp_codec dp_codec_of_dora(const char *dora)
{
	if (!dora || !dora[0])
		return DP_CODEC_UNKNOWN;
	if (dp_version_at_least(dora, 1, 0, 0))
		return DP_CODEC_POSTCARD;
	/* The release candidates speak bincode with other enum indexes and other arrow types. */
	if (is_prerelease_of_1_0_0(dora))
		return DP_CODEC_UNSUPPORTED;
	if (dp_version_at_least(dora, 0, 3, 6))
		return DP_CODEC_BINCODE;
	/* Up to 0.3.5 the metadata was another struct. A text that is no version says nothing. */
	return dp_version_at_least(dora, 0, 0, 1) ? DP_CODEC_UNSUPPORTED : DP_CODEC_UNKNOWN;
}

/*
 * Is this version of the message crate one whose enums are in our tables? Register says it. 0.4.0
 * is dora 0.3.6's; the release candidates of 1.0.0 sent 0.2.1 or their own name.
 */
static int message_version_known(struct dp_slice version, enum dp_codec codec)
{
	char text[24];

	dp_utf8_copy(text, sizeof(text), version.p, version.len);
	if (codec == DP_CODEC_POSTCARD)
		return dp_version_at_least(text, 1, 0, 0);
	return dp_version_at_least(text, 0, 4, 0) && !is_prerelease_of_1_0_0(text) &&
	       !dp_version_at_least(text, 1, 0, 0);
}

static dp_walk_fn *walk_of(enum dp_codec codec, enum dp_direction direction)
{
	if (codec == DP_CODEC_BINCODE)
		return direction == DP_TO_DAEMON ? dp_bincode_request : dp_bincode_reply;
	return direction == DP_TO_DAEMON ? dp_postcard_request : dp_postcard_reply;
}

static enum dp_cursor_status try_codec(enum dp_codec codec, enum dp_direction direction,
				       const struct dp_body *b, struct collected *ret)
{
	ret->count = 0;
	return walk_of(codec, direction)(b, &(struct dp_items){collect, ret});
}

/*
 * Finds the codec by which alone this body is a frame. Both read a body of either codec only by
 * accident; then nothing is decided and the frame is not read.
 */
static enum dp_codec codec_by_shape(enum dp_direction direction, const struct dp_body *b)
{
	struct collected items;
	int bincode = try_codec(DP_CODEC_BINCODE, direction, b, &items) == DP_CUR_OK;
	int postcard = try_codec(DP_CODEC_POSTCARD, direction, b, &items) == DP_CUR_OK;

	if (bincode == postcard)
		return DP_CODEC_UNKNOWN;
	return bincode ? DP_CODEC_BINCODE : DP_CODEC_POSTCARD;
}

static bool is_register(enum dp_cursor_status status, const struct collected *c)
{
	return status == DP_CUR_OK && c->count == 1 && c->items[0].type == DP_ITEM_REGISTER;
}

/* What the walk over a frame's body has given: by which codec, and how far. */
struct reading {
	enum dp_codec codec;
	bool by_shape; /* the codec is a guess by this or an earlier body */
	enum dp_cursor_status status;
	struct collected items;
};

/*
 * Reads the body by the connection's codec, or by the one that its shape gives. A Register frame
 * of the other codec counts too: the version came from an installed package, that frame from the
 * library that really runs, and where they differ the frame is right.
 */
static void read_body(const struct dp_dialogue *d, enum dp_direction direction,
		      const struct dp_body *b, struct reading *r)
{
	enum dp_codec other;

	r->codec = (enum dp_codec)d->codec;
	r->by_shape = d->by_shape;
	r->status = DP_CUR_BAD;
	if (r->codec == DP_CODEC_UNKNOWN) {
		r->codec = codec_by_shape(direction, b);
		r->by_shape = true;
	}
	if (r->codec == DP_CODEC_UNKNOWN)
		return;
	r->status = try_codec(r->codec, direction, b, &r->items);
	if (r->status != DP_CUR_BAD || direction != DP_TO_DAEMON)
		return;
	other = r->codec == DP_CODEC_BINCODE ? DP_CODEC_POSTCARD : DP_CODEC_BINCODE;
	if (is_register(try_codec(other, direction, b, &r->items), &r->items)) {
		r->codec = other;
		r->status = DP_CUR_OK;
	}
}

/* What the connection learns of a frame; false if it must not be told. */
static bool learn_codec(struct dp_dialogue *d, enum dp_direction direction, struct reading *r)
{
	if (r->status == DP_CUR_BAD) {
		/* What a few accidental bytes told must not blind the connection for good. */
		if (r->by_shape)
			d->codec = DP_CODEC_UNKNOWN;
		return false;
	}
	if (is_register(r->status, &r->items)) {
		if (!message_version_known(r->items.items[0].text, r->codec)) {
			d->codec = DP_CODEC_UNSUPPORTED;
			return false;
		}
		r->by_shape = false;
	}
	d->codec = (uint8_t)r->codec;
	d->by_shape = r->by_shape;
	if (direction == DP_TO_DAEMON)
		/* Both codecs read NodeConfig as the only OTHER_REQUEST that names an id. */
		d->json_reply = r->items.count == 1 && r->items.items[0].type == DP_ITEM_WIRE &&
				r->items.items[0].kind == DP_WIRE_OTHER_REQUEST &&
				r->items.items[0].id.p;
	return true;
}

/*
 * The event that an earlier reply may have ended with did end the stream if this reply says that the stream
 * has ended; if it says more, it was an input's payload.
 */
static void tell_last(struct emitter *e, const struct collected *items)
{
	struct dp_item it = {
		.type = DP_ITEM_WIRE, .kind = e->dialogue->maybe_last, .cut = 1, .count = 1};

	if (!it.kind || e->direction != DP_FROM_DAEMON)
		return;
	e->dialogue->maybe_last = DP_WIRE_NONE;
	if (items->count && items->items[0].type == DP_ITEM_WIRE &&
	    items->items[0].kind == DP_WIRE_EVENTS_END)
		emit(e, &it);
}

enum dp_cursor_status dp_frame_decode(struct dp_dialogue *d, const struct dp_wire_sink *sink,
				      enum dp_direction direction, const struct dp_body *b,
				      uint64_t t_ns, uint32_t tid)
{
	struct emitter e = {d, sink, t_ns, tid, (uint8_t)direction, 0};
	struct reading r;

	if (d->codec == DP_CODEC_UNSUPPORTED)
		return DP_CUR_BAD;
	if (direction == DP_FROM_DAEMON && d->json_reply) {
		d->json_reply = 0;
		if (b->head_len && b->head[0] == '{')
			return DP_CUR_OK;
	}
	read_body(d, direction, b, &r);
	if (!learn_codec(d, direction, &r))
		return DP_CUR_BAD;
	e.partial = r.status != DP_CUR_OK;
	if (d->role == DP_ROLE_UNKNOWN)
		learn_role(&e, &r.items);
	tell_last(&e, &r.items);
	if (r.items.count <= ITEMS_KEPT)
		for (size_t i = 0; i < r.items.count; i++)
			emit(&e, &r.items.items[i]);
	else
		walk_of(r.codec, direction)(b, &(struct dp_items){emit, &e});
	return r.status;
}
