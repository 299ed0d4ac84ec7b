/* SPDX-License-Identifier: MIT */
/*
 * The endpoint inside: what http.c, bodies.c, connections.c and listen.c share, and what each does
 * for the others. Private to them.
 */
#ifndef DORA_PROBE_SERVE_HTTP_STATE_H
#define DORA_PROBE_SERVE_HTTP_STATE_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "serve/http.h"
#include "serve/metrics.h"

/*
 * Bodies that may be alive at once: the newest of each format and encoding, and older ones that
 * slow readers still hold. More slow readers get a body again that is there, or are turned away, so
 * memory stays bounded whatever they do.
 */
#define BODIES_MAX (2 * 2 * DP_METRICS_FORMAT_COUNT)

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

/* ---- bodies.c ---- */

/*
 * The exposition in this form: one that is fresh enough, a new one, or at worst an older one. NULL
 * when slow readers hold every place, or (*ret_failed) when it cannot be made.
 */
struct body *body_get(struct dp_http *h, enum dp_metrics_format format, int gzip, int *ret_failed);
/* No new reader gets it; its place is free when those that are there have had it. */
void body_retire(struct body *b);

/* ---- connections.c ---- */

/* The connection's place; NULL when it has none. */
struct connection *connection_of(struct MHD_Connection *mc);
/* Called by libmicrohttpd (MHD_OPTION_NOTIFY_CONNECTION and MHD_OPTION_NOTIFY_COMPLETED). */
void connection_notify(void *cls, struct MHD_Connection *mc, void **socket_context,
		       enum MHD_ConnectionNotificationCode code);
void request_ended(void *cls, struct MHD_Connection *mc, void **request,
		   enum MHD_RequestTerminationCode code);
/*
 * Whoever sends or takes a byte now and then is never idle, so the whole time is limited too. In a
 * crowd the limit is short: libmicrohttpd turns new connections away without asking us.
 */
void connections_end_slow(struct dp_http *h);

/* ---- listen.c ---- */

/* The sentence of a failure or a warning, cut to fit. */
void say_why(char *why, size_t len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A listening socket, or -errno with the reason in why. */
int listen_on(const char *addr, uint16_t port, uint16_t *ret_port, int *ret_v6, char *why,
	      size_t why_len);

#endif
