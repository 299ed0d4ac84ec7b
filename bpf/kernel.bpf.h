/* SPDX-License-Identifier: MIT */
/*
 * The kernel's types as far as the programs use them, cut by hand instead of generating a
 * vmlinux.h of 100,000 lines per architecture. Offsets are relocated at load time (CO-RE), so only
 * the names and the nesting have to be right; field orders here mean nothing.
 */
#ifndef DORA_PROBE_KERNEL_BPF_H
#define DORA_PROBE_KERNEL_BPF_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

/* include/uapi/linux/bpf.h */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pid_namespace;

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
};

struct sched_entity {
	unsigned long long sum_exec_runtime;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	unsigned short skc_family;
	__be16 skc_dport;
	__be32 skc_daddr;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct socket {
	struct sock *sk;
};

struct qstr {
	const unsigned char *name;
};

struct super_block {
	unsigned long s_magic;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct super_block *d_sb;
};

struct path {
	struct dentry *dentry;
};

struct address_space {
	unsigned long nrpages;
};

struct file {
	struct path f_path;
	struct address_space *f_mapping;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	unsigned long env_start, env_end;
	struct file *exe_file;
};

struct task_struct {
	struct files_struct *files;
	unsigned int __state;
	unsigned int flags;
	int exit_code;
	int pid;
	int tgid;
	__u64 start_boottime;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct sched_entity se;
};

/* Before 5.5, commit cf25e24db61c ("time: Rename tsk->real_start_time to ->start_boottime"). */
struct task_struct___before_5_5 {
	__u64 real_start_time;
};

/* Before 5.14, commit 2f064a59a11f ("sched: Change task_struct::state"). */
struct task_struct___before_5_14 {
	long state;
};

struct kernel_siginfo {
	int si_code;
};

struct sigaction {
	void *sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9;
	unsigned long orig_ax;
	unsigned long ip;
	unsigned long sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 orig_x0;
	__s32 syscallno;
};
#else
#error "registers of this architecture are not known"
#endif

#pragma clang attribute pop

/* BPF_PROG gives every program a `ctx`, used or not. */
#pragma clang diagnostic ignored "-Wunused-parameter"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* First argument of a function of the target; of a uprobe's context, which is pt_regs itself. */
static __always_inline __u64 first_argument(const struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return ctx->di;
#else
	return ctx->regs[0];
#endif
}

/* The stack pointer of a uprobe's context. */
static __always_inline __u64 stack_pointer(const struct pt_regs *ctx)
{
	return ctx->sp;
}

/* Where the interrupted code was; the cpu-clock program's context begins with the registers. */
static __always_inline __u64 interrupted_at(const struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return ctx->ip;
#else
	return ctx->pc;
#endif
}

/* include/uapi/linux/bpf.h */
#define BPF_RB_NO_WAKEUP    1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA   0

/* include/linux/sched.h, include/linux/sched/signal.h */
#define PF_EXITING        0x00000004
#define SIGNAL_GROUP_EXIT 0x00000004

#endif
