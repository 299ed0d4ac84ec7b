// SPDX-License-Identifier: MIT
/*
 * Real endpoints fed with made-up robots, for the tests of the dashboards and alert rules:
 *   exporter_sim ENDPOINTS NODES FILE_SD.json [hostile]
 * Opens ENDPOINTS ports on loopback, writes them as Prometheus' file_sd with a label `robot`,
 * prints "ready", and obeys lines on standard input: "hold ROBOT NODE SECONDS", "stop ROBOT NODE
 * SECONDS", "lose ROBOT RECORDS", "down ROBOT". Ends with standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"
#include "sim_robot.h"

#define ENDPOINTS_MAX 200
#define NODES_MAX     64

struct endpoint {
	struct robot *robot;
	struct dp_http *http;
};

struct sim {
	unsigned int count;
	struct endpoint e[ENDPOINTS_MAX];
	char line[256];
	size_t line_len;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int write_targets(const struct sim *s, const char *path)
{
	char tmp[4096];
	FILE *f;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return -ENAMETOOLONG;
	f = fopen(tmp, "we");
	if (!f)
		return -errno;
	fputs("[\n", f);
	for (unsigned int i = 0; i < s->count; i++)
		fprintf(f,
			"  {\"targets\": [\"127.0.0.1:%u\"], \"labels\": {\"robot\": "
			"\"robot-%02u\"}}%s\n",
			dp_http_port(s->e[i].http), i + 1, i + 1 < s->count ? "," : "");
	fputs("]\n", f);
	if (fclose(f) || rename(tmp, path))
		return -errno;
	return 0;
}

static int obey(struct sim *s, const char *line)
{
	unsigned int robot, node;
	double seconds;
	char verb[16];
	int n = sscanf(line, "%15s %u %u %lf", verb, &robot, &node, &seconds);

	if (n < 2 || robot >= s->count || !s->e[robot].http)
		return -EINVAL;
	if (strcmp(verb, "down") == 0) {
		dp_http_close(s->e[robot].http);
		s->e[robot].http = NULL;
		return 0;
	}
	if (n == 3 && strcmp(verb, "lose") == 0) {
		robot_lose(s->e[robot].robot, node);
		return 0;
	}
	if (n == 4 && strcmp(verb, "hold") == 0)
		return robot_hold(s->e[robot].robot, node, (uint64_t)(seconds * 1e9));
	if (n == 4 && strcmp(verb, "stop") == 0)
		return robot_stop(s->e[robot].robot, node, (uint64_t)(seconds * 1e9));
	return -EINVAL;
}

/* 0, or 1 at the end of standard input. */
static int read_commands(struct sim *s)
{
	ssize_t n = read(0, s->line + s->line_len, sizeof(s->line) - 1 - s->line_len);
	char *end;

	if (n <= 0)
		return n == 0 || errno != EAGAIN;
	s->line_len += (size_t)n;
	s->line[s->line_len] = '\0';
	while ((end = strchr(s->line, '\n'))) {
		*end = '\0';
		printf("%s: %s\n", s->line, obey(s, s->line) ? "refused" : "ok");
		fflush(stdout);
		s->line_len -= (size_t)(end + 1 - s->line);
		memmove(s->line, end + 1, s->line_len + 1);
	}
	if (s->line_len == sizeof(s->line) - 1)
		s->line_len = 0;
	return 0;
}

static int add(int ep, int fd, uint64_t key)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = key};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void loop(struct sim *s, int ep, int timer)
{
	struct epoll_event ev[64];
	uint64_t ticks;

	for (;;) {
		int n = epoll_wait(ep, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			uint64_t key = ev[i].data.u64;

			if (key == ENDPOINTS_MAX && read_commands(s))
				return;
			if (key < ENDPOINTS_MAX && s->e[key].http)
				dp_http_run(s->e[key].http);
			if (key == ENDPOINTS_MAX + 1 &&
			    read(timer, &ticks, sizeof(ticks)) == sizeof(ticks))
				for (unsigned int k = 0; k < s->count; k++)
					robot_tick(s->e[k].robot, now_ns());
		}
	}
}

int main(int argc, char **argv)
{
	struct itimerspec tick = {.it_interval = {.tv_nsec = 100000000},
				  .it_value = {.tv_nsec = 100000000}};
	struct sim *s = calloc(1, sizeof(*s));
	int ep = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	unsigned int nodes;
	char why[256];
	int r = 1;

	if (argc < 4 || !s || ep < 0 || timer < 0) {
		fprintf(stderr, "usage: exporter_sim ENDPOINTS NODES FILE_SD.json [hostile]\n");
		goto cleanup;
	}
	s->count = (unsigned int)strtoul(argv[1], NULL, 10);
	nodes = (unsigned int)strtoul(argv[2], NULL, 10);
	if (!s->count || s->count > ENDPOINTS_MAX || !nodes || nodes > NODES_MAX) {
		fprintf(stderr, "1 to %u endpoints, 1 to %u nodes\n", ENDPOINTS_MAX, NODES_MAX);
		s->count = 0;
		goto cleanup;
	}
	for (unsigned int i = 0; i < s->count; i++) {
		struct dp_http_options o = {0};

		s->e[i].robot = robot_new(i + 1, nodes, argc > 4 && i == 0, now_ns());
		if (!s->e[i].robot)
			goto cleanup;
		o.metrics = robot_metrics(s->e[i].robot);
		if (dp_http_open(&o, &s->e[i].http, why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			goto cleanup;
		}
		if (add(ep, dp_http_fd(s->e[i].http), i))
			goto cleanup;
	}
	if (write_targets(s, argv[3]) || fcntl(0, F_SETFL, O_NONBLOCK) ||
	    add(ep, 0, ENDPOINTS_MAX) || timerfd_settime(timer, 0, &tick, NULL) ||
	    add(ep, timer, ENDPOINTS_MAX + 1))
		goto cleanup;
	puts("ready");
	fflush(stdout);
	loop(s, ep, timer);
	r = 0;
cleanup:
	for (unsigned int i = 0; s && i < s->count; i++) {
		dp_http_close(s->e[i].http);
		robot_free(s->e[i].robot);
	}
	free(s);
	return r;
}
