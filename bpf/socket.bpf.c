// SPDX-License-Identifier: MIT
/*
 * The bytes between a node and its daemon. A socket is marked at connect (or by the agent, when it
 * was open before), its bytes are copied when the call has returned: only then is it known how many
 * there are, and both a received and a sent buffer are still in place.
 *
 * Time of a capture: of a receive, when the call returned; of a send, when it was entered, because
 * the daemon may have read the frame and answered before the sender is back from the kernel.
 *
 * Not seen: sendmmsg, recvmmsg, splice, sendfile, io_uring, and close_range. dora's node library
 * (Rust std::net) uses none of them.
 */
#include "socket_copy.bpf.h"
#include "syscall.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define EINPROGRESS     115
#define F_DUPFD         0
#define F_DUPFD_CLOEXEC 1030

/* 0, or negative when the address could not be read. */
static __always_inline long read_address(struct dp_sock_connect *b, __u64 addr, __u64 len)
{
	long err = bpf_probe_read_user(&b->family, sizeof(b->family), (void *)addr);

	if (err)
		return err;
	if (b->family == AF_UNIX) {
		/* The path need not end in a NUL; an abstract one begins with it. */
		if (len <= 2)
			return 0;
		return read_user_bounded(b->addr, len - 2, DP_SOCK_ADDR_MAX - 1, addr + 2);
	}
	err = bpf_probe_read_user(&b->port, sizeof(b->port), (void *)(addr + 2));
	b->port = __builtin_bswap16(b->port);
	if (!err && b->family == AF_INET)
		err = bpf_probe_read_user(b->addr, 4, (void *)(addr + 4));
	else if (!err && b->family == AF_INET6)
		err = bpf_probe_read_user(b->addr, 16, (void *)(addr + 8));
	return err;
}

static __always_inline void on_connect(__u64 id, int fd, __u64 addr, __u64 len, long ret)
{
	struct {
		struct dp_capture h;
		struct dp_sock_connect b;
	} * c;
	struct dp_sock_connect b = {.fd = fd};
	struct dp_sock_key key = {.pid = id >> 32, .fd = fd};
	struct dp_sock_state s = {};
	struct dp_cpu_state *cpu = this_cpu();
	struct dp_target *t = target_of(id >> 32);

	/* A nonblocking connect is under way; what comes next on the socket is its data. */
	if (!t || !cpu || !t->watch_sockets || !t->by_calls ||
	    t->resting & 1u << DP_SOURCE_SOCKET || (ret != 0 && ret != -EINPROGRESS))
		return;
	if (read_address(&b, addr, len)) {
		count_loss(DP_LOSS_READ_FAULT);
		return;
	}
	/* A mark that is still there is of a socket whose end was not seen. */
	socket_unmark(id >> 32, (__u32)id, fd, CLOSE_REPLACED);
	if (!is_daemon(t, &b))
		return;
	found_daemon(t);
	s.conn = (__u64)(bpf_get_smp_processor_id() + 1) << 48 | bump(&cpu->conns);
	b.conn = s.conn;
	if (bpf_map_update_elem(&sockets, &key, &s, BPF_ANY)) {
		count_loss(DP_LOSS_MAP_FULL);
		return;
	}
	c = capture_reserve(DP_CAP_SOCK_CONNECT, sizeof(*c), bpf_ktime_get_ns(), id >> 32,
			    (__u32)id);
	if (!c)
		return;
	c->b = b;
	capture_submit(c);
}

/* Are the connections of the process followed here, not by tracepoints? */
static __always_inline bool by_calls(__u32 tgid)
{
	struct dp_target *t = target_of(tgid);

	return t && t->by_calls;
}

/* A duplicate of a marked descriptor is marked; what it replaced is gone. */
static __always_inline void on_dup(__u64 id, __s32 from, __s32 to)
{
	struct dp_sock_key key = {.pid = id >> 32, .fd = from};
	struct dp_sock_state *s, copy = {};
	__u32 *fds, two = 2;

	if (to < 0 || to == from || !by_calls(key.pid))
		return;
	socket_unmark(key.pid, (__u32)id, to, CLOSE_REPLACED);
	s = bpf_map_lookup_elem(&sockets, &key);
	if (!s)
		return;
	copy.conn = s->conn;
	key.fd = to;
	if (bpf_map_update_elem(&sockets, &key, &copy, BPF_ANY)) {
		count_loss(DP_LOSS_MAP_FULL);
		return;
	}
	fds = bpf_map_lookup_elem(&conn_fds, &copy.conn);
	if (fds)
		*fds += 1;
	else if (bpf_map_update_elem(&conn_fds, &copy.conn, &two, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

/* The descriptor stays, and may still be read from: the mark stays too. */
static __always_inline void on_shutdown(__u64 id, __s32 fd)
{
	struct dp_sock_key key = {.pid = id >> 32, .fd = fd};
	struct dp_sock_state *s = bpf_map_lookup_elem(&sockets, &key);

	if (s && !s->traced)
		emit_close(s->conn, key.pid, (__u32)id, fd, CLOSE_SHUTDOWN);
}

/*
 * close, before it is done: afterwards another thread may already have got the same descriptor. And
 * the time at which a send is entered.
 */
static __always_inline void socket_call(const struct pt_regs *regs, long nr)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct dp_sock_key key = {.pid = id >> 32, .fd = (__s32)arg(regs, 0)};
	struct dp_sock_state *s;

	s = bpf_map_lookup_elem(&sockets, &key);
	if (nr == NR_CLOSE) {
		if (s && !s->traced)
			socket_unmark(key.pid, (__u32)id, key.fd, CLOSE_CLOSE);
		bpf_map_delete_elem(&region_fds, &key);
		return;
	}
	if (!s || s->traced)
		return;
	s->entered_tid = (__u32)id;
	s->entered_ns = bpf_ktime_get_ns();
}

SEC("tp_btf/sys_enter")
int BPF_PROG(dp_socket_enter, struct pt_regs *regs, long nr)
{
	keep_cpu();
	socket_call(regs, nr);
	give_cpu();
	return 0;
}

static __always_inline void socket_return(const struct pt_regs *regs, long ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	__s32 fd = (__s32)arg(regs, 0);
	__u64 second = arg(regs, 1), third = arg(regs, 2), vecs = third;
	struct dp_sock_key key = {.pid = id >> 32, .fd = fd};
	__u8 direction = DP_TO_DAEMON;
	struct dp_sock_state *s;
	bool is_vec = 0;
	struct user_msghdr m = {};
	long nr = syscall_nr(regs);

	switch (nr) {
	case NR_CONNECT:
		on_connect(id, fd, second, third, ret);
		return;
	case NR_SHUTDOWN:
		if (!ret)
			on_shutdown(id, fd);
		return;
	case NR_FCNTL:
		if (second != F_DUPFD && second != F_DUPFD_CLOEXEC)
			return;
		on_dup(id, fd, (__s32)ret);
		return;
	case NR_DUP:
	case NR_DUP2:
	case NR_DUP3:
		on_dup(id, fd, (__s32)ret);
		return;
	}
	s = bpf_map_lookup_elem(&sockets, &key);
	if (!s || s->traced || socket_is_resting(s, key.pid))
		return;
	switch (nr) {
	case NR_READ:
	case NR_READV:
	case NR_RECVFROM:
	case NR_RECVMSG:
		direction = DP_FROM_DAEMON;
	}
	/* Peeked bytes are received again; urgent ones are not of the stream. */
	if ((nr == NR_RECVFROM && arg(regs, 3) & (MSG_PEEK | MSG_OOB)) ||
	    (nr == NR_RECVMSG && third & (MSG_PEEK | MSG_OOB)))
		return;
	if (nr == NR_SENDMSG || nr == NR_RECVMSG) {
		if (bpf_probe_read_user(&m, sizeof(m), (void *)second))
			count_loss(DP_LOSS_READ_FAULT);
		second = (__u64)m.iov;
		vecs = m.iovlen;
		is_vec = 1;
	}
	if (nr == NR_WRITEV || nr == NR_READV)
		is_vec = 1;
	on_data(s, id, fd, second, vecs, is_vec, direction, ret);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(dp_socket_exit, struct pt_regs *regs, long ret)
{
	keep_cpu();
	socket_return(regs, ret);
	give_cpu();
	return 0;
}
