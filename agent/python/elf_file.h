/* SPDX-License-Identifier: MIT */
/* Reading an ELF file that is open: what elf.c and elf_symbols.c share. */
#ifndef DORA_PROBE_PYTHON_ELF_FILE_H
#define DORA_PROBE_PYTHON_ELF_FILE_H

#include <elf.h>

#include "python/internal.h"

#define DP_ELF_NAME_MAX 128 /* of a symbol or section that is looked for, with its NUL */

/* `len` bytes at an offset of the file. 0 or -EFAULT. */
int dp_elf_read_file(const struct dp_elf *elf, uint64_t offset, void *buf, size_t len);

/* Bytes at a file address: of the file, or of the loaded image where there is no file. 0 or -errno.
 */
int dp_elf_read_image(const struct dp_elf *elf, uint64_t vaddr, void *buf, size_t len);

/* 0; -ENOENT there is no such section. */
int dp_elf_section_header(const struct dp_elf *elf, unsigned int index, Elf64_Shdr *ret);

#endif
