// SPDX-License-Identifier: MIT
/* Places of connections, and who loses one (http_state.h). */
#include "serve/http_state.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/units.h"

/*
 * Past so many connections the oldest whose request has not come whole makes room for a new one, and
 * who needs longer than DP_HTTP_CROWDED_S loses its place: a scrape takes milliseconds.
 */
#define CROWDED (DP_HTTP_CONNECTIONS_PER_IP * 3 / 4)

struct connection *connection_of(struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

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

void connection_notify(void *cls, struct MHD_Connection *mc, void **socket_context,
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

void request_ended(void *cls, struct MHD_Connection *mc, void **request,
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

void connections_end_slow(struct dp_http *h)
{
	uint64_t limit = h->open_count >= CROWDED ? DP_HTTP_CROWDED_S : DP_HTTP_REQUEST_S;
	uint64_t now = dp_now();

	for (unsigned int i = 0; i < DP_HTTP_CONNECTIONS; i++) {
		struct connection *c = &h->connections[i];

		if (c->fd >= 0 && !c->ended && now - c->since_ns >= limit * SEC)
			connection_end(c);
	}
}
