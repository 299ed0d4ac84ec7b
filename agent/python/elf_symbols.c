// SPDX-License-Identifier: MIT
/* The symbols of an ELF file: by their hash tables, by a search, by address. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "python/elf_file.h"

#define HIDDEN 0x8000 /* of a DT_VERSYM entry: not the default version */

static bool symbol_is(const struct dp_elf *elf, const Elf64_Sym *sym, const char *name, size_t len)
{
	char buf[DP_ELF_NAME_MAX];

	return sym->st_shndx != SHN_UNDEF && sym->st_value != 0 && sym->st_name < elf->strsz &&
	       dp_elf_read_image(elf, elf->strtab + sym->st_name, buf, len + 1) == 0 &&
	       memcmp(buf, name, len + 1) == 0;
}

static bool is_default_version(const struct dp_elf *elf, uint32_t index)
{
	uint16_t v;

	return elf->versym == 0 || dp_elf_read_image(elf, elf->versym + 2ull * index, &v, 2) < 0 ||
	       !(v & HIDDEN);
}

static int check_symbol(const struct dp_elf *elf, uint32_t index, const char *name, size_t len,
			struct dp_elf_symbol *ret)
{
	Elf64_Sym sym;

	if (dp_elf_read_image(elf, elf->symtab + index * sizeof(sym), &sym, sizeof(sym)) < 0 ||
	    !symbol_is(elf, &sym, name, len) || !is_default_version(elf, index))
		return -ENOENT;
	*ret = (struct dp_elf_symbol){sym.st_value, sym.st_size};
	return 0;
}

struct gnu_hash_head {
	uint32_t buckets, first, bloom_words, bloom_shift;
};

static int find_gnu(const struct dp_elf *elf, const char *name, size_t len,
		    struct dp_elf_symbol *ret)
{
	uint64_t bloom, buckets, chain;
	struct gnu_hash_head h;
	uint32_t hash = 5381, at, word;

	for (size_t i = 0; i < len; i++)
		hash = hash * 33 + (unsigned char)name[i];
	if (dp_elf_read_image(elf, elf->gnu_hash, &h, sizeof(h)) < 0 || h.buckets == 0 ||
	    h.bloom_words == 0)
		return -ENOENT;
	if (dp_elf_read_image(elf, elf->gnu_hash + sizeof(h) + 8ull * ((hash / 64) % h.bloom_words),
			      &bloom, 8) < 0)
		return -ENOENT;
	if (!(bloom >> (hash % 64) & 1) || !(bloom >> ((hash >> (h.bloom_shift % 32)) % 64) & 1))
		return -ENOENT;
	buckets = elf->gnu_hash + sizeof(h) + 8ull * h.bloom_words;
	chain = buckets + 4ull * h.buckets;
	if (dp_elf_read_image(elf, buckets + 4ull * (hash % h.buckets), &at, 4) < 0 || at < h.first)
		return -ENOENT;
	for (uint32_t i = 0; i < DP_HASH_CHAIN_MAX; i++, at++) {
		if (dp_elf_read_image(elf, chain + 4ull * (at - h.first), &word, 4) < 0)
			return -ENOENT;
		if ((word | 1) == (hash | 1) && check_symbol(elf, at, name, len, ret) == 0)
			return 0;
		if (word & 1)
			return -ENOENT;
	}
	return -ENOENT;
}

static int find_sysv(const struct dp_elf *elf, const char *name, size_t len,
		     struct dp_elf_symbol *ret)
{
	uint32_t head[2], hash = 0, at;

	for (size_t i = 0; i < len; i++) {
		uint32_t g;

		hash = (hash << 4) + (unsigned char)name[i];
		g = hash & 0xf0000000u;
		hash = (hash ^ (g >> 24)) & ~g;
	}
	if (dp_elf_read_image(elf, elf->sysv_hash, head, sizeof(head)) < 0 || head[0] == 0)
		return -ENOENT;
	if (dp_elf_read_image(elf, elf->sysv_hash + 8 + 4ull * (hash % head[0]), &at, 4) < 0)
		return -ENOENT;
	for (uint32_t i = 0; i < DP_HASH_CHAIN_MAX && at != 0; i++) {
		if (check_symbol(elf, at, name, len, ret) == 0)
			return 0;
		if (dp_elf_read_image(elf, elf->sysv_hash + 8 + 4ull * head[0] + 4ull * at, &at,
				      4) < 0)
			return -ENOENT;
	}
	return -ENOENT;
}

int dp_elf_dynsym(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	size_t len = strlen(name);

	if (len >= DP_ELF_NAME_MAX || elf->symtab == 0 || elf->strtab == 0)
		return -ENOENT;
	if (elf->gnu_hash != 0)
		return find_gnu(elf, name, len, ret);
	return elf->sysv_hash != 0 ? find_sysv(elf, name, len, ret) : -ENOENT;
}

/* Calls `each` for the symbols of the first table of `type`, in pieces, until it says stop. */
static int each_symbol(const struct dp_elf *elf, uint32_t type,
		       bool (*each)(void *arg, const struct dp_elf *elf, const Elf64_Sym *sym,
				    const Elf64_Shdr *strings),
		       void *arg)
{
	Elf64_Shdr table, strings;
	Elf64_Sym sym[256];
	uint64_t count;

	for (unsigned int i = 0;; i++) {
		if (dp_elf_section_header(elf, i, &table) < 0)
			return -ENOENT;
		if (table.sh_type == type)
			break;
	}
	if (table.sh_entsize != sizeof(sym[0]) ||
	    dp_elf_section_header(elf, table.sh_link, &strings) < 0)
		return -ENOENT;
	count = table.sh_size / sizeof(sym[0]);
	if (count > DP_SYMBOLS_MAX)
		count = DP_SYMBOLS_MAX;
	for (uint64_t at = 0; at < count; at += 256) {
		size_t n = count - at < 256 ? (size_t)(count - at) : 256;

		if (dp_elf_read_file(elf, table.sh_offset + at * sizeof(sym[0]), sym,
				     n * sizeof(sym[0])) < 0)
			return -ENOENT;
		for (size_t k = 0; k < n; k++)
			if (each(arg, elf, &sym[k], &strings))
				return 0;
	}
	return -ENOENT;
}

struct by_name {
	const char *name;
	size_t len;
	struct dp_elf_symbol found;
};

static bool match_name(void *arg, const struct dp_elf *elf, const Elf64_Sym *sym,
		       const Elf64_Shdr *strings)
{
	struct by_name *want = arg;
	char buf[DP_ELF_NAME_MAX];

	if (sym->st_shndx == SHN_UNDEF || sym->st_value == 0 ||
	    (ELF64_ST_TYPE(sym->st_info) != STT_OBJECT &&
	     ELF64_ST_TYPE(sym->st_info) != STT_FUNC) ||
	    sym->st_name >= strings->sh_size ||
	    dp_elf_read_file(elf, strings->sh_offset + sym->st_name, buf, want->len + 1) < 0 ||
	    memcmp(buf, want->name, want->len + 1) != 0)
		return false;
	want->found = (struct dp_elf_symbol){sym->st_value, sym->st_size};
	return true;
}

int dp_elf_symtab(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	struct by_name want = {.name = name, .len = strlen(name)};
	int rc;

	if (want.len >= DP_ELF_NAME_MAX)
		return -ENOENT;
	rc = each_symbol(elf, SHT_SYMTAB, match_name, &want);
	if (rc == 0)
		*ret = want.found;
	return rc;
}

struct by_address {
	uint64_t vaddr;
	char *name;
	size_t cap;
};

/* Only a symbol that says it covers the address: the nearest one below may be another function. */
static bool match_address(void *arg, const struct dp_elf *elf, const Elf64_Sym *sym,
			  const Elf64_Shdr *strings)
{
	struct by_address *want = arg;
	char buf[DP_FUNCTION_MAX];
	size_t len = sizeof(buf) - 1;

	if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_shndx == SHN_UNDEF ||
	    want->vaddr < sym->st_value || want->vaddr - sym->st_value >= sym->st_size ||
	    sym->st_name == 0 || sym->st_name >= strings->sh_size)
		return false;
	if (len > strings->sh_size - sym->st_name)
		len = (size_t)(strings->sh_size - sym->st_name);
	if (dp_elf_read_file(elf, strings->sh_offset + sym->st_name, buf, len) < 0)
		return false;
	dp_utf8_copy(want->name, want->cap, buf, strnlen(buf, len));
	return true;
}

int dp_elf_function_at(const struct dp_elf *elf, uint64_t vaddr, char *name, size_t cap)
{
	struct by_address want = {vaddr, name, cap};

	if (each_symbol(elf, SHT_DYNSYM, match_address, &want) == 0)
		return 0;
	return each_symbol(elf, SHT_SYMTAB, match_address, &want);
}
