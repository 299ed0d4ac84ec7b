/* SPDX-License-Identifier: MIT */
/*
 * What the programs at tracepoints other than system calls need of the call that a task is in: its
 * registers as they were saved at the entry, and the files behind its descriptors.
 */
#ifndef DORA_PROBE_TRACE_BPF_H
#define DORA_PROBE_TRACE_BPF_H

#include "syscall.bpf.h"

/*
 * The registers with which the task entered the kernel (5.15, commit dd6e10fbd9fb). After an interrupt
 * their call number is none: -1.
 */
static __always_inline struct pt_regs *task_regs(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

static __always_inline struct file *file_of(struct task_struct *task, __s32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(table, fd), *file = 0;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), &slots[fd]);
	return file;
}

#endif
