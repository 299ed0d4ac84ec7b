/* SPDX-License-Identifier: MIT */
/*
 * Every field of every record and of every finding, one line each. The structs of record.h and
 * finding.h, the check of a record and the clearing of its strings, the JSON lines, the variables of
 * hooks, the arguments of a trace, docs/json.md and the schema of the tests come from these lists.
 * docs/HACKING.md says how to add a line. Over 500 lines: because it is one list, a line a field.
 */
#ifndef DORA_PROBE_FIELDS_H
#define DORA_PROBE_FIELDS_H

/* ---- records ----------------------------------------------------------------------------------
 *
 * Order and types are the layout of the recording's file: a change needs a new DP_RECORD_VERSION. What
 * is added at the end of a body needs a line in DP_RECORD_GROWN instead: older recordings have 0 there.
 *
 *   N(type, name)             any value
 *   E(type, name, most)       a value above `most` makes the record invalid
 *   T(name, size)             a string, with a NUL in its `size` bytes
 *   B(name, size)             bytes that are no string; also what fills a gap in the layout
 *   S(body, name, count, max) `max` structs of another list; those from `count` on are unused
 */

/* A line a field, whatever its length: clang-format would make stairs of them. */
/* clang-format off */
/* X(member of struct dp_record.u, type): bodies that are made by the agent. */
#define DP_RECORD_BODIES(X) \
	X(session, struct dp_rec_session) \
	X(options, struct dp_rec_options) \
	X(wall_clock, struct dp_rec_wall_clock) \
	X(node, struct dp_rec_node) \
	X(gone, struct dp_rec_gone) \
	X(look, struct dp_rec_look) \
	X(stack, struct dp_rec_stack) \
	X(source, struct dp_rec_source) \
	X(token, struct dp_rec_token) \
	X(wire, struct dp_rec_wire) \
	X(reg, struct dp_rec_register) \
	X(conn, struct dp_rec_conn) \
	X(stop_command, struct dp_rec_stop_command) \
	X(command, struct dp_rec_command) \
	X(limits, struct dp_rec_limits) \
	X(action, struct dp_rec_action) \
	X(loss, struct dp_rec_loss) \
	X(witness, struct dp_rec_witness) \
	X(member, struct dp_rec_member) \
	X(none, struct dp_rec_none) \
	X(share, struct dp_rec_share) \
	X(memory, struct dp_rec_memory) \
	X(waits, struct dp_rec_waits) \
	X(stock, struct dp_rec_stock) \
	X(stock_region, struct dp_rec_stock_region)
/* The bodies that a kernel program fills; capture.h has their structs. */
#define DP_KERNEL_BODIES(X) \
	X(wait, struct dp_gil_wait) \
	X(gil_span, struct dp_gil_span) \
	X(region, struct dp_region_op) \
	X(signal, struct dp_signal_op) \
	X(fork, struct dp_fork_op) \
	X(exit, struct dp_exit_op)

/* X(record type, its body, the first field that was added since DP_RECORD_VERSION came out) */
#define DP_RECORD_GROWN(X) \
	X(GIL_WAIT_BEGIN, wait, end_ns) \
	X(GIL_WAIT_END, wait, end_ns) \
	X(OPTIONS, options, polling_threshold_ns) \
	X(STACK, stack, took_gil_ns)

#define DP_FIELDS_session(N, E, T, B, S) \
	T(version, 32) \
	T(kernel, 128) \
	T(targets, 256) /* as the user named them, comma-separated */

#define DP_FIELDS_options(N, E, T, B, S) \
	N(uint64_t, hold_threshold_ns) \
	N(uint64_t, warn_hold_ns) \
	N(uint64_t, token_threshold_ns) /* print tokens pending at least this long */ \
	N(uint64_t, pending_threshold_ns) \
	N(uint64_t, grace_ns) /* 0: by dora version */ \
	N(uint64_t, nudge_after_ns) /* 0: 40 % of the grace, or 300 ms with save_tokens */ \
	N(uint64_t, nudge_interval_ns) \
	N(uint64_t, stop_dataflow_after_ns) /* 0: off */ \
	E(uint32_t, nudge_signal, 64) \
	E(uint8_t, shutdown, DP_SHUTDOWN_COUNT - 1) /* enum dp_shutdown_mode */ \
	N(uint8_t, save_tokens) \
	N(uint8_t, dry_run) \
	N(uint8_t, exact) /* keep the edge source armed, see exact_until_ns */ \
	N(uint64_t, exact_until_ns) /* 0: for the whole run */ \
	N(uint64_t, max_edge_rate) /* releases per second above which the edge source is too dear */ \
	N(uint64_t, polling_threshold_ns) /* 0: that a consumer does not poll is not said */

#define DP_FIELDS_wall_clock(N, E, T, B, S) N(int64_t, offset_ns)

#define DP_FIELDS_node(N, E, T, B, S) \
	N(uint64_t, start_time) /* field 22 of /proc/PID/stat: with the pid, the process' identity */ \
	N(uint64_t, signals_caught) \
	N(uint64_t, signals_ignored) \
	N(uint32_t, uid) \
	N(uint32_t, daemon_pid) /* 0 unknown */ \
	N(uint32_t, switch_interval_us) \
	N(uint8_t, is_dora) \
	N(uint8_t, is_python) \
	E(uint8_t, transport, DP_TRANSPORT_COUNT - 1) /* enum dp_transport */ \
	N(uint8_t, free_threaded) \
	N(uint8_t, gil_observable) \
	N(uint8_t, tokens_observable) \
	E(uint8_t, gil_count, DP_MAX_GILS) \
	N(uint8_t, edge_possible) /* the uprobe can be armed (libc found) */ \
	T(dataflow, DP_UUID_MAX) /* "" unknown, as all below */ \
	T(dataflow_name, DP_ID_MAX) \
	T(node, DP_ID_MAX) \
	T(python, 24) /* "3.11.7" */ \
	T(implementation, 16) /* "cpython", "pypy", "native" */ \
	T(dora, 24) /* "0.5.0" */ \
	T(reason, DP_REASON_MAX) /* why something is not observable */ \
	N(uint8_t, unheard) /* connected, but no frame has passed yet: in what was padding */ \
	B(pad, 3)

#define DP_FIELDS_gone(N, E, T, B, S) T(reason, DP_REASON_MAX)

#define DP_FIELDS_look(N, E, T, B, S) \
	N(uint64_t, before_ns) \
	N(uint64_t, switch_number) \
	N(uint64_t, frame) /* address of the innermost Python frame, 0 unknown */ \
	N(uint64_t, ip) /* its instruction pointer: equal over looks = same bytecode */ \
	N(uint64_t, notheld_ns) \
	N(uint64_t, run_first_ns) \
	N(uint64_t, run_last_ns) \
	N(uint64_t, off_since_ns) \
	N(uint64_t, take_ns) \
	N(uint64_t, edge_armed_ns) /* 0: not armed */ \
	N(uint64_t, edge_take_ns) \
	N(uint64_t, edge_release_ns) \
	N(uint64_t, edge_releases) \
	N(uint32_t, edge_take_tid) \
	B(unused, 4) /* older recordings have something here, which nobody read */ \
	E(uint8_t, gil, DP_MAX_GILS - 1) \
	E(uint8_t, locked, 2) /* 0, 1; 2 unreadable */ \
	N(uint8_t, drop_request) /* 0, 1; 2 unknown: a waiter has asked for the GIL */ \
	N(uint8_t, off_runnable) /* off_since_ns: preempted, not asleep */ \
	N(uint16_t, run_samples) /* cpu-clock samples of the holder within the row, up to 65535 */ \
	N(uint16_t, run_eval) /* of these, in the bytecode loop itself; 65535: cannot be told */

#define DP_FIELDS_frame(N, E, T, B, S) \
	T(function, DP_FUNCTION_MAX) \
	T(file, DP_FILE_MAX) \
	N(int32_t, line) /* 0 unknown */ \
	N(uint32_t, pad)

#define DP_FIELDS_stack(N, E, T, B, S) \
	N(int32_t, status) \
	E(uint32_t, frame_count, DP_FRAMES_MAX) /* innermost first */ \
	N(uint64_t, frame) /* as in dp_rec_look */ \
	N(uint64_t, ip) \
	B(unused, 8) /* as in look, and so unused2 */ \
	N(uint64_t, asleep_since_ns) /* state S: since when, by the scheduler; 0 unknown */ \
	N(uint64_t, sleep_ns) /* length of the sleep asked for; 0 none, unknown */ \
	N(uint64_t, sleep_until_ns) /* end of a sleep that was asked for by its end; 0 none */ \
	N(int32_t, syscall_nr) /* it is blocked in; -1 on the CPU or none, -2 unknown */ \
	N(char, state) /* R S D … of /proc/PID/task/TID/stat, 0 unknown */ \
	N(uint8_t, is_main) \
	N(uint8_t, has_gil_wait) /* its futex word lies in a GIL: it waits for that GIL */ \
	B(unused2, 1) \
	T(comm, DP_COMM_MAX) \
	T(library, DP_LIBRARY_MAX) /* file of the native program counter, "" unknown */ \
	T(symbol, DP_FUNCTION_MAX) /* nearest exported symbol at the native pc, "" unknown */ \
	S(frame, frames, frame_count, DP_FRAMES_MAX) \
	N(uint64_t, took_gil_ns) /* its last take that the edge source saw; 0 none */ \
	N(uint64_t, edge_armed_ns) /* the edge source has been armed since; 0: is not */ \
	T(thread, DP_THREAD_MAX) /* what Python's threading calls it, "" unknown */ \
	N(uint8_t, collecting) /* it holds the GIL, and gc.collecting is set */ \
	B(pad, 7) \
	N(uint64_t, library_from) /* where that library's code lies, up to library_to; 0 unknown */ \
	N(uint64_t, library_to) \
	N(uint64_t, polled_ns) /* dora's code let go of the GIL in it or took it, last, by the edge source; 0 never seen */ \
	N(uint64_t, read_ns) /* its reading began no earlier; 0: at its own time */ \
	N(uint64_t, calls_seen_ns) /* each call of dora's that takes events is in polled_ns since; 0: only those that let the GIL go */

#define DP_FIELDS_link(N, E, T, B, S) \
	N(uint32_t, tid) \
	N(uint32_t, for_tid) /* who has what it waits for; 0: nobody is known */ \
	E(uint8_t, waits, DP_WAIT_COUNT - 1) /* enum dp_wait */ \
	N(uint8_t, forever) /* without a time limit */ \
	N(char, state) /* as in dp_rec_stack */ \
	B(pad, 1) \
	N(int32_t, syscall_nr) /* as in dp_rec_stack */ \
	N(int32_t, line) /* 0 unknown */ \
	T(thread, DP_THREAD_MAX) \
	T(function, DP_FUNCTION_MAX) /* innermost Python frame, "" none */ \
	T(file, DP_FILE_MAX) \
	T(library, DP_LIBRARY_MAX) /* whose code waits, "" unknown */

/*
 * The holder of the GIL, whom it waits for, whom that one waits for …; where an end has no owner (a
 * condition, a semaphore, a lock of Rust's), those of its threads that wait for the GIL follow. The
 * counts are of the other threads at such an end: a reference to what is waited for on their stack,
 * or else code of the library that waits.
 */
#define DP_FIELDS_waits(N, E, T, B, S) \
	N(int32_t, status) \
	E(uint32_t, link_count, DP_LINKS_MAX) \
	N(uint32_t, owned) /* of the links: joined by owners, the last one included */ \
	N(uint32_t, threads) /* of the process */ \
	N(uint32_t, looked_at) \
	N(uint32_t, refer_gil) /* have a reference, wait for the GIL */ \
	N(uint32_t, refer_able) /* … run, sleep for a time, or cannot be told */ \
	N(uint32_t, library_gil) /* have code of that library on their stack: the same */ \
	N(uint32_t, library_able) \
	N(uint32_t, library_io) /* … wait for something outside of the process */ \
	S(link, links, link_count, DP_LINKS_MAX)

#define DP_FIELDS_source(N, E, T, B, S) \
	E(uint8_t, source, DP_SOURCE_COUNT - 1) /* enum dp_source */ \
	N(uint8_t, on) \
	B(pad, 2) \
	N(int32_t, error) /* -errno when it failed to go on */ \
	T(detail, DP_REASON_MAX) /* of SYSCALLS: the sources that go by them, by commas */

#define DP_FIELDS_token(N, E, T, B, S) \
	B(token, DP_TOKEN_LEN) \
	N(uint64_t, bytes) /* SENT, DELIVERED */ \
	T(region, DP_REGION_NAME_MAX) /* SENT, DELIVERED; without the leading / */ \
	T(id, DP_ID_MAX) /* SENT: output id; DELIVERED: input id of the receiver */

#define DP_FIELDS_wire(N, E, T, B, S) \
	E(uint8_t, kind, DP_WIRE_KIND_COUNT - 1) /* enum dp_wire_kind */ \
	E(uint8_t, role, DP_ROLE_CONTROL) /* enum dp_conn_role */ \
	B(pad, 2) \
	N(uint32_t, count) /* NEXT_EVENT: tokens; EVENTS: number of events in the reply */ \
	T(id, DP_ID_MAX) /* input or output id, "" */

#define DP_FIELDS_reg(N, E, T, B, S) \
	T(dataflow, DP_UUID_MAX) \
	T(node, DP_ID_MAX) \
	T(message_version, 24) /* of the dora-message crate, not of dora below 1.0 */ \
	N(uint8_t, codec) /* 0 bincode, 1 postcard */ \
	B(pad, 7)

#define DP_FIELDS_conn(N, E, T, B, S) \
	N(uint64_t, conn) \
	E(uint8_t, role, DP_ROLE_CONTROL) \
	B(pad, 7)

#define DP_FIELDS_stop_command(N, E, T, B, S) \
	N(uint64_t, grace_ns) /* 0: none given */ \
	N(uint32_t, uid) \
	N(uint8_t, force) \
	B(pad, 3) \
	T(target, DP_ID_MAX) /* uuid or name as given, "" none */

#define DP_FIELDS_command(N, E, T, B, S) \
	N(uint64_t, started_ns) /* when the command started; the record may be later */ \
	N(uint64_t, grace_ns) /* 0: none given, or not understood; 1: given as none at all */ \
	N(uint32_t, uid) \
	E(uint8_t, verb, DP_DORA_COUNT - 1) /* enum dp_dora_command */ \
	N(uint8_t, force) \
	B(pad, 2) \
	T(dataflow, DP_ID_MAX) /* uuid or name as given, "" any */ \
	T(node, DP_ID_MAX) /* of the node commands, "" all */

/* What ends a node without a Stop; comes before its NODE_FACTS, and again when that changes. */
#define DP_FIELDS_limits(N, E, T, B, S) \
	N(uint64_t, started_ns) /* the process; 0 unknown */ \
	N(uint64_t, health_ns) /* health_check_timeout of its descriptor; 0 none */ \
	N(uint64_t, startup_ns) /* startup_timeout; 0 none */ \
	N(uint64_t, finish_ns) /* finish_grace_secs; 0 none */ \
	N(uint32_t, run_parent_pid) /* whose end dora's orphan guard watches for; 0 none */ \
	E(uint8_t, dora_source, DP_DORA_FROM_COUNT - 1) /* enum dp_dora_source */ \
	N(uint8_t, foreign) /* its dora package is no distribution of dora-rs */ \
	N(uint8_t, connected) /* to its daemon */ \
	B(pad, 1)

#define DP_FIELDS_witness(N, E, T, B, S) \
	E(uint8_t, witness, DP_WITNESS_COUNT - 1) /* enum dp_witness */ \
	N(uint8_t, found) /* 0: looked for, and not there */ \
	B(pad, 6)

#define DP_FIELDS_action(N, E, T, B, S) \
	E(uint8_t, action, DP_ACTION_COUNT - 1) /* enum dp_action */ \
	E(uint8_t, result, DP_RESULT_COUNT - 1) /* enum dp_action_result */ \
	B(pad, 2) \
	N(uint32_t, signal) \
	N(uint32_t, attempt) /* from 1 */ \
	N(uint32_t, pad2) \
	T(reason, DP_REASON_MAX)

#define DP_FIELDS_loss(N, E, T, B, S) \
	E(uint32_t, reason, DP_LOSS_COUNT - 1) /* enum dp_loss */ \
	N(uint32_t, pad) \
	N(uint64_t, count) /* since the last record of this reason */

/* What a process is to a node; comes before its NODE_FACTS, and again when that changes. */
#define DP_FIELDS_member(N, E, T, B, S) \
	N(uint32_t, above_pid) /* nearest ancestor of the same node; 0 none */ \
	E(uint8_t, role, DP_MEMBER_COUNT - 1) /* enum dp_member_role */ \
	N(uint8_t, connected) /* to the daemon, by a connection of its own */ \
	N(uint8_t, proven) /* its role, by a connection of the node's */ \
	N(uint8_t, is_python) /* as far as is known yet */ \
	B(unused, 8) /* as in look */ \
	T(dataflow, DP_UUID_MAX) \
	T(node, DP_ID_MAX)

#define DP_FIELDS_share(N, E, T, B, S) \
	N(uint64_t, from_ns) \
	N(uint64_t, every_ns) /* how often a line is wanted; 0 never */ \
	N(uint64_t, cpu_ns) /* of all threads; UINT64_MAX unknown */ \
	N(uint64_t, main_cpu_ns) /* of the main thread; UINT64_MAX unknown */ \
	N(uint64_t, main_queued_ns) /* main wanted a CPU and had none; UINT64_MAX unknown */ \
	N(uint64_t, off_ns) /* as in dp_share_state, of the stretch, as all below */ \
	N(uint64_t, wait_ns) \
	N(uint32_t, samples) \
	N(uint32_t, samples_held) \
	N(uint32_t, looks) /* of the agent at the main GIL */ \
	N(uint32_t, looks_held)

#define DP_FIELDS_memory(N, E, T, B, S) \
	N(uint64_t, total) /* bytes of the file system at the process' /dev/shm */ \
	N(uint64_t, free)

#define DP_FIELDS_stock(N, E, T, B, S) \
	N(uint64_t, started_ns) /* the process; 0 unknown, as all below */ \
	N(uint64_t, daemon_started_ns) /* its daemon */ \
	N(uint64_t, signals_pending) /* sent to it and not delivered yet; a bit each */ \
	N(uint32_t, sockets) /* connections to its daemon that were found open */ \
	N(uint32_t, regions) /* messages that it has mapped: a STOCK_REGION each */ \
	N(uint32_t, regions_own) /* regions of its own messages */ \
	N(uint32_t, took_us) /* the look at sockets and regions */ \
	N(uint8_t, sockets_incomplete) /* a limit was hit: there may be others */ \
	N(uint8_t, regions_incomplete) \
	B(pad, 6) \
	T(daemon_version, 24) /* "0.5.0" */

#define DP_FIELDS_stock_region(N, E, T, B, S) \
	N(uint64_t, since_lo_ns) /* it was not mapped before: the file's last change; 0 unknown */ \
	N(uint64_t, bytes) /* of the file */ \
	T(name, DP_REGION_NAME_MAX)

#define DP_FIELDS_wait(N, E, T, B, S) \
	N(uint64_t, begin_ns) \
	N(uint64_t, switch_number) \
	N(uint32_t, holder_tid) \
	E(uint8_t, gil, DP_MAX_GILS - 1) \
	N(uint8_t, acquired) \
	B(pad, 2) \
	N(uint64_t, end_ns)

#define DP_FIELDS_gil_span(N, E, T, B, S) \
	N(uint64_t, lo_ns) \
	N(uint64_t, from_ns) \
	N(uint64_t, to_ns) \
	N(uint64_t, hi_ns) \
	N(uint64_t, off_ns) \
	E(uint8_t, gil, DP_MAX_GILS - 1) \
	N(uint8_t, preempted) \
	B(pad, 6)

#define DP_FIELDS_region(N, E, T, B, S) \
	E(uint8_t, kind, DP_REGION_KIND_COUNT - 1) \
	B(pad, 7) \
	N(uint64_t, addr) \
	T(name, DP_REGION_NAME_MAX)

#define DP_FIELDS_signal(N, E, T, B, S) \
	E(uint8_t, kind, DP_SIGNAL_HANDLED) \
	E(uint8_t, signal, 64) \
	N(uint8_t, group) \
	E(uint8_t, disposition, DP_SIGDISP_CAUGHT) \
	N(uint8_t, result) \
	B(pad, 3) \
	N(uint32_t, sender_pid) \
	N(uint32_t, pad2)

#define DP_FIELDS_fork(N, E, T, B, S) \
	N(uint32_t, child_pid) \
	N(uint32_t, child_tid)

#define DP_FIELDS_exit(N, E, T, B, S) \
	N(int32_t, status) \
	N(uint8_t, is_process) \
	N(uint8_t, is_unknown) /* nobody saw how; the status is 0 */ \
	B(pad, 2)

#define DP_FIELDS_none(N, E, T, B, S) /* the record is its header alone */

/* ---- findings ---------------------------------------------------------------------------------
 *
 * In the order of the JSON line.
 *
 *   F(kind, type, name, null, unit, meaning)   a member of the finding's struct that is a field
 *   V(kind, name, value, null, unit, meaning)  a field without a member: `value` is an expression
 *                                              of `f`, the finding, and `d`, its struct
 *   M(type, name)                              a member that is no field
 *
 * null: `maybe` where the field can be null, `never` where the model always knows it. unit: "ns" is
 * a length of time, "ns (clock)" a moment of CLOCK_MONOTONIC. kind: what values there are, which of
 * them stands for "unknown", and how they are printed:
 *
 *   NUMBER  unsigned                         TEXT      string; NULL, ""
 *   COUNT   unsigned; DP_NULL                BOOL      0, 1
 *   MOMENT  unsigned; 0, DP_NULL             TRUTH     0, 1; below 0
 *   ID      unsigned; 0                      SHARE     0 to 1; anything else
 *   LINE    signed; 0 and below              CODE      signed; below 0
 *   ESTIMATE  ratio and error, 0 to 1; a negative ratio
 *   SLACK   signed; DP_SNULL                 SIGNAL    unsigned; 0: also the field NAME_name
 *   TOKEN   bytes of a drop token; zeros     WALL      ns of the wall clock; DP_SNULL
 *   CAUSE, TRANSPORT and DEADLINE can be unknown, KIND, SEVERITY, PRECISION, STATE, STOP, WITNESS, ACTION, RESULT, EXIT,
 *   DORA, WAIT and LOSS cannot: words of names.h; PROOF and LEVEL are such, `none` stands for null. TARGETS, SOURCES, SPOILS,
 *   MISSING, READINESS, WAITERS, CHAIN, EVIDENCE, NODES and BLAMES are arrays and objects with a writer each in show/json.c.
 */

/* X(NAME of DP_FIND_*, list and member of struct dp_finding.u, event): one JSON line each. */
#define DP_FINDING_EVENTS(X) \
	X(START, start, "start") \
	X(NODE, node, "node") \
	X(GIL_HOLD, hold, "gil_hold") \
	X(GIL_WAIT, wait, "gil_wait") \
	X(TOKEN, token, "token") \
	X(WARNING, warning, "warning") \
	X(SIGNAL, signal, "signal") \
	X(STOP, stop, "stop") \
	X(ACTION, action, "action") \
	X(EXIT, exit, "exit") \
	X(LOSS, loss, "loss") \
	X(FORECAST, forecast, "forecast") \
	X(SHARE, share, "share") \
	X(STOCK, stock, "stock")

/* Every line begins with these. */
#define DP_FINDING_line(F, V, M) \
	V(NUMBER, t_ns, f->t_ns, never, "ns (clock)", "when it became true, in the model's time") \
	V(WALL, time, wall_ns(f), maybe, "", "the same in UTC, by the last known wall clock (RFC 3339)") \
	V(TEXT, event, dp_event_name(f->type), never, "", "what kind of line this is")

#define DP_FINDING_who(F, V, M, null) \
	V(ID, pid, f->pid, null, "", "the process that it is about") \
	V(TEXT, dataflow, f->dataflow, maybe, "", "uuid of its dataflow") \
	V(TEXT, node, f->node, maybe, "", "its name in the dataflow")

#define DP_FINDING_place(F, V, M) \
	V(TEXT, function, d->place.function, maybe, "", "Python function that the thread is in") \
	V(TEXT, file, d->place.file, maybe, "", "its source file") \
	V(LINE, line, d->place.line, maybe, "", "the line there") \
	V(TEXT, library, d->place.library, maybe, "", "file of the native code that the thread is in")

/* Whom the place is to be laid at: the innermost frame may be a library's. */
#define DP_FINDING_user_place(F, V, M) \
	V(TEXT, user_function, d->place.user_function, maybe, "", "the first function, from the innermost on, that is of no library (standard or installed)") \
	V(TEXT, user_file, d->place.user_file, maybe, "", "its source file") \
	V(LINE, user_line, d->place.user_line, maybe, "", "the line there") \
	V(BOOL, collecting, d->place.collecting, never, "", "Python's garbage collector runs there")

#define DP_FINDING_start(F, V, M) \
	M(const struct dp_rec_session *, session) \
	M(uint32_t, sources) /* 1 << enum dp_source each */ \
	V(TEXT, version, d->session ? d->session->version : NULL, never, "", "of dora-probe") \
	V(TEXT, kernel, d->session ? d->session->kernel : NULL, never, "", "release of the kernel") \
	V(TARGETS, targets, d->session ? d->session->targets : "", never, "", "what was to be watched, as the user named it") \
	V(SOURCES, sources, d->sources, never, "", "what is attached")

#define DP_FACT(member, unknown) (d->facts ? d->facts->member : (unknown))
#define DP_FINDING_node(F, V, M) \
	M(const struct dp_rec_node *, facts) \
	M(uint8_t, nudge_disposition) /* of the nudge signal: enum dp_signal_disposition */ \
	M(uint8_t, other_caught_signal) /* a signal that the node catches, 0 none */ \
	M(uint32_t, nudge_signal) \
	DP_FINDING_who(F, V, M, never) \
	V(TEXT, python, DP_FACT(python, NULL), maybe, "", "version of Python") \
	V(TEXT, implementation, DP_FACT(implementation, NULL), maybe, "", "cpython, pypy, or native where there is no Python") \
	V(TRUTH, free_threaded, d->facts && d->facts->is_python ? d->facts->free_threaded : -1, maybe, "", "a Python without a GIL") \
	V(TEXT, dora, DP_FACT(dora, NULL), maybe, "", "version of dora") \
	V(TRANSPORT, transport, DP_FACT(transport, DP_TRANSPORT_UNKNOWN), maybe, "", "between the node and its daemon") \
	V(BOOL, gil_observable, DP_FACT(gil_observable, 0), never, "", "holds of its GIL can be seen") \
	V(BOOL, tokens_observable, DP_FACT(tokens_observable, 0), never, "", "its drop tokens can be seen") \
	V(TEXT, reason, DP_FACT(reason, NULL), maybe, "", "why something cannot be seen") \
	V(READINESS, readiness, d, never, "", "whether a nudge would help: `nudge_signal`, its `disposition` (default, ignored or caught) and another `caught_signal` that would do") \
	V(TEXT, dataflow_name, DP_FACT(dataflow_name, NULL), maybe, "", "name of its dataflow") \
	V(ID, daemon_pid, DP_FACT(daemon_pid, 0), maybe, "", "process of its daemon") \
	F(DORA, uint8_t, dora_source, never, "", "how that version is known; assumed: it is not, and the newest dora's deadlines are taken") \
	F(COUNT, uint64_t, health_check_timeout_ns, maybe, "ns", "the daemon kills it after so long without a request") \
	F(COUNT, uint64_t, startup_timeout_ns, maybe, "ns", "the daemon kills it when it has not connected by then") \
	F(COUNT, uint64_t, finish_grace_ns, maybe, "ns", "the daemon stops it so long after all inputs have closed") \
	F(TEXT, const char *, role, maybe, "", "node, dynamic (a node that was started by hand), wrapper (started the node), helper (started by it)") \
	F(ID, uint32_t, life, maybe, "", "1 for the first process of this dataflow and node, 2 for the next") \
	F(LEVEL, uint8_t, level, maybe, "", "how much of the machine can be seen") \
	V(MISSING, missing, d->facts, never, "", "what of it is not seen, and why: the parts of `reason`")

#define DP_FINDING_hold(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(ID, uint32_t, tid, maybe, "", "the thread that held the GIL") \
	M(struct dp_place, place) \
	V(TEXT, thread, d->place.thread, maybe, "", "its name") \
	F(NUMBER, uint8_t, gil, never, "", "which GIL of the process; 0 is the main interpreter's") \
	F(MOMENT, uint64_t, start_lo_ns, maybe, "ns (clock)", "the true start is not before it") \
	F(MOMENT, uint64_t, start_ns, never, "ns (clock)", "the true start is not after it") \
	F(MOMENT, uint64_t, end_ns, never, "ns (clock)", "the true end is not before it") \
	F(MOMENT, uint64_t, end_hi_ns, maybe, "ns (clock)", "the true end is not after it") \
	V(COUNT, duration_ns, known_hold_duration(d), never, "ns", "`end_ns` - `start_ns`: the proven part") \
	F(PRECISION, uint8_t, precision, never, "", "how much of it is proven") \
	F(COUNT, uint64_t, off_cpu_ns, maybe, "ns", "of it, how long the thread was off the CPU") \
	F(TRUTH, int8_t, native, maybe, "", "within one native call") \
	DP_FINDING_place(F, V, M) \
	M(uint8_t, waiter_count) \
	M(uint32_t, waiters[DP_WAITERS_MAX]) \
	V(WAITERS, waiters, d, never, "", "threads that waited for the GIL meanwhile") \
	F(BOOL, uint8_t, dora_internal, never, "", "within dora's own code") \
	DP_FINDING_user_place(F, V, M)

#define DP_FINDING_wait(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(ID, uint32_t, tid, never, "", "the thread that waited for the GIL") \
	F(MOMENT, uint64_t, start_ns, never, "ns (clock)", "since then") \
	F(MOMENT, uint64_t, end_ns, never, "ns (clock)", "until then") \
	V(COUNT, duration_ns, known_wait_duration(d), never, "ns", "`end_ns` - `start_ns`") \
	F(ID, uint32_t, holder_tid, maybe, "", "the thread that held it when the wait began") \
	F(NUMBER, uint8_t, gil, never, "", "which GIL of the process")

#define DP_FINDING_token(F, V, M) \
	M(uint8_t, token[DP_TOKEN_LEN]) \
	M(const char *, dataflow) \
	V(TOKEN, token, d->token, maybe, "", "uuid of the drop token; null where it was delivered before the probe came") \
	V(TEXT, dataflow, d->dataflow ? d->dataflow : f->dataflow, maybe, "", "uuid of the dataflow") \
	F(TEXT, const char *, owner, maybe, "", "node that sent the message") \
	F(TEXT, const char *, receiver, maybe, "", "node that was to give the token back") \
	F(TEXT, const char *, output, maybe, "", "of the owner") \
	F(TEXT, const char *, region, maybe, "", "shared memory with the message, in /dev/shm") \
	F(ID, uint64_t, bytes, maybe, "bytes", "length of the message") \
	F(MOMENT, uint64_t, sent_ns, maybe, "ns (clock)", "by the owner") \
	F(MOMENT, uint64_t, delivered_ns, maybe, "ns (clock)", "to the receiver: pending from here") \
	F(MOMENT, uint64_t, mapped_ns, maybe, "ns (clock)", "the receiver opened the region") \
	F(MOMENT, uint64_t, released_ns, maybe, "ns (clock)", "its array was freed") \
	F(MOMENT, uint64_t, reported_ns, maybe, "ns (clock)", "given back to the daemon: pending until here") \
	F(MOMENT, uint64_t, returned_ns, maybe, "ns (clock)", "back at the owner") \
	F(MOMENT, uint64_t, given_up_ns, maybe, "ns (clock)", "estimate of when dora gave it up after Stop") \
	F(STATE, uint8_t, state, never, "", "how it ended") \
	F(COUNT, uint64_t, gil_held_ns, maybe, "ns", "of the time pending, how much the GIL cost") \
	F(CAUSE, int8_t, cause, maybe, "", "why it was pending so long") \
	F(COUNT, uint64_t, pending_ns, maybe, "ns", "time pending") \
	F(ID, uint32_t, owner_pid, maybe, "", "process of the owner, where it is watched") \
	F(ID, uint32_t, receiver_pid, maybe, "", "process of the receiver, where it is watched") \
	M(uint8_t, print) /* passes --token-threshold: a line is to be printed */

/* Whom the holder that a warning names waits for. */
#define DP_FINDING_chain(F, V, M) \
	M(const struct dp_rec_waits *, chain) \
	M(uint8_t, chain_proof) /* enum dp_proof */ \
	V(CHAIN, chain, d->chain, maybe, "", "whom the holder waits for, whom that thread waits for, and so on, as objects") \
	V(PROOF, chain_proof, d->chain_proof, maybe, "", "of a deadlock: what shows that the chain ends at the GIL")

#define DP_FINDING_warning(F, V, M) \
	F(KIND, uint8_t, kind, never, "", "what it warns of") \
	F(SEVERITY, uint8_t, severity, never, "", "how bad it is") \
	DP_FINDING_who(F, V, M, maybe) \
	F(CAUSE, int8_t, cause, maybe, "", "why it is so") \
	F(ID, uint32_t, holder_tid, maybe, "", "the thread that holds the GIL") \
	M(struct dp_place, place) \
	DP_FINDING_place(F, V, M) \
	F(COUNT, uint64_t, held_ns, maybe, "ns", "the hold so far") \
	F(COUNT, uint64_t, pending_tokens, maybe, "", "drop tokens that are pending at the node") \
	F(COUNT, uint64_t, oldest_pending_ns, maybe, "ns", "for how long the oldest of them is") \
	F(MOMENT, uint64_t, deadline_ns, maybe, "ns (clock)", "when the daemon ends it unless something changes") \
	F(SLACK, int64_t, slack_ns, maybe, "ns", "time to spare until then; negative: too late") \
	F(TEXT, const char *, advice, maybe, "", "what helps") \
	F(BOOL, uint8_t, resolved, never, "", "the same warning ends") \
	V(TEXT, thread, d->place.thread, maybe, "", "name of the thread at the place") \
	F(COUNT, uint64_t, not_polling_ns, maybe, "ns", "for how long at least its consumer has not come back to next()") \
	F(MOMENT, uint64_t, asleep_since_ns, maybe, "ns (clock)", "since when the consumer is in the sleep that it is in") \
	F(EVIDENCE, uint32_t, evidence, never, "", "what proves it, as an array of words") \
	F(DEADLINE, uint8_t, deadline_source, maybe, "", "where the deadline comes from") \
	DP_FINDING_chain(F, V, M) \
	DP_FINDING_user_place(F, V, M)

#define DP_FINDING_signal(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(SIGNAL, uint32_t, signal, maybe, "", "number of the signal") \
	F(ID, uint32_t, sender_pid, maybe, "", "process that sent it") \
	F(MOMENT, uint64_t, sent_ns, maybe, "ns (clock)", "sent") \
	F(MOMENT, uint64_t, delivered_ns, maybe, "ns (clock)", "delivered to a thread") \
	F(MOMENT, uint64_t, handled_ns, maybe, "ns (clock)", "its Python handler ran") \
	F(ID, uint32_t, tid, maybe, "", "the thread that it was delivered to")

#define DP_FINDING_stop(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(STOP, uint8_t, reason, never, "", "what tells the node to end") \
	F(MOMENT, uint64_t, deadline_ns, maybe, "ns (clock)", "when the daemon sends its first signal") \
	F(SIGNAL, uint32_t, kill_signal, maybe, "", "which signal that is") \
	F(DEADLINE, uint8_t, deadline_source, maybe, "", "where the deadline comes from") \
	F(WITNESS, uint8_t, witness, never, "", "by whom it is known")

#define DP_FINDING_action(F, V, M) \
	DP_FINDING_who(F, V, M, maybe) \
	F(ACTION, uint8_t, action, never, "", "what the probe did or would have done") \
	F(SIGNAL, uint32_t, signal, maybe, "", "number of the signal") \
	F(ID, uint32_t, tid, maybe, "", "the thread that it went to") \
	F(BOOL, uint8_t, dry_run, never, "", "nothing was to be sent") \
	F(RESULT, uint8_t, result, never, "", "what came of it") \
	F(TEXT, const char *, reason, maybe, "", "why, in words") \
	F(ID, uint32_t, attempt, maybe, "", "how many times by now")

#define DP_FINDING_exit(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(CODE, int32_t, code, maybe, "", "exit code; null when a signal ended it") \
	F(SIGNAL, uint32_t, signal, maybe, "", "number of the signal that ended it") \
	F(ID, uint32_t, killer_pid, maybe, "", "process that sent it") \
	F(COUNT, uint64_t, since_stop_ns, maybe, "ns", "time since Stop; null where Stop itself was not seen") \
	F(BOOL, uint8_t, grace_kill, never, "", "its grace period was over: killed by the daemon, or ended after the daemon's SIGTERM") \
	F(CAUSE, int8_t, cause, maybe, "", "why it did not end by itself") \
	F(SHARE, double, gil_share, maybe, "0 to 1", "of the time from Stop to the exit (or of the grace before a kill whose Stop was not seen), how much of it others or a native call held the GIL") \
	F(COUNT, uint64_t, tokens_abandoned, maybe, "", "drop tokens that it never gave back") \
	F(BOOL, uint8_t, saved, never, "", "left in time after a nudge") \
	F(EXIT, uint8_t, reason, never, "", "how it ended") \
	F(TEXT, const char *, explanation, maybe, "", "what the signal that ended it means, where that is known")

#define DP_FINDING_loss(F, V, M) \
	F(LOSS, uint32_t, reason, never, "", "where something was lost") \
	F(NUMBER, uint64_t, count, never, "", "how much since the last such line") \
	F(NUMBER, uint64_t, total, never, "", "how much since the start") \
	DP_FINDING_who(F, V, M, maybe) \
	V(SPOILS, spoils, dp_loss_spoils(d->reason), never, "", "what it can have spoilt")

#define DP_FINDING_forecast(F, V, M) \
	DP_FINDING_who(F, V, M, maybe) \
	F(COUNT, uint64_t, need_ns, maybe, "ns", "time that a stop would take now") \
	F(COUNT, uint64_t, grace_ns, maybe, "ns", "time that it would be given") \
	F(BOOL, uint8_t, at_risk, never, "", "it would not make it") \
	F(BOOL, uint8_t, at_least, never, "", "`need_ns` has a hold of unknown length in it") \
	F(TEXT, const char *, text, maybe, "", "the same as a sentence")

/* What a node's time went to. Estimates: with the standard error of each. */
#define DP_FINDING_estimates(F, V, M) \
	F(ESTIMATE, struct dp_estimate, gil_held, maybe, "", "of the time, for how much a thread held the GIL") \
	F(ESTIMATE, struct dp_estimate, gil_wait, maybe, "", "for how much a thread waited for it") \
	F(ESTIMATE, struct dp_estimate, running_without_gil, maybe, "", "for how much a thread ran on a CPU without it") \
	F(ESTIMATE, struct dp_estimate, blocked, maybe, "", "for how much the main thread, where that takes the events, was asleep without it and did not wait for it: in next() too")

#define DP_FINDING_share(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(COUNT, uint64_t, duration_ns, never, "ns", "the time that it is about, up to `t_ns`") \
	DP_FINDING_estimates(F, V, M)

#define DP_FINDING_stock(F, V, M) \
	DP_FINDING_who(F, V, M, never) \
	F(MOMENT, uint64_t, started_ns, maybe, "ns (clock)", "when the process began, to 10 ms") \
	F(NUMBER, uint64_t, connections, never, "", "to its daemon, that were found open") \
	F(NUMBER, uint64_t, messages, never, "", "that it has mapped: a pending token each") \
	F(MOMENT, uint64_t, oldest_lo_ns, maybe, "ns (clock)", "none of them was mapped before: by the times of the files") \
	F(NUMBER, uint64_t, regions_own, never, "", "shared memory of its own messages") \
	F(NUMBER, uint64_t, signals_pending, never, "", "sent and not delivered: 1 << (number - 1) each") \
	F(MOMENT, uint64_t, stop_command_ns, maybe, "ns (clock)", "a `dora stop`, or the like, of its dataflow was started, and runs") \
	F(MOMENT, uint64_t, daemon_started_ns, maybe, "ns (clock)", "when its daemon began") \
	F(TEXT, const char *, daemon, maybe, "", "version of the daemon's package") \
	F(BOOL, uint8_t, complete, never, "", "no limit cut the look at its sockets and memory") \
	F(COUNT, uint64_t, took_ns, never, "ns", "how long that look took") \
	F(TEXT, const char *, unknown, maybe, "", "what cannot be known, of all that ran before the probe: said once a run")

/* The line of the summary is made of several findings: its begin, its nodes, its end. */
#define DP_FINDING_summary(F, V, M) \
	F(NUMBER, uint64_t, records, never, "", "records that the model was given") \
	F(NUMBER, uint64_t, records_lost, never, "", "records that were lost") \
	F(COUNT, uint64_t, recommended_grace_ns, maybe, "ns", "grace period that the whole dataflow needs") \
	F(TEXT, const char *, recommendation, maybe, "", "how that came about") \
	M(uint32_t, nodes) \
	V(NODES, nodes, NULL, never, "", "an object for each node, with the fields below")
#define DP_FINDING_summary_end(F, V, M) \
	V(NUMBER, nodes_left_out, s->nodes_left_out, never, "", "nodes for which the line had no room")

#define DP_FINDING_summary_node(F, V, M) \
	M(const char *, dataflow) \
	M(const char *, node) \
	V(ID, pid, f->pid, never, "", "its process") \
	V(TEXT, dataflow, d->dataflow ? d->dataflow : f->dataflow, maybe, "", "uuid of its dataflow") \
	V(TEXT, node, d->node ? d->node : f->node, maybe, "", "its name in the dataflow") \
	F(COUNT, uint64_t, holds, never, "", "proven holds of its GIL, of any length") \
	F(COUNT, uint64_t, max_hold_ns, maybe, "ns", "the longest of them") \
	F(TEXT, const char *, max_hold_function, maybe, "", "where that one was") \
	F(COUNT, uint64_t, gil_held_ns, never, "ns", "all of them") \
	F(COUNT, uint64_t, tokens, maybe, "", "drop tokens that it was given") \
	F(COUNT, uint64_t, tokens_abandoned, maybe, "", "of these, never given back") \
	F(COUNT, uint64_t, max_pending_ns, maybe, "ns", "the longest time that one was pending") \
	F(COUNT, uint64_t, recommended_grace_ns, maybe, "ns", "grace period that it needs") \
	F(COUNT, uint64_t, tokens_open, maybe, "", "drop tokens that are pending still") \
	F(COUNT, uint64_t, tokens_lost, maybe, "", "drop tokens whose trail was lost") \
	F(ID, uint32_t, lives, maybe, "", "how many processes it has had, one after the other") \
	M(uint32_t, blame_count) \
	M(struct dp_blame, blame[DP_BLAME_MAX]) \
	V(BLAMES, blame, d, never, "", "functions whose holds cost the most token time, as objects") \
	DP_FINDING_estimates(F, V, M) \
	F(MOMENT, uint64_t, since_ns, maybe, "ns (clock)", "all of this counts from then on") \
	F(BOOL, uint8_t, since_attach, never, "", "the process ran before: what happened before the probe came is not counted")

/* One object of `warning.chain`. */
#define DP_FINDING_link(F, V, M) \
	V(ID, tid, d->tid, never, "", "a thread") \
	V(TEXT, thread, d->thread, maybe, "", "its name") \
	V(WAIT, waits, d->waits, never, "", "what it waits for") \
	V(ID, for_tid, d->for_tid, maybe, "", "the thread that has it, which is the next object") \
	V(TEXT, function, d->function, maybe, "", "Python function that the thread is in") \
	V(TEXT, file, d->file, maybe, "", "its source file") \
	V(LINE, line, d->line, maybe, "", "the line there") \
	V(TEXT, library, d->library, maybe, "", "file of the native code that waits")

#define DP_FINDING_blame(F, V, M) \
	F(COUNT, uint64_t, token_ns, maybe, "ns", "token time that its holds cost") \
	F(COUNT, uint64_t, held_ns, maybe, "ns", "its holds") \
	M(char, function[DP_FUNCTION_MAX]) \
	V(TEXT, function, d->function, maybe, "", "name of the function") \
	M(char, file[DP_FILE_MAX]) \
	V(TEXT, file, d->file, maybe, "", "its source file") \
	F(LINE, int32_t, line, maybe, "", "the line there")

#endif
