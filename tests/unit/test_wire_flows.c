// SPDX-License-Identifier: MIT
/*
 * The wire decoder against the calls of real dataflows (golden/calls-*.txt, made by
 * tests/tools/strace_to_calls.py).
 */
#include "wire_golden.h"
#include "base/array.h"

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
	for (size_t i = 0; i < DP_COUNT_OF(flows); i++) {
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
		cmocka_unit_test(test_real_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
