// SPDX-License-Identifier: MIT
/* The endpoint on the caller's thread (http.h). */
#include "show/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/units.h"

/*
 * Bodies that may be alive at once: the newest of each format and encoding, and older ones that
 * slow readers still hold. More slow readers get a body again that is there, or are turned away, so
 * memory stays bounded whatever they do.
 */
#define BODIES_MAX (2 * 2 * DP_METRICS_FORMAT_COUNT)
/*
 * Past so many connections the oldest whose request has not come whole makes room for a new one, and
 * who needs longer than DP_HTTP_CROWDED_S loses its place: a scrape takes milliseconds.
 */
#define CROWDED (DP_HTTP_CONNECTIONS_PER_IP * 3 / 4)
/*
 * Bytes that one write hands to the kernel at most (it doubles the number): a large exposition goes
 * out over several turns of the loop instead of one long copy per reader.
 */
#define SEND_BUFFER 65536
#define TICK_NS     SEC
#define AGAIN_NS    MS
#define TURNS_MAX   4

struct body {
	struct dp_http *http;
	struct MHD_Response *response; /* NULL: free */
	enum dp_metrics_format format;
	uint8_t gzip;
	uint8_t retired;      /* our own reference is given back; readers may hold more */
	unsigned int readers; /* requests that it answers now */
	uint64_t made_ns;
	char *buf;
	size_t len, cap;
};

struct connection {
	int fd;            /* -1 free */
	uint8_t busy;      /* a request came whole and is being answered */
	uint8_t ended;     /* shut down, waits for libmicrohttpd to see it */
	uint64_t since_ns; /* opened, or the last request ended */
};

struct dp_http {
	struct MHD_Daemon *daemon;
	struct MHD_Response *root, *healthz, *ready, *not_found, *bad_method, *failed, *busy;
	struct dp_metrics *metrics;
	int (*ready_fn)(void *ctx, char *why, size_t why_len);
	void *ctx;
	int epoll_fd, timer_fd;
	uint16_t port;
	unsigned int open_count;
	struct connection connections[DP_HTTP_CONNECTIONS];
	struct dp_metrics_text text; /* reused by every rendering */
	z_stream z;
	uint8_t z_ready;
	struct body bodies[BODIES_MAX];
};

/* ---- negotiation ------------------------------------------------------------------------ */

/* The next element of a comma-separated header, trimmed; NULL at the end. Quotes are respected. */
static const char *list_next(const char **at, size_t *ret_len)
{
	const char *s = *at, *e;
	int quoted = 0;

	while (*s == ' ' || *s == '\t' || *s == ',')
		s++;
	if (!*s)
		return NULL;
	for (e = s; *e && (quoted || *e != ','); e++)
		if (*e == '"')
			quoted = !quoted;
	*at = e;
	while (e > s && (e[-1] == ' ' || e[-1] == '\t'))
		e--;
	*ret_len = (size_t)(e - s);
	return s;
}

/* A weight "0" … "1.000" in thousandths (RFC 9110, 12.4.2); -1 when it is none. */
static int parse_weight(const char *s, size_t len)
{
	int w = 0, unit = 100;

	if (!len || len > 5 || (s[0] != '0' && s[0] != '1') || (len > 1 && s[1] != '.'))
		return -1;
	w = (s[0] - '0') * 1000;
	for (size_t i = 2; i < len; i++, unit /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		w += (s[i] - '0') * unit;
	}
	return w > 1000 ? -1 : w;
}

/*
 * The value of parameter `name` of a list element ("text/plain;version=0.0.4;q=0.5"), without
 * quotes; NULL when there is none.
 */
static const char *parameter(const char *s, size_t len, const char *name, size_t *ret_len)
{
	const char *end = s + len, *p = memchr(s, ';', len);
	size_t n = strlen(name);

	while (p && p < end) {
		const char *v, *e;

		p++;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		e = memchr(p, ';', (size_t)(end - p));
		if (!e)
			e = end;
		if ((size_t)(e - p) > n && strncasecmp(p, name, n) == 0 && p[n] == '=') {
			v = p + n + 1;
			while (e > v && (e[-1] == ' ' || e[-1] == '\t'))
				e--;
			if (e - v >= 2 && *v == '"' && e[-1] == '"') {
				v++;
				e--;
			}
			*ret_len = (size_t)(e - v);
			return v;
		}
		p = e;
	}
	return NULL;
}

/* Weight of an element: 1000 without one, 0 for one that is nonsense. */
static int weight(const char *s, size_t len)
{
	size_t n;
	const char *q = parameter(s, len, "q", &n);
	int w = q ? parse_weight(q, n) : 1000;

	return w < 0 ? 0 : w;
}

static int name_is(const char *s, size_t len, const char *name)
{
	const char *semi = memchr(s, ';', len);
	size_t n = semi ? (size_t)(semi - s) : len;

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return n == strlen(name) && strncasecmp(s, name, n) == 0;
}

static int version_is(const char *s, size_t len, const char *a, const char *b)
{
	size_t n;
	const char *v = parameter(s, len, "version", &n);

	return !v || (n == strlen(a) && memcmp(v, a, n) == 0) ||
	       (n == strlen(b) && memcmp(v, b, n) == 0);
}

enum dp_metrics_format dp_http_negotiate(const char *accept)
{
	/* Weight by how specific the range was: 0 none, 1 any, 2 any of a type, 3 the type. */
	int text_w = 0, text_s = 0, om_w = 0, om_s = 0;
	const char *s;
	size_t len;

	while (accept && (s = list_next(&accept, &len))) {
		int w = weight(s, len), spec_text = 0, spec_om = 0;

		if (name_is(s, len, "*/*"))
			spec_text = spec_om = 1;
		else if (name_is(s, len, "text/*"))
			spec_text = 2;
		else if (name_is(s, len, "application/*"))
			spec_om = 2;
		else if (name_is(s, len, "text/plain") && version_is(s, len, "0.0.4", "0.0.4"))
			spec_text = 3;
		else if (name_is(s, len, "application/openmetrics-text") &&
			 version_is(s, len, "1.0.0", "0.0.1"))
			spec_om = 3;
		if (spec_text > text_s || (spec_text == text_s && spec_text && w > text_w)) {
			text_s = spec_text;
			text_w = w;
		}
		if (spec_om > om_s || (spec_om == om_s && spec_om && w > om_w)) {
			om_s = spec_om;
			om_w = w;
		}
	}
	/* OpenMetrics goes to who names it; a browser's wildcards mean the readable text. */
	if (om_w > text_w && om_s == 3)
		return DP_METRICS_OPENMETRICS;
	if (om_w == text_w && om_w && om_s == 3 && text_s < 3)
		return DP_METRICS_OPENMETRICS;
	return DP_METRICS_TEXT;
}

int dp_http_accepts_gzip(const char *accept)
{
	int gzip = -1, any = 0;
	const char *s;
	size_t len;

	while (accept && (s = list_next(&accept, &len))) {
		if (name_is(s, len, "gzip") || name_is(s, len, "x-gzip"))
			gzip = weight(s, len);
		else if (name_is(s, len, "*"))
			any = weight(s, len);
	}
	return (gzip >= 0 ? gzip : any) > 0;
}

/* ---- bodies ----------------------------------------------------------------------------- */

/* libmicrohttpd has sent the last byte to the last reader, and we have let go too. */
static void body_free(void *cls)
{
	struct body *b = cls;

	b->response = NULL;
	b->retired = 0;
}

static void body_retire(struct body *b)
{
	if (b->response && !b->retired) {
		b->retired = 1;
		MHD_destroy_response(b->response);
	}
}

static int body_fill(struct dp_http *h, struct body *b)
{
	const struct dp_metrics_text *t = &h->text;
	size_t need = b->gzip ? deflateBound(&h->z, t->len) : t->len;
	char *p;

	if (need > b->cap) {
		/* With some room, so that a few more digits do not make it grow again. */
		p = realloc(b->buf, need + need / 4);
		if (!p)
			return -ENOMEM;
		b->buf = p;
		b->cap = need + need / 4;
	}
	if (!b->gzip) {
		memcpy(b->buf, t->buf, t->len);
		b->len = t->len;
		return 0;
	}
	if (deflateReset(&h->z) != Z_OK)
		return -EIO;
	h->z.next_in = (Bytef *)t->buf;
	h->z.avail_in = (uInt)t->len;
	h->z.next_out = (Bytef *)b->buf;
	h->z.avail_out = (uInt)b->cap;
	if (deflate(&h->z, Z_FINISH) != Z_STREAM_END)
		return -EIO;
	b->len = b->cap - h->z.avail_out;
	return 0;
}

static int body_make(struct dp_http *h, struct body *b, enum dp_metrics_format format, int gzip)
{
	uint64_t begin = dp_now();
	int r;

	b->http = h;
	b->format = format;
	b->gzip = (uint8_t)gzip;
	b->made_ns = begin;
	r = dp_metrics_render(h->metrics, format, begin, &h->text);
	if (r == 0)
		r = body_fill(h, b);
	if (r)
		return r;
	b->response = MHD_create_response_from_buffer_with_free_callback_cls(b->len, b->buf,
									     body_free, b);
	if (!b->response)
		return -ENOMEM;
	MHD_add_response_header(b->response, "Content-Type", dp_metrics_content_type(format));
	MHD_add_response_header(b->response, "Vary", "Accept, Accept-Encoding");
	MHD_add_response_header(b->response, "Cache-Control", "no-store");
	MHD_add_response_header(b->response, "X-Content-Type-Options", "nosniff");
	if (gzip)
		MHD_add_response_header(b->response, "Content-Encoding", "gzip");
	dp_metrics_rendered(h->metrics, dp_now() - begin);
	return 0;
}

/*
 * The exposition in this form: one that is fresh enough, a new one, or at worst an older one. NULL
 * when slow readers hold every place, or (*ret_failed) when it cannot be made.
 */
static struct body *body_get(struct dp_http *h, enum dp_metrics_format format, int gzip,
			     int *ret_failed)
{
	struct body *newest = NULL, *room = NULL;

	for (unsigned int i = 0; i < BODIES_MAX; i++) {
		struct body *b = &h->bodies[i];

		if (b->response && !b->retired && b->format == format && b->gzip == gzip)
			newest = b;
		/* A used buffer of the same kind has the right size already. */
		if (!b->response && (!room || (b->format == format && b->gzip == gzip)))
			room = b;
	}
	if (newest) {
		if (dp_now() - newest->made_ns < DP_HTTP_CACHE_NS || (newest->readers && !room))
			return newest;
		if (!newest->readers)
			room = newest;
		body_retire(newest);
	}
	if (!room)
		return NULL;
	*ret_failed = body_make(h, room, format, gzip) != 0;
	return *ret_failed ? NULL : room;
}

/* ---- requests --------------------------------------------------------------------------- */

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

static struct connection *connection_of(struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
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

/* ---- connections ------------------------------------------------------------------------ */

static void connection_end(struct connection *c)
{
	/* libmicrohttpd owns the descriptor: it sees the end and closes it. */
	c->ended = 1;
	shutdown(c->fd, SHUT_RDWR);
}

static void make_room(struct dp_http *h)
{
	struct connection *oldest = NULL;

	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS; i++) {
		struct connection *c = &h->connections[i];

		if (c->fd >= 0 && !c->busy && !c->ended &&
		    (!oldest || c->since_ns < oldest->since_ns))
			oldest = c;
	}
	if (oldest)
		connection_end(oldest);
}

static void connection_notify(void *cls, struct MHD_Connection *mc, void **socket_context,
			      enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	struct connection *c = *socket_context;
	struct dp_http *h = cls;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c) {
			c->fd = -1;
			h->open_count--;
		}
		return;
	}
	if (h->open_count >= CROWDED)
		make_room(h);
	info = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (unsigned int i = 0; info && i < DP_HTTP_CONNECTIONS; i++) {
		c = &h->connections[i];
		if (c->fd < 0) {
			*c = (struct connection){.fd = info->connect_fd, .since_ns = dp_now()};
			*socket_context = c;
			h->open_count++;
			return;
		}
	}
}

static void request_ended(void *cls, struct MHD_Connection *mc, void **request,
			  enum MHD_RequestTerminationCode code)
{
	struct connection *c = connection_of(mc);
	struct body *b = *request;

	(void)cls;
	(void)code;
	if (b)
		b->readers--;
	*request = NULL;
	if (c) {
		c->busy = 0;
		c->since_ns = dp_now();
	}
}

/*
 * Whoever sends or takes a byte now and then is never idle, so the whole time is limited too. In a
 * crowd the limit is short: libmicrohttpd turns new connections away without asking us.
 */
static void end_slow(struct dp_http *h)
{
	uint64_t limit = h->open_count >= CROWDED ? DP_HTTP_CROWDED_S : DP_HTTP_REQUEST_S;
	uint64_t now = dp_now();

	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS; i++) {
		struct connection *c = &h->connections[i];

		if (c->fd >= 0 && !c->ended && now - c->since_ns >= limit * SEC)
			connection_end(c);
	}
}

/* ---- the object ------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void say(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	if (!len)
		return;
	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* 0, or -EINVAL for what is no numeric address. */
static int parse_address(const char *addr, uint16_t port, union address *ret, socklen_t *ret_len)
{
	union address a = {0};

	if (inet_pton(AF_INET, addr, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(port);
		*ret_len = sizeof(a.in);
	} else if (inet_pton(AF_INET6, addr, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		*ret_len = sizeof(a.in6);
	} else {
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

static int is_loopback(const union address *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

static void say_bind_error(char *why, size_t len, const char *addr, uint16_t port, int error)
{
	switch (error) {
	case EADDRINUSE:
		say(why, len,
		    "cannot listen on %s port %u: the port is in use; see by whom with "
		    "`ss -ltnp 'sport = :%u'`, or choose another with --listen",
		    addr, port, port);
		break;
	case EADDRNOTAVAIL:
		say(why, len,
		    "cannot listen on %s: it is not an address of this machine; "
		    "see which there are with `ip -brief address`",
		    addr);
		break;
	case EACCES:
		say(why, len,
		    "cannot listen on port %u: ports below 1024 need CAP_NET_BIND_SERVICE; "
		    "choose one of 1024 or above with --listen",
		    port);
		break;
	default:
		say(why, len, "cannot listen on %s port %u: %s; try `--listen 127.0.0.1:9469`",
		    addr, port, strerror(error));
	}
}

/* A listening socket, or -errno with the reason in why. */
static int listen_on(const char *addr, uint16_t port, uint16_t *ret_port, int *ret_v6, char *why,
		     size_t why_len)
{
	int fd = -1, one = 1, size = SEND_BUFFER, r;
	union address a;
	socklen_t len;

	if (parse_address(addr, port, &a, &len)) {
		say(why, why_len,
		    "cannot listen on \"%s\": not a numeric address; "
		    "use `--listen 127.0.0.1:9469` or `--listen '[::1]:9469'`",
		    addr);
		return -EINVAL;
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		say_bind_error(why, why_len, addr, port, -r);
		return r;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted sockets inherit it. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (a.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &a.sa, len) || listen(fd, DP_HTTP_CONNECTIONS) ||
	    getsockname(fd, &a.sa, &len)) {
		r = -errno;
		say_bind_error(why, why_len, addr, port, -r);
		close(fd);
		return r;
	}
	*ret_port = ntohs(a.sa.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
	*ret_v6 = a.sa.sa_family == AF_INET6;
	if (!is_loopback(&a))
		say(why, why_len,
		    "%s port %u is reachable from other machines: there is neither encryption nor "
		    "a "
		    "password; `--listen 127.0.0.1:%u` keeps it to this one",
		    addr, *ret_port, *ret_port);
	return fd;
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

	say(why, why_len, "%s", "");
	h = calloc(1, sizeof(*h));
	if (!h) {
		say(why, why_len, "no memory for the endpoint");
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
	say(why, why_len, "cannot start the endpoint on %s: %s; try without --listen", addr,
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
		end_slow(h);
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
