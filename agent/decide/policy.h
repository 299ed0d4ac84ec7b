/* SPDX-License-Identifier: MIT */
/*
 * The shutdown guard's decisions, as a pure function of what is known, what was asked for and the
 * time: no clock, no I/O, no allocation. README, "Shutdown guard", has the rules in words.
 *
 * Times are CLOCK_MONOTONIC nanoseconds of the model, 0 unknown, unless a field says otherwise.
 */
#ifndef DORA_PROBE_POLICY_H
#define DORA_PROBE_POLICY_H

#include "base/units.h"
#include "dora_probe/finding.h"
#include "dora_probe/names.h"
#include "dora_probe/record.h"

#include <stdbool.h>

/* The default wait: 40 % of the grace, so that four tries with back-off fit before the deadline. */
#define DP_POLICY_NUDGE_PER_CENT 40u
/* Tokens are given up from Stop + 0.1 s on, those that arrived over 1 s ago (dora 0.3.8-0.5.0). */
#define DP_POLICY_SAVE_AFTER_NS     (300 * MS)
#define DP_POLICY_TOKEN_GIVEN_UP_NS SEC
#define DP_POLICY_INTERVAL_NS       (500 * MS)
#define DP_POLICY_TERMINATE_NS      SEC
/* dora's shortest default grace (0.4 and later), where none is known. */
#define DP_POLICY_GRACE_NS (10 * SEC)
#define DP_POLICY_TRIES    4u
#define DP_POLICY_MEMORY   16u
/*
 * Threads that go on as before Stop may be about to hear of it: the nudge waits for this share of the
 * time between Stop and the deadline, and a quarter is left for an exit.
 */
#define DP_POLICY_LATE_PER_CENT 75u
/*
 * Where it cannot be seen whether the node cleans up, nothing is sent as long as it could end by
 * itself: until this is left before the deadline, in which a node leaves after a SIGINT (0.1-1.4 s,
 * docs/model.md), and after which the daemon ends it, whatever it does.
 */
#define DP_POLICY_LAST_NS (1500 * MS)
/* A stack older than this does not say where a thread is now. They are read every 100 ms. */
#define DP_POLICY_FRESH_NS (150 * MS)
/* A loop that has not been found at one of its known places for so long has been left. */
#define DP_POLICY_LEFT_NS SEC
/* "waits for the end of thread worker (17), which sleeps" */
#define DP_POLICY_WAITS_MAX 160
/* A node that takes a message that often still works off its queue. */
#define DP_POLICY_QUEUE_NS SEC

struct dp_policy_config {
	uint64_t nudge_after_ns;         /* 0: by default, see above */
	uint64_t nudge_interval_ns;      /* 0: 500 ms; doubles from try to try */
	uint64_t stop_dataflow_after_ns; /* 0: off */
	uint32_t nudge_signal;           /* 0: SIGINT */
	uint8_t mode;                    /* enum dp_shutdown_mode */
	bool save_tokens;
	bool dry_run;
};

/* What the thread in question is doing. A thread that wants the CPU counts as on it. */
enum dp_sched_state {
	DP_SCHED_UNKNOWN,
	DP_SCHED_ON_CPU,
	DP_SCHED_SYSCALL,    /* asleep in state S in a system call: a signal ends that with EINTR */
	DP_SCHED_DISK_SLEEP, /* state D: no signal is looked at */
};

/* The thread that holds the GIL now. */
struct dp_policy_hold {
	uint64_t id;       /* another one for each hold; 0: the GIL is free, or nobody knows */
	uint64_t start_ns; /* proven since */
	uint64_t start_lo_ns;
	uint64_t expected_end_ns; /* of the sleep that it is, else as earlier ones; 0 unknown */
	bool ends_as_asked;       /* the former: the thread asked the kernel for that end */
	uint32_t tid;
	int32_t syscall_nr; /* -1 none */
	bool confirmed;     /* false: a candidate that nothing has proven yet */
	bool is_main;
	uint8_t sched_state; /* enum dp_sched_state */
	int8_t native;       /* 1 in one native call, 0 running bytecode, -1 unknown */
	uint8_t waits;       /* enum dp_wait: what the thread sleeps on, as far as was read */
	bool deadlock;       /* whom it waits for is proven to wait for this GIL */
	char waits_for[DP_POLICY_WAITS_MAX]; /* the same in words, "" unknown */
	struct dp_place place;
};

/* The consumer has been asleep in one system call: the GIL is free, or another thread has it. */
struct dp_policy_blocked {
	uint64_t since_ns;        /* 0: it is not */
	uint64_t expected_end_ns; /* that it asked the kernel for; 0 unknown */
	uint32_t tid;
	int32_t syscall_nr;
	bool joins; /* main waits for a thread that may be the one which takes the events */
	struct dp_place place;
};

/*
 * Where the thread that takes the events was found by its stacks. A place is a whole stack with all
 * its lines. What is since Stop at a place where it was before, too, has not taken Stop.
 */
struct dp_policy_progress {
	uint64_t same_ns;  /* since Stop: last found at a place of before that it could leave */
	uint64_t kept_ns;  /* since Stop: the same, or kept there: it waited for the GIL */
	uint64_t other_ns; /* since Stop: last found elsewhere */
	uint64_t
		call_ns; /* … in a call from the line of the event loop from which it had called before */
	uint64_t idle_ns;       /* since Stop: last found in asyncio's wait, which shows no task */
	uint64_t finalising_ns; /* main has ended, other threads keep the process; since */
	uint64_t
		joining_ns; /* since Stop: main last found waiting for a thread that it did not before */
	uint32_t
		worker_tid; /* all other threads go on as before Stop, this one with them; 0 not known */
	uint64_t took_ns; /* since Stop: took its last message */
	uint64_t away_ns; /* has called nothing of dora's that takes events since; 0 not known … */
	uint64_t looked_ns;     /* … as of then */
	uint64_t busy_since_ns; /* away from next() since */
	uint64_t busy_until_ns; /* as long as the longest time before; 0 unknown */
	uint64_t delivered_ns;  /* the nudge signal, last */
	uint64_t handled_ns;    /* its Python handler ran, last */
	uint32_t main_tid;      /* 0: no Python */
	bool known_before;      /* its stacks before Stop were seen */
	bool came_late;         /* the probe was not there at Stop */
	bool asyncio;           /* its last stack stood below asyncio */
	struct dp_place place;  /* of same_ns */
	struct dp_place away_place;
};

struct dp_policy_view {
	uint64_t stop_ns;     /* Stop seen at the node, or the daemon's SIGTERM; 0 neither */
	uint64_t deadline_ns; /* the first signal of the daemon that ends this very process */
	uint64_t grace_ns;    /* that this Stop gave */
	/*
	 * The node has moved by itself: OutputsDone, an array freed and its token reported, the end
	 * of the hold that was there at Stop. What dora's own thread does at Stop without Python (a
	 * NextEvent, tokens freed earlier) is no move.
	 */
	uint64_t moved_ns;
	uint64_t pending_tokens;
	uint64_t oldest_delivered_ns; /* of the pending tokens */
	uint64_t need_ns;             /* its clean-up as measured; DP_NULL unknown */
	uint64_t dataflow_grace_ns;   /* recommended for the whole dataflow; DP_NULL unknown */
	uint64_t signals_caught, signals_ignored; /* bit N-1 for signal N, as SigCgt and SigIgn */
	uint32_t first_signal;                    /* that the daemon will send first; 0 unknown */
	uint8_t stop_reason;                      /* enum dp_stop_reason */
	int8_t pending_cause;                     /* enum dp_cause of the oldest token, -1 none */
	bool masks_known;
	bool outputs_done;
	bool exited;
	bool stopped;           /* the process, by SIGSTOP or a debugger, at the last look */
	bool lost;              /* the probe lost records since Stop */
	bool dataflow_stopping; /* another node's tokens have already stopped the dataflow */
	struct dp_policy_hold hold;
	struct dp_policy_blocked blocked;
	struct dp_policy_progress progress;
};

enum dp_decision {
	DP_DECIDE_NOTHING,
	DP_DECIDE_NUDGE,
	DP_DECIDE_TERMINATE,
	DP_DECIDE_STOP_DATAFLOW,
	DP_DECIDE_REFUSE, /* an audit line: `action` is what is not done */
};

/* Why nothing is done. One audit line for each in a stop. */
enum dp_refusal {
	DP_REFUSE_NONE,
	DP_REFUSE_UNCLEAR,    /* whether it cleans up cannot be seen: later */
	DP_REFUSE_FINALISING, /* main has ended, and its threads may end by themselves: later */
	DP_REFUSE_UNCONFIRMED,
	DP_REFUSE_AFTER_STOP,
	DP_REFUSE_START_UNPROVEN,
	DP_REFUSE_MOVED,
	DP_REFUSE_ENDS_IN_TIME,
	DP_REFUSE_IGNORED,
	DP_REFUSE_DEFAULT_KILLS,
	DP_REFUSE_MASKS_UNKNOWN,
	DP_REFUSE_FORBIDDEN_SIGNAL,
	DP_REFUSE_NON_MAIN_ON_CPU,
	DP_REFUSE_STATE_UNKNOWN,
	DP_REFUSE_DISK_SLEEP,
	DP_REFUSE_DEADLOCK,  /* proven, and at a wait that goes on after EINTR */
	DP_REFUSE_LOCK_WAIT, /* such a wait, and no deadlock: it may end by itself */
	DP_REFUSE_NOT_POLLING,
	DP_REFUSE_NOT_POLLING_BEFORE,
	DP_REFUSE_TRIES_SPENT,
	DP_REFUSE_STOPPED,   /* the process, by SIGSTOP or a debugger */
	DP_REFUSE_SWALLOWED, /* the same, and the handler ran each time */
	DP_REFUSE_CANNOT_SEND,
	DP_REFUSE_RECORDS_LOST,
	DP_REFUSE_DEADLINE_PASSED,
	DP_REFUSE_TERM_IGNORED,
	DP_REFUSE_TERM_MASKS_UNKNOWN,
	DP_REFUSE_COUNT
};

struct dp_policy_decision {
	uint8_t kind;    /* enum dp_decision */
	uint8_t action;  /* enum dp_action, also of a refusal */
	uint8_t refusal; /* enum dp_refusal */
	bool pretend;    /* observe or dry run: to be logged as would_send, nothing to be sent */
	bool anywhere;   /* main as such is meant, whatever it is in at the moment */
	uint32_t tid;    /* 0: the process */
	uint32_t signal;
	uint32_t attempt;
	uint64_t grace_ns; /* STOP_DATAFLOW */
	char reason[DP_REASON_MAX];
};

/* What a nudge did at this place. Learned from those that were sent. */
enum dp_learned {
	DP_LEARNED_HELPED,    /* the call ended */
	DP_LEARNED_IN_VAIN,   /* the handler did not run: the call polls no signals */
	DP_LEARNED_SWALLOWED, /* it ran, and the node went on */
};
struct dp_policy_learned {
	uint64_t place; /* hash of function, file and line; 0 free */
	uint64_t used_ns;
	uint32_t helped, in_vain, swallowed;
};

/* One per node; zeroed before its first use. */
struct dp_policy_state {
	uint64_t stop_ns;
	uint64_t refused; /* bit per enum dp_refusal, this stop */
	uint64_t subject; /* what the last nudge was meant for: a hold, a sleep; 0 a loop, none */
	uint64_t subject_place;
	uint64_t sent_ns;  /* when the last nudge was decided */
	uint64_t next_ns;  /* no other before */
	uint32_t attempts; /* in this stop */
	uint8_t answer;    /* to the last nudge: 0 awaited, else 1 + enum dp_action_result */
	bool caught;       /* the process has caught the nudge signal since Stop */
	bool terminated;
	bool dataflow_stopped;
	struct dp_policy_learned learned[DP_POLICY_MEMORY];
};

/* The options as the policy reads them. */
void dp_policy_configure(struct dp_policy_config *ret, const struct dp_rec_options *o);

/*
 * What to do for this node now: to be called at every tick (10 ms). At most one decision a call;
 * the state counts it as done, whatever the mode. *ret is filled always.
 */
void dp_policy_decide(struct dp_policy_state *st, const struct dp_policy_config *cfg,
		      const struct dp_policy_view *v, uint64_t now_ns,
		      struct dp_policy_decision *ret);

/* The answer to a decision (record ACTION_RESULT). Without it no second nudge follows at once. */
void dp_policy_answer(struct dp_policy_state *st, unsigned int action, unsigned int result);

/* When the first nudge of this stop is due; 0 without a Stop that counts. */
uint64_t dp_policy_due(const struct dp_policy_config *cfg, const struct dp_policy_view *v);

/* Readiness, before any Stop: what `sig` would do to a process with these masks. */
enum dp_signal_disposition dp_policy_disposition(uint64_t caught, uint64_t ignored, uint32_t sig);
/* A signal that the process catches and that can serve as a nudge instead; 0 none. */
uint32_t dp_policy_other_signal(uint64_t caught, uint32_t sig);

#endif
