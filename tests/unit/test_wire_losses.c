// SPDX-License-Identifier: MIT
/*
 * The wire decoder where bytes are missing: cut calls, lost captures, a connection that was joined
 * in the middle.
 */
#include "wire_golden.h"
#include "base/array.h"

/* ---- missing bytes ------------------------------------------------------------------------- */

/*
 * Each frame, its body's call cut at every length: whatever was cut, the next frame is read, and no
 * record says anything that the whole frame does not say.
 */
static void test_cut_anywhere(void **state)
{
	uint8_t body[4096], next[512], len[8];
	size_t next_len = golden(BINCODE, "dm0.8.0 NextFinishedDropTokens", next, sizeof(next));
	size_t reply_len;
	uint8_t reply[512];

	(void)state;
	reply_len = golden(BINCODE, "dm0.8.0 Reply NextEvents[Stop]", reply, sizeof(reply));
	for (size_t i = 0; i < DP_COUNT_OF(bincode_cases); i++) {
		const struct golden_case *c = &bincode_cases[i];
		char label[128];
		size_t n;

		snprintf(label, sizeof(label), "dm0.8.0 %s", c->label);
		n = golden(BINCODE, label, body, sizeof(body));
		for (size_t copied = 0; copied < n; copied++) {
			const struct dp_record *last;
			struct seen s;

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
			put_len(len, n);
			call(&s, 1, c->direction, len, 8);
			call_at(&s, 1, c->direction, 1000, 9, body, n, copied, 4096);
			for (size_t k = 0; k < said_count(&s); k++) {
				const struct dp_record *r = said(&s, k);

				assert_true(k < c->count);
				assert_int_equal(r->h.type, c->e[k].type);
				if (r->h.type == DP_REC_TOKEN_SENT ||
				    r->h.type == DP_REC_TOKEN_DELIVERED) {
					assert_memory_equal(r->u.token.token, token_d0, 16);
					assert_string_equal(r->u.token.region, c->e[k].region);
				}
			}
			/* What was not said was counted, once. */
			if (said_count(&s) < c->count)
				assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
			assert_true(seen_losses(&s) <= 1);
			if (c->direction == TO)
				frame(&s, 1, TO, next, next_len);
			else
				frame(&s, 1, FROM, reply, reply_len);
			last = &s.r[s.count - 1];
			assert_int_equal(last->u.wire.kind,
					 c->direction == TO ? DP_WIRE_NEXT_DROP : DP_WIRE_STOP);
			assert_true(seen_losses(&s) <= 1);
			seen_end(&s);
		}
	}
}

/* A body that came in two calls, the first cut: a hole in the middle, the end is there. */
static void hole(const char *label, int direction, size_t from, size_t to, struct seen *s)
{
	uint8_t body[4096], len[8];
	size_t n = golden(BINCODE, label, body, sizeof(body));

	put_len(len, n);
	call(s, 1, direction, len, 8);
	call_at(s, 1, direction, 1000, 9, body, to, from, 4096);
	call(s, 1, direction, body + to, n - to);
}

static void test_token_behind_hole(void **state)
{
	static const struct {
		const char *label;
		int direction;
		enum dp_record_type type;
		size_t id_end, tail; /* the shared-memory part begins at `tail` from the end */
	} cases[] = {
		{"dm0.8.0 SendMessage shm UInt8 noparams", TO, DP_REC_TOKEN_SENT, 16,
		 5 + 8 + 13 + 8 + 24 + 24},
		{"dm0.8.0 SendMessage shm UInt8 params", TO, DP_REC_TOKEN_SENT, 16,
		 5 + 8 + 13 + 8 + 24 + 24},
	};
	uint8_t body[4096];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++) {
		size_t n = golden(BINCODE, cases[i].label, body, sizeof(body));

		for (size_t from = cases[i].id_end; from + 1 < n - cases[i].tail; from += 7) {
			const struct dp_record *r;
			struct seen s;

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
			hole(cases[i].label, cases[i].direction, from, n - cases[i].tail, &s);
			assert_int_equal(seen_losses(&s), 0);
			assert_int_equal(said_count(&s), 1);
			r = said(&s, 0);
			assert_int_equal(r->h.type, cases[i].type);
			assert_memory_equal(r->u.token.token, token_d0, 16);
			assert_string_equal(r->u.token.region, "shmem_ABCDEF");
			assert_string_equal(r->u.token.id, "data");
			assert_int_equal(r->u.token.bytes, 5000);
			seen_end(&s);
		}
		/* One byte into what the shortcut needs: nothing is said, one loss is counted. */
		for (size_t to = n - cases[i].tail + 1; to < n; to++) {
			struct seen s;

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
			hole(cases[i].label, cases[i].direction, 30, to, &s);
			assert_int_equal(said_count(&s), 0);
			assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
			seen_end(&s);
		}
	}
}

/* Flagged as cut when the walk could not be made, not when a hole lay in bytes that say nothing. */
static void test_cut_flag(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	hole("dm0.8.0 SendMessage shm UInt8 params", TO, 40, 150, &s);
	assert_int_equal(said(&s, 0)->h.type, DP_REC_TOKEN_SENT);
	assert_int_equal(said(&s, 0)->h.flags, DP_F_CUT);
	hole("dm0.8.0 SendMessage shm UInt8 params", TO, 20, 30, &s); /* inside the timestamp */
	/* The metadata behind the hole is not there any more, but the token is. */
	assert_int_equal(said(&s, 1)->h.type, DP_REC_TOKEN_SENT);
	assert_int_equal(seen_losses(&s), 0);
	seen_end(&s);
}

/* An inline payload that ends in a copy of a shared-memory message is not one. */
static void test_imitation(void **state)
{
	uint8_t real[512], body[1024];
	size_t n = golden(BINCODE, "dm0.8.0 SendMessage shm UInt8 noparams", real, sizeof(real));
	size_t vec = golden(BINCODE, "dm0.8.0 SendMessage Vec[1,2,3]", body, sizeof(body));
	size_t head = vec - 24 - 3 - 8; /* up to the length of the payload */
	size_t inner = n - 24;
	uint8_t len[8];
	struct seen s;

	(void)state;
	put_len(body + head, inner);
	memcpy(body + head + 8, real, inner);
	memcpy(body + head + 8 + inner, real + n - 24, 24);
	n = head + 8 + inner + 24;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(said(&s, 0)->u.wire.kind, DP_WIRE_SEND_MESSAGE);
	assert_int_equal(seen_losses(&s), 0);
	/* An arrow type that is not in the table: two readings fit, so neither is taken. */
	body[42] = 77;
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	/* The same type in an honest message: only the end can be read, and it is. */
	real[42] = 77;
	n = golden(BINCODE, "dm0.8.0 SendMessage shm UInt8 noparams", body, sizeof(body));
	frame(&s, 1, TO, real, n);
	assert_int_equal(said_count(&s), 2);
	assert_int_equal(said(&s, 1)->h.type, DP_REC_TOKEN_SENT);
	assert_string_equal(said(&s, 1)->u.token.region, "shmem_ABCDEF");
	assert_int_equal(said(&s, 1)->h.flags, 0);
	assert_int_equal(seen_losses(&s), 1);
	put_len(len, 0);
	seen_end(&s);
}

/* A piece in the middle of a call did not come, and a call without its last piece. */
static void test_missing_piece(void **state)
{
	uint8_t body[512], len[8];
	size_t n = golden(BINCODE, "dm0.8.0 NextEvent[tok]", body, sizeof(body));
	struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = 5, .pid = 7, .tid = 9};
	struct dp_sock_data d = {.conn = 1, .direction = TO};
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	put_len(len, n);
	call(&s, 1, TO, len, 8);
	/* bytes 0..9, then 40..end: the token is in the gap */
	d.total = (uint32_t)n;
	d.copied = 10;
	dp_wire_data(s.w, &h, &d, body);
	d.offset = 40;
	d.copied = (uint32_t)n - 40;
	d.last = 1;
	dp_wire_data(s.w, &h, &d, body + 40);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	assert_int_equal(said_count(&s), 0);
	/* the last piece never comes: the next call shows it */
	call(&s, 1, TO, len, 8);
	d.offset = 0;
	d.copied = 12;
	d.last = 0;
	dp_wire_data(s.w, &h, &d, body);
	frame(&s, 1, TO, body, n);
	/* count and kind of the first were readable, its token was not */
	assert_int_equal(said_count(&s), 3);
	assert_int_equal(said(&s, 0)->u.wire.kind, DP_WIRE_NEXT_EVENT);
	assert_int_equal(said(&s, 0)->h.flags, DP_F_CUT);
	assert_int_equal(said(&s, 1)->h.flags, 0);
	assert_int_equal(said(&s, 2)->h.type, DP_REC_TOKEN_REPORTED);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 2);
	assert_int_equal(seen_losses(&s), 2);
	/* the first piece never came */
	call(&s, 1, TO, len, 8);
	d.offset = 30;
	d.copied = (uint32_t)n - 30;
	d.last = 1;
	dp_wire_data(s.w, &h, &d, body + 30);
	assert_int_equal(seen_losses(&s), 3);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 5);
	/* a piece that contradicts itself is ignored */
	d.offset = 50;
	d.total = 40;
	dp_wire_data(s.w, &h, &d, body);
	d.offset = 30;
	d.copied = 11;
	dp_wire_data(s.w, &h, &d, body);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 7);
	assert_int_equal(seen_losses(&s), 3);
	seen_end(&s);
}

/* ---- joining in the middle --------------------------------------------------------------------
 */

static void test_attach(void **state)
{
	static uint8_t stream[65536];
	uint8_t body[512];
	size_t len, n;
	struct seen s;

	(void)state;
	/* 0.3 to 0.5: a rest of a body, then whole frames. */
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 1);
	n = golden(BINCODE, "dm0.8.0 SendMessage shm UInt8 params", body, sizeof(body));
	call(&s, 1, TO, body + 100, n - 100);
	assert_int_equal(said_count(&s), 0);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(said(&s, 0)->h.type, DP_REC_TOKEN_SENT);
	assert_int_equal(seen_losses(&s), 0);
	seen_end(&s);
	/* The rest is 8 bytes that look like a small length: the next call shows that it is none.
	 */
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 1);
	put_len(stream, 30);
	call(&s, 1, TO, stream, 8);
	frame(&s, 1, TO, body, n); /* 8 bytes < 30: taken as body, then 251 > 22: not its rest */
	frame(&s, 1, TO, body, n);
	assert_true(said_count(&s) >= 1);
	assert_int_equal(said(&s, said_count(&s) - 1)->h.type, DP_REC_TOKEN_SENT);
	seen_end(&s);
	/* A reply Result Ok is a call of 8 zero bytes: no length. */
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 1);
	memset(stream, 0, 8);
	call(&s, 1, FROM, stream, 8);
	n = golden(BINCODE, "dm0.8.0 Reply NextEvents[Stop]", body, sizeof(body));
	frame(&s, 1, FROM, body, n);
	assert_int_equal(said_count(&s), 1);
	assert_int_equal(said(&s, 0)->u.wire.kind, DP_WIRE_STOP);
	assert_int_equal(said(&s, 0)->u.wire.role, DP_ROLE_EVENTS);
	assert_int_equal(seen_losses(&s), 0);
	seen_end(&s);
	/* 1.x: length and body in one call. */
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "1.1.0", 1);
	n = golden(POSTCARD, "OutputSent", body, sizeof(body));
	call(&s, 1, TO, body + 10, n - 10);
	len = golden_stream(1, TO, stream, sizeof(stream));
	for (size_t at = 0; at < len;) {
		size_t total = 8 + (size_t)stream[at];

		call(&s, 1, TO, stream + at, total);
		at += total;
	}
	assert_int_equal(said_count(&s), 7);
	assert_int_equal(seen_losses(&s), 0);
	seen_end(&s);
}

static void test_lost(void **state)
{
	uint8_t body[512], len[8];
	size_t n = golden(BINCODE, "dm0.8.0 NextEvent[tok]", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	frame(&s, 1, TO, body, n);
	put_len(len, n);
	call(&s, 1, TO, len, 8);
	dp_wire_lost(s.w, 1, 77);
	dp_wire_lost(s.w, 1, 78); /* known already: counted once */
	dp_wire_lost(s.w, 99, 78);
	assert_int_equal(s.loss[DP_LOSS_STREAM_RESYNC], 1);
	call(&s, 1, TO, body + 30, n - 30);
	assert_int_equal(said_count(&s), 2);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 4);
	assert_int_equal(seen_losses(&s), 1);
	/* A header that could not be read loses the boundary too. */
	call_at(&s, 1, TO, 1000, 9, len, 8, 3, 4096);
	assert_int_equal(s.loss[DP_LOSS_STREAM_RESYNC], 2);
	call(&s, 1, TO, body, n);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 6);
	/* So does a length that no frame has. */
	put_len(len, 1ULL << 63);
	call(&s, 1, TO, len, 8);
	put_len(len, 0);
	call(&s, 1, TO, len, 8);
	assert_int_equal(s.loss[DP_LOSS_STREAM_RESYNC], 3);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 8);
	/* The node dies in the middle of a frame: there was no more of it, nothing is lost. */
	put_len(len, n);
	call(&s, 1, TO, len, 8);
	dp_wire_close(s.w, 1, 5, 7, 7);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 0);
	/* Nothing is known of it any more. */
	call(&s, 1, TO, len, 8);
	assert_int_equal(s.loss[DP_LOSS_STREAM_LIMIT], 1);
	/* The end in the middle of a frame of which bytes are missing is a loss. */
	dp_wire_open(s.w, 2, 7, 1, "0.5.0", 0);
	frame(&s, 2, TO, body, n);
	put_len(len, n);
	call(&s, 2, TO, len, 8);
	call_at(&s, 2, TO, 1000, 9, body, n - 8, 4, 4096);
	dp_wire_close(s.w, 2, 5, 7, 7);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 1);
	seen_end(&s);
}

/* Bytes went missing and nobody said so: a row of unreadable frames ends in a new boundary. */
static void test_silent_loss(void **state)
{
	uint8_t body[512], junk[64];
	size_t n = golden(BINCODE, "dm0.8.0 NextEvent[tok]", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	memset(junk, 0xee, sizeof(junk));
	for (int i = 0; i < 3; i++)
		frame(&s, 1, TO, junk, 40);
	assert_int_equal(s.loss[DP_LOSS_FRAME_INVALID], 3);
	assert_int_equal(s.loss[DP_LOSS_STREAM_RESYNC], 1);
	assert_int_equal(said_count(&s), 0);
	frame(&s, 1, TO, body, n);
	assert_int_equal(said_count(&s), 2);
	seen_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_token_behind_hole),
		cmocka_unit_test(test_cut_flag),      cmocka_unit_test(test_imitation),
		cmocka_unit_test(test_missing_piece), cmocka_unit_test(test_attach),
		cmocka_unit_test(test_lost),          cmocka_unit_test(test_silent_loss),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
