// SPDX-License-Identifier: MIT
/*
 * Requests and replies of dora 0.3.6 to 0.5.0. Enum indexes: libraries/message/src at those tags,
 * node_to_daemon.rs (DaemonRequest) and daemon_to_node.rs (DaemonReply, NodeEvent, NodeDropEvent).
 */
#include <stdbool.h>

#include "dora/bincode.h"
#include "dora/frames.h"

enum request {
	REQ_REGISTER,
	REQ_SUBSCRIBE,
	REQ_SEND_MESSAGE,
	REQ_CLOSE_OUTPUTS,
	REQ_OUTPUTS_DONE,
	REQ_NEXT_EVENT,
	REQ_REPORT_DROP_TOKENS,
	REQ_SUBSCRIBE_DROP,
	REQ_NEXT_FINISHED_DROP_TOKENS,
	REQ_EVENT_STREAM_DROPPED,
	REQ_NODE_CONFIG,
};

enum reply {
	REP_RESULT,
	REP_PREPARED_MESSAGE,
	REP_NEXT_EVENTS,
	REP_NEXT_DROP_EVENTS,
	REP_NODE_CONFIG,
	REP_EMPTY,
};

enum node_event {
	EV_STOP,
	EV_RELOAD,
	EV_INPUT,
	EV_INPUT_CLOSED,
	EV_ALL_INPUTS_CLOSED,
	EV_NODE_FAILED, /* 0.5.0 */
};

static void put(const struct dp_items *out, const struct dp_item *it)
{
	if (out->item)
		out->item(out->ctx, it);
}

static void put_wire(const struct dp_items *out, enum dp_wire_kind kind, uint32_t count,
		     struct dp_slice id)
{
	put(out, &(struct dp_item){
			 .type = DP_ITEM_WIRE, .kind = (uint8_t)kind, .count = count, .id = id});
}

static const struct dp_slice no_id;

static uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

static uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

/* data: Option<DataMessage>. Fills token, text and bytes of `it` for shared memory. */
static void read_data(struct dp_cursor *c, struct dp_item *it)
{
	uint8_t some = dp_cur_u8(c);

	if (some > 1)
		dp_cur_fail(c, DP_CUR_BAD);
	if (some != 1 || c->status != DP_CUR_OK)
		return;
	switch (dp_cur_u32(c)) {
	case 0: /* Vec */
		dp_bincode_skip_bytes(c);
		break;
	case 1: /* SharedMemory */
		it->text = dp_bincode_bytes(c);
		it->bytes = dp_cur_u64(c);
		it->token = dp_bincode_uuid(c);
		break;
	default:
		dp_cur_fail(c, DP_CUR_BAD);
		break;
	}
}

/* "/shmem_" and 1 to 16 upper-case hexadecimal digits (shared_memory_extended, lib.rs: {:X}). */
#define REGION_PREFIX     "/shmem_"
#define REGION_PREFIX_LEN 7
#define REGION_MIN        8
#define REGION_MAX        23
/* Behind the region's name: u64 length, u64 16 and the token, the timestamp. */
#define REGION_TAIL (8 + 8 + 16 + DP_BINCODE_TIMESTAMP)

static bool is_region(const uint8_t *p, size_t n)
{
	if (memcmp(p, REGION_PREFIX, REGION_PREFIX_LEN) != 0)
		return false;
	for (size_t i = REGION_PREFIX_LEN; i < n; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'A' && p[i] <= 'F')))
			return false;
	return true;
}

/*
 * Could a message that begins at `from` hold an inline payload (Some, Vec, length, bytes) which
 * reaches exactly to the timestamp at the body's end and so contains what looks like a region?
 */
static int vec_is_possible(const struct dp_body *b, size_t from, size_t until)
{
	if (until > b->head_len)
		until = b->head_len;
	for (size_t q = from; q + 13 <= until; q++) {
		const uint8_t *p = b->head + q;

		if (p[0] == 1 && load_u32(p + 1) == 0 &&
		    load_u64(p + 5) == b->len - DP_BINCODE_TIMESTAMP - (q + 13))
			return 1;
	}
	return 0;
}

/*
 * A message whose metadata could not be walked (a hole, an arrow type that is not in the table)
 * still shows its token at its end, where everything has a fixed place but for the length of the
 * region's name. `from` is where the metadata begins. Taken only when exactly one reading fits and
 * the same bytes cannot be the end of an inline payload.
 */
static int read_by_end(const struct dp_body *b, size_t from, struct dp_item *it)
{
	const uint8_t *end; /* one past the body, in whatever memory holds its end */
	size_t have, found = 0;

	if (b->head_len == b->len) {
		end = b->head + b->len;
		have = b->len - from;
	} else {
		end = b->tail + b->tail_len;
		have = b->tail_len;
		if (have > b->len - from)
			have = b->len - from;
	}
	if (have < REGION_MIN + 13 + REGION_TAIL)
		return 0;
	if (load_u64(end - DP_BINCODE_TIMESTAMP - 24) != 16)
		return 0;
	for (size_t n = REGION_MIN; n <= REGION_MAX && n + 13 + REGION_TAIL <= have; n++) {
		const uint8_t *p = end - REGION_TAIL - n;

		if (load_u64(p - 8) == n && load_u32(p - 12) == 1 && p[-13] == 1 &&
		    is_region(p, n)) {
			if (found)
				return 0;
			found = n;
		}
	}
	if (!found || vec_is_possible(b, from, b->len - REGION_TAIL - found))
		return 0;
	it->text = (struct dp_slice){end - REGION_TAIL - found, found};
	it->bytes = load_u64(end - REGION_TAIL);
	it->token = end - DP_BINCODE_TIMESTAMP - 16;
	it->cut = b->head_len != b->len;
	return 1;
}

static int recoverable(const struct dp_cursor *c)
{
	return c->status == DP_CUR_HOLE || c->status == DP_CUR_UNKNOWN;
}

/*
 * SendMessage (DP_ITEM_SENT) or Input (DP_ITEM_DELIVERED) { id, metadata, data } and a timestamp: the token, or, without one,
 * that there was a message. Where `is_last`, the frame ends with it, and its end makes up for a hole.
 */
static void message(struct dp_cursor *c, const struct dp_items *out, enum dp_item_type type,
		    uint32_t n, int is_last)
{
	struct dp_item it = {.type = type, .id = dp_bincode_bytes(c)};
	size_t metadata = c->pos;

	if (c->status != DP_CUR_OK)
		return;
	dp_bincode_skip_metadata(c);
	read_data(c, &it);
	dp_cur_skip(c, DP_BINCODE_TIMESTAMP);
	if (is_last) {
		dp_cur_end(c);
		if (recoverable(c) && read_by_end(c->body, metadata, &it)) {
			c->status = DP_CUR_OK;
			c->pos = c->body->len;
		}
	}
	if (c->status != DP_CUR_OK)
		return;
	if (it.token)
		put(out, &it);
	else
		put_wire(out, type == DP_ITEM_SENT ? DP_WIRE_SEND_MESSAGE : DP_WIRE_INPUT, n,
			 it.id);
}

/* drop_tokens of NextEvent and ReportDropTokens, with the request before its tokens. */
static void drop_tokens(struct dp_cursor *c, const struct dp_items *out, enum dp_wire_kind kind)
{
	uint64_t n = dp_bincode_count(c, 24);

	if (c->status != DP_CUR_OK)
		return;
	put_wire(out, kind, (uint32_t)n, no_id);
	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *token = dp_bincode_uuid(c);

		if (c->status != DP_CUR_OK)
			return;
		put(out, &(struct dp_item){.type = DP_ITEM_REPORTED, .token = token});
	}
}

static void close_outputs(struct dp_cursor *c, const struct dp_items *out)
{
	uint64_t n = dp_bincode_count(c, 8);
	struct dp_slice first = {0};

	for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++) {
		struct dp_slice id = dp_bincode_bytes(c);

		if (i == 0)
			first = id;
	}
	if (c->status == DP_CUR_OK)
		put_wire(out, DP_WIRE_CLOSE_OUTPUTS, (uint32_t)n, first);
}

enum dp_cursor_status dp_bincode_request(const struct dp_body *b, const struct dp_items *out)
{
	struct dp_cursor c = {.body = b};
	struct dp_item it;
	uint32_t request = dp_cur_u32(&c);

	if (c.status != DP_CUR_OK)
		return c.status;
	switch (request) {
	case REQ_REGISTER:
		it = (struct dp_item){.type = DP_ITEM_REGISTER};
		it.token = dp_bincode_uuid(&c);
		it.id = dp_bincode_bytes(&c);
		it.text = dp_bincode_bytes(&c);
		if (c.status == DP_CUR_OK)
			put(out, &it);
		break;
	case REQ_SUBSCRIBE:
		put_wire(out, DP_WIRE_SUBSCRIBE, 0, no_id);
		break;
	case REQ_SEND_MESSAGE:
		message(&c, out, DP_ITEM_SENT, 0, 1);
		return c.status; /* its end is checked there */
	case REQ_CLOSE_OUTPUTS:
		close_outputs(&c, out);
		break;
	case REQ_OUTPUTS_DONE:
		put_wire(out, DP_WIRE_OUTPUTS_DONE, 0, no_id);
		break;
	case REQ_NEXT_EVENT:
		drop_tokens(&c, out, DP_WIRE_NEXT_EVENT);
		break;
	case REQ_REPORT_DROP_TOKENS:
		drop_tokens(&c, out, DP_WIRE_OTHER_REQUEST);
		break;
	case REQ_SUBSCRIBE_DROP:
		put_wire(out, DP_WIRE_SUBSCRIBE_DROP, 0, no_id);
		break;
	case REQ_NEXT_FINISHED_DROP_TOKENS:
		put_wire(out, DP_WIRE_NEXT_DROP, 0, no_id);
		break;
	case REQ_EVENT_STREAM_DROPPED:
		put_wire(out, DP_WIRE_EVENT_STREAM_DROPPED, 0, no_id);
		break;
	case REQ_NODE_CONFIG:
		it = (struct dp_item){.type = DP_ITEM_WIRE, .kind = DP_WIRE_OTHER_REQUEST};
		it.id = dp_bincode_bytes(&c);
		if (c.status == DP_CUR_OK)
			put(out, &it);
		break;
	default:
		return DP_CUR_BAD;
	}
	dp_cur_skip(&c, DP_BINCODE_TIMESTAMP);
	dp_cur_end(&c);
	return c.status;
}

static void node_event(struct dp_cursor *c, const struct dp_items *out, uint32_t n, int is_last)
{
	enum dp_wire_kind kind = DP_WIRE_NONE;
	struct dp_slice id = {0};
	uint64_t ids;

	switch (dp_cur_u32(c)) {
	case EV_STOP:
		kind = DP_WIRE_STOP;
		break;
	case EV_RELOAD:
		kind = DP_WIRE_RELOAD;
		switch (dp_cur_u8(c)) {
		case 0:
			break;
		case 1:
			id = dp_bincode_bytes(c);
			break;
		default:
			dp_cur_fail(c, DP_CUR_BAD);
		}
		break;
	case EV_INPUT:
		message(c, out, DP_ITEM_DELIVERED, n, is_last);
		return;
	case EV_INPUT_CLOSED:
		kind = DP_WIRE_INPUT_CLOSED;
		id = dp_bincode_bytes(c);
		break;
	case EV_ALL_INPUTS_CLOSED:
		kind = DP_WIRE_ALL_INPUTS_CLOSED;
		break;
	case EV_NODE_FAILED:
		kind = DP_WIRE_NODE_FAILED;
		ids = dp_bincode_count(c, 8);
		for (uint64_t i = 0; i < ids && c->status == DP_CUR_OK; i++)
			dp_bincode_skip_bytes(c); /* affected_input_ids */
		dp_bincode_skip_bytes(c);         /* error */
		id = dp_bincode_bytes(c);         /* source_node_id */
		break;
	default:
		dp_cur_fail(c, DP_CUR_BAD);
		break;
	}
	dp_cur_skip(c, DP_BINCODE_TIMESTAMP);
	if (c->status == DP_CUR_OK)
		put_wire(out, kind, n, id);
}

/*
 * The last `left` of a reply's n events lie from `start` on behind a hole: are they messages without
 * a token, as the length says? Those with one are short: their payload goes through shared memory.
 */
static int alike_inputs(struct dp_cursor *c, const struct dp_items *out, size_t start, size_t size,
			uint32_t n, uint64_t left)
{
	if (!dp_cur_rest_alike(c, start, size, left))
		return 0;
	c->status = DP_CUR_OK;
	c->pos = c->body->len;
	for (uint64_t i = 0; i < left; i++)
		put(out,
		    &(struct dp_item){
			    .type = DP_ITEM_WIRE, .kind = DP_WIRE_INPUT, .cut = 1, .count = n});
	return 1;
}

static void next_events(struct dp_cursor *c, const struct dp_items *out)
{
	uint64_t n = dp_bincode_count(c, 4 + DP_BINCODE_TIMESTAMP);
	struct dp_item last = {.type = DP_ITEM_DELIVERED};
	size_t size = 0; /* of the event before */

	if (c->status != DP_CUR_OK)
		return;
	if (n == 0) {
		put_wire(out, DP_WIRE_EVENTS_END, 0, no_id);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		size_t start = c->pos;

		node_event(c, out, (uint32_t)n, i + 1 == n);
		if (c->status == DP_CUR_OK) {
			size = c->pos - start;
			continue;
		}
		if (alike_inputs(c, out, start, size, (uint32_t)n, n - i))
			return;
		/*
		 * Events behind the hole cannot be told apart, but the last one's token can, when
		 * it has one; which input it came by is lost.
		 */
		if (recoverable(c) && i + 1 < n && read_by_end(c->body, start, &last)) {
			last.cut = 1;
			put(out, &last);
		}
		return;
	}
}

static void next_drop_events(struct dp_cursor *c, const struct dp_items *out)
{
	uint64_t n = dp_bincode_count(c, 4 + 24 + DP_BINCODE_TIMESTAMP);

	if (c->status != DP_CUR_OK)
		return;
	if (n == 0)
		put_wire(out, DP_WIRE_DROPS_END, 0, no_id);
	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *token;

		if (dp_cur_u32(c) != 0) /* OutputDropped is the only variant */
			dp_cur_fail(c, DP_CUR_BAD);
		token = dp_bincode_uuid(c);
		dp_cur_skip(c, DP_BINCODE_TIMESTAMP);
		if (c->status != DP_CUR_OK)
			return;
		put(out, &(struct dp_item){.type = DP_ITEM_RETURNED, .token = token});
	}
}

enum dp_cursor_status dp_bincode_reply(const struct dp_body *b, const struct dp_items *out)
{
	struct dp_cursor c = {.body = b};
	uint32_t reply = dp_cur_u32(&c);

	if (c.status != DP_CUR_OK)
		return c.status;
	switch (reply) {
	case REP_RESULT:
		switch (dp_cur_u32(&c)) {
		case 0:
			if (c.status == DP_CUR_OK)
				put_wire(out, DP_WIRE_RESULT_OK, 0, no_id);
			break;
		case 1:
			dp_bincode_skip_bytes(&c);
			if (c.status == DP_CUR_OK)
				put_wire(out, DP_WIRE_RESULT_ERR, 0, no_id);
			break;
		default:
			return DP_CUR_BAD;
		}
		break;
	case REP_NEXT_EVENTS:
		next_events(&c, out);
		break;
	case REP_NEXT_DROP_EVENTS:
		next_drop_events(&c, out);
		break;
	case REP_EMPTY:
		break; /* the shared-memory transport's; says nothing */
	case REP_PREPARED_MESSAGE:
	case REP_NODE_CONFIG:
	default:
		return DP_CUR_BAD; /* never sent in this form */
	}
	dp_cur_end(&c);
	return c.status;
}
