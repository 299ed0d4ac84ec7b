// SPDX-License-Identifier: MIT
/* Signals to the right thread; see hands.h. */
#include "act/hands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decide/sentence.h"
#include "dora_probe/rights.h"

/*
 * Linux 6.9 (64bef697d33b "pidfd: implement PIDFD_THREAD flag for pidfd_open()"); it equals O_EXCL,
 * and glibc 2.36 has no name for it.
 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#define THREADS_MAX 4

struct thread {
	pid_t tid;
	int fd; /* -1: the kernel has no pidfds of threads */
};

struct target {
	pid_t pid; /* 0: free */
	uint64_t start_time;
	int fd; /* process pidfd; -1: the kernel has none (before 5.3) */
	int lock_fd;
	unsigned int next; /* thread slot to be given up next */
	struct thread threads[THREADS_MAX];
};

struct dp_hands {
	bool no_thread_pidfd;
	char proc[128];
	char lock_dir[128];
	struct target targets[DP_MAX_TARGETS];
};

static int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int sys_pidfd_send_signal(int fd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

int dp_hands_new(const struct dp_hands_options *o, struct dp_hands **ret)
{
	struct dp_hands *h;

	if ((o->lock_dir && strlen(o->lock_dir) >= sizeof(h->lock_dir)) ||
	    (o->proc && strlen(o->proc) >= sizeof(h->proc)))
		return -ENAMETOOLONG;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->no_thread_pidfd = o->no_thread_pidfd;
	snprintf(h->proc, sizeof(h->proc), "%s", o->proc ? o->proc : "/proc");
	if (o->lock_dir)
		snprintf(h->lock_dir, sizeof(h->lock_dir), "%s", o->lock_dir);
	else if (geteuid() == 0)
		snprintf(h->lock_dir, sizeof(h->lock_dir), "/run/dora-probe");
	else
		snprintf(h->lock_dir, sizeof(h->lock_dir), "/run/user/%u/dora-probe",
			 (unsigned int)geteuid());
	*ret = h;
	return 0;
}

/* ---- who is who -------------------------------------------------------------------------- */

/* Reads a small file of /proc whole. Returns its length, NUL-terminated, or -errno. */
static ssize_t read_proc(const char *path, char *buf, size_t len)
{
	ssize_t n, got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((size_t)got < len - 1) {
		n = read(fd, buf + got, len - 1 - (size_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* ESRCH: the task left between open and read. */
			got = -errno;
			break;
		}
		if (n == 0)
			break;
		got += n;
	}
	close(fd);
	if (got >= 0)
		buf[got] = '\0';
	return got;
}

/*
 * State (field 3) and start time (field 22) of a task's stat. The name in field 2 is the target's
 * own and may hold anything, parentheses too: what counts is the last one.
 */
static int read_stat(const char *path, char *ret_state, uint64_t *ret_start)
{
	char buf[1024], *p, *end;
	ssize_t n = read_proc(path, buf, sizeof(buf));
	unsigned long long start;
	int field;

	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ' || !p[2])
		return -EBADMSG;
	p += 2;
	*ret_state = *p;
	for (field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EBADMSG;
		p++;
	}
	errno = 0;
	start = strtoull(p, &end, 10);
	if (errno || end == p || *end != ' ')
		return -EBADMSG;
	*ret_start = start;
	return 0;
}

/* Is this pid still the process that started then? 0; -ESRCH gone, or another one by now. */
static int check_identity(const struct dp_hands *h, pid_t pid, uint64_t start_time)
{
	char path[192], state;
	uint64_t start;
	int err;

	snprintf(path, sizeof(path), "%s/%d/stat", h->proc, (int)pid);
	err = read_stat(path, &state, &start);
	if (err)
		return err;
	return start == start_time && state != 'Z' && state != 'X' ? 0 : -ESRCH;
}

/* A pidfd becomes readable when its task has exited. */
static int pidfd_alive(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void release(struct dp_hands *h, struct target *t)
{
	char name[160];
	unsigned int i;

	if (!t->pid)
		return;
	for (i = 0; i < THREADS_MAX; i++)
		if (t->threads[i].tid)
			close_fd(&t->threads[i].fd);
	close_fd(&t->fd);
	if (t->lock_fd >= 0) {
		/* Safe while the lock is held: a waiter finds its file unlinked and opens anew. */
		snprintf(name, sizeof(name), "%s/%d-%llu.lock", h->lock_dir, (int)t->pid,
			 (unsigned long long)t->start_time);
		unlink(name);
		close_fd(&t->lock_fd);
	}
	memset(t, 0, sizeof(*t));
}

void dp_hands_free(struct dp_hands *h)
{
	unsigned int i;

	if (!h)
		return;
	for (i = 0; i < DP_MAX_TARGETS; i++)
		release(h, &h->targets[i]);
	free(h);
}

void dp_hands_forget(struct dp_hands *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < DP_MAX_TARGETS; i++)
		if (h->targets[i].pid == pid)
			release(h, &h->targets[i]);
}

static struct target *find(struct dp_hands *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < DP_MAX_TARGETS; i++)
		if (h->targets[i].pid == pid)
			return &h->targets[i];
	return NULL;
}

/*
 * The process, held by its pidfd. First the descriptor, then the check: if the start time is right
 * and the process of the descriptor still lives, the two are one, since a pid has one bearer.
 */
static int hold_process(struct dp_hands *h, pid_t pid, uint64_t start_time, struct target **ret)
{
	struct target *t;
	int fd, err;

	if (pid <= 1 || pid == getpid() || !start_time)
		return -EINVAL;
	t = find(h, pid);
	if (t && t->start_time != start_time) {
		release(h, t);
		t = NULL;
	}
	if (t) {
		if (t->fd >= 0 ? !pidfd_alive(t->fd) : check_identity(h, pid, start_time) != 0)
			return -ESRCH;
		*ret = t;
		return 0;
	}
	t = find(h, 0);
	if (!t)
		return -ENOSPC;
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0 && errno != ENOSYS)
		return -errno;
	err = check_identity(h, pid, start_time);
	if (!err && fd >= 0 && !pidfd_alive(fd))
		err = -ESRCH;
	if (err) {
		close_fd(&fd);
		return err;
	}
	memset(t, 0, sizeof(*t));
	t->pid = pid;
	t->start_time = start_time;
	t->fd = fd;
	t->lock_fd = -1;
	*ret = t;
	return 0;
}

static int is_thread_of(const struct dp_hands *h, pid_t pid, pid_t tid)
{
	char path[192], state;
	uint64_t start;

	snprintf(path, sizeof(path), "%s/%d/task/%d/stat", h->proc, (int)pid, (int)tid);
	return read_stat(path, &state, &start) == 0 && state != 'Z' && state != 'X';
}

/* The same for a thread: descriptor, then that it belongs to the process, then that it lives. */
static int hold_thread(struct dp_hands *h, struct target *t, pid_t tid, struct thread **ret)
{
	struct thread *th;
	unsigned int i;
	int fd = -1;

	if (tid <= 1)
		return -EINVAL;
	for (i = 0; i < THREADS_MAX; i++) {
		th = &t->threads[i];
		if (th->tid != tid)
			continue;
		if (th->fd >= 0 ? pidfd_alive(th->fd) : is_thread_of(h, t->pid, tid)) {
			*ret = th;
			return 0;
		}
		/* That thread is gone; its id may have a new bearer in the same process. */
		close_fd(&th->fd);
		th->tid = 0;
	}
	if (!h->no_thread_pidfd) {
		fd = sys_pidfd_open(tid, PIDFD_THREAD);
		/* EINVAL: the flag is not known (before 6.9). */
		if (fd < 0 && errno != EINVAL && errno != ENOSYS)
			return -errno;
	}
	if (!is_thread_of(h, t->pid, tid) || (fd >= 0 && !pidfd_alive(fd))) {
		close_fd(&fd);
		return -ESRCH;
	}
	th = NULL;
	for (i = 0; i < THREADS_MAX; i++)
		if (!t->threads[i].tid)
			th = &t->threads[i];
	if (!th) {
		th = &t->threads[t->next++ % THREADS_MAX];
		close_fd(&th->fd);
	}
	th->tid = tid;
	th->fd = fd;
	*ret = th;
	return 0;
}

int dp_hands_aim(struct dp_hands *h, pid_t pid, uint64_t start_time, pid_t tid)
{
	struct target *t;
	struct thread *th;
	int err = hold_process(h, pid, start_time, &t);

	return err ? err : hold_thread(h, t, tid, &th);
}

/* ---- one probe at a time ----------------------------------------------------------------- */

/*
 * A lock per process, held until it has left. A file with flock() in a directory of our own rather
 * than an abstract socket: that name could be taken by any user (a node could keep the guard away
 * from its neighbours), and it is invisible from another network namespace. The kernel drops the
 * lock with the probe, however it ends; a file left behind means nothing.
 */
static int lock_target(struct dp_hands *h, struct target *t, char *why, size_t len)
{
	char name[64], other[24] = "";
	int dir = -1, fd = -1, err = 0, tries;
	struct dp_sentence say;
	struct stat st;
	ssize_t n;

	if (t->lock_fd >= 0)
		return 0;
	if (mkdir(h->lock_dir, 0755) && errno != EEXIST) {
		err = -errno;
		goto cleanup;
	}
	dir = open(h->lock_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st)) {
		err = -errno;
		goto cleanup;
	}
	/* Anybody who may write there could unlink our lock, or lay a link in its place. */
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022)) {
		err = -EACCES;
		goto cleanup;
	}
	snprintf(name, sizeof(name), "%d-%llu.lock", (int)t->pid,
		 (unsigned long long)t->start_time);
	for (tries = 0; tries < 8; tries++) {
		fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0) {
			err = -errno;
			goto cleanup;
		}
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			err = errno == EWOULDBLOCK ? -EBUSY : -errno;
			n = pread(fd, other, sizeof(other) - 1, 0);
			other[n > 0 ? n : 0] = '\0';
			other[strspn(other, "0123456789")] = '\0';
			goto cleanup;
		}
		/* Unlinked by the one who held it before us: this is nobody's lock any more. */
		if (!fstat(fd, &st) && st.st_nlink > 0)
			break;
		close_fd(&fd);
	}
	if (fd < 0) {
		err = -EBUSY;
		goto cleanup;
	}
	/* For the other one's message only; the lock is the flock. */
	n = snprintf(other, sizeof(other), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, other, (size_t)n, 0) != n)
		err = 0;
	t->lock_fd = fd;
	fd = -1;
cleanup:
	if (err) {
		dp_sentence_begin(&say, why, len);
		if (err == -EBUSY) {
			dp_say(&say, "another dora-probe");
			dp_say(&say, other[0] ? ", pid " : "");
			dp_say(&say, other);
			dp_say(&say, " already acts on this process");
		} else {
			dp_say(&say, "cannot lock: ");
			dp_say(&say, strerror(-err));
			dp_say(&say, "; mend it with: install -d -m 755 ");
			dp_say(&say, h->lock_dir);
		}
	}
	close_fd(&fd);
	close_fd(&dir);
	return err;
}

/* ---- the signal -------------------------------------------------------------------------- */

static int signal_process(const struct target *t, int sig)
{
	if (t->fd >= 0)
		return sys_pidfd_send_signal(t->fd, sig) ? -errno : 0;
	return kill(t->pid, sig) ? -errno : 0;
}

static int signal_thread(const struct target *t, const struct thread *th, int sig)
{
	if (th->fd >= 0)
		return sys_pidfd_send_signal(th->fd, sig) ? -errno : 0;
	/* tgkill checks that the thread is the process's; that the process is the same one was
	 * checked just now: what remains is the time between the two calls. */
	return syscall(SYS_tgkill, t->pid, th->tid, sig) ? -errno : 0;
}

static int read_masks(const struct dp_hands *h, pid_t pid, uint64_t *ret_caught,
		      uint64_t *ret_ignored)
{
	char path[192], buf[8192], *p, *q;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/status", h->proc, (int)pid);
	n = read_proc(path, buf, sizeof(buf));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	/* With the line's beginning: the name in the first line is the target's own. */
	p = strstr(buf, "\nSigIgn:\t");
	q = strstr(buf, "\nSigCgt:\t");
	if (!p || !q)
		return -EBADMSG;
	*ret_ignored = strtoull(p + 9, NULL, 16);
	*ret_caught = strtoull(q + 9, NULL, 16);
	return 0;
}

static void say_errno(char *why, size_t len, const char *what, int err, pid_t pid)
{
	char set[DP_RIGHTS_TEXT];

	if (err == -ESRCH)
		snprintf(why, len, "%s: process %d has left, or its pid has passed to another",
			 what, (int)pid);
	else if (err == -EPERM)
		/* Short: the whole set has to fit into DP_REASON_MAX. */
		snprintf(why, len,
			 "%s: not permitted for process %d; sudo, or sudo setcap %s dora-probe",
			 what, (int)pid,
			 dp_rights_setcap(1u << DP_RIGHT_WATCH | 1u << DP_RIGHT_SIGNAL, set,
					  sizeof(set)));
	else
		snprintf(why, len, "%s: %s", what, strerror(-err));
}

int dp_hands_self_test(struct dp_hands *h, pid_t pid, uint64_t start_time, char *why,
		       size_t why_len)
{
	struct target *t;
	int err = hold_process(h, pid, start_time, &t);

	if (!err)
		err = signal_process(t, 0);
	if (err)
		say_errno(why, why_len, "cannot signal", err, pid);
	return err;
}

/* The checks that stand between a decision and its signal. Returns the result, and why in `why`. */
static enum dp_action_result perform(struct dp_hands *h, const struct dp_request *q,
				     dp_hands_look look, void *ctx, const char **ret_how, char *why,
				     size_t len)
{
	int err, sig = (int)q->signal, held, nudge = q->action == DP_ACTION_NUDGE;
	uint64_t caught, ignored, bit;
	struct thread *th = NULL;
	struct target *t;

	*ret_how = "";
	if (q->type != DP_REQ_ACT || (!nudge && q->action != DP_ACTION_TERMINATE) ||
	    (nudge && !look)) {
		snprintf(why, len, "not a request for a signal");
		return DP_RESULT_REFUSED;
	}
	if (q->signal < 1 || q->signal > 64 || sig == SIGKILL || sig == SIGSTOP ||
	    (!nudge && sig != SIGTERM)) {
		snprintf(why, len, "signal %u is never sent", q->signal);
		return DP_RESULT_REFUSED;
	}
	err = hold_process(h, (pid_t)q->pid, q->start_time, &t);
	if (err == -ESRCH || err == -EINVAL) {
		say_errno(why, len, "not sent", -ESRCH, (pid_t)q->pid);
		return DP_RESULT_REFUSED;
	}
	if (!err && nudge) {
		err = hold_thread(h, t, (pid_t)q->tid, &th);
		if (err == -ESRCH || err == -EINVAL || err == -ENOENT) {
			snprintf(why, len, "not sent: thread %u has left, or is not this process's",
				 q->tid);
			return DP_RESULT_REFUSED;
		}
	}
	if (!err)
		err = read_masks(h, t->pid, &caught, &ignored);
	if (err)
		goto failed;
	bit = 1ULL << (q->signal - 1);
	if (nudge ? !(caught & bit) : !!(ignored & bit)) {
		snprintf(why, len, "not sent: the process %s signal %d now",
			 nudge ? "does not catch" : "ignores", sig);
		return DP_RESULT_REFUSED;
	}
	err = lock_target(h, t, why, len);
	if (err)
		return err == -EBUSY ? DP_RESULT_REFUSED : DP_RESULT_FAILED;
	if (nudge) {
		held = look(ctx, t->pid, th->tid, why, len);
		if (held <= 0) {
			if (held < 0)
				snprintf(why, len, "not sent: the second look failed: %s",
					 strerror(-held));
			return DP_RESULT_REFUSED;
		}
	}
	/* The locks and the look took time; without a pidfd the identity is checked once more. */
	if (t->fd < 0)
		err = check_identity(h, t->pid, t->start_time);
	else if (!pidfd_alive(t->fd))
		err = -ESRCH;
	if (!err)
		err = nudge ? signal_thread(t, th, sig) : signal_process(t, sig);
	if (err)
		goto failed;
	if (nudge)
		*ret_how = th->fd >= 0  ? "by thread pidfd"
			   : t->fd >= 0 ? "by tgkill (no thread pidfd before Linux 6.9)"
					: "by tgkill (no pidfd before Linux 5.3)";
	else
		*ret_how = t->fd >= 0 ? "by pidfd" : "by kill (no pidfd before Linux 5.3)";
	return DP_RESULT_SENT;
failed:
	say_errno(why, len, "not sent", err, (pid_t)q->pid);
	return err == -ESRCH ? DP_RESULT_REFUSED : DP_RESULT_FAILED;
}

void dp_hands_act(struct dp_hands *h, const struct dp_request *q, dp_hands_look look, void *ctx,
		  struct dp_rec_action *ret)
{
	char why[DP_REASON_MAX] = "", reason[DP_REASON_MAX];
	struct dp_sentence s;
	const char *how;

	memset(ret, 0, sizeof(*ret));
	ret->action = q->action;
	ret->signal = q->signal;
	ret->attempt = q->attempt;
	ret->result = (uint8_t)perform(h, q, look, ctx, &how, why, sizeof(why));
	if (ret->result != DP_RESULT_SENT) {
		dp_sentence_begin(&s, ret->reason, sizeof(ret->reason));
		dp_say(&s, why[0] ? why : "not sent: the state has changed");
		return;
	}
	/* How it was sent must survive a long reason: that one is cut. */
	snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, q->reason);
	dp_sentence_begin(&s, ret->reason, sizeof(ret->reason) - strlen(how) - 2);
	dp_say(&s, reason);
	s.cap = sizeof(ret->reason);
	if (s.len)
		dp_say(&s, "; ");
	dp_say(&s, how);
}
