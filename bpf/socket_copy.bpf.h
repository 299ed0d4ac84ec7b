/* SPDX-License-Identifier: MIT */
/*
 * What a call on a marked socket has moved, out of the caller's buffers into captures: for socket and
 * socket_trace.
 */
#ifndef DORA_PROBE_SOCKET_COPY_BPF_H
#define DORA_PROBE_SOCKET_COPY_BPF_H

#include "socket.bpf.h"

#define AF_UNIX  1
#define AF_INET  2
#define AF_INET6 10
#define MSG_OOB  1
#define MSG_PEEK 2

#define IOVECS_MAX 64 /* of one call; a frame of dora has one or two */
/* Full pieces of the largest copy, and one more for each buffer's end. */
#define PIECES_MAX (DP_SOCK_COPY_MAX / DP_SOCK_PIECE_MAX + 16)

struct iovec {
	__u64 base;
	__u64 len;
};

/* struct user_msghdr, include/linux/socket.h, as far as it is read (64-bit). */
struct user_msghdr {
	__u64 name;
	__u64 namelen;
	struct iovec *iov;
	__u64 iovlen;
};

/* Is this the address of the daemon's listener, as far as the target says? */
static __always_inline bool is_daemon(const struct dp_target *t, const struct dp_sock_connect *b)
{
	/* The 16 bytes of an IPv6 address; `addr` is 8-aligned in struct dp_sock_connect. */
	__u64 high = *(const __u64 *)b->addr, low = *(const __u64 *)(b->addr + 8);

	if (t->daemon_family)
		return b->family == t->daemon_family &&
		       (!t->daemon_port || b->port == t->daemon_port);
	if (b->family == AF_UNIX)
		return 1;
	if (b->family == AF_INET)
		return b->addr[0] == 127;
	if (b->family != AF_INET6 || high)
		return 0;
	/* ::1, or an IPv4 address mapped: ::ffff:127.x.x.x (little endian) */
	return low == 1ULL << 56 || (low & 0xffffffffff) == 0x7fffff0000;
}

/* A dynamic node asks at a known port where its daemon listens for it, and connects there at once. */
static __always_inline void found_daemon(struct dp_target *t)
{
	if (!t->seeks)
		return;
	t->seeks = 0;
	t->daemon_family = 0;
	t->daemon_port = 0;
}

/* Copies c->piece.copied bytes, at most `room`, into a capture of that size class. 0 or lost. */
#define EMIT_PIECE(c, id, flags, room)                                                             \
	({                                                                                         \
		struct {                                                                           \
			struct dp_capture h;                                                       \
			struct dp_sock_data b;                                                     \
			__u8 bytes[room];                                                          \
		} *r_ = capture_reserve(DP_CAP_SOCK_DATA, sizeof(*r_), (c)->t_ns, (id) >> 32,      \
					(__u32)(id));                                              \
		int ret_ = -1;                                                                     \
		if (r_) {                                                                          \
			__u32 n_ = (c)->piece.copied;                                              \
			r_->b = (c)->piece;                                                        \
			r_->h.flags = (flags);                                                     \
			ret_ = 0;                                                                  \
			if (n_ > (room))                                                           \
				n_ = (room);                                                       \
			if (n_ && read_user_bounded(r_->bytes, n_, room, (c)->from)) {             \
				r_->b.copied = 0;                                                  \
				r_->b.last = 1;                                                    \
				r_->h.flags = DP_F_UNREADABLE | DP_F_CUT;                          \
				count_loss(DP_LOSS_READ_FAULT);                                    \
				n_ = 0;                                                            \
				ret_ = -1;                                                         \
			}                                                                          \
			r_->h.size = (__u32)(sizeof(r_->h) + sizeof(r_->b)) + n_;                  \
			capture_submit(r_);                                                        \
		}                                                                                  \
		ret_;                                                                              \
	})

/*
 * Two size classes, the ends of buffers and whole pieces: the verifier walks each of them in every round of
 * the loop, which with four took 575,190 of the 1,000,000 instructions that 6.1 allows.
 */
static __always_inline int emit_piece(const struct dp_copy_state *c, __u64 id, __u16 flags)
{
	if (c->piece.copied <= 256)
		return EMIT_PIECE(c, id, flags, 256);
	return EMIT_PIECE(c, id, flags, DP_SOCK_PIECE_MAX);
}

/* Goes to the vector's next buffer. 0 when there is none or it cannot be read. */
static __always_inline bool next_buffer(struct dp_copy_state *c)
{
	struct iovec v;

	if (!c->vecs || bpf_probe_read_user(&v, sizeof(v), (void *)c->vec))
		return 0;
	c->vec += sizeof(v);
	c->vecs--;
	c->base = v.base;
	c->len = v.len;
	return 1;
}

/* Cuts the next piece off the current buffer; one of no bytes when there is no buffer. */
static __always_inline void next_piece(struct dp_copy_state *c)
{
	__u32 n = c->len > DP_SOCK_PIECE_MAX ? DP_SOCK_PIECE_MAX : (__u32)c->len;

	if (n > c->left)
		n = c->left;
	if (n > DP_SOCK_COPY_MAX - c->piece.offset)
		n = DP_SOCK_COPY_MAX - c->piece.offset;
	c->piece.copied = n;
	c->from = c->base;
	c->base += n;
	c->len -= n;
	c->left -= n;
}

/*
 * What one call has moved, in one capture: the usual case, a frame of some 200 bytes. The length
 * that an earlier call has moved goes before it.
 */
#define EMIT_WHOLE(s, id, t, fd_, dir, from, n, room)                                              \
	({                                                                                         \
		struct {                                                                           \
			struct dp_capture h;                                                       \
			struct dp_sock_data b;                                                     \
			__u64 length;                                                              \
			__u8 bytes[room];                                                          \
		} *r_ = capture_reserve(DP_CAP_SOCK_DATA, sizeof(*r_), t, (id) >> 32,              \
					(__u32)(id));                                              \
		if (r_) {                                                                          \
			__u32 n_ = (n), first_ = (s)->length[dir] ? 8 : 0;                         \
			void *to_ = first_ ? (void *)r_->bytes : (void *)&r_->length;              \
			if (n_ > (room))                                                           \
				n_ = (room);                                                       \
			__builtin_memset(&r_->b, 0, sizeof(r_->b));                                \
			r_->b.conn = (s)->conn;                                                    \
			r_->b.fd = (fd_);                                                          \
			r_->b.direction = (dir);                                                   \
			r_->b.last = 1;                                                            \
			r_->b.total = n_ + first_;                                                 \
			r_->b.copied = n_ + first_;                                                \
			r_->length = (s)->length[dir];                                             \
			if (read_user_bounded(to_, n_, room, from)) {                              \
				r_->b.copied = first_;                                             \
				r_->h.flags = DP_F_UNREADABLE | DP_F_CUT;                          \
				count_loss(DP_LOSS_READ_FAULT);                                    \
			}                                                                          \
			r_->h.size = (__u32)(sizeof(r_->h) + sizeof(r_->b)) + r_->b.copied;        \
			capture_submit(r_);                                                        \
		}                                                                                  \
	})

#define WHOLE_MAX 1024

/* Hands over a length that no call followed yet: what comes next takes another way. */
static __always_inline void emit_length(struct dp_sock_state *s, __u64 id, __s32 fd, __u8 direction,
					__u64 t_ns)
{
	struct {
		struct dp_capture h;
		struct dp_sock_data b;
		__u64 length;
	} *c = capture_reserve(DP_CAP_SOCK_DATA, sizeof(*c), t_ns, id >> 32, (__u32)id);

	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->b.conn = s->conn;
	c->b.fd = fd;
	c->b.total = 8;
	c->b.copied = 8;
	c->b.direction = direction;
	c->b.last = 1;
	c->length = s->length[direction & 1];
	capture_submit(c);
}

/*
 * The length of a frame is a call of its own (dora up to 0.5 sends so, every version receives so):
 * it waits for the next call, which spares every second capture. 1: kept.
 */
static __always_inline bool keep_length(struct dp_sock_state *s, __u8 direction, __u64 buffer)
{
	__u64 length = 0;

	if (s->length[direction & 1] || bpf_probe_read_user(&length, 8, (void *)buffer) ||
	    length < 2 || length > DP_SOCK_LENGTH_MAX)
		return 0;
	s->length[direction & 1] = length;
	return 1;
}

/* Copies the `ret` bytes that a call has moved out of its one buffer; 0: it takes several pieces. */
static __always_inline bool on_small(struct dp_sock_state *s, __u64 id, __s32 fd, __u64 buffer,
				     __u8 direction, long ret, __u64 t_ns)
{
	__u32 dir = direction & 1;

	if (ret > WHOLE_MAX)
		return 0;
	if (ret == 8 && keep_length(s, direction, buffer))
		return 1;
	if (ret <= 64)
		EMIT_WHOLE(s, id, t_ns, fd, dir, buffer, (__u32)ret, 64);
	else if (ret <= 256)
		EMIT_WHOLE(s, id, t_ns, fd, dir, buffer, (__u32)ret, 256);
	else
		EMIT_WHOLE(s, id, t_ns, fd, dir, buffer, (__u32)ret, WHOLE_MAX);
	s->length[dir] = 0;
	return 1;
}

/*
 * The end of a call that was too long to be copied: a frame's last events, such as a Stop behind a
 * backlog of large inputs.
 */
static __always_inline void emit_tail(const struct dp_copy_state *from, __u64 id)
{
	struct {
		struct dp_capture h;
		struct dp_sock_data b;
		__u8 bytes[DP_SOCK_TAIL];
	} *c = capture_reserve(DP_CAP_SOCK_DATA, sizeof(*c), from->t_ns, id >> 32, (__u32)id);

	if (!c)
		return;
	c->b = from->piece;
	c->b.last = 1;
	c->b.offset = c->b.total - DP_SOCK_TAIL;
	c->b.copied = DP_SOCK_TAIL;
	if (bpf_probe_read_user(c->bytes, DP_SOCK_TAIL, (void *)from->tail)) {
		c->b.copied = 0;
		c->h.flags = DP_F_UNREADABLE | DP_F_CUT;
	}
	capture_submit(c);
}

/* When the bytes moved; see the head of this file. */
static __always_inline __u64 moved_ns(const struct dp_sock_state *s, __u32 tid, __u8 direction)
{
	__u64 now = bpf_ktime_get_ns();

	if (direction != DP_TO_DAEMON || s->entered_tid != tid || !s->entered_ns)
		return now;
	return now - s->entered_ns < DP_SEND_BACK_NS ? s->entered_ns : now - DP_SEND_BACK_NS;
}

/* Where the `ret` bytes of a call are, as they are to be copied. */
static __always_inline void copy_begin(struct dp_copy_state *fresh, __u64 buffer, __u64 vecs,
				       bool is_vec, long ret)
{
	fresh->piece.total = (__u32)ret;
	fresh->left = (__u32)ret;
	fresh->closes = 1;
	if (is_vec) {
		fresh->vec = buffer;
		fresh->vecs = vecs > IOVECS_MAX ? IOVECS_MAX : (__u32)vecs;
	} else {
		fresh->base = buffer;
		fresh->len = (__u32)ret;
		/* Kept in the map, and copied without a branch: the verifier need not walk the loop for both. */
		if (ret > DP_SOCK_COPY_MAX + DP_SOCK_TAIL) {
			fresh->tail = buffer + (__u32)ret - DP_SOCK_TAIL;
			fresh->closes = 0;
		}
	}
}

/* One piece, or the way to the next buffer; `is_end`: no round is left after it. Is it the end? */
static __always_inline bool copy_piece(struct dp_copy_state *c, __u64 id, bool is_end)
{
	__u16 flags = 0;

	if (!c->len && next_buffer(c))
		return 0;
	next_piece(c);
	/* The last piece: all is there, or the limit or an unreadable vector cuts here. */
	if (!c->left || !c->piece.copied || is_end ||
	    c->piece.offset + c->piece.copied >= DP_SOCK_COPY_MAX) {
		c->piece.last = c->closes;
		c->ended = 1;
		/* No loss yet: the decoder knows whether it wanted what lies there. */
		if (c->left)
			flags = DP_F_CUT;
	}
	if (emit_piece(c, id, flags) || c->ended)
		return 1;
	c->piece.offset += c->piece.copied;
	return 0;
}

#ifdef HAS_LOOP_HELPER
struct copying {
	struct dp_copy_state *c;
	__u64 id;
};

static long copy_round(__u32 i, void *ctx)
{
	const struct copying *w = ctx;

	return copy_piece(w->c, w->id, i == PIECES_MAX - 1);
}

/*
 * By the kernel's loop (bpf_loop, 5.17, commit e6f2dd0f8067), whose body the verifier walks a few times instead of once a
 * round: 60,500 instructions of each of the two programs became 3,500 on 6.18.
 */
static __always_inline void copy_pieces(struct dp_copy_state *c, __u64 id)
{
	struct copying w = {c, id};

	bpf_loop(PIECES_MAX, copy_round, &w, 0);
}
#else
static __always_inline void copy_pieces(struct dp_copy_state *c, __u64 id)
{
	for (int i = 0; i < PIECES_MAX; i++)
		if (copy_piece(c, id, i == PIECES_MAX - 1))
			break;
}
#endif

/*
 * Is its process left alone, since it moves bytes too often? Then what was kept of a frame's beginning is of no use:
 * its rest goes by unseen.
 */
static __always_inline bool socket_is_resting(struct dp_sock_state *s, __u32 tgid)
{
	if (!is_resting(tgid, DP_SOURCE_SOCKET))
		return 0;
	s->length[0] = 0;
	s->length[1] = 0;
	return 1;
}

/* Copies the `ret` bytes that a call on a marked socket has moved out of its buffers. */
static __always_inline void on_data(struct dp_sock_state *s, __u64 id, __s32 fd, __u64 buffer,
				    __u64 vecs, bool is_vec, __u8 direction, long ret)
{
	struct dp_copy_state *c, fresh = {};
	__u32 tid = (__u32)id;

	if (ret <= 0 || ret > 0x7fffffff)
		return;
	fresh.t_ns = moved_ns(s, tid, direction);
	if (!is_vec && on_small(s, id, fd, buffer, direction, ret, fresh.t_ns))
		return;
	if (s->length[direction & 1]) {
		emit_length(s, id, fd, direction, fresh.t_ns);
		s->length[direction & 1] = 0;
	}
	fresh.piece.conn = s->conn;
	fresh.piece.fd = fd;
	fresh.piece.direction = direction;
	copy_begin(&fresh, buffer, vecs, is_vec, ret);
	if (bpf_map_update_elem(&copies, &tid, &fresh, BPF_ANY)) {
		count_loss(DP_LOSS_MAP_FULL);
		return;
	}
	c = bpf_map_lookup_elem(&copies, &tid);
	if (!c)
		return;
	copy_pieces(c, id);
	if (c->tail)
		emit_tail(c, id);
	bpf_map_delete_elem(&copies, &tid);
}

#endif
