/* SPDX-License-Identifier: MIT */
/*
 * CPU time that reading a target may take: 250 ms at once, and a quarter of the time that passes comes
 * back. A target that uses it up gets half as much back each time, a thirty-second at the least, until
 * its budget has been whole once more: it is read less often, and never not at all.
 */
#ifndef DORA_PROBE_CPU_BUDGET_H
#define DORA_PROBE_CPU_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_budget {
	int64_t left_ns;     /* below 0: used in advance */
	uint64_t at_ns;      /* it was so much at this time … */
	uint64_t charged_ns; /* … with this CPU time counted */
	unsigned int thrift; /* how often it was used up since it was last whole, 3 at the most */
	bool spent;          /* used up, and not come back to an eighth yet */
};

/* Whole, of something that has taken no CPU time yet. Times in ns of any one clock. */
void cpu_budget_open(struct cpu_budget *b, uint64_t now_ns);
/* What was taken up to now costs nothing. `cpu_ns`: taken in all. */
void cpu_budget_skip(struct cpu_budget *b, uint64_t cpu_ns);
/* Nothing is left for now? *ret_less_often becomes true when less comes back from now on. */
bool cpu_budget_is_spent(struct cpu_budget *b, uint64_t now_ns, uint64_t cpu_ns,
			 bool *ret_less_often);

#endif
