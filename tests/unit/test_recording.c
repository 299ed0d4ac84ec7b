// SPDX-License-Identifier: MIT
/* Recordings: round trip, what cannot be written, files that are not ours. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "recording_support.h"
#include "base/array.h"
#include "skipping.h"

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
	r.u.stack.took_gil_ns = r.u.stack.polled_ns = 0;
	r.u.stack.library_from = r.u.stack.library_to = 0;
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
	if (geteuid() != 0)
		skip_because("only root gives a file away");
	assert_int_equal(write_all_types(in_dir("theirs"), 1), 0);
	assert_int_equal(chown(in_dir("theirs"), 65534, 65534), 0);
	assert_int_equal(dp_recorder_open(in_dir("theirs"), &w), -EEXIST);
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
	for (size_t i = 0; i < DP_COUNT_OF(strings); i++) {
		make(&r, strings[i].type, 1);
		memset((char *)&r + strings[i].offset, 'x', strings[i].size);
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
		((char *)&r)[strings[i].offset + strings[i].size - 1] = '\0';
		assert_int_equal(dp_record_check(&r, sizeof(r)), 0);
	}
	for (size_t i = 0; i < DP_COUNT_OF(enums); i++) {
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
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_no_memory_leaks),
		cmocka_unit_test(test_flush),         cmocka_unit_test(test_write_refuses),
		cmocka_unit_test(test_write_error),   cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_foreign_owner), cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
