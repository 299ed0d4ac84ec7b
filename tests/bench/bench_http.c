// SPDX-License-Identifier: MIT
/*
 * What a scrape costs, and what clients can do to the loop that the warnings come from. All on
 * loopback, all counts and times bounded. Exits 1 when a bound of the table below is missed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"
#include "sim_robot.h"

#define NODES          50
#define MAX_SCRAPE_MS  5.0
#define MAX_WIRE_BYTES (256.0 * 1024)
#define MAX_DELAY_MS   100.0
#define MAX_GROWTH_B   0.0
#define MAX_RSS_KIB    64.0 /* pages of buffers that are touched for the first time */
#define SCRAPES        10000
#define SCRAPERS       200
#define HALF_OPEN      10000
#define LOOP_PERIOD_NS 5000000

struct bench {
	struct robot *robot;
	struct dp_http *http;
	int ep, timer;
	uint64_t due_ns;   /* of the loop's own timer */
	uint64_t worst_ns; /* that it was handled late, without what the scheduler took */
	uint64_t worst_wall_ns;
	uint64_t queued_ns; /* run_delay when it was last handled */
	FILE *schedstat;
	int failed;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void verdict(struct bench *b, const char *what, double v, const char *unit, double bound)
{
	int ok = v <= bound;

	printf("%-62s %10.2f %-4s (at most %.0f) %s\n", what, v, unit, bound, ok ? "ok" : "MISSED");
	b->failed |= !ok;
}

/* ---- the agent's loop ------------------------------------------------------------------- */

/*
 * Nanoseconds that this process waited for a CPU (second field of /proc/PID/schedstat): other work
 * of the machine, the clients of this benchmark among it, is not the endpoint's doing.
 */
static uint64_t queued_ns(struct bench *b)
{
	unsigned long long ran, queued = 0;

	rewind(b->schedstat);
	if (fflush(b->schedstat) || fscanf(b->schedstat, "%llu %llu", &ran, &queued) != 2)
		die("schedstat");
	return queued;
}

static void loop_init(struct bench *b)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct itimerspec t = {.it_interval = {.tv_nsec = LOOP_PERIOD_NS},
			       .it_value = {.tv_nsec = LOOP_PERIOD_NS}};

	b->ep = epoll_create1(EPOLL_CLOEXEC);
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	b->schedstat = fopen("/proc/self/schedstat", "re");
	if (b->ep < 0 || b->timer < 0 || !b->schedstat)
		die("loop");
	ev.data.fd = b->timer;
	epoll_ctl(b->ep, EPOLL_CTL_ADD, b->timer, &ev);
	ev.data.fd = dp_http_fd(b->http);
	epoll_ctl(b->ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
	b->queued_ns = queued_ns(b);
	b->due_ns = now_ns() + LOOP_PERIOD_NS;
	timerfd_settime(b->timer, 0, &t, NULL);
}

/*
 * One turn. The endpoint goes first, which is the worst order for a warning. The timer stands for
 * the warning: how late it is handled is the delay that the endpoint can cause.
 */
static void loop_turn(struct bench *b)
{
	struct epoll_event ev[2];
	uint64_t ticks, late, queued, lost;
	int n = epoll_wait(b->ep, ev, 2, 50), due = 0;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == b->timer)
			due = 1;
		else
			dp_http_run(b->http);
	}
	if (due && read(b->timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
		late = now_ns() - b->due_ns;
		queued = queued_ns(b);
		lost = queued - b->queued_ns;
		b->queued_ns = queued;
		if (late > b->worst_wall_ns)
			b->worst_wall_ns = late;
		if (late > lost && late - lost > b->worst_ns)
			b->worst_ns = late - lost;
		b->due_ns += ticks * LOOP_PERIOD_NS;
	}
}

/* Turns the loop until child `pid` has ended; its exit status. */
static int loop_until_exit(struct bench *b, pid_t pid)
{
	int status = 0;

	b->worst_ns = b->worst_wall_ns = 0;
	while (waitpid(pid, &status, WNOHANG) == 0)
		loop_turn(b);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- clients, in processes of their own ------------------------------------------------- */

static const char *const requests[] = {
	"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	"Accept: application/openmetrics-text;version=1.0.0\r\n\r\n",
	"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	"Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n\r\n",
};
static const char *const request_names[] = {"text", "OpenMetrics", "OpenMetrics, gzip"};

static int dial(uint16_t port, uint32_t from, int flags)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in me = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	me.sin_addr.s_addr = htonl(from);
	if (fd < 0)
		return -1;
	/* The port is chosen at connect, per destination: more connections than bind would allow.
	 */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&me, sizeof(me)) ||
	    (connect(fd, (struct sockaddr *)&a, sizeof(a)) && errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Bytes of the answer, 0 when it was refused or broken. */
static size_t scrape(uint16_t port, const char *request, uint32_t from)
{
	static char buf[1 << 20];
	int fd = dial(port, from, 0), ok = 0;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
		close(fd);
		return 0;
	}
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (!len)
			ok = n > 12 && memcmp(buf + 9, "200", 3) == 0;
		len += (size_t)n;
	}
	close(fd);
	return ok && n == 0 ? len : 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median and worst time of scrapes that are all made anew; results through a pipe. */
struct timing {
	double median_ms, worst_ms, bytes;
};

static void child_timing(uint16_t port, const char *request, int out)
{
	enum { N = 12 };
	struct timing t = {0};
	double ms[N];

	for (int i = 0; i < N; i++) {
		uint64_t begin;

		usleep(DP_HTTP_CACHE_NS / 1000 + 20000);
		begin = now_ns();
		t.bytes = (double)scrape(port, request, INADDR_LOOPBACK);
		ms[i] = (double)(now_ns() - begin) / 1e6;
	}
	qsort(ms, N, sizeof(ms[0]), by_value);
	t.median_ms = ms[N / 2];
	t.worst_ms = ms[N - 1];
	_exit(write(out, &t, sizeof(t)) == sizeof(t) && t.bytes > 0 ? 0 : 1);
}

static void child_many(uint16_t port)
{
	for (int i = 0; i < SCRAPES; i++)
		if (!scrape(port, requests[i % 3], INADDR_LOOPBACK))
			_exit(1);
	_exit(0);
}

/* SCRAPERS connections at a time for three seconds, each read to its end and opened again. */
static void child_crowd(uint16_t port)
{
	struct pollfd p[SCRAPERS];
	uint64_t end = now_ns() + 3000000000ULL;
	unsigned long whole = 0, refused = 0, got[SCRAPERS] = {0};
	static char buf[1 << 18];

	for (int i = 0; i < SCRAPERS; i++)
		p[i].fd = -1;
	while (now_ns() < end) {
		for (int i = 0; i < SCRAPERS; i++) {
			if (p[i].fd >= 0)
				continue;
			p[i] = (struct pollfd){.fd = dial(port, INADDR_LOOPBACK, 0),
					       .events = POLLIN};
			got[i] = 0;
			if (p[i].fd >= 0)
				send(p[i].fd, requests[i % 3], strlen(requests[i % 3]),
				     MSG_NOSIGNAL);
		}
		poll(p, SCRAPERS, 100);
		for (int i = 0; i < SCRAPERS; i++) {
			ssize_t n;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			n = recv(p[i].fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (n > 0) {
				got[i] += (unsigned long)n;
				continue;
			}
			if (n == 0 && got[i] > 1000)
				whole++;
			else
				refused++;
			close(p[i].fd);
			p[i].fd = -1;
		}
	}
	printf("  %d scrapers at once for 3 s: %lu scrapes, %lu turned away\n", SCRAPERS, whole,
	       refused);
	fflush(stdout);
	_exit(whole ? 0 : 1);
}

/*
 * HALF_OPEN connections that send `what` (nothing, or the beginning of a request) and then stand
 * still, from `hosts` addresses, while one client scrapes from an address of its own (or, with one
 * host, from the same).
 */
static void child_half_open(uint16_t port, uint32_t hosts, const char *what)
{
	struct rlimit rl = {HALF_OPEN + 100, HALF_OPEN + 100};
	unsigned long open = 0, good = 0, tried = 0;
	uint32_t other = hosts > 1 ? INADDR_LOOPBACK + 250 : INADDR_LOOPBACK;

	if (setrlimit(RLIMIT_NOFILE, &rl))
		die("setrlimit");
	for (int i = 0; i < HALF_OPEN; i++) {
		int fd = dial(port, INADDR_LOOPBACK + (uint32_t)i % hosts, SOCK_NONBLOCK);

		if (fd >= 0)
			open++;
		/* One that was turned away already cannot send any more. */
		if (fd >= 0 && *what)
			(void)!send(fd, what, strlen(what), MSG_NOSIGNAL);
		if (i % 500 == 499) {
			tried++;
			good += scrape(port, requests[2], other) > 0;
		}
	}
	for (int i = 0; i < 20; i++) {
		usleep(50000);
		tried++;
		good += scrape(port, requests[2], other) > 0;
	}
	printf("  %lu connections from %u address%s that %s: %lu of %lu scrapes meanwhile went "
	       "well\n",
	       open, hosts, hosts > 1 ? "es" : "", *what ? "begin a request" : "say nothing", good,
	       tried);
	fflush(stdout);
	_exit(open == HALF_OPEN && good >= tried / 2 ? 0 : 1);
}

/* The benchmark's own verdict on the loop after `what`. */
static void verdict_delay(struct bench *b, const char *what)
{
	verdict(b, what, (double)b->worst_ns / 1e6, "ms", MAX_DELAY_MS);
	printf("  %.2f ms with what waiting for a CPU added\n", (double)b->worst_wall_ns / 1e6);
}

/* ---- measurements ----------------------------------------------------------------------- */

static double resident_kib(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		die("statm");
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void check_exit(struct bench *b, int status, const char *what)
{
	if (status) {
		printf("%s: the client failed\n", what);
		b->failed = 1;
	}
}

static void bench_timing(struct bench *b, unsigned int i)
{
	struct timing t = {0};
	char what[128];
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		die("pipe");
	pid = fork();
	if (pid == 0)
		child_timing(dp_http_port(b->http), requests[i], fds[1]);
	close(fds[1]);
	check_exit(b, loop_until_exit(b, pid), request_names[i]);
	if (read(fds[0], &t, sizeof(t)) != sizeof(t))
		b->failed = 1;
	close(fds[0]);
	snprintf(what, sizeof(what), "scrape of %d nodes, %s, median", NODES, request_names[i]);
	verdict(b, what, t.median_ms, "ms", MAX_SCRAPE_MS);
	printf("  worst %.2f ms, %.0f KiB\n", t.worst_ms, t.bytes / 1024);
	if (i == 2)
		verdict(b, "  bytes as Prometheus asks for them (gzip)", t.bytes, "B",
			MAX_WIRE_BYTES);
}

static void bench_memory(struct bench *b)
{
	struct dp_metrics_text t = {0};
	double before, heap;
	pid_t pid;

	for (int round = 0; round < 2; round++) {
		before = resident_kib();
		heap = (double)mallinfo2().uordblks;
		/* Scrapes within half a second share a body, so the making is repeated apart. */
		for (int i = 0; i < 1000; i++) {
			robot_tick(b->robot, now_ns());
			if (dp_metrics_render(robot_metrics(b->robot),
					      i % 2 ? DP_METRICS_OPENMETRICS : DP_METRICS_TEXT,
					      now_ns(), &t))
				die("render");
		}
		pid = fork();
		if (pid == 0)
			child_many(dp_http_port(b->http));
		check_exit(b, loop_until_exit(b, pid), "10,000 scrapes");
		/* The last client's connection is closed in a turn after its end. */
		while (dp_http_connections(b->http))
			loop_turn(b);
		/* The first round is the warm-up: buffers find their size. */
		if (round == 0)
			continue;
		verdict(b, "heap growth over 10,000 scrapes and 1,000 expositions",
			(double)mallinfo2().uordblks - heap, "B", MAX_GROWTH_B);
		verdict(b, "resident growth over the same", resident_kib() - before, "KiB",
			MAX_RSS_KIB);
	}
	free(t.buf);
}

int main(void)
{
	struct bench b = {.robot = robot_new(1, NODES, 0, now_ns())};
	struct dp_http_options o = {0};
	char why[256];
	pid_t pid;

	/* Children print too: nothing may wait in a buffer that they inherit. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!b.robot)
		die("robot");
	robot_fill(b.robot, 3);
	o.metrics = robot_metrics(b.robot);
	if (dp_http_open(&o, &b.http, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 2;
	}
	loop_init(&b);
	for (unsigned int i = 0; i < 3; i++)
		bench_timing(&b, i);
	verdict_delay(&b, "loop delayed by a scrape");
	bench_memory(&b);

	pid = fork();
	if (pid == 0)
		child_crowd(dp_http_port(b.http));
	check_exit(&b, loop_until_exit(&b, pid), "crowd");
	verdict_delay(&b, "loop delayed by 200 scrapers at once");
	for (unsigned int i = 0; i < 4; i++) {
		pid = fork();
		if (pid == 0)
			child_half_open(dp_http_port(b.http), i / 2 ? 100 : 1,
					i % 2 ? "GET /metrics HTTP/1.1\r\nHost: x\r\nX: " : "");
		check_exit(&b, loop_until_exit(&b, pid), "half-open");
		verdict_delay(&b, "loop delayed by 10,000 half-open connections");
		for (int k = 0; k < 200; k++)
			loop_turn(&b);
	}
	fclose(b.schedstat);
	dp_http_close(b.http);
	robot_free(b.robot);
	return b.failed;
}
