/* SPDX-License-Identifier: MIT */
/*
 * A recording: the merged record stream in a file. Layout: 16-byte magic and version header, then
 * each record as its header and body, as in memory (little endian, sizes checked on reading).
 */
#ifndef DORA_PROBE_RECORDING_H
#define DORA_PROBE_RECORDING_H

#include <stddef.h>

#include "dora_probe/record.h"

struct dp_recorder;
/*
 * Creates the file 0600, never through a symbolic link. 0 or -errno; -EEXIST: there is a file that is
 * not a recording of this user, it is left alone; -EBUSY: another probe is writing to it.
 */
int dp_recorder_open(const char *path, struct dp_recorder **ret);
/*
 * 0 or -errno of the write; after the first failure nothing more is written. Records are buffered,
 * 64 KiB at most; bytes behind the end of a string are written as zeros, whatever memory held.
 * -EINVAL, and nothing written, for what dp_record_check refuses.
 */
int dp_recorder_write(struct dp_recorder *r, const struct dp_record *rec);
/* Hands what is buffered to the kernel, so that a crash of the agent costs less. 0 or -errno. */
int dp_recorder_flush(struct dp_recorder *r);
/* Flushes and closes; 0 or the first error. */
int dp_recorder_close(struct dp_recorder *r);

struct dp_replay;
#define DP_RECORDING_MAGIC "dorarec" /* 8 bytes with its NUL, then two u32: version, byte order */
#define DP_RECORDING_ORDER 0x01020304u

/* 0; -EBADMSG not a recording or of an unknown version (`why` says which); other -errno. */
int dp_replay_open(const char *path, struct dp_replay **ret, char *why, size_t why_len);
/* 1 and the next checked record; 0 end; -EBADMSG damaged here (what follows is not read). */
int dp_replay_next(struct dp_replay *r, struct dp_record *ret);
/* Bytes read of the file up to the end of the last record that was handed out. */
uint64_t dp_replay_offset(const struct dp_replay *r);
void dp_replay_close(struct dp_replay *r);

#endif
