// SPDX-License-Identifier: MIT
/*
 * The live run: one thread, one epoll loop. Captures and samples become records, records are merged
 * by time, recorded and fed to the model; its findings are shown, its requests executed.
 */
#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "act/doracli.h"
#include "act/hands.h"
#include "act/hooks.h"
#include "dora/stop_command.h"
#include "cli/values.h"
#include "dora/wire.h"
#include "model/model.h"
#include "sense/bpf_source.h"
#include "sense/clock.h"
#include "sense/merge.h"
#include "sense/privileges.h"
#include "sense/recording.h"
#include "sense/targets.h"
#include "show/http.h"
#include "show/metrics.h"
#include "show/show.h"
#include "show/view.h"

#define MS      1000000ULL
#define TICK_NS (10 * MS)
/*
 * What a release and the take after it cost a process while the edge source is armed: a loop of
 * read and write on a pipe went from 0.8 to 3.2–4.8 µs a call (6.18, a virtual machine). The budget
 * of --max-overhead becomes a rate by it.
 */
#define EDGE_RELEASE_NS 3500.0
#define WALL_STEP_NS    50000000LL /* a wall clock that moved by more has been set */
#define CPUS_MAX        1024
#define MISSING_NS      (1000 * MS)
#define THIN_LOSSES_NS  (10000 * MS)
#define SAMPLE_HZ       49ULL
#define DRAINS_MAX      64
#define STATS_EVERY     30

struct cpu_sequence {
	uint32_t last;
	uint32_t missing;
	uint64_t since_ns;
};

struct watch {
	const struct dp_options *o;
	struct dp_bpf *bpf;
	struct dp_wire *wire;
	struct dp_merge *merge;
	struct dp_targets *targets;
	struct dp_model *model;
	struct dp_recorder *recorder;
	uint64_t cpus_online; /* at the start */
	struct dp_show *show;
	struct dp_view *view;       /* with --view, until the summary */
	struct dp_metrics *metrics; /* with --listen */
	struct dp_http *http;
	struct dp_metrics_cost cost;
	struct dp_metrics_program programs[DP_METRICS_PROGRAMS_MAX];
	struct dp_hands *hands;
	struct dp_hooks *hooks;
	struct dp_doracli *dora;
	int epoll, timer, signals;
	uint32_t seq; /* of the agent's own records */
	struct cpu_sequence cpus[CPUS_MAX];
	uint64_t losses[DP_LOSS_COUNT];
	uint64_t merge_full, thin_losses_ns;
	uint64_t ring_full; /* losses that explain gaps to come */
	uint64_t started_ns, next_second_ns;
	uint64_t cost_ns, cost_cpu_ns, refreshed_ns;
	uint64_t window_ns[DP_METRICS_PROGRAMS_MAX]; /* run time when statistics were turned on */
	double programs_share;                       /* of a core */
	unsigned int stats_round;
	int stats_on;
	int64_t wall_offset_ns;
	uint64_t capture_ns; /* of the newest capture that was drained */
	int end, warned, pipe_broken, record_failed, output_error;
	char dora_path[512];
};

/* The one place of a live run that speaks on standard error. */
static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	fprintf(stderr, "dora-probe: %s\n", sentence);
}

/* ---- records ---------------------------------------------------------------------------- */

static void push(struct watch *w, const struct dp_record *r)
{
	if (dp_merge_push(w->merge, r) < 0)
		w->merge_full++;
}

static void push_own(void *ctx, const struct dp_record *in)
{
	struct watch *w = ctx;
	struct dp_record r;

	memcpy(&r, in, in->h.size);
	if (r.h.cpu == UINT32_MAX)
		r.h.seq = w->seq++;
	push(w, &r);
	if (r.h.type == DP_REC_WIRE_REGISTER)
		dp_targets_registered(w->targets, (pid_t)r.h.pid, &r.u.reg);
}

static void push_loss(struct watch *w, uint32_t pid, enum dp_loss reason, uint64_t count)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_LOSS, dp_now(), pid, 0);
	r.u.loss = (struct dp_rec_loss){.reason = reason, .count = count};
	push_own(w, &r);
}

static void wire_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	struct watch *w = ctx;
	struct dp_record r;

	dp_record_init(&r, DP_REC_LOSS, t_ns, pid, 0);
	r.u.loss = (struct dp_rec_loss){.reason = reason, .count = count};
	push_own(w, &r);
}

/* The record of a capture whose body is the same in both. */
static void push_body(struct watch *w, const struct dp_capture *h, enum dp_record_type type,
		      size_t len)
{
	struct dp_record r;
	size_t body = dp_record_size(type) - sizeof(r.h);

	if (len < sizeof(*h) + body)
		return;
	dp_record_init(&r, type, h->t_ns, h->pid, h->tid);
	r.h.flags = h->flags;
	r.h.cpu = h->cpu;
	r.h.seq = h->seq;
	memcpy(&r.u, h + 1, body);
	push(w, &r);
}

/*
 * A gap in a CPU's numbers is a missing capture, or one still to come: a program that is
 * interrupted or preempted between taking its number and its place in the ring arrives late.
 */
static void check_sequence(struct watch *w, const struct dp_capture *h)
{
	struct cpu_sequence *c;

	if (h->cpu >= CPUS_MAX)
		return;
	c = &w->cpus[h->cpu];
	if (c->last && h->seq > c->last + 1) {
		if (!c->missing)
			c->since_ns = h->t_ns;
		c->missing += h->seq - c->last - 1;
	} else if (h->seq <= c->last && c->missing) {
		c->missing--;
	}
	if (h->seq > c->last)
		c->last = h->seq;
}

/* What has not come after this long, and that the kernel did not count as lost for a full ring. */
static void check_missing(struct watch *w, uint64_t now)
{
	for (int i = 0; i < CPUS_MAX; i++) {
		struct cpu_sequence *c = &w->cpus[i];

		if (!c->missing || now - c->since_ns < MISSING_NS)
			continue;
		if (c->missing > w->ring_full) {
			push_loss(w, 0, DP_LOSS_SEQUENCE_GAP, c->missing - w->ring_full);
			dp_targets_lost(w->targets, now);
			w->ring_full = 0;
		} else {
			w->ring_full -= c->missing;
		}
		c->missing = 0;
	}
}

static void gone(struct watch *w, pid_t pid, uint64_t t_ns)
{
	dp_hands_forget(w->hands, pid);
	dp_targets_exit(w->targets, pid, t_ns);
}

/* A `dora stop` that starts may give the nodes more time than their version's default. */
static void stop_command(struct watch *w, const struct dp_capture *h)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_STOP_COMMAND, h->t_ns, h->pid, h->tid);
	memset(&r.u.stop_command, 0, sizeof(r.u.stop_command));
	if (dp_stop_command_read(NULL, (pid_t)h->pid, &r.u.stop_command) == 0 &&
	    dp_targets_trusts(w->targets, r.u.stop_command.uid))
		push_own(w, &r);
}

static void capture(void *ctx, const struct dp_capture *h, size_t len)
{
	struct watch *w = ctx;
	const void *body = h + 1;

	check_sequence(w, h);
	w->capture_ns = h->t_ns;
	switch ((enum dp_capture_type)h->type) {
	case DP_CAP_GIL_WAIT_BEGIN:
		push_body(w, h, DP_REC_GIL_WAIT_BEGIN, len);
		break;
	case DP_CAP_GIL_WAIT_END:
		push_body(w, h, DP_REC_GIL_WAIT_END, len);
		break;
	case DP_CAP_GIL_RELEASE:
		push_body(w, h, DP_REC_GIL_RELEASE, len);
		break;
	case DP_CAP_GIL_EDGE_HOLD:
		push_body(w, h, DP_REC_GIL_EDGE_HOLD, len);
		break;
	case DP_CAP_GIL_OFFCPU:
		push_body(w, h, DP_REC_GIL_OFFCPU, len);
		break;
	case DP_CAP_GIL_RUN:
		push_body(w, h, DP_REC_GIL_RUN, len);
		break;
	case DP_CAP_SOCK_DATA: {
		const struct dp_sock_data *d = body;

		if (len >= sizeof(*h) + sizeof(*d) && d->copied <= len - sizeof(*h) - sizeof(*d))
			dp_wire_data(w->wire, h, d, (const uint8_t *)(d + 1));
		break;
	}
	case DP_CAP_SOCK_CONNECT:
		if (len >= sizeof(*h) + sizeof(struct dp_sock_connect))
			dp_targets_connected(w->targets, (pid_t)h->pid,
					     ((const struct dp_sock_connect *)body)->conn, h->t_ns);
		break;
	case DP_CAP_SOCK_CLOSE:
		if (len >= sizeof(*h) + sizeof(struct dp_sock_close))
			dp_targets_closed(w->targets, (pid_t)h->pid, h->tid,
					  ((const struct dp_sock_close *)body)->conn, h->t_ns);
		break;
	case DP_CAP_REGION:
		push_body(w, h, DP_REC_REGION, len);
		break;
	case DP_CAP_SIGNAL: {
		const struct dp_signal_op *s = body;

		push_body(w, h, DP_REC_SIGNAL, len);
		if (len >= sizeof(*h) + sizeof(*s) && s->kind == DP_SIGNAL_DELIVERED &&
		    s->disposition == DP_SIGDISP_CAUGHT)
			dp_targets_signalled(w->targets, (pid_t)h->pid, h->tid, s->signal, h->t_ns);
		break;
	}
	case DP_CAP_EXEC:
		stop_command(w, h);
		dp_targets_exec(w->targets, (pid_t)h->pid, h->t_ns);
		break;
	case DP_CAP_FORK:
		push_body(w, h, DP_REC_PROC_FORK, len);
		break;
	case DP_CAP_EXIT:
		push_body(w, h, DP_REC_PROC_EXIT, len);
		if (len >= sizeof(*h) + sizeof(struct dp_exit_op) &&
		    ((const struct dp_exit_op *)body)->is_process)
			gone(w, (pid_t)h->pid, h->t_ns);
		break;
	case DP_CAP_NONE:
	case DP_CAP_COUNT:
		break;
	}
}

/* ---- the model's side ------------------------------------------------------------------- */

static void hook(struct watch *w, const struct dp_finding *f);
static void self_test(struct watch *w, const struct dp_finding *f);

/* What became of the output: `err` as of dp_show_finding. */
static void shown(struct watch *w, int err)
{
	if (err == -EPIPE) {
		w->pipe_broken = 1;
		w->end = 1;
	} else if (err && err != -ENOBUFS && !w->output_error) {
		/* -ENOBUFS: a reader too slow for its own lines has lost some, show/ tells it. */
		w->output_error = err;
		w->end = 1;
		fprintf(stderr, "dora-probe: standard output: %s\n", strerror(-err));
	}
}

static void finding(void *ctx, const struct dp_finding *f)
{
	struct watch *w = ctx;

	if (f->type == DP_FIND_WARNING && !f->u.warning.resolved)
		w->warned = 1;
	if (w->metrics)
		dp_metrics_finding(w->metrics, f);
	if (f->type == DP_FIND_WARNING || f->type == DP_FIND_ACTION)
		hook(w, f);
	if (f->type == DP_FIND_NODE)
		self_test(w, f);
	if (w->view) {
		dp_view_finding(w->view, f);
		return;
	}
	if (!w->pipe_broken)
		shown(w, dp_show_finding(w->show, f));
}

static void push_answer(void *ctx, uint32_t pid, const struct dp_rec_action *answer)
{
	struct watch *w = ctx;
	struct dp_record r;

	dp_record_init(&r, DP_REC_ACTION_RESULT, dp_now(), pid, 0);
	r.u.action = *answer;
	push_own(w, &r);
}

static int still(void *ctx, pid_t pid, pid_t tid, char *why, size_t why_len)
{
	return dp_targets_still(ctx, pid, tid, why, why_len);
}

static void act(struct watch *w, const struct dp_request *q)
{
	const struct dp_rec_node *facts = dp_targets_facts(w->targets, (pid_t)q->pid);
	struct dp_record r;

	dp_record_init(&r, DP_REC_ACTION_RESULT, 0, q->pid, q->tid);
	memset(&r.u.action, 0, sizeof(r.u.action));
	if (q->action == DP_ACTION_STOP_DATAFLOW) {
		if (!facts || dp_doracli_stop(w->dora, q, facts->uid, dp_now(), &r.u.action) == 0)
			return;
	} else {
		dp_hands_act(w->hands, q, still, w->targets, &r.u.action);
	}
	r.h.t_ns = dp_now();
	push_own(w, &r);
}

/* --on-warning and --on-action; what a hook's own end says starts no further hook. */
static void hook(struct watch *w, const struct dp_finding *f)
{
	enum dp_hook_kind kind = f->type == DP_FIND_WARNING ? DP_HOOK_WARNING : DP_HOOK_ACTION;
	struct dp_hook_facts facts;
	struct dp_rec_action answer;
	int err;

	if (f->type == DP_FIND_ACTION && f->u.action.action == DP_ACTION_HOOK)
		return;
	if ((kind == DP_HOOK_WARNING && !w->o->on_warning) ||
	    (kind == DP_HOOK_ACTION && !w->o->on_action))
		return;
	dp_hook_facts_begin(&facts, f->pid);
	if (dp_hook_facts_from(&facts, f) < 0)
		return;
	err = dp_hooks_run(w->hooks, kind, &facts, dp_now(), &answer);
	if (err && err != -ENOENT)
		push_answer(w, f->pid, &answer);
}

/* A right that is missing is to be known before it matters. */
static void self_test(struct watch *w, const struct dp_finding *f)
{
	char why[DP_REASON_MAX];

	if (w->o->model.shutdown == DP_SHUTDOWN_OBSERVE || !f->u.node.facts->is_dora)
		return;
	if (dp_hands_self_test(w->hands, (pid_t)f->pid, f->u.node.facts->start_time, why,
			       sizeof(why)) < 0)
		fprintf(stderr, "dora-probe: %s could not be helped: %s\n", f->u.node.facts->node,
			why);
}

static void request(void *ctx, const struct dp_request *q)
{
	struct watch *w = ctx;

	if (q->type == DP_REQ_ACT) {
		act(w, q);
		return;
	}
	/* A thread is taken hold of when it is named, before its id can pass to another. */
	if (q->type == DP_REQ_READ_STACK && w->o->model.shutdown != DP_SHUTDOWN_OBSERVE)
		dp_hands_aim(w->hands, (pid_t)q->pid, q->start_time, (pid_t)q->tid);
	dp_targets_request(w->targets, q);
}

static void feed(struct watch *w, uint64_t until)
{
	struct dp_record r;

	while (dp_merge_pop(w->merge, until, &r) == 1) {
		int err = 0;

		if (w->recorder && !w->record_failed)
			err = dp_recorder_write(w->recorder, &r);
		if (err) {
			w->record_failed = 1;
			fprintf(stderr,
				"dora-probe: %s: the recording ends here, at a %s record: %s\n",
				w->o->record, dp_record_name(r.h.type), strerror(-err));
			push_loss(w, 0, DP_LOSS_RECORDER_WRITE, 1);
		}
		dp_model_feed(w->model, &r);
		w->cost.records++;
	}
}

/* Losses that spoil findings are told at once, those that only thin samples out now and then. */
static void tick_losses(struct watch *w, int last)
{
	const uint32_t thin = 1u << DP_LOSS_SAMPLE_SKIPPED | 1u << DP_LOSS_PROGRAM_SKIPPED |
			      1u << DP_LOSS_READ_FAULT | 1u << DP_LOSS_LATE_RECORD;
	uint64_t now[DP_LOSS_COUNT] = {0};
	uint64_t t = dp_now();
	uint64_t few_samples =
		SAMPLE_HZ * w->cpus_online * (t - w->thin_losses_ns) / (1000 * MS) / 2;
	int thin_due = last || t - w->thin_losses_ns >= THIN_LOSSES_NS;

	if (thin_due)
		w->thin_losses_ns = t;
	dp_bpf_losses(w->bpf, last || thin_due, now);
	now[DP_LOSS_LATE_RECORD] = dp_merge_late(w->merge);
	now[DP_LOSS_RING_FULL] += w->merge_full;
	for (int i = 0; i < DP_LOSS_COUNT; i++) {
		if (now[i] <= w->losses[i] || ((thin & (1u << i)) && !thin_due))
			continue;
		/* A busy or sleeping machine takes a sample less here and there: no news. */
		if (i == DP_LOSS_SAMPLE_SKIPPED && now[i] - w->losses[i] < few_samples) {
			w->losses[i] = now[i];
			continue;
		}
		push_loss(w, 0, (enum dp_loss)i, now[i] - w->losses[i]);
		if (i == DP_LOSS_RING_FULL) {
			w->ring_full += now[i] - w->losses[i];
			dp_targets_lost(w->targets, t);
		}
		w->losses[i] = now[i];
	}
}

static void wall_clock(struct watch *w)
{
	int64_t offset = dp_wall_offset();
	struct dp_record r;

	if (w->wall_offset_ns && llabs(offset - w->wall_offset_ns) < WALL_STEP_NS)
		return;
	w->wall_offset_ns = offset;
	dp_record_init(&r, DP_REC_WALL_CLOCK, dp_now(), 0, 0);
	r.u.wall_clock.offset_ns = offset;
	push_own(w, &r);
}

/*
 * Run time of the kernel programs: counted by the kernel only while statistics are on, which taxes
 * every BPF program of the machine. So they are on for one second in STATS_EVERY, and scaled.
 * Returns the nanoseconds that all programs took since the last call, estimated.
 */
static uint64_t sample_programs(struct watch *w)
{
	struct dp_bpf_program p[DP_METRICS_PROGRAMS_MAX];
	uint64_t sum = 0;
	int n;

	if (w->stats_round++ % STATS_EVERY == 0) {
		w->stats_on = dp_bpf_stats(w->bpf, 1) == 0;
		n = dp_bpf_programs(w->bpf, p, DP_METRICS_PROGRAMS_MAX);
		for (int i = 0; i < n && i < DP_METRICS_PROGRAMS_MAX; i++)
			w->window_ns[i] = p[i].run_ns;
		return 0;
	}
	if (!w->stats_on)
		return 0;
	w->stats_on = 0;
	n = dp_bpf_programs(w->bpf, p, DP_METRICS_PROGRAMS_MAX);
	dp_bpf_stats(w->bpf, 0);
	n = n < 0 ? 0 : n > DP_METRICS_PROGRAMS_MAX ? DP_METRICS_PROGRAMS_MAX : n;
	for (int i = 0; i < n; i++) {
		uint64_t part = (p[i].run_ns - w->window_ns[i]) * STATS_EVERY;

		w->programs[i].name = p[i].name;
		w->programs[i].run_ns += part;
		sum += part;
	}
	w->cost.programs = w->programs;
	w->cost.program_count = (unsigned int)n;
	return sum;
}

/* The agent's own numbers for the endpoint, once a second. */
static void tell_cost(struct watch *w)
{
	struct rusage u;
	uint64_t now = dp_now(), cpu, programs = sample_programs(w);
	unsigned int watched = dp_targets_alive(w->targets);

	getrusage(RUSAGE_SELF, &u);
	cpu = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 * MS +
	      (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
	if (programs)
		w->programs_share = (double)programs / (STATS_EVERY * 1e9);
	w->cost.overhead_ratio = -1;
	if (w->cost_ns && watched)
		w->cost.overhead_ratio =
			((double)(cpu - w->cost_cpu_ns) / (double)(now - w->cost_ns) +
			 w->programs_share) /
			watched;
	w->cost_ns = now;
	w->cost_cpu_ns = cpu;
	w->cost.sources = dp_bpf_sources(w->bpf) | 1u << DP_SOURCE_SAMPLER;
	memcpy(w->cost.losses, w->losses, sizeof(w->cost.losses));
	dp_metrics_cost(w->metrics, &w->cost);
	if (now - w->refreshed_ns >= 60000 * MS) {
		w->refreshed_ns = now;
		dp_metrics_refresh(w->metrics, now);
	}
}

static void tick(struct watch *w)
{
	unsigned int running;
	struct dp_record r;
	uint64_t now = dp_now();

	dp_targets_tick(w->targets, now);
	running = dp_hooks_poll(w->hooks, now, push_answer, w) +
		  dp_doracli_poll(w->dora, now, push_answer, w);
	check_missing(w, now);
	tick_losses(w, 0);
	if (now >= w->next_second_ns) {
		w->next_second_ns = now + 1000 * MS;
		wall_clock(w);
		if (w->metrics)
			tell_cost(w);
		/* So a probe that is killed loses a second of it. The next write tells of a failure. */
		if (w->recorder)
			dp_recorder_flush(w->recorder);
	}
	dp_record_init(&r, DP_REC_TICK, dp_now(), 0, 0);
	push_own(w, &r);
	if (!w->view && !w->pipe_broken)
		shown(w, dp_show_waiting(w->show, now));
	/* What was started is heard of: both kinds have their own time limit. */
	if (dp_targets_finished(w->targets) && !running)
		w->end = 1;
	if (w->o->duration_ns && now - w->started_ns >= w->o->duration_ns)
		w->end = 1;
}

/* ---- setting up ------------------------------------------------------------------------- */

static void append(char *buf, size_t len, const char *words)
{
	size_t have = strlen(buf);

	snprintf(buf + have, len - have, "%s%s", have ? "," : "", words);
}

static void push_session(struct watch *w)
{
	const struct dp_options *o = w->o;
	struct utsname u;
	struct dp_record r;
	char pid[16];

	dp_record_init(&r, DP_REC_SESSION, dp_now(), 0, 0);
	memset(&r.u.session, 0, sizeof(r.u.session));
	snprintf(r.u.session.version, sizeof(r.u.session.version), "%s", DP_VERSION);
	if (uname(&u) == 0)
		snprintf(r.u.session.kernel, sizeof(r.u.session.kernel), "%s", u.release);
	for (unsigned int i = 0; i < o->wanted.pids.count; i++) {
		snprintf(pid, sizeof(pid), "%d", (int)o->wanted.pids.pid[i]);
		append(r.u.session.targets, sizeof(r.u.session.targets), pid);
	}
	for (unsigned int i = 0; i < o->wanted.nodes.count; i++)
		append(r.u.session.targets, sizeof(r.u.session.targets), o->wanted.nodes.name[i]);
	for (unsigned int i = 0; i < o->wanted.dataflows.count; i++)
		append(r.u.session.targets, sizeof(r.u.session.targets),
		       o->wanted.dataflows.name[i]);
	if (o->wanted.all)
		append(r.u.session.targets, sizeof(r.u.session.targets), "all");
	push_own(w, &r);

	dp_record_init(&r, DP_REC_OPTIONS, dp_now(), 0, 0);
	r.u.options = o->model;
	r.u.options.max_edge_rate = (uint64_t)(o->max_overhead / 100.0 * 1e9 / EDGE_RELEASE_NS);
	if (o->model.exact && o->exact_ns)
		r.u.options.exact_until_ns = w->started_ns + o->exact_ns;
	push_own(w, &r);
	wall_clock(w);
}

static void push_sources(struct watch *w)
{
	uint32_t on = dp_bpf_sources(w->bpf) | 1u << DP_SOURCE_SAMPLER;

	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++) {
		struct dp_record r;

		if (!(on & (1u << i)))
			continue;
		dp_record_init(&r, DP_REC_SOURCE_STATE, dp_now(), 0, 0);
		memset(&r.u.source, 0, sizeof(r.u.source));
		r.u.source.source = (uint8_t)i;
		r.u.source.on = 1;
		push_own(w, &r);
	}
}

static int exit_code_of(int err)
{
	switch (err) {
	case 0:
		return DP_EX_OK;
	case -EPERM:
	case -EACCES:
		return DP_EX_RIGHT;
	case -ENOTSUP:
	case -ENOSYS:
		return DP_EX_FEATURE;
	case -ESRCH:
	case -ENOENT:
		return DP_EX_TARGET;
	default:
		return DP_EX_INTERNAL;
	}
}

static int add_fd(struct watch *w, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* A reader that leaves is seen at once, not only with the next line: a quiet node has none. */
static int watch_reader(struct watch *w)
{
	struct epoll_event e = {.events = 0, .data.fd = STDOUT_FILENO};
	struct stat st;

	if (w->view || fstat(STDOUT_FILENO, &st) < 0 || !S_ISFIFO(st.st_mode))
		return 0;
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, STDOUT_FILENO, &e) < 0 ? -errno : 0;
}

static int open_loop(struct watch *w)
{
	struct itimerspec every = {
		.it_interval = {.tv_nsec = (long)TICK_NS},
		.it_value = {.tv_nsec = (long)TICK_NS},
	};
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->epoll < 0 || w->signals < 0 || w->timer < 0 ||
	    timerfd_settime(w->timer, 0, &every, NULL) < 0)
		return -errno;
	err = add_fd(w, w->signals);
	if (!err)
		err = add_fd(w, w->timer);
	if (!err)
		err = add_fd(w, dp_bpf_fd(w->bpf));
	if (!err && w->http)
		err = add_fd(w, dp_http_fd(w->http));
	if (!err)
		err = watch_reader(w);
	return err;
}

static int ready(void *ctx, char *why, size_t why_len)
{
	struct watch *w = ctx;

	if (dp_targets_alive(w->targets))
		return 1;
	snprintf(why, why_len, "no process is watched");
	return 0;
}

static unsigned int view_count(const void *ctx)
{
	return dp_model_node_count(ctx);
}

static int view(const void *ctx, unsigned int i, struct dp_node_view *ret)
{
	return dp_model_node_view(ctx, i, ret);
}

/* 0, or -errno with a sentence in `why`. */
static int open_view(struct watch *w, char *why, size_t why_len)
{
	struct dp_view_options o = {
		.nodes = {.count = view_count, .view = view, .ctx = w->model},
		.verbose = w->o->verbosity,
		.hold_threshold_ns = w->o->model.hold_threshold_ns,
		.warn_hold_ns = w->o->model.warn_hold_ns,
		.pending_threshold_ns = w->o->model.pending_threshold_ns,
	};
	int err = dp_view_open(&o, &w->view);

	if (!err)
		err = add_fd(w, dp_view_fd(w->view));
	if (err)
		snprintf(why, why_len, "the live view could not be opened: %s", strerror(-err));
	return err;
}

/* What is printed from here on goes to the terminal as it was. */
static void close_view(struct watch *w)
{
	dp_view_close(w->view);
	w->view = NULL;
}

/* 0, or -errno with a sentence in `why`. */
static int open_endpoint(struct watch *w, char *why, size_t why_len)
{
	struct dp_metrics_views views = {.count = view_count, .view = view, .ctx = w->model};
	struct dp_http_options o = {.ready = ready, .ctx = w};
	char addr[64];
	int err;

	w->metrics = dp_metrics_new(DP_VERSION, &views);
	if (!w->metrics)
		return -ENOMEM;
	err = dp_parse_listen(w->o->listen, addr, sizeof(addr), &o.port);
	if (err)
		return err;
	o.addr = addr;
	o.metrics = w->metrics;
	err = dp_http_open(&o, &w->http, why, why_len);
	if (err)
		return err;
	if (why[0])
		fprintf(stderr, "dora-probe: %s\n", why);
	why[0] = '\0';
	return 0;
}

static int open_hands(struct watch *w)
{
	struct dp_hands_options hands = {0};
	struct dp_hooks_options hooks = {.on_warning = w->o->on_warning,
					 .on_action = w->o->on_action,
					 .environment = environ};
	int err = dp_hands_new(&hands, &w->hands);

	if (!err)
		err = dp_hooks_new(&hooks, &w->hooks);
	w->dora_path[0] = '\0';
	if (!err && w->o->model.stop_dataflow_after_ns &&
	    dp_doracli_find(w->o->dora_cli, getenv("PATH"), w->dora_path, sizeof(w->dora_path)) < 0)
		fprintf(stderr,
			"dora-probe: no `dora` command found: --stop-dataflow-after cannot act; "
			"give its path with --dora-cli\n");
	if (!err)
		err = dp_doracli_new(w->dora_path, environ, &w->dora);
	return err;
}

static int run(struct watch *w)
{
	struct epoll_event events[8];

	while (!w->end) {
		int n = epoll_wait(w->epoll, events, 8, -1);
		uint64_t drained_ns;
		int ticked = 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			uint64_t count;

			if (events[i].data.fd == w->signals)
				w->end = 1;
			else if (events[i].data.fd == STDOUT_FILENO)
				w->end = w->pipe_broken = 1;
			else if (events[i].data.fd == w->timer &&
				 read(w->timer, &count, sizeof(count)) == sizeof(count))
				ticked = 1;
		}
		if (w->http)
			dp_http_run(w->http);
		if (w->view && dp_view_run(w->view, dp_now()) != 0)
			w->end = 1;
		/*
		 * All that waits, in bounded pieces: nobody wakes us for the rest. The model may pass
		 * only what was drained: what the ring still holds, or got while we had no CPU, would
		 * come late and lose its own time.
		 */
		drained_ns = dp_now();
		for (int i = 0; i < DRAINS_MAX; i++) {
			n = dp_bpf_drain(w->bpf, capture, w);
			if (n < DP_DRAIN_MAX)
				break;
			if (w->capture_ns < drained_ns)
				feed(w, w->capture_ns - DP_MERGE_WATERMARK_NS);
		}
		if (n >= DP_DRAIN_MAX && w->capture_ns < drained_ns)
			drained_ns = w->capture_ns;
		if (ticked)
			tick(w);
		feed(w, drained_ns - DP_MERGE_WATERMARK_NS);
	}
	return 0;
}

static void say_waiting(const struct dp_options *o)
{
	fprintf(stderr, "dora-probe: no node");
	for (unsigned int i = 0; i < o->wanted.nodes.count; i++)
		fprintf(stderr, "%s %s", i ? "," : " named", o->wanted.nodes.name[i]);
	for (unsigned int i = 0; i < o->wanted.dataflows.count; i++)
		fprintf(stderr, "%s %s", i ? "," : " of dataflow", o->wanted.dataflows.name[i]);
	fprintf(stderr,
		" runs yet: waiting for one to start (`dora-probe list` shows what runs)\n");
}

/* What is still under way is said, then the summary. */
static void finish(struct watch *w)
{
	struct dp_record r;

	for (int i = 0; i < DRAINS_MAX && dp_bpf_drain(w->bpf, capture, w) >= DP_DRAIN_MAX; i++)
		feed(w, dp_now() - DP_MERGE_WATERMARK_NS);
	tick_losses(w, 1);
	dp_record_init(&r, DP_REC_END, dp_now(), 0, 0);
	push_own(w, &r);
	feed(w, UINT64_MAX);
}

int dp_watch(const struct dp_options *o)
{
	struct watch w = {.o = o,
			  .epoll = -1,
			  .timer = -1,
			  .signals = -1,
			  /* Read from a file each time: not at every tick. */
			  .cpus_online = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN)};
	struct dp_model_sink model_sink = {.finding = finding, .request = request, .ctx = &w};
	struct dp_wire_sink wire_sink = {.record = push_own, .loss = wire_loss, .ctx = &w};
	struct dp_targets_sink target_sink = {.record = push_own, .say = say, .ctx = &w};
	struct dp_bpf_options bpf_options = {
		.sample_hz = SAMPLE_HZ,
		.trace_all_exec = 1, /* nodes that start later, and `dora stop` */
		.verbose = o->verbosity > 0,
	};
	struct dp_show_options show_options = {
		.fd = STDOUT_FILENO,
		.format = o->json ? DP_SHOW_JSON : DP_SHOW_TEXT,
		.colour = dp_show_colour_wanted(STDOUT_FILENO),
		.verbose = o->verbosity,
		.hold_threshold_ns = o->model.hold_threshold_ns,
	};
	struct dp_privileges privileges = {
		.may_signal = 1, /* also to say beforehand whether it could be done */
		.may_switch_user = o->model.stop_dataflow_after_ns != 0,
	};
	char why[512] = "";
	unsigned int nodes_seen = 0;
	int err = -ENOMEM, code = 0;

	if (o->view && dp_view_possible(why, sizeof(why)) < 0) {
		fprintf(stderr, "dora-probe: %s\n", why);
		return DP_EX_USAGE;
	}
	w.started_ns = w.thin_losses_ns = dp_now();
	w.show = dp_show_new(&show_options);
	w.merge = dp_merge_new();
	w.model = dp_model_new(&model_sink);
	w.wire = dp_wire_new(&wire_sink);
	if (!w.show || !w.merge || !w.model || !w.wire) {
		snprintf(why, sizeof(why), "not enough memory");
		goto cleanup;
	}
	err = open_hands(&w);
	if (err)
		goto cleanup;
	err = dp_bpf_open(&bpf_options, &w.bpf, why, sizeof(why));
	if (err)
		goto cleanup;
	if (o->record) {
		err = dp_recorder_open(o->record, &w.recorder);
		if (err) {
			snprintf(why, sizeof(why), "%s: %s", o->record,
				 err == -EEXIST ? "exists and is no recording: not overwritten"
						: strerror(-err));
			err = -EIO;
			goto cleanup;
		}
	}
	w.targets = dp_targets_new(&o->wanted, w.bpf, w.wire, &target_sink);
	if (!w.targets) {
		err = -ENOMEM;
		goto cleanup;
	}
	if (o->listen) {
		err = open_endpoint(&w, why, sizeof(why));
		if (err) {
			code = err == -EINVAL || err == -EADDRINUSE || err == -EADDRNOTAVAIL
				       ? DP_EX_USAGE
				       : 0;
			goto cleanup;
		}
	}
	err = open_loop(&w);
	if (err)
		goto cleanup;
	push_session(&w);
	err = dp_bpf_attach(w.bpf, why, sizeof(why));
	if (err)
		goto cleanup;
	push_sources(&w);
	err = dp_targets_scan(w.targets);
	if (err < 0)
		goto cleanup;
	if (err == 0)
		say_waiting(o);
	/* Before the rights are dropped: the terminal may be another user's. */
	if (o->view) {
		err = open_view(&w, why, sizeof(why));
		if (err)
			goto cleanup;
	}
	err = dp_privileges_drop(&privileges);
	if (err) {
		snprintf(why, sizeof(why), "capabilities could not be dropped: %s", strerror(-err));
		goto cleanup;
	}
	err = run(&w);
	close_view(&w);
	finish(&w);
	nodes_seen = dp_model_node_count(w.model);
cleanup:
	close_view(&w);
	if (why[0] && err < 0)
		fprintf(stderr, "dora-probe: %s\n", why);
	else if (err < 0 && err != -ESRCH && err != -ENOENT && err != -EPERM && err != -ENOTSUP)
		fprintf(stderr, "dora-probe: %s\n", strerror(-err));
	if (w.recorder && dp_recorder_close(w.recorder) < 0 && !w.record_failed)
		fprintf(stderr, "dora-probe: %s: could not be written to the end\n", o->record);
	dp_hooks_free(w.hooks);
	dp_doracli_free(w.dora);
	dp_hands_free(w.hands);
	dp_http_close(w.http);
	dp_metrics_free(w.metrics);
	dp_targets_free(w.targets);
	dp_wire_free(w.wire);
	dp_model_free(w.model);
	dp_merge_free(w.merge);
	dp_show_free(w.show);
	if (w.epoll >= 0)
		close(w.epoll);
	if (w.signals >= 0)
		close(w.signals);
	if (w.timer >= 0)
		close(w.timer);
	dp_bpf_close(w.bpf);
	if (err < 0)
		return code ? code : exit_code_of(err);
	if (w.output_error)
		return DP_EX_INTERNAL;
	/* What was asked for by name never came. */
	if ((o->wanted.nodes.count || o->wanted.dataflows.count) && !nodes_seen)
		return DP_EX_TARGET;
	return o->fail_on_warning && w.warned ? DP_EX_WARNED : DP_EX_OK;
}
