/* SPDX-License-Identifier: MIT */
/* Marked sockets: their map entries and the end of a connection, for socket and lifecycle. */
#ifndef DORA_PROBE_SOCKET_BPF_H
#define DORA_PROBE_SOCKET_BPF_H

#include "emit.bpf.h"

enum { CLOSE_CLOSE, CLOSE_SHUTDOWN, CLOSE_EXIT, CLOSE_REPLACED };

static __always_inline void emit_close(__u64 conn, __u32 tgid, __u32 tid, __s32 fd, __u32 how)
{
	struct {
		struct dp_capture h;
		struct dp_sock_close b;
	} *c = capture_reserve(DP_CAP_SOCK_CLOSE, sizeof(*c), bpf_ktime_get_ns(), tgid, tid);

	if (!c)
		return;
	c->b.conn = conn;
	c->b.fd = fd;
	c->b.how = how;
	capture_submit(c);
}

/* One descriptor of a marked socket goes; the connection is closed with its last one. */
static __always_inline void socket_unmark(__u32 tgid, __u32 tid, __s32 fd, __u32 how)
{
	struct dp_sock_key key = {.pid = tgid, .fd = fd};
	struct dp_sock_state *s = bpf_map_lookup_elem(&sockets, &key);
	__u64 conn, sock;
	__u32 *fds;

	if (!s)
		return;
	conn = s->conn;
	sock = s->sock;
	bpf_map_delete_elem(&sockets, &key);
	if (sock)
		bpf_map_delete_elem(&streams, &sock);
	fds = bpf_map_lookup_elem(&conn_fds, &conn);
	if (fds && *fds > 1) {
		*fds -= 1;
		return;
	}
	if (fds)
		bpf_map_delete_elem(&conn_fds, &conn);
	emit_close(conn, tgid, tid, fd, how);
}

#endif
