/* SPDX-License-Identifier: MIT */
/* What the doctor's checks share; only doctor*.c include it. */
#ifndef DORA_PROBE_DOCTOR_CHECK_H
#define DORA_PROBE_DOCTOR_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>

struct dp_bpf;

enum verdict { OK, LIMITED, MISSING };
enum lack { RIGHT, FEATURE };

struct result {
	enum verdict verdict;
	enum lack lack; /* what a verdict other than OK is a lack of */
	char value[768];
	char mend[512]; /* "" nothing to mend */
};

struct doctor {
	const char *root;          /* before each path, "" but in tests */
	unsigned int major, minor; /* of the kernel */
	cap_t caps;                /* NULL when they cannot be read */
	struct dp_bpf *bpf;        /* the probe's own programs, once they are loaded; else NULL */
	bool attached;             /* they are attached as well */
	bool confirms;             /* a uprobe could be attached, too */
	bool samples;              /* a watch goes on without them, by looks alone */
	bool reads;                /* another process' memory can be read, by who has the rights */
	bool only_own;             /* a right is missing to read those of other users */
};

void say(struct result *r, enum verdict verdict, enum lack lack, const char *value,
	 const char *mend);
/* "refused: …"; a lack of a right or of a feature by the error, which is a negative errno. */
void say_errno(struct result *r, int err);
void path_of(const struct doctor *d, const char *path, char *ret, size_t len);
/* First line of a file below the root, without its newline: 0 or -errno. */
int read_line(const struct doctor *d, const char *path, char *ret, size_t len);
const char *become_root(void);
const char *newer_kernel(void);

void check_kernel(struct doctor *d, struct result *r);
void check_btf(struct doctor *d, struct result *r);
void check_tracepoints(struct doctor *d, struct result *r);
void check_tracefs(struct doctor *d, struct result *r);
void check_jit(struct doctor *d, struct result *r);

void check_bpf(struct doctor *d, struct result *r);
void check_ring(struct doctor *d, struct result *r);
void check_perf(struct doctor *d, struct result *r);
void check_vm_read(struct doctor *d, struct result *r);
void check_pidfd(struct doctor *d, struct result *r);
/* In this order: each goes on with what the one before has left in `d`. */
void check_load(struct doctor *d, struct result *r);
void check_attach(struct doctor *d, struct result *r);
void check_uprobe(struct doctor *d, struct result *r);
void check_level(struct doctor *d, struct result *r);

void check_capabilities(struct doctor *d, struct result *r);
void check_memlock(struct doctor *d, struct result *r);
void check_unprivileged(struct doctor *d, struct result *r);
void check_lockdown(struct doctor *d, struct result *r);
void check_yama(struct doctor *d, struct result *r);
void check_hidepid(struct doctor *d, struct result *r);
void check_pid_ns(struct doctor *d, struct result *r);

#endif
