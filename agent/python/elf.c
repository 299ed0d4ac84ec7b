/* SPDX-License-Identifier: MIT */
/* The ELF file behind a mapping, read in bounded pieces from the file or from memory. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/utf8.h"
#include "python/internal.h"

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#else
#error "only x86_64 and aarch64 layouts are known"
#endif

#define NAME_MAX_LEN 128
#define HIDDEN       0x8000 /* of a DT_VERSYM entry: not the default version */

static int file_read(const struct dp_elf *elf, uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (offset > INT64_MAX - len)
		return -EFAULT;
	while (len > 0) {
		ssize_t n = pread(elf->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Bytes at a file address: of the file, or of the loaded image where there is no file. */
static int image_read(const struct dp_elf *elf, uint64_t vaddr, void *buf, size_t len)
{
	uint64_t offset;
	int rc;

	if (elf->fd < 0)
		return dp_remote_read(elf->pid, vaddr + elf->bias, buf, len);
	rc = dp_elf_file_offset(elf, vaddr, &offset);
	return rc < 0 ? rc : file_read(elf, offset, buf, len);
}

int dp_elf_file_offset(const struct dp_elf *elf, uint64_t vaddr, uint64_t *ret)
{
	for (unsigned int i = 0; i < elf->load_count; i++) {
		const struct dp_elf_segment *s = &elf->load[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->filesz) {
			*ret = s->offset + (vaddr - s->vaddr);
			return 0;
		}
	}
	return -ENOENT;
}

/* Opening a device or a FIFO has effects, so the kind of file is looked at before it is opened. */
static int open_regular(int path_fd, const struct dp_map *map, bool check_identity)
{
	char self[32];
	struct stat st;
	int fd;

	if (fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if (check_identity && (st.st_ino != map->inode || major(st.st_dev) != map->dev_major ||
			       minor(st.st_dev) != map->dev_minor))
		return -ENOENT;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/*
 * map_files gives the very file that is mapped: deleted, replaced, on an overlay or in a container.
 * The path in the target's root is the way out without CAP_CHECKPOINT_RESTORE, resolved inside that
 * root and believed only if device and inode agree.
 */
static int open_mapped(struct dp_elf *elf, pid_t pid, const struct dp_map *map)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	char root[32];
	int rc, path_fd, root_fd = -1;

	snprintf(elf->path, sizeof(elf->path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid,
		 map->start, map->end);
	path_fd = open(elf->path, O_PATH | O_CLOEXEC);
	if (path_fd >= 0) {
		rc = open_regular(path_fd, map, false);
		close(path_fd);
		if (rc >= 0 || rc == -ENOEXEC)
			return rc;
	}
	elf->path[0] = '\0';
	if (map->path[0] != '/')
		return -ENOENT;
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	path_fd = (int)syscall(SYS_openat2, root_fd, map->path + 1, &how, sizeof(how));
	rc = path_fd < 0 ? -errno : open_regular(path_fd, map, true);
	if (rc >= 0 && (size_t)snprintf(elf->path, sizeof(elf->path), "%s%s", root, map->path) >=
			       sizeof(elf->path))
		elf->path[0] = '\0';
	if (path_fd >= 0)
		close(path_fd);
	close(root_fd);
	return rc;
}

static int head_read(const struct dp_elf *elf, uint64_t offset, void *buf, size_t len)
{
	if (elf->fd >= 0)
		return file_read(elf, offset, buf, len);
	if (elf->head == 0)
		return -EFAULT;
	return dp_remote_read(elf->pid, elf->head + offset, buf, len);
}

/* In memory the loader has made the addresses of .dynamic absolute; in the file they are not. */
static uint64_t file_address(const struct dp_elf *elf, uint64_t v)
{
	if (elf->fd >= 0 || elf->bias == 0)
		return v;
	for (unsigned int i = 0; i < elf->load_count; i++)
		if (v >= elf->load[i].vaddr && v - elf->load[i].vaddr < elf->load[i].memsz)
			return v;
	return v - elf->bias;
}

static void read_dynamic(struct dp_elf *elf, uint64_t vaddr, uint64_t size)
{
	Elf64_Dyn dyn[32];
	unsigned int entries = (unsigned int)(size / sizeof(dyn[0]));

	if (size / sizeof(dyn[0]) > 1024)
		entries = 1024;
	for (unsigned int at = 0; at < entries; at += 32) {
		unsigned int n = entries - at < 32 ? entries - at : 32;

		if (image_read(elf, vaddr + at * sizeof(dyn[0]), dyn, n * sizeof(dyn[0])) < 0)
			return;
		for (unsigned int i = 0; i < n; i++) {
			uint64_t v = dyn[i].d_un.d_val;

			switch (dyn[i].d_tag) {
			case DT_NULL:
				return;
			case DT_SYMTAB:
				elf->symtab = file_address(elf, v);
				break;
			case DT_STRTAB:
				elf->strtab = file_address(elf, v);
				break;
			case DT_STRSZ:
				elf->strsz = v;
				break;
			case DT_GNU_HASH:
				elf->gnu_hash = file_address(elf, v);
				break;
			case DT_HASH:
				elf->sysv_hash = file_address(elf, v);
				break;
			case DT_VERSYM:
				elf->versym = file_address(elf, v);
				break;
			default:
				break;
			}
		}
	}
}

static int read_headers(struct dp_elf *elf, const struct dp_map *map)
{
	uint64_t dynamic = 0, dynamic_size = 0;
	bool biased = false;
	Elf64_Ehdr eh;
	int rc = head_read(elf, 0, &eh, sizeof(eh));

	if (rc < 0)
		return rc;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != THIS_MACHINE ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	elf->machine = eh.e_machine;
	elf->shoff = eh.e_shoff;
	elf->shnum = eh.e_shentsize == sizeof(Elf64_Shdr) && eh.e_shnum <= DP_SECTIONS_MAX
			     ? eh.e_shnum
			     : 0;
	elf->shstrndx = eh.e_shstrndx;
	for (unsigned int i = 0; i < eh.e_phnum && i < 4 * DP_PHDRS_MAX; i++) {
		struct dp_elf_segment *s = &elf->load[elf->load_count];
		Elf64_Phdr ph;

		rc = head_read(elf, eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph));
		if (rc < 0)
			return rc;
		if (ph.p_type == PT_INTERP)
			elf->has_interp = true;
		if (ph.p_type == PT_DYNAMIC) {
			dynamic = ph.p_vaddr;
			dynamic_size = ph.p_memsz;
		}
		if (ph.p_type != PT_LOAD || elf->load_count == DP_PHDRS_MAX)
			continue;
		*s = (struct dp_elf_segment){ph.p_offset, ph.p_vaddr, ph.p_filesz, ph.p_memsz,
					     ph.p_flags};
		elf->load_count++;
		/* The mapping starts at a page; an mprotect may have cut off its front. */
		if (!biased && (ph.p_flags & PF_X) && map->offset >= (ph.p_offset & ~4095ull) &&
		    map->offset < ph.p_offset + ph.p_filesz) {
			elf->bias = map->start - map->offset - (ph.p_vaddr - ph.p_offset);
			biased = true;
		}
	}
	if (!biased)
		return -ENOEXEC;
	read_dynamic(elf, dynamic, dynamic_size);
	return 0;
}

int dp_elf_open(struct dp_elf *elf, pid_t pid, const struct dp_map *map)
{
	struct dp_elf e = {.fd = -1, .pid = pid, .head = map->head};
	int rc;

	if (map->inode == 0)
		return -ENOEXEC;
	e.fd = open_mapped(&e, pid, map);
	if (e.fd == -ENOEXEC)
		return -ENOEXEC;
	if (e.fd < 0)
		e.fd = -1;
	rc = read_headers(&e, map);
	if (rc < 0) {
		dp_elf_close(&e);
		return rc;
	}
	*elf = e;
	return 0;
}

void dp_elf_close(struct dp_elf *elf)
{
	if (elf->fd >= 0)
		close(elf->fd);
	elf->fd = -1;
}

static bool symbol_is(const struct dp_elf *elf, const Elf64_Sym *sym, const char *name, size_t len)
{
	char buf[NAME_MAX_LEN];

	return sym->st_shndx != SHN_UNDEF && sym->st_value != 0 && sym->st_name < elf->strsz &&
	       image_read(elf, elf->strtab + sym->st_name, buf, len + 1) == 0 &&
	       memcmp(buf, name, len + 1) == 0;
}

static bool is_default_version(const struct dp_elf *elf, uint32_t index)
{
	uint16_t v;

	return elf->versym == 0 || image_read(elf, elf->versym + 2ull * index, &v, 2) < 0 ||
	       !(v & HIDDEN);
}

static int check_symbol(const struct dp_elf *elf, uint32_t index, const char *name, size_t len,
			struct dp_elf_symbol *ret)
{
	Elf64_Sym sym;

	if (image_read(elf, elf->symtab + index * sizeof(sym), &sym, sizeof(sym)) < 0 ||
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
	if (image_read(elf, elf->gnu_hash, &h, sizeof(h)) < 0 || h.buckets == 0 ||
	    h.bloom_words == 0)
		return -ENOENT;
	if (image_read(elf, elf->gnu_hash + sizeof(h) + 8ull * ((hash / 64) % h.bloom_words),
		       &bloom, 8) < 0)
		return -ENOENT;
	if (!(bloom >> (hash % 64) & 1) || !(bloom >> ((hash >> (h.bloom_shift % 32)) % 64) & 1))
		return -ENOENT;
	buckets = elf->gnu_hash + sizeof(h) + 8ull * h.bloom_words;
	chain = buckets + 4ull * h.buckets;
	if (image_read(elf, buckets + 4ull * (hash % h.buckets), &at, 4) < 0 || at < h.first)
		return -ENOENT;
	for (uint32_t i = 0; i < DP_HASH_CHAIN_MAX; i++, at++) {
		if (image_read(elf, chain + 4ull * (at - h.first), &word, 4) < 0)
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
	if (image_read(elf, elf->sysv_hash, head, sizeof(head)) < 0 || head[0] == 0)
		return -ENOENT;
	if (image_read(elf, elf->sysv_hash + 8 + 4ull * (hash % head[0]), &at, 4) < 0)
		return -ENOENT;
	for (uint32_t i = 0; i < DP_HASH_CHAIN_MAX && at != 0; i++) {
		if (check_symbol(elf, at, name, len, ret) == 0)
			return 0;
		if (image_read(elf, elf->sysv_hash + 8 + 4ull * head[0] + 4ull * at, &at, 4) < 0)
			return -ENOENT;
	}
	return -ENOENT;
}

int dp_elf_dynsym(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	size_t len = strlen(name);

	if (len >= NAME_MAX_LEN || elf->symtab == 0 || elf->strtab == 0)
		return -ENOENT;
	if (elf->gnu_hash != 0)
		return find_gnu(elf, name, len, ret);
	return elf->sysv_hash != 0 ? find_sysv(elf, name, len, ret) : -ENOENT;
}

static int section_header(const struct dp_elf *elf, unsigned int index, Elf64_Shdr *ret)
{
	if (elf->fd < 0 || index >= elf->shnum)
		return -ENOENT;
	return file_read(elf, elf->shoff + index * sizeof(*ret), ret, sizeof(*ret));
}

int dp_elf_section(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	char buf[NAME_MAX_LEN];
	size_t len = strlen(name);
	Elf64_Shdr names, sh;

	if (len >= sizeof(buf) || section_header(elf, elf->shstrndx, &names) < 0)
		return -ENOENT;
	for (unsigned int i = 0; i < elf->shnum; i++) {
		if (section_header(elf, i, &sh) < 0)
			return -ENOENT;
		if (sh.sh_addr == 0 || sh.sh_name >= names.sh_size ||
		    file_read(elf, names.sh_offset + sh.sh_name, buf, len + 1) < 0 ||
		    memcmp(buf, name, len + 1) != 0)
			continue;
		*ret = (struct dp_elf_symbol){sh.sh_addr, sh.sh_size};
		return 0;
	}
	return -ENOENT;
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
		if (section_header(elf, i, &table) < 0)
			return -ENOENT;
		if (table.sh_type == type)
			break;
	}
	if (table.sh_entsize != sizeof(sym[0]) || section_header(elf, table.sh_link, &strings) < 0)
		return -ENOENT;
	count = table.sh_size / sizeof(sym[0]);
	if (count > DP_SYMBOLS_MAX)
		count = DP_SYMBOLS_MAX;
	for (uint64_t at = 0; at < count; at += 256) {
		size_t n = count - at < 256 ? (size_t)(count - at) : 256;

		if (file_read(elf, table.sh_offset + at * sizeof(sym[0]), sym, n * sizeof(sym[0])) <
		    0)
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
	char buf[NAME_MAX_LEN];

	if (sym->st_shndx == SHN_UNDEF || sym->st_value == 0 ||
	    (ELF64_ST_TYPE(sym->st_info) != STT_OBJECT &&
	     ELF64_ST_TYPE(sym->st_info) != STT_FUNC) ||
	    sym->st_name >= strings->sh_size ||
	    file_read(elf, strings->sh_offset + sym->st_name, buf, want->len + 1) < 0 ||
	    memcmp(buf, want->name, want->len + 1) != 0)
		return false;
	want->found = (struct dp_elf_symbol){sym->st_value, sym->st_size};
	return true;
}

int dp_elf_symtab(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	struct by_name want = {.name = name, .len = strlen(name)};
	int rc;

	if (want.len >= NAME_MAX_LEN)
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
	if (file_read(elf, strings->sh_offset + sym->st_name, buf, len) < 0)
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
