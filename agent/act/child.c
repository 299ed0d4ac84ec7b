// SPDX-License-Identifier: MIT
/* Commands beside the loop; see child.h. */
#include "act/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/glibc.h"

/* Read in one poll at most: a child that floods waits for us, not we for it. */
#define DRAIN_MAX 65536

static void complain(const char *what)
{
	const char *err = dp_error_text(errno);

	/* Standard error is the pipe to the parent; nothing can be done if that fails. */
	if (write(STDERR_FILENO, what, strlen(what)) < 0 || write(STDERR_FILENO, ": ", 2) < 0 ||
	    (err && write(STDERR_FILENO, err, strlen(err)) < 0))
		_exit(126);
	_exit(126);
}

/* In the child, between fork and exec: calls that are safe there only, and no return. */
static __attribute__((noreturn)) void become(const struct dp_child_options *o, int null, int out,
					     pid_t parent, cap_t none)
{
	struct rlimit no_core = {0, 0};
	struct sigaction dfl;
	sigset_t empty;
	int i;

	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	for (i = 1; i <= 64; i++)
		sigaction(i, &dfl, NULL);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	/* Out of the way of 0, 1 and 2, which the agent may have been started without. */
	null = fcntl(null, F_DUPFD, 3);
	out = fcntl(out, F_DUPFD, 3);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		_exit(126);
	dp_close_from(3);
	if (setsid() < 0)
		complain("setsid");
	if (chdir("/"))
		complain("chdir");
	setrlimit(RLIMIT_CORE, &no_core);
	/*
	 * The bounding set first, while there may still be the right to: a program of uid 0 would
	 * get back at exec what is in there. no_new_privs alone prevents that too, as it caps the
	 * new permitted set by the old one, which is empty by then (commoncap.c).
	 */
	for (i = 0; i < 64; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (o->change_user) {
		/* The raw calls: glibc's tell all threads, of which this copy has one. */
		if (syscall(SYS_setgroups, (long)o->group_count, o->groups))
			complain("setgroups");
		if (syscall(SYS_setresgid, o->gid, o->gid, o->gid))
			complain("setresgid");
		if (syscall(SYS_setresuid, o->uid, o->uid, o->uid))
			complain("setresuid");
	}
	if (cap_set_proc(none))
		complain("capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		complain("no_new_privs");
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		complain("pdeathsig");
	if (getppid() != parent)
		_exit(126);
	execve(o->path, o->argv, o->envp);
	complain(o->path);
	_exit(126);
}

int dp_child_start(const struct dp_child_options *o, uint64_t now_ns, struct dp_child *ret)
{
	int null = -1, pipe_fds[2] = {-1, -1}, err = 0, pidfd = -1;
	pid_t pid, parent = getpid();
	sigset_t all, old;
	cap_t none = NULL;

	/* Allocated here, since the child of a program with threads must not. */
	none = cap_init();
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (!none || null < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		err = -errno;
		goto cleanup;
	}
	/* The child's end blocks: who writes more than is taken waits, until the limit. */
	if (fcntl(pipe_fds[1], F_SETFL, 0)) {
		err = -errno;
		goto cleanup;
	}
	/* No handler of ours runs in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		become(o, null, pipe_fds[1], parent, none);
	if (pid < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (err)
		goto cleanup;
	/* Our own child, unreaped: its pid cannot have passed to another process. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	ret->pidfd = pidfd;
	ret->out = pipe_fds[0];
	pipe_fds[0] = -1;
	ret->started_ns = now_ns;
	ret->deadline_ns = now_ns > UINT64_MAX - o->limit_ns ? UINT64_MAX : now_ns + o->limit_ns;
cleanup:
	if (none)
		cap_free(none);
	if (null >= 0)
		close(null);
	if (pipe_fds[0] >= 0)
		close(pipe_fds[0]);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	return err;
}

static void keep(struct dp_child *c, const char *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n && c->text_len < sizeof(c->text) - 1; i++) {
		unsigned char ch = (unsigned char)buf[i];

		/* Printable ASCII as it is, one blank for a row of others: it ends up in a line. */
		if (ch > ' ' && ch < 0x7f)
			c->text[c->text_len++] = (char)ch;
		else if (c->text_len && c->text[c->text_len - 1] != ' ')
			c->text[c->text_len++] = ' ';
	}
	c->text[c->text_len] = '\0';
}

static void drain(struct dp_child *c)
{
	char buf[4096];
	size_t total;
	ssize_t n;

	for (total = 0; c->out >= 0 && total < DRAIN_MAX; total += (size_t)n) {
		n = read(c->out, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close(c->out);
			c->out = -1;
			return;
		}
		keep(c, buf, (size_t)n);
	}
}

/*
 * Has it ended? 1, 0 or -errno. WNOWAIT leaves it a zombie, so that its pid, which names its
 * group, stays taken.
 */
static int look_for_end(const struct dp_child *c, int flags, siginfo_t *si)
{
	int err;

	memset(si, 0, sizeof(*si));
	do {
		err = c->pidfd >= 0 ? waitid(DP_P_PIDFD, (id_t)c->pidfd, si, WEXITED | flags)
				    : waitid(P_PID, (id_t)c->pid, si, WEXITED | flags);
	} while (err && errno == EINTR);
	/* ECHILD: somebody else has reaped it; nothing is known of how it ended. */
	return err ? -errno : si->si_pid == c->pid;
}

static void clear(struct dp_child *c)
{
	if (c->out >= 0)
		close(c->out);
	if (c->pidfd >= 0)
		close(c->pidfd);
	c->out = -1;
	c->pidfd = -1;
	c->pid = 0;
}

int dp_child_poll(struct dp_child *c, uint64_t now_ns, struct dp_child_end *ret)
{
	siginfo_t si;
	int ended;

	if (!c->pid)
		return 0;
	drain(c);
	ended = look_for_end(c, WNOHANG | WNOWAIT, &si);
	if (!ended) {
		if (now_ns >= c->deadline_ns && !c->timed_out) {
			c->timed_out = 1;
			/* Before its setsid the group does not exist yet: then the child alone. */
			if (kill(-c->pid, SIGKILL))
				kill(c->pid, SIGKILL);
		}
		return 0;
	}
	ret->code = ended > 0 && si.si_code == CLD_EXITED ? si.si_status : -1;
	ret->signal = ended > 0 && si.si_code != CLD_EXITED ? si.si_status : 0;
	ret->timed_out = c->timed_out;
	ret->took_ns = now_ns > c->started_ns ? now_ns - c->started_ns : 0;
	if (ended > 0) {
		kill(-c->pid, SIGKILL);
		drain(c);
		look_for_end(c, WNOHANG, &si);
	}
	clear(c);
	return 1;
}

void dp_child_kill(struct dp_child *c)
{
	siginfo_t si;

	if (!c->pid)
		return;
	if (kill(-c->pid, SIGKILL))
		kill(c->pid, SIGKILL);
	look_for_end(c, 0, &si);
	clear(c);
}
