/* SPDX-License-Identifier: MIT */
/*
 * The watched processes, seen from inside: for targets.c, discovery.c, reading_of.c, watched.c, facts.c, sampler.c,
 * witnesses.c, share.c and answers.c of this room alone.
 */
#ifndef DORA_PROBE_WATCHED_H
#define DORA_PROBE_WATCHED_H

#include <stdbool.h>

#include "base/units.h"
#include "dora/nodeconfig.h"
#include "python/pyprocess.h"
#include "sense/birth.h"
#include "sense/governor.h"
#include "sense/reader.h"
#include "sense/targets.h"

#define CONNS_MAX 16
#define RETRY_NS  (20 * MS)   /* between tries at a process that is still starting */
#define RESCAN_NS (1000 * MS) /* interpreters, signal masks, dora version */

/* What has been told of a process' shares, and what of the stretch that runs is counted here. */
struct share_mark {
	uint64_t at_ns;                             /* begin of the stretch; 0 none has begun */
	uint64_t cpu_ns, main_cpu_ns, main_wait_ns; /* then; main's 0 where they cannot be read */
	struct dp_share_state kernel;               /* then */
	uint32_t looks, looks_held;
};

/* The stack of a thread that slept, and what dp_bpf_has_run() went by before it was read. */
struct slept {
	uint32_t tid, ran;
	uint64_t read_ns;
	struct dp_rec_stack s;
};

#define SLEPT_KEPT 3

struct target {
	pid_t pid; /* 0: slot free */
	uint64_t start_time;
	uint64_t since_ns;
	uint64_t read_ns;     /* what is known of it was read from then on */
	uint64_t next_try_ns; /* 0: the runtime is known, or known not to be there */
	uint64_t next_rescan_ns;
	uint64_t
		again_ns; /* given up on before it was known what it is: to be tried again then; 0 */
	struct dp_py *py;         /* as the reader has found it; NULL no CPython, or none yet */
	struct dp_reader *reader; /* reads its memory and its files; never NULL */
	struct dp_target kernel;
	struct dp_node_config config;
	struct dp_rec_node facts;
	uint8_t is_dora;
	uint8_t announced;
	uint64_t told_ns; /* when the model was last told that it is a node, or none any more */
	uint8_t untold;   /* the kernel's maps had no room for it: to be tried again */
	uint8_t armed, arming; /* edge source */
	uint8_t siting;        /* … to be armed once it is known where */
	struct {
		bool is_open;  /* there is one */
		uint32_t type; /* enum dp_request_type: READ_STACK or READ_WAITS */
		uint32_t tid;
		uint64_t asked_ns;
	} late;           /* a request whose answer its reader has not given yet */
	uint8_t sampling; /* seen by looks alone: no kernel side */
	uint8_t named;    /* asked for by --pid */
	int ending;       /* ending_open(); -1: the kernel programs tell of its end */
	/* What it is to its node, and by what: see roles.h. */
	pid_t above;  /* nearest ancestor with the same node configuration; 0 none */
	pid_t parent; /* as it began; 0 not known */
	uint8_t role; /* enum dp_member_role */
	uint8_t proven, connected, from_start, looks_python;
	uint8_t member_told;
	struct dp_rec_member member; /* as last told */
	uint8_t heard;               /* a frame of one of its connections has been read */
	uint8_t sockets_incomplete;  /* it may have connections that were not found */
	uint8_t daemon_tries, socket_looks;
	uint8_t dora_source;         /* enum dp_dora_source, of facts.dora */
	uint8_t foreign;             /* its dora package is no distribution of dora-rs */
	struct dp_rec_limits limits; /* as last told */
	struct {
		uint32_t tid;
		uint64_t since_ns;
	} asleep; /* the last thread that was asked for with dp_asleep_since() */
	struct slept slept[SLEPT_KEPT];
	unsigned int next_slept;
	/* The threads with Python frames, as last read of it. */
	struct {
		uint32_t ran;
		uint64_t read_ns; /* 0 never */
		int count;
		pid_t tids[DP_THREADS_LOOKED_AT];
	} threads;
	uint32_t marked_daemon; /* the kernel tells of signals to this one */
	struct governor governor;
	uint32_t left_alone;   /* as governor_tick() said last */
	uint32_t ran_governor; /* as dp_bpf_switches() goes by it */
	uint64_t switches_read_ns;
	bool share_blind; /* switches were left alone in the stretch of the shares that runs */
	uint64_t conns[CONNS_MAX];
	unsigned int conn_count;
	/* sampler */
	uint32_t last_tid[DP_MAX_GILS];
	bool free[DP_MAX_GILS]; /* nobody had it in the last look */
	/* As dp_bpf_has_run() says it, for the looks and for what is read once a second; and when it ran last. */
	uint32_t ran, ran_rescan, ran_share;
	uint64_t ran_ns, looked_ns, rescanned_ns;
	/* Where the holder has been in each look since, and how often it was looked at closely there. */
	struct {
		uint64_t ip, frame, since_ns;
		uint32_t bursts;
	} still[DP_MAX_GILS];
	struct share_mark share;
	uint64_t shm_total, shm_free; /* bytes, at the last look; 0, 0 none */
	bool shm_low;
	/* caught signals whose Python handler has not run, a bit each */
	uint64_t signals;
	uint32_t signal_tid;
	uint64_t signal_ns;
	uint8_t given_up;            /* reading it has not come back, or cost too much: said */
	char why[DP_REASON_MAX];     /* no CPython: what it is instead */
	char no_edge[DP_REASON_MAX]; /* why the edge source could not be had, "" */
};

/* A Python without a node's configuration, which may join a dataflow yet; dynamic.c. */
struct seeker {
	pid_t pid; /* 0: slot free */
	struct dp_birth birth;
	uint64_t conns[CONNS_MAX];
	unsigned int conn_count;
	uint16_t family, port; /* of the daemon's listener for it; 0 not connected yet */
	uint8_t addr[16];
};

#define SEEKERS_MAX 32
/* Where every daemon listens for dynamic nodes (DORA_DAEMON_LOCAL_LISTEN_PORT_DEFAULT). */
#define DP_DYNAMIC_PORT 53291

/* A command that ends nodes, seen starting. */
struct command {
	pid_t pid; /* 0: slot free */
	uint64_t start_time;
	uint64_t since_ns;
	bool told; /* that it still runs, or has ended */
};

#define COMMANDS_MAX 16
#define TARGET_HINTS 1024

/* A reader that has begun before its process is taken up; ahead.c. */
struct ahead {
	pid_t pid;
	uint64_t start_time, since_ns;
	struct dp_reader *reader; /* NULL: it has been taken */
	struct dp_py *py;
};

struct dp_targets {
	struct dp_wanted wanted;
	struct dp_bpf *bpf;
	struct dp_wire *wire;
	struct dp_targets_sink sink;
	struct target at[DP_MAX_TARGETS];
	struct ahead ahead[DP_MAX_TARGETS];
	unsigned int ahead_count;
	unsigned int alive;
	unsigned int unreadable; /* processes of other users that may not be read */
	struct command commands[COMMANDS_MAX];
	unsigned int next_command;
	struct dp_births births;
	struct seeker seekers[SEEKERS_MAX];
	unsigned int next_seeker;
	pid_t strangers[SEEKERS_MAX]; /* the last seekers that were let go */
	unsigned int next_stranger;
	uint64_t share_every_ns; /* that often a line about shares is wanted; 0 never */
	uint64_t emptied_ns;     /* the last one has left; 0 as long as there was none */
	bool sampling;           /* there is no kernel side to tell of anything */
	uint64_t next_look_ns;   /* … so /proc is looked through for who is there, then */
	uint8_t restarts;        /* dora may start a node of theirs anew */
	struct dp_patience patience;
	uint64_t scan_patience_ns; /* for all processes that run before the loop does */
	struct dp_reader *reader;  /* reads what belongs to no target, or not yet */
	uint64_t ended_cpu_ns;     /* of readers that have gone */
	struct governor_limits limits;
	uint8_t hints[TARGET_HINTS]; /* by the pid: where in `at` the last one was */
};

_Static_assert(DP_MAX_TARGETS <= UINT8_MAX + 1, "an index into `at` fits into a hint");

struct target *target_find(struct dp_targets *t, pid_t pid); /* NULL: not watched */
void target_emit(struct dp_targets *t, const struct dp_record *r);
void target_emit_loss(struct dp_targets *t, pid_t pid, enum dp_loss reason, uint64_t count);
void target_emit_facts(struct dp_targets *t, struct target *x);
void target_emit_facts_at(struct dp_targets *t, struct target *x, uint64_t t_ns);

/* A sentence for the user about a process; "PID: " comes before it. */
void target_say(struct dp_targets *t, pid_t pid, const char *sentence);

/* Everything that the facts say, from what is known now. */
void target_refresh_facts(struct target *x);

/* ---- watched.c: one process -------------------------------------------------------------------- */

/* Puts the process into the kernel's map, as what is known of it now. */
void target_tell_kernel(struct dp_targets *t, struct target *x);
void target_add_conn(struct target *x, uint64_t conn);
/*
 * A process that ran before us: the kernel is told of it and of its connections, found in /proc.
 * What passes there from now on waits in the ring until target_follow_open() has told the decoder.
 */
void target_mark_open(struct dp_targets *t, struct target *x);
/* One that began before our eyes and was not seen connecting: has it connected all the same? For a while, once a second. */
void target_look_for_sockets(struct dp_targets *t, struct target *x, uint64_t now);
/* What has come while this source was left alone is followed from now on. */
void target_mark_again(struct dp_targets *t, struct target *x, enum dp_source source);
/* The decoder is told of them, the kernel of its mapped regions. */
void target_follow_open(struct dp_targets *t, struct target *x);
/* Frees the slot, without a record. */
void target_forget(struct dp_targets *t, struct target *x);
/*
 * Tries to see the runtime. 1 settled (Python or not), 0 still starting, -errno when the process is
 * no use to us (and has been let go).
 */
int target_settle(struct dp_targets *t, struct target *x, uint64_t now);

/* ---- reading_of.c: through readers ---------------------------------------------------------------- */

/*
 * Takes a look at a GIL: at once where all of it is in memory, else by the reader. As dp_py_look() and
 * reader.h.
 */
int target_look(struct target *x, unsigned int gil, struct dp_rec_look *ret, uint32_t *ret_tid);
/* Says of a target, or of what belongs to none, that it has been given up on. Once a tick. */
void target_check_reader(struct dp_targets *t, struct target *x, uint64_t now);
void targets_check_reader(struct dp_targets *t, uint64_t now);
/* What dp_node_config_read() says, of any process; waited for within the patience. */
int targets_config(struct dp_targets *t, pid_t pid, struct dp_node_config *ret);

/* ---- governing.c ------------------------------------------------------------------------------- */

/* Leaves alone for a while what the process floods, and says so. At each tick. */
void target_govern(struct dp_targets *t, struct target *x, uint64_t now);

/* ---- share.c ----------------------------------------------------------------------------------- */

/* Tells the shares of the stretch that has run, once it is a second long. */
void target_share(struct dp_targets *t, struct target *x, uint64_t now);

/* ---- memory.c ---------------------------------------------------------------------------------- */

/* Looks at the file system of its shared memory; tells it while there is little left. */
void target_memory(struct dp_targets *t, struct target *x);

/* ---- ahead.c: readers that begin early ------------------------------------------------------------ */

/* The process' own reader is one that has begun, if there is one. Is there? */
bool ahead_take(struct dp_targets *t, struct target *x);
/* Ends those that nobody has taken. */
void ahead_free(struct dp_targets *t);

/* ---- discovery.c: who is wanted ---------------------------------------------------------------- */

/* Does the user's selection want this process? `c` NULL: it is no node. */
bool target_is_selected(const struct dp_targets *t, pid_t pid, const struct dp_node_config *c);

/* Can processes that nobody named be wanted, now or later? */
int wanted_others(const struct dp_wanted *w);
/* Takes up a process that began at t_ns, when it is wanted. Is it watched now? */
bool target_take(struct dp_targets *t, const struct dp_birth *birth, uint64_t t_ns);

/*
 * Takes up a process that has turned out to be this node, with the connections that are known of it.
 * Is it watched now? Not if nobody wants it.
 */
bool target_join(struct dp_targets *t, const struct dp_birth *birth,
		 const struct dp_node_config *config, const uint64_t *conns, unsigned int count,
		 uint64_t t_ns);

/* ---- dynamic.c: nodes that are started by hand ---------------------------------------------------- */

/* A process has begun that is no node as far as is known. */
void dynamic_begins(struct dp_targets *t, const struct dp_birth *birth);
/* The process has ended; was it one of those that may become a node? */
bool dynamic_ended(struct dp_targets *t, pid_t pid, uint64_t t_ns);
void dynamic_connected(struct dp_targets *t, pid_t pid, const struct dp_sock_connect *c,
		       uint64_t t_ns);
void dynamic_closed(struct dp_targets *t, pid_t pid, uint64_t conn);
/*
 * Is this process, which ran before us and has no configuration, a node that somebody started by hand? 0 and who it
 * is; -ENOENT it is none, or it cannot be told.
 */
int dynamic_config(struct dp_targets *t, pid_t pid, struct dp_node_config *ret);
/* The process' Register frame came at t_ns: is it watched as a node from now on? */
bool dynamic_registered(struct dp_targets *t, pid_t pid, const struct dp_rec_register *reg,
			uint64_t t_ns);

/* ---- members.c: what each is to its node ------------------------------------------------------- */

/* Finds its nearest ancestor of the same node. */
void member_link(struct dp_targets *t, struct target *x);
/* The member has left, or is about to: what is below it goes one up. */
void member_left(struct dp_targets *t, const struct target *left);
/* Is it a wrapper or a helper? */
bool member_is_aside(const struct target *x);
/* The roles of all that have this configuration, from what is known now; who is new or has changed is told at t_ns. */
void members_decide(struct dp_targets *t, const struct dp_node_config *of, uint64_t t_ns);

/* ---- limits.c ---------------------------------------------------------------------------------- */

/* Tells what ends the node without a Stop, where that has changed. Comes before its facts. */
void target_emit_limits(struct dp_targets *t, struct target *x, uint64_t t_ns);

/* ---- witnesses.c: who else knows of a Stop ------------------------------------------------------ */

/* Tells of the commands that have been running for a while. */
void targets_check_commands(struct dp_targets *t, uint64_t now);
/* Was this one told of already? */
bool targets_know_command(const struct dp_targets *t, pid_t pid);
/* Tells whether a Stop lies unread in a socket of the process; nothing where it may not be read. */
void target_peek_stop(struct dp_targets *t, struct target *x);
/* Signals to its daemon are to be seen. */
void target_mark_daemon(struct dp_targets *t, struct target *x);

/* ---- stock.c: what is there when the probe comes ------------------------------------------------- */

/*
 * Tells what there is of a process that ran before us, behind its facts. `since_ns` is when the look
 * at its sockets and regions began.
 */
void target_take_stock(struct dp_targets *t, struct target *x, uint64_t since_ns);

/* ---- answers.c --------------------------------------------------------------------------------- */

/* Where there is no kernel side: looks who has ended, and who has come. */
void targets_look_around(struct dp_targets *t, uint64_t now);
/* Tells how an arming ended, once it has. */
void target_check_arming(struct dp_targets *t, struct target *x);
/* Answers a request whose answer has come since, or will not come. */
void target_check_late(struct dp_targets *t, struct target *x);
/* The edge source of a process off, or no longer asked for; tells the model. */
void target_disarm(struct dp_targets *t, struct target *x);

#endif
