// SPDX-License-Identifier: MIT
/* The reader's side: a process that reads one target, and nothing else (reader.h). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/glibc.h"
#include "base/units.h"
#include "dora/stop_command.h"
#include "sense/privileges.h"
#include "sense/reader_job.h"

/* Files that it has open at once: an ELF file, its folder, a file of /proc. */
#define FILES_MAX 16

void reading_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec limit = {.tv_sec = (time_t)(ns / SEC), .tv_nsec = (long)(ns % SEC)};

	syscall(SYS_futex, word, FUTEX_WAIT, value, ns ? &limit : NULL, NULL, 0);
}

void reading_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int open_py(struct dp_py **py, pid_t pid, char *why, size_t why_len)
{
	return *py ? 0 : dp_py_open(pid, py, why, why_len);
}

/* With what is always asked next: of several targets all readers are at work then, and nobody waits for one after the other. */
static int open_and_more(struct dp_py **py, struct job *j)
{
	int err;

	j->u.open.why[0] = '\0';
	err = open_py(py, j->pid, j->u.open.why, sizeof(j->u.open.why));
	if (err)
		return err;
	memset(&j->u.open.target, 0, sizeof(j->u.open.target));
	j->u.open.filled = dp_py_fill_target(*py, &j->u.open.target);
	j->u.open.sited = dp_py_cond_signal_site(
		*py, j->u.open.site.path, sizeof(j->u.open.site.path), &j->u.open.site.offset);
	j->u.open.has_version =
		dp_dora_version_read("/proc", j->pid, j->u.open.version, sizeof(j->u.open.version));
	dp_py_give_copy(*py, j->u.open.copy);
	return 0;
}

static int stack(struct dp_py **py, struct job *j)
{
	char why[DP_REASON_MAX];

	memset(&j->u.stack, 0, sizeof(j->u.stack));
	if (j->is_python && open_py(py, j->pid, why, sizeof(why)) == 0)
		return dp_py_stack(*py, j->tid, &j->u.stack);
	return dp_native_stack(j->pid, j->tid, &j->u.stack);
}

/* Questions about a CPython; -errno where it is none. */
static int answer_python(struct dp_py **py, struct job *j)
{
	char why[DP_REASON_MAX] = "";
	int err = open_py(py, j->pid, why, sizeof(why));

	if (err)
		return err;
	switch (j->kind) {
	case JOB_FILL:
		memset(&j->u.fill.target, 0, sizeof(j->u.fill.target));
		err = dp_py_fill_target(*py, &j->u.fill.target);
		dp_py_give_copy(*py, j->u.fill.copy);
		return err;
	case JOB_LOOK:
		memset(&j->u.look, 0, sizeof(j->u.look));
		return dp_py_look(*py, j->index, &j->u.look.look, &j->u.look.tid);
	case JOB_WAITS:
		return dp_py_waits(*py, j->tid, &j->u.waits);
	case JOB_THREADS:
		memset(&j->u.threads, 0, sizeof(j->u.threads));
		j->u.threads.count = dp_py_threads(*py, j->u.threads.tids, DP_THREADS_LOOKED_AT);
		return 0;
	case JOB_SIGNAL:
		return dp_py_signal_pending(*py);
	case JOB_SITE:
		return dp_py_cond_signal_site(*py, j->u.site.path, sizeof(j->u.site.path),
					      &j->u.site.offset);
	case JOB_DORA_CALLS:
		return dp_py_dora_calls(*py, &j->u.dora_calls);
	default:
		return -EINVAL;
	}
}

/* Most Pythons are no nodes, and have not even imported dora: these are not opened. */
static int dora_node(struct dp_py **py, struct job *j)
{
	char text[DP_REASON_MAX];
	int err = dp_dora_version_read("/proc", j->pid, text, sizeof(text));

	memset(&j->u.dora_node, 0, sizeof(j->u.dora_node));
	if (err && err != -ENODATA)
		return err;
	err = open_py(py, j->pid, text, sizeof(text));
	return err ? err : dp_py_dora_node(*py, &j->u.dora_node);
}

static int answer(struct dp_py **py, struct job *j)
{
	switch (j->kind) {
	case JOB_OPEN:
		return open_and_more(py, j);
	case JOB_STACK:
		return stack(py, j);
	case JOB_VERSION:
		return dp_dora_version_read("/proc", j->pid, j->u.version, sizeof(j->u.version));
	case JOB_CONFIG:
		memset(&j->u.config, 0, sizeof(j->u.config));
		return dp_node_config_read("/proc", j->pid, &j->u.config);
	case JOB_DORA_NODE:
		return dora_node(py, j);
	case JOB_COMMAND:
		memset(&j->u.command, 0, sizeof(j->u.command));
		return dp_stop_command_read(NULL, j->pid, &j->u.command);
	default:
		return answer_python(py, j);
	}
}

/* Of the probe it keeps neither a descriptor, nor a handler, nor a right but to read. */
static void become_reader(pid_t parent)
{
	struct rlimit files = {FILES_MAX, FILES_MAX}, no_core = {0, 0};
	struct sigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	for (int i = 1; i <= 64; i++)
		sigaction(i, &dfl, NULL);
	dp_close_from(0);
	/* Whatever writes to a standard stream does not write to a file that was opened in its place. */
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (open("/dev/null", O_RDWR) != fd)
			_exit(1);
	prctl(PR_SET_NAME, "dora-probe-read");
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &no_core);
	/* Before the system calls are limited. Fewer capabilities leave it as it is (commit_creds). */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		_exit(1);
	if (dp_privileges_drop_to_reading() < 0 || getppid() != parent)
		_exit(1);
}

void reading_run(struct dp_reading *s, pid_t parent)
{
	struct dp_py *py = NULL;
	uint32_t seen = 0;

	become_reader(parent);
	for (;;) {
		struct job j;
		uint32_t asked = atomic_load(&s->asked);

		if (asked == seen) {
			reading_wait(&s->asked, seen, 0);
			continue;
		}
		seen = asked;
		memcpy(&j, &s->job, sizeof(j));
		j.result = answer(&py, &j);
		/* What it has found may be another program's by now. */
		if (j.result == -ESRCH) {
			dp_py_close(py);
			py = NULL;
		}
		memcpy(&s->job, &j, sizeof(j));
		atomic_store(&s->cpu_ns, dp_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
		atomic_store(&s->answered, seen);
		reading_wake(&s->answered);
	}
}
