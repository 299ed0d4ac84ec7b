// SPDX-License-Identifier: MIT
/* Expositions as bodies of answers: made anew now and then, shared by readers (http_state.h). */
#include "serve/http_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* libmicrohttpd has sent the last byte to the last reader, and we have let go too. */
static void body_free(void *cls)
{
	struct body *b = cls;

	b->response = NULL;
	b->retired = 0;
}

void body_retire(struct body *b)
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

struct body *body_get(struct dp_http *h, enum dp_metrics_format format, int gzip, int *ret_failed)
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
