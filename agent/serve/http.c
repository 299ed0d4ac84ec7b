// SPDX-License-Identifier: MIT
/* The endpoint on the caller's thread (http.h): requests, its beginning and its end. */
#include "serve/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/array.h"
#include "base/units.h"
#include "serve/http_state.h"
#include "serve/negotiation.h"

#define TICK_NS   SEC
#define AGAIN_NS  MS
#define TURNS_MAX 4

static enum MHD_Result answer_ready(struct dp_http *h, struct MHD_Connection *c)
{
	struct MHD_Response *r;
	char why[256] = "", line[300];
	enum MHD_Result ok;
	int n;

	if (!h->ready_fn || h->ready_fn(h->ctx, why, sizeof(why)))
		return MHD_queue_response(c, MHD_HTTP_OK, h->ready);
	n = snprintf(line, sizeof(line), "not ready: %s\n", why[0] ? why : "starting");
	r = MHD_create_response_from_buffer((size_t)n, line, MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
	ok = MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, r);
	MHD_destroy_response(r);
	return ok;
}

/* Called when the headers are complete: who still sends them has no claim to its place yet. */
static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload_data,
			      size_t *upload_size, void **request)
{
	struct connection *place = connection_of(c);
	struct dp_http *h = cls;
	const char *accept, *encoding;
	struct body *b;
	int failed = 0;

	(void)version;
	(void)upload_data;
	(void)upload_size;
	if (place)
		place->busy = 1;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return MHD_queue_response(c, MHD_HTTP_METHOD_NOT_ALLOWED, h->bad_method);
	if (strcmp(url, "/") == 0)
		return MHD_queue_response(c, MHD_HTTP_OK, h->root);
	if (strcmp(url, "/healthz") == 0)
		return MHD_queue_response(c, MHD_HTTP_OK, h->healthz);
	if (strcmp(url, "/readyz") == 0)
		return answer_ready(h, c);
	if (strcmp(url, "/metrics") != 0)
		return MHD_queue_response(c, MHD_HTTP_NOT_FOUND, h->not_found);
	accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept");
	encoding = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept-Encoding");
	b = body_get(h, dp_http_negotiate(accept), h->z_ready && dp_http_accepts_gzip(encoding),
		     &failed);
	if (failed)
		return MHD_queue_response(c, MHD_HTTP_INTERNAL_SERVER_ERROR, h->failed);
	if (!b)
		return MHD_queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, h->busy);
	b->readers++;
	*request = b; /* request_ended takes the reader off again */
	return MHD_queue_response(c, MHD_HTTP_OK, b->response);
}

static struct MHD_Response *fixed(const char *type, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);

	if (r) {
		MHD_add_response_header(r, "Content-Type", type);
		MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	}
	return r;
}

static int make_fixed(struct dp_http *h)
{
	static const char plain[] = "text/plain; charset=utf-8";

	h->root = fixed("text/html; charset=utf-8",
			"<!DOCTYPE html><html lang=\"en\"><head><title>dora-probe</title></head>"
			"<body><h1>dora-probe</h1><ul>"
			"<li><a href=\"/metrics\">/metrics</a>: Prometheus and OpenMetrics</li>"
			"<li><a href=\"/healthz\">/healthz</a>: the probe runs</li>"
			"<li><a href=\"/readyz\">/readyz</a>: the probe watches</li>"
			"</ul></body></html>\n");
	h->healthz = fixed(plain, "ok\n");
	h->ready = fixed(plain, "ready\n");
	h->not_found = fixed(plain, "not found; there are /metrics, /healthz and /readyz\n");
	h->bad_method = fixed(plain, "only GET and HEAD\n");
	h->failed = fixed(plain, "the exposition could not be made: out of memory or too long\n");
	h->busy = fixed(plain, "too many slow readers; try again\n");
	if (!h->root || !h->healthz || !h->ready || !h->not_found || !h->bad_method || !h->failed ||
	    !h->busy)
		return -ENOMEM;
	MHD_add_response_header(h->bad_method, "Allow", "GET, HEAD");
	MHD_add_response_header(h->busy, "Retry-After", "1");
	return 0;
}

static int watch_fd(struct dp_http *h, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* First in `ns` (at most a second), then every second. */
static int timer_set(int fd, uint64_t ns)
{
	struct itimerspec t = {
		/* NOLINTNEXTLINE(misc-redundant-expression): a tick happens to be a second */
		.it_interval = {.tv_sec = (time_t)(TICK_NS / SEC)},
		.it_value = {.tv_sec = (time_t)(ns / SEC), .tv_nsec = (long)(ns % SEC)}};

	return timerfd_settime(fd, 0, &t, NULL) ? -errno : 0;
}

/* One descriptor for the caller's loop: libmicrohttpd's own, and a timer for the time limits. */
static int make_loop(struct dp_http *h)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -ENOTSUP;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (h->epoll_fd < 0 || h->timer_fd < 0 || timer_set(h->timer_fd, TICK_NS))
		return -errno;
	r = watch_fd(h, info->epoll_fd);
	return r ? r : watch_fd(h, h->timer_fd);
}

int dp_http_open(const struct dp_http_options *o, struct dp_http **ret, char *why, size_t why_len)
{
	const char *addr = o->addr ? o->addr : "127.0.0.1";
	struct dp_http *h;
	int fd = -1, v6 = 0, r = -ENOMEM;

	say_why(why, why_len, "%s", "");
	h = calloc(1, sizeof(*h));
	if (!h) {
		say_why(why, why_len, "no memory for the endpoint");
		return -ENOMEM;
	}
	h->epoll_fd = h->timer_fd = -1;
	h->metrics = o->metrics;
	h->ready_fn = o->ready;
	h->ctx = o->ctx;
	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS; i++)
		h->connections[i].fd = -1;
	fd = listen_on(addr, o->port, &h->port, &v6, why, why_len);
	if (fd < 0) {
		r = fd;
		goto cleanup;
	}
	r = make_fixed(h);
	if (r)
		goto failed;
	/*
	 * Level 1: the text repeats itself so much that higher levels gain a few per cent of size
	 * for several times the time. 15 + 16: the largest window, gzip header.
	 */
	h->z_ready = deflateInit2(&h->z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | (v6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL, answer, h,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)DP_HTTP_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)DP_HTTP_CONNECTIONS_PER_IP, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)DP_HTTP_CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)DP_HTTP_IDLE_S, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, h,
		MHD_OPTION_NOTIFY_COMPLETED, request_ended, h, MHD_OPTION_END);
	if (!h->daemon) {
		r = -EIO;
		goto failed;
	}
	fd = -1; /* the daemon's now */
	r = make_loop(h);
	if (r)
		goto failed;
	*ret = h;
	return 0;
failed:
	say_why(why, why_len, "cannot start the endpoint on %s: %s; try without --listen", addr,
		strerror(-r));
cleanup:
	if (fd >= 0)
		close(fd);
	dp_http_close(h);
	return r;
}

void dp_http_close(struct dp_http *h)
{
	struct MHD_Response *fixed_ones[7];

	if (!h)
		return;
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	for (unsigned int i = 0; i < BODIES_MAX; i++) {
		body_retire(&h->bodies[i]);
		free(h->bodies[i].buf);
	}
	memcpy(fixed_ones,
	       (struct MHD_Response *[]){h->root, h->healthz, h->ready, h->not_found, h->bad_method,
					 h->failed, h->busy},
	       sizeof(fixed_ones));
	for (unsigned int i = 0; i < DP_COUNT_OF(fixed_ones); i++)
		if (fixed_ones[i])
			MHD_destroy_response(fixed_ones[i]);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	if (h->timer_fd >= 0)
		close(h->timer_fd);
	if (h->z_ready)
		deflateEnd(&h->z);
	free(h->text.buf);
	free(h);
}

int dp_http_fd(const struct dp_http *h)
{
	return h->epoll_fd;
}

void dp_http_run(struct dp_http *h)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 1;
	uint64_t ticks;

	if (read(h->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		connections_end_slow(h);
	/*
	 * libmicrohttpd watches edges: what it left undone would not make its descriptor readable
	 * again. A few turns are enough for most; the timer brings the rest back, after others had
	 * theirs.
	 */
	for (unsigned int i = 0; i < TURNS_MAX; i++) {
		MHD_run(h->daemon);
		if (MHD_get_timeout(h->daemon, &wait_ms) != MHD_YES || wait_ms)
			return;
	}
	timer_set(h->timer_fd, AGAIN_NS);
}

uint16_t dp_http_port(const struct dp_http *h)
{
	return h->port;
}

unsigned int dp_http_connections(const struct dp_http *h)
{
	return h->open_count;
}
