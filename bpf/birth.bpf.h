/* SPDX-License-Identifier: MIT */
/* The node's configuration in the environment of a process that has just begun; for lifecycle. */
#ifndef DORA_PROBE_BIRTH_BPF_H
#define DORA_PROBE_BIRTH_BPF_H

#include "emit.bpf.h"

/*
 * Variables that are looked at, a long one counting for each DP_VARIABLE_MAX bytes of it. What the
 * verifier takes grows with the square of it (1,024: 0.3 s). dora's environments are sorted, and this
 * name comes early. Behind more than that /proc has it, for those that live long enough.
 */
#define VARIABLES_MAX 160
/* Pieces of one configuration. */
#define CONFIG_PIECES (DP_CONFIG_MAX / (DP_CONFIG_PIECE - 1) + 1)

/* The first bytes of the two names, as words: little endian, which all supported machines are. */
#define WORD_DORA_NOD 0x444f4e5f41524f44ULL /* "DORA_NOD" */
#define WORD_E_CONFIG 0x4749464e4f435f45ULL /* "E_CONFIG", and "=" */
#define WORD_DORA_RUN 0x4e55525f41524f44ULL /* "DORA_RUN" */
#define WORD_TIME_CON 0x4e4f435f454d4954ULL /* "TIME_CON", and "FIG=" */
#define WORD_FIG      0x3d474946U

/* Length of the name with its "=" if the variable has a node's configuration (nodeconfig.c); else 0. */
static __always_inline __u32 config_name(const struct dp_variable *v)
{
	if (v->words[0] == WORD_DORA_NOD && v->words[1] == WORD_E_CONFIG &&
	    (v->words[2] & 0xff) == '=')
		return 17;
	if (v->words[0] == WORD_DORA_RUN && v->words[1] == WORD_TIME_CON &&
	    (__u32)v->words[2] == WORD_FIG)
		return 20;
	return 0;
}

/* Where the configuration's text begins in the target; 0: it has none. */
static __always_inline __u64 find_config(const struct task_struct *p)
{
	__u64 at = p->mm->env_start, end = p->mm->env_end;
	struct dp_variable *v;
	__u32 within = 0, zero = 0;

	v = bpf_map_lookup_elem(&variable, &zero);
	if (!v)
		return 0;
	for (int i = 0; i < VARIABLES_MAX && at < end; i++) {
		long n = bpf_probe_read_user_str(v, sizeof(*v), (void *)at);
		__u32 name = !within && n > 20 ? config_name(v) : 0;

		if (name)
			return at + name;
		if (n <= 0)
			return 0;
		/* All of the room was used: there is more of it. No branch, which would be two states. */
		within = (__u32)n / DP_VARIABLE_MAX;
		at += (__u32)n - within;
	}
	return 0;
}

/* Hands over the text, in pieces, and remembers the process. Bytes of it. */
static __always_inline __u32 emit_config(const struct task_struct *p, __u64 now)
{
	__u64 from = find_config(p);
	__u32 tgid = p->tgid, len = 0;
	__u8 one = 1;

	if (!from)
		return 0;
	bpf_map_update_elem(&born, &tgid, &one, BPF_ANY);
	for (int i = 0; i < CONFIG_PIECES; i++) {
		struct {
			struct dp_capture h;
			struct dp_config_piece b;
			char text[DP_CONFIG_PIECE];
		} *c = capture_reserve(DP_CAP_NODE_CONFIG, sizeof(*c), now, tgid, p->pid);
		long n;

		if (!c)
			break;
		n = bpf_probe_read_user_str(c->text, sizeof(c->text), (void *)(from + len));
		c->b.offset = len;
		c->b.copied = n > 0 ? (__u32)n - 1 : 0;
		c->h.size = (__u32)(sizeof(c->h) + sizeof(c->b)) + c->b.copied;
		capture_submit(c);
		if (n > 0)
			len += (__u32)n - 1;
		if (n != sizeof(c->text))
			break;
	}
	return len;
}

/* When the process began, CLOCK_BOOTTIME. */
static __always_inline __u64 started_ns(const struct task_struct *p)
{
	const struct task_struct *leader = p->group_leader;

	if (bpf_core_field_exists(leader->start_boottime))
		return BPF_CORE_READ(leader, start_boottime);
	return BPF_CORE_READ((const struct task_struct___before_5_5 *)leader, real_start_time);
}

#endif
