/* SPDX-License-Identifier: MIT */
/* What the tests of recordings share: a folder, and a recording with a record of every type. */
#ifndef DORA_PROBE_RECORDING_SUPPORT_H
#define DORA_PROBE_RECORDING_SUPPORT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sense/recording.h"

static char dir[64];

static inline char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/dora-probe-test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
	return system(command);
}

/* A valid record of the type; `n` makes bodies differ. */
static inline void make(struct dp_record *r, unsigned int type, uint32_t n)
{
	memset(r, 0, sizeof(*r));
	dp_record_init(r, (enum dp_record_type)type, 1000 + n, 10 + n, 20 + n);
	r->h.seq = n;
	switch (type) {
	case DP_REC_SESSION:
		snprintf(r->u.session.targets, sizeof(r->u.session.targets), "node-%u", n);
		break;
	case DP_REC_NODE_FACTS:
		snprintf(r->u.node.node, sizeof(r->u.node.node), "node-%u", n);
		memset(r->u.node.reason, 'r', sizeof(r->u.node.reason) - 1);
		break;
	case DP_REC_STACK:
		r->u.stack.frame_count = DP_FRAMES_MAX;
		for (int i = 0; i < DP_FRAMES_MAX; i++)
			snprintf(r->u.stack.frames[i].function, DP_FUNCTION_MAX, "f%u", n);
		break;
	case DP_REC_TOKEN_SENT:
		memset(r->u.token.token, (int)n, DP_TOKEN_LEN);
		r->u.token.bytes = n;
		break;
	case DP_REC_GIL_LOOK:
		r->u.look.notheld_ns = n;
		break;
	}
}

static inline int write_all_types(const char *path, unsigned int rounds)
{
	struct dp_recorder *w;
	struct dp_record r;
	int err = dp_recorder_open(path, &w);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int t = 1; t < DP_REC_COUNT; t++) {
			make(&r, t, i);
			assert_int_equal(dp_recorder_write(w, &r), 0);
		}
	}
	return dp_recorder_close(w);
}

static inline void put_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

#endif
