// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of the wire decoder. The input is a program: each byte chooses an operation on
 * one of two connections, the bytes behind it are its data. What must hold, whatever comes: no
 * fault, every record is one that the model may eat, and no more records than bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dora/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t records;

static void on_record(void *ctx, const struct dp_record *r)
{
	(void)ctx;
	if (dp_record_check(r, r->h.size) != 0)
		abort();
	records++;
}

static void on_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	(void)ctx;
	(void)pid;
	(void)t_ns;
	if (reason >= DP_LOSS_COUNT || count == 0)
		abort();
}

/* The next n bytes as one call: exact memory, so that reading beyond them is seen. */
static void call(struct dp_wire *w, uint64_t conn, int direction, const uint8_t *p, size_t n,
		 size_t total, size_t offset, int last)
{
	struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = 1, .pid = 7, .tid = 7};
	struct dp_sock_data d = {
		.conn = conn,
		.total = (uint32_t)total,
		.offset = (uint32_t)offset,
		.copied = (uint32_t)n,
		.direction = (uint8_t)direction,
		.last = last ? 1 : 0,
	};
	uint8_t *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	if (n)
		memcpy(exact, p, n);
	dp_wire_data(w, &h, &d, exact);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const doras[] = {"", "0.5.0", "1.1.0", "1.0.0-rc.4"};
	struct dp_wire_sink sink = {on_record, on_loss, NULL};
	struct dp_wire *w = dp_wire_new(&sink);
	uint64_t conn = 1;

	if (!w || size == 0)
		goto cleanup;
	records = 0;
	dp_wire_open(w, 1, 7, 1, doras[data[0] & 3], data[0] >> 2 & 1);
	dp_wire_open(w, 2, 7, 1, doras[data[0] >> 3 & 3], data[0] >> 5 & 1);
	for (size_t at = 1; at < size;) {
		uint8_t op = data[at++];
		size_t left = size - at, n = left;
		int direction = op & 1;
		uint8_t len[8] = {0};

		conn = 1 + (op >> 1 & 1);
		switch (op >> 2 & 7) {
		case 0: /* a frame with a right length, 8 bytes and then the body */
		case 1:
		case 2: /* … in one call */
			n = left && left > data[at] ? data[at] : left;
			len[0] = (uint8_t)n;
			if ((op >> 2 & 7) == 2 && n >= 2) {
				uint8_t both[8 + 256];

				memcpy(both, len, 8);
				memcpy(both + 8, data + at, n);
				call(w, conn, direction, both, 8 + n, 8 + n, 0, 1);
			} else {
				call(w, conn, direction, len, 8, 8, 0, 1);
				call(w, conn, direction, data + at, n, n, 0, 1);
			}
			break;
		case 3: /* raw bytes */
			n = op >> 5 ? (size_t)(op >> 5) : left;
			if (n > left)
				n = left;
			call(w, conn, direction, data + at, n, n, 0, 1);
			break;
		case 4: /* a piece with a hole behind it, before it, or with a contradiction */
			n = left > 2 ? 2 + data[at] % (left - 1) : left;
			if (n > left)
				n = left;
			call(w, conn, direction, data + at, n, n + (op >> 5) * 40u, 0, op >> 7);
			break;
		case 5:
			n = left && left > data[at] ? data[at] : left;
			call(w, conn, direction, data + at, n, n + 30, (op >> 5) * 11u, op >> 7);
			break;
		case 6:
			n = 0;
			dp_wire_lost(w, conn, 1);
			break;
		case 7:
			n = 0;
			dp_wire_close(w, conn, 1, 7, 7);
			dp_wire_open(w, conn, 7, 1, doras[op >> 5 & 3], op >> 7);
			break;
		}
		at += n;
	}
	if (records > 4 * size + 8)
		abort();
cleanup:
	dp_wire_free(w);
	return 0;
}
