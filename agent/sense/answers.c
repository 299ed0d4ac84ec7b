// SPDX-License-Identifier: MIT
/* Answers to the model's requests, and the look before a signal; see targets.h. */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/task.h"
#include "sense/asleep.h"
#include "sense/procfs.h"

/* Two readings of one sleep may differ by so much: the clock that they are compared with is read anew once a second. */
#define SAME_SLEEP_NS (5 * MS)

/*
 * Since when a thread sleeps that the kernel programs have never seen run: it fell asleep before we
 * came. They are told, so that they see it wake and a hold of its with its end. 0: unknown.
 */
static uint64_t asleep_before(struct dp_targets *t, struct target *x, pid_t tid)
{
	struct dp_thread_state s = {.tgid = (uint32_t)x->pid};
	uint64_t since = dp_asleep_since(x->pid, tid), again;
	struct dp_rec_look k;
	uint32_t holder = 0;

	/* In another PID namespace they find a thread by a number that is not ours. */
	if (!since || !x->py || x->kernel.other_pid_ns)
		return since;
	memset(&k, 0, sizeof(k));
	if (target_look(x, 0, &k, &holder) != 0 || k.locked > 1)
		return since;
	if (k.locked == 1 && (pid_t)holder == tid)
		s.off_since_ns = s.run_first_ns = s.run_last_ns = since;
	else
		s.notheld_ns = since;
	if (dp_bpf_thread_found(t->bpf, tid, &s) != 0)
		return since;
	/* It may have woken before they knew of it: then it sleeps no more, or since another time. */
	again = dp_asleep_since(x->pid, tid);
	if (again + SAME_SLEEP_NS < since || again > since + SAME_SLEEP_NS) {
		dp_bpf_thread_unfound(t->bpf, tid);
		return again;
	}
	return since;
}

/*
 * A thread that the kernel programs know went to sleep at its last look at itself, the one at which it
 * left the CPU. One that they do not know has slept since before them: its answer stands until they do. Without
 * programs each sleep is asked for.
 */
static uint64_t asleep_since(struct dp_targets *t, struct target *x, pid_t tid)
{
	struct dp_thread_state th;

	if (!t->bpf)
		return dp_asleep_since(x->pid, tid);
	if (dp_bpf_thread(t->bpf, tid, &th) == 0) {
		/* Its switches are left alone: when it fell asleep /proc knows. */
		if (th.unseen)
			return dp_asleep_since(x->pid, tid);
		return th.off_since_ns ? th.off_since_ns : th.notheld_ns;
	}
	if (x->asleep.tid != (uint32_t)tid) {
		x->asleep.tid = (uint32_t)tid;
		x->asleep.since_ns = asleep_before(t, x, tid);
	}
	return x->asleep.since_ns;
}

static void fill_edge(struct dp_targets *t, const struct target *x, pid_t tid,
		      struct dp_rec_stack *s)
{
	struct dp_thread_state th;
	struct dp_edge_state e;

	if (!x->armed || dp_bpf_edge(t->bpf, x->pid, 0, &e) != 0)
		return;
	s->edge_armed_ns = e.armed_ns;
	if (dp_bpf_thread(t->bpf, tid, &th) != 0)
		return;
	s->took_gil_ns = th.edge_take_ns;
	s->calls_seen_ns = dp_bpf_dora_calls_ns(t->bpf, x->pid);
	/*
	 * What takes events with the GIL came with 0.4: as long as not all of its calls are seen, nothing is known of them.
	 * Whichever thread calls: the one that was taken for the consumer may not be it.
	 */
	if (s->calls_seen_ns || (dp_version_at_least(x->facts.dora, 0, 0, 1) &&
				 !dp_version_at_least(x->facts.dora, 0, 4, 0)))
		s->polled_ns = th.polled_ns > e.polled_ns ? th.polled_ns : e.polled_ns;
}

/*
 * Where dora's code lies shows a thread that waits in next(). By it the edge source knows the calls of
 * next(), each of which lets go of the GIL.
 */
static void learn_dora(struct dp_targets *t, struct target *x, const struct dp_rec_stack *s)
{
	if (!s->frame_count || s->library_from == x->kernel.dora.from ||
	    strncmp(s->library, "dora", 4) != 0)
		return;
	x->kernel.dora = (struct dp_code_range){.from = s->library_from, .to = s->library_to};
	target_tell_kernel(t, x);
}

/*
 * What was read of a process is as it was while no thread of it has run. A switch may reach no tracepoint
 * (docs/facts/linux-late.md): not for ever.
 */
#define STILL_NS (30000 * MS)

/* Has it run since *ran was taken, at since_ns? Or may it have? */
static bool may_have_run(struct dp_targets *t, const struct target *x, uint32_t *ran,
			 uint64_t since_ns)
{
	return dp_bpf_has_run(t->bpf, x->pid, ran) || x->untold || !since_ns ||
	       dp_now() - since_ns >= STILL_NS;
}

/* The place of a thread's stack, or of the one that is given up for it. */
static struct slept *slept_of(struct target *x, pid_t tid)
{
	for (int i = 0; i < SLEPT_KEPT; i++)
		if (x->slept[i].tid == (uint32_t)tid)
			return &x->slept[i];
	return &x->slept[x->next_slept++ % SLEPT_KEPT];
}

/* Its stack is the one that was read of it before, if it slept then and may not have run. */
static int read_stack(struct dp_targets *t, struct target *x, pid_t tid, uint64_t asked_ns,
		      struct dp_rec_stack *ret)
{
	struct slept *k = slept_of(x, tid);
	uint64_t now = dp_now();
	uint32_t ran = k->ran;
	int err;

	if (!may_have_run(t, x, &ran, k->read_ns) && k->tid == (uint32_t)tid) {
		*ret = k->s;
		return 0;
	}
	k->tid = 0;
	err = dp_reader_stack(x->reader, x->py != NULL, tid, ret);
	/* An answer that came late was read before the mark was looked at. */
	if (err || now - asked_ns > MS || ret->state != 'S')
		return err;
	*k = (struct slept){.tid = (uint32_t)tid, .ran = ran, .read_ns = now, .s = *ret};
	return 0;
}

/* Asked for at `asked_ns`. 0 or the error that the record has. */
static int read_thread(struct dp_targets *t, struct target *x, pid_t tid, uint64_t asked_ns,
		       struct dp_record *r)
{
	struct dp_rec_stack edge = {0};
	int err;

	dp_record_init(r, DP_REC_STACK, 0, (uint32_t)x->pid, (uint32_t)tid);
	memset(&r->u.stack, 0, sizeof(r->u.stack));
	err = read_stack(t, x, tid, asked_ns, &r->u.stack);
	if (r->u.stack.state == 'S')
		r->u.stack.asleep_since_ns = asleep_since(t, x, tid);
	/* After the stack: a take between the two only makes the stretch without one shorter. */
	fill_edge(t, x, tid, &edge);
	r->u.stack.edge_armed_ns = edge.edge_armed_ns;
	r->u.stack.took_gil_ns = edge.took_gil_ns;
	r->u.stack.read_ns = asked_ns;
	r->u.stack.polled_ns = edge.polled_ns;
	r->u.stack.calls_seen_ns = edge.calls_seen_ns;
	learn_dora(t, x, &r->u.stack);
	r->h.t_ns = dp_now();
	return err;
}

static int read_waits(struct target *x, pid_t tid, struct dp_record *r)
{
	int err;

	dp_record_init(r, DP_REC_WAITS, 0, (uint32_t)x->pid, (uint32_t)tid);
	err = dp_reader_waits(x->reader, tid, &r->u.waits);
	r->h.t_ns = dp_now();
	return err;
}

/*
 * What is read of one thread. A reader on a slow processor may need longer than a tick waits: its
 * answer is told when it comes, of one question at a time.
 */
static void answer(struct dp_targets *t, struct target *x, uint32_t type, pid_t tid,
		   uint64_t asked_ns)
{
	struct dp_record r;
	int err = type == DP_REQ_READ_STACK ? read_thread(t, x, tid, asked_ns, &r)
					    : read_waits(x, tid, &r);

	if (err == -EINPROGRESS && !x->late.is_open) {
		x->late.is_open = true;
		x->late.type = type;
		x->late.tid = (uint32_t)tid;
		x->late.asked_ns = asked_ns;
		dp_reader_want(x->reader);
		return;
	}
	target_emit(t, &r);
}

static void ask(struct dp_targets *t, struct target *x, uint32_t type, pid_t tid)
{
	if (type == DP_REQ_READ_WAITS && !x->py)
		return;
	if (!x->late.is_open || x->late.type != type || x->late.tid != (uint32_t)tid)
		answer(t, x, type, tid, dp_now());
}

void target_check_late(struct dp_targets *t, struct target *x)
{
	if (!x->late.is_open)
		return;
	x->late.is_open = false;
	answer(t, x, x->late.type, (pid_t)x->late.tid, x->late.asked_ns);
}

/* Threads that are looked through for the one that polls. */
#define POLLERS_MAX 64

/* Tells of the threads with Python frames that are in dora's code: one of them polls. */
static void find_consumer(struct dp_targets *t, struct target *x)
{
	pid_t tids[POLLERS_MAX];
	int n = x->py ? dp_proc_threads("/proc", x->pid, tids, POLLERS_MAX) : 0;

	for (int i = 0; i < n; i++) {
		struct dp_record r;

		if (tids[i] == x->pid)
			continue;
		read_thread(t, x, tids[i], dp_now(), &r);
		if (r.u.stack.frame_count && strncmp(r.u.stack.library, "dora", 4) == 0)
			target_emit(t, &r);
	}
}

/* Brings the list of its Python threads up to date; false: it is not there. */
static bool know_threads(struct dp_targets *t, struct target *x)
{
	uint64_t now = dp_now();

	if (!x->py)
		return false;
	if (!may_have_run(t, x, &x->threads.ran, x->threads.read_ns))
		return true;
	x->threads.count = dp_reader_threads(x->reader, x->threads.tids);
	x->threads.read_ns = x->threads.count < 0 ? 0 : now;
	return x->threads.count >= 0;
}

/* Tells where the other Python threads are. */
static void read_threads(struct dp_targets *t, struct target *x)
{
	int n = know_threads(t, x) ? x->threads.count : 0;

	for (int i = 0; i < n; i++) {
		pid_t tid = x->threads.tids[i];
		struct dp_record r;

		/* What the reader says comes from a target: only a positive number is a thread. */
		if (tid <= 0 || tid == x->pid)
			continue;
		read_thread(t, x, tid, dp_now(), &r);
		if (r.u.stack.frame_count)
			target_emit(t, &r);
	}
}

static void emit_edge(struct dp_targets *t, struct target *x, int error)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_SOURCE_STATE, dp_now(), (uint32_t)x->pid, 0);
	memset(&r.u.source, 0, sizeof(r.u.source));
	r.u.source.source = DP_SOURCE_EDGE;
	r.u.source.on = x->armed;
	r.u.source.error = error;
	if (error)
		snprintf(r.u.source.detail, sizeof(r.u.source.detail), "%s", x->no_edge);
	target_emit(t, &r);
}

/*
 * A source that was asked for and cannot be had: the node's reason says so from now on, and a
 * message once a process, since holds without a waiter stay unconfirmed meanwhile.
 */
static void refuse_edge(struct dp_targets *t, struct target *x, int err)
{
	char said[DP_REASON_MAX + 32];
	bool first = !x->no_edge[0];

	if (err == -ENOENT)
		snprintf(
			x->no_edge, sizeof(x->no_edge),
			"no uprobe: pthread_cond_signal was not found, holds that nobody waits for stay unconfirmed");
	else
		snprintf(x->no_edge, sizeof(x->no_edge),
			 "no uprobe (%s)%s: holds that nobody waits for stay unconfirmed",
			 strerror(-err),
			 err == -EACCES || err == -EPERM ? ", CAP_SYS_ADMIN is missing" : "");
	if (first) {
		snprintf(said, sizeof(said), "%s; see: dora-probe doctor", x->no_edge);
		target_say(t, x->pid, said);
		target_refresh_facts(x);
		target_emit_facts(t, x);
	}
	emit_edge(t, x, err);
}

/*
 * Where dora's methods that take events are. Where its code lies is known with them, without a thread that waits
 * there. 0 or -errno.
 */
static int find_calls(struct dp_targets *t, struct target *x, struct dp_dora_calls *ret)
{
	int err = dp_reader_dora_calls(x->reader, ret);

	if (err) {
		ret->count = 0;
	} else if (x->kernel.dora.from != ret->code.from || x->kernel.dora.to != ret->code.to) {
		x->kernel.dora = ret->code;
		target_tell_kernel(t, x);
	}
	return err;
}

/* Arming takes the kernel some milliseconds: the answer comes at a later tick. */
static void arm(struct dp_targets *t, struct target *x)
{
	char path[256];
	struct dp_task_stat stat;
	struct dp_dora_calls calls = {.count = 0};
	uint64_t offset;
	int err = -ENOENT;

	if (x->py)
		err = dp_reader_site(x->reader, path, sizeof(path), &offset);
	/* A large program is searched for longer than a tick may take: asked again at the next. */
	if (!err && x->is_dora && find_calls(t, x, &calls) == -EINPROGRESS)
		err = -EINPROGRESS;
	x->siting = err == -EINPROGRESS;
	if (x->siting)
		return;
	/* A process that is ending has no memory map any more. */
	if ((!err || err == -ENOENT) &&
	    (dp_task_stat("/proc", x->pid, 0, &stat) || dp_task_state_is_dead(stat.state)))
		err = -ESRCH;
	if (!err)
		err = dp_bpf_arm(t->bpf, x->pid, path, offset, &calls);
	if (err == 0 || err == -EALREADY)
		x->arming = 1;
	else if (err == -ESRCH)
		emit_edge(t, x, err);
	else
		refuse_edge(t, x, err);
}

void target_check_arming(struct dp_targets *t, struct target *x)
{
	int state;

	if (x->siting)
		arm(t, x);
	if (!x->arming)
		return;
	state = dp_bpf_armed(t->bpf, x->pid);
	if (state == 0)
		return;
	x->arming = 0;
	x->armed = state == 1;
	if (state < 0)
		dp_bpf_disarm(t->bpf, x->pid);
	else
		x->no_edge[0] = '\0';
	/* A process that has just ended lacks nothing. */
	if (state < 0 && state != -ESRCH)
		refuse_edge(t, x, state);
	else
		emit_edge(t, x, state < 0 ? state : 0);
}

void target_disarm(struct dp_targets *t, struct target *x)
{
	dp_bpf_disarm(t->bpf, x->pid);
	x->armed = x->arming = x->siting = 0;
	emit_edge(t, x, 0);
}

void dp_targets_request(struct dp_targets *t, const struct dp_request *q)
{
	struct target *x = target_find(t, (pid_t)q->pid);

	if (!x)
		return;
	switch ((enum dp_request_type)q->type) {
	case DP_REQ_READ_STACK:
	case DP_REQ_READ_WAITS:
		ask(t, x, q->type, (pid_t)q->tid);
		break;
	case DP_REQ_FIND_CONSUMER:
		find_consumer(t, x);
		break;
	case DP_REQ_READ_THREADS:
		read_threads(t, x);
		break;
	case DP_REQ_PEEK_STOP:
		target_peek_stop(t, x);
		break;
	case DP_REQ_ARM_EDGE:
		arm(t, x);
		break;
	case DP_REQ_DISARM_EDGE:
		target_disarm(t, x);
		break;
	default:
		break;
	}
}

int dp_targets_still(struct dp_targets *t, pid_t pid, pid_t tid, char *why, size_t why_len)
{
	struct target *x = target_find(t, pid);
	struct dp_rec_stack stack;
	struct dp_rec_look k;
	uint32_t holder = 0;

	memset(&k, 0, sizeof(k));
	if (!x || (x->py && target_look(x, 0, &k, &holder) != 0)) {
		snprintf(why, why_len, "its GIL can no longer be read");
		return 0;
	}
	if (k.locked == 1 && (pid_t)holder == tid)
		return 1;
	if (k.locked == 1) {
		snprintf(why, why_len, "another thread (%u) holds the GIL now", holder);
		return 0;
	}
	memset(&stack, 0, sizeof(stack));
	dp_reader_stack(x->reader, x->py != NULL, tid, &stack);
	if (stack.state == 'S' && stack.syscall_nr >= 0)
		return 1;
	snprintf(why, why_len, "it has let the GIL go and runs");
	return 0;
}
