// SPDX-License-Identifier: MIT
/* The doctor's checks that try what the probe does. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/procfile.h"
#include "base/units.h"
#include "cli/doctor_check.h"
#include "sense/bpf_features.h"
#include "sense/bpf_source.h"
#include "sense/bpf_try.h"

/* pidfd_open(2), kernel 6.9: the value is that of O_EXCL; glibc has no name for it before 2.39. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

/* Longer than the kernel was ever seen to take for a uprobe on a busy machine (200 ms). */
#define ARM_WAIT_NS (2 * SEC)
/* Of this process' own list of mappings, bytes. */
#define MAPS_MAX (16u << 20)

void check_bpf(struct doctor *d, struct result *r)
{
	/* r0 = 0; exit */
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACEPOINT, NULL, "Dual MIT/GPL", insns, 2, NULL);

	(void)d;
	if (fd < 0) {
		say_errno(r, -errno);
		return;
	}
	close(fd);
	say(r, OK, FEATURE, "a program was loaded", "");
}

void check_ring(struct doctor *d, struct result *r)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0,
				(unsigned int)sysconf(_SC_PAGESIZE), NULL);

	(void)d;
	if (fd < 0) {
		say_errno(r, -errno);
		return;
	}
	close(fd);
	say(r, OK, FEATURE, "one was made", "");
}

void check_perf(struct doctor *d, struct result *r)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_CPU_CLOCK,
				       .freq = 1,
				       .sample_freq = 49,
				       .disabled = 1};
	/* All processes of one CPU, as the probe does it; the first CPU may be offline. */
	int fd = -1, err = ENODEV;
	char line[32] = "?", value[64];

	for (int cpu = 0; cpu < 4 && fd < 0 && err == ENODEV; cpu++) {
		fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		err = errno;
	}
	if (fd < 0) {
		say_errno(r, -err);
		return;
	}
	close(fd);
	read_line(d, "/proc/sys/kernel/perf_event_paranoid", line, sizeof(line));
	snprintf(value, sizeof(value), "cpu-clock works (perf_event_paranoid %.8s)", line);
	say(r, OK, FEATURE, value, "");
}

void check_vm_read(struct doctor *d, struct result *r)
{
	char from = 'x', to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	/* Of itself, so this shows the system call and no seccomp filter; rights are another line.
	 */
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1) {
		say_errno(r, -errno);
		return;
	}
	d->reads = true;
	say(r, OK, FEATURE, "works", "");
}

void check_pidfd(struct doctor *d, struct result *r)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	(void)d;
	if (fd < 0) {
		/* A watch goes on without; only the guard has nothing to hold a process by. */
		say_errno(r, -errno);
		r->verdict = LIMITED;
		return;
	}
	close(fd);
	fd = (int)syscall(SYS_pidfd_open, (int)syscall(SYS_gettid), PIDFD_THREAD);
	if (fd < 0) {
		say(r, LIMITED, FEATURE,
		    "of processes only (threads: kernel 6.9): nudges go by tgkill after a check",
		    newer_kernel());
		return;
	}
	close(fd);
	say(r, OK, FEATURE, "of processes and of threads", "");
}

/* ---- the probe's own programs ------------------------------------------------------------ */

struct walk {
	char text[640];
	size_t refused;
};

static void note_program(void *ctx, const char *program, int err, const char *said)
{
	struct walk *w = ctx;
	size_t used = strlen(w->text);

	if (!err)
		return;
	snprintf(w->text + used, sizeof(w->text) - used, "%s%s: %s", w->refused++ ? "; " : "",
		 program, *said ? said : strerror(-err));
}

static const char report_refusal[] =
	"use another kernel, and report this line with the output of: uname -a";

void check_load(struct doctor *d, struct result *r)
{
	struct dp_bpf_options options = {.ring_bytes = (size_t)sysconf(_SC_PAGESIZE)};
	struct walk walk = {.text = ""};
	char why[512] = "", value[704], lacking[512];
	const void *elf;
	size_t len;
	int err = dp_bpf_open(&options, &d->bpf, why, sizeof(why));

	if (!err && *dp_bpf_refused(d->bpf)) {
		snprintf(value, sizeof(value), "those at system calls; %s", dp_bpf_refused(d->bpf));
		say(r, LIMITED, FEATURE, value, report_refusal);
		return;
	}
	if (!err) {
		say(r, OK, FEATURE, "the kernel accepts all of them", "");
		return;
	}
	d->bpf = NULL;
	/* As the watch decides (run/opening.c). */
	d->samples =
		err == -ENOTSUP || (err == -EPERM && !dp_bpf_can_load(lacking, sizeof(lacking)));
	if (err == -EMFILE) {
		say(r, MISSING, RIGHT, why, "ulimit -n 1024, LimitNOFILE= of a service");
		return;
	}
	if (err == -EPERM) {
		say(r, MISSING, RIGHT, why, d->samples ? dp_bpf_how_to_allow() : become_root());
		return;
	}
	if (err == -ENOTSUP && !dp_in_initial_pid_ns("/proc")) {
		say(r, MISSING, FEATURE, "not tried: this is the PID namespace of a container",
		    "run it on the host, or start the container with --pid=host");
		return;
	}
	/* All at once they end at the first that is refused: one by one shows the others too. */
	elf = dp_bpf_object(&len);
	if (err == -ENOTSUP && dp_bpf_try(elf, len, note_program, &walk) > 0) {
		snprintf(value, sizeof(value), "refused: %s", walk.text);
		say(r, MISSING, FEATURE, value, report_refusal);
		return;
	}
	say(r, MISSING, FEATURE, why, newer_kernel());
}

void check_attach(struct doctor *d, struct result *r)
{
	char why[512] = "";
	int err;

	if (!d->bpf) {
		say(r, LIMITED, FEATURE, "not tried: the programs are not loaded",
		    "what the line before says");
		return;
	}
	err = dp_bpf_attach(d->bpf, why, sizeof(why));
	if (!err) {
		d->attached = true;
		say(r, OK, FEATURE, "all of them, and cpu-clock on each CPU", "");
		return;
	}
	say(r, MISSING, err == -EPERM ? RIGHT : FEATURE, why,
	    err == -EPERM ? become_root() : newer_kernel());
}

/* Where a function of this process is, as the uprobe wants it. */
struct site {
	uintptr_t at;
	char path[PATH_MAX];
	uint64_t offset;
};

static int take_site(void *ctx, char *line)
{
	struct site *s = ctx;
	uintptr_t start, end;
	uint64_t offset;
	int name = 0;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64 " %*s %*s %n", &start, &end,
		   &offset, &name) < 3 ||
	    s->at < start || s->at >= end || !name || line[name] != '/')
		return 0;
	snprintf(s->path, sizeof(s->path), "%s", line + name);
	s->offset = s->at - start + offset;
	return 1;
}

/* Arms the edge source on this process and waits for the kernel's answer: 0 or -errno. */
static int try_uprobe(struct dp_bpf *b)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct dp_target nothing = {.gil_count = 0};
	struct site site = {.at = (uintptr_t)&pthread_cond_signal};
	uint64_t start;
	int state = 0, err;

	err = dp_procfile_lines_pid("/proc", getpid(), "maps", MAPS_MAX, take_site, &site);
	if (err != 1)
		return err ? err : -ENOENT;
	err = dp_bpf_watch(b, getpid(), &nothing);
	if (!err)
		err = dp_bpf_arm(b, getpid(), site.path, site.offset, NULL);
	start = dp_now();
	while (!err && state == 0) {
		state = dp_bpf_armed(b, getpid());
		if (state == 0 && dp_now() - start > ARM_WAIT_NS)
			state = -ETIMEDOUT;
		if (state == 0)
			nanosleep(&pause, NULL);
	}
	dp_bpf_unwatch(b, getpid());
	return err ? err : state < 0 ? state : 0;
}

void check_uprobe(struct doctor *d, struct result *r)
{
	char line[32], value[192];
	int err;

	if (read_line(d, "/sys/bus/event_source/devices/uprobe/type", line, sizeof(line)) < 0) {
		say(r, LIMITED, FEATURE,
		    "no uprobe events (CONFIG_UPROBE_EVENTS): holds without a waiter stay "
		    "unconfirmed",
		    newer_kernel());
		return;
	}
	if (!d->attached) {
		say(r, LIMITED, FEATURE, "there, not tried: the programs are not attached",
		    "what the lines before say");
		return;
	}
	err = try_uprobe(d->bpf);
	d->confirms = !err;
	if (!err) {
		say(r, OK, FEATURE, "one was attached to this process", "");
		return;
	}
	snprintf(value, sizeof(value), "refused: %s%s; holds without a waiter stay unconfirmed",
		 strerror(-err),
		 err == -EACCES || err == -EPERM ? " (CAP_SYS_ADMIN is missing)" : "");
	say(r, LIMITED, err == -EACCES || err == -EPERM ? RIGHT : FEATURE, value,
	    err == -EACCES || err == -EPERM ? become_root() : newer_kernel());
}

/* By what was tried above; why a program is refused stands at that line. */
void check_level(struct doctor *d, struct result *r)
{
	if (!d->reads || (!d->attached && !d->samples))
		say(r, LIMITED, FEATURE, "none: what the lines before say is missing",
		    "what the lines before say");
	else if (d->only_own)
		say(r, LIMITED, RIGHT, "of processes of this user alone", become_root());
	else if (d->attached && d->confirms)
		say(r, OK, FEATURE, "full", "");
	else if (d->attached)
		say(r, LIMITED, FEATURE, "full, but for the proof of holds that nobody waits for",
		    "what the line of uprobes says");
	else
		say(r, LIMITED, FEATURE,
		    "sampling: holds by looks at the GIL, every 10 ms and unconfirmed; tokens, waits and signals are not seen, Stop only by a running `dora stop`",
		    "what the lines before say");
}
