// SPDX-License-Identifier: MIT
/* What reading a target may cost; cpu_budget.h. */
#include "sense/cpu_budget.h"

#include "base/units.h"

#define WHOLE_NS   (250 * (int64_t)MS)
#define REFILL     4u /* of so much time that passes, one part comes back */
#define THRIFT_MAX 3  /* … halved so many times */

void cpu_budget_open(struct cpu_budget *b, uint64_t now_ns)
{
	*b = (struct cpu_budget){.left_ns = WHOLE_NS, .at_ns = now_ns};
}

void cpu_budget_skip(struct cpu_budget *b, uint64_t cpu_ns)
{
	b->charged_ns = cpu_ns;
}

bool cpu_budget_is_spent(struct cpu_budget *b, uint64_t now_ns, uint64_t cpu_ns,
			 bool *ret_less_often)
{
	b->left_ns -= (int64_t)(cpu_ns - b->charged_ns);
	b->left_ns += (int64_t)((now_ns - b->at_ns) / (REFILL << b->thrift));
	b->charged_ns = cpu_ns;
	b->at_ns = now_ns;
	if (b->left_ns >= WHOLE_NS) {
		b->left_ns = WHOLE_NS;
		b->thrift = 0;
	}
	if (b->left_ns > (b->spent ? WHOLE_NS / 8 : 0)) {
		b->spent = false;
		return false;
	}
	if (!b->spent && b->thrift < THRIFT_MAX) {
		b->thrift++;
		*ret_less_often = true;
	}
	b->spent = true;
	return true;
}
