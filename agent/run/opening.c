// SPDX-License-Identifier: MIT
/* The live run: opening its parts, and closing them (living.h). */
#include "run/living.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sentence.h"
#include "sense/bpf_features.h"
#include "sense/cgroup.h"
#include "sense/privileges.h"
#include "serve/http.h"

#define TICK_NS       (10 * MS)
#define LEVEL_WHY_MAX 512

#define SHORT_OF_MEMORY (48ULL << 20)
#define SMALL_RING      (1u << 20)

static void say(void *ctx, const char *sentence)
{
	struct live *w = ctx;

	w->o->say(w->o->ctx, sentence);
}

static void say_of_process(void *ctx, const char *sentence)
{
	struct live *w = ctx;

	w->said = true;
	say(w, sentence);
}

static void on_signal(void *ctx, int fd)
{
	struct live *w = ctx;

	(void)fd;
	w->end = true;
}

/*
 * From the first moment on: a signal that comes while the programs are loaded ends the run as any
 * other does, as soon as it begins. The end of a terminal too, unless nohup(1) has it ignored.
 */
static int open_signals(struct live *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return w->signals < 0 ? -errno : 0;
}

static void on_timer(void *ctx, int fd)
{
	struct live *w = ctx;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == sizeof(count))
		w->ticked = true;
}

static void on_output_closed(void *ctx, int fd)
{
	struct live *w = ctx;

	(void)fd;
	w->session.pipe_broken = true;
}

/* A reader that leaves is seen at once, not only with the next line: a quiet node has none. */
static int watch_reader(struct live *w)
{
	struct stat st;

	if (w->o->view || fstat(STDOUT_FILENO, &st) < 0 || !S_ISFIFO(st.st_mode))
		return 0;
	return dp_loop_add(&w->loop, STDOUT_FILENO, 0, on_output_closed, w);
}

static int open_loop(struct live *w)
{
	struct itimerspec every = {
		.it_interval = {.tv_nsec = (long)TICK_NS},
		.it_value = {.tv_nsec = (long)TICK_NS},
	};
	int err;

	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer < 0 || timerfd_settime(w->timer, 0, &every, NULL) < 0)
		return -errno;
	err = dp_loop_open(&w->loop);
	if (!err)
		err = dp_loop_add(&w->loop, w->signals, EPOLLIN, on_signal, w);
	if (!err)
		err = dp_loop_add(&w->loop, w->timer, EPOLLIN, on_timer, w);
	if (!err && w->bpf)
		err = dp_loop_add(&w->loop, dp_bpf_fd(w->bpf), EPOLLIN, NULL, NULL);
	if (!err && w->http)
		err = dp_loop_add(&w->loop, dp_http_fd(w->http), EPOLLIN, NULL, NULL);
	if (!err)
		err = watch_reader(w);
	return err;
}

static int ready(void *ctx, char *why, size_t why_len)
{
	struct live *w = ctx;

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

static int open_view(struct live *w, char *why, size_t why_len)
{
	struct dp_view_options o = {
		.nodes = {.count = view_count, .view = view, .ctx = w->session.model},
		.verbose = w->o->show.verbose,
		.hold_threshold_ns = w->o->model.hold_threshold_ns,
		.warn_hold_ns = w->o->model.warn_hold_ns,
		.pending_threshold_ns = w->o->model.pending_threshold_ns,
	};
	int err = dp_view_open(&o, &w->session.view);

	if (!err)
		err = dp_loop_add(&w->loop, dp_view_fd(w->session.view), EPOLLIN, NULL, NULL);
	if (err)
		snprintf(why, why_len, "the live view could not be opened: %s", strerror(-err));
	return err;
}

/* What is printed from here on goes to the terminal as it was. */
void live_close_view(struct live *w)
{
	dp_view_close(w->session.view);
	w->session.view = NULL;
}

static int open_endpoint(struct live *w, char *why, size_t why_len)
{
	struct dp_node_views views = {.count = view_count, .view = view, .ctx = w->session.model};
	struct dp_http_options o = {
		.addr = w->o->listen_addr, .port = w->o->listen_port, .ready = ready, .ctx = w};
	int err;

	w->session.metrics = dp_metrics_new(DP_VERSION, &views);
	if (!w->session.metrics) {
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	o.metrics = w->session.metrics;
	err = dp_http_open(&o, &w->http, why, why_len);
	if (err) {
		if (!why[0])
			snprintf(why, why_len, "%s", strerror(-err));
		return err;
	}
	if (why[0])
		say(w, why);
	why[0] = '\0';
	return 0;
}

static void say_waiting(struct live *w)
{
	const struct dp_wanted *o = &w->o->wanted;
	char names[1024], line[sizeof(names) + 96];
	struct dp_sentence s;

	dp_sentence_begin(&s, names, sizeof(names));
	for (unsigned int i = 0; i < o->nodes.count; i++)
		dp_sayf(&s, "%s %s", i ? "," : " named", o->nodes.name[i]);
	for (unsigned int i = 0; i < o->dataflows.count; i++)
		dp_sayf(&s, "%s %s", i ? "," : " of dataflow", o->dataflows.name[i]);
	snprintf(line, sizeof(line),
		 "no node%s runs yet: waiting for one to start (`dora-probe list` shows what runs)",
		 names);
	say(w, line);
}

/* The parts that need nothing from outside. 0, or -errno with a sentence. */
static int make_parts(struct live *w, struct dp_live_result *ret, char *why, size_t why_len)
{
	struct dp_wire_sink wire_sink = {.record = live_push, .loss = live_wire_loss, .ctx = w};
	int err;

	w->merge = dp_merge_new();
	w->wire = dp_wire_new(&wire_sink);
	w->session.show = dp_show_new(&w->o->show);
	if (!w->merge || !w->wire || !w->session.show || dp_session_begin(&w->session) < 0) {
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	err = dp_acting_open(&w->acting, why, why_len);
	if (err == -EINVAL)
		ret->failed = DP_LIVE_USER;
	return err;
}

/*
 * Loads the programs. Where the kernel cannot, or something refuses bpf(2) to who has the rights for it, the machine is
 * watched by looks alone, which is said. A lack of rights ends the run: that can be mended.
 */
static int open_kernel_side(struct live *w, const struct dp_bpf_options *o, char *why,
			    size_t why_len)
{
	char line[LEVEL_WHY_MAX + 160], lacking[LEVEL_WHY_MAX];
	int err = dp_bpf_open(o, &w->bpf, why, why_len);

	if (err != -ENOTSUP && (err != -EPERM || dp_bpf_can_load(lacking, sizeof(lacking))))
		return err;
	snprintf(
		line, sizeof(line),
		"level sampling: %s. Holds are found by looks at the GIL; tokens, waits and signals are not seen, Stop only "
		"by a `dora stop` that runs on this machine",
		why);
	say(w, line);
	why[0] = '\0';
	return 0;
}

/*
 * Where memory is short the ring is an eighth: all in all 32 MiB were used with the whole one, 20 of them the kernel's for maps
 * and programs (measured on 6.18 by a control group's own count, with one process watched). Bytes, 0 the usual.
 */
static size_t ring_bytes(struct live *w)
{
	uint64_t limit = dp_cgroup_memory("/proc", "/sys/fs/cgroup");
	char line[160];

	if (limit >= SHORT_OF_MEMORY)
		return 0;
	snprintf(line, sizeof(line),
		 "a control group leaves %" PRIu64
		 " MiB of memory: the buffer between kernel and probe is %u MiB, not 8, and "
		 "overflows sooner",
		 limit >> 20, SMALL_RING >> 20);
	say(w, line);
	return SMALL_RING;
}

static void begin_targets(void *ctx)
{
	struct live *w = ctx;

	dp_targets_begin(w->targets);
}

/* The kernel side, the recording, the targets, the endpoint. */
static int open_parts(struct live *w, struct dp_live_result *ret, char *why, size_t why_len)
{
	struct dp_targets_sink target_sink = {.record = live_push, .say = say_of_process, .ctx = w};
	struct dp_bpf_options bpf_options = {
		.sample_hz = DP_SAMPLE_HZ,
		.ring_bytes = ring_bytes(w),
		.trace_all_exec = 1, /* nodes that start later, and `dora stop` */
		.begun = begin_targets,
		.begun_ctx = w,
		.verbose = w->o->show.verbose > 0,
	};
	int err;

	w->targets = dp_targets_new(&w->o->wanted, NULL, w->wire, &target_sink);
	if (!w->targets) {
		snprintf(why, why_len, "not enough memory");
		return -ENOMEM;
	}
	err = open_kernel_side(w, &bpf_options, why, why_len);
	if (err)
		return err;
	dp_targets_see(w->targets, w->bpf);
	if (w->o->record && dp_session_record(&w->session, w->o->record, why, why_len) < 0)
		return -EIO;
	dp_targets_share_every(w->targets, w->o->share_interval_ns);
	dp_targets_govern(w->targets, w->o->max_overhead);
	w->losses.targets = w->acting.targets = w->targets;
	w->captures = (struct dp_captures){.wire = w->wire,
					   .targets = w->targets,
					   .record = live_push,
					   .exited = live_exited,
					   .ctx = w};
	if (w->o->listen_addr) {
		err = open_endpoint(w, why, why_len);
		if (err) {
			ret->failed = DP_LIVE_ENDPOINT;
			return err;
		}
	}
	err = open_loop(w);
	if (err)
		snprintf(why, why_len, "%s", strerror(-err));
	return err;
}

/* Attaches, finds the targets, opens the view, drops what is no longer needed. */
static int start(struct live *w, struct dp_live_result *ret, char *why, size_t why_len)
{
	struct dp_privileges privileges = {
		.may_signal = w->o->acting.may_signal,
		.may_switch_user = dp_acting_switches_user(&w->acting),
		.may_run = dp_acting_runs(&w->acting),
	};
	int err;

	live_push_session(w);
	err = w->bpf ? dp_bpf_attach(w->bpf, why, why_len) : 0;
	if (err)
		return err;
	live_push_sources(w);
	err = dp_targets_scan(w->targets);
	if (err < 0) {
		ret->failed = DP_LIVE_TARGET;
		/* Why no process could be taken was said of each of them. */
		if (!w->said)
			snprintf(why, why_len, "%s", strerror(-err));
		return err;
	}
	if (err == 0) {
		dp_bpf_rest(w->bpf);
		say_waiting(w);
	}
	/* Before the rights are dropped: the terminal may be another user's. */
	if (w->o->view) {
		err = open_view(w, why, why_len);
		if (err)
			return err;
	}
	err = dp_privileges_drop(&privileges);
	if (err)
		snprintf(why, why_len, "capabilities could not be dropped: %s", strerror(-err));
	return err;
}

void live_close(struct live *w)
{
	live_close_view(w);
	dp_acting_close(&w->acting);
	dp_http_close(w->http);
	dp_metrics_free(w->session.metrics);
	dp_targets_free(w->targets);
	dp_wire_free(w->wire);
	dp_session_end(&w->session);
	dp_merge_free(w->merge);
	dp_show_free(w->session.show);
	dp_loop_close(&w->loop);
	if (w->signals >= 0)
		close(w->signals);
	if (w->timer >= 0)
		close(w->timer);
	dp_bpf_close(w->bpf);
}

int live_open(struct live *w, struct dp_live_result *ret, char *why, size_t why_len)
{
	int err;

	w->session.say = w->cost.say = w->acting.say = say;
	w->session.ctx = w->cost.ctx = w->acting.ctx = w->losses.ctx = w;
	w->acting.o = w->o->acting;
	w->acting.record = live_push;
	w->losses.push = live_push_loss;
	w->losses.thin_ns = w->started_ns;
	/* Read from a file each time: not at every tick. */
	w->losses.cpus_online = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	err = open_signals(w);
	if (err)
		snprintf(why, why_len, "%s", strerror(-err));
	else
		err = make_parts(w, ret, why, why_len);
	if (!err)
		err = open_parts(w, ret, why, why_len);
	return err ? err : start(w, ret, why, why_len);
}
