/* SPDX-License-Identifier: MIT */
/*
 * bincode 1.3.3 as its free functions write it (little endian, fixed-width integers, trailing bytes
 * refused), and the structs of dora-message's metadata.rs on top of it, dora 0.3.6 to 0.5.0.
 */
#ifndef DORA_PROBE_DORA_BINCODE_H
#define DORA_PROBE_DORA_BINCODE_H

#include "dora/cursor.h"

/* Nesting of DataType and of ArrowTypeInfo::child_data that is followed. */
#define DP_ARROW_DEPTH_MAX 32
/* uhlc 0.5.2: u64 NTP64 time, u128 id. */
#define DP_BINCODE_TIMESTAMP 24

/* String and Vec<u8>: u64 length, bytes. A slice that lies in a hole has p == NULL. */
struct dp_slice dp_bincode_bytes(struct dp_cursor *c);
void dp_bincode_skip_bytes(struct dp_cursor *c);
/* Uuid (DropToken, DataflowId): u64 16, then the bytes. NULL on failure. */
const uint8_t *dp_bincode_uuid(struct dp_cursor *c);
/*
 * Reads the count of a sequence whose elements take at least `least` bytes each; a count that
 * cannot fit into what is left is refused, so that no loop runs longer than the frame is.
 */
uint64_t dp_bincode_count(struct dp_cursor *c, size_t least);
/* Walks over a Metadata. An arrow type that is not in the table gives DP_CUR_UNKNOWN. */
void dp_bincode_skip_metadata(struct dp_cursor *c);
/* Walks over an arrow DataType (arrow-schema 52 to 54). */
void dp_bincode_skip_data_type(struct dp_cursor *c, unsigned int depth);

#endif
