/* SPDX-License-Identifier: MIT */
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

__hidden int keep_cpu(void)
{
	if (bpf_preempt_disable)
		bpf_preempt_disable();
	return 0;
}

__hidden int give_cpu(void)
{
	if (bpf_preempt_enable)
		bpf_preempt_enable();
	return 0;
}
