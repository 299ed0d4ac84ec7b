/* SPDX-License-Identifier: MIT */
/*
 * From bytes on a node's daemon connections to records. One decoder for all watched nodes: it
 * reassembles the stream of each (connection, direction), cuts it into frames (u64 LE length +
 * body), and reads bodies by the codec of the node's dora version: bincode 0.3.6–0.5.0, postcard
 * 1.0+. Bytes are never trusted: any input is survived, memory is bounded, each loss counted.
 *
 * Formats: dora's libraries/message/src (node_to_daemon.rs, daemon_to_node.rs, metadata.rs).
 *
 * What comes out, in the frame's order, with the time and tid of the call that completed the frame:
 *   - each event of a NextEvents is one record: TOKEN_DELIVERED when it carries a token, else a
 *     WIRE_EVENT whose count is the number of events in that reply;
 *   - a NextEvent request is a WIRE_REQUEST and then a TOKEN_REPORTED per token; ReportDropTokens
 *     the same with the kind OTHER_REQUEST; a message sent is a TOKEN_SENT or a WIRE_REQUEST;
 *   - CONN_OPENED comes when the connection begins, its role unknown, and once more when a frame
 *     shows the role; CONN_CLOSED has the role known by then;
 *   - DP_F_CUT marks a record of a frame that could not be read to its end. A token found by the
 *     end of a cut batch has no id.
 * The sequence number of the records is left 0.
 */
#ifndef DORA_PROBE_WIRE_H
#define DORA_PROBE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "dora_probe/capture.h"
#include "dora_probe/record.h"

struct dp_wire;

struct dp_wire_sink {
	void (*record)(void *ctx, const struct dp_record *r);
	void (*loss)(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns);
	void *ctx;
};

struct dp_wire *dp_wire_new(const struct dp_wire_sink *sink);
void dp_wire_free(struct dp_wire *w);

/*
 * A connection begins: seen at connect (`attached` 0) or found open in /proc (`attached` 1: the
 * decoder starts at the next frame boundary, which a call of exactly 8 bytes with a small length
 * shows, since every dora version reads 8 bytes and then the body). `dora` is the node's version
 * text or "" (then the Register frame or the first frame's shape decides the codec).
 */
void dp_wire_open(struct dp_wire *w, uint64_t conn, uint32_t pid, uint64_t t_ns, const char *dora,
		  int attached);

/*
 * The same for one that was seen at connect and may be anybody's: until a frame of dora's has passed on it, what cannot
 * be read is no loss but shows that it is not dora's, and nothing more of it is read.
 */
void dp_wire_try(struct dp_wire *w, uint64_t conn, uint32_t pid, uint64_t t_ns, const char *dora);

/*
 * One capture of bytes: `d` as in capture.h, `bytes` d->copied of them, header fields of the
 * capture. A piece that was cut is skipped exactly: the stream goes on behind it.
 */
void dp_wire_data(struct dp_wire *w, const struct dp_capture *h, const struct dp_sock_data *d,
		  const uint8_t *bytes);

/*
 * The connection ended; a frame cut in two by the end is counted, not guessed. The sink may close it while it is told
 * a record of it: what that capture still holds is not read.
 */
void dp_wire_close(struct dp_wire *w, uint64_t conn, uint64_t t_ns, uint32_t pid, uint32_t tid);

/* Captures of this connection are known to be missing: resynchronise at the next boundary. */
void dp_wire_lost(struct dp_wire *w, uint64_t conn, uint64_t t_ns);

#endif
