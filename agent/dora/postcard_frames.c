// SPDX-License-Identifier: MIT
/*
 * Requests and replies of dora 1.x. Enum indexes: dora-message 1.1.0, node_to_daemon.rs,
 * daemon_to_node.rs. There are no drop tokens.
 */
#include "dora/frames.h"

#include "dora/postcard.h"

#include <stdbool.h>

enum request {
	REQ_REGISTER,
	REQ_SUBSCRIBE,
	REQ_SEND_MESSAGE,
	REQ_OUTPUT_SENT,
	REQ_CLOSE_OUTPUTS,
	REQ_OUTPUTS_DONE,
	REQ_NEXT_EVENT,
	REQ_EVENT_STREAM_DROPPED,
	REQ_NODE_CONFIG,
	REQ_EXTENSION_STORE,
	REQ_EXTENSION_LOAD,
	REQ_EXTENSION_DROP,
	REQ_EXTENSION_REQUEST,
};

enum reply {
	REP_RESULT,
	REP_NEXT_EVENTS,
	REP_NODE_CONFIG,
	REP_EXTENSION_VALUE,
	REP_EMPTY,
	REP_EXTENSION_REPLY,
};

enum node_event {
	EV_STOP,
	EV_RELOAD,
	EV_INPUT,
	EV_INPUT_CLOSED,
	EV_INPUT_RECOVERED,
	EV_NODE_RESTARTED,
	EV_ALL_INPUTS_CLOSED,
	EV_PARAM_UPDATE,
	EV_PARAM_DELETED,
	EV_NODE_FAILED,
	EV_EXTENSION_DROPPED,
};

static void put_wire(const struct dp_items *out, enum dp_wire_kind kind, uint64_t n,
		     struct dp_slice id)
{
	struct dp_item it = {
		.type = DP_ITEM_WIRE, .kind = (uint8_t)kind, .count = (uint32_t)n, .id = id};

	if (out->item)
		out->item(out->ctx, &it);
}

static const struct dp_slice no_id;

static void read_register(struct dp_cursor *c, const struct dp_items *out)
{
	struct dp_item it = {.type = DP_ITEM_REGISTER};

	if (dp_postcard_varint(c, 64) != 16)
		dp_cur_fail(c, DP_CUR_BAD);
	it.token = dp_cur_take(c, 16);
	it.id = dp_postcard_bytes(c);
	it.text = dp_postcard_bytes(c);
	dp_postcard_varint(c, 16); /* metadata_version */
	if (c->status == DP_CUR_OK && out->item)
		out->item(out->ctx, &it);
}

/* A list of outputs: how many, and the first of them. */
static struct dp_slice outputs(struct dp_cursor *c, uint64_t *ret_count)
{
	struct dp_slice first = no_id;

	*ret_count = dp_postcard_count(c, 1);
	for (uint64_t i = 0; i < *ret_count && c->status == DP_CUR_OK; i++) {
		struct dp_slice one = dp_postcard_bytes(c);

		if (i == 0)
			first = one;
	}
	return first;
}

/* The body of a request to an extension of the daemon; false for any other request. */
static bool skip_extension(struct dp_cursor *c, uint64_t request)
{
	switch (request) {
	case REQ_EXTENSION_STORE:
		dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		return true;
	case REQ_EXTENSION_LOAD:
		dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		dp_cur_flag(c);
		return true;
	case REQ_EXTENSION_DROP:
	case REQ_EXTENSION_REQUEST:
		dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		return true;
	default:
		return false;
	}
}

enum dp_cursor_status dp_postcard_request(const struct dp_body *b, const struct dp_items *out)
{
	struct dp_cursor c = {.body = b};
	enum dp_wire_kind kind = DP_WIRE_OTHER_REQUEST;
	struct dp_slice id = {0};
	uint64_t n = 0;
	uint64_t request = dp_postcard_varint(&c, 32);

	if (c.status != DP_CUR_OK)
		return c.status;
	switch (request) {
	case REQ_REGISTER:
		read_register(&c, out);
		dp_postcard_skip_timestamp(&c);
		dp_cur_end(&c);
		return c.status;
	case REQ_SUBSCRIBE:
		kind = DP_WIRE_SUBSCRIBE;
		break;
	case REQ_SEND_MESSAGE:
	case REQ_OUTPUT_SENT: /* the message itself went another way */
		kind = DP_WIRE_SEND_MESSAGE;
		id = dp_postcard_bytes(&c);
		dp_postcard_skip_metadata(&c);
		if (request == REQ_SEND_MESSAGE)
			dp_postcard_skip_data(&c);
		break;
	case REQ_CLOSE_OUTPUTS:
		kind = DP_WIRE_CLOSE_OUTPUTS;
		id = outputs(&c, &n);
		break;
	case REQ_OUTPUTS_DONE:
		kind = DP_WIRE_OUTPUTS_DONE;
		break;
	case REQ_NEXT_EVENT:
		kind = DP_WIRE_NEXT_EVENT;
		break;
	case REQ_EVENT_STREAM_DROPPED:
		kind = DP_WIRE_EVENT_STREAM_DROPPED;
		break;
	case REQ_NODE_CONFIG:
		id = dp_postcard_bytes(&c);
		break;
	default:
		if (!skip_extension(&c, request))
			return DP_CUR_BAD;
		break;
	}
	dp_postcard_skip_timestamp(&c);
	dp_cur_end(&c);
	if (c.status == DP_CUR_OK)
		put_wire(out, kind, n, id);
	return c.status;
}

/* What is known of a row of events: the last input that was read, or the one that was cut. */
struct row {
	uint64_t n;    /* events of the reply */
	uint64_t left; /* behind `end` */
	size_t end;    /* of the input */
	size_t size;   /* of the input; 0 none yet */
	struct dp_slice cut_id;
	int cut; /* its payload took its timestamp with it */
};

/* Input { id, metadata, data } up to its timestamp; its id. */
static struct dp_slice input(struct dp_cursor *c, struct row *row)
{
	size_t start = c->pos - 1; /* its kind is one byte */
	struct dp_slice id = dp_postcard_bytes(c);

	dp_postcard_skip_metadata(c);
	dp_postcard_skip_data(c);
	if (c->status == DP_CUR_OK) {
		row->end = c->pos + DP_POSTCARD_TIMESTAMP_NOW;
		row->size = row->end - start;
		row->cut_id = id;
		row->cut = 1;
	}
	return id;
}

/* An event is complete: is it one that those behind it can be measured by? */
static void measured(const struct dp_cursor *c, struct row *row)
{
	row->left--;
	row->size = row->cut ? row->size + c->pos - row->end : 0;
	row->end = c->pos;
	row->cut = 0;
}

static void node_event(struct dp_cursor *c, const struct dp_items *out, struct row *row)
{
	enum dp_wire_kind kind = DP_WIRE_OTHER_EVENT;
	struct dp_slice id = {0};
	uint64_t event = dp_postcard_varint(c, 32);
	uint64_t ids;

	if (c->status != DP_CUR_OK)
		return;
	switch (event) {
	case EV_STOP:
		kind = DP_WIRE_STOP;
		break;
	case EV_RELOAD:
		kind = DP_WIRE_RELOAD;
		if (dp_cur_flag(c))
			id = dp_postcard_bytes(c);
		break;
	case EV_INPUT:
		kind = DP_WIRE_INPUT;
		id = input(c, row);
		break;
	case EV_INPUT_CLOSED:
		kind = DP_WIRE_INPUT_CLOSED;
		id = dp_postcard_bytes(c);
		break;
	case EV_INPUT_RECOVERED:
	case EV_NODE_RESTARTED:
		id = dp_postcard_bytes(c);
		break;
	case EV_ALL_INPUTS_CLOSED:
		kind = DP_WIRE_ALL_INPUTS_CLOSED;
		break;
	case EV_PARAM_UPDATE:
	case EV_EXTENSION_DROPPED:
		dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		break;
	case EV_PARAM_DELETED:
		dp_postcard_skip_bytes(c);
		break;
	case EV_NODE_FAILED:
		kind = DP_WIRE_NODE_FAILED;
		ids = dp_postcard_count(c, 1);
		for (uint64_t i = 0; i < ids && c->status == DP_CUR_OK; i++)
			dp_postcard_skip_bytes(c);
		dp_postcard_skip_bytes(c);
		id = dp_postcard_bytes(c);
		break;
	default:
		dp_cur_fail(c, DP_CUR_BAD);
		return;
	}
	dp_postcard_skip_timestamp(c);
	if (c->status != DP_CUR_OK)
		return;
	put_wire(out, kind, row->n, id);
	measured(c, row);
}

/*
 * The `n` events that end the body and take `size` bytes, such as Stop behind a backlog of inputs: from
 * the end, which is there. Without `out` it is but tried. Were they read, to the last byte?
 */
static bool last_events(const struct dp_cursor *c, uint64_t size, uint64_t n, uint64_t of,
			const struct dp_items *out)
{
	const struct dp_items nobody = {.item = NULL};
	struct dp_cursor end = {.body = c->body, .pos = c->body->len - size};
	struct row row = {.n = of, .left = n};

	if (size > c->body->tail_len)
		return size == 0 && n == 0;
	while (row.left && end.status == DP_CUR_OK)
		node_event(&end, out ? out : &nobody, &row);
	return end.status == DP_CUR_OK && end.pos == c->body->len;
}

/*
 * Inputs behind a hole, when its length says that nothing but such inputs lies there, up to the events
 * that the body ends with.
 */
static void alike_inputs(struct dp_cursor *c, const struct dp_items *out, const struct row *row)
{
	struct dp_item it = {
		.type = DP_ITEM_WIRE, .kind = DP_WIRE_INPUT, .cut = 1, .count = (uint32_t)row->n};
	uint64_t behind = row->left - (uint64_t)row->cut, alike, rest;

	if (c->status != DP_CUR_HOLE || row->size < DP_ALIKE_MIN || row->end > c->body->len)
		return;
	alike = (c->body->len - row->end) / row->size;
	rest = (c->body->len - row->end) % row->size;
	if (alike > behind || !last_events(c, rest, behind - alike, row->n, NULL))
		return;
	c->status = DP_CUR_OK;
	c->pos = c->body->len;
	it.id = row->cut_id;
	for (uint64_t i = 0; out->item && i < alike + (uint64_t)row->cut; i++) {
		if (i >= (uint64_t)row->cut)
			it.id = no_id;
		out->item(out->ctx, &it);
	}
	last_events(c, rest, behind - alike, row->n, out);
}

/*
 * Inputs of any sizes behind a hole. No more is missed than that they came, unless the last event is one
 * that ends the stream: Stop and AllInputsClosed are their kind and a timestamp. An input whose payload
 * ends in such a byte looks the same; what the daemon answers next tells (dp_item.maybe).
 */
static void last_of_unlike(struct dp_cursor *c, const struct dp_items *out, const struct row *row)
{
	const struct dp_body *b = c->body;
	struct dp_item it = {.type = DP_ITEM_WIRE, .cut = 1, .count = (uint32_t)row->n};

	/* Without a payload of some size there is no reason for the hole. */
	if (c->status != DP_CUR_HOLE || b->len < (size_t)DP_ALIKE_MIN * row->n ||
	    b->tail_len < 1 + DP_POSTCARD_TIMESTAMP_NOW)
		return;
	c->status = DP_CUR_OK;
	c->pos = b->len;
	if (!out->item)
		return;
	it.kind = DP_WIRE_INPUT;
	it.id = row->cut_id;
	out->item(out->ctx, &it);
	it.id = no_id;
	switch (b->tail[b->tail_len - 1 - DP_POSTCARD_TIMESTAMP_NOW]) {
	case EV_STOP:
		it.kind = DP_WIRE_STOP;
		break;
	case EV_ALL_INPUTS_CLOSED:
		it.kind = DP_WIRE_ALL_INPUTS_CLOSED;
		break;
	default:
		return;
	}
	it.maybe = 1;
	out->item(out->ctx, &it);
}

static void next_events(struct dp_cursor *c, const struct dp_items *out)
{
	uint64_t n = dp_postcard_count(c, 1 + DP_POSTCARD_TIMESTAMP_MIN);
	struct row row = {.n = n, .left = n};

	if (n == 0 && c->status == DP_CUR_OK)
		put_wire(out, DP_WIRE_EVENTS_END, 0, no_id);
	while (row.left && c->status == DP_CUR_OK)
		node_event(c, out, &row);
	alike_inputs(c, out, &row);
	last_of_unlike(c, out, &row);
}

enum dp_cursor_status dp_postcard_reply(const struct dp_body *b, const struct dp_items *out)
{
	struct dp_cursor c = {.body = b};
	uint64_t reply = dp_postcard_varint(&c, 32);
	uint64_t n;

	if (c.status != DP_CUR_OK)
		return c.status;
	switch (reply) {
	case REP_RESULT:
		n = dp_postcard_varint(&c, 32);
		if (n > 1)
			dp_cur_fail(&c, DP_CUR_BAD);
		if (n == 1)
			dp_postcard_skip_bytes(&c);
		dp_cur_end(&c);
		if (c.status == DP_CUR_OK)
			put_wire(out, n ? DP_WIRE_RESULT_ERR : DP_WIRE_RESULT_OK, 0, no_id);
		return c.status;
	case REP_NEXT_EVENTS:
		next_events(&c, out);
		break;
	case REP_EXTENSION_VALUE:
		if (dp_cur_flag(&c))
			dp_postcard_skip_bytes(&c);
		break;
	case REP_EMPTY:
		break;
	case REP_EXTENSION_REPLY:
		dp_postcard_skip_bytes(&c);
		break;
	case REP_NODE_CONFIG: /* sent as JSON only */
	default:
		return DP_CUR_BAD;
	}
	dp_cur_end(&c);
	return c.status;
}
