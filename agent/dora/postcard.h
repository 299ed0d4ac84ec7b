/* SPDX-License-Identifier: MIT */
/*
 * postcard 1.1.3: integers and enum indexes are LEB128 varints (signed ones zigzag), lengths too, floats
 * and ids raw; and the structs of dora-message 1.1.0's metadata.rs on top of it.
 */
#ifndef DORA_PROBE_DORA_POSTCARD_H
#define DORA_PROBE_DORA_POSTCARD_H

#include "dora/cursor.h"

/* Bytes of a timestamp: a varint of one to ten, and the 16 of uhlc 0.9's id. */
#define DP_POSTCARD_TIMESTAMP_MIN 17
#define DP_POSTCARD_TIMESTAMP_MAX 26
/* … of one taken between 1970 and 2038: seconds in the upper half of 64 bits. */
#define DP_POSTCARD_TIMESTAMP_NOW 25

/*
 * A varint of at most `bits` bits. Like postcard: at most ceil(bits / 7) bytes, and the last of
 * them must not carry more than the bits that are left; other over-long forms are accepted.
 */
uint64_t dp_postcard_varint(struct dp_cursor *c, unsigned int bits);
/* String and Vec<u8>. A slice that lies in a hole has p == NULL. */
struct dp_slice dp_postcard_bytes(struct dp_cursor *c);
void dp_postcard_skip_bytes(struct dp_cursor *c);
/* The count of a sequence whose elements take at least `least` bytes each; one that cannot fit is refused. */
uint64_t dp_postcard_count(struct dp_cursor *c, size_t least);
/* A timestamp; one at the end of a cut frame counts as read. */
void dp_postcard_skip_timestamp(struct dp_cursor *c);
void dp_postcard_skip_metadata(struct dp_cursor *c);
/* Option<DataMessage>; Vec is the only variant. */
void dp_postcard_skip_data(struct dp_cursor *c);

#endif
