/* SPDX-License-Identifier: MIT */
/*
 * Every field of every record and of every finding, one line each. The structs of record.h and
 * finding.h, the check of a record and the clearing of its strings, the JSON lines, the variables of
 * hooks, the arguments of a trace, docs/json.md and the schema of the tests come from these lists.
 * docs/HACKING.md says how to add a line. Only lists stand here, so any header can include it.
 */
#ifndef DORA_PROBE_FIELDS_H
#define DORA_PROBE_FIELDS_H

/* ---- records ----------------------------------------------------------------------------------
 *
 * Order and types are the layout of the recording's file: a change needs a new DP_RECORD_VERSION.
 *
 *   N(type, name)             any value
 *   E(type, name, most)       a value above `most` makes the record invalid
 *   T(name, size)             a string, with a NUL in its `size` bytes
 *   B(name, size)             bytes that are no string; also what fills a gap in the layout
 *   S(body, name, count, max) `max` structs of another list; those from `count` on are unused
 */

/* X(member of struct dp_record.u, type): bodies that are made by the agent. */
#define DP_RECORD_BODIES(X)                            \
	X(session, struct dp_rec_session)              \
	X(options, struct dp_rec_options)              \
	X(wall_clock, struct dp_rec_wall_clock)        \
	X(node, struct dp_rec_node)                    \
	X(gone, struct dp_rec_gone)                    \
	X(look, struct dp_rec_look)                    \
	X(stack, struct dp_rec_stack)                  \
	X(source, struct dp_rec_source)                \
	X(token, struct dp_rec_token)                  \
	X(wire, struct dp_rec_wire)                    \
	X(reg, struct dp_rec_register)                 \
	X(conn, struct dp_rec_conn)                    \
	X(stop_command, struct dp_rec_stop_command)    \
	X(action, struct dp_rec_action)                \
	X(cost, struct dp_rec_cost)                    \
	X(loss, struct dp_rec_loss)                    \
	X(none, struct dp_rec_none)
/* The same for bodies that a kernel program fills; capture.h has their structs. */
#define DP_KERNEL_BODIES(X)                            \
	X(wait, struct dp_gil_wait)                    \
	X(gil_span, struct dp_gil_span)                \
	X(region, struct dp_region_op)                 \
	X(signal, struct dp_signal_op)                 \
	X(fork, struct dp_fork_op)                     \
	X(exit, struct dp_exit_op)

#define DP_FIELDS_session(N, E, T, B, S)                                                           \
	T(version, 32)                                                                             \
	T(kernel, 128)                                                                             \
	T(targets, 256) /* as the user named them, comma-separated */

#define DP_FIELDS_options(N, E, T, B, S)                                                           \
	N(uint64_t, hold_threshold_ns)                                                             \
	N(uint64_t, warn_hold_ns)                                                                  \
	N(uint64_t, token_threshold_ns) /* print tokens pending at least this long */              \
	N(uint64_t, pending_threshold_ns)                                                          \
	N(uint64_t, grace_ns)       /* 0: by dora version */                                       \
	N(uint64_t, nudge_after_ns) /* 0: 40 % of the grace, or 300 ms with save_tokens */         \
	N(uint64_t, nudge_interval_ns)                                                             \
	N(uint64_t, stop_dataflow_after_ns) /* 0: off */                                           \
	E(uint32_t, nudge_signal, 64)                                                              \
	E(uint8_t, shutdown, DP_SHUTDOWN_COUNT - 1) /* enum dp_shutdown_mode */                    \
	N(uint8_t, save_tokens)                                                                    \
	N(uint8_t, dry_run)                                                                        \
	N(uint8_t, exact) /* keep the edge source armed, see exact_until_ns */                     \
	N(uint64_t, exact_until_ns) /* 0: for the whole run */                                     \
	N(uint64_t, max_edge_rate) /* releases per second above which the edge source is too dear */

#define DP_FIELDS_wall_clock(N, E, T, B, S)                                                        \
	N(int64_t, offset_ns)

#define DP_FIELDS_node(N, E, T, B, S)                                                              \
	N(uint64_t, start_time) /* field 22 of /proc/PID/stat: with the pid, the process' identity */ \
	N(uint64_t, signals_caught)                                                                \
	N(uint64_t, signals_ignored)                                                               \
	N(uint32_t, uid)                                                                           \
	N(uint32_t, daemon_pid) /* 0 unknown */                                                    \
	N(uint32_t, switch_interval_us)                                                            \
	N(uint8_t, is_dora)                                                                        \
	N(uint8_t, is_python)                                                                      \
	E(uint8_t, transport, DP_TRANSPORT_COUNT - 1) /* enum dp_transport */                      \
	N(uint8_t, free_threaded)                                                                  \
	N(uint8_t, gil_observable)                                                                 \
	N(uint8_t, tokens_observable)                                                              \
	E(uint8_t, gil_count, DP_MAX_GILS)                                                         \
	N(uint8_t, edge_possible) /* the uprobe can be armed (libc found) */                       \
	T(dataflow, DP_UUID_MAX)  /* "" unknown, as all below */                                   \
	T(dataflow_name, DP_ID_MAX)                                                                \
	T(node, DP_ID_MAX)                                                                         \
	T(python, 24)            /* "3.11.7" */                                                    \
	T(implementation, 16)    /* "cpython", "pypy", "native" */                                 \
	T(dora, 24)              /* "0.5.0" */                                                     \
	T(reason, DP_REASON_MAX) /* why something is not observable */

#define DP_FIELDS_gone(N, E, T, B, S)                                                              \
	T(reason, DP_REASON_MAX)

#define DP_FIELDS_look(N, E, T, B, S)                                                              \
	N(uint64_t, before_ns)                                                                     \
	N(uint64_t, switch_number)                                                                 \
	N(uint64_t, frame) /* address of the innermost Python frame, 0 unknown */                  \
	N(uint64_t, ip)    /* its instruction pointer: equal over looks = same bytecode */         \
	N(uint64_t, notheld_ns)                                                                    \
	N(uint64_t, run_first_ns)                                                                  \
	N(uint64_t, run_last_ns)                                                                   \
	N(uint64_t, off_since_ns)                                                                  \
	N(uint64_t, take_ns)                                                                       \
	N(uint64_t, edge_armed_ns) /* 0: not armed */                                              \
	N(uint64_t, edge_take_ns)                                                                  \
	N(uint64_t, edge_release_ns)                                                               \
	N(uint64_t, edge_releases)                                                                 \
	N(uint32_t, edge_take_tid)                                                                 \
	N(uint32_t, edge_release_tid)                                                              \
	E(uint8_t, gil, DP_MAX_GILS - 1)                                                           \
	E(uint8_t, locked, 2)     /* 0, 1; 2 unreadable */                                         \
	N(uint8_t, drop_request)  /* 0, 1; 2 unknown: a waiter has asked for the GIL */            \
	N(uint8_t, off_runnable)  /* off_since_ns: preempted, not asleep */                        \
	N(uint16_t, run_samples)  /* cpu-clock samples of the holder within the row, up to 65535 */ \
	N(uint16_t, run_eval)     /* of these, in the bytecode loop itself; 65535: cannot be told */

#define DP_FIELDS_frame(N, E, T, B, S)                                                             \
	T(function, DP_FUNCTION_MAX)                                                               \
	T(file, DP_FILE_MAX)                                                                       \
	N(int32_t, line) /* 0 unknown */                                                           \
	N(uint32_t, pad)

#define DP_FIELDS_stack(N, E, T, B, S)                                                             \
	N(int32_t, status)                                                                         \
	E(uint32_t, frame_count, DP_FRAMES_MAX) /* innermost first */                              \
	N(uint64_t, frame)                      /* as in dp_rec_look */                            \
	N(uint64_t, ip)                                                                            \
	N(uint64_t, wait_uaddr)      /* first argument of the blocking system call */              \
	N(uint64_t, asleep_since_ns) /* state S: since when, by the scheduler; 0 unknown */        \
	N(uint64_t, sleep_ns)        /* length of the sleep asked for; 0 none, unknown */          \
	N(uint64_t, sleep_until_ns)  /* end of a sleep that was asked for by its end; 0 none */    \
	N(int32_t, syscall_nr)       /* it is blocked in; -1 on the CPU or none, -2 unknown */     \
	N(char, state)               /* R S D … of /proc/PID/task/TID/stat, 0 unknown */           \
	N(uint8_t, is_main)                                                                        \
	N(uint8_t, has_gil_wait)    /* its futex word lies in a GIL: it waits for that GIL */      \
	N(uint8_t, wait_forever)    /* blocked in a futex wait without a time limit */             \
	T(comm, DP_COMM_MAX)                                                                       \
	T(library, DP_LIBRARY_MAX)  /* file of the native program counter, "" unknown */           \
	T(symbol, DP_FUNCTION_MAX)  /* nearest exported symbol at the native pc, "" unknown */     \
	S(frame, frames, frame_count, DP_FRAMES_MAX)

#define DP_FIELDS_source(N, E, T, B, S)                                                            \
	E(uint8_t, source, DP_SOURCE_COUNT - 1) /* enum dp_source */                               \
	N(uint8_t, on)                                                                             \
	B(pad, 2)                                                                                  \
	N(int32_t, error) /* -errno when it failed to go on */                                     \
	T(detail, DP_REASON_MAX)

#define DP_FIELDS_token(N, E, T, B, S)                                                             \
	B(token, DP_TOKEN_LEN)                                                                     \
	N(uint64_t, bytes)            /* SENT, DELIVERED */                                        \
	T(region, DP_REGION_NAME_MAX) /* SENT, DELIVERED; without the leading / */                 \
	T(id, DP_ID_MAX)              /* SENT: output id; DELIVERED: input id of the receiver */

#define DP_FIELDS_wire(N, E, T, B, S)                                                              \
	E(uint8_t, kind, DP_WIRE_KIND_COUNT - 1) /* enum dp_wire_kind */                           \
	E(uint8_t, role, DP_ROLE_CONTROL)        /* enum dp_conn_role */                           \
	B(pad, 2)                                                                                  \
	N(uint32_t, count) /* NEXT_EVENT: tokens; EVENTS: number of events in the reply */         \
	T(id, DP_ID_MAX)   /* input or output id, "" */

#define DP_FIELDS_reg(N, E, T, B, S)                                                               \
	T(dataflow, DP_UUID_MAX)                                                                   \
	T(node, DP_ID_MAX)                                                                         \
	T(message_version, 24) /* of the dora-message crate, not of dora below 1.0 */              \
	N(uint8_t, codec)      /* 0 bincode, 1 postcard */                                         \
	B(pad, 7)

#define DP_FIELDS_conn(N, E, T, B, S)                                                              \
	N(uint64_t, conn)                                                                          \
	E(uint8_t, role, DP_ROLE_CONTROL)                                                          \
	B(pad, 7)

#define DP_FIELDS_stop_command(N, E, T, B, S)                                                      \
	N(uint64_t, grace_ns) /* 0: none given */                                                  \
	N(uint32_t, uid)                                                                           \
	N(uint8_t, force)                                                                          \
	B(pad, 3)                                                                                  \
	T(target, DP_ID_MAX) /* uuid or name as given, "" none */

#define DP_FIELDS_action(N, E, T, B, S)                                                            \
	E(uint8_t, action, DP_ACTION_COUNT - 1) /* enum dp_action */                               \
	E(uint8_t, result, DP_RESULT_COUNT - 1) /* enum dp_action_result */                        \
	N(uint8_t, dry_run)                                                                        \
	N(uint8_t, pad)                                                                            \
	N(uint32_t, signal)                                                                        \
	N(uint32_t, attempt) /* from 1 */                                                          \
	N(uint32_t, pad2)                                                                          \
	T(reason, DP_REASON_MAX)

#define DP_FIELDS_cost(N, E, T, B, S)                                                              \
	N(uint64_t, agent_cpu_ns)                                                                  \
	N(uint64_t, bpf_run_ns) /* scaled estimate */                                              \
	N(uint64_t, captures)

#define DP_FIELDS_loss(N, E, T, B, S)                                                              \
	E(uint32_t, reason, DP_LOSS_COUNT - 1) /* enum dp_loss */                                  \
	N(uint32_t, pad)                                                                           \
	N(uint64_t, count) /* since the last record of this reason */

#define DP_FIELDS_wait(N, E, T, B, S)                                                              \
	N(uint64_t, begin_ns)                                                                      \
	N(uint64_t, switch_number)                                                                 \
	N(uint32_t, holder_tid)                                                                    \
	E(uint8_t, gil, DP_MAX_GILS - 1)                                                           \
	N(uint8_t, acquired)                                                                       \
	B(pad, 2)

#define DP_FIELDS_gil_span(N, E, T, B, S)                                                          \
	N(uint64_t, lo_ns)                                                                         \
	N(uint64_t, from_ns)                                                                       \
	N(uint64_t, to_ns)                                                                         \
	N(uint64_t, hi_ns)                                                                         \
	N(uint64_t, off_ns)                                                                        \
	E(uint8_t, gil, DP_MAX_GILS - 1)                                                           \
	N(uint8_t, preempted)                                                                      \
	B(pad, 6)

#define DP_FIELDS_region(N, E, T, B, S)                                                            \
	E(uint8_t, kind, DP_REGION_KIND_COUNT - 1)                                                 \
	B(pad, 7)                                                                                  \
	N(uint64_t, addr)                                                                          \
	T(name, DP_REGION_NAME_MAX)

#define DP_FIELDS_signal(N, E, T, B, S)                                                            \
	E(uint8_t, kind, DP_SIGNAL_HANDLED)                                                        \
	E(uint8_t, signal, 64)                                                                     \
	N(uint8_t, group)                                                                          \
	E(uint8_t, disposition, DP_SIGDISP_CAUGHT)                                                 \
	N(uint8_t, result)                                                                         \
	B(pad, 3)                                                                                  \
	N(uint32_t, sender_pid)                                                                    \
	N(uint32_t, pad2)

#define DP_FIELDS_fork(N, E, T, B, S)                                                              \
	N(uint32_t, child_pid)                                                                     \
	N(uint32_t, child_tid)

#define DP_FIELDS_exit(N, E, T, B, S)                                                              \
	N(int32_t, status)                                                                         \
	N(uint8_t, is_process)                                                                     \
	B(pad, 3)

/* A record without a body. */
#define DP_FIELDS_none(N, E, T, B, S)

#endif
