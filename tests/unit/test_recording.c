// SPDX-License-Identifier: MIT
/* Recordings: round trip, damage of every kind, and files that are not ours. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sense/recording.h"

static char dir[64];

static char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/dora-probe-test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
	return system(command);
}

/* A valid record of the type; `n` makes bodies differ. */
static void make(struct dp_record *r, unsigned int type, uint32_t n)
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

static int write_all_types(const char *path, unsigned int rounds)
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

static void test_round_trip(void **state)
{
	struct dp_record r, want;
	struct dp_replay *p;
	struct stat st;
	char why[128] = "";

	(void)state;
	/* 100 rounds are over 600 KB: records lie across every edge of the 64 KiB buffer. */
	assert_int_equal(write_all_types(in_dir("all"), 100), 0);
	assert_int_equal(stat(in_dir("all"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(dp_replay_open(in_dir("all"), &p, why, sizeof(why)), 0);
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int t = 1; t < DP_REC_COUNT; t++) {
			make(&want, t, i);
			assert_int_equal(dp_replay_next(p, &r), 1);
			assert_memory_equal(&r, &want, want.h.size);
		}
	}
	assert_int_equal(dp_replay_next(p, &r), 0);
	assert_int_equal(dp_replay_next(p, &r), 0);
	assert_int_equal(dp_replay_offset(p), (uint64_t)st.st_size);
	dp_replay_close(p);
}

/* What stood in memory behind a string's end does not get into the file. */
static void test_no_memory_leaks(void **state)
{
	struct dp_recorder *w;
	struct dp_replay *p;
	const char *strings_at;
	struct dp_record r;
	char why[128];

	(void)state;
	assert_int_equal(dp_recorder_open(in_dir("tails"), &w), 0);
	memset(&r, 'S', sizeof(r));
	dp_record_init(&r, DP_REC_SESSION, 1, 0, 0);
	strcpy(r.u.session.version, "0.1.0");
	r.u.session.kernel[0] = '\0';
	strcpy(r.u.session.targets, "camera");
	assert_int_equal(dp_recorder_write(w, &r), 0);
	memset(&r, 'S', sizeof(r));
	dp_record_init(&r, DP_REC_STACK, 2, 0, 0);
	r.u.stack.frame_count = 1;
	r.u.stack.comm[1] = r.u.stack.library[1] = r.u.stack.symbol[1] = '\0';
	r.u.stack.thread[1] = '\0';
	r.u.stack.took_gil_ns = 0;
	for (int i = 0; i < DP_FRAMES_MAX; i++)
		r.u.stack.frames[i].function[1] = r.u.stack.frames[i].file[1] = '\0';
	assert_int_equal(dp_recorder_write(w, &r), 0);
	assert_int_equal(dp_recorder_close(w), 0);

	assert_int_equal(dp_replay_open(in_dir("tails"), &p, why, sizeof(why)), 0);
	assert_int_equal(dp_replay_next(p, &r), 1);
	assert_string_equal(r.u.session.version, "0.1.0");
	assert_string_equal(r.u.session.targets, "camera");
	assert_null(memchr(&r.u.session, 'S', sizeof(r.u.session)));
	assert_int_equal(dp_replay_next(p, &r), 1);
	assert_string_equal(r.u.stack.frames[0].function, "S");
	strings_at = (const char *)&r + offsetof(struct dp_record, u.stack.comm);
	assert_null(memmem(strings_at, r.h.size - offsetof(struct dp_record, u.stack.comm),
			   "SSSSSSSSSSSSSSSSS", 17));
	assert_int_equal(r.u.stack.frames[1].function[0], '\0');
	dp_replay_close(p);
}

static void test_flush(void **state)
{
	struct dp_recorder *w;
	struct dp_record r;
	struct stat st;

	(void)state;
	assert_int_equal(dp_recorder_open(in_dir("flush"), &w), 0);
	make(&r, DP_REC_TICK, 1);
	assert_int_equal(dp_recorder_write(w, &r), 0);
	assert_int_equal(stat(in_dir("flush"), &st), 0);
	assert_int_equal(st.st_size, 16);
	assert_int_equal(dp_recorder_flush(w), 0);
	assert_int_equal(stat(in_dir("flush"), &st), 0);
	assert_int_equal(st.st_size, 16 + 32);
	assert_int_equal(dp_recorder_close(w), 0);
}

static void test_write_refuses(void **state)
{
	struct dp_recorder *w;
	struct dp_record r;

	(void)state;
	assert_int_equal(dp_recorder_open(in_dir("refuse"), &w), 0);
	make(&r, DP_REC_SESSION, 1);
	memset(r.u.session.kernel, 'k', sizeof(r.u.session.kernel));
	assert_int_equal(dp_recorder_write(w, &r), -EINVAL);
	make(&r, DP_REC_TICK, 1);
	assert_int_equal(dp_recorder_write(w, &r), 0);
	assert_int_equal(dp_recorder_close(w), 0);
	assert_int_equal(dp_recorder_close(NULL), 0);
	dp_replay_close(NULL);
}

/* A full disk is reported once and for all; /dev/full is no file to record into in the first place.
 */
static void test_write_error(void **state)
{
	struct dp_recorder *w;
	struct dp_record r;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000}) < 0 ||
		    dp_recorder_open(in_dir("limit"), &w) < 0)
			_exit(10);
		make(&r, DP_REC_STACK, 1);
		for (int i = 0; i < 1000; i++) {
			int err = dp_recorder_write(w, &r);

			if (err == -EFBIG)
				_exit(dp_recorder_write(w, &r) == -EFBIG &&
						      dp_recorder_close(w) == -EFBIG
					      ? 0
					      : 11);
			if (err)
				_exit(12);
		}
		_exit(13);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(dp_recorder_open("/dev/full", &w) < 0);
	assert_int_equal(dp_recorder_open("/nonexistent/dir/x", &w), -ENOENT);
}

static void put_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void expect_content(const char *path, const void *data, size_t len)
{
	char buf[256];
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), len);
	assert_memory_equal(buf, data, len);
	close(fd);
}

static void test_foreign_files(void **state)
{
	char link_path[160], target[160];
	struct dp_recorder *w, *second;
	struct stat st;

	(void)state;
	/* Another program's file, and an empty one, stay as they are. */
	put_file(in_dir("notes.txt"), "my thesis", 9);
	assert_int_equal(dp_recorder_open(in_dir("notes.txt"), &w), -EEXIST);
	expect_content(in_dir("notes.txt"), "my thesis", 9);
	put_file(in_dir("empty"), "", 0);
	assert_int_equal(dp_recorder_open(in_dir("empty"), &w), -EEXIST);
	/* Symbolic links: to a file, to a recording, to nothing. None is followed. */
	strcpy(target, in_dir("notes.txt"));
	strcpy(link_path, in_dir("link"));
	assert_int_equal(symlink(target, link_path), 0);
	assert_int_equal(dp_recorder_open(link_path, &w), -EEXIST);
	expect_content(target, "my thesis", 9);
	assert_int_equal(write_all_types(in_dir("rec"), 1), 0);
	assert_int_equal(stat(in_dir("rec"), &st), 0);
	strcpy(target, in_dir("rec"));
	unlink(link_path);
	assert_int_equal(symlink(target, link_path), 0);
	assert_int_equal(dp_recorder_open(link_path, &w), -EEXIST);
	unlink(link_path);
	assert_int_equal(symlink(in_dir("nothing"), link_path), 0);
	assert_int_equal(dp_recorder_open(link_path, &w), -EEXIST);
	assert_int_equal(access(in_dir("nothing"), F_OK), -1);
	/* A second name of a recording could be anybody's. */
	assert_int_equal(link(target, in_dir("hard")), 0);
	assert_int_equal(dp_recorder_open(target, &w), -EEXIST);
	assert_int_equal(unlink(in_dir("hard")), 0);
	/* Directories, FIFOs and devices. */
	assert_int_equal(dp_recorder_open(dir, &w), -EEXIST);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(dp_recorder_open(in_dir("fifo"), &w), -EEXIST);
	assert_int_equal(dp_recorder_open("/dev/null", &w), -EEXIST);
	/* A recording is written anew, private again, and not by two at once. */
	assert_int_equal(chmod(target, 0644), 0);
	assert_int_equal(dp_recorder_open(target, &w), 0);
	assert_int_equal(dp_recorder_open(target, &second), -EBUSY);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 16);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(dp_recorder_close(w), 0);
	assert_int_equal(dp_recorder_open(target, &w), 0);
	assert_int_equal(dp_recorder_close(w), 0);
}

/* A recording of somebody else is not overwritten even by root. */
static void test_foreign_owner(void **state)
{
	struct dp_recorder *w;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root to give a file away\n");
		skip();
	}
	assert_int_equal(write_all_types(in_dir("theirs"), 1), 0);
	assert_int_equal(chown(in_dir("theirs"), 65534, 65534), 0);
	assert_int_equal(dp_recorder_open(in_dir("theirs"), &w), -EEXIST);
}

/* ---- damage ------------------------------------------------------------------------------ */

struct image {
	int fd;
	char path[64];
	unsigned char *bytes;
	size_t len;
	size_t ends[DP_REC_COUNT]; /* offset behind each record */
};

static void make_image(struct image *im)
{
	size_t at = 16;
	struct stat st;
	int fd;

	assert_int_equal(write_all_types(in_dir("image"), 1), 0);
	fd = open(in_dir("image"), O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	im->len = (size_t)st.st_size;
	im->bytes = malloc(im->len);
	assert_non_null(im->bytes);
	assert_int_equal(read(fd, im->bytes, im->len), im->len);
	close(fd);
	unlink(in_dir("image"));
	im->fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(im->fd >= 0);
	assert_int_equal(write(im->fd, im->bytes, im->len), im->len);
	snprintf(im->path, sizeof(im->path), "/proc/self/fd/%d", im->fd);
	im->ends[0] = at;
	for (unsigned int t = 1; t < DP_REC_COUNT; t++)
		im->ends[t] = at += dp_record_size(t);
	assert_int_equal(at, im->len);
}

static void free_image(struct image *im)
{
	free(im->bytes);
	close(im->fd);
}

/* Reads to the end; the number of records, each of them checked, and the result. */
static unsigned int read_through(const char *path, int *ret_result)
{
	static struct dp_record r;
	struct dp_replay *p;
	unsigned int n = 0;
	char why[128] = "";

	*ret_result = dp_replay_open(path, &p, why, sizeof(why));
	if (*ret_result < 0) {
		assert_true(*why != '\0');
		return 0;
	}
	for (;;) {
		memset(&r, 0xAA, sizeof(r));
		*ret_result = dp_replay_next(p, &r);
		if (*ret_result != 1)
			break;
		assert_int_equal(dp_record_check(&r, r.h.size), 0);
		n++;
	}
	/* The damage sticks, and nothing of the damaged record was handed out. */
	if (*ret_result < 0) {
		assert_int_equal(r.h.type, 0xAAAA);
		assert_int_equal(dp_replay_next(p, &r), *ret_result);
	}
	dp_replay_close(p);
	return n;
}

static void test_truncation_at_every_byte(void **state)
{
	unsigned int whole = DP_REC_COUNT - 1;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (size_t len = im.len; len-- > 0;) {
		unsigned int n;

		assert_int_equal(ftruncate(im.fd, (off_t)len), 0);
		while (whole > 0 && im.ends[whole] > len)
			whole--;
		n = read_through(im.path, &result);
		assert_int_equal(n, len < 16 ? 0 : whole);
		assert_int_equal(result, len >= 16 && len == im.ends[whole] ? 0 : -EBADMSG);
	}
	free_image(&im);
}

/* Every bit of the headers and one bit of each other byte, at each place of the file. */
static void test_bit_flips(void **state)
{
	unsigned int type = 0, refused = 0;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (size_t at = 0; at < im.len; at++) {
		int header;

		while (type + 1 < DP_REC_COUNT && at >= im.ends[type])
			type++;
		header = at < 16 || at < im.ends[type - 1] + sizeof(struct dp_rec_hdr);
		for (unsigned int bit = 0; bit < 8; bit++) {
			unsigned char b = (unsigned char)(im.bytes[at] ^ 1u << bit);
			unsigned int n;

			if (!header && bit != at % 8)
				continue;
			assert_int_equal(pwrite(im.fd, &b, 1, (off_t)at), 1);
			n = read_through(im.path, &result);
			if (at < 16) {
				assert_int_equal(result, -EBADMSG);
				assert_int_equal(n, 0);
			}
			refused += result < 0;
		}
		assert_int_equal(pwrite(im.fd, &im.bytes[at], 1, (off_t)at), 1);
	}
	assert_true(refused > 16 * 8 + 4 * 8 * (DP_REC_COUNT - 1));
	assert_int_equal(read_through(im.path, &result), DP_REC_COUNT - 1);
	assert_int_equal(result, 0);
	free_image(&im);
}

/*
 * A recording from before a body grew: each record of a type that has grown is cut to its least size,
 * and what was cut off is read as 0. Shorter still is damage, and so is any cut of another type.
 */
static void test_older_recording(void **state)
{
	(void)state;
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		uint32_t whole = (uint32_t)dp_record_size(type);
		uint32_t least = (uint32_t)dp_record_least_size(type);
		struct image im;

		make_image(&im);
		for (uint32_t size = least; size >= sizeof(struct dp_rec_hdr) && size + 8 >= least;
		     size -= 8) {
			size_t begin = im.ends[type] - whole, n = im.len - im.ends[type];
			struct dp_record r;
			struct dp_replay *p;
			char why[128];

			assert_int_equal(ftruncate(im.fd, (off_t)(begin + size)), 0);
			assert_int_equal(pwrite(im.fd, &size, sizeof(size), (off_t)begin + 4), 4);
			assert_int_equal(
				pwrite(im.fd, im.bytes + im.ends[type], n, (off_t)(begin + size)),
				n);
			assert_int_equal(dp_replay_open(im.path, &p, why, sizeof(why)), 0);
			for (unsigned int t = 1; t < type; t++)
				assert_int_equal(dp_replay_next(p, &r), 1);
			assert_int_equal(dp_replay_next(p, &r), size == least ? 1 : -EBADMSG);
			for (uint32_t at = size; size == least && at < whole; at++)
				assert_int_equal(((unsigned char *)&r)[at], 0);
			if (size == least)
				assert_int_equal(r.h.size, whole);
			dp_replay_close(p);
		}
		free_image(&im);
	}
	assert_true(dp_record_least_size(DP_REC_OPTIONS) < dp_record_size(DP_REC_OPTIONS));
}

static void test_random_bytes(void **state)
{
	uint64_t rng = 1;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (int round = 0; round < 300; round++) {
		for (size_t at = 16; at < im.len; at += sizeof(rng)) {
			size_t n = im.len - at < sizeof(rng) ? im.len - at : sizeof(rng);

			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			/* The first half of the rounds keeps the record headers. */
			if (round % 2 || (at - 16) % 64 >= 32)
				assert_int_equal(pwrite(im.fd, &rng, n, (off_t)at), n);
		}
		read_through(im.path, &result);
	}
	free_image(&im);
}

static void test_open_refuses(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		const char *why;
	} rows[] = {
		{"none", "", 0, "too short"},
		{"text", "#!/bin/sh\necho hello\n", 21, "not a recording"},
		{"version", "dorarec\0\xff\0\0\0\x04\x03\x02\x01", 16, "format version 255"},
		{"order", "dorarec\0\0\0\0\x01\x01\x02\x03\x04", 16, "byte order"},
	};
	struct dp_replay *p = NULL;
	char why[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_file(in_dir(rows[i].name), rows[i].bytes, rows[i].len);
		assert_int_equal(dp_replay_open(in_dir(rows[i].name), &p, why, sizeof(why)),
				 -EBADMSG);
		assert_non_null(strstr(why, rows[i].why));
		assert_null(p);
	}
	assert_int_equal(dp_replay_open(in_dir("missing"), &p, why, sizeof(why)), -ENOENT);
	assert_int_equal(dp_replay_open(dir, &p, why, sizeof(why)), -EISDIR);
	assert_null(p);
}

/* ---- dp_record_check --------------------------------------------------------------------- */

#define STRING(t, f)                                                                               \
	{                                                                                          \
		DP_REC_##t, offsetof(struct dp_record, u.f), sizeof(((struct dp_record *)0)->u.f)  \
	}
static const struct {
	unsigned int type;
	size_t offset, size;
} strings[] = {
	STRING(SESSION, session.version),
	STRING(SESSION, session.kernel),
	STRING(SESSION, session.targets),
	STRING(NODE_FACTS, node.dataflow),
	STRING(NODE_FACTS, node.dataflow_name),
	STRING(NODE_FACTS, node.node),
	STRING(NODE_FACTS, node.python),
	STRING(NODE_FACTS, node.implementation),
	STRING(NODE_FACTS, node.dora),
	STRING(NODE_FACTS, node.reason),
	STRING(NODE_GONE, gone.reason),
	STRING(STACK, stack.comm),
	STRING(STACK, stack.library),
	STRING(STACK, stack.symbol),
	STRING(STACK, stack.frames[0].function),
	STRING(STACK, stack.frames[0].file),
	STRING(STACK, stack.frames[7].function),
	STRING(STACK, stack.frames[7].file),
	STRING(SOURCE_STATE, source.detail),
	STRING(TOKEN_SENT, token.region),
	STRING(TOKEN_SENT, token.id),
	STRING(TOKEN_DELIVERED, token.region),
	STRING(TOKEN_REPORTED, token.id),
	STRING(TOKEN_RETURNED, token.id),
	STRING(WIRE_EVENT, wire.id),
	STRING(WIRE_REQUEST, wire.id),
	STRING(WIRE_REGISTER, reg.dataflow),
	STRING(WIRE_REGISTER, reg.node),
	STRING(WIRE_REGISTER, reg.message_version),
	STRING(REGION, region.name),
	STRING(STOP_COMMAND, stop_command.target),
	STRING(ACTION_RESULT, action.reason),
};

#define ENUM(t, f, bad)                                                                            \
	{                                                                                          \
		DP_REC_##t, offsetof(struct dp_record, u.f), sizeof(((struct dp_record *)0)->u.f), \
			bad                                                                        \
	}
/* The first value that is not allowed any more. */
static const struct {
	unsigned int type;
	size_t offset, size;
	uint32_t bad;
} enums[] = {
	ENUM(OPTIONS, options.shutdown, DP_SHUTDOWN_COUNT),
	ENUM(OPTIONS, options.nudge_signal, 65),
	ENUM(NODE_FACTS, node.transport, DP_TRANSPORT_COUNT),
	ENUM(NODE_FACTS, node.gil_count, DP_MAX_GILS + 1),
	ENUM(GIL_LOOK, look.gil, DP_MAX_GILS),
	ENUM(GIL_LOOK, look.locked, 3),
	ENUM(GIL_WAIT_BEGIN, wait.gil, DP_MAX_GILS),
	ENUM(GIL_WAIT_END, wait.gil, DP_MAX_GILS),
	ENUM(GIL_RELEASE, gil_span.gil, DP_MAX_GILS),
	ENUM(GIL_EDGE_HOLD, gil_span.gil, DP_MAX_GILS),
	ENUM(GIL_OFFCPU, gil_span.gil, DP_MAX_GILS),
	ENUM(GIL_RUN, gil_span.gil, DP_MAX_GILS),
	ENUM(STACK, stack.frame_count, DP_FRAMES_MAX + 1),
	ENUM(SOURCE_STATE, source.source, DP_SOURCE_COUNT),
	ENUM(WIRE_EVENT, wire.kind, DP_WIRE_KIND_COUNT),
	ENUM(WIRE_REQUEST, wire.role, DP_ROLE_CONTROL + 1),
	ENUM(CONN_OPENED, conn.role, DP_ROLE_CONTROL + 1),
	ENUM(CONN_CLOSED, conn.role, DP_ROLE_CONTROL + 1),
	ENUM(REGION, region.kind, DP_REGION_KIND_COUNT),
	ENUM(SIGNAL, signal.kind, DP_SIGNAL_HANDLED + 1),
	ENUM(SIGNAL, signal.signal, 65),
	ENUM(SIGNAL, signal.disposition, DP_SIGDISP_CAUGHT + 1),
	ENUM(ACTION_RESULT, action.action, DP_ACTION_COUNT),
	ENUM(ACTION_RESULT, action.result, DP_RESULT_COUNT),
	ENUM(LOSS, loss.reason, DP_LOSS_COUNT),
};

static void test_check(void **state)
{
	struct dp_record r;

	(void)state;
	for (unsigned int t = 1; t < DP_REC_COUNT; t++) {
		make(&r, t, 3);
		assert_int_equal(dp_record_check(&r, r.h.size), 0);
		assert_int_equal(dp_record_check(&r, r.h.size - 1), -EBADMSG);
		assert_int_equal(dp_record_check(&r, sizeof(r.h) - 1), -EBADMSG);
		r.h.size++;
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
	}
	make(&r, DP_REC_TICK, 1);
	r.h.type = DP_REC_COUNT;
	assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
	r.h.type = DP_REC_NONE;
	r.h.size = 0;
	assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		make(&r, strings[i].type, 1);
		memset((char *)&r + strings[i].offset, 'x', strings[i].size);
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
		((char *)&r)[strings[i].offset + strings[i].size - 1] = '\0';
		assert_int_equal(dp_record_check(&r, sizeof(r)), 0);
	}
	for (size_t i = 0; i < sizeof(enums) / sizeof(enums[0]); i++) {
		uint32_t v = enums[i].bad;

		make(&r, enums[i].type, 1);
		memcpy((char *)&r + enums[i].offset, &v, enums[i].size);
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
		v--;
		memcpy((char *)&r + enums[i].offset, &v, enums[i].size);
		assert_int_equal(dp_record_check(&r, sizeof(r)), 0);
		memset((char *)&r + enums[i].offset, 0xFF, enums[i].size);
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_memory_leaks),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_write_refuses),
		cmocka_unit_test(test_write_error),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_foreign_owner),
		cmocka_unit_test(test_truncation_at_every_byte),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_older_recording),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
