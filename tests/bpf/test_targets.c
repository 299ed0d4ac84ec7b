// SPDX-License-Identifier: MIT
/* What the watched processes do with the kernel's maps: entries that found no room are losses. */
#include "bpf_test.h"

#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "dora/wire.h"
#include "sense/targets.h"

#define OTHERS 1000000 /* process ids from here on are nobody's */

/* Small tables: to fill one takes a system call or more an entry, 60 us each on an emulated machine. */
#define SOCKETS 64u
#define REGIONS 128u

static int start(void **state)
{
	struct dp_bpf_options o = {.sockets_max = SOCKETS, .regions_max = REGIONS};

	return session_start_with(state, &o);
}

struct told {
	unsigned int map_full, others; /* of the process, and of any other or other kind */
	unsigned int facts;
	pid_t pid;
};

static void on_record(void *ctx, const struct dp_record *r)
{
	struct told *told = ctx;

	if (r->h.type == DP_REC_NODE_FACTS)
		told->facts++;
	if (r->h.type != DP_REC_LOSS)
		return;
	if (r->u.loss.reason == DP_LOSS_MAP_FULL && r->h.pid == (uint32_t)told->pid)
		told->map_full += (unsigned int)r->u.loss.count;
	else
		told->others++;
}

static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	print_error("%s\n", sentence);
}

static void wire_record(void *ctx, const struct dp_record *r)
{
	(void)ctx;
	(void)r;
}

static void wire_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	(void)ctx;
	(void)pid;
	(void)reason;
	(void)count;
	(void)t_ns;
}

struct watched {
	struct dp_targets *targets;
	struct dp_wire *wire;
	struct told told;
};

/* Takes the process up by --pid. */
static void watch(struct session *s, struct watched *w, pid_t pid)
{
	struct dp_wire_sink wire = {.record = wire_record, .loss = wire_loss};
	struct dp_targets_sink sink = {.record = on_record, .say = say, .ctx = &w->told};
	struct dp_wanted wanted = {.pids = {.count = 1, .pid = {pid}}};

	w->told = (struct told){.pid = pid};
	w->wire = dp_wire_new(&wire);
	assert_non_null(w->wire);
	w->targets = dp_targets_new(&wanted, s->bpf, w->wire, &sink);
	assert_non_null(w->targets);
	assert_int_equal(dp_targets_scan(w->targets), 1);
	/* A dora process is told again once its connection has proven it the node. */
	assert_in_range(w->told.facts, 1, 2);
}

static void unwatch(struct watched *w, pid_t pid)
{
	dp_targets_exit(w->targets, pid, now_ns());
	dp_targets_free(w->targets);
	dp_wire_free(w->wire);
}

static void python(struct child *c, const char *program)
{
	const char *const argv[] = {"/usr/bin/python3", "-S", "-c", program, NULL};
	char line[64];

	child_start(c, argv);
	child_line(c, line, sizeof(line));
}

#define WAITS "import sys; print('ready', flush=True); sys.stdin.read()"

static void test_a_process_without_room_is_a_loss_and_tried_again(void **state)
{
	struct session *s = *state;
	struct dp_target nothing = {0};
	struct watched w;
	struct child c;

	python(&c, WAITS);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		assert_int_equal(dp_bpf_watch(s->bpf, OTHERS + i, &nothing), 0);
	watch(s, &w, c.pid);
	assert_int_equal(w.told.map_full, 1);
	/* A second later it is tried again, in vain: no second loss. */
	dp_targets_tick(w.targets, now_ns() + 1100 * MS);
	assert_int_equal(w.told.map_full, 1);
	assert_int_equal(w.told.others, 0);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		dp_bpf_unwatch(s->bpf, OTHERS + i);
	dp_targets_tick(w.targets, now_ns() + 2300 * MS);
	/* Now it is in: the table has room for all but one. */
	for (int i = 0; i < DP_MAX_TARGETS - 1; i++)
		assert_int_equal(dp_bpf_watch(s->bpf, OTHERS + i, &nothing), 0);
	assert_true(dp_bpf_watch(s->bpf, OTHERS + DP_MAX_TARGETS, &nothing) < 0);
	for (int i = 0; i < DP_MAX_TARGETS - 1; i++)
		dp_bpf_unwatch(s->bpf, OTHERS + i);
	unwatch(&w, c.pid);
	child_end(&c);
}

/* A listener as the daemon's; its port. */
static uint16_t listener(int *ret_fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(*ret_fd, 4), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

/* A node with one connection to its daemon and one mapped region. */
static void test_a_connection_and_a_region_without_room_are_losses(void **state)
{
	struct session *s = *state;
	struct watched w;
	struct child c;
	char config[512], program[512];
	int fd;
	unsigned int filled = 0;
	uint16_t port = listener(&fd);

	snprintf(config, sizeof(config),
		 "dataflow_id: 00112233-4455-6677-8899-aabbccddeeff\nnode_id: full\n"
		 "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:%u\n",
		 port);
	snprintf(program, sizeof(program),
		 "import socket, mmap, os\n"
		 "f = os.open('/dev/shm/shmem_dp_test_targets', os.O_RDWR | os.O_CREAT)\n"
		 "os.ftruncate(f, 4096)\n"
		 "m = mmap.mmap(f, 4096)\n"
		 "os.unlink('/dev/shm/shmem_dp_test_targets')\n"
		 "s = socket.create_connection(('127.0.0.1', %u))\n" WAITS,
		 port);
	setenv("DORA_NODE_CONFIG", config, 1);
	python(&c, program);
	unsetenv("DORA_NODE_CONFIG");

	watch(s, &w, c.pid);
	assert_int_equal(w.told.map_full, 0);
	unwatch(&w, c.pid);

	while (filled <= SOCKETS &&
	       dp_bpf_mark_socket(s->bpf, OTHERS, (int)filled, 1u + filled) == 0)
		filled++;
	assert_int_equal(filled, SOCKETS);
	watch(s, &w, c.pid);
	assert_int_equal(w.told.map_full, 1);
	assert_int_equal(w.told.others, 0);
	unwatch(&w, c.pid);

	filled = 0;
	while (filled <= REGIONS &&
	       dp_bpf_mark_region(s->bpf, OTHERS, (uint64_t)filled << 12, "shmem_x") == 0)
		filled++;
	assert_int_equal(filled, REGIONS);
	watch(s, &w, c.pid);
	assert_int_equal(w.told.map_full, 2);
	assert_int_equal(w.told.others, 0);
	unwatch(&w, c.pid);
	child_end(&c);
	close(fd);
}

#define ANSWERS                                                                                    \
	"import sys, time\nprint('ready', flush=True)\nfor line in sys.stdin:\n"                   \
	"  end = time.monotonic() + float(line)\n  while time.monotonic() < end: pass\n"           \
	"  print('done', flush=True)"

/* What the sampler goes by to leave out a look: it stands still for who sleeps, and rises for who runs, or has run. */
static void test_whether_it_has_run(void **state)
{
	struct session *s = *state;
	struct dp_target nothing = {0};
	uint32_t mark = 0;
	unsigned int runs = 0;
	struct child c;
	char line[16];

	python(&c, ANSWERS);
	assert_int_equal(dp_bpf_watch(s->bpf, c.pid, &nothing), 0);
	/* It may be on its way into the read yet. */
	usleep(200000);
	dp_bpf_has_run(s->bpf, c.pid, &mark);
	usleep(200000);
	assert_false(dp_bpf_has_run(s->bpf, c.pid, &mark));
	child_tell(&c, "0");
	child_line(&c, line, sizeof(line));
	assert_true(dp_bpf_has_run(s->bpf, c.pid, &mark));
	/* For half a second on a CPU, which it need not leave once: the clock finds it there all the same. */
	child_tell(&c, "0.5");
	usleep(50000);
	for (int i = 0; i < 8; i++) {
		usleep(50000);
		runs += dp_bpf_has_run(s->bpf, c.pid, &mark);
	}
	assert_in_range(runs, 6, 8);
	/* Without a kernel side nobody knows. */
	assert_true(dp_bpf_has_run(NULL, c.pid, &mark));
	child_line(&c, line, sizeof(line));
	dp_bpf_unwatch(s->bpf, c.pid);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whether_it_has_run),
		cmocka_unit_test(test_a_process_without_room_is_a_loss_and_tried_again),
		cmocka_unit_test(test_a_connection_and_a_region_without_room_are_losses),
	};

	return cmocka_run_group_tests(tests, start, session_stop);
}
