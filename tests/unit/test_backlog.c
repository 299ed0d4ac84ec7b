// SPDX-License-Identifier: MIT
/*
 * Replies with many messages of inline payload, which a node that was slow to poll gets in one frame: the
 * bound of what is copied cuts them. Payload that nobody wanted is no loss, an event that may lie
 * behind it is one.
 */
#include "wire_support.h"

#define PAYLOAD 100000
#define EVENTS  12
/* What of a call is copied (DP_SOCK_COPY_MAX), in the middle of the second message. */
#define COPIED 131072

struct reply {
	uint8_t p[EVENTS * (PAYLOAD + 400) + 100];
	size_t n;
};

static void put(struct reply *r, const void *p, size_t n)
{
	assert_true(r->n + n <= sizeof(r->p));
	memcpy(r->p + r->n, p, n);
	r->n += n;
}

static void put_hex(struct reply *r, const char *hex)
{
	uint8_t b[512];

	put(r, b, unhex(hex, b, sizeof(b)));
}

static void payload(struct reply *r, size_t n)
{
	assert_true(r->n + n <= sizeof(r->p));
	memset(r->p + r->n, 0, n);
	r->n += n;
}

/* A timestamp as dora 1.1.0 sent it, and an input's head up to its payload's length. */
#define NOW_1_1 "b0f2c58b80e48e846b52ed8fcf1125f57f3d6a3ccf9de46331"
#define INPUT_1_1                                                                                  \
	"020464617461"                                                                             \
	"02" NOW_1_1 "01085f6672616d696e6702096172726f772d69706301"                                \
	"00"

static void varint(struct reply *r, uint64_t v)
{
	uint8_t b[10];
	size_t n = 0;

	for (; v >= 128; v >>= 7)
		b[n++] = (uint8_t)(v | 128);
	b[n++] = (uint8_t)v;
	put(r, b, n);
}

static void input_1x(struct reply *r, size_t bytes)
{
	put_hex(r, INPUT_1_1);
	varint(r, bytes);
	payload(r, bytes);
	put_hex(r, NOW_1_1);
}

/* dora 0.x: the golden shared-memory input of 0.8.0's messages, its data replaced by bytes. */
static void input_0x(struct reply *r, size_t bytes)
{
	uint8_t body[512], len[8];
	size_t n = golden("bincode-0.3-0.5.txt", "dm0.8.0 Reply NextEvents[Input shm, Stop]", body,
			  sizeof(body));
	uint8_t *data = memmem(body, n, "/shmem_", 7);

	assert_non_null(data);
	put(r, body + 12, (size_t)(data - 8 - 4 - (body + 12))); /* with Some */
	put_hex(r, "00000000");
	put_len(len, bytes);
	put(r, len, 8);
	payload(r, bytes);
	put(r, body + n - 24, 24);
}

static void feed_reply(struct seen *s, const char *dora, const struct reply *r)
{
	uint8_t len[8];

	seen_begin(s);
	dp_wire_open(s->w, 1, 7, 1, dora, 0);
	put_len(len, r->n);
	call(s, 1, DP_FROM_DAEMON, len, 8);
	call_at(s, 1, DP_FROM_DAEMON, 1000, 9, r->p, r->n, r->n < COPIED ? r->n : COPIED,
		DP_SOCK_PIECE_MAX);
}

static void begin_reply(struct reply *r, int version, unsigned int n)
{
	char hex[32];

	r->n = 0;
	if (version)
		snprintf(hex, sizeof(hex), "01%02x", n);
	else
		snprintf(hex, sizeof(hex), "02000000%02x00000000000000", n);
	put_hex(r, hex);
}

static void input(struct reply *r, int version, size_t bytes)
{
	if (version)
		input_1x(r, bytes);
	else
		input_0x(r, bytes);
}

static const char *const doras[] = {"0.5.0", "1.1.0"};

/* Messages alike, how ever many and how ever long: all told, nothing lost. */
static void test_payload_is_no_loss(void **state)
{
	static struct reply r;
	struct seen s;

	(void)state;
	for (int v = 0; v < 2; v++) {
		for (unsigned int n = 1; n <= EVENTS; n++) {
			for (size_t bytes = 5000 + n; bytes <= PAYLOAD; bytes += 23749) {
				begin_reply(&r, v, n);
				for (unsigned int i = 0; i < n; i++)
					input(&r, v, bytes);
				feed_reply(&s, doras[v], &r);
				assert_int_equal(seen_losses(&s), 0);
				assert_int_equal(said_count(&s), n);
				for (unsigned int i = 0; i < n; i++) {
					assert_int_equal(said(&s, i)->h.type, DP_REC_WIRE_EVENT);
					assert_int_equal(said(&s, i)->u.wire.kind, DP_WIRE_INPUT);
					assert_int_equal(said(&s, i)->u.wire.count, n);
				}
				assert_int_equal(said(&s, 0)->h.flags, 0);
				seen_end(&s);
			}
		}
	}
}

/* Wherever the copy ends, in the middle of a head or of a timestamp too. */
static void test_cut_anywhere(void **state)
{
	static struct reply r;
	struct seen s;

	(void)state;
	for (int v = 0; v < 2; v++) {
		begin_reply(&r, v, 3);
		for (int i = 0; i < 3; i++)
			input(&r, v, 2000);
		for (size_t copied = r.n / 3 + 100; copied <= r.n; copied++) {
			uint8_t len[8];

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, doras[v], 0);
			put_len(len, r.n);
			call(&s, 1, DP_FROM_DAEMON, len, 8);
			call_at(&s, 1, DP_FROM_DAEMON, 1000, 9, r.p, r.n, copied, 4096);
			if (seen_losses(&s) || said_count(&s) != 3)
				fail_msg("dora %s, %zu of %zu copied: %zu events", doras[v], copied,
					 r.n, said_count(&s));
			seen_end(&s);
		}
	}
}

/* Something else is among them, or they are not alike: what lies behind the hole is not known. */
static void test_what_may_hide_is_a_loss(void **state)
{
	static const char *const stop[] = {
		"000000008877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10", "00" NOW_1_1};
	static struct reply r;
	struct seen s;

	(void)state;
	for (int v = 0; v < 2; v++) {
		for (unsigned int at = 2; at < 6; at++) {
			for (int longer = 0; longer < 2; longer++) {
				begin_reply(&r, v, 6);
				for (unsigned int i = 0; i < 6; i++) {
					if (i != at)
						input(&r, v, PAYLOAD);
					else if (longer)
						input(&r, v, PAYLOAD + 1);
					else
						put_hex(&r, stop[v]);
				}
				feed_reply(&s, doras[v], &r);
				assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
				assert_int_equal(seen_losses(&s), 1);
				seen_end(&s);
			}
		}
	}
}

/*
 * The last bytes of the call come too: what ends the reply is read from there, Stop behind a backlog
 * that is longer than what is copied. Behind messages of several lengths it is told by what comes next.
 */
static void test_stop_behind_the_backlog(void **state)
{
	static struct reply r;
	struct seen s;

	(void)state;
	for (unsigned int n = 3; n <= EVENTS; n++) {
		for (int longer = 0; longer < 2; longer++) {
			uint8_t len[8];

			begin_reply(&r, 1, n);
			for (unsigned int i = 0; i < n - 1; i++)
				input_1x(&r, PAYLOAD + (i == n - 2 && longer ? 7 : 0));
			put_hex(&r, "00" NOW_1_1);
			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, "1.1.0", 0);
			put_len(len, r.n);
			call(&s, 1, DP_FROM_DAEMON, len, 8);
			call_with_tail(&s, 1, DP_FROM_DAEMON, 1000, 9, r.p, r.n, COPIED,
				       DP_SOCK_PIECE_MAX, DP_SOCK_TAIL);
			/* Of three, the head of the second says where it ends. */
			assert_int_equal(seen_losses(&s), 0);
			if (!longer || n == 3) {
				assert_int_equal(said_count(&s), n);
				assert_int_equal(said(&s, n - 2)->u.wire.kind, DP_WIRE_INPUT);
				assert_int_equal(said(&s, n - 1)->u.wire.kind, DP_WIRE_STOP);
			}
			seen_end(&s);
		}
	}
}

/*
 * Inputs of several lengths, of which the last one's payload ends in a zero, and the same with Stop at the
 * end: the two are told apart by the reply that follows, the end of the stream or another input.
 */
static void test_stop_behind_unlike_inputs(void **state)
{
	static struct reply r, next;
	struct seen s;

	(void)state;
	for (unsigned int stops = 0; stops < 2; stops++) {
		uint8_t len[8];
		size_t first;

		begin_reply(&r, 1, 5 + stops);
		for (unsigned int i = 0; i < 5; i++)
			input_1x(&r, i % 2 ? 3000 : PAYLOAD);
		if (stops)
			put_hex(&r, "00" NOW_1_1);
		begin_reply(&next, 1, stops ? 0 : 1);
		if (!stops)
			input_1x(&next, 20);
		seen_begin(&s);
		dp_wire_open(s.w, 1, 7, 1, "1.1.0", 0);
		put_len(len, r.n);
		call(&s, 1, DP_FROM_DAEMON, len, 8);
		call_with_tail(&s, 1, DP_FROM_DAEMON, 1000, 9, r.p, r.n, COPIED, DP_SOCK_PIECE_MAX,
			       DP_SOCK_TAIL);
		first = said_count(&s);
		assert_true(first >= 1);
		for (size_t i = 0; i < first; i++)
			assert_int_equal(said(&s, i)->u.wire.kind, DP_WIRE_INPUT);
		frame(&s, 1, DP_FROM_DAEMON, next.p, next.n);
		assert_int_equal(said_count(&s), first + 1 + stops);
		assert_int_equal(said(&s, first)->u.wire.kind,
				 stops ? DP_WIRE_STOP : DP_WIRE_INPUT);
		if (stops)
			assert_int_equal(said(&s, first + 1)->u.wire.kind, DP_WIRE_EVENTS_END);
		assert_int_equal(seen_losses(&s), 0);
		seen_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payload_is_no_loss),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_what_may_hide_is_a_loss),
		cmocka_unit_test(test_stop_behind_the_backlog),
		cmocka_unit_test(test_stop_behind_unlike_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
