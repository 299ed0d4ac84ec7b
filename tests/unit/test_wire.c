// SPDX-License-Identifier: MIT
/*
 * The wire decoder against frames that the real dora-message crates wrote (golden/bincode-*.txt,
 * postcard-*.txt) and against the calls of real dataflows (golden/calls-*.txt, made by
 * tests/tools/strace_to_calls.py).
 */
#include "wire_support.h"

#define BINCODE  "bincode-0.3-0.5.txt"
#define POSTCARD "postcard-1.x.txt"

static const uint8_t token_d0[16] = {0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7,
				     0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf};

/* ---- every golden frame, field by field ---------------------------------------------------- */

struct expect {
	enum dp_record_type type;
	enum dp_wire_kind kind; /* WIRE_* */
	uint32_t count;
	const char *id;
	const char *region; /* tokens */
	uint64_t bytes;
};

struct golden_case {
	const char *label;
	int direction;
	enum dp_conn_role role;
	size_t count;
	struct expect e[4];
};

/* clang-format off */
#define REQ(k, n, i)    { DP_REC_WIRE_REQUEST, DP_WIRE_##k, n, i, NULL, 0 }
#define EVT(k, n, i)    { DP_REC_WIRE_EVENT, DP_WIRE_##k, n, i, NULL, 0 }
#define TOK(k, i, r, b) { DP_REC_TOKEN_##k, DP_WIRE_NONE, 0, i, r, b }
#define TO   DP_TO_DAEMON
#define FROM DP_FROM_DAEMON

static const struct golden_case bincode_cases[] = {
	{"Register", TO, DP_ROLE_UNKNOWN, 1, {{DP_REC_WIRE_REGISTER, 0, 0, "recv", NULL, 0}}},
	{"Subscribe", TO, DP_ROLE_EVENTS, 1, {REQ(SUBSCRIBE, 0, "")}},
	{"NextEvent[]", TO, DP_ROLE_EVENTS, 1, {REQ(NEXT_EVENT, 0, "")}},
	{"NextEvent[tok]", TO, DP_ROLE_EVENTS, 2, {REQ(NEXT_EVENT, 1, ""), TOK(REPORTED, "", "", 0)}},
	{"ReportDropTokens[tok]", TO, DP_ROLE_EVENTS, 2, {REQ(OTHER_REQUEST, 1, ""), TOK(REPORTED, "", "", 0)}},
	{"SubscribeDrop", TO, DP_ROLE_DROP, 1, {REQ(SUBSCRIBE_DROP, 0, "")}},
	{"NextFinishedDropTokens", TO, DP_ROLE_DROP, 1, {REQ(NEXT_DROP, 0, "")}},
	{"EventStreamDropped", TO, DP_ROLE_EVENTS_CLOSE, 1, {REQ(EVENT_STREAM_DROPPED, 0, "")}},
	{"OutputsDone", TO, DP_ROLE_CONTROL, 1, {REQ(OUTPUTS_DONE, 0, "")}},
	{"CloseOutputs[data]", TO, DP_ROLE_CONTROL, 1, {REQ(CLOSE_OUTPUTS, 1, "data")}},
	{"NodeConfig", TO, DP_ROLE_UNKNOWN, 1, {REQ(OTHER_REQUEST, 0, "recv")}},
	{"SendMessage shm UInt8 noparams", TO, DP_ROLE_CONTROL, 1, {TOK(SENT, "data", "shmem_ABCDEF", 5000)}},
	{"SendMessage shm UInt8 params", TO, DP_ROLE_CONTROL, 1, {TOK(SENT, "data", "shmem_ABCDEF", 5000)}},
	{"SendMessage None", TO, DP_ROLE_CONTROL, 1, {REQ(SEND_MESSAGE, 0, "data")}},
	{"SendMessage Vec[1,2,3]", TO, DP_ROLE_CONTROL, 1, {REQ(SEND_MESSAGE, 0, "data")}},
	{"Reply Result Ok", FROM, DP_ROLE_UNKNOWN, 1, {EVT(RESULT_OK, 0, "")}},
	{"Reply Result Err(no)", FROM, DP_ROLE_UNKNOWN, 1, {EVT(RESULT_ERR, 0, "")}},
	{"Reply NextEvents[]", FROM, DP_ROLE_EVENTS, 1, {EVT(EVENTS_END, 0, "")}},
	{"Reply NextEvents[Stop]", FROM, DP_ROLE_EVENTS, 1, {EVT(STOP, 1, "")}},
	{"Reply NextEvents[AllInputsClosed]", FROM, DP_ROLE_EVENTS, 1, {EVT(ALL_INPUTS_CLOSED, 1, "")}},
	{"Reply NextEvents[InputClosed data]", FROM, DP_ROLE_EVENTS, 1, {EVT(INPUT_CLOSED, 1, "data")}},
	{"Reply NextEvents[Input shm, Stop]", FROM, DP_ROLE_EVENTS, 2, {TOK(DELIVERED, "data", "shmem_ABCDEF", 5000), EVT(STOP, 2, "")}},
	{"Reply NextEvents[Reload None]", FROM, DP_ROLE_EVENTS, 1, {EVT(RELOAD, 1, "")}},
	{"Reply NextDropEvents[tok]", FROM, DP_ROLE_DROP, 1, {TOK(RETURNED, "", "", 0)}},
	{"Reply NextDropEvents[]", FROM, DP_ROLE_DROP, 1, {EVT(DROPS_END, 0, "")}},
	{"DaemonReply::Empty", FROM, DP_ROLE_UNKNOWN, 0, {{0}}},
};

static const struct golden_case postcard_cases[] = {
	{"Register", TO, DP_ROLE_UNKNOWN, 1, {{DP_REC_WIRE_REGISTER, 0, 0, "recv", NULL, 0}}},
	{"Subscribe", TO, DP_ROLE_EVENTS, 1, {REQ(SUBSCRIBE, 0, "")}},
	{"NextEvent", TO, DP_ROLE_EVENTS, 1, {REQ(NEXT_EVENT, 0, "")}},
	{"EventStreamDropped", TO, DP_ROLE_EVENTS_CLOSE, 1, {REQ(EVENT_STREAM_DROPPED, 0, "")}},
	{"OutputsDone", TO, DP_ROLE_CONTROL, 1, {REQ(OUTPUTS_DONE, 0, "")}},
	{"CloseOutputs[data]", TO, DP_ROLE_CONTROL, 1, {REQ(CLOSE_OUTPUTS, 1, "data")}},
	{"OutputSent", TO, DP_ROLE_CONTROL, 1, {REQ(SEND_MESSAGE, 0, "data")}},
	{"Reply Ok", FROM, DP_ROLE_UNKNOWN, 1, {EVT(RESULT_OK, 0, "")}},
	{"Reply Err", FROM, DP_ROLE_UNKNOWN, 1, {EVT(RESULT_ERR, 0, "")}},
	{"NextEvents[]", FROM, DP_ROLE_EVENTS, 1, {EVT(EVENTS_END, 0, "")}},
	{"NextEvents[Stop]", FROM, DP_ROLE_EVENTS, 1, {EVT(STOP, 1, "")}},
	{"NextEvents[AllInputsClosed]", FROM, DP_ROLE_EVENTS, 1, {EVT(ALL_INPUTS_CLOSED, 1, "")}},
};

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
		for (size_t i = 0; i < sizeof(bincode_cases) / sizeof(bincode_cases[0]); i++) {
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
	for (size_t i = 0; i < sizeof(postcard_cases) / sizeof(postcard_cases[0]); i++) {
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

		for (size_t i = 0; i < sizeof(bincode_cases) / sizeof(bincode_cases[0]); i++)
			known |= !strcmp(name, bincode_cases[i].label);
		if (!known)
			fail_msg("golden frame without a test: %s", label);
	}
	fclose(f);
	f = golden_open(POSTCARD);
	while (golden_next(f, label, sizeof(label), body, sizeof(body), &n)) {
		int known = !strncmp(label, "uhlc", 4);

		for (size_t i = 0; i < sizeof(postcard_cases) / sizeof(postcard_cases[0]); i++)
			known |= !strcmp(label, postcard_cases[i].label);
		if (!known)
			fail_msg("golden frame without a test: %s", label);
	}
	fclose(f);
}

/* ---- streams of golden frames, cut differently ---------------------------------------------- */

/* All golden frames of one direction as one stream of bytes. Returns its length. */
static size_t golden_stream(int postcard, int direction, uint8_t *out, size_t cap)
{
	const struct golden_case *c = postcard ? postcard_cases : bincode_cases;
	size_t count =
		postcard ? sizeof(postcard_cases) / sizeof(*c) : sizeof(bincode_cases) / sizeof(*c);
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		char label[128];
		size_t n;

		if (c[i].direction != direction)
			continue;
		snprintf(label, sizeof(label), "%s%s", postcard ? "" : "dm0.8.0 ", c[i].label);
		n = golden(postcard ? POSTCARD : BINCODE, label, out + at + 8, cap - at - 8);
		put_len(out + at, n);
		at += 8 + n;
	}
	return at;
}

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
	for (size_t i = 0; i < sizeof(bincode_cases) / sizeof(bincode_cases[0]); i++) {
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
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
	for (size_t i = 0; i < sizeof(bincode_cases) / sizeof(bincode_cases[0]); i++) {
		char label[128];

		snprintf(label, sizeof(label), "dm0.8.0 %s", bincode_cases[i].label);
		if (bincode_cases[i].count)
			codec_case("", BINCODE, label, bincode_cases[i].direction,
				   bincode_cases[i].count);
	}
	for (size_t i = 0; i < sizeof(postcard_cases) / sizeof(postcard_cases[0]); i++)
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

/* ---- real dataflows ---------------------------------------------------------------------------
 */

struct flow {
	size_t registers, sent, delivered, reported, returned, inputs, stops, ends, drops_ends;
	size_t inline_sent, all_closed, opened, closed, by_role[DP_ROLE_CONTROL + 1];
};

static void count_flow(const struct seen *s, struct flow *f)
{
	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < s->count; i++) {
		const struct dp_record *r = &s->r[i];

		switch (r->h.type) {
		case DP_REC_WIRE_REGISTER:
			f->registers++;
			break;
		case DP_REC_TOKEN_SENT:
			f->sent++;
			break;
		case DP_REC_TOKEN_DELIVERED:
			f->delivered++;
			break;
		case DP_REC_TOKEN_REPORTED:
			f->reported++;
			break;
		case DP_REC_TOKEN_RETURNED:
			f->returned++;
			break;
		case DP_REC_CONN_OPENED:
			f->opened++;
			break;
		case DP_REC_CONN_CLOSED:
			f->closed++;
			f->by_role[r->u.conn.role]++;
			break;
		default:
			f->inputs += r->u.wire.kind == DP_WIRE_INPUT;
			f->stops += r->u.wire.kind == DP_WIRE_STOP;
			f->ends += r->u.wire.kind == DP_WIRE_EVENTS_END;
			f->drops_ends += r->u.wire.kind == DP_WIRE_DROPS_END;
			f->inline_sent += r->u.wire.kind == DP_WIRE_SEND_MESSAGE;
			f->all_closed += r->u.wire.kind == DP_WIRE_ALL_INPUTS_CLOSED;
			break;
		}
	}
}

/* Feeds the calls of a golden file. split: every call as pieces of so many bytes. */
static void replay_calls(struct seen *s, const char *file, const char *dora, size_t split)
{
	static char line[200000];
	static uint8_t bytes[100000];
	uint8_t known[64] = {0};
	uint64_t t = 0;
	FILE *f = golden_open(file);

	while (fgets(line, sizeof(line), f)) {
		unsigned int conn, tid;
		char way[8];
		int at;
		size_t n;

		assert_int_equal(sscanf(line, "%u %7s %u %n", &conn, way, &tid, &at), 3);
		assert_true(conn < sizeof(known));
		t++;
		if (!known[conn]) {
			dp_wire_open(s->w, conn, 7, t, dora, 0);
			known[conn] = 1;
		}
		if (strcmp(way, "close") == 0) {
			dp_wire_close(s->w, conn, t, 7, tid);
			continue;
		}
		n = unhex(line + at, bytes, sizeof(bytes));
		call_at(s, conn, strcmp(way, "from") == 0, t, tid, bytes, n, n, split);
	}
	fclose(f);
}

static const struct dp_record *find_token(const struct seen *s, enum dp_record_type type,
					  const uint8_t *token)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->r[i].h.type == type && !memcmp(s->r[i].u.token.token, token, 16))
			return &s->r[i];
	return NULL;
}

/*
 * Every token of the flow: sent, delivered, reported, returned, in that order, as one message.
 * Returns how many were never reported.
 */
static size_t check_tokens(const struct seen *s)
{
	size_t abandoned = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct dp_record *sent = &s->r[i], *got, *reported, *returned;

		if (sent->h.type != DP_REC_TOKEN_SENT)
			continue;
		assert_memory_equal(sent->u.token.region, "shmem_", 6);
		assert_string_equal(sent->u.token.id, "data");
		assert_int_equal(sent->u.token.bytes, 65536);
		assert_int_equal(sent->u.token.token[6] >> 4, 7); /* UUIDv7 */
		got = find_token(s, DP_REC_TOKEN_DELIVERED, sent->u.token.token);
		reported = find_token(s, DP_REC_TOKEN_REPORTED, sent->u.token.token);
		returned = find_token(s, DP_REC_TOKEN_RETURNED, sent->u.token.token);
		assert_non_null(got);
		assert_string_equal(got->u.token.region, sent->u.token.region);
		assert_string_equal(got->u.token.id, "data");
		assert_int_equal(got->u.token.bytes, 65536);
		assert_true(sent->h.t_ns < got->h.t_ns);
		if (!reported) {
			assert_null(returned);
			abandoned++;
			continue;
		}
		assert_non_null(returned);
		assert_true(got->h.t_ns < reported->h.t_ns);
		assert_true(reported->h.t_ns < returned->h.t_ns);
	}
	return abandoned;
}

static void test_real_flows(void **state)
{
	static const struct {
		const char *file, *dora;
		int tokens; /* five messages with, ten without */
		/* The receiver kept its last array beyond the node object: never reported. */
		size_t abandoned;
		int stop, postcard;
	} flows[] = {
		{"calls-tcp-0.3.12.txt", "0.3.12", 1, 1, 0, 0},
		{"calls-unix-0.3.12.txt", "0.3.12", 1, 0, 0, 0},
		{"calls-tcp-0.4.1.txt", "0.4.1", 1, 0, 0, 0},
		{"calls-tcp-0.5.0.txt", "0.5.0", 1, 0, 0, 0},
		{"calls-tcp-1.1.0.txt", "1.1.0", 0, 0, 0, 1},
		{"calls-stop-0.5.0.txt", "0.5.0", 0, 0, 1, 0},
		{"calls-stop-1.1.0.txt", "1.1.0", 0, 0, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		size_t conns = flows[i].postcard ? 6 : 8;
		struct seen s, blind, pieces;
		struct flow f;

		seen_begin(&s);
		replay_calls(&s, flows[i].file, flows[i].dora, DP_SOCK_PIECE_MAX);
		assert_int_equal(seen_losses(&s), 0);
		count_flow(&s, &f);
		assert_int_equal(f.registers, conns);
		assert_int_equal(f.closed, conns);
		assert_int_equal(f.by_role[DP_ROLE_EVENTS], 2);
		assert_int_equal(f.by_role[DP_ROLE_EVENTS_CLOSE], 2);
		assert_int_equal(f.by_role[DP_ROLE_CONTROL], 2);
		assert_int_equal(f.by_role[DP_ROLE_DROP], flows[i].postcard ? 0 : 2);
		if (flows[i].tokens) {
			assert_int_equal(f.sent, 5);
			assert_int_equal(f.delivered, 5);
			assert_int_equal(f.reported, 5 - flows[i].abandoned);
			assert_int_equal(f.returned, f.reported);
			assert_int_equal(f.inline_sent, 10);
			assert_true(f.inputs >= 15); /* ten inline messages, five ticks */
			assert_int_equal(f.drops_ends, 2);
			assert_int_equal(check_tokens(&s), flows[i].abandoned);
		}
		assert_int_equal(f.stops, flows[i].stop ? 2 : 0);
		if (!flows[i].stop)
			assert_true(f.ends >= 1);
		/* Without the version the frames tell the codec; bytes one by one say the same. */
		seen_begin(&blind);
		replay_calls(&blind, flows[i].file, "", DP_SOCK_PIECE_MAX);
		assert_int_equal(seen_losses(&blind), 0);
		assert_true(same_records(&s, &blind));
		seen_begin(&pieces);
		replay_calls(&pieces, flows[i].file, flows[i].dora, 1);
		assert_true(same_records(&s, &pieces));
		seen_end(&pieces);
		seen_end(&blind);
		seen_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_bincode),
		cmocka_unit_test(test_golden_postcard),
		cmocka_unit_test(test_golden_complete),
		cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_time_of_frame),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_token_behind_hole),
		cmocka_unit_test(test_cut_flag),
		cmocka_unit_test(test_imitation),
		cmocka_unit_test(test_missing_piece),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_silent_loss),
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_codec_stays),
		cmocka_unit_test(test_json_reply),
		cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_long_batch),
		cmocka_unit_test(test_long_payload),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_real_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
