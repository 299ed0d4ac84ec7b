// SPDX-License-Identifier: MIT
/*
 * The wire decoder against frames that the real dora-message crates wrote (golden/bincode-*.txt,
 * postcard-*.txt), whole and in pieces.
 */
#include "wire_golden.h"
#include "base/array.h"

/* clang-format on */

static void check_record(const struct dp_record *r, const struct expect *e, enum dp_conn_role role)
{
	assert_int_equal(r->h.type, e->type);
	assert_int_equal(r->h.t_ns, 1000);
	assert_int_equal(r->h.pid, 7);
	assert_int_equal(r->h.tid, 9);
	assert_int_equal(r->h.flags, 0);
	switch (e->type) {
	case DP_REC_WIRE_REGISTER:
		assert_string_equal(r->u.reg.dataflow, "00112233-4455-6677-8899-aabbccddeeff");
		assert_string_equal(r->u.reg.node, e->id);
		break;
	case DP_REC_WIRE_REQUEST:
	case DP_REC_WIRE_EVENT:
		assert_int_equal(r->u.wire.kind, e->kind);
		assert_int_equal(r->u.wire.role, role);
		assert_int_equal(r->u.wire.count, e->count);
		assert_string_equal(r->u.wire.id, e->id);
		break;
	default:
		assert_memory_equal(r->u.token.token, token_d0, 16);
		assert_string_equal(r->u.token.id, e->id);
		assert_string_equal(r->u.token.region, e->region);
		assert_int_equal(r->u.token.bytes, e->bytes);
		break;
	}
}

static void check_case(const struct golden_case *c, const char *dora, const uint8_t *body, size_t n,
		       const char *message, uint8_t codec)
{
	struct seen s;

	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 500, dora, 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.r[0].h.type, DP_REC_CONN_OPENED);
	assert_int_equal(s.r[0].h.t_ns, 500);
	assert_int_equal(s.r[0].u.conn.role, DP_ROLE_UNKNOWN);
	frame(&s, 1, c->direction, body, n);
	assert_int_equal(seen_losses(&s), 0);
	assert_int_equal(said_count(&s), c->count);
	for (size_t i = 0; i < c->count; i++) {
		check_record(said(&s, i), &c->e[i], c->role);
		if (c->e[i].type == DP_REC_WIRE_REGISTER) {
			assert_string_equal(said(&s, i)->u.reg.message_version, message);
			assert_int_equal(said(&s, i)->u.reg.codec, codec);
		}
	}
	/* The role is said once more, before the first record that shows it, and at the close. */
	if (c->role != DP_ROLE_UNKNOWN) {
		assert_int_equal(s.r[1].h.type, DP_REC_CONN_OPENED);
		assert_int_equal(s.r[1].u.conn.conn, 1);
		assert_int_equal(s.r[1].u.conn.role, c->role);
	}
	dp_wire_close(s.w, 1, 2000, 7, 11);
	assert_int_equal(s.r[s.count - 1].h.type, DP_REC_CONN_CLOSED);
	assert_int_equal(s.r[s.count - 1].h.t_ns, 2000);
	assert_int_equal(s.r[s.count - 1].h.tid, 11);
	assert_int_equal(s.r[s.count - 1].u.conn.role, c->role);
	assert_int_equal(seen_losses(&s), 0);
	seen_end(&s);
}

static void test_golden_bincode(void **state)
{
	static const char *const crates[] = {"dm0.5.0", "dm0.8.0"};
	static const char *const doras[] = {"0.3.12", "0.5.0"};
	uint8_t body[4096];

	(void)state;
	for (size_t v = 0; v < 2; v++) {
		for (size_t i = 0; i < DP_COUNT_OF(bincode_cases); i++) {
			char label[128];
			size_t n;

			snprintf(label, sizeof(label), "%s %s", crates[v], bincode_cases[i].label);
			n = golden(BINCODE, label, body, sizeof(body));
			check_case(&bincode_cases[i], doras[v], body, n, crates[v] + 2, 0);
		}
	}
}

static void test_golden_postcard(void **state)
{
	uint8_t body[4096];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(postcard_cases); i++) {
		size_t n = golden(POSTCARD, postcard_cases[i].label, body, sizeof(body));

		check_case(&postcard_cases[i], "1.1.0", body, n, "1.1.0", 1);
	}
}

/* No golden frame is left out: each label is in a table, or is a part of a frame. */
static void test_golden_complete(void **state)
{
	char label[128];
	uint8_t body[4096];
	size_t n;
	FILE *f = golden_open(BINCODE);

	(void)state;
	while (golden_next(f, label, sizeof(label), body, sizeof(body), &n)) {
		const char *name = strchr(label, ' ') + 1;
		int known = !strncmp(name, "uhlc", 4) || !strncmp(name, "DataType", 8) ||
			    !strcmp(name, "DropToken");

		for (size_t i = 0; i < DP_COUNT_OF(bincode_cases); i++)
			known |= !strcmp(name, bincode_cases[i].label);
		if (!known)
			fail_msg("golden frame without a test: %s", label);
	}
	fclose(f);
	f = golden_open(POSTCARD);
	while (golden_next(f, label, sizeof(label), body, sizeof(body), &n)) {
		int known = !strncmp(label, "uhlc", 4);

		for (size_t i = 0; i < DP_COUNT_OF(postcard_cases); i++)
			known |= !strcmp(label, postcard_cases[i].label);
		if (!known)
			fail_msg("golden frame without a test: %s", label);
	}
	fclose(f);
}

/* ---- streams of golden frames, cut differently ---------------------------------------------- */

static void test_any_split(void **state)
{
	static uint8_t stream[65536];

	(void)state;
	for (int variant = 0; variant < 4; variant++) {
		int postcard = variant & 1, direction = variant >> 1;
		const char *dora = postcard ? "1.1.0" : "0.5.0";
		size_t len = golden_stream(postcard, direction, stream, sizeof(stream));
		struct seen whole;
		uint64_t seed = 42;

		seen_begin(&whole);
		dp_wire_open(whole.w, 1, 7, 1, dora, 0);
		call(&whole, 1, direction, stream, len);
		assert_int_equal(seen_losses(&whole), 0);
		assert_true(whole.count > 5);
		/* Two calls, at every byte boundary. */
		for (size_t cut = 1; cut < len; cut++) {
			struct seen s;

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, dora, 0);
			call(&s, 1, direction, stream, cut);
			call(&s, 1, direction, stream + cut, len - cut);
			if (!same_records(&whole, &s) || seen_losses(&s))
				fail_msg("stream %d split at %zu differs", variant, cut);
			seen_end(&s);
		}
		/* Random calls in random pieces; round 0 byte by byte. */
		for (int round = 0; round < 200; round++) {
			struct seen s;

			seen_begin(&s);
			dp_wire_open(s.w, 1, 7, 1, dora, 0);
			for (size_t at = 0; at < len;) {
				size_t n = round ? 1 + next_random(&seed) % 300 : 1;
				size_t piece = round ? 1 + next_random(&seed) % 64 : 1;

				if (n > len - at)
					n = len - at;
				call_at(&s, 1, direction, 1000, 9, stream + at, n, n, piece);
				at += n;
			}
			if (!same_records(&whole, &s) || seen_losses(&s))
				fail_msg("stream %d, round %d differs", variant, round);
			seen_end(&s);
		}
		seen_end(&whole);
	}
}

/* Time and thread of a record are those of the call that completed the frame. */
static void test_time_of_frame(void **state)
{
	uint8_t body[512], len[8];
	size_t n = golden(BINCODE, "dm0.8.0 NextEvent[tok]", body, sizeof(body));
	struct seen s;

	(void)state;
	seen_begin(&s);
	dp_wire_open(s.w, 1, 7, 1, "0.5.0", 0);
	put_len(len, n);
	call_at(&s, 1, TO, 100, 21, len, 8, 8, 4096);
	call_at(&s, 1, TO, 200, 22, body, 20, 20, 4096);
	assert_int_equal(said_count(&s), 0);
	call_at(&s, 1, TO, 300, 23, body + 20, n - 20, n - 20, 4096);
	assert_int_equal(said_count(&s), 2);
	assert_int_equal(said(&s, 1)->h.t_ns, 300);
	assert_int_equal(said(&s, 1)->h.tid, 23);
	seen_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_bincode),  cmocka_unit_test(test_golden_postcard),
		cmocka_unit_test(test_golden_complete), cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_time_of_frame),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
