// SPDX-License-Identifier: MIT
#include "sense/bpf_features.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/procfile.h"
#include "sense/privileges.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"
#define BTF      "/sys/kernel/btf/vmlinux"
#define BTF_MAX  (64L << 20)

/* Confidentiality lockdown forbids programs to read memory (security/lockdown, 5.4). */
static bool locked_down(void)
{
	char line[128];

	return dp_procfile_read(LOCKDOWN, line, sizeof(line)) > 0 &&
	       strstr(line, "[confidentiality]");
}

/* Inode of the initial PID namespace: PROC_PID_INIT_INO in include/linux/proc_ns.h. */
#define INITIAL_PID_NS "pid:[4026531836]"
/* And of the initial user namespace: PROC_USER_INIT_INO. */
#define INITIAL_USER_NS "user:[4026531837]"

static bool is_in(const char *proc, const char *kind, const char *initial)
{
	char path[PATH_MAX], link[64];

	if (snprintf(path, sizeof(path), "%s/self/ns/%s", proc, kind) >= (int)sizeof(path) ||
	    dp_procfile_link(path, link, sizeof(link)) < 0)
		return false;
	return strcmp(link, initial) == 0;
}

bool dp_in_initial_pid_ns(const char *proc)
{
	return is_in(proc, "pid", INITIAL_PID_NS);
}

const char *dp_bpf_how_to_allow(void)
{
	if (!is_in("/proc", "user", INITIAL_USER_NS))
		return "run it outside of this user namespace, whose rights are not the machine's";
	return "start the container with --security-opt seccomp=unconfined";
}

int dp_bpf_can_load(char *why, size_t why_len)
{
	cap_t caps = cap_get_proc();
	bool admin, bpf;

	if (!caps)
		return -errno;
	admin = dp_privileges_has(caps, CAP_SYS_ADMIN);
	bpf = dp_privileges_has(caps, CAP_BPF) && dp_privileges_has(caps, CAP_PERFMON);
	cap_free(caps);
	if (!admin && !bpf) {
		snprintf(why, why_len,
			 "loading BPF programs needs CAP_BPF and CAP_PERFMON; run it as root: "
			 "sudo dora-probe");
		return -EPERM;
	}
	if (locked_down()) {
		snprintf(why, why_len,
			 "the kernel is in confidentiality lockdown, in which BPF programs may not "
			 "read memory; boot with lockdown=integrity, see: cat " LOCKDOWN);
		return -EPERM;
	}
	/* The programs tell of processes by the kernel's own numbers: of whom, could not be said. */
	if (!dp_in_initial_pid_ns("/proc")) {
		snprintf(
			why, why_len,
			"this is the PID namespace of a container, in which the kernel's process ids mean nothing; "
			"run it on the host, or start the container with --pid=host");
		return -ENOTSUP;
	}
	if (access(BTF, R_OK)) {
		snprintf(why, why_len,
			 "the kernel has no type information (" BTF
			 "); boot one that is built with CONFIG_DEBUG_INFO_BTF=y, see: "
			 "dora-probe doctor");
		return -ENOTSUP;
	}
	return 0;
}

/* The whole of a file of sysfs, which may not be mapped. NULL; freed by the caller. */
static char *read_whole(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *bytes = NULL;
	struct stat st;
	size_t n = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < BTF_MAX)
		bytes = malloc((size_t)st.st_size);
	while (bytes && n < (size_t)st.st_size) {
		ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	*ret_len = n;
	return bytes;
}

bool dp_bpf_has_types(const char *const names[])
{
	struct btf_header h;
	size_t len, count = 0, found = 0;
	char *bytes = read_whole(BTF, &len);
	uint64_t from, to;

	if (!bytes)
		return false;
	while (names[count])
		count++;
	memset(&h, 0, sizeof(h));
	if (len >= sizeof(h))
		memcpy(&h, bytes, sizeof(h));
	from = (uint64_t)h.hdr_len + h.str_off;
	to = from + h.str_len;
	if (h.magic != BTF_MAGIC || to > len || !h.str_len || bytes[to - 1] != '\0')
		to = from;
	for (const char *s = bytes + from; s < bytes + to; s += strlen(s) + 1)
		for (size_t i = 0; i < count; i++)
			found += s[0] == names[i][0] && strcmp(s, names[i]) == 0;
	free(bytes);
	return found == count;
}

static int try_load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t count)
{
	int fd = bpf_prog_load(type, NULL, "Dual MIT/GPL", insns, count, NULL);

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

int dp_bpf_has_lazy_hash(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "dp_try", 4, 4, 1, &opts);
	struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_IMM | BPF_DW,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int ret;

	if (map < 0)
		return 0;
	/* The strictest of the types in use here. */
	ret = try_load(BPF_PROG_TYPE_PERF_EVENT, insns, DP_COUNT_OF(insns));
	close(map);
	return ret;
}
