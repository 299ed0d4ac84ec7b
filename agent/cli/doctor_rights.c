// SPDX-License-Identifier: MIT
/* The doctor's checks of rights and of what may take them away. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/procfile.h"
#include "cli/doctor_check.h"
#include "dora_probe/rights.h"
#include "sense/bpf_features.h"
#include "sense/privileges.h"

/* Of the list of mounts, bytes. */
#define MOUNTS_MAX (4u << 20)

void check_capabilities(struct doctor *d, struct result *r)
{
	char lacking[640] = "", value[704];
	enum verdict verdict = OK;

	for (size_t i = 0; i < dp_rights_count; i++) {
		const struct dp_right *right = &dp_rights[i];
		size_t used = strlen(lacking);

		/* Only who asks for it needs to switch users. */
		if (right->when == DP_RIGHT_USER || dp_privileges_has(d->caps, right->bit) ||
		    dp_privileges_has(d->caps, right->stand_in))
			continue;
		snprintf(lacking + used, sizeof(lacking) - used, "%s%s (%s)", used ? "; " : "",
			 right->name, right->without);
		if (right->needed)
			verdict = MISSING;
		else if (verdict == OK)
			verdict = LIMITED;
	}
	d->only_own = verdict == MISSING;
	snprintf(value, sizeof(value), "without %s", lacking);
	say(r, verdict, RIGHT, verdict == OK ? "all that are used" : value,
	    verdict == OK ? "" : become_root());
}

void check_memlock(struct doctor *d, struct result *r)
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
	enough = limit.rlim_cur == RLIM_INFINITY || dp_privileges_has(d->caps, CAP_SYS_RESOURCE);
	say(r, enough ? OK : MISSING, RIGHT, value, enough ? "" : "ulimit -l unlimited, as root");
}

void check_unprivileged(struct doctor *d, struct result *r)
{
	char line[32], value[64];

	if (read_line(d, "/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)) < 0)
		snprintf(value, sizeof(value), "no such setting");
	else
		snprintf(value, sizeof(value), "%.8s; with CAP_BPF it makes no difference", line);
	say(r, OK, RIGHT, value, "");
}

void check_lockdown(struct doctor *d, struct result *r)
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

void check_yama(struct doctor *d, struct result *r)
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

#define HIDEPID_MAX 64

/* Of a line of mounts about /proc; the last one counts. */
static int take_hidepid(void *ctx, char *line)
{
	char *value = ctx, *options = strstr(line, " /proc proc ");
	char *hide = options ? strstr(options, "hidepid=") : NULL;

	if (options)
		strcpy(value, "off");
	if (hide)
		snprintf(value, HIDEPID_MAX, "%.*s", (int)strcspn(hide + 8, ", "), hide + 8);
	return 0;
}

/* The option hidepid of /proc: 1, 2, 4, or noaccess, invisible, ptraceable from 5.8 on. */
void check_hidepid(struct doctor *d, struct result *r)
{
	char path[PATH_MAX], value[HIDEPID_MAX] = "off";

	path_of(d, "/proc/self/mounts", path, sizeof(path));
	dp_procfile_lines(path, MOUNTS_MAX, take_hidepid, value);
	if (strcmp(value, "off") == 0 || strcmp(value, "0") == 0 ||
	    dp_privileges_has(d->caps, CAP_SYS_PTRACE))
		say(r, OK, RIGHT, value, "");
	else
		say(r, LIMITED, RIGHT, value, become_root());
}

void check_pid_ns(struct doctor *d, struct result *r)
{
	char path[PATH_MAX];

	path_of(d, "/proc", path, sizeof(path));
	if (dp_in_initial_pid_ns(path))
		say(r, OK, RIGHT, "that of the machine", "");
	else
		say(r, MISSING, RIGHT,
		    "a container's: the kernel's process ids cannot be matched, so its programs are not used",
		    "run it on the host, or start the container with --pid=host");
}
