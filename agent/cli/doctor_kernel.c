// SPDX-License-Identifier: MIT
/* The doctor's checks of the kernel and its settings, by what files say. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/array.h"
#include "cli/doctor_check.h"

void check_kernel(struct doctor *d, struct result *r)
{
	struct utsname u = {.release = "unknown"};
	int old;

	uname(&u);
	/* The ring buffer came with 5.8 (commit 457f44363a88). */
	old = d->major < 5 || (d->major == 5 && d->minor < 8);
	say(r, old ? MISSING : OK, FEATURE, u.release, old ? newer_kernel() : "");
}

void check_btf(struct doctor *d, struct result *r)
{
	char path[PATH_MAX];

	path_of(d, "/sys/kernel/btf/vmlinux", path, sizeof(path));
	if (access(path, R_OK) == 0)
		say(r, OK, FEATURE, "/sys/kernel/btf/vmlinux", "");
	else
		say(r, MISSING, FEATURE,
		    "no /sys/kernel/btf/vmlinux is seen here: the kernel is built without CONFIG_DEBUG_INFO_BTF, or /sys is hidden",
		    newer_kernel());
}

/* A tracepoint that programs can attach to has a typedef btf_trace_NAME in the kernel's BTF. */
void check_tracepoints(struct doctor *d, struct result *r)
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
	for (size_t i = 0; i < DP_COUNT_OF(names); i++) {
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

void check_tracefs(struct doctor *d, struct result *r)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[PATH_MAX], events[64];

	for (size_t i = 0; i < DP_COUNT_OF(places); i++) {
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

void check_jit(struct doctor *d, struct result *r)
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
