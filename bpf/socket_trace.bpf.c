// SPDX-License-Identifier: MIT
/*
 * The same as socket.bpf.c, by tracepoints that fire only where a socket has moved bytes or changed its
 * state, so that no other system call of the machine pays for it. TCP alone: nothing tells of the end of
 * a unix socket. They are of 6.3 (commit 6e6eda44b939, sock_send_length and sock_recv_length).
 *
 * A connection is keyed by its struct sock, of which each duplicate of a descriptor is the same. Who uses
 * it is in a system call, whose saved registers say where the buffer is. What has moved by a way without
 * such a call (io_uring, sendmmsg, splice) is told with its length and without its bytes.
 */
/* Kernels that have these tracepoints have it. */
#define HAS_LOOP_HELPER
#include "socket_copy.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define IPPROTO_TCP 6

/* include/net/tcp_states.h */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_FIN_WAIT1 = 4, TCP_LAST_ACK = 9 };

/* Where the bytes of the call are: one buffer, or a vector of them. */
struct buffers {
	__u64 at;
	__u64 vecs;
	bool is_vec;
};

/* 0, or negative where the call says nothing of a buffer. */
static __always_inline int buffers_of(const struct pt_regs *regs, struct buffers *ret)
{
	struct user_msghdr m = {};

	ret->at = arg(regs, 1);
	ret->vecs = arg(regs, 2);
	ret->is_vec = 0;
	switch (syscall_nr(regs)) {
	case NR_READ:
	case NR_WRITE:
	case NR_SENDTO:
	case NR_RECVFROM:
		return 0;
	case NR_READV:
	case NR_WRITEV:
		ret->is_vec = 1;
		return 0;
	case NR_SENDMSG:
	case NR_RECVMSG:
		if (bpf_probe_read_user(&m, sizeof(m), (void *)ret->at))
			return -1;
		ret->at = (__u64)m.iov;
		ret->vecs = m.iovlen;
		ret->is_vec = 1;
		return 0;
	}
	return -1;
}

/* Is this the socket of that descriptor? One that a ring (io_uring) uses need not be the call's. */
static __always_inline bool is_socket_of(struct task_struct *task, __s32 fd, __u64 sk)
{
	struct file *file = file_of(task, fd);
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return file && (__u64)BPF_CORE_READ(socket, sk) == sk;
}

/* The agent has marked the descriptor of a connection that was open before: this is its socket. */
static __always_inline struct dp_sock_state *adopt(__u64 sk, __u32 tgid, __s32 fd)
{
	struct dp_sock_key key = {.pid = tgid, .fd = fd};
	struct dp_sock_state *mark = bpf_map_lookup_elem(&sockets, &key), s = {};

	if (!mark || !mark->traced || mark->sock)
		return 0;
	s.conn = mark->conn;
	s.traced = 1;
	s.sock = sk;
	s.pid = tgid;
	s.fd = fd;
	s.established = 1;
	if (bpf_map_update_elem(&streams, &sk, &s, BPF_ANY)) {
		count_loss(DP_LOSS_MAP_FULL);
		return 0;
	}
	mark->sock = sk;
	return bpf_map_lookup_elem(&streams, &sk);
}

/* Its bytes cannot be found: the decoder goes on behind them. */
static __always_inline void emit_unread(struct dp_sock_state *s, __u64 id, __u8 direction,
					__u32 total, __u64 t_ns)
{
	struct {
		struct dp_capture h;
		struct dp_sock_data b;
	} * c;
	__u32 dir = direction & 1;

	if (s->length[dir])
		emit_length(s, id, s->fd, direction, t_ns);
	s->length[dir] = 0;
	count_loss(DP_LOSS_READ_FAULT);
	c = capture_reserve(DP_CAP_SOCK_DATA, sizeof(*c), t_ns, id >> 32, (__u32)id);
	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	c->h.flags = DP_F_UNREADABLE | DP_F_CUT;
	c->b.conn = s->conn;
	c->b.total = total;
	c->b.fd = s->fd;
	c->b.direction = direction;
	c->b.last = 1;
	capture_submit(c);
}

/*
 * Bytes have moved over a socket: the one way for both directions. A function of its own, which the
 * verifier walks once.
 */
__noinline int socket_moved(__u64 sk, __u32 length, __u32 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 id = bpf_get_current_pid_tgid(), t_ns;
	struct pt_regs *regs = task_regs(task);
	__s32 fd = (__s32)arg(regs, 0);
	struct buffers at = {};
	struct dp_sock_state *s;

	s = bpf_map_lookup_elem(&streams, &sk);
	if (!s)
		s = adopt(sk, id >> 32, fd);
	/* A child that was forked uses it: the connection stays its parent's. */
	if (!s || s->pid != id >> 32 || socket_is_resting(s, id >> 32))
		return 0;
	if (!length)
		goto done;
	if (buffers_of(regs, &at) || (fd != s->fd && !is_socket_of(task, fd, sk))) {
		t_ns = bpf_ktime_get_ns();
		emit_unread(s, id, direction & 1, length, t_ns);
		goto done;
	}
	s->fd = fd;
	on_data(s, id, fd, at.at, at.vecs, at.is_vec, direction & 1, length);
done:
	if (direction == DP_TO_DAEMON)
		s->entered_ns = 0;
	return 0;
}

/* The pointer as a number, which alone may be handed to a function of its own. */
static __always_inline __u64 number_of(const struct sock *sk)
{
	__u64 stored = (__u64)sk, ret = 0;

	bpf_probe_read_kernel(&ret, sizeof(ret), &stored);
	return ret;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(dp_sock_send, struct sock *sk, int ret, int flags)
{
	if (maybe_watched(bpf_get_current_pid_tgid() >> 32) &&
	    sk->__sk_common.skc_family != AF_UNIX) {
		keep_cpu();
		socket_moved(number_of(sk), ret > 0 ? (__u32)ret : 0, DP_TO_DAEMON);
		give_cpu();
	}
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(dp_sock_recv, struct sock *sk, int ret, int flags)
{
	/* Peeked bytes are received again; urgent ones are not of the stream. */
	if (ret > 0 && maybe_watched(bpf_get_current_pid_tgid() >> 32) &&
	    !(flags & (MSG_PEEK | MSG_OOB)) && sk->__sk_common.skc_family != AF_UNIX) {
		keep_cpu();
		socket_moved(number_of(sk), (__u32)ret, DP_FROM_DAEMON);
		give_cpu();
	}
	return 0;
}

static __always_inline void peer_of(const struct sock *sk, struct dp_sock_connect *b)
{
	b->family = sk->__sk_common.skc_family;
	b->port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (b->family == AF_INET)
		bpf_probe_read_kernel(b->addr, 4, &sk->__sk_common.skc_daddr);
	else if (b->family == AF_INET6)
		bpf_probe_read_kernel(b->addr, 16, &sk->__sk_common.skc_v6_daddr);
}

/* A connect of a watched process has begun; the peer's address is in place (tcp_v4_connect). */
static __always_inline void on_syn_sent(const struct sock *sk)
{
	__u64 key = (__u64)sk, id = bpf_get_current_pid_tgid();
	struct dp_target *t = target_of(id >> 32);
	struct dp_cpu_state *cpu = this_cpu();
	struct dp_sock_connect b = {};
	struct dp_sock_state s = {.traced = 1, .sock = key, .pid = id >> 32, .tid = (__u32)id};

	if (!t || !cpu || !t->watch_sockets || t->by_calls || sk->sk_protocol != IPPROTO_TCP ||
	    t->resting & 1u << DP_SOURCE_SOCKET)
		return;
	peer_of(sk, &b);
	if (!is_daemon(t, &b))
		return;
	found_daemon(t);
	s.fd = (__s32)arg(task_regs(bpf_get_current_task_btf()), 0);
	s.conn = (__u64)(bpf_get_smp_processor_id() + 1) << 48 | bump(&cpu->conns);
	if (bpf_map_update_elem(&streams, &key, &s, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

/* It is through, in whatever context the answer came. */
static __always_inline void on_established(const struct sock *sk)
{
	struct {
		struct dp_capture h;
		struct dp_sock_connect b;
	} * c;
	__u64 key = (__u64)sk;
	struct dp_sock_state *s = bpf_map_lookup_elem(&streams, &key), mark;
	struct dp_sock_key at;

	if (!s || s->established)
		return;
	s->established = 1;
	at.pid = s->pid;
	at.fd = s->fd;
	mark = *s;
	/* A mark that is still there is of a socket whose end was not seen. */
	socket_unmark(at.pid, s->tid, at.fd, CLOSE_REPLACED);
	if (bpf_map_update_elem(&sockets, &at, &mark, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
	c = capture_reserve(DP_CAP_SOCK_CONNECT, sizeof(*c), bpf_ktime_get_ns(), mark.pid,
			    mark.tid);
	if (!c)
		return;
	__builtin_memset(&c->b, 0, sizeof(c->b));
	peer_of(sk, &c->b);
	c->b.conn = mark.conn;
	c->b.fd = mark.fd;
	capture_submit(c);
}

/* The connection is over; its mark goes, unless its descriptor is another's by now. */
static __always_inline void end_stream(__u64 sk, struct dp_sock_state *s, __u32 tid, __s32 fd,
				       __u32 how)
{
	struct dp_sock_key at = {.pid = s->pid, .fd = s->fd};
	struct dp_sock_state *mark = bpf_map_lookup_elem(&sockets, &at);
	__u64 conn = s->conn;
	bool told = s->established;

	bpf_map_delete_elem(&streams, &sk);
	if (mark && mark->sock == sk)
		bpf_map_delete_elem(&sockets, &at);
	if (told)
		emit_close(conn, at.pid, tid, fd < 0 ? at.fd : fd, how);
}

/* The descriptor that the call of these registers closes or replaces; negative none. */
static __always_inline __s32 closing_fd(const struct pt_regs *regs)
{
	switch (syscall_nr(regs)) {
	case NR_CLOSE:
		return (__s32)arg(regs, 0);
	case NR_DUP2:
	case NR_DUP3:
		return (__s32)arg(regs, 1);
	}
	return -1;
}

/* This side has said its last: shutdown, or the last descriptor is gone. */
static __always_inline void on_local_end(__u64 sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct dp_sock_state *s = bpf_map_lookup_elem(&streams, &sk), *mark;
	__u64 id = bpf_get_current_pid_tgid();
	struct pt_regs *regs = task_regs(task);
	struct dp_sock_key at = {.pid = id >> 32, .fd = closing_fd(regs)};
	long nr = syscall_nr(regs);

	if (s && s->pid == id >> 32) {
		if (nr == NR_SHUTDOWN)
			emit_close(s->conn, s->pid, (__u32)id, (__s32)arg(regs, 0), CLOSE_SHUTDOWN);
		else
			end_stream(sk, s, (__u32)id, at.fd,
				   task->flags & PF_EXITING ? CLOSE_EXIT
				   : nr == NR_CLOSE         ? CLOSE_CLOSE
							    : CLOSE_REPLACED);
		return;
	}
	/* One that the agent has marked, and that nothing has passed on. */
	if (s || at.fd < 0)
		return;
	mark = bpf_map_lookup_elem(&sockets, &at);
	if (mark && mark->traced && !mark->sock)
		socket_unmark(at.pid, (__u32)id, at.fd,
			      nr == NR_CLOSE ? CLOSE_CLOSE : CLOSE_REPLACED);
}

static __always_inline void state_set(const struct sock *sk, int oldstate, int newstate)
{
	if (newstate == TCP_SYN_SENT)
		on_syn_sent(sk);
	else if (newstate == TCP_ESTABLISHED && oldstate == TCP_SYN_SENT)
		on_established(sk);
	else if (newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK)
		on_local_end((__u64)sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(dp_sock_state, const struct sock *sk, int oldstate, int newstate)
{
	keep_cpu();
	state_set(sk, oldstate, newstate);
	give_cpu();
	return 0;
}

/* What ends without a word to the peer: reset before, or with bytes unread. */
static __always_inline void destroyed(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct dp_sock_state *s = bpf_map_lookup_elem(&streams, &key);

	__u64 id = bpf_get_current_pid_tgid();
	__s32 fd = -1;

	if (!s)
		return;
	if (s->pid == id >> 32)
		fd = closing_fd(task_regs(bpf_get_current_task_btf()));
	end_stream(key, s, (__u32)id, fd, CLOSE_CLOSE);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(dp_sock_destroy, struct sock *sk)
{
	keep_cpu();
	destroyed(sk);
	give_cpu();
	return 0;
}
