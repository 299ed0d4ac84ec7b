// SPDX-License-Identifier: MIT
/* Sockets by the kernel's own table (sockdiag.h). */
#include "sense/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/procfile.h"
#include "base/units.h"

#define LOOKED_MAX  (1u << 20)
#define LOOK_NS     (300 * MS)
#define ANSWER_SIZE (32 * 1024) /* what the kernel puts into one answer of a dump at most */

void dp_sockets_add(struct dp_sockets *s, uint64_t inode)
{
	if (!inode)
		return;
	if (s->count == DP_CLIENTS_MAX)
		s->incomplete = true;
	else
		s->inode[s->count++] = inode;
}

bool dp_sockets_has(const struct dp_sockets *s, uint64_t inode)
{
	for (int i = 0; inode && i < s->count; i++)
		if (s->inode[i] == inode)
			return true;
	return false;
}

/* ---- a netlink socket in the namespace of another process --------------------------------------- */

static int netlink(void)
{
	/* An answer comes at once or not at all: a limit against a kernel that does neither. */
	const struct timeval limit = {.tv_usec = 300000};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? -ENOTSUP : -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

struct elsewhere {
	int ns; /* descriptor of the network namespace */
	int fd; /* the socket made there, or -errno */
};

/* The namespace belongs to the thread: one that ends after this leaves the others where they are. */
static void *netlink_elsewhere(void *ctx)
{
	struct elsewhere *e = ctx;

	e->fd = setns(e->ns, CLONE_NEWNET) < 0 ? -errno : netlink();
	return NULL;
}

/* A socket whose answers are about the network namespace of `pid`; or -errno. */
static int netlink_of(pid_t pid)
{
	struct elsewhere e = {.fd = -EIO};
	struct stat here, there;
	pthread_t thread;
	int err;

	e.ns = dp_procfile_open("/proc", pid, "ns/net", O_RDONLY);
	if (e.ns < 0)
		return e.ns;
	if (fstat(e.ns, &there) == 0 && stat("/proc/thread-self/ns/net", &here) == 0 &&
	    there.st_ino == here.st_ino && there.st_dev == here.st_dev) {
		e.fd = netlink();
	} else {
		err = pthread_create(&thread, NULL, netlink_elsewhere, &e);
		if (err)
			e.fd = -err;
		else
			pthread_join(thread, NULL);
	}
	close(e.ns);
	return e.fd;
}

/* ---- dumps -------------------------------------------------------------------------------------- */

struct dump {
	const struct dp_node_config *config;
	bool listening; /* the listener is wanted, not its clients */
	struct dp_sockets found;
	unsigned int looked;
	uint64_t until_ns;
	void (*one)(struct dump *d, const struct nlmsghdr *h);
};

static bool is_out_of_time(const struct dump *d)
{
	return d->looked >= LOOKED_MAX || dp_now() >= d->until_ns;
}

/* The messages of one answer. 1: another answer follows; 0 that was the end; -errno. */
static int messages(struct dump *d, const struct nlmsghdr *h, ssize_t n)
{
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EIO : e->error;
		d->looked++;
		d->one(d, h);
	}
	return 1;
}

/* Reads the answers of a dump to its end, or up to its limits. 0 or -errno. */
static int answers(int fd, struct dump *d)
{
	_Alignas(struct nlmsghdr) static char buf[ANSWER_SIZE];
	int err;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0 || is_out_of_time(d)) {
			d->found.incomplete = true;
			return 0;
		}
		err = messages(d, (const void *)buf, n);
		if (err <= 0)
			return err;
	}
}

static int ask(int fd, void *request, size_t len, struct dump *d)
{
	struct nlmsghdr *h = request;
	int err;

	h->nlmsg_len = (uint32_t)len;
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (send(fd, request, len, 0) < 0)
		return -errno;
	err = answers(fd, d);
	/* A family whose module is not there: unix_diag and tcp_diag may be built as such. */
	return err == -ENOENT || err == -EINVAL ? -ENOTSUP : err;
}

/* Inodes in an attribute, all of them clients of the daemon. */
static void add_inodes(struct dp_sockets *s, const struct rtattr *a)
{
	uint32_t inode;

	for (size_t at = 0; at + sizeof(inode) <= RTA_PAYLOAD(a); at += sizeof(inode)) {
		memcpy(&inode, (const char *)RTA_DATA(a) + at, sizeof(inode));
		dp_sockets_add(s, inode);
	}
}

/*
 * The daemon's ends have the listener's path, its clients have none, and each end tells the inode of
 * the other; the listener tells those of the clients that it has not accepted yet.
 */
static void one_unix(struct dump *d, const struct nlmsghdr *h)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const char *path = d->config->socket_path;
	const struct rtattr *clients = NULL;
	bool is_daemons = false;
	size_t left;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->udiag_type != SOCK_STREAM)
		return;
	left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	for (const struct rtattr *a = (const void *)(m + 1); RTA_OK(a, left);) {
		size_t len = RTA_PAYLOAD(a), step = RTA_ALIGN(a->rta_len);

		if (a->rta_type == UNIX_DIAG_NAME)
			is_daemons = strnlen(RTA_DATA(a), len) == strlen(path) &&
				     memcmp(RTA_DATA(a), path, strlen(path)) == 0;
		else if (a->rta_type == UNIX_DIAG_PEER || a->rta_type == UNIX_DIAG_ICONS)
			clients = a;
		/* The last one may lack what fills it up to its alignment. */
		left -= step < left ? step : left;
		a = (const void *)((const char *)a + step);
	}
	if (is_daemons && clients)
		add_inodes(&d->found, clients);
}

static int ask_unix(int fd, struct dump *d)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} q = {.r = {.sdiag_family = AF_UNIX,
		     .udiag_states = 1u << TCP_ESTABLISHED | 1u << TCP_LISTEN,
		     .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS}};

	d->one = one_unix;
	return ask(fd, &q, sizeof(q), d);
}

/* Is the peer, or the socket itself, the listener? Its port was the kernel's to compare. */
static void one_inet(struct dump *d, const struct nlmsghdr *h)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:a.b.c.d */
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	const struct dp_node_config *c = d->config;
	const uint8_t *addr;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    ntohs(d->listening ? m->id.idiag_sport : m->id.idiag_dport) != c->port)
		return;
	addr = (const uint8_t *)(d->listening ? m->id.idiag_src : m->id.idiag_dst);
	if (m->idiag_family == AF_INET6 && c->family == AF_INET) {
		if (memcmp(addr, mapped, sizeof(mapped)) != 0)
			return;
		addr += sizeof(mapped);
	} else if (m->idiag_family != c->family) {
		return;
	}
	if (memcmp(addr, c->addr, c->family == AF_INET ? 4 : 16) == 0)
		dp_sockets_add(&d->found, m->idiag_inode);
}

static int ask_inet(int fd, uint8_t family, struct dump *d)
{
	/* Of any address, with this port; what is not goes to the end of the code + 4. */
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
		struct rtattr a;
		struct inet_diag_bc_op op;
		struct inet_diag_hostcond cond;
	} q = {
		.r = {.sdiag_family = family,
		      .sdiag_protocol = IPPROTO_TCP,
		      .idiag_states = d->listening ? 1u << TCP_LISTEN
						   : ~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT)},
		.a = {.rta_len = RTA_LENGTH(sizeof(q.op) + sizeof(q.cond)),
		      .rta_type = INET_DIAG_REQ_BYTECODE},
		.op = {.code = d->listening ? INET_DIAG_BC_S_COND : INET_DIAG_BC_D_COND,
		       .yes = sizeof(q.op) + sizeof(q.cond),
		       .no = sizeof(q.op) + sizeof(q.cond) + 4},
		.cond = {.family = AF_UNSPEC, .port = d->config->port},
	};

	d->one = one_inet;
	return ask(fd, &q, sizeof(q), d);
}

static int ask_tcp(int fd, struct dump *d)
{
	int err = 0;

	if (d->config->family == AF_INET)
		err = ask_inet(fd, AF_INET, d);
	if (err)
		return err;
	/* An IPv4 address may be talked to by an IPv6 socket, where the kernel has those. */
	err = ask_inet(fd, AF_INET6, d);
	return err == -ENOTSUP && d->config->family == AF_INET ? 0 : err;
}

static int search(pid_t pid, struct dump *d, struct dp_sockets *ret)
{
	int fd = netlink_of(pid), err = 0;

	if (fd < 0)
		return fd;
	d->until_ns = dp_now() + LOOK_NS;
	if (d->config->family == AF_UNIX)
		err = ask_unix(fd, d);
	else if (d->config->family)
		err = ask_tcp(fd, d);
	close(fd);
	if (!err)
		*ret = d->found;
	return err;
}

int dp_sockdiag_clients(pid_t pid, const struct dp_node_config *config, struct dp_sockets *ret)
{
	struct dump d = {.config = config};

	return search(pid, &d, ret);
}

int dp_sockdiag_listener(pid_t pid, const struct dp_node_config *config, struct dp_sockets *ret)
{
	struct dump d = {.config = config, .listening = true};

	if (config->family != AF_INET && config->family != AF_INET6)
		return -ENOTSUP;
	return search(pid, &d, ret);
}

int dp_sockdiag_answer(const void *bytes, size_t len, const struct dp_node_config *config,
		       struct dp_sockets *ret)
{
	struct dump d = {.config = config,
			 .found = *ret,
			 .until_ns = UINT64_MAX,
			 .one = config->family == AF_UNIX ? one_unix : one_inet};
	int err = messages(&d, bytes, (ssize_t)len);

	if (err >= 0)
		*ret = d.found;
	return err;
}
