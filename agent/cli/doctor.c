// SPDX-License-Identifier: MIT
/* The doctor's table and what its checks share (doctor.h). The checks are in doctor_*.c. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/array.h"
#include "base/procfile.h"
#include "cli/doctor_check.h"
#include "sense/bpf_features.h"
#include "cli/options.h"
#include "dora_probe/rights.h"
#include "sense/bpf_source.h"
#include "sense/refusal.h"
#include "show/line.h"

#define TEXT_LIMIT (64 * 1024)

void say(struct result *r, enum verdict verdict, enum lack lack, const char *value,
	 const char *mend)
{
	r->verdict = verdict;
	r->lack = lack;
	snprintf(r->value, sizeof(r->value), "%s", value);
	snprintf(r->mend, sizeof(r->mend), "%s", mend);
}

void path_of(const struct doctor *d, const char *path, char *ret, size_t len)
{
	snprintf(ret, len, "%s%s", d->root, path);
}

/* First line of a file below the root, without its newline: 0 or -errno. */
int read_line(const struct doctor *d, const char *path, char *ret, size_t len)
{
	char full[PATH_MAX];
	ssize_t n;

	path_of(d, path, full, sizeof(full));
	n = dp_procfile_read(full, ret, len);
	if (n < 0)
		return (int)n;
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

void say_errno(struct result *r, int err)
{
	char value[96], lacking[512];
	bool right = err == -EPERM || err == -EACCES;

	snprintf(value, sizeof(value), "refused: %s", strerror(-err));
	if (!right)
		say(r, MISSING, FEATURE, value, newer_kernel());
	else
		say(r, MISSING, RIGHT, value,
		    dp_bpf_can_load(lacking, sizeof(lacking)) == -EPERM ? become_root()
									: dp_bpf_how_to_allow());
}

const char *become_root(void)
{
	static char text[DP_RIGHTS_TEXT + 128];
	char set[DP_RIGHTS_TEXT];
	unsigned int whens = 1u << DP_RIGHT_WATCH | 1u << DP_RIGHT_SIGNAL;

	if (geteuid() == 0)
		snprintf(text, sizeof(text), "start the container or service with %s",
			 dp_rights_container(whens, set, sizeof(set)));
	else
		snprintf(text, sizeof(text),
			 "sudo dora-probe …, or once: sudo setcap %s $(command -v dora-probe)",
			 dp_rights_setcap(whens, set, sizeof(set)));
	return text;
}

const char *newer_kernel(void)
{
	return "boot a newer kernel of your distribution, built with BPF, BTF and uprobes";
}

/* ---- all --------------------------------------------------------------------------------- */

static const struct {
	const char *id;   /* in JSON */
	const char *name; /* in text */
	const char *purpose;
	void (*run)(struct doctor *d, struct result *r);
	bool of_programs; /* where it is missing, a watch may go on at level sampling */
} checks[] = {
	{"kernel", "kernel", "runs the probe's programs", check_kernel, true},
	{"btf", "BTF", "fits the programs to this kernel", check_btf, true},
	{"tracepoints", "tracepoints", "where the programs look", check_tracepoints, true},
	{"tracefs", "tracefs", "not used by the probe itself, helps to look closer", check_tracefs,
	 false},
	{"bpf", "bpf system call", "loads the programs", check_bpf, true},
	{"ring_buffer", "ring buffer", "brings what the programs see", check_ring, true},
	{"jit", "BPF compiler", "makes the programs cheap", check_jit, true},
	{"perf_events", "perf events", "samples of who holds the GIL", check_perf, true},
	{"programs", "programs", "the probe's own, loaded", check_load, true},
	{"attach", "attaching", "the probe's own, attached", check_attach, true},
	{"uprobe", "uprobes", "confirm a hold that nobody waits for, and --exact", check_uprobe,
	 false},
	{"process_vm_readv", "process_vm_readv", "reads the GIL and the Python stack",
	 check_vm_read, false},
	{"pidfd", "pidfd", "signals the right thread and no other", check_pidfd, false},
	{"capabilities", "capabilities", "the rights for all of this", check_capabilities, false},
	{"memlock", "RLIMIT_MEMLOCK", "memory for maps", check_memlock, true},
	{"unprivileged_bpf_disabled", "unprivileged bpf", "who may use BPF", check_unprivileged,
	 true},
	{"lockdown", "lockdown", "may forbid BPF to read", check_lockdown, true},
	{"ptrace_scope", "Yama ptrace_scope", "may forbid to read another process", check_yama,
	 false},
	{"hidepid", "hidepid of /proc", "may hide processes", check_hidepid, false},
	{"pid_namespace", "PID namespace", "process ids as the kernel has them", check_pid_ns,
	 true},
	{"level", "level", "how much of a node is seen here", check_level, false},
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

/*
 * That of a watch of other users' processes. A right does not help where the kernel lacks something: that comes first.
 * What only the programs need does not count where a watch goes on without them.
 */
static int code_of(const struct doctor *d, const struct result all[])
{
	bool right = false, feature = false;

	for (size_t i = 0; i < DP_COUNT_OF(checks); i++) {
		if (all[i].verdict != MISSING || (checks[i].of_programs && d->samples))
			continue;
		right |= all[i].lack == RIGHT;
		feature |= all[i].lack == FEATURE;
	}
	return feature ? DP_EX_FEATURE : right ? DP_EX_RIGHT : DP_EX_OK;
}

int dp_doctor_at(const char *root, FILE *out, int json)
{
	struct doctor d = {.root = root, .caps = cap_get_proc()};
	struct dp_line line = {.limit = TEXT_LIMIT};
	struct result all[DP_COUNT_OF(checks)];
	int code;
	struct utsname u = {.release = ""};

	uname(&u);
	if (sscanf(u.release, "%u.%u", &d.major, &d.minor) != 2)
		d.major = d.minor = 0;
	/* The answers are ours to give; libbpf's own would come in between. */
	dp_refusal_listen(NULL, false);
	for (size_t i = 0; i < DP_COUNT_OF(checks); i++) {
		all[i] = (struct result){.verdict = MISSING};
		checks[i].run(&d, &all[i]);
		if (json)
			put_json(&line, i, &all[i]);
		else
			put_text(&line, i, &all[i]);
	}
	dp_bpf_close(d.bpf);
	code = code_of(&d, all);
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
