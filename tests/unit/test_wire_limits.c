// SPDX-License-Identifier: MIT
/*
 * The wire decoder and what it must not trust: which codec, hostile strings, long batches,
 * garbage.
 */
#include <stdbool.h>
#include "wire_golden.h"
#include "base/array.h"

/* ---- which codec ---------------------------------------------------------------------------- */

static void codec_case(const char *dora, const char *file, const char *first, int direction,
		       size_t records)
{
	uint8_t body[512];
	size_t n = golden(file, first, body, sizeof(body));
	struct seen s;

	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, dora, 0);
	frame(&s, 1, direction, body, n);
	assert_int_equal(said_count(&s), records);
	assert_int_equal(seen_losses(&s), records ? 0 : 1);
	seen_end(&s);
}

static void test_codec(void **state)
{
	uint8_t body[512];
	size_t n;
	struct seen s;

	(void)state;
	/* By Register; it overrules the version text. */
	codec_case("", BINCODE, "dm0.8.0 Register", TO, 1);
	codec_case("", POSTCARD, "Register", TO, 1);
	codec_case("0.5.0", POSTCARD, "Register", TO, 1);
	codec_case("1.1.0", BINCODE, "dm0.8.0 Register", TO, 1);
	/* By the shape of any first frame, in either direction. */
	for (size_t i = 0; i < DP_COUNT_OF(bincode_cases); i++) {
		char label[128];

		snprintf(label, sizeof(label), "dm0.8.0 %s", bincode_cases[i].label);
		if (bincode_cases[i].count)
			codec_case("", BINCODE, label, bincode_cases[i].direction,
				   bincode_cases[i].count);
	}
	for (size_t i = 0; i < DP_COUNT_OF(postcard_cases); i++)
		codec_case("", POSTCARD, postcard_cases[i].label, postcard_cases[i].direction, 1);
	/* By the version text alone the other codec's frames are not read. */
	codec_case("0.5.0", POSTCARD, "NextEvents[Stop]", FROM, 0);
	codec_case("1.1.0", BINCODE, "dm0.8.0 Reply NextEvents[Stop]", FROM, 0);
	/* Release candidates and what was before 0.3.6: counted, never read. */
	codec_case("1.0.0-rc.4", BINCODE, "dm0.8.0 Subscribe", TO, 0);
	codec_case("1.0.0rc1", BINCODE, "dm0.8.0 Subscribe", TO, 0);
	codec_case("0.3.5", BINCODE, "dm0.8.0 Subscribe", TO, 0);
	n = golden(BINCODE, "dm0.8.0 Register", body, sizeof(body));
	memcpy(body + 48, "0.2.1", 5);
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "", 0);
	frame(&s, 1, TO, body, n);
	n = golden(BINCODE, "dm0.8.0 Subscribe", body, sizeof(body));
	for (int i = 0; i < 5; i++)
		frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 0);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 6);
	assert_int_equal(seen_losses(&s), 6);
	seen_end(&s);
	/* A wrong idea from one accidental frame does not last. */
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "", 0);
	frame(&s, 1, FROM, (const uint8_t *)"\0", 2); /* postcard's Result Ok */
	n = golden(BINCODE, "dm0.8.0 Reply NextEvents[Stop]", body, sizeof(body));
	frame(&s, 1, FROM, body, n);
	frame(&s, 1, FROM, body, n);
	assert_int_equal(said(&s, said_count(&s) - 1)->u.wire.kind, DP_WIRE_STOP);
	seen_end(&s);
}

/* What Register said stays, whatever comes between. */
static void test_codec_stays(void **state)
{
	uint8_t body[512];
	size_t n = golden(BINCODE, "dm0.8.0 Register", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "", 0);
	frame(&s, 1, TO, body, n);
	memset(body, 0xee, 40);
	frame(&s, 1, FROM, body, 40);
	n = golden(POSTCARD, "NextEvents[Stop]", body, sizeof(body));
	frame(&s, 1, FROM, body, n);
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 2);
	n = golden(BINCODE, "dm0.8.0 Reply NextEvents[Stop]", body, sizeof(body));
	frame(&s, 1, FROM, body, n);
	assert_int_equal(said(&s, 1)->u.wire.kind, DP_WIRE_STOP);
	seen_end(&s);
}

/* A dynamic node asks for its configuration and gets JSON. */
static void test_json_reply(void **state)
{
	static const char json[] = "{\"NodeConfig\":{\"result\":{\"Ok\":{}}}}";
	uint8_t body[512];
	size_t n = golden(BINCODE, "dm0.8.0 NodeConfig", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	frame(&s, 1, TO, body, n);
	frame(&s, 1, FROM, (const uint8_t *)json, strlen(json));
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(seen_losses(&s), 0);
	frame(&s, 1, FROM, (const uint8_t *)json, strlen(json));
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	seen_end(&s);
}

/* ---- strings ----------------------------------------------------------------------------------
 */

static void test_hostile_strings(void **state)
{
	static const uint8_t id[] = "a\x1b[2J\n\xff\xc3\xa9\xe2\x80\xae"
				    "b";
	uint8_t golden_body[256], body[1024];
	size_t n = golden(BINCODE, "dm0.8.0 Reply NextEvents[InputClosed data]", golden_body,
			  sizeof(golden_body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	memcpy(body, golden_body, 16);
	put_len(body + 16, sizeof(id) - 1);
	memcpy(body + 24, id, sizeof(id) - 1);
	memcpy(body + 24 + sizeof(id) - 1, golden_body + n - 24, 24);
	frame(&s, 1, FROM, body, 24 + sizeof(id) - 1 + 24);
	assert_string_equal(said(&s, 0)->u.wire.id, "a?[2J??\xc3\xa9?b");
	/* Too long: cut, between characters. */
	put_len(body + 16, 201);
	body[24] = 'x';
	for (size_t i = 1; i < 201; i += 2)
		memcpy(body + 24 + i, "\xc3\xa9", 2);
	memcpy(body + 24 + 201, golden_body + n - 24, 24);
	frame(&s, 1, FROM, body, 24 + 201 + 24);
	assert_int_equal(strlen(said(&s, 1)->u.wire.id), DP_ID_MAX - 1);
	assert_int_equal((uint8_t)said(&s, 1)->u.wire.id[DP_ID_MAX - 2], 0xa9);
	seen_end(&s);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

/* A batch of n Input events with tokens of their own, as a slow node gets it. */
static size_t batch(uint32_t n, uint8_t *out)
{
	uint8_t one[512];
	size_t len = golden(BINCODE, "dm0.8.0 Reply NextEvents[Input shm, Stop]", one, sizeof(one));
	size_t event = len - 12 - 28, at = 12;

	memcpy(out, one, 4);
	put_len(out + 4, n);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(out + at, one + 12, event);
		put_len(out + at + event - 24 - 16, i);
		at += event;
	}
	return at;
}

static void test_long_batch(void **state)
{
	static uint8_t body[BODY_MAX];
	size_t n = batch(1000, body);
	uint8_t len[8];
	struct seen s;

	(void)state;
	assert_true(n < 256 * 1024 && n > 180 * 1024);
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	frame(&s, 1, FROM, body, n);
	assert_int_equal(seen_losses(&s), 0);
	assert_int_equal(said_count(&s), 1000);
	for (size_t i = 0; i < 1000; i++) {
		uint8_t want[8];

		put_len(want, i);
		assert_int_equal(said(&s, i)->h.type, DP_REC_TOKEN_DELIVERED);
		assert_memory_equal(said(&s, i)->u.token.token, want, 8);
		i += 36; /* said() is linear */
	}
	seen_end(&s);

	/* One that does not fit: what was kept is said, and the last; the rest is counted. */
	n = batch(4000, body);
	assert_true(n > 700 * 1024);
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	put_len(len, n);
	call(&s, 1, FROM, len, 8);
	/* as the kernel would: 128 KiB of each call are copied */
	for (size_t at = 0; at < n; at += 300000) {
		size_t total = n - at < 300000 ? n - at : 300000;
		size_t copied = total < DP_SOCK_COPY_MAX ? total : DP_SOCK_COPY_MAX;

		call_at(&s, 1, FROM, 1000, 9, body + at, total, copied, DP_SOCK_PIECE_MAX);
	}
	assert_int_equal(seen_losses(&s), 1);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	assert_in_range(said_count(&s), 600, 700);
	assert_int_equal(said(&s, 0)->h.flags, DP_F_CUT);
	{
		const struct dp_record *r = &s.r[s.count - 1];
		uint8_t want[8];

		put_len(want, 3999);
		assert_int_not_equal(memcmp(r->u.token.token, want, 8), 0);
	}
	n = golden(BINCODE, "dm0.8.0 Reply NextEvents[Stop]", body, sizeof(body));
	frame(&s, 1, FROM, body, n);
	assert_int_equal(s.r[s.count - 1].u.wire.kind, DP_WIRE_STOP);

	/* The same without a cut: our own limit is what it met; the end is there. */
	n = batch(4000, body);
	{
		size_t before = s.count;

		frame(&s, 1, FROM, body, n);
		assert_int_equal(s.loss[DP_LOSS_STREAM_LIMIT], 1);
		assert_int_equal(seen_losses(&s), 2);
		assert_in_range(s.count - before, 1300, 1400);
		uint8_t want[8];

		put_len(want, 3999);
		assert_memory_equal(s.r[s.count - 1].u.token.token, want, 8);
		assert_string_equal(s.r[s.count - 1].u.token.id, "");
		assert_int_equal(s.r[s.count - 1].h.flags, DP_F_CUT);
	}
	seen_end(&s);
}

/* 1.x sends payload inline: long frames are walked without keeping them, and nothing is lost. */
static void test_long_payload(void **state)
{
	static uint8_t body[BODY_MAX];
	uint8_t small[512], len[8];
	size_t n = golden(POSTCARD, "OutputSent", small, sizeof(small)), at;
	struct seen s;

	(void)state;
	body[0] = 2; /* SendMessage */
	memcpy(body + 1, small + 1, n - 1 - 25);
	at = n - 25;
	body[at++] = 1; /* Some */
	body[at++] = 0; /* Vec */
	body[at++] = 0x80 | (900000 & 0x7f);
	body[at++] = 0x80 | ((900000 >> 7) & 0x7f);
	body[at++] = 900000 >> 14;
	memset(body + at, 0xab, 900000);
	at += 900000;
	memcpy(body + at, small + n - 25, 25);
	at += 25;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "1.1.0", 0);
	put_len(len, at);
	call(&s, 1, TO, len, 8);
	call(&s, 1, TO, body, at);
	assert_int_equal(seen_losses(&s), 0);
	assert_int_equal(said_count(&s), 1);
	assert_string_equal(said(&s, 0)->u.wire.id, "data");
	/* The kernel copies 128 KiB of a call: what is missing is payload and one timestamp. */
	call(&s, 1, TO, len, 8);
	call_at(&s, 1, TO, 1000, 9, body, at, DP_SOCK_COPY_MAX, DP_SOCK_PIECE_MAX);
	assert_int_equal(seen_losses(&s), 0);
	assert_int_equal(said_count(&s), 2);
	/* One byte more than that leaves room for something unknown. */
	put_len(len, at + 2);
	call(&s, 1, TO, len, 8);
	call_at(&s, 1, TO, 1000, 9, body, at + 2, DP_SOCK_COPY_MAX, DP_SOCK_PIECE_MAX);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	frame(&s, 1, TO, small, n);
	assert_int_equal(said_count(&s), 3);
	seen_end(&s);
}

static void test_connection_limit(void **state)
{
	struct seen s;
	uint8_t len[8] = {4};

	(void)state;
	seen_begin(&s);
	for (uint64_t i = 0; i < DP_MAX_SOCKETS; i++)
		dp_wire_open(s.w, i, 7, 1, "0.5.0", 0);
	assert_int_equal(s.count, DP_MAX_SOCKETS);
	assert_int_equal(seen_losses(&s), 0);
	dp_wire_open(s.w, 100, 7, 1, "0.5.0", 0); /* again: no second one */
	assert_int_equal(s.count, DP_MAX_SOCKETS);
	dp_wire_open(s.w, 1u << 20, 7, 1, "0.5.0", 0);
	assert_int_equal(s.loss[DP_LOSS_STREAM_LIMIT], 1);
	call(&s, 1u << 20, TO, len, 8);
	assert_int_equal(s.loss[DP_LOSS_STREAM_LIMIT], 2);
	dp_wire_close(s.w, 5, 1, 7, 7);
	dp_wire_open(s.w, 1u << 20, 7, 1, "0.5.0", 0);
	assert_int_equal(s.loss[DP_LOSS_STREAM_LIMIT], 2);
	for (uint64_t i = 0; i <= 1u << 20; i++)
		dp_wire_close(s.w, i, 1, 7, 7);
	assert_int_equal(s.count, 2 * (DP_MAX_SOCKETS + 1));
	seen_end(&s);
}

/* ---- connections that may be anybody's ----------------------------------------------------------
 */

/* What speaks another protocol is no loss of dora's, neither at once nor at its end. */
static void test_foreign(void **state)
{
	static const uint8_t zenoh[] = {0x1f, 0x00, 0xc1, 0x09, 0xf1, 0x32, 0x3e, 0x64, 0xe8, 0xfa,
					0xb5, 0x3c, 0x29, 0xb8, 0x40, 0x01, 0xdb, 0xf5, 0x93, 0x6c};
	static const uint8_t length[8] = {100};
	uint8_t body[512];
	size_t n = golden(BINCODE, "dm0.8.0 Register", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_try(s.w, 1, 7, 1, "0.5.0");
	for (int i = 0; i < 8; i++)
		call(&s, 1, i % 2, zenoh, sizeof(zenoh));
	dp_wire_lost(s.w, 1, 1);
	dp_wire_close(s.w, 1, 1, 7, 7);
	/* A frame that was cut by the end, and one that nobody knows. */
	dp_wire_try(s.w, 2, 7, 1, "0.5.0");
	call(&s, 2, TO, length, sizeof(length));
	dp_wire_close(s.w, 2, 1, 7, 7);
	dp_wire_try(s.w, 3, 7, 1, "0.5.0");
	frame(&s, 3, TO, zenoh, sizeof(zenoh));
	assert_int_equal(seen_losses(&s), 0);
	/* Once it has spoken as dora does, the same is a loss. */
	dp_wire_try(s.w, 4, 7, 1, "0.5.0");
	frame(&s, 4, TO, body, n);
	assert_int_equal(seen_losses(&s), 0);
	frame(&s, 4, TO, zenoh, sizeof(zenoh));
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	seen_end(&s);
}

struct closing {
	struct seen seen;
	unsigned int after; /* records of the connection behind its end */
	bool closed;
};

static void close_at_once(void *ctx, const struct dp_record *r)
{
	struct closing *c = ctx;

	c->after += c->closed ? 1u : 0u;
	c->closed |= r->h.type == DP_REC_CONN_CLOSED;
	if (r->h.type == DP_REC_WIRE_REGISTER)
		dp_wire_close(c->seen.w, 1, 2, 7, 7);
}

/* Whoever is told who it is may want no more of it: the rest of that capture is not read, and nothing is freed twice. */
static void test_closed_by_sink(void **state)
{
	uint8_t body[512], both[2 * (8 + sizeof(body))];
	size_t n = golden(BINCODE, "dm0.8.0 Register", body, sizeof(body)), total = 0;
	struct closing c = {.after = 0};
	struct dp_wire_sink sink = {close_at_once, seen_loss, &c};

	(void)state;
	c.seen.w = dp_wire_new(&sink);
	for (int i = 0; i < 2; i++) {
		memset(both + total, 0, 8);
		memcpy(both + total, &n, sizeof(n));
		memcpy(both + total + 8, body, n);
		total += 8 + n;
	}
	dp_wire_open(c.seen.w, 1, 7, 1, "0.5.0", 0);
	call(&c.seen, 1, TO, both, total);
	assert_true(c.closed);
	assert_int_equal(c.after, 0);
	assert_int_equal(seen_losses(&c.seen), 0);
	/* It is gone: what still comes of it is of a connection that nobody knows. */
	call(&c.seen, 1, TO, both, 8);
	assert_int_equal(c.seen.loss[DP_LOSS_STREAM_LIMIT], 1);
	dp_wire_free(c.seen.w);
}

/* ---- garbage ----------------------------------------------------------------------------------
 */

static void test_garbage(void **state)
{
	static uint8_t stream[65536];
	uint64_t seed = 7;
	size_t len = golden_stream(0, FROM, stream, sizeof(stream));

	(void)state;
	for (int round = 0; round < 4000; round++) {
		static const char *const doras[] = {"", "0.5.0", "1.1.0"};
		int direction = round & 1, kind = round % 4;
		struct seen s;

		seen_begin(&s);
		dp_wire_open(s.w, 1, 7, 1, doras[round % 3], round % 5 == 0);
		if (kind == 0) {
			/* random bytes behind a plausible length */
			uint8_t junk[600];
			size_t n = 2 + next_random(&seed) % 500;

			put_len(junk, n);
			for (size_t i = 8; i < n + 8; i++)
				junk[i] = (uint8_t)(next_random(&seed) & (round & 8 ? 255 : 3));
			call(&s, 1, direction, junk, 8);
			call(&s, 1, direction, junk + 8, n);
		} else {
			/* golden frames with flipped bits, or with hostile counts */
			size_t n = golden_stream(round % 3 == 2, direction, stream, sizeof(stream));
			unsigned int flips = 1 + next_random(&seed) % 20;

			for (unsigned int i = 0; i < flips; i++) {
				size_t at = next_random(&seed) % n;

				if (kind == 1)
					stream[at] ^= (uint8_t)(1u << next_random(&seed) % 8);
				else if (kind == 2 && at + 8 < n)
					put_len(stream + at, i & 1 ? 1000000 : 1ULL << 63);
				else
					stream[at] = (uint8_t)next_random(&seed);
			}
			for (size_t at = 0; at < n;) {
				size_t take = 1 + next_random(&seed) % 400;
				size_t copied;

				if (take > n - at)
					take = n - at;
				copied = round & 16 ? take : next_random(&seed) % (take + 1);
				call_at(&s, 1, direction, 1, 1, stream + at, take, copied, 100);
				at += take;
			}
		}
		/* Bounded: no record without bytes that made it. */
		assert_true(s.count <= len);
		dp_wire_close(s.w, 1, 1, 7, 7);
		assert_int_equal(s.r[s.count - 1].h.type, DP_REC_CONN_CLOSED);
		seen_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_codec_stays),
		cmocka_unit_test(test_json_reply),
		cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_long_batch),
		cmocka_unit_test(test_long_payload),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_closed_by_sink),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
