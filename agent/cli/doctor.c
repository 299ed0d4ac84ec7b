// SPDX-License-Identifier: MIT
/* The doctor's checks (doctor.h), one function each. */
#include "cli/doctor.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/options.h"
#include "show/line.h"

/* pidfd_open(2), kernel 6.9: the value is that of O_EXCL; glibc has no name for it before 2.39. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

/* Inode of the initial PID namespace: PROC_PID_INIT_INO in include/linux/proc_ns.h. */
#define INITIAL_PID_NS "pid:[4026531836]"

#define SETCAP                                                                                     \
	"cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_checkpoint_restore,cap_kill+"  \
	"ep"

enum verdict { OK, LIMITED, MISSING };
enum lack { RIGHT, FEATURE };

struct result {
	enum verdict verdict;
	enum lack lack; /* what a verdict other than OK is a lack of */
	char value[256];
	char mend[320]; /* "" nothing to mend */
};

struct doctor {
	const char *root;
	unsigned int major, minor; /* of the kernel */
	cap_t caps;                /* NULL when they cannot be read */
};

static void say(struct result *r, enum verdict verdict, enum lack lack, const char *value,
		const char *mend)
{
	r->verdict = verdict;
	r->lack = lack;
	snprintf(r->value, sizeof(r->value), "%s", value);
	snprintf(r->mend, sizeof(r->mend), "%s", mend);
}

static void path_of(const struct doctor *d, const char *path, char *ret, size_t len)
{
	snprintf(ret, len, "%s%s", d->root, path);
}

/* First line of a file below the root, without its newline: 0 or -errno. */
static int read_line(const struct doctor *d, const char *path, char *ret, size_t len)
{
	char full[PATH_MAX];
	ssize_t n;
	int fd;

	path_of(d, path, full, sizeof(full));
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, len - 1);
	close(fd);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static int has_cap(const struct doctor *d, cap_value_t cap)
{
	cap_flag_value_t on = CAP_CLEAR;

	return d->caps && cap_get_flag(d->caps, cap, CAP_EFFECTIVE, &on) == 0 && on == CAP_SET;
}

static const char *become_root(void)
{
	return geteuid() == 0 ? "start the container with --cap-add=BPF --cap-add=PERFMON "
				"--cap-add=SYS_PTRACE --cap-add=DAC_READ_SEARCH"
			      : "sudo dora-probe …, or once: sudo setcap " SETCAP
				" $(command -v dora-probe)";
}

static const char *newer_kernel(void)
{
	return "sudo apt-get install linux-image-$(dpkg --print-architecture), and reboot";
}

/* ---- kernel ------------------------------------------------------------------------------ */

static void check_kernel(const struct doctor *d, struct result *r)
{
	struct utsname u = {.release = "unknown"};
	int old;

	uname(&u);
	/* The ring buffer came with 5.8 (commit 457f44363a88). */
	old = d->major < 5 || (d->major == 5 && d->minor < 8);
	say(r, old ? MISSING : OK, FEATURE, u.release, old ? newer_kernel() : "");
}

static void check_btf(const struct doctor *d, struct result *r)
{
	char path[PATH_MAX];

	path_of(d, "/sys/kernel/btf/vmlinux", path, sizeof(path));
	if (access(path, R_OK) == 0)
		say(r, OK, FEATURE, "/sys/kernel/btf/vmlinux", "");
	else
		say(r, MISSING, FEATURE,
		    "no /sys/kernel/btf/vmlinux: the kernel is built without CONFIG_DEBUG_INFO_BTF",
		    newer_kernel());
}

/* A tracepoint that programs can attach to has a typedef btf_trace_NAME in the kernel's BTF. */
static void check_tracepoints(const struct doctor *d, struct result *r)
{
	static const char *const names[] = {
		"sys_enter",      "sys_exit",           "sched_switch",       "signal_generate",
		"signal_deliver", "sched_process_exec", "sched_process_fork", "sched_process_exit",
	};
	char path[PATH_MAX], type[64], lacking[160] = "", value[224];
	struct btf *btf;

	path_of(d, "/sys/kernel/btf/vmlinux", path, sizeof(path));
	btf = btf__parse(path, NULL);
	if (libbpf_get_error(btf)) {
		say(r, MISSING, FEATURE, "cannot be told without BTF", newer_kernel());
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(type, sizeof(type), "btf_trace_%s", names[i]);
		if (btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) < 0)
			snprintf(lacking + strlen(lacking), sizeof(lacking) - strlen(lacking),
				 "%s%s", *lacking ? ", " : "", names[i]);
	}
	btf__free(btf);
	snprintf(value, sizeof(value), "without %s", lacking);
	if (*lacking)
		say(r, MISSING, FEATURE, value, newer_kernel());
	else
		say(r, OK, FEATURE, "system calls, scheduler, signals, processes", "");
}

static void check_tracefs(const struct doctor *d, struct result *r)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[PATH_MAX], events[64];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(events, sizeof(events), "%s/events", places[i]);
		path_of(d, events, path, sizeof(path));
		if (access(path, F_OK) == 0) {
			say(r, OK, FEATURE, places[i], "");
			return;
		}
		if (errno == EACCES) {
			say(r, OK, RIGHT, "there, to be read by root only", "");
			return;
		}
	}
	say(r, LIMITED, FEATURE, "not mounted",
	    "sudo mount -t tracefs tracefs /sys/kernel/tracing");
}

static void check_jit(const struct doctor *d, struct result *r)
{
	char line[32];
	int err = read_line(d, "/proc/sys/net/core/bpf_jit_enable", line, sizeof(line));

	if (err == -EACCES || err == -EPERM)
		say(r, OK, RIGHT, "cannot be read without root", "");
	else if (err < 0)
		say(r, OK, FEATURE, "no setting: compiled in or not there", "");
	else if (strcmp(line, "0") == 0)
		say(r, LIMITED, FEATURE, "off: programs are interpreted, which costs more",
		    "sudo sysctl -w net.core.bpf_jit_enable=1");
	else
		say(r, OK, FEATURE, "on", "");
}

static void check_uprobe(const struct doctor *d, struct result *r)
{
	char line[32];

	if (read_line(d, "/sys/bus/event_source/devices/uprobe/type", line, sizeof(line)) == 0)
		say(r, OK, FEATURE, "there", "");
	else
		say(r, LIMITED, FEATURE,
		    "no uprobe events (CONFIG_UPROBE_EVENTS): holds without a waiter stay "
		    "unconfirmed",
		    newer_kernel());
}

/* ---- tried ------------------------------------------------------------------------------- */

static void say_errno(struct result *r, int err)
{
	char value[96];
	int right = err == EPERM || err == EACCES;

	snprintf(value, sizeof(value), "refused: %s", strerror(err));
	say(r, MISSING, right ? RIGHT : FEATURE, value, right ? become_root() : newer_kernel());
}

static void check_bpf(const struct doctor *d, struct result *r)
{
	/* r0 = 0; exit */
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACEPOINT, NULL, "Dual MIT/GPL", insns, 2, NULL);

	(void)d;
	if (fd < 0) {
		say_errno(r, errno);
		return;
	}
	close(fd);
	say(r, OK, FEATURE, "a program was loaded", "");
}

static void check_ring(const struct doctor *d, struct result *r)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0,
				(unsigned int)sysconf(_SC_PAGESIZE), NULL);

	(void)d;
	if (fd < 0) {
		say_errno(r, errno);
		return;
	}
	close(fd);
	say(r, OK, FEATURE, "one was made", "");
}

static void check_perf(const struct doctor *d, struct result *r)
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
		say_errno(r, err);
		return;
	}
	close(fd);
	read_line(d, "/proc/sys/kernel/perf_event_paranoid", line, sizeof(line));
	snprintf(value, sizeof(value), "cpu-clock works (perf_event_paranoid %.8s)", line);
	say(r, OK, FEATURE, value, "");
}

static void check_vm_read(const struct doctor *d, struct result *r)
{
	char from = 'x', to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	(void)d;
	/* Of itself, so this shows the system call and no seccomp filter; rights are another line.
	 */
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1) {
		say_errno(r, errno);
		return;
	}
	say(r, OK, FEATURE, "works", "");
}

static void check_pidfd(const struct doctor *d, struct result *r)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	(void)d;
	if (fd < 0) {
		say_errno(r, errno);
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

/* ---- rights ------------------------------------------------------------------------------ */

static void check_capabilities(const struct doctor *d, struct result *r)
{
	static const struct {
		cap_value_t cap;
		int needed;
		int by_admin; /* CAP_SYS_ADMIN stands in for it (capabilities(7)) */
	} wanted[] = {
		{CAP_BPF, 1, 1},
		{CAP_PERFMON, 1, 1},
		{CAP_SYS_PTRACE, 1, 0},
		{CAP_DAC_READ_SEARCH, 0, 0},
		{CAP_CHECKPOINT_RESTORE, 0, 1},
		{CAP_KILL, 0, 0},
	};
	char lacking[192] = "", value[224];
	enum verdict verdict = OK;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		char *name;

		if (has_cap(d, wanted[i].cap) || (wanted[i].by_admin && has_cap(d, CAP_SYS_ADMIN)))
			continue;
		name = cap_to_name(wanted[i].cap);
		snprintf(lacking + strlen(lacking), sizeof(lacking) - strlen(lacking), "%s%s",
			 *lacking ? ", " : "", name ? name : "?");
		cap_free(name);
		if (wanted[i].needed)
			verdict = MISSING;
		else if (verdict == OK)
			verdict = LIMITED;
	}
	snprintf(value, sizeof(value), "without %s", lacking);
	say(r, verdict, RIGHT, verdict == OK ? "all that are used" : value,
	    verdict == OK ? "" : become_root());
}

static void check_memlock(const struct doctor *d, struct result *r)
{
	struct rlimit limit = {0, 0};
	char value[96];
	int enough;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(value, sizeof(value), "unlimited");
	else
		snprintf(value, sizeof(value), "%llu KiB",
			 (unsigned long long)limit.rlim_cur / 1024);
	/* From 5.11 on BPF memory is charged to the control group (commit 3ac1f01b43b6). */
	if (d->major > 5 || (d->major == 5 && d->minor >= 11)) {
		strcat(value, "; this kernel does not count BPF memory by it");
		say(r, OK, RIGHT, value, "");
		return;
	}
	enough = limit.rlim_cur == RLIM_INFINITY || has_cap(d, CAP_SYS_RESOURCE);
	say(r, enough ? OK : MISSING, RIGHT, value, enough ? "" : "ulimit -l unlimited, as root");
}

static void check_unprivileged(const struct doctor *d, struct result *r)
{
	char line[32], value[64];

	if (read_line(d, "/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)) < 0)
		snprintf(value, sizeof(value), "no such setting");
	else
		snprintf(value, sizeof(value), "%.8s; with CAP_BPF it makes no difference", line);
	say(r, OK, RIGHT, value, "");
}

static void check_lockdown(const struct doctor *d, struct result *r)
{
	char line[128];

	if (read_line(d, "/sys/kernel/security/lockdown", line, sizeof(line)) < 0)
		say(r, OK, RIGHT, "not in force", "");
	else if (strstr(line, "[confidentiality]"))
		/* Forbids BPF to read kernel memory, and perf (security/lockdown/lockdown.c). */
		say(r, MISSING, RIGHT, line,
		    "reboot with lockdown=integrity in place of lockdown=confidentiality");
	else
		say(r, OK, RIGHT, line, "");
}

static void check_yama(const struct doctor *d, struct result *r)
{
	char line[32], value[64];

	if (read_line(d, "/proc/sys/kernel/yama/ptrace_scope", line, sizeof(line)) < 0) {
		say(r, OK, RIGHT, "not in force", "");
		return;
	}
	snprintf(value, sizeof(value), "%.8s", line);
	/* 3 refuses every attach, whoever asks, until the next boot (Documentation/…/Yama.rst). */
	if (strcmp(line, "3") == 0)
		say(r, MISSING, RIGHT, "3: nobody may read another process until the next boot",
		    "set kernel.yama.ptrace_scope=1 in /etc/sysctl.d and reboot");
	else
		say(r, OK, RIGHT, value, "");
}

/* The option hidepid of /proc: 1, 2, 4, or noaccess, invisible, ptraceable from 5.8 on. */
static void check_hidepid(const struct doctor *d, struct result *r)
{
	char path[PATH_MAX], line[1024], value[64] = "off";
	FILE *f;

	path_of(d, "/proc/self/mounts", path, sizeof(path));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *options = strstr(line, " /proc proc ");
		char *hide = options ? strstr(options, "hidepid=") : NULL;

		if (options)
			strcpy(value, "off");
		if (hide)
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(hide + 8, ", \n"),
				 hide + 8);
	}
	if (f)
		fclose(f);
	if (strcmp(value, "off") == 0 || strcmp(value, "0") == 0 || has_cap(d, CAP_SYS_PTRACE))
		say(r, OK, RIGHT, value, "");
	else
		say(r, LIMITED, RIGHT, value, become_root());
}

static void check_pid_ns(const struct doctor *d, struct result *r)
{
	char path[PATH_MAX], link[64];
	ssize_t n;

	path_of(d, "/proc/self/ns/pid", path, sizeof(path));
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	if (strcmp(link, INITIAL_PID_NS) == 0)
		say(r, OK, RIGHT, "that of the machine", "");
	else
		say(r, MISSING, RIGHT, "a container's: the kernel's process ids cannot be matched",
		    "run it on the host, or start the container with --pid=host");
}

/* ---- all --------------------------------------------------------------------------------- */

static const struct {
	const char *id;   /* in JSON */
	const char *name; /* in text */
	const char *purpose;
	void (*run)(const struct doctor *d, struct result *r);
} checks[] = {
	{"kernel", "kernel", "runs the probe's programs", check_kernel},
	{"btf", "BTF", "fits the programs to this kernel", check_btf},
	{"tracepoints", "tracepoints", "where the programs look", check_tracepoints},
	{"tracefs", "tracefs", "not used by the probe itself, helps to look closer", check_tracefs},
	{"bpf", "bpf system call", "loads the programs", check_bpf},
	{"ring_buffer", "ring buffer", "brings what the programs see", check_ring},
	{"jit", "BPF compiler", "makes the programs cheap", check_jit},
	{"uprobe", "uprobes", "confirm a hold that nobody waits for, and --exact", check_uprobe},
	{"perf_events", "perf events", "samples of who holds the GIL", check_perf},
	{"process_vm_readv", "process_vm_readv", "reads the GIL and the Python stack",
	 check_vm_read},
	{"pidfd", "pidfd", "signals the right thread and no other", check_pidfd},
	{"capabilities", "capabilities", "the rights for all of this", check_capabilities},
	{"memlock", "RLIMIT_MEMLOCK", "memory for maps", check_memlock},
	{"unprivileged_bpf_disabled", "unprivileged bpf", "who may use BPF", check_unprivileged},
	{"lockdown", "lockdown", "may forbid BPF to read", check_lockdown},
	{"ptrace_scope", "Yama ptrace_scope", "may forbid to read another process", check_yama},
	{"hidepid", "hidepid of /proc", "may hide processes", check_hidepid},
	{"pid_namespace", "PID namespace", "process ids as the kernel has them", check_pid_ns},
};

static const char *const verdicts[] = {[OK] = "ok", [LIMITED] = "limited", [MISSING] = "missing"};

static void put_json(struct dp_line *l, size_t i, const struct result *r)
{
	dp_line_fmt(l, "{\"check\":\"%s\",\"state\":\"%s\",\"value\":", checks[i].id,
		    verdicts[r->verdict]);
	dp_line_json(l, r->value);
	dp_line_str(l, ",\"purpose\":");
	dp_line_json(l, checks[i].purpose);
	dp_line_fmt(l, ",\"lack\":%s",
		    r->verdict == OK   ? "null"
		    : r->lack == RIGHT ? "\"right\""
				       : "\"feature\"");
	dp_line_str(l, ",\"mend\":");
	dp_line_json(l, *r->mend ? r->mend : NULL);
	dp_line_str(l, "}\n");
}

static void put_text(struct dp_line *l, size_t i, const struct result *r)
{
	dp_line_fmt(l, "%-8s  %-18s  ", verdicts[r->verdict], checks[i].name);
	dp_line_text(l, r->value);
	dp_line_fmt(l, " (%s)\n", checks[i].purpose);
	if (*r->mend) {
		dp_line_fill(l, ' ', 30);
		dp_line_str(l, "mend it: ");
		dp_line_text(l, r->mend);
		dp_line_str(l, "\n");
	}
}

static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int dp_doctor_at(const char *root, FILE *out, int json)
{
	struct doctor d = {.root = root, .caps = cap_get_proc()};
	struct dp_line line = {.limit = 64 * 1024};
	int lacks_right = 0, lacks_feature = 0, code;
	struct utsname u = {.release = ""};
	libbpf_print_fn_t old;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &d.major, &d.minor) != 2)
		d.major = d.minor = 0;
	/* The answers are ours to give; libbpf's own would come in between. */
	old = libbpf_set_print(be_quiet);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct result r = {.verdict = MISSING};

		checks[i].run(&d, &r);
		lacks_right |= r.verdict == MISSING && r.lack == RIGHT;
		lacks_feature |= r.verdict == MISSING && r.lack == FEATURE;
		if (json)
			put_json(&line, i, &r);
		else
			put_text(&line, i, &r);
	}
	libbpf_set_print(old);
	/* A right does not help where the kernel lacks something: that comes first. */
	code = lacks_feature ? DP_EX_FEATURE : lacks_right ? DP_EX_RIGHT : DP_EX_OK;
	if (line.error || fwrite(line.data, 1, line.len, out) != line.len || fflush(out) != 0)
		code = DP_EX_INTERNAL;
	dp_line_free(&line);
	cap_free(d.caps);
	return code;
}

int dp_doctor(int json)
{
	return dp_doctor_at("", stdout, json);
}
