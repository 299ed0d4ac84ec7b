// SPDX-License-Identifier: MIT
/*
 * A program that is not to be preempted (keep_cpu and give_cpu of maps.bpf.h). The kernel's functions
 * stand in this file alone, since the linker of libbpf 1.1 refuses an extern function that two
 * objects name.
 */
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* kernel/bpf/helpers.c, since 6.10. */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
/* Of the running kernel; libbpf fills it in. */
extern int LINUX_KERNEL_VERSION __kconfig;

/*
 * Up to 6.14 the verifier refuses a call of a global function while preemption is off. Up to 6.12 there
 * is no need either: there these tracepoints cannot be preempted.
 */
#define CALLS_WITH_PREEMPTION_OFF KERNEL_VERSION(6, 15, 0)

__hidden int keep_cpu(void)
{
	if (LINUX_KERNEL_VERSION >= CALLS_WITH_PREEMPTION_OFF && bpf_preempt_disable)
		bpf_preempt_disable();
	return 0;
}

__hidden int give_cpu(void)
{
	if (LINUX_KERNEL_VERSION >= CALLS_WITH_PREEMPTION_OFF && bpf_preempt_enable)
		bpf_preempt_enable();
	return 0;
}
