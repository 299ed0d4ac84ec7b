/* SPDX-License-Identifier: MIT */
/*
 * Every fixed name of dora-probe, once. The lists below feed the enums, the printed names, the
 * metrics' label values, the documentation check and the tests; nothing else may spell them out.
 */
#ifndef DORA_PROBE_NAMES_H
#define DORA_PROBE_NAMES_H

/* X(ENUM_SUFFIX, body member of struct dp_record or `none`): what the model eats (record.h). */
#define DP_RECORD_TYPES(X)                                                                         \
	X(SESSION, session)                                                                        \
	X(OPTIONS, options)                                                                        \
	X(WALL_CLOCK, wall_clock)                                                                  \
	X(TICK, none)                                                                              \
	X(NODE_FACTS, node)                                                                        \
	X(NODE_GONE, gone)                                                                         \
	X(GIL_LOOK, look)                                                                          \
	X(GIL_WAIT_BEGIN, wait)                                                                    \
	X(GIL_WAIT_END, wait)                                                                      \
	X(GIL_RELEASE, gil_span)                                                                   \
	X(GIL_EDGE_HOLD, gil_span)                                                                 \
	X(GIL_OFFCPU, gil_span)                                                                    \
	X(GIL_RUN, gil_span)                                                                       \
	X(STACK, stack)                                                                            \
	X(SOURCE_STATE, source)                                                                    \
	X(TOKEN_SENT, token)                                                                       \
	X(TOKEN_DELIVERED, token)                                                                  \
	X(TOKEN_REPORTED, token)                                                                   \
	X(TOKEN_RETURNED, token)                                                                   \
	X(WIRE_EVENT, wire)                                                                        \
	X(WIRE_REQUEST, wire)                                                                      \
	X(WIRE_REGISTER, reg)                                                                      \
	X(CONN_OPENED, conn)                                                                       \
	X(CONN_CLOSED, conn)                                                                       \
	X(REGION, region)                                                                          \
	X(SIGNAL, signal)                                                                          \
	X(PROC_EXEC, none)                                                                         \
	X(PROC_FORK, fork) /* of older recordings; the model needs none */                         \
	X(PROC_EXIT, exit)                                                                         \
	X(STOP_COMMAND, stop_command) /* of older recordings; DORA_COMMAND has taken its place */  \
	X(ACTION_RESULT, action)                                                                   \
	X(UNUSED, none) /* never written: the numbers of those below stay those of recordings */   \
	X(LOSS, loss)                                                                              \
	X(END, none)                                                                               \
	X(DORA_COMMAND, command)                                                                   \
	X(STOP_WITNESS, witness)                                                                   \
	X(SHARE, share)                                                                            \
	X(SHARED_MEMORY, memory)                                                                   \
	X(NODE_LIMITS, limits)                                                                     \
	X(WAITS, waits)                                                                            \
	X(MEMBER, member)                                                                          \
	X(STOCK, stock)                                                                            \
	X(STOCK_REGION, stock_region)

/* X(ENUM, "name"): why something is pending (README, table of causes). */
#define DP_CAUSES(X)                                                                               \
	X(UNKNOWN, "unknown")                                                                      \
	X(GIL_NATIVE, "gil_native")                                                                \
	X(GIL_CONTENTION, "gil_contention")                                                        \
	X(BUSY_PYTHON, "busy_python")                                                              \
	X(BLOCKED, "blocked")                                                                      \
	X(REFERENCE_KEPT, "reference_kept")                                                        \
	X(NOT_REPORTED, "not_reported")                                                            \
	X(NODE_DROPPED_FIRST, "node_dropped_first")                                                \
	X(RECEIVER_GONE, "receiver_gone")                                                          \
	X(OWNER_NOT_COLLECTING, "owner_not_collecting")                                            \
	X(DORA_INTERNAL, "dora_internal")                                                          \
	X(DEADLOCK, "deadlock")                                                                    \
	X(RUNNING_WITHOUT_GIL, "running_without_gil")                                              \
	X(NOT_CONNECTED, "not_connected")                                                          \
	X(STOPPED, "stopped")

#define DP_WARNING_KINDS(X)                                                                        \
	X(TOKEN_PENDING, "token_pending")                                                          \
	X(GIL_HOLD, "gil_hold")                                                                    \
	X(STOP_PENDING, "stop_pending")                                                            \
	X(DEADLINE, "deadline")                                                                    \
	X(DEADLOCK, "deadlock")                                                                    \
	X(CRASH_LOOP, "crash_loop")                                                                \
	X(WRAPPER_KILLED, "wrapper_killed")                                                        \
	X(GIL_SHARE, "gil_share")                                                                  \
	X(CONVOY, "convoy")                                                                        \
	X(SHM_FULL, "shm_full")                                                                    \
	X(DAEMON_GONE, "daemon_gone")                                                              \
	X(NOT_POLLING, "not_polling")                                                              \
	X(SOURCE_MISSING, "source_missing")

/* X(ENUM, "name"): what proves that a consumer has not been in next(); agent/model/polling.h. */
#define DP_EVIDENCES(X)                                                                            \
	X(ASLEEP, "asleep")                                                                        \
	X(GIL_HELD, "gil_held")                                                                    \
	X(GIL_WAIT, "gil_wait")                                                                    \
	X(INPUTS_UNTAKEN, "inputs_untaken")                                                        \
	X(NO_GIL_TAKEN, "no_gil_taken")                                                            \
	X(NEXT_NOT_CALLED, "next_not_called")                                                      \
	X(STOPPED, "stopped")

#define DP_SEVERITIES(X)                                                                           \
	X(NOTICE, "notice")                                                                        \
	X(WARNING, "warning")                                                                      \
	X(CRITICAL, "critical")

#define DP_PRECISIONS(X)                                                                           \
	X(UNCONFIRMED, "unconfirmed")                                                              \
	X(AT_LEAST, "at_least")                                                                    \
	X(BOUNDED, "bounded")                                                                      \
	X(EXACT, "exact")

#define DP_TOKEN_STATES(X)                                                                         \
	X(OPEN, "open")                                                                            \
	X(RETURNED, "returned")                                                                    \
	X(ABANDONED, "abandoned")                                                                  \
	X(LOST, "lost")

#define DP_TRANSPORTS(X)                                                                           \
	X(UNKNOWN, "unknown")                                                                      \
	X(TCP, "tcp")                                                                              \
	X(UNIX, "unix")                                                                            \
	X(SHMEM, "shmem")

#define DP_STOP_REASONS(X)                                                                         \
	X(STOP, "stop")                                                                            \
	X(ALL_INPUTS_CLOSED, "all_inputs_closed")                                                  \
	X(SIGTERM, "sigterm")

/* X(ENUM, "name"): by whom it is known that a node was told to stop. */
#define DP_WITNESSES(X)                                                                            \
	X(NODE, "node")                                                                            \
	X(SIBLING, "sibling")                                                                      \
	X(COMMAND, "command")                                                                      \
	X(UNREAD, "unread")                                                                        \
	X(DAEMON, "daemon")

#define DP_ACTIONS(X)                                                                              \
	X(NUDGE, "nudge")                                                                          \
	X(TERMINATE, "terminate")                                                                  \
	X(STOP_DATAFLOW, "stop_dataflow")                                                          \
	X(HOOK, "hook")

#define DP_ACTION_RESULTS(X)                                                                       \
	X(SENT, "sent")                                                                            \
	X(REFUSED, "refused")                                                                      \
	X(FAILED, "failed")                                                                        \
	X(WOULD_SEND, "would_send")

#define DP_EXIT_REASONS(X)                                                                         \
	X(CLEAN, "clean")                                                                          \
	X(ERROR, "error")                                                                          \
	X(GRACE_KILL, "grace_kill")                                                                \
	X(SIGNAL, "signal")                                                                        \
	X(HEALTH_KILL, "health_kill")                                                              \
	X(STARTUP_KILL, "startup_kill")                                                            \
	X(FINISH_KILL, "finish_kill")                                                              \
	X(ORPHAN, "orphan")                                                                        \
	X(UNKNOWN, "unknown")

/* Where a deadline comes from; the first stands for none. */
#define DP_DEADLINE_SOURCES(X)                                                                     \
	X(NONE, "none")                                                                            \
	X(COMMAND, "command")                                                                      \
	X(DESCRIPTOR, "descriptor")                                                                \
	X(LEARNED, "learned")                                                                      \
	X(OPTION, "option")                                                                        \
	X(VERSION, "version")                                                                      \
	X(ASSUMED, "assumed")

/* How the version of dora is known; the first stands for a version that is not known. */
#define DP_DORA_SOURCES(X)                                                                         \
	X(ASSUMED, "assumed")                                                                      \
	X(WIRE, "wire")                                                                            \
	X(DISTRIBUTION, "distribution")

/* The `dora` commands that end nodes, as they are typed. */
#define DP_DORA_COMMANDS(X)                                                                        \
	X(STOP, "stop")                                                                            \
	X(RESTART, "restart")                                                                      \
	X(DESTROY, "destroy")                                                                      \
	X(NODE_STOP, "node stop")                                                                  \
	X(NODE_RESTART, "node restart")                                                            \
	X(NODE_REMOVE, "node remove")                                                              \
	X(NODE_REPLACE, "node replace")

/* X(ENUM, "name"): what a thread waits for, as far as it can be read from outside. */
#define DP_WAITS(X)                                                                                \
	X(UNKNOWN, "unknown")                                                                      \
	X(NOTHING, "nothing")                                                                      \
	X(GIL, "gil")                                                                              \
	X(THREAD, "thread")                                                                        \
	X(MUTEX, "mutex")                                                                          \
	X(LOCK, "lock")                                                                            \
	X(STATIC, "static_initialiser")                                                            \
	X(FUTEX, "futex")                                                                          \
	X(SHARED, "shared_futex")                                                                  \
	X(SLEEP, "sleep")                                                                          \
	X(IO, "io")                                                                                \
	X(CHILD, "child")                                                                          \
	X(SYSCALL, "syscall")

/* X(ENUM, "name"): what proves that a chain of waits ends at the GIL that its first thread holds. */
#define DP_PROOFS(X)                                                                               \
	X(NONE, "none")                                                                            \
	X(OWNERS, "owners")                                                                        \
	X(REFERENCE, "reference")                                                                  \
	X(LIBRARY, "library")

#define DP_SHUTDOWN_MODES(X)                                                                       \
	X(OBSERVE, "observe")                                                                      \
	X(NUDGE, "nudge")                                                                          \
	X(TERMINATE, "terminate")

/* What a process is to the node whose configuration it has. */
#define DP_MEMBER_ROLES(X)                                                                         \
	X(NODE, "node")                                                                            \
	X(WRAPPER, "wrapper")                                                                      \
	X(HELPER, "helper")                                                                        \
	X(DYNAMIC, "dynamic")

/* Sources of records that can be on, off or broken; `start.sources` lists those that are on. */
#define DP_SOURCES(X)                                                                              \
	X(FUTEX, "futex")                                                                          \
	X(SCHED, "sched")                                                                          \
	X(CPU_CLOCK, "cpu_clock")                                                                  \
	X(SAMPLER, "sampler")                                                                      \
	X(EDGE, "edge")                                                                            \
	X(SOCKET, "socket")                                                                        \
	X(REGION, "region")                                                                        \
	X(SIGNAL, "signal")                                                                        \
	X(LIFECYCLE, "lifecycle")                                                                  \
	X(SYSCALLS, "syscalls")

/*
 * How much of a machine can be seen. FALLBACK: messages and shared memory by the machine's system calls, as the tracepoints
 * for them are not there. SAMPLING: without kernel programs.
 */
#define DP_LEVELS(X)                                                                               \
	X(NONE, "none")                                                                            \
	X(FULL, "full")                                                                            \
	X(FALLBACK, "fallback")                                                                    \
	X(SAMPLING, "sampling")

/*
 * X(ENUM, "name"): every place where something can be lost. Counted where it happens; the first
 * block in the kernel (per-CPU counters of the same index), the second in the agent. PAYLOAD_CUT is of
 * recordings up to 0.1.0 alone: what is cut is a loss (FRAME_INVALID) where an event may lie in it.
 */
#define DP_LOSSES(X)                                                                               \
	X(RING_FULL, "ring_full")                                                                  \
	X(MAP_FULL, "map_full")                                                                    \
	X(READ_FAULT, "read_fault")                                                                \
	X(PAYLOAD_CUT, "payload_cut")                                                              \
	X(SEQUENCE_GAP, "sequence_gap")                                                            \
	X(LATE_RECORD, "late_record")                                                              \
	X(STREAM_RESYNC, "stream_resync")                                                          \
	X(FRAME_INVALID, "frame_invalid")                                                          \
	X(STREAM_LIMIT, "stream_limit")                                                            \
	X(TOKEN_LIMIT, "token_limit")                                                              \
	X(NODE_LIMIT, "node_limit")                                                                \
	X(SAMPLE_SKIPPED, "sample_skipped")                                                        \
	X(PROGRAM_SKIPPED, "program_skipped")                                                      \
	X(RECORDER_WRITE, "recorder_write")                                                        \
	X(SIGNAL_REPEATED, "signal_repeated")                                                      \
	X(SOCKET_LIMIT, "socket_limit")                                                            \
	X(READ_STUCK, "read_stuck")

#define DP_LAST_KERNEL_LOSS DP_LOSS_PAYLOAD_CUT

/* What of the output a loss can have spoilt. */
#define DP_SPOILS(X)                                                                               \
	X(HOLDS, "holds")                                                                          \
	X(WAITS, "waits")                                                                          \
	X(TOKENS, "tokens")                                                                        \
	X(STOP, "stop")                                                                            \
	X(SIGNALS, "signals")                                                                      \
	X(EXITS, "exits")                                                                          \
	X(NODES, "nodes")                                                                          \
	X(RECORDING, "recording")

#define DP_X_CAUSE(e, s)        DP_CAUSE_##e,
#define DP_X_WARN(e, s)         DP_WARN_##e,
#define DP_X_EVIDENCE(e, s)     DP_EVIDENCE_##e,
#define DP_X_SEVERITY(e, s)     DP_SEVERITY_##e,
#define DP_X_PRECISION(e, s)    DP_PRECISION_##e,
#define DP_X_TOKEN(e, s)        DP_TOKEN_##e,
#define DP_X_TRANSPORT(e, s)    DP_TRANSPORT_##e,
#define DP_X_STOP(e, s)         DP_STOP_##e,
#define DP_X_WITNESS(e, s)      DP_WITNESS_##e,
#define DP_X_ACTION(e, s)       DP_ACTION_##e,
#define DP_X_RESULT(e, s)       DP_RESULT_##e,
#define DP_X_EXIT(e, s)         DP_EXIT_##e,
#define DP_X_DEADLINE(e, s)     DP_DEADLINE_##e,
#define DP_X_DORA_SOURCE(e, s)  DP_DORA_FROM_##e,
#define DP_X_DORA_COMMAND(e, s) DP_DORA_##e,
#define DP_X_SHUTDOWN(e, s)     DP_SHUTDOWN_##e,
#define DP_X_WAIT(e, s)         DP_WAIT_##e,
#define DP_X_PROOF(e, s)        DP_PROOF_##e,
#define DP_X_MEMBER(e, s)       DP_MEMBER_##e,
#define DP_X_SOURCE(e, s)       DP_SOURCE_##e,
#define DP_X_LEVEL(e, s)        DP_LEVEL_##e,
#define DP_X_LOSS(e, s)         DP_LOSS_##e,
#define DP_X_SPOILS(e, s)       DP_SPOILS_##e,
#define DP_X_RECORD(e, b)       DP_REC_##e,

enum dp_cause { DP_CAUSES(DP_X_CAUSE) DP_CAUSE_COUNT };
enum dp_warning_kind { DP_WARNING_KINDS(DP_X_WARN) DP_WARN_COUNT };
enum dp_evidence { DP_EVIDENCES(DP_X_EVIDENCE) DP_EVIDENCE_COUNT };
enum dp_severity { DP_SEVERITIES(DP_X_SEVERITY) DP_SEVERITY_COUNT };
enum dp_precision { DP_PRECISIONS(DP_X_PRECISION) DP_PRECISION_COUNT };
enum dp_token_state { DP_TOKEN_STATES(DP_X_TOKEN) DP_TOKEN_COUNT };
enum dp_transport { DP_TRANSPORTS(DP_X_TRANSPORT) DP_TRANSPORT_COUNT };
enum dp_stop_reason { DP_STOP_REASONS(DP_X_STOP) DP_STOP_COUNT };
enum dp_witness { DP_WITNESSES(DP_X_WITNESS) DP_WITNESS_COUNT };
enum dp_action { DP_ACTIONS(DP_X_ACTION) DP_ACTION_COUNT };
enum dp_action_result { DP_ACTION_RESULTS(DP_X_RESULT) DP_RESULT_COUNT };
enum dp_exit_reason { DP_EXIT_REASONS(DP_X_EXIT) DP_EXIT_COUNT };
enum dp_wait { DP_WAITS(DP_X_WAIT) DP_WAIT_COUNT };
enum dp_proof { DP_PROOFS(DP_X_PROOF) DP_PROOF_COUNT };
enum dp_deadline_source { DP_DEADLINE_SOURCES(DP_X_DEADLINE) DP_DEADLINE_COUNT };
enum dp_dora_source { DP_DORA_SOURCES(DP_X_DORA_SOURCE) DP_DORA_FROM_COUNT };
enum dp_dora_command { DP_DORA_COMMANDS(DP_X_DORA_COMMAND) DP_DORA_COUNT };
enum dp_shutdown_mode { DP_SHUTDOWN_MODES(DP_X_SHUTDOWN) DP_SHUTDOWN_COUNT };
enum dp_member_role { DP_MEMBER_ROLES(DP_X_MEMBER) DP_MEMBER_COUNT };
enum dp_source { DP_SOURCES(DP_X_SOURCE) DP_SOURCE_COUNT };
enum dp_level { DP_LEVELS(DP_X_LEVEL) DP_LEVEL_COUNT };
enum dp_loss { DP_LOSSES(DP_X_LOSS) DP_LOSS_COUNT };
enum dp_spoils { DP_SPOILS(DP_X_SPOILS) DP_SPOILS_COUNT };
enum dp_record_type { DP_REC_NONE, DP_RECORD_TYPES(DP_X_RECORD) DP_REC_COUNT };

/* The printed name of a value of each list; "?" for a value outside it. Static strings. */
const char *dp_record_name(unsigned int v);
const char *dp_cause_name(unsigned int v);
const char *dp_warning_name(unsigned int v);
const char *dp_evidence_name(unsigned int v);
const char *dp_severity_name(unsigned int v);
const char *dp_precision_name(unsigned int v);
const char *dp_token_state_name(unsigned int v);
const char *dp_transport_name(unsigned int v);
const char *dp_stop_reason_name(unsigned int v);
const char *dp_witness_name(unsigned int v);
const char *dp_action_name(unsigned int v);
const char *dp_action_result_name(unsigned int v);
const char *dp_exit_reason_name(unsigned int v);
const char *dp_deadline_source_name(unsigned int v);
const char *dp_dora_command_name(unsigned int v);
const char *dp_dora_source_name(unsigned int v);
const char *dp_shutdown_mode_name(unsigned int v);
const char *dp_wait_name(unsigned int v);
const char *dp_proof_name(unsigned int v);
const char *dp_member_name(unsigned int v);
const char *dp_level_name(unsigned int v);
const char *dp_source_name(unsigned int v);
const char *dp_loss_name(unsigned int v);
const char *dp_spoils_name(unsigned int v);

/* What a thread that waits so does, as the rest of a sentence: "waits for the GIL"; static. */
const char *dp_wait_words(unsigned int wait);

/* What a loss can have spoilt, 1 << enum dp_spoils each; 0 for a value that is no enum dp_loss. */
unsigned int dp_loss_spoils(unsigned int loss);

#endif
