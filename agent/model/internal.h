/* SPDX-License-Identifier: MIT */
/*
 * The model's inner structures, shared by its parts:
 *   model.c   records in, dispatch, ticks, start and summary
 *   node.c    the table of watched processes
 *   gil.c     GIL timeline: candidates, proofs, holds, waits
 *   tokens.c  ledger of drop tokens
 *   blame.c   interval arithmetic: how much of a stretch did the GIL cost, and who
 *   cause.c   which of the look-alike causes it was
 *   stop.c    Stop, deadline, signals, exit
 *   guard.c   what act/'s policy is told and what becomes of its decisions; outlook and forecasts
 *   warn.c    warnings with thresholds and hysteresis
 * Nothing here may read a clock, allocate (but for dp_model_new) or do I/O.
 */
#ifndef DORA_PROBE_MODEL_INTERNAL_H
#define DORA_PROBE_MODEL_INTERNAL_H

#include "model/model.h"

#include "decide/policy.h"
#include "decide/slack.h"
#include "dora/nodeconfig.h"

#define MS  1000000ULL
#define SEC 1000000000ULL

#define NODES_MAX     512 /* watched processes of a run that are remembered; the oldest gone leave */
#define WAITERS_MAX   32
#define CLOSING_MAX   8
#define SPANS_MAX     2048 /* remembered holds and waits per node, for tokens that end later */
#define FUNCTIONS_MAX 64
#define TOKENS_MAX    32768
#define LIVES_MAX     32768
#define TOKEN_BUCKETS 8192

/* Numbers of the timeline, each with its reason in gil.c. */
#define CANDIDATE_NS  (20 * MS) /* a stack is read */
#define ARM_NS        (10 * MS) /* the edge source is armed: the kernel takes 5 to 30 ms for it */
#define CLOSING_NS    (30 * MS)
#define STACK_WAIT_NS (20 * MS)
#define EXACT_NS      (1 * MS)
#define WARN_CLEAR_NS (2 * SEC)

/* Where a thread was, kept: dp_place points into it. */
struct place {
	uint8_t known;
	uint8_t native_known;
	uint8_t dora; /* native code of dora's own library */
	int32_t line;
	char thread[DP_COMM_MAX];
	char function[DP_FUNCTION_MAX];
	char file[DP_FILE_MAX];
	char library[DP_LIBRARY_MAX];
};

/* A stretch [from, to] that is proven to be one hold without a gap. */
struct proof {
	uint64_t from;
	uint64_t to;
	uint8_t exact_from;
	uint8_t exact_to;
};

struct hold {
	uint32_t tid; /* 0: none */
	uint32_t looks;
	uint64_t lo_ns;    /* last time it was known not to hold; 0 unknown */
	uint64_t seen_ns;  /* first evidence of holding */
	uint64_t last_ns;  /* last evidence of holding */
	uint64_t known_ns; /* model time at which the first proof arrived */
	uint64_t hi_ns;    /* first time known not to hold any more; 0 still held */
	uint64_t off_ns;
	uint64_t close_ns;  /* model time at which it was closed */
	struct proof proof; /* current; to == 0: none */
	struct proof best;  /* a longer one before a gap */
	/* bytecode position over the looks */
	uint64_t frame, ip;
	uint64_t still_since_ns; /* same position since */
	uint32_t still_looks;
	uint16_t still_samples, still_eval; /* the kernel's counts when it began to stand still */
	uint64_t drop_since_ns;             /* a waiter has been asking since */
	int8_t native;                      /* 1 proven, 0 refuted, -1 unknown */
	uint8_t native_stood;               /* … proven by nothing but standing still */
	uint64_t stood_ns;                  /* the longest such stretch */
	uint8_t open_end;                   /* ended with the probe or unknown: at_least */
	uint8_t told;                       /* a warning has named it */
	uint64_t sleep_end_ns;              /* it is one sleep, up to then; 0 it is not, unknown */
	uint8_t stack_state;                /* 0 not asked, 1 asked, 2 had */
	uint8_t activity;                   /* enum dp_activity, at the last stack */
	int32_t syscall_nr;
	uint16_t stacks, dora_stacks; /* with native code; of these, in dora's own */
	uint8_t lock_wait;            /* sleeps in a futex that is no GIL's, without time limit */
	uint64_t stack_asked_ns;
	struct place place; /* as last seen */
	struct place most;  /* where it was seen most, by a majority vote over its stacks */
	uint32_t most_votes;
	uint32_t waiter_count;
	uint32_t waiters[DP_WAITERS_MAX];
};

struct waiter {
	uint32_t tid;
	uint64_t begin_ns;
};

/* One remembered hold or wait of a node; functions by index into node.functions. */
struct span {
	uint64_t from, to;
	uint32_t tid;
	int16_t function; /* -1 unknown */
	int8_t native;
	uint8_t dora;
	uint8_t deadlock;
};

struct span_ring {
	uint32_t head; /* next to write */
	uint32_t count;
	struct span at[SPANS_MAX];
};

struct function_cost {
	struct dp_blame b;
	uint64_t max_hold_ns;
};

struct edge {
	uint8_t armed;
	uint8_t asked;   /* 1 asked to arm, 2 asked to disarm */
	uint8_t refused; /* cannot be armed at all */
	uint8_t failed;  /* could not be armed the last time */
	uint64_t armed_ns;
	uint64_t useful_ns; /* last candidate or hold while armed */
	uint64_t retry_ns;  /* not before */
	uint64_t detached_ns; /* until then the kernel may still be at it */
	uint64_t backoff_ns;
	uint64_t often_ns; /* when it was last seen to release more often than the budget allows */
	uint64_t keep_ns;             /* how long to stay armed without a candidate */
	uint64_t rate_ns, rate_count; /* releases at the last reading */
};

struct gil {
	struct hold cur;
	struct hold closing[CLOSING_MAX];
	uint32_t closing_count;
	struct waiter waiters[WAITERS_MAX];
	uint32_t waiter_count;
	uint64_t last_look_ns;
	uint64_t last_release_ns;
	uint32_t last_release_tid;
	uint64_t trust_ns; /* absence of releases proves nothing before this (losses) */
};

enum warn_level { LEVEL_NONE, LEVEL_NOTICE, LEVEL_WARNING, LEVEL_CRITICAL };

#define TOLD_MAX 8

struct warning {
	uint8_t level;
	int8_t cause;
	uint64_t raised_ns;
	uint64_t below_ns; /* below half of the threshold since; 0 not */
	uint32_t holder_tid;
	struct place place;
	uint64_t held_ns;
	uint64_t peak_ns;
	uint64_t looked_ns;      /* delivery of the last token that was looked at for news */
	uint32_t told[TOLD_MAX]; /* what was named since it was raised, as hashes */
	uint32_t told_count;
};

/* What the thread that frees arrays was seen doing while something was pending. */
enum doing {
	DOING_UNKNOWN,
	DOING_NEXT,
	DOING_BLOCKED,
	DOING_PYTHON,
	DOING_GIL_WAIT,
	DOING_NATIVE,
	DOING_COUNT
};

struct doing_sample {
	uint64_t t_ns;
	uint8_t doing;
};
#define DOING_MAX 64

struct life;

struct node {
	uint32_t pid; /* 0: slot free */
	uint8_t gone;
	uint8_t exited; /* the process has ended */
	uint8_t announced;
	uint64_t first_ns, gone_ns;
	struct dp_rec_node facts;
	struct dp_grace grace;

	struct gil gils[DP_MAX_GILS];
	struct edge edge;
	uint32_t function_count;

	uint32_t consumer_tid; /* takes events and frees arrays; 0: main until known */
	uint32_t event_tid;
	struct doing_sample doing[DOING_MAX];
	uint32_t doing_head, doing_count;
	uint64_t doing_asked_ns;
	struct place doing_place;
	char advice[512];

	/* tokens delivered here and not reported yet, oldest first; as owner: by token */
	struct life *pending_first, *pending_last;
	uint64_t pending_count;
	uint64_t map_count;         /* regions taken: the node polled then */
	uint64_t stream_dropped_ns; /* EventStreamDropped sent */
	uint8_t finalizing;         /* … by an interpreter that was ending: no frame any more */
	uint64_t events_end_ns;     /* the daemon closed the event stream */
	uint64_t drop_asked_ns;     /* last NextFinishedDropTokens; 0 none seen */
	uint8_t drop_asking;        /* … not answered yet */
	uint64_t giveup_cursor_ns;
	uint64_t trust_ns; /* wire records before this may be missing */

	struct warning warn[DP_WARN_COUNT];

	/* stop */
	uint8_t stop_seen, stop_reason, inputs_closed, outputs_done;
	uint8_t sig_disposition[65];
	uint64_t stop_ns, outputs_done_ns, deadline_ns, sigkill_ns;
	uint64_t command_grace_ns, command_ns;
	struct dp_signal_finding sig[65];
	uint32_t first_signal; /* that will end it at the deadline */
	uint32_t kill_signal;  /* last deadly signal generated for it */
	uint32_t killer_pid;
	uint64_t kill_ns;
	uint64_t fatal_ns; /* delivery of what ended it: the kernel shows it as SIGKILL */
	uint32_t nudges;   /* sent */
	/* guard */
	struct dp_policy_state policy;
	struct dp_stop_steps stop_steps;
	uint64_t moved_ns;  /* first move by itself after Stop; see struct dp_policy_view */
	uint64_t lost_ns;   /* last loss */
	uint64_t second_ns; /* last round of what is done once a second */
	uint8_t at_risk;
	/* the consumer asleep outside next() with the GIL free */
	uint64_t asleep_ns;
	int32_t asleep_nr;
	uint64_t asleep_end_ns; /* of that sleep; 0 unknown */
	struct place asleep_place;

	/* totals */
	uint64_t max_own_hold_ns; /* without those inside dora, which its clean-up contains */
	uint64_t holds_count, max_hold_ns, held_ns, waits_count, wait_ns;
	char max_hold_function[DP_FUNCTION_MAX];
	uint64_t tokens, returned, abandoned, lost, open, max_pending_ns, token_gil_ns;
	uint64_t cleanup_ns; /* measured: end of the hold at Stop, or Stop, to exit by itself */
	uint64_t killed_after_ns;
	int64_t margin_ns;       /* deadline minus exit; DP_SNULL never stopped */
	uint8_t hold_unfinished; /* a hold was going on at the end */
	uint64_t need_ns;     /* its clean-up as measured; DP_NULL unknown */
	uint64_t forecast_ns; /* what a stop would take, until there is one; DP_NULL unknown */
	int64_t slack_ns;
	uint64_t recommended_ns;

	/* Last, because they are large: a slot is cleared up to here and by their counts. */
	struct span_ring holds; /* of the main GIL */
	struct span_ring waits; /* of the consumer */
	struct function_cost functions[FUNCTIONS_MAX];
};

/* A token as its owner sees it, or as first heard of. */
struct token {
	uint8_t id[DP_TOKEN_LEN];
	uint32_t next;        /* in its bucket; index + 1 */
	uint32_t next_region; /* in its region's bucket, once sent; index + 1 */
	uint8_t in_region;
	uint8_t used, owner_done;
	uint8_t delivered; /* a watched receiver had it: its own line tells this token */
	struct node *owner;
	uint64_t sent_ns, returned_ns, owner_closed_ns;
	uint64_t last_report_ns; /* by any receiver */
	uint64_t asked_ns;       /* when the owner asked for what returned it; 0 unknown */
	uint64_t bytes;
	struct life *lives;
	uint32_t region_hash; /* compared first: lists of tokens are searched by region */
	char region[DP_REGION_NAME_MAX];
	char output[DP_ID_MAX];
	char dataflow[DP_UUID_MAX];
	char owner_name[DP_ID_MAX];
	/* list of the owner's tokens without end */
	struct token *prev_sent, *next_sent;
};

/* One token at one receiver. */
struct life {
	struct token *token;
	uint32_t region_hash; /* of the token */
	struct node *receiver;
	struct life *next_of_token;
	struct life *prev_pending, *next_pending; /* of the receiver */
	uint64_t delivered_ns, mapped_ns, released_ns, reported_ns, given_up_ns;
	uint64_t end_ns;                  /* 0: alive */
	uint64_t maps_before, maps_after; /* of the node, when it was mapped and when released */
	uint8_t used, pending, state, doubtful;
	uint64_t doubt_ns; /* records were lost then, its report may be among them */
	struct life *next_ending;
};

struct dp_model {
	struct dp_model_sink sink;
	uint64_t now;
	uint64_t records;
	int64_t wall_offset_ns;
	struct dp_rec_session session;
	struct dp_rec_options options;
	uint32_t sources;
	uint8_t started, ended;
	struct dp_policy_config policy;
	uint64_t losses[DP_LOSS_COUNT];
	uint64_t lost_total;
	struct node nodes[NODES_MAX];
	uint32_t node_count;
	struct token *tokens;
	uint32_t token_high;
	struct token *token_free;
	struct life *lives;
	uint32_t life_high;
	struct life *life_free;
	uint32_t buckets[TOKEN_BUCKETS];
	uint32_t region_buckets[TOKEN_BUCKETS]; /* sent tokens by region */
	struct token *sent_first;               /* owner's tokens without end, newest first */
	struct life *ending;                    /* ended, waiting CLOSING_NS for late evidence */
	struct life *ending_last;
};

/* model.c */
void model_say(struct dp_model *m, struct node *n, uint64_t t_ns, struct dp_finding *f);
void model_ask(struct dp_model *m, struct dp_request *r);
void model_count_loss(struct dp_model *m, enum dp_loss reason, uint64_t count, uint64_t t_ns,
		      uint32_t pid);
struct dp_place place_view(const struct place *p);

/* node.c */
struct node *node_find(struct dp_model *m, uint32_t pid);
/* The last to have left with this pid. */
struct node *node_find_gone(struct dp_model *m, uint32_t pid);
struct node *node_add(struct dp_model *m, uint32_t pid, uint64_t t_ns);
void node_facts(struct dp_model *m, const struct dp_record *r);
/* Says the node's line if that was put off: for a node that has not imported dora yet. */
#define NODE_INTRODUCE_NS (2 * SEC)
void node_introduce(struct dp_model *m, struct node *n);
void node_gone(struct dp_model *m, struct node *n, uint64_t t_ns);
uint32_t node_consumer(const struct node *n);
/* Are its counts of tokens what they look like? From dora 1.0 on there are none, which is known. */
int node_tokens_known(const struct node *n);
int node_function(struct node *n, const struct place *p); /* index, -1 when none */

/* gil.c */
void gil_record(struct dp_model *m, struct node *n, const struct dp_record *r);
void gil_stack(struct dp_model *m, struct node *n, const struct dp_record *r);
void gil_source(struct dp_model *m, struct node *n, const struct dp_record *r);
void gil_tick(struct dp_model *m, struct node *n);
void gil_loss(struct dp_model *m, uint64_t t_ns);
void gil_thread_exit(struct dp_model *m, struct node *n, uint32_t tid, uint64_t t_ns);
void gil_end(struct dp_model *m, struct node *n, uint64_t t_ns, int probe_ends);
/* Start of the part of a hold that is shown as held: proven, or first seen. */
uint64_t hold_start(const struct hold *h);
int hold_proven(const struct hold *h);
int hold_in_dora(const struct hold *h);
uint64_t hold_until(const struct hold *h);
/*
 * When the sleep ends that the thread is in, where it has been in it since `since_ns`; 0: it is in none,
 * or in one of several.
 */
uint64_t sleep_end(const struct dp_rec_stack *s, uint64_t since_ns);

/* blame.c */
struct blame_share {
	uint64_t gil_ns;            /* as gil_held_ns of the README */
	uint64_t native_ns;         /* of it: native holds */
	uint64_t own_native_ns;     /* of these, the consumer\'s own */
	uint64_t longest_native_ns; /* of these, in one hold */
	uint64_t dora_ns;           /* of it: inside dora's own code */
	uint64_t deadlock_ns;       /* of it: in a lock that nobody could release */
	uint64_t python_ns;         /* not in gil_ns: bytecode of the consumer itself */
	int top_function;           /* index into node.functions, -1 none */
};
void span_push(struct span_ring *r, const struct span *s);
/* What the GIL cost in [from, to] at this node, with the hold and the wait that are still open. */
void blame_window(const struct node *n, uint64_t from, uint64_t to, struct blame_share *ret);
/* Adds the window's cost to the functions' accounts. */
void blame_charge(struct node *n, uint64_t from, uint64_t to);

/* tokens.c */
void token_record(struct dp_model *m, struct node *n, const struct dp_record *r);
void token_region(struct dp_model *m, struct node *n, const struct dp_record *r);
void token_tick(struct dp_model *m);
void token_node_gone(struct dp_model *m, struct node *n, uint64_t t_ns);
/* The node's slot is used again: says and forgets what still points at it. */
void token_forget(struct dp_model *m, struct node *n);
void token_stream_closed(struct dp_model *m, struct node *n, uint64_t t_ns);
void token_end(struct dp_model *m, uint64_t t_ns);
void token_loss(struct dp_model *m, uint64_t t_ns);

/* cause.c */
/*
 * How long the owner left the token with the daemon: from the last report until it asked for what
 * came back, or `now`. 0 where a receiver still had it, or where that is not known.
 */
uint64_t cause_uncollected_ns(const struct life *l, uint64_t now);
int8_t cause_of_life(const struct dp_model *m, const struct life *l, uint64_t now);
int8_t cause_of_hold(const struct node *n, const struct hold *h);
/* Why the node does not move between from and to (stop, exit). */
int8_t cause_of_stall(const struct node *n, uint64_t from, uint64_t to);
/* One line for the node's author, in n->advice; place may be NULL. */
const char *cause_advice(int8_t cause, struct node *n, const struct place *p);
void doing_record(struct dp_model *m, struct node *n, const struct dp_record *r);
void doing_tick(struct dp_model *m, struct node *n);

/* stop.c */
void stop_wire(struct dp_model *m, struct node *n, const struct dp_record *r);
void stop_signal(struct dp_model *m, struct node *n, const struct dp_record *r);
void stop_command(struct dp_model *m, const struct dp_record *r);
void stop_exit(struct dp_model *m, struct node *n, const struct dp_record *r);
void stop_action(struct dp_model *m, struct node *n, const struct dp_record *r);
/* The grace that counts for this node: option, version, or a `dora stop` seen. */
uint64_t stop_grace(const struct dp_model *m, const struct node *n);

/* guard.c */
void guard_tick(struct dp_model *m, struct node *n);
void guard_answer(struct dp_model *m, struct node *n, const struct dp_record *r);
/* The node showed by itself that Python runs again after Stop. */
void guard_moved(struct node *n, uint64_t t_ns);
/* Recommended grace of a node into n->recommended_ns; of all into *ret with how it came about. */
void guard_recommend(struct dp_model *m, struct node *n);
void guard_recommend_all(struct dp_model *m, uint64_t *ret_ns, char *text, size_t text_len);

/* warn.c */
/* Says the warning as it stands in n->warn[kind]; `outlook` joins the advice, NULL none. */
void warn_say(struct dp_model *m, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
	      int resolved, const char *outlook);
/* Fills holder, place and held time of a warning from the GIL as it is now. */
void warn_note_holder(struct node *n, struct warning *w);
void warn_tick(struct dp_model *m, struct node *n);
void warn_node_gone(struct dp_model *m, struct node *n, uint64_t t_ns);

#endif
