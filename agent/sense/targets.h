/* SPDX-License-Identifier: MIT */
/*
 * The watched processes: finds them (by pid, node, dataflow, or all), keeps the kernel maps and the
 * wire decoder told, samples their GILs, answers the model's questions about them. All that it
 * learns goes out as records.
 */
#ifndef DORA_PROBE_TARGETS_H
#define DORA_PROBE_TARGETS_H

#include <stdbool.h>

#include "dora/wire.h"
#include "dora_probe/request.h"
#include "sense/bpf_source.h"
#include "sense/wanted.h"

struct dp_targets;

struct dp_targets_sink {
	void (*record)(void *ctx, const struct dp_record *r);
	void (*say)(void *ctx, const char *sentence); /* to the user, about one process */
	void *ctx;
};

/*
 * NULL without memory. *wanted and *sink are copied; `b` and `w` must outlive the object. Without `b`
 * nothing is told to the kernel.
 */
struct dp_targets *dp_targets_new(const struct dp_wanted *wanted, struct dp_bpf *b,
				  struct dp_wire *w, const struct dp_targets_sink *sink);
void dp_targets_free(struct dp_targets *t);
/*
 * The two steps of a start with a kernel side that takes its time: what is wanted and runs is begun to be read; then
 * `b`, which is there by then (NULL: none), is that of the object.
 */
void dp_targets_begin(struct dp_targets *t);
void dp_targets_see(struct dp_targets *t, struct dp_bpf *b);
/* How often a line about each node's shares is wanted; 0, and at first: never. */
void dp_targets_share_every(struct dp_targets *t, uint64_t ns);
/* What a source of one process may cost, by --max-overhead (governor.h); 0, and at first: anything. */
void dp_targets_govern(struct dp_targets *t, double percent);
/* A capture of that source of the process, SOCKET or REGION, made at that time. */
void dp_targets_count(struct dp_targets *t, pid_t pid, enum dp_source source, uint64_t t_ns);

/*
 * Takes up what matches now. Returns how many are watched; for --pid -ESRCH, -ENOENT (neither
 * Python nor a dora node), -EPERM … when none of them can be. Each process that is refused has had
 * its sentence (sink).
 */
int dp_targets_scan(struct dp_targets *t);

/* One process with a node configuration, as dp_targets_discover() tells it: valid in the callback. */
struct dp_discovered {
	pid_t pid;
	enum dp_member_role role;
	bool connected; /* to its daemon */
	const struct dp_rec_node *facts;
};

/*
 * The same facts without a kernel side: what `watch --all` would take up now, each process with its
 * role. *ret_unreadable counts those of other users that may not be read. 0, or -ENOMEM.
 */
int dp_targets_discover(void (*fn)(void *ctx, const struct dp_discovered *d), void *ctx,
			unsigned int *ret_unreadable);

/* A process has execed, forked or exited; `t_ns` of the event. */
void dp_targets_exec(struct dp_targets *t, pid_t pid, const struct dp_exec_op *o, uint64_t t_ns);
/* A piece of the node configuration of a process that is about to be told as execed. */
void dp_targets_config(struct dp_targets *t, pid_t pid, const struct dp_config_piece *p,
		       const char *bytes);
void dp_targets_fork(struct dp_targets *t, pid_t parent, pid_t pid, uint64_t t_ns);
/* SIGBUS has ended the process at t_ns: tells how full its shared memory is. Before the exit itself. */
void dp_targets_no_memory(struct dp_targets *t, pid_t pid, uint64_t t_ns);
void dp_targets_exit(struct dp_targets *t, pid_t pid, uint64_t t_ns);

/* A watched process has connected to its daemon, or a connection has ended. */
void dp_targets_connected(struct dp_targets *t, pid_t pid, const struct dp_sock_connect *c,
			  uint64_t t_ns);
void dp_targets_closed(struct dp_targets *t, pid_t pid, uint32_t tid, uint64_t conn, uint64_t t_ns);
/*
 * Is what comes on this connection to be read? Not of a process that was watched only because it might have become a
 * node that is wanted, and was let go.
 */
bool dp_targets_reads(struct dp_targets *t, pid_t pid, uint64_t conn);
/* A frame of the process has been read: what it is told and says can be seen. */
void dp_targets_heard(struct dp_targets *t, pid_t pid);
/* What a Register frame of t_ns told: the version, and who a process is of which that was not known. */
void dp_targets_registered(struct dp_targets *t, pid_t pid, const struct dp_rec_register *r,
			   uint64_t t_ns);
/* A caught signal was delivered to a Python process: its handler is to be watched for. */
void dp_targets_signalled(struct dp_targets *t, pid_t pid, uint32_t tid, uint8_t signal,
			  uint64_t t_ns);
/* Captures were lost: all streams resynchronise. */
void dp_targets_lost(struct dp_targets *t, uint64_t t_ns);

/* What dp_stop_command_read() says, of any process; one that cannot be read is not waited for long. */
int dp_targets_command(struct dp_targets *t, pid_t pid, struct dp_rec_command *ret);
/* CPU time of the processes that read the targets (reader.h), ns. */
uint64_t dp_targets_readers_ns(const struct dp_targets *t);

/* One sampler round: looks, retries, rescans. */
void dp_targets_tick(struct dp_targets *t, uint64_t now_ns);

/* A `dora stop` has started, at t_ns: a record tells when it is still running after a while. */
void dp_targets_commanded(struct dp_targets *t, pid_t pid, uint64_t t_ns);

/*
 * READ_STACK, READ_THREADS, READ_WAITS, PEEK_STOP, FIND_CONSUMER, ARM_EDGE, DISARM_EDGE: answered by a
 * record before it returns, or at one of the next ticks.
 */
void dp_targets_request(struct dp_targets *t, const struct dp_request *r);

unsigned int dp_targets_alive(const struct dp_targets *t);
/*
 * 1 when nothing more is to be expected: all that were asked for by --pid have left, or all of the
 * dataflows of --dataflow for 3 s (60 s where dora may restart one of their nodes) after the first was
 * there. With --node and --all never.
 */
int dp_targets_finished(const struct dp_targets *t, uint64_t now_ns);
/*
 * The look immediately before a signal: does `tid` still hold the process' main GIL, or, the GIL
 * being free, still sleep in a system call? 1; 0 and why not.
 */
int dp_targets_still(struct dp_targets *t, pid_t pid, pid_t tid, char *why, size_t why_len);
/* Facts as last told; NULL when it is not watched. */
const struct dp_rec_node *dp_targets_facts(const struct dp_targets *t, pid_t pid);
/*
 * Is the command of process `pid` to be believed: by root or a watched node's own user, and to a coordinator
 * that may be that node's?
 */
int dp_targets_concerned(const struct dp_targets *t, pid_t pid, const struct dp_rec_command *c);

#endif
