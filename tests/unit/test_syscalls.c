// SPDX-License-Identifier: MIT
/* A call that is on no list of the probe's is refused, and what it needs goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sense/syscalls.h"
#include "skipping.h"

#define NO_FILTER 99 /* the filter was refused */

/* What `fn` gives in a process of its own: a small number. */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int denied(long rc)
{
	return rc == -1 && errno == EPERM;
}

/* 0: all is as it should be; else the number of the first that is not. */
static int as_watch(void)
{
	char *const argv[] = {(char *)"true", NULL};
	char byte = 'x', copy = 0;
	struct iovec here = {&copy, 1}, there = {&byte, 1};
	pid_t other = getppid();

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (dp_syscalls_limit(false, false))
		return NO_FILTER;
	if (!denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
		return 1;
	if (!denied(process_vm_writev(getpid(), &here, 1, &there, 1, 0)))
		return 2;
	if (!denied(execv("/bin/true", argv)))
		return 3;
	if (!denied(kill(other, SIGUSR2)) || !denied(kill(other, SIGTERM)) ||
	    !denied(kill(other, SIGSTOP)))
		return 4;
	if (kill(getpid(), SIGURG) || raise(SIGURG))
		return 5;
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1 || copy != 'x')
		return 6;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0 || open("/dev/null", O_RDWR) < 0)
		return 7;
	return 0;
}

static int as_guard(void)
{
	char *const argv[] = {(char *)"true", NULL};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (dp_syscalls_limit(true, false))
		return NO_FILTER;
	if (kill(getppid(), SIGURG))
		return 1;
	if (!denied(execv("/bin/true", argv)))
		return 2;
	return denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL)) ? 0 : 3;
}

static int with_hooks(void)
{
	char *const argv[] = {(char *)"true", NULL};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (dp_syscalls_limit(false, true))
		return NO_FILTER;
	if (!denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
		return 1;
	execv("/bin/true", argv);
	return 2;
}

static int as_reader(void)
{
	char byte = 'x', copy = 0;
	struct iovec here = {&copy, 1}, there = {&byte, 1};
	int fd;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (dp_syscalls_limit_to_reading())
		return NO_FILTER;
	fd = open("/proc/self/maps", O_RDONLY);
	if (fd < 0 || read(fd, &copy, 1) != 1 || close(fd))
		return 1;
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1 || copy != 'x')
		return 2;
	if (!denied(socket(AF_INET, SOCK_STREAM, 0)))
		return 3;
	if (!denied(open("/dev/null", O_WRONLY)) || !denied(open("/dev/null", O_RDWR)))
		return 4;
	if (!denied(kill(getppid(), 0)) || !denied((long)fork()))
		return 5;
	if (!denied(process_vm_writev(getpid(), &here, 1, &there, 1, 0)))
		return 6;
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 7;
	/* Room for what it finds it must still get. */
	return malloc(1 << 20) && malloc(64) ? 0 : 8;
}

static void check(int (*fn)(void))
{
	int got = in_child(fn);

	/* Only a kernel without seccomp, or an emulator that keeps it for itself, may refuse a filter. */
	if (got == NO_FILTER && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		skip_because("the kernel takes no seccomp filter");
	assert_int_equal(got, 0);
}

static void test_watch(void **state)
{
	(void)state;
	check(as_watch);
}

static void test_guard(void **state)
{
	(void)state;
	check(as_guard);
}

static void test_hooks(void **state)
{
	(void)state;
	check(with_hooks);
}

static void test_reader(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	skip_because("AddressSanitizer's own calls are not a reader's");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip_because("a sanitizer's own calls are not a reader's");
#endif
#endif
	check(as_reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
