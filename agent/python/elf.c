// SPDX-License-Identifier: MIT
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

#include "base/procfile.h"
#include "python/elf_file.h"

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#else
#error "only x86_64 and aarch64 layouts are known"
#endif

int dp_elf_read_file(const struct dp_elf *elf, uint64_t offset, void *buf, size_t len)
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

int dp_elf_read_image(const struct dp_elf *elf, uint64_t vaddr, void *buf, size_t len)
{
	uint64_t offset;
	int rc;

	if (elf->fd < 0)
		return dp_remote_read(elf->pid, vaddr + elf->bias, buf, len);
	rc = dp_elf_file_offset(elf, vaddr, &offset);
	return rc < 0 ? rc : dp_elf_read_file(elf, offset, buf, len);
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
	struct stat st;

	if (fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if (check_identity && (st.st_ino != map->inode || major(st.st_dev) != map->dev_major ||
			       minor(st.st_dev) != map->dev_minor))
		return -ENOENT;
	return dp_procfile_reopen(path_fd, O_RDONLY | O_NONBLOCK);
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
	root_fd = dp_procfile_open("/proc", pid, "root", O_PATH | O_DIRECTORY);
	if (root_fd < 0)
		return root_fd;
	path_fd = (int)syscall(__NR_openat2, root_fd, map->path + 1, &how, sizeof(how));
	rc = path_fd < 0 ? -errno : open_regular(path_fd, map, true);
	if (rc >= 0 && (size_t)snprintf(elf->path, sizeof(elf->path), "/proc/%d/root%s", pid,
					map->path) >= sizeof(elf->path))
		elf->path[0] = '\0';
	if (path_fd >= 0)
		close(path_fd);
	close(root_fd);
	return rc;
}

static int head_read(const struct dp_elf *elf, uint64_t offset, void *buf, size_t len)
{
	if (elf->fd >= 0)
		return dp_elf_read_file(elf, offset, buf, len);
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

		if (dp_elf_read_image(elf, vaddr + at * sizeof(dyn[0]), dyn, n * sizeof(dyn[0])) <
		    0)
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
		if (ph.p_type == PT_DYNAMIC) {
			dynamic = ph.p_vaddr;
			dynamic_size = ph.p_memsz;
		}
		if (ph.p_type == PT_GNU_EH_FRAME)
			elf->unwind = ph.p_vaddr;
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

int dp_elf_section_header(const struct dp_elf *elf, unsigned int index, Elf64_Shdr *ret)
{
	if (elf->fd < 0 || index >= elf->shnum)
		return -ENOENT;
	return dp_elf_read_file(elf, elf->shoff + index * sizeof(*ret), ret, sizeof(*ret));
}

int dp_elf_section(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret)
{
	char buf[DP_ELF_NAME_MAX];
	size_t len = strlen(name);
	Elf64_Shdr names, sh;

	if (len >= sizeof(buf) || dp_elf_section_header(elf, elf->shstrndx, &names) < 0)
		return -ENOENT;
	for (unsigned int i = 0; i < elf->shnum; i++) {
		if (dp_elf_section_header(elf, i, &sh) < 0)
			return -ENOENT;
		if (sh.sh_addr == 0 || sh.sh_name >= names.sh_size ||
		    dp_elf_read_file(elf, names.sh_offset + sh.sh_name, buf, len + 1) < 0 ||
		    memcmp(buf, name, len + 1) != 0)
			continue;
		*ret = (struct dp_elf_symbol){sh.sh_addr, sh.sh_size};
		return 0;
	}
	return -ENOENT;
}
