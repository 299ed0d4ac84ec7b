// SPDX-License-Identifier: MIT
/*
 * Deadlines of every kind and source, and how a node ended: one row is one life of a node, told in
 * records. Times are milliseconds.
 */
#include "model_table.h"

#include <signal.h>

#define PID     100
#define DAEMON  7 /* node_of() */
#define USER    99
#define TERM    (1ULL << (SIGTERM - 1))
#define STEPS   12
#define NO_TIME (-1.0)

enum what {
	NOTHING, /* the end of the row's steps */
	COMMAND,
	TOLD,     /* a frame of the daemon: .by is enum dp_wire_kind */
	REQUEST,  /* a frame of the node */
	SIGNAL,   /* number .by, sent by .sender */
	END_BY,   /* signal .by */
	END_WITH, /* exit code .by */
};

struct step {
	double ms;
	enum what what;
	uint32_t by;
	uint32_t sender;
	/* COMMAND */
	enum dp_dora_command verb;
	uint64_t grace_ms;
	const char *node, *dataflow;
	int force;
};

struct life {
	const char *name, *dora;
	uint64_t caught, ignored, option_ms;
	struct dp_rec_limits limits; /* times in ms */
	struct step steps[STEPS];
	/* The last `stop` line: ms from it to the deadline, NO_TIME null. Lines of 0: none at all. */
	unsigned int stops;
	double deadline;
	uint32_t kill_signal;
	enum dp_deadline_source source;
	/* The exit: since Stop in ms, NO_TIME null. */
	enum dp_exit_reason reason;
	double since;
};

#define STOP_AT(t)                                                                                 \
	{                                                                                          \
		.ms = (t), .what = TOLD, .by = DP_WIRE_STOP                                        \
	}
#define CLOSED_AT(t)                                                                               \
	{                                                                                          \
		.ms = (t), .what = TOLD, .by = DP_WIRE_ALL_INPUTS_CLOSED                           \
	}
#define REQUEST_AT(t)                                                                              \
	{                                                                                          \
		.ms = (t), .what = REQUEST                                                         \
	}
#define SENT(t, sig, pid)                                                                          \
	{                                                                                          \
		.ms = (t), .what = SIGNAL, .by = (sig), .sender = (pid)                            \
	}
#define KILLED(t, sig)                                                                             \
	{                                                                                          \
		.ms = (t), .what = END_BY, .by = (sig)                                             \
	}
#define EXITS(t, code)                                                                             \
	{                                                                                          \
		.ms = (t), .what = END_WITH, .by = (code)                                          \
	}

static const struct life lives[] = {
	/* ---- by version ---- */
	{.name = "0.5.0: SIGTERM after 10 s",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(11050, SIGTERM, DAEMON), KILLED(11051, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10051},
	{.name = "0.3.12: SIGKILL after 15 s",
	 .dora = "0.3.12",
	 .steps = {STOP_AT(1000), SENT(16010, SIGKILL, DAEMON), KILLED(16011, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15011},
	{.name = "1.1.0 that catches SIGTERM: SIGKILL after 15 s, told once",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(11020, SIGTERM, DAEMON), SENT(16020, SIGKILL, DAEMON),
		   KILLED(16021, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15021},
	{.name = "ignores SIGTERM, so its sending is not seen",
	 .dora = "0.5.0",
	 .ignored = TERM,
	 .steps = {STOP_AT(1000), SENT(16020, SIGKILL, DAEMON), KILLED(16021, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 15021},
	{.name = "a version that is not known",
	 .dora = "",
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), KILLED(11001, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10001},
	{.name = "a fork that calls itself 0.3.13",
	 .dora = "0.3.13",
	 .limits = {.foreign = 1},
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), KILLED(11001, SIGTERM)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10001},
	/* ---- by command ---- */
	{.name = "dora stop --grace-duration",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000, .dataflow = "flow"},
		   STOP_AT(1000),
		   SENT(4010, SIGTERM, DAEMON),
		   KILLED(4011, SIGTERM)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3011},
	{.name = "dora stop without a grace",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND}, STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "of another dataflow",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000, .dataflow = "other"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "too long ago",
	 .dora = "0.5.0",
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000}, STOP_AT(31000), EXITS(31200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "node restart by default",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900, .what = COMMAND, .verb = DP_DORA_NODE_RESTART, .node = "cam"},
		   STOP_AT(1000),
		   SENT(6001, SIGTERM, DAEMON),
		   KILLED(6002, SIGTERM)},
	 .stops = 1,
	 .deadline = 5000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 5002},
	{.name = "node restart of one that catches SIGTERM",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {{.ms = 900, .what = COMMAND, .verb = DP_DORA_NODE_RESTART, .node = "cam"},
		   STOP_AT(1000),
		   SENT(6001, SIGTERM, DAEMON),
		   SENT(8501, SIGKILL, DAEMON),
		   KILLED(8502, SIGKILL)},
	 .stops = 1,
	 .deadline = 7500,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 7502},
	{.name = "node replace --grace",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_REPLACE,
		    .grace_ms = 20000,
		    .node = "cam",
		    .dataflow = "flow"},
		   STOP_AT(1000),
		   EXITS(9000, 0)},
	 .stops = 1,
	 .deadline = 20000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 8000},
	{.name = "of another node",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_STOP,
		    .grace_ms = 2000,
		    .node = "lidar"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "of the life before this one",
	 .dora = "1.1.0",
	 .steps = {{.ms = -100,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_RESTART,
		    .grace_ms = 20000,
		    .node = "cam"},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "the newest of two",
	 .dora = "1.1.0",
	 .steps = {{.ms = 500,
		    .what = COMMAND,
		    .verb = DP_DORA_NODE_STOP,
		    .grace_ms = 20000,
		    .node = "cam"},
		   {.ms = 900, .what = COMMAND, .grace_ms = 4000},
		   STOP_AT(1000),
		   EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 4000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--grace is not shortened",
	 .dora = "0.5.0",
	 .option_ms = 9000,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000},
		   STOP_AT(1000),
		   SENT(4000, SIGTERM, DAEMON),
		   KILLED(4001, SIGTERM)},
	 /* … until the daemon shows that it was shorter. */
	 .stops = 2,
	 .deadline = 0,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3001},
	{.name = "--grace is lengthened",
	 .dora = "0.5.0",
	 .option_ms = 2000,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 3000}, STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--grace alone",
	 .dora = "0.5.0",
	 .option_ms = 2000,
	 .steps = {STOP_AT(1000), EXITS(1200, 0)},
	 .stops = 1,
	 .deadline = 2000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_OPTION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 200},
	{.name = "--force",
	 .dora = "1.1.0",
	 .steps = {{.ms = 900, .what = COMMAND, .force = 1},
		   STOP_AT(1000),
		   SENT(1001, SIGKILL, DAEMON),
		   KILLED(1002, SIGKILL)},
	 .stops = 1,
	 .deadline = 0,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 2},
	{.name = "--force while another stop is under way",
	 .dora = "0.3.12",
	 .steps = {STOP_AT(1000),
		   {.ms = 3000, .what = COMMAND, .force = 1},
		   SENT(3001, SIGKILL, DAEMON),
		   KILLED(3002, SIGKILL)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 2002},
	/* ---- reality corrects ---- */
	{.name = "a shorter grace than known",
	 .dora = "1.1.0",
	 .steps = {STOP_AT(1000), SENT(3000, SIGTERM, DAEMON), KILLED(3001, SIGTERM)},
	 .stops = 2,
	 .deadline = 0,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 2001},
	{.name = "a longer one, of a process that catches SIGTERM",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(21000, SIGTERM, DAEMON), SENT(31000, SIGKILL, DAEMON),
		   KILLED(31001, SIGKILL)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_LEARNED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 30001},
	{.name = "SIGKILL without SIGTERM on 0.4 and later is forced",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(4000, SIGKILL, DAEMON), KILLED(4001, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 3001},
	{.name = "of an unknown version it may be the grace of 0.3",
	 .dora = "",
	 .steps = {STOP_AT(1000), SENT(4000, SIGKILL, DAEMON), KILLED(4001, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_ASSUMED,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 3001},
	{.name = "killed by a user after Stop",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), SENT(10900, SIGKILL, USER), KILLED(10901, SIGKILL)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_SIGNAL,
	 .since = 9901},
	/* ---- an exit at the deadline ---- */
	{.name = "a handler that exits 143",
	 .dora = "0.5.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(11000, SIGTERM, DAEMON), EXITS(11005, 143)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10005},
	{.name = "a handler that exits 0",
	 .dora = "1.1.0",
	 .caught = TERM,
	 .steps = {{.ms = 900, .what = COMMAND, .grace_ms = 2000},
		   STOP_AT(1000),
		   SENT(3000, SIGTERM, DAEMON),
		   EXITS(3005, 0)},
	 .stops = 1,
	 .deadline = 3000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_COMMAND,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 2005},
	{.name = "the same for a user's SIGTERM is an exit",
	 .dora = "0.5.0",
	 .caught = TERM,
	 .steps = {STOP_AT(1000), SENT(2000, SIGTERM, USER), EXITS(2005, 143)},
	 .stops = 1,
	 .deadline = 15000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_ERROR,
	 .since = 1005},
	{.name = "in time",
	 .dora = "0.5.0",
	 .steps = {STOP_AT(1000), EXITS(10900, 0)},
	 .stops = 1,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = 9900},
	/* ---- Stop was not seen ---- */
	{.name = "SIGTERM alone",
	 .dora = "0.5.0",
	 .steps = {SENT(8000, SIGTERM, DAEMON), KILLED(8001, SIGTERM)},
	 .stops = 1,
	 .deadline = 5000,
	 .kill_signal = SIGKILL,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = NO_TIME},
	{.name = "SIGKILL alone, up to 0.3.13",
	 .dora = "0.3.12",
	 .steps = {SENT(8000, SIGKILL, DAEMON), KILLED(8001, SIGKILL)},
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = NO_TIME},
	{.name = "SIGKILL alone, later",
	 .dora = "0.5.0",
	 .steps = {SENT(8000, SIGKILL, DAEMON), KILLED(8001, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	/* ---- watchdogs of 1.x ---- */
	{.name = "health check",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, DAEMON), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_HEALTH_KILL,
	 .since = NO_TIME},
	{.name = "health check of a node that was found silent",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000, .connected = 1},
	 .steps = {SENT(600, SIGKILL, DAEMON), KILLED(601, SIGKILL)},
	 .reason = DP_EXIT_HEALTH_KILL,
	 .since = NO_TIME},
	{.name = "not the health check: it was not silent",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), REQUEST_AT(5000), SENT(5600, SIGKILL, DAEMON),
		   KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "not the health check: another's hand",
	 .dora = "1.1.0",
	 .limits = {.health_ns = 3000},
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, USER), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "no health check",
	 .dora = "1.1.0",
	 .steps = {REQUEST_AT(1000), SENT(5600, SIGKILL, DAEMON), KILLED(5601, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "startup timeout",
	 .dora = "",
	 .limits = {.startup_ns = 5000, .started_ns = 1},
	 .steps = {SENT(9500, SIGKILL, DAEMON), KILLED(9501, SIGKILL)},
	 .reason = DP_EXIT_STARTUP_KILL,
	 .since = NO_TIME},
	{.name = "connected in time: the startup timeout is over",
	 .dora = "1.1.0",
	 .limits = {.startup_ns = 5000},
	 .steps = {REQUEST_AT(2000), SENT(9500, SIGKILL, DAEMON), KILLED(9501, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "before the startup timeout",
	 .dora = "1.1.0",
	 .limits = {.startup_ns = 5000},
	 .steps = {SENT(3000, SIGKILL, DAEMON), KILLED(3001, SIGKILL)},
	 .reason = DP_EXIT_SIGNAL,
	 .since = NO_TIME},
	{.name = "finish grace of the descriptor",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = 14000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_DESCRIPTOR,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "finish grace by default",
	 .dora = "1.1.0",
	 .limits = {.connected = 1},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = 130000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "no finish grace up to 0.5.0",
	 .dora = "0.5.0",
	 .limits = {.connected = 1},
	 .steps = {CLOSED_AT(1000), EXITS(2000, 0)},
	 .stops = 1,
	 .deadline = NO_TIME,
	 .source = DP_DEADLINE_NONE,
	 .reason = DP_EXIT_CLEAN,
	 .since = NO_TIME},
	{.name = "end of the finish grace",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), STOP_AT(6000), SENT(16010, SIGTERM, DAEMON),
		   KILLED(16011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_FINISH_KILL,
	 .since = 10011},
	{.name = "a Stop before the end of the finish grace",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000), STOP_AT(2000), SENT(12010, SIGTERM, DAEMON),
		   KILLED(12011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10011},
	{.name = "a Stop that was asked for",
	 .dora = "1.1.0",
	 .limits = {.finish_ns = 4000},
	 .steps = {CLOSED_AT(1000),
		   {.ms = 5900, .what = COMMAND},
		   STOP_AT(6000),
		   SENT(16010, SIGTERM, DAEMON),
		   KILLED(16011, SIGTERM)},
	 .stops = 2,
	 .deadline = 10000,
	 .kill_signal = SIGTERM,
	 .source = DP_DEADLINE_VERSION,
	 .reason = DP_EXIT_GRACE_KILL,
	 .since = 10011},
};

static uint64_t ns(uint64_t ms)
{
	return ms * 1000000;
}

static struct table *born(const struct life *l)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	r.u.options = (struct dp_rec_options){.hold_threshold_ns = ns(50),
					      .warn_hold_ns = ns(500),
					      .pending_threshold_ns = ns(1000),
					      .grace_ns = ns(l->option_ms),
					      .nudge_signal = SIGINT};
	feed(t, &r);
	if (l->steps[0].ms < 0) {
		r = record(DP_REC_DORA_COMMAND, l->steps[0].ms, 55, 55);
		r.u.command.started_ns = r.h.t_ns;
		r.u.command.verb = (uint8_t)l->steps[0].verb;
		r.u.command.grace_ns = ns(l->steps[0].grace_ms);
		snprintf(r.u.command.node, sizeof(r.u.command.node), "%s", l->steps[0].node);
		feed(t, &r);
	}
	r = record(DP_REC_NODE_LIMITS, 0, PID, 0);
	r.u.limits = l->limits;
	r.u.limits.health_ns = ns(l->limits.health_ns);
	r.u.limits.startup_ns = ns(l->limits.startup_ns);
	r.u.limits.finish_ns = ns(l->limits.finish_ns);
	r.u.limits.started_ns = l->limits.started_ns ? AT(0) : 0;
	feed(t, &r);
	r = record(DP_REC_NODE_FACTS, 0, PID, 0);
	r.u.node = (struct dp_rec_node){.is_dora = 1,
					.is_python = 1,
					.gil_observable = 1,
					.gil_count = 1,
					.daemon_pid = DAEMON,
					.signals_caught = l->caught | 2,
					.signals_ignored = l->ignored};
	snprintf(r.u.node.node, sizeof(r.u.node.node), "cam");
	snprintf(r.u.node.dataflow, sizeof(r.u.node.dataflow), "flow");
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "%s", l->dora);
	feed(t, &r);
	return t;
}

static void live(struct table *t, const struct step *s)
{
	struct dp_record r;

	switch (s->what) {
	case NOTHING:
		return;
	case COMMAND:
		r = record(DP_REC_DORA_COMMAND, s->ms, 55, 55);
		r.u.command.started_ns = r.h.t_ns;
		r.u.command.verb = (uint8_t)s->verb;
		r.u.command.force = (uint8_t)s->force;
		r.u.command.grace_ns = ns(s->grace_ms);
		snprintf(r.u.command.node, sizeof(r.u.command.node), "%s", s->node ? s->node : "");
		snprintf(r.u.command.dataflow, sizeof(r.u.command.dataflow), "%s",
			 s->dataflow ? s->dataflow : "");
		break;
	case TOLD:
	case REQUEST:
		r = record(s->what == TOLD ? DP_REC_WIRE_EVENT : DP_REC_WIRE_REQUEST, s->ms, PID,
			   PID);
		r.u.wire.kind = (uint8_t)(s->what == TOLD ? s->by : DP_WIRE_NEXT_EVENT);
		r.u.wire.role = DP_ROLE_EVENTS;
		break;
	case SIGNAL:
		r = record(DP_REC_SIGNAL, s->ms, PID, PID);
		r.u.signal.kind = DP_SIGNAL_GENERATED;
		r.u.signal.signal = (uint8_t)s->by;
		r.u.signal.group = 1;
		r.u.signal.sender_pid = s->sender;
		break;
	default:
		r = record(DP_REC_PROC_EXIT, s->ms, PID, PID);
		r.u.exit.is_process = 1;
		r.u.exit.status = s->what == END_BY ? (int32_t)s->by : (int32_t)(s->by << 8);
		break;
	}
	feed(t, &r);
}

static void check_stop(const struct life *l, const struct table *t)
{
	unsigned int count = count_said(t, DP_FIND_STOP);
	const struct dp_stop_finding *f;
	const struct said *s;
	double left;

	if (count != l->stops)
		fail_msg("%s: %u stop lines", l->name, count);
	if (!count)
		return;
	s = said(t, DP_FIND_STOP, count - 1);
	f = &s->f.u.stop;
	left = f->deadline_ns == DP_NULL ? NO_TIME
					 : ((double)f->deadline_ns - (double)s->f.t_ns) / 1e6;
	if (left != l->deadline || f->kill_signal != l->kill_signal ||
	    f->deadline_source != l->source)
		fail_msg("%s: deadline in %.3f ms by signal %u, source %s", l->name, left,
			 f->kill_signal, dp_deadline_source_name(f->deadline_source));
}

static void check_exit(const struct life *l, const struct table *t)
{
	const struct said *s = said(t, DP_FIND_EXIT, 0);
	const struct dp_exit_finding *f;
	double since;

	if (!s)
		fail_msg("%s: no exit", l->name);
	f = &s->f.u.exit;
	since = f->since_stop_ns == DP_NULL ? NO_TIME : (double)f->since_stop_ns / 1e6;
	if (f->reason != l->reason || f->grace_kill != (l->reason == DP_EXIT_GRACE_KILL) ||
	    since != l->since)
		fail_msg("%s: %s, grace_kill %u, %.3f ms after Stop", l->name,
			 dp_exit_reason_name(f->reason), f->grace_kill, since);
	/* Every death by another's hand has a cause and a share. */
	if (f->reason != DP_EXIT_CLEAN && f->reason != DP_EXIT_ERROR && l->since != 2 &&
	    (f->cause < 0 || f->gil_share < 0))
		fail_msg("%s: no cause", l->name);
}

static void test_lives(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct table *t = born(&lives[i]);

		for (size_t j = lives[i].steps[0].ms < 0; j < STEPS; j++)
			live(t, &lives[i].steps[j]);
		check_stop(&lives[i], t);
		check_exit(&lives[i], t);
		table_free(t);
	}
}

static void test_what_old_recordings_have_of_commands(void **state)
{
	struct life l = {.name = "STOP_COMMAND", .dora = "0.5.0"};
	struct table *t = born(&l);
	struct dp_record r = record(DP_REC_STOP_COMMAND, 900, 55, 55);

	(void)state;
	r.u.stop_command.grace_ns = ns(4000);
	snprintf(r.u.stop_command.target, sizeof(r.u.stop_command.target), "flow");
	feed(t, &r);
	live(t, &(struct step)STOP_AT(1000));
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_ns, AT(5000));
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_source, DP_DEADLINE_COMMAND);
	table_free(t);
}

/*
 * What a daemon did once is what is expected the next time: by the version, or by nothing at all. A
 * grace that was asked for shows no default, nor does one node of 1.x that is stopped alone.
 */
static void test_a_daemon_is_learned(void **state)
{
	static const struct {
		const char *dora;
		bool commanded, together;
		uint32_t signal;
		double after, deadline;
		enum dp_deadline_source source;
	} rows[] = {
		{"", false, true, SIGTERM, 4000, 4000, DP_DEADLINE_LEARNED},
		{"", false, true, SIGTERM, 10000, 10000, DP_DEADLINE_LEARNED},
		{"", false, true, SIGKILL, 15000, 15000, DP_DEADLINE_LEARNED},
		{"0.3.12", false, false, SIGTERM, 10000, 10000, DP_DEADLINE_LEARNED},
		{"0.5.0", false, false, SIGTERM, 10050, 10000, DP_DEADLINE_VERSION},
		{"0.5.0", false, false, SIGKILL, 3000, 10000, DP_DEADLINE_VERSION},
		{"0.5.0", true, false, SIGTERM, 3000, 10000, DP_DEADLINE_VERSION},
		{"1.1.0", false, false, SIGTERM, 5000, 10000, DP_DEADLINE_VERSION},
		{"1.1.0", false, true, SIGTERM, 5000, 5000, DP_DEADLINE_LEARNED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct life l = {.name = "learned", .dora = rows[i].dora};
		struct table *t = born(&l);
		struct dp_record r;
		const struct said *s;

		if (rows[i].together) {
			node_of(t, 0, PID + 1, "lidar", rows[i].dora);
			r = record(DP_REC_WIRE_EVENT, 1010, PID + 1, PID + 1);
			r.u.wire.kind = DP_WIRE_STOP;
			feed(t, &r);
		}
		if (rows[i].commanded)
			live(t, &(struct step){.ms = 900, .what = COMMAND, .grace_ms = 3000});
		live(t, &(struct step)STOP_AT(1000));
		live(t, &(struct step)SENT(1000 + rows[i].after, rows[i].signal, DAEMON));
		live(t, &(struct step)KILLED(1001 + rows[i].after, rows[i].signal));
		/* The next life, of the same daemon, long after. */
		node_of(t, 60000, PID + 2, "cam", rows[i].dora);
		r = record(DP_REC_WIRE_EVENT, 70000, PID + 2, PID + 2);
		r.u.wire.kind = DP_WIRE_STOP;
		feed(t, &r);
		s = said(t, DP_FIND_STOP, count_said(t, DP_FIND_STOP) - 1);
		if (s->f.u.stop.deadline_ns != AT(70000 + rows[i].deadline) ||
		    s->f.u.stop.deadline_source != rows[i].source)
			fail_msg("row %zu: %.0f ms, %s", i,
				 ((double)s->f.u.stop.deadline_ns - (double)s->f.t_ns) / 1e6,
				 dp_deadline_source_name(s->f.u.stop.deadline_source));
		table_free(t);
	}
}

static void daemon_event(struct table *t, double ms, uint32_t interrupt, int32_t status)
{
	struct dp_record r =
		record(interrupt ? DP_REC_SIGNAL : DP_REC_PROC_EXIT, ms, DAEMON, DAEMON);

	if (interrupt) {
		r.u.signal.kind = DP_SIGNAL_GENERATED;
		r.u.signal.signal = (uint8_t)interrupt;
		r.u.signal.sender_pid = USER;
	} else {
		r.u.exit.is_process = 1;
		r.u.exit.status = status;
	}
	feed(t, &r);
}

static const struct dp_warning_finding *daemon_gone(const struct table *t)
{
	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++) {
		const struct said *s = said(t, DP_FIND_WARNING, i);

		if (s->f.u.warning.kind == DP_WARN_DAEMON_GONE)
			return &s->f.u.warning;
	}
	return NULL;
}

/* The orphan guard of 1.x, a node that lives on, one that is as quick as its daemon, a suicide. */
static void test_the_daemon_goes(void **state)
{
	static const struct {
		const char *dora;
		uint32_t guarded, killer;
		double gone, ends;
		bool said;
		enum dp_exit_reason reason;
	} rows[] = {
		{"1.1.0", DAEMON, PID, 2000, 2150, false, DP_EXIT_ORPHAN},
		{"1.1.0", DAEMON, PID, 2000, 2450, true, DP_EXIT_ORPHAN},
		{"1.1.0", DAEMON, PID, 0, 2450, false, DP_EXIT_SIGNAL}, /* its daemon lives */
		{"0.5.0", 0, PID, 2000, 9000, true, DP_EXIT_SIGNAL},    /* no guard */
		{"0.5.0", 0, USER, 2000, 9000, true, DP_EXIT_SIGNAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct life l = {.name = "orphan",
				 .dora = rows[i].dora,
				 .limits = {.run_parent_pid = rows[i].guarded, .connected = 1}};
		struct table *t = born(&l);
		const struct dp_exit_finding *x;

		t->ticked_ms = 1900;
		if (rows[i].gone > 0)
			daemon_event(t, rows[i].gone, 0, SIGKILL);
		ticks_until(t, rows[i].ends - 5);
		live(t, &(struct step)SENT(rows[i].ends, SIGKILL, rows[i].killer));
		live(t, &(struct step)KILLED(rows[i].ends + 1, SIGKILL));
		x = &said(t, DP_FIND_EXIT, 0)->f.u.exit;
		if (x->reason != rows[i].reason || x->grace_kill ||
		    !!daemon_gone(t) != rows[i].said)
			fail_msg("row %zu: %s, said %d", i, dp_exit_reason_name(x->reason),
				 daemon_gone(t) != NULL);
		table_free(t);
	}
}

/* Nobody enforces the deadline of a Stop whose daemon has gone. */
static void test_no_deadline_without_a_daemon(void **state)
{
	struct life l = {.name = "gone", .dora = "0.5.0"};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)STOP_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 2000);
	daemon_event(t, 2000, 0, 0);
	ticks_until(t, 30000);
	assert_non_null(daemon_gone(t));
	assert_int_equal(daemon_gone(t)->deadline_ns, DP_NULL);
	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++)
		if (said(t, DP_FIND_WARNING, i)->f.u.warning.kind == DP_WARN_DEADLINE)
			assert_true(said(t, DP_FIND_WARNING, i)->f.t_ns < AT(4000));
	live(t, &(struct step)EXITS(31000, 0));
	assert_false(said(t, DP_FIND_EXIT, 0)->f.u.exit.grace_kill);
	table_free(t);
}

/* The second Ctrl-C of `dora run` up to 0.3.13 kills what is left: no grace was given. */
static void test_second_interrupt(void **state)
{
	for (int presses = 1; presses <= 2; presses++) {
		struct life l = {.name = "Ctrl-C", .dora = "0.3.12"};
		struct table *t = born(&l);

		for (int i = 0; i < presses; i++)
			daemon_event(t, 990 + 1000 * i, SIGINT, 0);
		live(t, &(struct step)STOP_AT(1000));
		live(t, &(struct step)SENT(2000, SIGKILL, DAEMON));
		live(t, &(struct step)KILLED(2001, SIGKILL));
		assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason,
				 presses == 2 ? DP_EXIT_SIGNAL : DP_EXIT_GRACE_KILL);
		table_free(t);
	}
	(void)state;
}

static const struct said *deadline_warning(const struct table *t, unsigned int i)
{
	for (unsigned int j = 0; j < count_said(t, DP_FIND_WARNING); j++) {
		const struct said *s = said(t, DP_FIND_WARNING, j);

		if (s->f.u.warning.kind == DP_WARN_DEADLINE && i-- == 0)
			return s;
	}
	return NULL;
}

/* A watchdog's deadline is warned of by steps, and closed by the next request. */
static void test_watchdog_is_warned_of(void **state)
{
	static const double at[] = {1000 + 1200, 1000 + 2100, 1000 + 2700};
	struct life l = {.name = "health", .dora = "1.1.0", .limits = {.health_ns = 3000}};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)REQUEST_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 5000);
	for (unsigned int i = 0; i < 3; i++) {
		const struct said *s = deadline_warning(t, i);

		assert_non_null(s);
		assert_int_equal(s->f.t_ns, AT(at[i]));
		assert_int_equal(s->f.u.warning.severity, DP_SEVERITY_NOTICE + i);
		assert_int_equal(s->f.u.warning.deadline_ns, AT(4000));
		assert_int_equal(s->f.u.warning.deadline_source, DP_DEADLINE_DESCRIPTOR);
		assert_int_equal(s->f.u.warning.slack_ns, AT(4000) - AT(at[i]));
		assert_non_null(strstr(s->advice, "health_check_timeout"));
	}
	assert_null(deadline_warning(t, 3));
	live(t, &(struct step)REQUEST_AT(5005));
	ticks_until(t, 5020);
	assert_true(deadline_warning(t, 3)->f.u.warning.resolved);
	/* A node that goes on asking is not warned of. */
	for (double ms = 5500; ms < 9000; ms += 500) {
		live(t, &(struct step)REQUEST_AT(ms));
		ticks_until(t, ms + 400);
	}
	assert_null(deadline_warning(t, 4));
	table_free(t);
}

/* A Stop takes the node out of the watchdog's hands: its warning ends, those of the Stop begin. */
static void test_stop_ends_the_watchdog(void **state)
{
	struct life l = {.name = "health", .dora = "1.1.0", .limits = {.health_ns = 3000}};
	struct table *t = born(&l);

	(void)state;
	live(t, &(struct step)REQUEST_AT(1000));
	t->ticked_ms = 1000;
	ticks_until(t, 2300);
	assert_non_null(deadline_warning(t, 0));
	live(t, &(struct step)STOP_AT(2305));
	ticks_until(t, 2320);
	assert_true(deadline_warning(t, 1)->f.u.warning.resolved);
	assert_int_equal(deadline_warning(t, 1)->f.u.warning.deadline_ns, AT(12305));
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_what_old_recordings_have_of_commands),
		cmocka_unit_test(test_a_daemon_is_learned),
		cmocka_unit_test(test_the_daemon_goes),
		cmocka_unit_test(test_no_deadline_without_a_daemon),
		cmocka_unit_test(test_second_interrupt),
		cmocka_unit_test(test_watchdog_is_warned_of),
		cmocka_unit_test(test_stop_ends_the_watchdog),
	};

	return cmocka_run_group_tests_name("model_deadline", tests, NULL, NULL);
}
