/* SPDX-License-Identifier: MIT */
/*
 * The functions of an ELF file by its unwinding table, .eh_frame_hdr: a row for each piece of code, in order of
 * address. Strip leaves it, and a function that the compiler has cut in two has a row for each part.
 */
#ifndef DORA_PROBE_PYTHON_UNWIND_H
#define DORA_PROBE_PYTHON_UNWIND_H

#include "python/internal.h"

/* A row as it stands in the file; both numbers count from the table's head. */
struct dp_unwind_row {
	int32_t start; /* of the code */
	int32_t entry; /* of its description in .eh_frame */
};

struct dp_unwind {
	uint64_t head; /* file address of the table */
	struct dp_unwind_row *row;
	uint32_t count;
};

/* 0, to be freed; -ENOENT no table, or of a form that no linker here writes; -EFAULT, -ENOMEM. */
int dp_unwind_read(const struct dp_elf *elf, struct dp_unwind *ret);
void dp_unwind_free(struct dp_unwind *u);

/* The last row that does not begin behind file address `vaddr`: 0 and its number, or -ENOENT. */
int dp_unwind_find(const struct dp_unwind *u, uint64_t vaddr, uint32_t *ret_row);
/* File address where a row's code begins. */
uint64_t dp_unwind_start(const struct dp_unwind *u, uint32_t row);
/* Bytes of its code. 0; -ENOENT a description of another form; -EFAULT. */
int dp_unwind_size(const struct dp_elf *elf, const struct dp_unwind *u, uint32_t row,
		   uint64_t *ret);

#endif
