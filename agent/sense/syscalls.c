// SPDX-License-Identifier: MIT
/* The lists of system calls (syscalls.h). */
#include "sense/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"

/* The runtime of a sanitizer makes calls of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* By name: which of them there are differs by architecture, and by the age of libseccomp. */
static const char *const never[] = {
	"ptrace",
	"process_vm_writev",
	"process_madvise",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"fsconfig",
	"mount_setattr",
	"pivot_root",
	"chroot",
	"swapon",
	"swapoff",
	"reboot",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
	"acct",
	"quotactl",
	"iopl",
	"ioperm",
	"keyctl",
	"add_key",
	"request_key",
	"userfaultfd",
	"unshare",
	"personality",
	"open_by_handle_at",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
};

static const char *const programs[] = {"execve", "execveat"};

static const char *const reading[] = {
	"process_vm_readv",
	"read",
	"pread64",
	"readv",
	"readlink",
	"readlinkat",
	"close",
	"fstat",
	"newfstatat",
	"stat",
	"lstat",
	"statx",
	"lseek",
	"getdents64",
	"access",
	"faccessat",
	"faccessat2",
	"fcntl",
	"openat2",
	"futex",
	"munmap",
	"mremap",
	"brk",
	"madvise",
	"clock_gettime",
	"gettimeofday",
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"geteuid",
	"getrandom",
	"sched_getaffinity",
	"sched_yield",
	"rt_sigreturn",
	"rt_sigprocmask",
	"restart_syscall",
	"exit",
	"exit_group",
	"prlimit64",
	"sysinfo",
	"uname",
	"nanosleep",
	"clock_nanosleep",
};

static int refuse(scmp_filter_ctx f, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		/* What this architecture does not have is no call to be refused. */
		int err = nr < 0 ? 0 : seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 0);

		if (err)
			return err;
	}
	return 0;
}

/* Signals to others, but for the SIGKILL that ends a reader or a hook. */
static int refuse_signals(scmp_filter_ctx f)
{
	static const char *const queued[] = {"tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"};
	/* Not by the library's macros, which leave out a field. */
	const struct scmp_arg_cmp other = {
		.arg = 0, .op = SCMP_CMP_NE, .datum_a = (scmp_datum_t)getpid()};
	const struct scmp_arg_cmp no_kill = {.arg = 1, .op = SCMP_CMP_NE, .datum_a = SIGKILL};
	int err = refuse(f, queued, DP_COUNT_OF(queued));

	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 2, other, no_kill);
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, other);
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM),
				       seccomp_syscall_resolve_name("pidfd_send_signal"), 0);
	return err;
}

static int load(scmp_filter_ctx f)
{
	/* Threads that arm the edge source are there already. */
	int err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	return err ? err : seccomp_load(f);
}

int dp_syscalls_limit(bool may_signal, bool may_run)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int err;

	if (!f)
		return -ENOMEM;
	err = refuse(f, never, DP_COUNT_OF(never));
	if (!err && !may_run)
		err = refuse(f, programs, DP_COUNT_OF(programs));
	/* A hook may send what signals it likes: the list is its list too. */
	if (!err && !may_signal && !may_run)
		err = refuse_signals(f);
	if (!err)
		err = load(f);
	seccomp_release(f);
	return err;
}

/* Files to be read, memory that is nobody else's. */
static int allow_files(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp open_reads[] = {SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDONLY)};
	const struct scmp_arg_cmp openat_reads[] = {
		SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDONLY)};
	int err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, openat_reads);

	if (!err && seccomp_syscall_resolve_name("open") >= 0)
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, open_reads);
	if (!err)
		err = seccomp_rule_add(
			f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED | MAP_PRIVATE, MAP_PRIVATE));
	/* No memory becomes code. */
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

int dp_syscalls_limit_to_reading(void)
{
	scmp_filter_ctx f;
	int err = 0;

	if (SANITIZED)
		return 0;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	for (size_t i = 0; !err && i < DP_COUNT_OF(reading); i++) {
		int nr = seccomp_syscall_resolve_name(reading[i]);

		if (nr >= 0)
			err = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
	}
	if (!err)
		err = allow_files(f);
	if (!err)
		err = seccomp_load(f);
	seccomp_release(f);
	return err;
}
