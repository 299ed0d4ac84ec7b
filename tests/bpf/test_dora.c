// SPDX-License-Identifier: MIT
/*
 * A real dataflow of two Python nodes under `dora run`: what the kernel hands over of their sockets
 * must be whole frames, and what it says of their regions must add up. Needs a virtual environment
 * with dora-rs and dora-rs-cli below 1.0 in DORA_PROBE_TEST_DORA.
 */
#include "bpf_test.h"

#include <dirent.h>
#include <sys/stat.h>

static const char dataflow[] = "nodes:\n"
			       "  - id: send\n"
			       "    path: sender.py\n"
			       "    inputs:\n"
			       "      tick: dora/timer/millis/20\n"
			       "    outputs:\n"
			       "      - data\n"
			       "  - id: recv\n"
			       "    path: receiver.py\n"
			       "    inputs:\n"
			       "      data: send/data\n";

/* Sizes on both sides of 4096 bytes, from where on a message goes through shared memory. */
static const char sender[] =
	"import pyarrow as pa\n"
	"from dora import Node\n"
	"node = Node()\n"
	"n = 0\n"
	"for event in node:\n"
	"    if event['type'] == 'STOP': break\n"
	"    n += 1\n"
	"    size = 65536 if n % 2 else 2000\n"
	"    node.send_output('data', pa.array([n % 250] * size, pa.uint8()))\n"
	"    if n == 60: break\n";

/* What it does not take in time, dora leaves out: it says itself how many it got by shared memory. */
static const char receiver[] =
	"from dora import Node\n"
	"node = Node()\n"
	"got = 0\n"
	"for event in node:\n"
	"    if event['type'] == 'STOP': break\n"
	"    if event['type'] == 'INPUT': got += len(event['value']) > 4096\n"
	"print(got, file=open('got', 'w'))\n";

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static unsigned int number_in(const char *dir, const char *name)
{
	char path[512];
	unsigned int n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	fclose(f);
	return n;
}

/* A node of the dataflow in `dir`; others may be running on this machine. */
static int is_node(pid_t pid, const char *dir)
{
	static char env[1 << 17];
	char path[64], cwd[512] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	if (readlink(path, cwd, sizeof(cwd) - 1) < 0 || strcmp(cwd, dir))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, env, sizeof(env) - 1);
	close(fd);
	return n > 0 && memmem(env, (size_t)n, "DORA_NODE_CONFIG=", 17) != NULL;
}

struct stream {
	uint64_t conn;
	int direction;
	pid_t pid;
	unsigned char *bytes;
	size_t used;
};

#define STREAMS 64

/* Puts the pieces together. Returns the number of streams; fails on any hole. */
static int streams_of(struct session *s, struct stream *ret)
{
	const struct dp_capture *h = NULL;
	int n = 0;

	while ((h = next_capture(s, h, DP_CAP_SOCK_DATA, 0))) {
		const struct dp_sock_data *d = body(h);
		int i;

		for (i = 0; i < n; i++)
			if (ret[i].conn == d->conn && ret[i].direction == d->direction)
				break;
		if (i == n) {
			assert_true(++n <= STREAMS);
			ret[i] = (struct stream){.conn = d->conn,
						 .direction = d->direction,
						 .pid = (pid_t)h->pid,
						 .bytes = malloc(MAX_LOG / 8)};
		}
		assert_int_equal(h->flags, 0);
		memcpy(ret[i].bytes + ret[i].used, d + 1, d->copied);
		ret[i].used += d->copied;
	}
	return n;
}

/* Frames of a stream: u64 length and body. Fails if it does not end at the end of one. */
static unsigned int frames_of(const struct stream *st, unsigned int kinds[16])
{
	size_t at = 0;
	unsigned int n = 0;

	while (at < st->used) {
		uint64_t len;
		uint32_t kind;

		assert_true(at + 8 <= st->used);
		memcpy(&len, st->bytes + at, 8);
		at += 8;
		assert_true(len >= 4 && at + len <= st->used);
		memcpy(&kind, st->bytes + at, 4);
		assert_true(kind < 16);
		kinds[kind]++;
		at += len;
		n++;
	}
	return n;
}

static void test_dataflow(void **state)
{
	const char *forced = getenv("DORA_PROBE_SOURCES");
	const char *venv = getenv("DORA_PROBE_TEST_DORA");
	struct stream streams[STREAMS];
	struct session *s = *state;
	const struct dp_capture *h = NULL;
	char dir[] = "/tmp/dora-probe-test-XXXXXX", dora[512], path[4096], file[600];
	unsigned int requests[16] = {0}, replies[16] = {0}, regions[DP_REGION_KIND_COUNT] = {0};
	unsigned int frames = 0, connects = 0, nodes = 0, got;
	pid_t pid, node[32];
	int n, status;

	if (!venv)
		skip_because("DORA_PROBE_TEST_DORA names no environment with dora");
	assert_non_null(mkdtemp(dir));
	put(dir, "dataflow.yml", dataflow);
	put(dir, "sender.py", sender);
	put(dir, "receiver.py", receiver);
	snprintf(dora, sizeof(dora), "%s/bin/dora", venv);
	snprintf(path, sizeof(path), "%s/bin:%s", venv, getenv("PATH"));
	drain(s);
	s->used = 0;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct sched_param normal = {0};
		int null = open("/dev/null", O_RDWR);

		/* Two nodes and a daemon are not for real-time priority. */
		sched_setscheduler(0, SCHED_OTHER, &normal);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		setenv("PATH", path, 1);
		if (chdir(dir))
			_exit(126);
		execl(dora, "dora", "run", "dataflow.yml", NULL);
		_exit(127);
	}
	/* Every EXEC is looked at, as the agent does: a node has its configuration from then on. */
	while (!waitpid(pid, &status, WNOHANG)) {
		size_t before = s->used;
		struct pollfd p = {.fd = dp_bpf_fd(s->bpf), .events = POLLIN};

		poll(&p, 1, 20);
		drain(s);
		h = NULL;
		while ((h = next_capture(s, h, DP_CAP_EXEC, 0))) {
			struct dp_target w = {.watch_sockets = 1};

			if ((size_t)((const unsigned char *)h - s->log) < before ||
			    !is_node((pid_t)h->pid, dir))
				continue;
			/* One that was started through `env` execs twice, its helpers inherit. */
			for (n = 0; n < (int)nodes && node[n] != (pid_t)h->pid; n++)
				;
			assert_int_equal(dp_bpf_watch(s->bpf, (pid_t)h->pid, &w), 0);
			assert_true(n < 32);
			if (n == (int)nodes)
				node[nodes++] = (pid_t)h->pid;
		}
	}
	assert_int_equal(status, 0);
	drain(s);
	got = number_in(dir, "got");
	h = NULL;
	while ((h = next_capture(s, h, DP_CAP_SOCK_CONNECT, 0)))
		connects++;
	/* events, events-close, drop and control of each node. */
	assert_int_equal(connects, 8);
	n = streams_of(s, streams);
	for (int i = 0; i < n; i++) {
		frames += frames_of(&streams[i],
				    streams[i].direction == DP_TO_DAEMON ? requests : replies);
		free(streams[i].bytes);
	}
	/* DaemonRequest: 0 Register, 2 SendMessage, 4 OutputsDone, 7 SubscribeDrop. */
	assert_int_equal(requests[0], 8);
	assert_int_equal(requests[2], 60);
	assert_int_equal(requests[4], 2);
	assert_int_equal(requests[7], 2);
	assert_true(requests[5] >= 30 && replies[2] >= 30);
	h = NULL;
	while ((h = next_capture(s, h, DP_CAP_REGION, 0)))
		regions[((const struct dp_region_op *)body(h))->kind]++;
	/* Every region made is unlinked; every one mapped, by either side, is unmapped. */
	assert_true(regions[DP_REGION_CREATED] >= 1);
	/* Where system calls are not traced, none is told. */
	if (regions[DP_REGION_UNLINKED] || (forced && !strcmp(forced, "syscalls")))
		assert_int_equal(regions[DP_REGION_CREATED], regions[DP_REGION_UNLINKED]);
	assert_int_equal(regions[DP_REGION_UNMAPPED],
			 regions[DP_REGION_CREATED] + regions[DP_REGION_MAPPED]);
	assert_true(got >= 1);
	assert_int_equal(regions[DP_REGION_MAPPED], got);
	print_message("    %u frames, %u regions made, %u mapped\n", frames,
		      regions[DP_REGION_CREATED], regions[DP_REGION_MAPPED]);
	assert_int_equal(s->gaps, 0);
	for (unsigned int i = 0; i < nodes; i++)
		dp_bpf_unwatch(s->bpf, node[i]);
	snprintf(file, sizeof(file), "rm -rf %s", dir);
	assert_int_equal(system(file), 0);
}

static int start(void **state)
{
	struct dp_bpf_options o = {.trace_all_exec = 1};

	return session_start_with(state, &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dataflow),
	};

	return cmocka_run_group_tests(tests, start, session_stop);
}
