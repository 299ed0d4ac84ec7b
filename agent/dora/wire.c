// SPDX-License-Identifier: MIT
/* The decoder: connections, their two streams, and what their frames say (wire.h). */
#include "dora/wire.h"

#include <stdbool.h>
#include <stdlib.h>

#include "dora/frames.h"
#include "dora/stream.h"

#define BUCKETS 1024u

struct conn {
	struct conn *next;
	struct dp_dialogue dialogue;
	struct dp_stream streams[2]; /* by enum dp_direction */
	bool unproven;               /* nothing on it has been dora's yet: it may be anybody's */
	bool foreign;                /* it is not dora's: what comes is not read */
	bool closed;                 /* by whom a record of it was told: freed once that is over */
};

struct dp_wire {
	struct dp_wire_sink sink;
	struct dp_stream_pool pool;
	unsigned int count;
	struct conn *fed; /* what it says is being told; NULL none */
	struct conn *buckets[BUCKETS];
};

/* Time and place of the capture that is being fed. */
struct feeding {
	struct dp_wire *w;
	struct conn *c;
	uint64_t t_ns;
	uint32_t tid;
	enum dp_direction direction;
};

struct dp_wire *dp_wire_new(const struct dp_wire_sink *sink)
{
	struct dp_wire *w = calloc(1, sizeof(*w));

	if (w)
		w->sink = *sink;
	return w;
}

static void free_conn(struct dp_wire *w, struct conn *c)
{
	dp_stream_done(&c->streams[DP_TO_DAEMON], &w->pool);
	dp_stream_done(&c->streams[DP_FROM_DAEMON], &w->pool);
	free(c);
	w->count--;
}

void dp_wire_free(struct dp_wire *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (w->buckets[i]) {
			struct conn *c = w->buckets[i];

			w->buckets[i] = c->next;
			free_conn(w, c);
		}
	}
	free(w);
}

/* The link that points at the connection, or at the end of its chain. */
static struct conn **find(struct dp_wire *w, uint64_t conn)
{
	/* Fibonacci hashing: ids are mostly consecutive. */
	struct conn **link = &w->buckets[(conn * 0x9e3779b97f4a7c15ULL) >> 54];

	while (*link && (*link)->dialogue.conn != conn)
		link = &(*link)->next;
	return link;
}

static void loss(const struct dp_wire *w, uint32_t pid, enum dp_loss reason, uint64_t t_ns)
{
	w->sink.loss(w->sink.ctx, pid, reason, 1, t_ns);
}

static void open_conn(struct dp_wire *w, const struct conn *as, uint64_t conn, uint32_t pid,
		      uint64_t t_ns, const char *dora, int attached)
{
	struct conn **link = find(w, conn);
	struct conn *c;

	if (*link)
		return; /* ids are never reused: it is open already */
	c = w->count < DP_MAX_SOCKETS ? malloc(sizeof(*c)) : NULL;
	if (!c) {
		if (!as->unproven)
			loss(w, pid, DP_LOSS_STREAM_LIMIT, t_ns);
		return;
	}
	*link = c;
	*c = *as;
	w->count++;
	c->dialogue = (struct dp_dialogue){
		.conn = conn, .pid = pid, .codec = (uint8_t)dp_codec_of_dora(dora)};
	dp_stream_init(&c->streams[DP_TO_DAEMON], !attached);
	dp_stream_init(&c->streams[DP_FROM_DAEMON], !attached);
	dp_dialogue_emit(&c->dialogue, &w->sink, DP_REC_CONN_OPENED, t_ns, pid, 0);
}

void dp_wire_open(struct dp_wire *w, uint64_t conn, uint32_t pid, uint64_t t_ns, const char *dora,
		  int attached)
{
	open_conn(w, &(struct conn){.unproven = false}, conn, pid, t_ns, dora, attached);
}

void dp_wire_try(struct dp_wire *w, uint64_t conn, uint32_t pid, uint64_t t_ns, const char *dora)
{
	open_conn(w, &(struct conn){.unproven = true}, conn, pid, t_ns, dora, 0);
}

static int on_stream(void *ctx, enum dp_stream_event event, const struct dp_body *body, int limited)
{
	struct feeding *f = ctx;
	struct dp_dialogue *d = &f->c->dialogue;
	enum dp_cursor_status status;

	if (f->c->closed || f->c->foreign)
		return -1;
	if (event == DP_STREAM_LOST && f->c->unproven) {
		f->c->foreign = true;
		return -1;
	}
	if (event == DP_STREAM_LOST) {
		d->json_reply = 0;
		loss(f->w, d->pid, DP_LOSS_STREAM_RESYNC, f->t_ns);
		return 0;
	}
	status = dp_frame_decode(d, &f->w->sink, f->direction, body, f->t_ns, f->tid);
	if (status == DP_CUR_OK) {
		f->c->unproven = false;
		return 1;
	}
	if (f->c->unproven) {
		f->c->foreign = true;
		return -1;
	}
	loss(f->w, d->pid,
	     limited && status == DP_CUR_HOLE ? DP_LOSS_STREAM_LIMIT : DP_LOSS_FRAME_INVALID,
	     f->t_ns);
	if (d->codec == DP_CODEC_UNSUPPORTED)
		return -1;
	return status != DP_CUR_BAD;
}

void dp_wire_data(struct dp_wire *w, const struct dp_capture *h, const struct dp_sock_data *d,
		  const uint8_t *bytes)
{
	struct feeding f = {w, *find(w, d->conn), h->t_ns, h->tid, DP_TO_DAEMON};

	if (!f.c || d->direction > DP_FROM_DAEMON) {
		loss(w, h->pid, DP_LOSS_STREAM_LIMIT, h->t_ns);
		return;
	}
	if (f.c->foreign)
		return;
	f.direction = (enum dp_direction)d->direction;
	w->fed = f.c;
	dp_stream_piece(&f.c->streams[f.direction], &w->pool, h->tid, d->total, d->offset, bytes,
			d->copied, d->last, on_stream, &f);
	w->fed = NULL;
	if (f.c->closed)
		dp_wire_close(w, d->conn, h->t_ns, h->pid, h->tid);
}

void dp_wire_close(struct dp_wire *w, uint64_t conn, uint64_t t_ns, uint32_t pid, uint32_t tid)
{
	struct conn **link = find(w, conn);
	struct conn *c = *link;

	if (!c)
		return;
	/* By the sink, which was told of what it says: the rest of that is not read. */
	if (c == w->fed) {
		c->closed = true;
		return;
	}
	for (int i = 0; i < 2 && !c->closed && !c->unproven; i++)
		/* A frame that its sender never finished, because it died between the two calls of
		 * one frame, is no loss: nobody else has seen more of it. */
		if (dp_stream_in_frame(&c->streams[i]) && !dp_stream_whole(&c->streams[i]))
			loss(w, pid, DP_LOSS_FRAME_INVALID, t_ns);
	dp_dialogue_emit(&c->dialogue, &w->sink, DP_REC_CONN_CLOSED, t_ns, pid, tid);
	*link = c->next;
	free_conn(w, c);
}

void dp_wire_lost(struct dp_wire *w, uint64_t conn, uint64_t t_ns)
{
	struct conn *c = *find(w, conn);
	int had = 0;

	if (!c)
		return;
	for (int i = 0; i < 2; i++)
		had |= dp_stream_lost(&c->streams[i], &w->pool);
	c->dialogue.json_reply = 0;
	if (had && c->unproven)
		c->foreign = true;
	else if (had)
		loss(w, c->dialogue.pid, DP_LOSS_STREAM_RESYNC, t_ns);
}
