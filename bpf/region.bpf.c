// SPDX-License-Identifier: MIT
/*
 * dora's shared-memory regions, /dev/shm/shmem_HEX: made by the sender, mapped by the receiver when
 * a message is taken, unmapped when the last reference to its array is gone.
 */
#include "region.bpf.h"
#include "syscall.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define O_CREAT    00000100
#define PREFIX     "/dev/shm/shmem_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define DIR_LEN    9 /* "/dev/shm/" */

/* Is it a path of a region? Then its name, zero-padded, is in `name`. */
static __always_inline bool region_name(const char *path, char name[DP_REGION_NAME_MAX])
{
	char s[DIR_LEN + DP_REGION_NAME_MAX] = {};
	long n = bpf_probe_read_user_str(s, sizeof(s), path);

	/* Longer than a region's name can be: n counts the NUL, and fills s only when cut. */
	if (n <= (long)PREFIX_LEN + 1 || n >= (long)sizeof(s))
		return 0;
#pragma unroll
	for (unsigned int i = 0; i < PREFIX_LEN; i++)
		if (s[i] != PREFIX[i])
			return 0;
	__builtin_memcpy(name, s + DIR_LEN, DP_REGION_NAME_MAX);
	return 1;
}

static __always_inline void on_open(__u64 id, const char *path, __u64 flags, int fd)
{
	struct dp_sock_key key = {.pid = id >> 32, .fd = fd};
	struct dp_region_state r = {};

	if (fd < 0 || !region_name(path, r.name))
		return;
	r.created = !!(flags & O_CREAT);
	if (r.created)
		emit_region(DP_REGION_CREATED, id, 0, r.name);
	if (bpf_map_update_elem(&region_fds, &key, &r, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

static __always_inline void on_mmap(__u64 id, int fd, __u64 addr)
{
	struct dp_sock_key fd_key = {.pid = id >> 32, .fd = fd};
	struct dp_region_key key = {.pid = id >> 32, .addr = addr};
	struct dp_region_state *found, r;

	/* IS_ERR_VALUE: the last page of the address space holds errors. */
	if (fd < 0 || addr >= (__u64)-4095)
		return;
	found = bpf_map_lookup_elem(&region_fds, &fd_key);
	if (!found)
		return;
	r = *found;
	/* The fd stays open while the region is mapped, but it is mapped once. */
	bpf_map_delete_elem(&region_fds, &fd_key);
	if (!r.created)
		emit_region(DP_REGION_MAPPED, id, addr, r.name);
	if (bpf_map_update_elem(&regions, &key, &r, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

static __always_inline void on_unlink(__u64 id, const char *path, long ret)
{
	char name[DP_REGION_NAME_MAX];

	if (!ret && region_name(path, name))
		emit_region(DP_REGION_UNLINKED, id, 0, name);
}

/*
 * munmap and close, before they are done: afterwards another thread may already have got the same address or
 * descriptor. munmap of a whole existing mapping cannot fail. What is closed unmapped is no region's any more; with
 * sockets told by calls, too, dp_socket_enter does the same.
 */
static __always_inline void region_call(const struct pt_regs *regs, long nr)
{
	struct dp_sock_key key = {.pid = bpf_get_current_pid_tgid() >> 32,
				  .fd = (__s32)arg(regs, 0)};

	if (nr == NR_CLOSE)
		bpf_map_delete_elem(&region_fds, &key);
	else
		region_unmapped(bpf_get_current_pid_tgid(), arg(regs, 0));
}

SEC("tp_btf/sys_enter")
int BPF_PROG(dp_region_enter, struct pt_regs *regs, long nr)
{
	keep_cpu();
	region_call(regs, nr);
	give_cpu();
	return 0;
}

static __always_inline void region_return(const struct pt_regs *regs, long ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	const char *first = (const char *)arg(regs, 0), *second = (const char *)arg(regs, 1);
	__u64 flags = 0; /* first member of struct open_how, too */

	if (!target_of(id >> 32) || is_resting(id >> 32, DP_SOURCE_REGION))
		return;
	switch (syscall_nr(regs)) {
	case NR_OPEN:
		on_open(id, first, (__u64)second, (int)ret);
		break;
	case NR_OPENAT:
		on_open(id, second, arg(regs, 2), (int)ret);
		break;
	case NR_OPENAT2:
		bpf_probe_read_user(&flags, sizeof(flags), (void *)arg(regs, 2));
		on_open(id, second, flags, (int)ret);
		break;
	case NR_MMAP:
		on_mmap(id, (int)arg(regs, 4), (__u64)ret);
		break;
	case NR_UNLINK:
		on_unlink(id, first, ret);
		break;
	case NR_UNLINKAT:
		on_unlink(id, second, ret);
		break;
	}
}

SEC("tp_btf/sys_exit")
int BPF_PROG(dp_region_exit, struct pt_regs *regs, long ret)
{
	keep_cpu();
	region_return(regs, ret);
	give_cpu();
	return 0;
}
