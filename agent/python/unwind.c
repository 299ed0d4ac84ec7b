// SPDX-License-Identifier: MIT
/* Functions by the unwinding table (unwind.h). Its form: Linux Standard Base, "Exception Frames". */
#include "python/unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/elf_file.h"

#define ROWS_MAX (1u << 19)

/* DW_EH_PE_*: how a value is written, in the low half of the byte, and what it counts from. */
#define FORM(enc)      ((enc)&0x0f)
#define FORM_ABSOLUTE  0x00
#define FORM_UDATA4    0x03
#define FORM_UDATA8    0x04
#define FORM_SDATA4    0x0b
#define FORM_SDATA8    0x0c
#define TABLE_ENCODING 0x3b /* sdata4, from the table's head: what GNU ld, gold and lld write */

/* The table's head; the pointer to .eh_frame is not needed. */
struct table_head {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
};

_Static_assert(sizeof(struct table_head) == 12, "as it stands in the file");
_Static_assert(sizeof(struct dp_unwind_row) == 8, "as it stands in the file");

int dp_unwind_read(const struct dp_elf *elf, struct dp_unwind *ret)
{
	struct dp_unwind u = {.head = elf->unwind};
	struct table_head h;
	int rc;

	if (elf->unwind == 0)
		return -ENOENT;
	rc = dp_elf_read_image(elf, u.head, &h, sizeof(h));
	if (rc < 0)
		return rc;
	if (h.version != 1 || FORM(h.frame_encoding) != FORM_SDATA4 ||
	    h.count_encoding != FORM_UDATA4 || h.table_encoding != TABLE_ENCODING || h.count == 0 ||
	    h.count > ROWS_MAX)
		return -ENOENT;
	u.count = h.count;
	u.row = malloc(h.count * sizeof(*u.row));
	if (!u.row)
		return -ENOMEM;
	rc = dp_elf_read_image(elf, u.head + sizeof(h), u.row, h.count * sizeof(*u.row));
	if (rc < 0)
		dp_unwind_free(&u);
	else
		*ret = u;
	return rc;
}

void dp_unwind_free(struct dp_unwind *u)
{
	free(u->row);
	u->row = NULL;
	u->count = 0;
}

uint64_t dp_unwind_start(const struct dp_unwind *u, uint32_t row)
{
	return u->head + (uint64_t)(int64_t)u->row[row].start;
}

int dp_unwind_find(const struct dp_unwind *u, uint64_t vaddr, uint32_t *ret_row)
{
	uint32_t from = 0, to = u->count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (dp_unwind_start(u, middle) <= vaddr)
			from = middle + 1;
		else
			to = middle;
	}
	if (from == 0)
		return -ENOENT;
	*ret_row = from - 1;
	return 0;
}

/* Bytes of a value of that form, 0 another one. */
static size_t form_size(uint8_t encoding)
{
	switch (FORM(encoding)) {
	case FORM_UDATA4:
	case FORM_SDATA4:
		return 4;
	case FORM_ABSOLUTE:
	case FORM_UDATA8:
	case FORM_SDATA8:
		return 8;
	default:
		return 0;
	}
}

/* Steps over a number in LEB128; false at the buffer's end. */
static bool skip_leb(const uint8_t *p, size_t len, size_t *at)
{
	while (*at < len && (p[*at] & 0x80))
		(*at)++;
	return (*at)++ < len;
}

/*
 * How the common entry (CIE) at `vaddr` says that addresses are written: the letter R of its augmentation, whose
 * values stand in the order of its letters.
 */
static int address_encoding(const struct dp_elf *elf, uint64_t vaddr, uint8_t *ret)
{
	uint8_t b[64];
	const char *letters = (const char *)b + 9;
	size_t at, len = sizeof(b);

	if (dp_elf_read_image(elf, vaddr, b, sizeof(b)) < 0)
		return -EFAULT;
	at = 9 + strnlen(letters, len - 9) + 1;
	if (letters[0] != 'z' || at >= len)
		return -ENOENT;
	/* Code and data alignment, the return address' register (a byte in version 1), a length. */
	for (int i = 0; i < 4; i++)
		if (!skip_leb(b, len, &at))
			return -ENOENT;
	for (const char *l = letters + 1; *l && at < len; l++) {
		if (*l == 'R') {
			*ret = b[at];
			return 0;
		}
		if (*l == 'P' && form_size(b[at]) != 0)
			at += 1 + form_size(b[at]);
		else if (*l == 'L')
			at++;
		else if (*l != 'S' && *l != 'B')
			return -ENOENT;
	}
	return -ENOENT;
}

int dp_unwind_size(const struct dp_elf *elf, const struct dp_unwind *u, uint32_t row, uint64_t *ret)
{
	uint64_t entry = u->head + (uint64_t)(int64_t)u->row[row].entry, size = 0;
	uint32_t head[2]; /* length, and how far the common entry lies before this word */
	uint8_t encoding = 0;
	size_t width;
	int rc = dp_elf_read_image(elf, entry, head, sizeof(head));

	if (rc < 0)
		return rc;
	if (head[0] == 0 || head[0] == UINT32_MAX || head[1] == 0)
		return -ENOENT;
	rc = address_encoding(elf, entry + 4 - head[1], &encoding);
	width = form_size(encoding);
	if (rc < 0 || width == 0)
		return rc < 0 ? rc : -ENOENT;
	rc = dp_elf_read_image(elf, entry + 8 + width, &size, width);
	if (rc == 0)
		*ret = size;
	return rc;
}
