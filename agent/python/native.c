// SPDX-License-Identifier: MIT
/* What a thread does outside Python: its system call, and whose code made it. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "python/internal.h"

#define MAPS_FRESH_NS  SEC
#define CANDIDATES_MAX 16

/* FUTEX_WAIT is 0 and FUTEX_WAIT_BITSET 9; above the mask are PRIVATE and CLOCK_REALTIME. */
#define FUTEX_OP_MASK 127

static bool waits_on_futex(const struct dp_task_syscall *s)
{
	uint64_t op = s->arg[1] & FUTEX_OP_MASK;

	return s->nr == SYS_futex && (op == 0 || op == 9);
}

static uint64_t ns_of(uint64_t seconds, uint64_t rest, uint64_t rest_unit_ns)
{
	if (seconds >= UINT64_MAX / SEC / 2 || rest >= SEC / rest_unit_ns)
		return 0;
	return seconds * SEC + rest * rest_unit_ns;
}

/*
 * A sleep and nothing else has its end in its arguments: nanosleep(2), clock_nanosleep(2), and
 * select(2), pselect6(2), poll(2) of no descriptor at all (time.sleep up to CPython 3.10). With
 * descriptors, and in futex(2), the limit says nothing about the end.
 */
static void find_sleep(pid_t pid, const struct dp_task_syscall *s, struct dp_rec_stack *ret)
{
	uint64_t at = 0, unit = 1, limit[2], until, now;
	clockid_t clock = CLOCK_MONOTONIC;
	bool absolute = false;

	switch (s->nr) {
	case SYS_nanosleep:
		at = s->arg[0];
		break;
	case SYS_clock_nanosleep:
		at = s->arg[2];
		clock = (clockid_t)s->arg[0];
		absolute = s->arg[1] & TIMER_ABSTIME;
		break;
	case SYS_pselect6:
		if (s->arg[0] == 0)
			at = s->arg[4];
		break;
#ifdef SYS_select
	case SYS_select:
		if (s->arg[0] == 0)
			at = s->arg[4];
		unit = 1000;
		break;
	case SYS_poll:
		if (s->arg[1] == 0 && (int32_t)s->arg[2] > 0)
			ret->sleep_ns = (uint64_t)(uint32_t)s->arg[2] * MS;
		return;
#endif
	default:
		return;
	}
	if (!at || dp_remote_read(pid, at, limit, sizeof(limit)) < 0)
		return;
	until = ns_of(limit[0], limit[1], unit);
	if (!absolute) {
		ret->sleep_ns = until;
		return;
	}
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return;
	now = dp_clock_ns(clock);
	if (until > now)
		ret->sleep_until_ns = dp_clock_ns(CLOCK_MONOTONIC) + (until - now);
}

bool dp_native_in_a_gil(const struct dp_py *py, uint64_t addr)
{
	for (unsigned int i = 0; i < py->gil_count; i++) {
		const struct dp_gil_site *g = &py->gil[i].site;

		if (addr >= g->addr && addr - g->addr < g->size)
			return true;
	}
	return false;
}

/*
 * Where the call instruction before `addr` leads; 0 when it cannot be told or there is none. What
 * lies on a stack and points into code need not be a return address: it may be a callback, or left
 * over from an earlier call. A call by register leaves no trace; those through the procedure
 * linkage table or the global offset table, which is how a library calls libc, do.
 */
static uint64_t called_from(pid_t pid, uint64_t addr)
{
#ifdef __x86_64__
	uint64_t slot, target;
	int32_t rel;
	uint8_t b[16];
	size_t at = 0;

	if (addr < 8 || dp_remote_read(pid, addr - 8, b, 8) < 0)
		return 0;
	memcpy(&rel, b + 4, sizeof(rel));
	if (b[2] == 0xff && b[3] == 0x15) { /* call *rel32(%rip) */
		slot = addr + (uint64_t)(int64_t)rel;
		return dp_remote_u64(pid, slot, &target) == 0 ? target : 0;
	}
	if (b[3] != 0xe8) /* call rel32 */
		return 0;
	target = addr + (uint64_t)(int64_t)rel;
	if (dp_remote_read(pid, target, b, sizeof(b)) < 0)
		return 0;
	if (memcmp(b, "\xf3\x0f\x1e\xfa", 4) == 0) /* endbr64 */
		at += 4;
	if (b[at] == 0xf2) /* bnd */
		at++;
	if (b[at] != 0xff || b[at + 1] != 0x25) /* jmp *rel32(%rip) */
		return target;
	memcpy(&rel, b + at + 2, sizeof(rel));
	slot = target + at + 6 + (uint64_t)(int64_t)rel;
	return dp_remote_u64(pid, slot, &target) == 0 ? target : 0;
#else
	(void)pid;
	(void)addr;
	return 0;
#endif
}

static bool is_python(const struct dp_py *py, const struct dp_map *map)
{
	return py && dp_map_same_file(map, &py->loc.map);
}

/*
 * Does a call by register or memory operand end at `addr`? Where it led is not written there, so
 * this counts only for the word that the stack pointer itself shows: within syscall(2)'s wrapper,
 * which has no frame, that is the return address.
 */
static bool after_indirect_call(pid_t pid, uint64_t addr)
{
#ifdef __x86_64__
	uint8_t b[8];

	if (addr < 8 || dp_remote_read(pid, addr - 8, b, 8) < 0)
		return false;
	/* ff /2 with a register, [register], [register + 8 bits], [register + 32 bits] */
	return (b[6] == 0xff && (b[7] & 0x38) == 0x10) || (b[5] == 0xff && (b[6] & 0xf8) == 0x50) ||
	       (b[2] == 0xff && (b[3] & 0xf8) == 0x90);
#else
	(void)pid;
	(void)addr;
	return false;
#endif
}

/*
 * The code that called into the plumbing: the first address above `sp` whose call instruction leads
 * there. NULL when it is Python's own or none is found among the first few: then the library that
 * blocks is all that is known.
 */
static const struct dp_map *find_caller(pid_t pid, const struct dp_maps *maps,
					const struct dp_py *py, uint64_t sp, uint64_t *ret_addr)
{
	uint64_t words[DP_STACK_SCAN / 8];
	unsigned int candidates = 0;
	ssize_t n = sp % 8 == 0 ? dp_remote_read_some(pid, sp, words, sizeof(words)) : 0;

	for (ssize_t i = 0; i < n / 8 && candidates < CANDIDATES_MAX; i++) {
		const struct dp_map *map = dp_maps_find(maps, words[i]), *callee;

		if (!map || map->inode == 0 || dp_map_is_plumbing(map))
			continue;
		candidates++;
		callee = dp_maps_find(maps, called_from(pid, words[i]));
		if (!(i == 0 && after_indirect_call(pid, words[i])) &&
		    (!callee || !dp_map_is_plumbing(callee)))
			continue;
		if (is_python(py, map))
			return NULL;
		*ret_addr = words[i];
		return map;
	}
	return NULL;
}

bool dp_native_after_call(pid_t pid, uint64_t addr)
{
#ifdef __x86_64__
	uint8_t b;

	if (addr >= 8 && dp_remote_read(pid, addr - 5, &b, 1) == 0 && b == 0xe8)
		return true;
#endif
	return after_indirect_call(pid, addr);
}

const struct dp_map *dp_native_caller(struct dp_py *py, const struct dp_task_syscall *s)
{
	const struct dp_map *map;
	uint64_t addr;

	if (s->pc == 0 ||
	    (dp_now() - py->maps.read_ns >= MAPS_FRESH_NS && dp_maps_read(py->pid, &py->maps) < 0))
		return NULL;
	map = dp_maps_find(&py->maps, s->pc);
	if (map && dp_map_is_plumbing(map))
		map = find_caller(py->pid, &py->maps, py, s->sp, &addr);
	return map && is_python(py, map) ? NULL : map;
}

static void name_code(pid_t pid, const struct dp_map *map, uint64_t addr, struct dp_rec_stack *ret)
{
	struct dp_elf elf;

	memcpy(ret->library, map->base, sizeof(ret->library));
	ret->library_from = map->start;
	ret->library_to = map->end;
	if (map->inode == 0 || dp_elf_open(&elf, pid, map) < 0)
		return;
	dp_elf_function_at(&elf, addr - elf.bias, ret->symbol, sizeof(ret->symbol));
	dp_elf_close(&elf);
}

static void find_library(pid_t pid, struct dp_maps *maps, const struct dp_py *py,
			 const struct dp_task_syscall *s, struct dp_rec_stack *ret)
{
	const struct dp_map *map = NULL, *caller;
	uint64_t addr = 0;

	/* Libraries come and go: an old list would give a wrong name rather than none. */
	if (dp_now() - maps->read_ns < MAPS_FRESH_NS)
		map = dp_maps_find(maps, s->pc);
	if (!map) {
		if (dp_maps_read(pid, maps) < 0)
			return;
		map = dp_maps_find(maps, s->pc);
	}
	if (!map)
		return;
	if (dp_map_is_plumbing(map)) {
		caller = find_caller(pid, maps, py, s->sp, &addr);
		if (caller) {
			/* The address after a call may be the next function's first. */
			name_code(pid, caller, addr - 1, ret);
			return;
		}
	}
	name_code(pid, map, s->pc, ret);
}

int dp_native_fill(pid_t pid, pid_t tid, struct dp_maps *maps, const struct dp_py *py,
		   struct dp_rec_stack *ret)
{
	struct dp_task_stat stat;
	struct dp_task_syscall s;
	int rc = dp_task_stat("/proc", pid, tid, &stat);

	if (rc < 0)
		return rc;
	ret->state = stat.state;
	memcpy(ret->comm, stat.comm, sizeof(ret->comm));
	ret->syscall_nr = -2;
	rc = dp_task_syscall(pid, tid, &s);
	if (rc < 0)
		return rc;
	ret->syscall_nr = s.nr;
	if (s.nr >= 0)
		find_sleep(pid, &s, ret);
	ret->has_gil_wait = py && waits_on_futex(&s) && dp_native_in_a_gil(py, s.arg[0]);
	if (s.pc != 0)
		find_library(pid, maps, py, &s, ret);
	return 0;
}

int dp_native_stack(pid_t pid, pid_t tid, struct dp_rec_stack *ret)
{
	struct dp_rec_stack out = {.syscall_nr = -2};
	struct dp_maps maps = {0};
	int rc = dp_native_fill(pid, tid, &maps, NULL, &out);

	dp_maps_free(&maps);
	out.is_main = tid == pid;
	out.status = rc;
	*ret = out;
	return rc;
}
