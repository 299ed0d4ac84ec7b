/* SPDX-License-Identifier: MIT */
/* The golden frames as one stream, for the tests that cut it. */
#ifndef DORA_PROBE_WIRE_GOLDEN_H
#define DORA_PROBE_WIRE_GOLDEN_H

#include "base/array.h"
#include "wire_support.h"

#define BINCODE  "bincode-0.3-0.5.txt"
#define POSTCARD "postcard-1.x.txt"

static const uint8_t token_d0[16] = {0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7,
				     0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf};

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

/* All golden frames of one direction as one stream of bytes. Returns its length. */
static inline size_t golden_stream(int postcard, int direction, uint8_t *out, size_t cap)
{
	const struct golden_case *c = postcard ? postcard_cases : bincode_cases;
	size_t count = postcard ? DP_COUNT_OF(postcard_cases) : DP_COUNT_OF(bincode_cases);
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

#endif
