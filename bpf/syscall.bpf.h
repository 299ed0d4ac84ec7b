/* SPDX-License-Identifier: MIT */
/*
 * System calls as the programs see them: numbers, arguments, and the two prog arrays by which the
 * one program at sys_enter and the one at sys_exit (syscall.bpf.c) pass a watched process' call on
 * to its family.
 */
#ifndef DORA_PROBE_SYSCALL_BPF_H
#define DORA_PROBE_SYSCALL_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>

/* arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h */
#if defined(__TARGET_ARCH_x86)
enum {
	NR_READ = 0,
	NR_WRITE = 1,
	NR_OPEN = 2,
	NR_CLOSE = 3,
	NR_MMAP = 9,
	NR_MUNMAP = 11,
	NR_READV = 19,
	NR_WRITEV = 20,
	NR_DUP = 32,
	NR_DUP2 = 33,
	NR_CONNECT = 42,
	NR_SENDTO = 44,
	NR_RECVFROM = 45,
	NR_SENDMSG = 46,
	NR_RECVMSG = 47,
	NR_SHUTDOWN = 48,
	NR_FCNTL = 72,
	NR_UNLINK = 87,
	NR_FUTEX = 202,
	NR_OPENAT = 257,
	NR_UNLINKAT = 263,
	NR_DUP3 = 292,
	NR_OPENAT2 = 437,
};
#else
enum {
	NR_DUP = 23,
	NR_DUP3 = 24,
	NR_FCNTL = 25,
	NR_UNLINKAT = 35,
	NR_OPENAT = 56,
	NR_CLOSE = 57,
	NR_READ = 63,
	NR_WRITE = 64,
	NR_READV = 65,
	NR_WRITEV = 66,
	NR_FUTEX = 98,
	NR_CONNECT = 203,
	NR_SENDTO = 206,
	NR_RECVFROM = 207,
	NR_SHUTDOWN = 210,
	NR_SENDMSG = 211,
	NR_RECVMSG = 212,
	NR_MUNMAP = 215,
	NR_MMAP = 222,
	NR_OPENAT2 = 437,
	/* Calls that this architecture never had. */
	NR_OPEN = -1,
	NR_DUP2 = -2,
	NR_UNLINK = -3,
};
#endif

/* Argument 0 to 5; at the exit too, since the entry's registers are kept. */
static __always_inline __u64 arg(const struct pt_regs *regs, int n)
{
#if defined(__TARGET_ARCH_x86)
	return n == 0   ? regs->di
	       : n == 1 ? regs->si
	       : n == 2 ? regs->dx
	       : n == 3 ? regs->r10
	       : n == 4 ? regs->r8
			: regs->r9;
#else
	return n == 0 ? regs->orig_x0 : regs->regs[n];
#endif
}

static __always_inline long syscall_nr(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (long)regs->orig_ax;
#else
	return regs->syscallno;
#endif
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, DP_FAMILY_COUNT);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} enter_families SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, DP_FAMILY_COUNT);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} exit_families SEC(".maps") __weak;

#endif
