// SPDX-License-Identifier: MIT
/*
 * The same as region.bpf.c, by tracepoints that fire only where memory is mapped: vm_unmapped_area (5.8)
 * says at which address, mmap_lock_released (5.11) that it is done. Nobody else can have got an address
 * before the lock goes, so both ends of a mapping are told in their true order.
 *
 * A region is new, and this process its owner, when no page of it exists yet: its owner maps it before it
 * writes. Its unlinking is not seen; an owner unmaps it just before.
 */
#include "region.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define TMPFS_MAGIC 0x01021994
#define PREFIX      "shmem_"
#define PREFIX_LEN  (sizeof(PREFIX) - 1)

/* Threads that are in mmap with a descriptor: the address that they were given, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DP_MAX_SOCKETS);
	__type(key, __u32);
	__type(value, __u64);
} mapping SEC(".maps");

/* Is it a region's file, in the top folder of a tmpfs? Then its name, zero-padded, is in `name`. */
static __always_inline bool is_region(struct file *file, char name[DP_REGION_NAME_MAX])
{
	struct dentry *d = BPF_CORE_READ(file, f_path.dentry);
	struct dentry *folder = BPF_CORE_READ(d, d_parent);
	long n;

	__builtin_memset(name, 0, DP_REGION_NAME_MAX);
	n = bpf_probe_read_kernel_str(name, DP_REGION_NAME_MAX, BPF_CORE_READ(d, d_name.name));
	/* Longer than a region's name can be: n counts the NUL, and fills `name` only when cut. */
	if (n <= (long)PREFIX_LEN + 1 || n >= DP_REGION_NAME_MAX)
		return 0;
#pragma unroll
	for (unsigned int i = 0; i < PREFIX_LEN; i++)
		if (name[i] != PREFIX[i])
			return 0;
	return BPF_CORE_READ(d, d_sb, s_magic) == TMPFS_MAGIC &&
	       BPF_CORE_READ(folder, d_parent) == folder;
}

static __always_inline void on_mapped(struct task_struct *task, const struct pt_regs *regs)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct dp_region_key key = {.pid = id >> 32};
	struct file *file = file_of(task, (__s32)arg(regs, 4));
	__u32 tid = (__u32)id;
	__u64 *addr = bpf_map_lookup_elem(&mapping, &tid);
	struct dp_region_state r = {};

	if (!addr)
		return;
	key.addr = *addr;
	bpf_map_delete_elem(&mapping, &tid);
	if (!file || !is_region(file, r.name))
		return;
	r.created = BPF_CORE_READ(file, f_mapping, nrpages) == 0;
	emit_region(r.created ? DP_REGION_CREATED : DP_REGION_MAPPED, id, r.created ? 0 : key.addr,
		    r.name);
	if (bpf_map_update_elem(&regions, &key, &r, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

static __always_inline void area_found(unsigned long addr)
{
	__u64 id = bpf_get_current_pid_tgid(), at = addr;
	struct pt_regs *regs;
	__u32 tid = (__u32)id;

	/* IS_ERR_VALUE: the last page of the address space holds errors. */
	if (!maybe_watched(id >> 32) || is_resting(id >> 32, DP_SOURCE_REGION) ||
	    addr >= (__u64)-4095)
		return;
	regs = task_regs(bpf_get_current_task_btf());
	if (syscall_nr(regs) != NR_MMAP || (__s32)arg(regs, 4) < 0 || !target_of(id >> 32))
		return;
	if (bpf_map_update_elem(&mapping, &tid, &at, BPF_ANY))
		count_loss(DP_LOSS_MAP_FULL);
}

SEC("tp_btf/vm_unmapped_area")
int BPF_PROG(dp_region_area, unsigned long addr)
{
	keep_cpu();
	area_found(addr);
	give_cpu();
	return 0;
}

/* Told before the lock goes, of one that was taken for writing or, at the end of munmap, for reading. */
static __always_inline void lock_released(void)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task;
	struct pt_regs *regs;

	if (!maybe_watched(id >> 32))
		return;
	task = bpf_get_current_task_btf();
	regs = task_regs(task);
	switch (syscall_nr(regs)) {
	case NR_MMAP:
		on_mapped(task, regs);
		break;
	case NR_MUNMAP:
		region_unmapped(id, arg(regs, 0));
		break;
	}
}

SEC("tp_btf/mmap_lock_released")
int BPF_PROG(dp_region_lock)
{
	keep_cpu();
	lock_released();
	give_cpu();
	return 0;
}
