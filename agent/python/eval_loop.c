// SPDX-License-Identifier: MIT
/*
 * The bytecode loop of a CPython (eval_loop.h).
 *
 * It is one C function, _PyEval_EvalFrameDefault, but not one piece of code: GCC moves what its profile has not seen run
 * to a part of its own (.cold), which has no symbol once the file is stripped. With Debian's builds of 3.13.18, 3.14.10
 * and 3.15.2 the symbol covers 2,384, 1,184 and 844 bytes, the other part 77,082, 84,423 and 82,341. Built with tail
 * calls (3.14 and later) each instruction is a function of its own. Two ways lead to the rest:
 *
 * - A jump that leads into the middle of a piece of code leads to a part of the same function; between functions one
 *   jumps to beginnings alone. A part is one where such jumps lead both ways.
 * - The table by which an instruction finds the next one has 256 addresses of code for 256 opcodes.
 */
#include "python/eval_loop.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "python/elf_file.h"
#include "python/unwind.h"

/*
 * The smallest loop known is that of 3.8, 34,511 bytes (GCC, -O3). What is found of less than half of that is not the
 * whole loop, and a sample outside of it proves nothing.
 */
#define WHOLE_MIN  (16u << 10)
#define PART_MAX   (1u << 20)
#define JUMPS_MIN  2 /* each way: bytes that look like one jump may be part of another instruction */
#define OPCODES    256
#define TABLES_MAX 16          /* times OPCODES entries in a row */
#define SCAN_MAX   (64u << 20) /* bytes of the image searched for the table */
#define SCAN_WORDS 4096
#define PIECE_GAP  (64u << 10) /* bytes between two parts of the loop, at least */

struct search {
	const struct dp_elf *elf;
	struct dp_unwind unwind;
	struct dp_code_range part[DP_EVAL_RANGES]; /* file addresses */
	unsigned int count;
};

static uint64_t total(const struct search *s)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < s->count; i++)
		sum += s->part[i].to - s->part[i].from;
	return sum;
}

static bool in_part(const struct search *s, uint64_t vaddr)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (vaddr >= s->part[i].from && vaddr < s->part[i].to)
			return true;
	return false;
}

static bool add_part(struct search *s, uint64_t from, uint64_t size)
{
	if (s->count == DP_EVAL_RANGES || size == 0 || size > PART_MAX || in_part(s, from))
		return false;
	s->part[s->count++] = (struct dp_code_range){from, from + size};
	return true;
}

/* ---- by jumps ------------------------------------------------------------------------------ */

/* Where the jump at `code`, which lies at `vaddr`, leads; 0 none. Calls and jumps by register are none. */
static uint64_t jump_target(const uint8_t *code, uint64_t vaddr)
{
#ifdef __x86_64__
	unsigned int opcode = code[0] == 0xe9                               ? 1 /* jmp rel32 */
			      : code[0] == 0x0f && (code[1] & 0xf0) == 0x80 ? 2 /* jcc rel32 */
									    : 0;
	int32_t rel;

	if (opcode == 0)
		return 0;
	memcpy(&rel, code + opcode, sizeof(rel));
	return vaddr + opcode + 4 + (uint64_t)(int64_t)rel;
#else
	uint32_t w, bits = 0, at = 0;
	int64_t rel;

	memcpy(&w, code, sizeof(w));
	if (w >> 26 == 0x05) /* B */
		bits = 26;
	else if (w >> 24 == 0x54 || (w >> 25 & 0x3f) == 0x1a) /* B.cond, CBZ and CBNZ */
		bits = 19, at = 5;
	else if ((w >> 25 & 0x3f) == 0x1b) /* TBZ and TBNZ */
		bits = 14, at = 5;
	else
		return 0;
	rel = (int64_t)((uint64_t)(w >> at) << (64 - bits)) >> (64 - bits);
	return vaddr + (uint64_t)(rel * 4);
#endif
}

#ifdef __x86_64__
#define JUMP_STEP 1 /* instructions begin anywhere */
#define JUMP_LEN  6
#else
#define JUMP_STEP 4
#define JUMP_LEN  4
#endif

/*
 * Counts the jumps out of a piece of code that lead into the middle of others: hits[] has a count for each row of the
 * unwinding table. With `back`, only those that lead into a part that is known. Returns their number; -errno.
 */
static int count_jumps(const struct search *s, uint64_t from, uint64_t size, bool back,
		       uint16_t *hits)
{
	int found = 0, rc;
	uint8_t *code;

	if (size < JUMP_LEN || size > PART_MAX)
		return 0;
	code = malloc(size);
	if (!code)
		return -ENOMEM;
	rc = dp_elf_read_image(s->elf, from, code, size);
	for (uint64_t i = 0; rc == 0 && i + JUMP_LEN <= size; i += JUMP_STEP) {
		uint64_t target = jump_target(code + i, from + i);
		uint32_t row;

		if (target == 0 || target - from < size || back != in_part(s, target) ||
		    dp_unwind_find(&s->unwind, target, &row) < 0 ||
		    target == dp_unwind_start(&s->unwind, row))
			continue;
		found++;
		if (hits && hits[row] < UINT16_MAX)
			hits[row]++;
	}
	free(code);
	return rc < 0 ? rc : found;
}

/* Adds the parts to which jumps lead from `known` and that jump back. */
static void add_linked(struct search *s, const struct dp_code_range *known, uint16_t *hits)
{
	memset(hits, 0, s->unwind.count * sizeof(*hits));
	if (count_jumps(s, known->from, known->to - known->from, false, hits) <= 0)
		return;
	for (uint32_t row = 0; row < s->unwind.count; row++) {
		uint64_t start = dp_unwind_start(&s->unwind, row), size;

		if (hits[row] >= JUMPS_MIN && dp_unwind_size(s->elf, &s->unwind, row, &size) == 0 &&
		    !in_part(s, start) && count_jumps(s, start, size, true, NULL) >= JUMPS_MIN)
			add_part(s, start, size);
	}
}

/* The function that the symbol names, whole. */
static void by_symbol(struct search *s)
{
	uint16_t *hits;
	struct dp_elf_symbol sym;
	uint64_t size;
	uint32_t row;

	if (dp_elf_dynsym(s->elf, "_PyEval_EvalFrameDefault", &sym) < 0 &&
	    dp_elf_symtab(s->elf, "_PyEval_EvalFrameDefault", &sym) < 0)
		return;
	if (dp_unwind_find(&s->unwind, sym.value, &row) == 0 &&
	    dp_unwind_start(&s->unwind, row) == sym.value &&
	    dp_unwind_size(s->elf, &s->unwind, row, &size) == 0 && size > sym.size)
		sym.size = size;
	if (!add_part(s, sym.value, sym.size) || s->unwind.count == 0)
		return;
	hits = malloc(s->unwind.count * sizeof(*hits));
	for (unsigned int i = 0; hits && i < s->count; i++) {
		const struct dp_code_range known = s->part[i];

		add_linked(s, &known, hits);
	}
	free(hits);
}

/* ---- by the table of opcodes ----------------------------------------------------------------- */

/* A run of addresses of code, as it is read. */
struct run {
	uint64_t addr[TABLES_MAX * OPCODES]; /* file addresses, of the first that have room */
	uint32_t length;
	uint32_t starts; /* how many are beginnings of functions */
};

struct tables {
	struct search *s;
	struct run run;
	struct dp_code_range part[DP_EVAL_RANGES]; /* of the table that was found */
	unsigned int count;
	bool several; /* they do not agree, so none is believed */
	uint64_t words[SCAN_WORDS];
};

static bool is_code(const struct dp_elf *elf, uint64_t vaddr)
{
	for (unsigned int i = 0; i < elf->load_count; i++) {
		const struct dp_elf_segment *seg = &elf->load[i];

		if ((seg->flags & PF_X) && vaddr >= seg->vaddr && vaddr - seg->vaddr < seg->filesz)
			return true;
	}
	return false;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * The code around [from, to], two addresses of a table: to the ends of the functions that they are in. A static program
 * has no unwinding table: then no further than they are.
 */
static bool widen(const struct tables *t, struct dp_code_range *code)
{
	const struct dp_unwind *u = &t->s->unwind;
	uint64_t last_size;
	uint32_t a, b;

	if (u->count == 0)
		return true;
	if (dp_unwind_find(u, code->from, &a) < 0 || dp_unwind_find(u, code->to, &b) < 0 ||
	    dp_unwind_size(t->s->elf, u, b, &last_size) < 0 || last_size > PART_MAX ||
	    (t->run.starts == 0 && a != b))
		return false;
	code->from = dp_unwind_start(u, a);
	code->to = dp_unwind_start(u, b) + last_size;
	return true;
}

/* The pieces of code that the run leads into, by gaps between its addresses; 0: not those of one loop. */
static unsigned int pieces_of_run(struct tables *t, struct dp_code_range part[DP_EVAL_RANGES])
{
	uint64_t *addr = t->run.addr, sum = 0;
	uint32_t n = t->run.length, from = 0;
	unsigned int count = 0;

	qsort(addr, n, sizeof(*addr), by_address);
	for (uint32_t i = 1; i <= n; i++) {
		if (i < n && addr[i] - addr[i - 1] < PIECE_GAP)
			continue;
		if (count == DP_EVAL_RANGES)
			return 0;
		part[count] = (struct dp_code_range){addr[from], addr[i - 1]};
		if (!widen(t, &part[count]) || part[count].to - part[count].from > PART_MAX)
			return 0;
		sum += part[count].to - part[count].from;
		count++;
		from = i;
	}
	return sum < WHOLE_MIN ? 0 : count;
}

/*
 * A run has ended. It is a table of opcodes, or several one behind the other, when it has 256 entries for each, and all
 * of them lead into one function (computed gotos) or to beginnings of functions that lie together (tail calls).
 */
static void end_run(struct tables *t)
{
	struct dp_code_range part[DP_EVAL_RANGES];
	struct run *run = &t->run;
	unsigned int count = 0;

	if (run->length >= OPCODES && run->length % OPCODES == 0 &&
	    run->length <= TABLES_MAX * OPCODES && (run->starts == 0 || run->starts == run->length))
		count = pieces_of_run(t, part);
	if (count) {
		t->several |= t->count != 0 && t->part[0].from != part[0].from;
		memcpy(t->part, part, count * sizeof(part[0]));
		t->count = count;
	}
	run->length = run->starts = 0;
}

static void scan_words(struct tables *t, size_t count)
{
	const struct dp_elf *elf = t->s->elf;
	struct run *run = &t->run;

	for (size_t i = 0; i < count; i++) {
		uint64_t vaddr = t->words[i] - elf->bias;
		uint32_t row;

		if (!is_code(elf, vaddr)) {
			end_run(t);
			continue;
		}
		if (run->length < TABLES_MAX * OPCODES)
			run->addr[run->length] = vaddr;
		run->length++;
		run->starts += dp_unwind_find(&t->s->unwind, vaddr, &row) == 0 &&
			       vaddr == dp_unwind_start(&t->s->unwind, row);
	}
}

/* Finds the loop by its table of jumps in the memory of the process, where the loader has made the addresses true. */
static void by_table(struct search *s)
{
	struct tables *t = calloc(1, sizeof(*t));
	uint64_t scanned = 0;

	if (!t)
		return;
	t->s = s;
	for (unsigned int i = 0; i < s->elf->load_count; i++) {
		const struct dp_elf_segment *seg = &s->elf->load[i];
		uint64_t at = (seg->vaddr + s->elf->bias + 7) & ~7ull;
		uint64_t end = seg->vaddr + s->elf->bias + seg->filesz;

		while (!(seg->flags & PF_X) && at < end && scanned < SCAN_MAX) {
			size_t want = end - at < sizeof(t->words) ? (size_t)(end - at) & ~7ull
								  : sizeof(t->words);
			ssize_t n = dp_remote_read_some(s->elf->pid, at, t->words, want);

			if (n < 8)
				break;
			scan_words(t, (size_t)n / 8);
			at += (uint64_t)n & ~7ull;
			scanned += (uint64_t)n;
		}
		end_run(t);
	}
	for (unsigned int i = 0; !t->several && i < t->count; i++)
		add_part(s, t->part[i].from, t->part[i].to - t->part[i].from);
	free(t);
}

unsigned int dp_eval_loop_find(const struct dp_elf *elf, struct dp_code_range ret[DP_EVAL_RANGES])
{
	struct search s = {.elf = elf};

	memset(ret, 0, DP_EVAL_RANGES * sizeof(*ret));
	/* Without it the symbol may still cover the whole. */
	if (dp_unwind_read(elf, &s.unwind) < 0)
		s.unwind = (struct dp_unwind){0};
	by_symbol(&s);
	if (total(&s) < WHOLE_MIN)
		by_table(&s);
	dp_unwind_free(&s.unwind);
	if (total(&s) < WHOLE_MIN)
		return 0;
	for (unsigned int i = 0; i < s.count; i++)
		ret[i] = (struct dp_code_range){s.part[i].from + elf->bias,
						s.part[i].to + elf->bias};
	return s.count;
}
