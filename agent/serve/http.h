/* SPDX-License-Identifier: MIT */
/*
 * The endpoint: /metrics, /healthz, /readyz and / over HTTP by libmicrohttpd, on the caller's
 * thread. Nothing here blocks, and a call of dp_http_run is bounded: connections, their memory, the
 * time they may take, and how often an exposition is made anew are all limited, so that a slow or
 * hostile client cannot hold up what the loop is for.
 */
#ifndef DORA_PROBE_SERVE_HTTP_H
#define DORA_PROBE_SERVE_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "serve/metrics.h"

#define DP_HTTP_CONNECTIONS        128
#define DP_HTTP_CONNECTIONS_PER_IP 96
#define DP_HTTP_CONNECTION_BYTES   8192 /* request line and headers of a connection */
#define DP_HTTP_IDLE_S             10   /* without a byte in either direction */
#define DP_HTTP_REQUEST_S          30   /* from the first byte to the last, or between requests */
#define DP_HTTP_CROWDED_S          2    /* the same in a crowd */
#define DP_HTTP_CACHE_NS           (500 * MS) /* an exposition is served again for so long */

struct dp_http;

struct dp_http_options {
	const char *addr;           /* numeric IPv4 or IPv6, without brackets; NULL: 127.0.0.1 */
	uint16_t port;              /* 0: any free one, see dp_http_port */
	struct dp_metrics *metrics; /* must outlive the endpoint */
	/*
	 * 1 when the probe watches; 0 with a reason in `why` for /readyz. NULL: always ready.
	 */
	int (*ready)(void *ctx, char *why, size_t why_len);
	void *ctx;
};

/*
 * Opens the socket and starts to listen. `why` (always set): on failure a sentence for the user
 * that ends in what mends it; on success "", or a warning when the address is reachable from other
 * machines, since there is neither encryption nor a password.
 * 0; -EINVAL not a numeric address; -EADDRINUSE; -EADDRNOTAVAIL; -EACCES; other -errno.
 */
int dp_http_open(const struct dp_http_options *o, struct dp_http **ret, char *why, size_t why_len);
void dp_http_close(struct dp_http *h);

/* A descriptor for epoll (EPOLLIN): readable when dp_http_run has something to do; time limits included. */
int dp_http_fd(const struct dp_http *h);
/* Does what is ready, without waiting. */
void dp_http_run(struct dp_http *h);

uint16_t dp_http_port(const struct dp_http *h);
/* Connections open now. */
unsigned int dp_http_connections(const struct dp_http *h);

#endif
