// SPDX-License-Identifier: MIT
/* Signals to the right thread; see hands.h. */
#include "act/hands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/held.h"
#include "base/sentence.h"
#include "base/task.h"
#include "dora_probe/rights.h"

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
	int err = hands_hold_process(h, pid, start_time, &t);

	if (!err)
		err = signal_process(t, 0);
	if (err)
		say_errno(why, why_len, "cannot signal", err, pid);
	return err;
}

/* Is this a request for a signal that may be sent at all? Else says why not. */
static bool is_allowed(const struct dp_request *q, bool can_look, char *why, size_t len)
{
	bool nudge = q->action == DP_ACTION_NUDGE;

	if (q->type != DP_REQ_ACT || (!nudge && q->action != DP_ACTION_TERMINATE) ||
	    (nudge && !can_look)) {
		snprintf(why, len, "not a request for a signal");
		return false;
	}
	if (q->signal < 1 || q->signal > 64 || q->signal == SIGKILL || q->signal == SIGSTOP ||
	    (!nudge && q->signal != SIGTERM)) {
		snprintf(why, len, "signal %u is never sent", q->signal);
		return false;
	}
	return true;
}

/* The result of what did not succeed, with its sentence. */
static enum dp_action_result not_sent(const struct dp_request *q, int err, char *why, size_t len)
{
	say_errno(why, len, "not sent", err, (pid_t)q->pid);
	return err == -ESRCH ? DP_RESULT_REFUSED : DP_RESULT_FAILED;
}

/*
 * Takes hold of the process and, for a nudge, of the thread, and checks what the signal would do.
 * SENT: it may go on.
 */
static enum dp_action_result take_aim(struct dp_hands *h, const struct dp_request *q,
				      struct target **ret_t, struct thread **ret_th, char *why,
				      size_t len)
{
	bool nudge = q->action == DP_ACTION_NUDGE;
	struct dp_task_status status;
	uint64_t bit = 1ULL << (q->signal - 1);
	int err = hands_hold_process(h, (pid_t)q->pid, q->start_time, ret_t);

	if (err)
		return not_sent(q, err == -EINVAL ? -ESRCH : err, why, len);
	if (nudge) {
		err = hands_hold_thread(h, *ret_t, (pid_t)q->tid, ret_th);
		if (err == -ESRCH || err == -EINVAL || err == -ENOENT) {
			snprintf(why, len, "not sent: thread %u has left, or is not this process's",
				 q->tid);
			return DP_RESULT_REFUSED;
		}
	}
	if (!err)
		err = dp_task_status(h->proc, (*ret_t)->pid, 0, &status);
	if (!err && !status.has_signals)
		err = -EBADMSG;
	if (err)
		return not_sent(q, err, why, len);
	if (nudge ? !(status.signals_caught & bit) : !!(status.signals_ignored & bit)) {
		snprintf(why, len, "not sent: the process %s signal %u now",
			 nudge ? "does not catch" : "ignores", q->signal);
		return DP_RESULT_REFUSED;
	}
	return DP_RESULT_SENT;
}

static const char *how_sent(const struct target *t, const struct thread *th)
{
	if (!th)
		return t->fd >= 0 ? "by pidfd" : "by kill (no pidfd before Linux 5.3)";
	if (th->fd >= 0)
		return "by thread pidfd";
	return t->fd >= 0 ? "by tgkill (no thread pidfd before Linux 6.9)"
			  : "by tgkill (no pidfd before Linux 5.3)";
}

/* The checks that stand between a decision and its signal. Returns the result, and why in `why`. */
static enum dp_action_result perform(struct dp_hands *h, const struct dp_request *q,
				     dp_hands_look look, void *ctx, const char **ret_how, char *why,
				     size_t len)
{
	enum dp_action_result result;
	struct thread *th = NULL;
	struct target *t = NULL;
	int err;

	*ret_how = "";
	if (!is_allowed(q, look != NULL, why, len))
		return DP_RESULT_REFUSED;
	result = take_aim(h, q, &t, &th, why, len);
	if (result != DP_RESULT_SENT)
		return result;
	err = hands_lock(h, t, why, len);
	if (err)
		return err == -EBUSY ? DP_RESULT_REFUSED : DP_RESULT_FAILED;
	if (th) {
		int held = look(ctx, t->pid, th->tid, why, len);

		if (held < 0)
			snprintf(why, len, "not sent: the second look failed: %s", strerror(-held));
		if (held <= 0)
			return DP_RESULT_REFUSED;
	}
	/* The locks and the look took time; without a pidfd the identity is checked once more. */
	if (t->fd < 0)
		err = hands_check_identity(h, t->pid, t->start_time);
	else if (!hands_pidfd_alive(t->fd))
		err = -ESRCH;
	if (!err)
		err = th ? signal_thread(t, th, (int)q->signal) : signal_process(t, (int)q->signal);
	if (err)
		return not_sent(q, err, why, len);
	*ret_how = how_sent(t, th);
	return DP_RESULT_SENT;
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
