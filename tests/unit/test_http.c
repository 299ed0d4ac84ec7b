// SPDX-License-Identifier: MIT
/* The endpoint: negotiation, answers, limits and errors, over real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/array.h"
#include "serve/http.h"
#include "serve/negotiation.h"

struct fixture {
	struct dp_metrics *m;
	struct dp_http *h;
	int ready;
};

static int is_ready(void *ctx, char *why, size_t len)
{
	struct fixture *f = ctx;

	if (!f->ready)
		snprintf(why, len, "no source is attached");
	return f->ready;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct dp_http_options o = {.ready = is_ready, .ctx = f};
	char why[256];

	f->m = dp_metrics_new("1.2.3", NULL);
	o.metrics = f->m;
	if (dp_http_open(&o, &f->h, why, sizeof(why)) || why[0])
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dp_http_close(f->h);
	dp_metrics_free(f->m);
	free(f);
	return 0;
}

static int dial(const struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(dp_http_port(f->h))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Runs the endpoint as a loop would until `fd` has something or the wait is over. */
static int pump(struct fixture *f, int fd, int ms)
{
	struct pollfd p[2] = {{.fd = dp_http_fd(f->h), .events = POLLIN},
			      {.fd = fd, .events = POLLIN}};

	while (ms > 0) {
		int n = poll(p, 2, 20);

		assert_true(n >= 0);
		if (p[0].revents)
			dp_http_run(f->h);
		if (p[1].revents)
			return 1;
		if (n == 0)
			ms -= 20;
	}
	return 0;
}

/* Sends `request` and reads to the end of the connection. Returns the bytes; *ret is the caller's.
 */
static size_t ask(struct fixture *f, const char *request, char **ret)
{
	size_t cap = 1 << 20, len = 0, sent = 0, n = strlen(request);
	char *b = calloc(1, cap + 1);
	int fd = dial(f);

	while (sent < n) {
		ssize_t r = send(fd, request + sent, n - sent, MSG_NOSIGNAL);

		if (r > 0)
			sent += (size_t)r;
		else if (errno != EAGAIN && errno != ENOTCONN)
			break;
		dp_http_run(f->h);
	}
	while (pump(f, fd, 3000) && len < cap) {
		ssize_t r = recv(fd, b + len, cap - len, 0);

		if (r <= 0)
			break;
		len += (size_t)r;
	}
	close(fd);
	dp_http_run(f->h);
	*ret = b;
	return len;
}

static void expect(struct fixture *f, const char *request, const char *status, const char *in)
{
	char *b;

	ask(f, request, &b);
	if (strncmp(b, status, strlen(status)) != 0)
		fail_msg("%s answered %.40s", request, b);
	if (in && !strstr(b, in))
		fail_msg("%s: no %s in %s", request, in, b);
	free(b);
}

#define GET(path, more) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" more "\r\n"

static void the_pages_answer(void **state)
{
	struct fixture *f = *state;
	char *b;

	expect(f, GET("/", ""), "HTTP/1.1 200", "href=\"/metrics\"");
	expect(f, GET("/healthz", ""), "HTTP/1.1 200", "ok\n");
	expect(f, GET("/readyz", ""), "HTTP/1.1 503", "not ready: no source is attached\n");
	f->ready = 1;
	expect(f, GET("/readyz", ""), "HTTP/1.1 200", "ready\n");
	expect(f, GET("/nothing", ""), "HTTP/1.1 404", NULL);
	expect(f,
	       "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
	       "0\r\n\r\n",
	       "HTTP/1.1 405", "Allow: GET, HEAD");
	expect(f, GET("/metrics", ""), "HTTP/1.1 200", "text/plain; version=0.0.4; charset=utf-8");
	expect(f, GET("/metrics?x=1", "Accept: application/openmetrics-text;version=1.0.0\r\n"),
	       "HTTP/1.1 200", "# EOF\n");
	ask(f, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &b);
	assert_non_null(strstr(b, "Content-Length: "));
	assert_null(strstr(b, "# TYPE"));
	free(b);
}

static void gzip_carries_the_same(void **state)
{
	struct fixture *f = *state;
	char *zipped, *body, plain[65536] = "";
	size_t n = ask(f, GET("/metrics", "Accept-Encoding: gzip\r\n"), &zipped);
	z_stream z = {0};

	assert_non_null(strstr(zipped, "Content-Encoding: gzip"));
	body = strstr(zipped, "\r\n\r\n") + 4;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)body;
	z.avail_in = (uInt)(n - (size_t)(body - zipped));
	z.next_out = (Bytef *)plain;
	z.avail_out = sizeof(plain) - 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	assert_non_null(strstr(plain, "dora_probe_build_info{version=\"1.2.3\"} 1\n"));
	free(zipped);
}

static void accept_is_weighed(void **state)
{
	static const struct {
		const char *accept;
		enum dp_metrics_format want;
	} cases[] = {
		{NULL, DP_METRICS_TEXT},
		{"", DP_METRICS_TEXT},
		{"*/*", DP_METRICS_TEXT},
		{"text/html,application/xhtml+xml,*/*;q=0.8", DP_METRICS_TEXT},
		{"text/plain", DP_METRICS_TEXT},
		{"application/*", DP_METRICS_TEXT},
		{"application/openmetrics-text", DP_METRICS_OPENMETRICS},
		{"Application/OpenMetrics-Text ; Version=\"1.0.0\"", DP_METRICS_OPENMETRICS},
		{"application/openmetrics-text; version=2.0.0", DP_METRICS_TEXT},
		{"application/openmetrics-text;q=0", DP_METRICS_TEXT},
		{"application/openmetrics-text;q=0,*/*", DP_METRICS_TEXT},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.9", DP_METRICS_TEXT},
		{"application/openmetrics-text;q=0.9,text/plain;q=0.5", DP_METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=2,text/plain;q=0.5", DP_METRICS_TEXT},
		{"application/openmetrics-text;q=,text/plain;q=0.5", DP_METRICS_TEXT},
		{"text/plain;q=0.5,application/openmetrics-text,*/*", DP_METRICS_OPENMETRICS},
		{"application/openmetrics-text,*/*", DP_METRICS_OPENMETRICS},
		/* Prometheus 2.42 */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
		 "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 DP_METRICS_OPENMETRICS},
		/* Prometheus 3, with forms that are not served */
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
		 "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
		 "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		 DP_METRICS_OPENMETRICS},
		{",,;;=\"\",text/plain;version=\"", DP_METRICS_TEXT},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++)
		if (dp_http_negotiate(cases[i].accept) != cases[i].want)
			fail_msg("wrong format for: %s", cases[i].accept);
	assert_false(dp_http_accepts_gzip(NULL));
	assert_false(dp_http_accepts_gzip("identity"));
	assert_false(dp_http_accepts_gzip("gzip;q=0"));
	assert_false(dp_http_accepts_gzip("gzip;q=0, *"));
	assert_true(dp_http_accepts_gzip("deflate, gzip;q=0.1"));
	assert_true(dp_http_accepts_gzip("*"));
}

static void failures_to_open_say_what_to_do(void **state)
{
	struct fixture *f = *state;
	struct dp_http_options o = {.metrics = f->m, .port = dp_http_port(f->h)};
	struct dp_http *h = NULL;
	char why[256];

	assert_int_equal(dp_http_open(&o, &h, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, "the port is in use"));
	assert_non_null(strstr(why, "ss -ltnp"));
	o.addr = "localhost";
	assert_int_equal(dp_http_open(&o, &h, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a numeric address"));
	o.addr = "192.0.2.1"; /* RFC 5737: nobody's */
	assert_int_equal(dp_http_open(&o, &h, why, sizeof(why)), -EADDRNOTAVAIL);
	assert_non_null(strstr(why, "ip -brief address"));
	assert_null(h);
	/* Open to others: done as asked, and said. */
	o.addr = "0.0.0.0";
	o.port = 0;
	assert_int_equal(dp_http_open(&o, &h, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "reachable from other machines"));
	dp_http_close(h);
	o.addr = "::1";
	h = NULL;
	if (dp_http_open(&o, &h, why, sizeof(why)) == 0) {
		assert_string_equal(why, "");
		dp_http_close(h);
	}
}

static void a_request_has_limits(void **state)
{
	struct fixture *f = *state;
	char *big = calloc(1, 3 * DP_HTTP_CONNECTION_BYTES), *b;

	strcpy(big, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
	memset(big + strlen(big), 'a', 2 * DP_HTTP_CONNECTION_BYTES);
	strcat(big, "\r\n\r\n");
	ask(f, big, &b);
	assert_null(strstr(b, " 200 "));
	free(b);
	free(big);
	expect(f, GET("/healthz", ""), "HTTP/1.1 200", "ok\n");
}

/* Many connections that send `what` (maybe nothing) and then stand still. */
static void standing_still_does_not_keep_others_out(struct fixture *f, const char *what)
{
	enum { SILENT = 400 };
	int fds[SILENT];

	for (unsigned int i = 0; i < SILENT; i++) {
		fds[i] = dial(f);
		dp_http_run(f->h);
		/* One that was turned away already cannot send any more. */
		if (what)
			(void)!send(fds[i], what, strlen(what), MSG_NOSIGNAL);
		dp_http_run(f->h);
	}
	for (unsigned int i = 0; i < 50; i++)
		dp_http_run(f->h);
	assert_true(dp_http_connections(f->h) > 1);
	assert_true(dp_http_connections(f->h) <= DP_HTTP_CONNECTIONS_PER_IP);
	expect(f, GET("/metrics", ""), "HTTP/1.1 200", "dora_probe_build_info");
	for (unsigned int i = 0; i < SILENT; i++)
		close(fds[i]);
	for (unsigned int i = 0; i < 50; i++)
		dp_http_run(f->h);
	assert_int_equal(dp_http_connections(f->h), 0);
}

static void silent_connections_do_not_keep_others_out(void **state)
{
	standing_still_does_not_keep_others_out(*state, NULL);
}

static void unfinished_headers_do_not_keep_others_out(void **state)
{
	standing_still_does_not_keep_others_out(*state, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
}

/* An exposition that no socket's buffers swallow whole. */
static void fill_metrics(struct fixture *f)
{
	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct dp_rec_node facts = {.gil_observable = 1, .tokens_observable = 1};
		struct dp_finding g = {.type = DP_FIND_NODE, .pid = i + 1};
		char node[DP_ID_MAX];

		snprintf(node, sizeof(node), "node-%050u", i);
		g.node = node;
		g.u.node.facts = &facts;
		dp_metrics_finding(f->m, &g);
	}
}

/* As many as one address may have, each with an answer that it does not read. */
static void slow_readers_do_not_keep_others_out(void **state)
{
	static const char request[] = GET("/metrics", "");
	int fds[DP_HTTP_CONNECTIONS_PER_IP], small = 4096, late = -1;
	struct fixture *f = *state;
	char status[64] = "";

	fill_metrics(f);
	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS_PER_IP; i++) {
		fds[i] = dial(f);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		dp_http_run(f->h);
		assert_int_equal(send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL),
				 sizeof(request) - 1);
		dp_http_run(f->h);
	}
	assert_int_equal(dp_http_connections(f->h), DP_HTTP_CONNECTIONS_PER_IP);
	/* The next one is turned away, but not for as long as the slow ones please. */
	for (unsigned int tries = 0; tries < 10 && strncmp(status, "HTTP/1.1 200", 12); tries++) {
		if (late >= 0)
			close(late);
		late = dial(f);
		dp_http_run(f->h);
		(void)!send(late, request, sizeof(request) - 1, MSG_NOSIGNAL);
		if (!pump(f, late, 500) || recv(late, status, sizeof(status), 0) <= 0)
			pump(f, -1, 500); /* only lets time pass */
	}
	assert_memory_equal(status, "HTTP/1.1 200", 12);
	close(late);
	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS_PER_IP; i++)
		close(fds[i]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_pages_answer),
		T(gzip_carries_the_same),
		T(accept_is_weighed),
		T(failures_to_open_say_what_to_do),
		T(a_request_has_limits),
		T(silent_connections_do_not_keep_others_out),
		T(unfinished_headers_do_not_keep_others_out),
		T(slow_readers_do_not_keep_others_out),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
