// SPDX-License-Identifier: MIT
/*
 * What the decoder costs per message: the frames of one 64 KiB message between two nodes, as the
 * kernel would hand them over, again and again. Prints ns per frame and per message.
 *
 *   bench_wire [messages]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dora/wire.h"

/* dora-message 0.8.0's own bytes (tests/unit/golden): SendMessage with shared memory and no params
 */
static const char send_hex[] =
	"0200000004000000000000006461746100008877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10060000"
	"00"
	"050000000000000000000000000000000000000000000000000100000000000000000000000000000088130000"
	"0000"
	"0000000000000000000000000000000000000"
	"1010000000d000000000000002f73686d656d5f41424344454688130000000000001000000000000000d0d1d2d"
	"3d4d5"
	"d6d7d8d9dadbdcdddedf8877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10";
static const char stamp_hex[] = "8877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10";
static const char token_hex[] = "1000000000000000d0d1d2d3d4d5d6d7d8d9dadbdcdddedf";

static uint64_t records, losses;

static void on_record(void *ctx, const struct dp_record *r)
{
	(void)ctx;
	(void)r;
	records++;
}

static void on_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	(void)ctx;
	(void)pid;
	(void)reason;
	(void)t_ns;
	losses += count;
}

static size_t unhex(uint8_t *out, const char *s)
{
	size_t n = 0;
	unsigned int v;

	for (; s[0] && s[1] && sscanf(s, "%2x", &v) == 1; s += 2)
		out[n++] = (uint8_t)v;
	return n;
}

static void call(struct dp_wire *w, uint64_t conn, int direction, const uint8_t *p, size_t n)
{
	struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = 1, .pid = 7, .tid = 7};
	struct dp_sock_data d = {
		.conn = conn,
		.total = (uint32_t)n,
		.copied = (uint32_t)n,
		.direction = (uint8_t)direction,
		.last = 1,
	};

	dp_wire_data(w, &h, &d, p);
}

static void frame(struct dp_wire *w, uint64_t conn, int direction, const uint8_t *body, size_t n)
{
	uint8_t len[8] = {(uint8_t)n, (uint8_t)(n >> 8)};

	call(w, conn, direction, len, 8);
	call(w, conn, direction, body, n);
}

int main(int argc, char **argv)
{
	long messages = argc > 1 ? atol(argv[1]) : 1000000;
	struct dp_wire_sink sink = {on_record, on_loss, NULL};
	struct dp_wire *w = dp_wire_new(&sink);
	uint8_t send[512], next[512] = {5, 0, 0, 0, 1}, poll[64] = {8}, drop[512] = {3};
	uint8_t events[512] = {2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0};
	size_t send_len, next_len, poll_len, drop_len, events_len;
	struct timespec a, b;
	double ns;

	if (!w || messages <= 0)
		return 1;
	send_len = unhex(send, send_hex);
	events_len = 16 + send_len - 4; /* Input has the layout of SendMessage */
	memcpy(events + 16, send + 4, send_len - 4);
	next_len = 12 + unhex(next + 12, token_hex);
	next_len += unhex(next + next_len, stamp_hex);
	poll_len = 4 + unhex(poll + 4, stamp_hex);
	drop[4] = 1;
	drop_len = 16 + unhex(drop + 16, token_hex);
	drop_len += unhex(drop + drop_len, stamp_hex);
	for (uint64_t conn = 1; conn <= 3; conn++)
		dp_wire_open(w, conn, 7, 1, "0.5.0", 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (long i = 0; i < messages; i++) {
		frame(w, 1, DP_TO_DAEMON, send, send_len);
		frame(w, 2, DP_FROM_DAEMON, events, events_len);
		frame(w, 2, DP_TO_DAEMON, next, next_len);
		frame(w, 3, DP_TO_DAEMON, poll, poll_len);
		frame(w, 3, DP_FROM_DAEMON, drop, drop_len);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
	printf("%ld messages, %llu records, %llu losses: %.0f ns a message, %.0f ns a frame, "
	       "%.2f %% of a core at 12000 messages/s\n",
	       messages, (unsigned long long)records, (unsigned long long)losses,
	       ns / (double)messages, ns / (double)messages / 5,
	       ns / (double)messages * 12000 / 1e7);
	dp_wire_free(w);
	/* Each message: sent, delivered, the request and its token, the request, returned. */
	return losses || records != 6 * (uint64_t)messages + 2 * 3;
}
