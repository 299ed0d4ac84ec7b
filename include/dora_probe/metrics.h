/* SPDX-License-Identifier: MIT */
/*
 * Every metric of the endpoint, once. The list feeds the exposition (agent/serve/openmetrics.c), the
 * table in dashboards/metrics.md and the tests.
 *
 * X(ENUM, TYPE, SCOPE, "family", "unit", "labels", "help")
 *   family  without `_total` (COUNTER) and `_info` (INFO), which the sample names get. SELF
 * families carry the customary names; all others get the prefix `dora_probe_`. unit    OpenMetrics
 * wants it to be the end of the family's name; "" where there is none (infos and plain states may
 * not have one). labels  beside those of the scope: NODE has `dataflow` and `node`, PROBE and SELF
 * have none.
 */
#ifndef DORA_PROBE_METRICS_H
#define DORA_PROBE_METRICS_H

#define DP_METRIC_PREFIX "dora_probe_"

#define DP_METRICS(X)                                                                              \
	X(NODE_INFO, INFO, NODE, "node", "", "python,dora,transport,dataflow_name",                \
	  "A watched node: versions and transport as far as they are known; always 1")             \
	X(GIL_HELD, COUNTER, NODE, "gil_held_seconds", "seconds", "",                              \
	  "Time the GIL was proven to be held")                                                    \
	X(GIL_HOLD, HISTOGRAM, NODE, "gil_hold_duration_seconds", "seconds", "",                   \
	  "Length of proven holds of the GIL")                                                     \
	X(GIL_WAIT, HISTOGRAM, NODE, "gil_wait_duration_seconds", "seconds", "",                   \
	  "Length of waits for the GIL that outlived one switch interval")                         \
	X(CURRENT_HOLD, GAUGE, NODE, "gil_current_hold_seconds", "seconds", "",                    \
	  "How long the present hold of the GIL has lasted; 0: not held as far as is proven")      \
	X(NOT_POLLING, GAUGE, NODE, "not_polling_seconds", "seconds", "",                          \
	  "For how long the consumer has not come back to next(), as far as is proven; 0: it has") \
	X(GIL_HELD_RATIO, GAUGE, NODE, "gil_held_ratio", "ratio", "",                              \
	  "Share of the last five seconds in which a thread held the GIL, estimated")              \
	X(GIL_WAIT_RATIO, GAUGE, NODE, "gil_wait_ratio", "ratio", "",                              \
	  "Share of the last five seconds in which a thread waited for the GIL")                   \
	X(WITHOUT_GIL_RATIO, GAUGE, NODE, "running_without_gil_ratio", "ratio", "",                \
	  "Share of the last five seconds in which a thread ran without the GIL, estimated")       \
	X(BLOCKED_RATIO, GAUGE, NODE, "blocked_ratio", "ratio", "",                                \
	  "Share of the last five seconds in which the main thread was asleep without the GIL")    \
	X(GIL_SHARE_ERROR, GAUGE, NODE, "gil_held_error_ratio", "ratio", "",                       \
	  "Standard error of gil_held_ratio")                                                      \
	X(TOKENS_PENDING, GAUGE, NODE, "drop_tokens_pending", "", "",                              \
	  "Drop tokens that the node has received and not yet reported back")                      \
	X(OLDEST_PENDING, GAUGE, NODE, "drop_token_oldest_pending_seconds", "seconds", "",         \
	  "Age of the oldest pending drop token; 0: none")                                         \
	X(TOKENS, COUNTER, NODE, "drop_tokens", "tokens", "outcome",                               \
	  "Drop tokens by how they ended")                                                         \
	X(TOKEN_PENDING, HISTOGRAM, NODE, "drop_token_pending_seconds", "seconds", "",             \
	  "How long drop tokens were pending")                                                     \
	X(TOKEN_GIL_DELAY, COUNTER, NODE, "drop_token_gil_delay_seconds", "seconds", "",           \
	  "Pending time of drop tokens during which the GIL was kept from their release")          \
	X(STOP_PENDING, GAUGE, NODE, "stop_pending", "", "",                                       \
	  "1 while the node has been told to stop and has not left")                               \
	X(STOP_SLACK, GAUGE, NODE, "stop_slack_seconds", "seconds", "",                            \
	  "Time left before the kill beyond what the node still needs; only while a deadline "     \
	  "runs")                                                                                  \
	X(STOP_DURATION, HISTOGRAM, NODE, "stop_duration_seconds", "seconds", "",                  \
	  "From the stop to the node's exit")                                                      \
	X(STOP_FORECAST, GAUGE, NODE, "stop_forecast_seconds", "seconds", "",                      \
	  "What a stop now would take, from what was measured; absent while unknown")              \
	X(GRACE, GAUGE, NODE, "stop_grace_seconds", "seconds", "",                                 \
	  "Grace period that the node has after a stop; absent while unknown")                     \
	X(RECOMMENDED_GRACE, GAUGE, NODE, "recommended_grace_seconds", "seconds", "",              \
	  "Grace period that the measurements call for; absent while unknown")                     \
	X(NODE_EXITS, COUNTER, NODE, "node_exits", "exits", "reason",                              \
	  "Ends of the node's process by reason")                                                  \
	X(NODE_LIVES, COUNTER, NODE, "node_lives", "lives", "",                                    \
	  "Processes that the node has had, one after the other")                                  \
	X(SIGNAL_DELAY, HISTOGRAM, NODE, "signal_handling_delay_seconds", "seconds", "",           \
	  "From a signal's sending to its handling by the node")                                   \
	X(WARNINGS, COUNTER, NODE, "warnings", "warnings", "kind,cause",                           \
	  "Warnings raised by kind and cause")                                                     \
	X(ACTIONS, COUNTER, NODE, "actions", "actions", "action,result",                           \
	  "What the probe did, or in observe mode would have done")                                \
	X(OBSERVATION_LEVEL, GAUGE, NODE, "observation_level", "", "level",                        \
	  "1 at the level at which the node is watched: full, fallback, sampling")                 \
	X(NODES_WATCHED, GAUGE, PROBE, "watched_nodes", "nodes", "",                               \
	  "Nodes that are being watched now")                                                      \
	X(RECORDS, COUNTER, PROBE, "records", "records", "",                                       \
	  "Records that the model has taken in")                                                   \
	X(RECORDS_LOST, COUNTER, PROBE, "records_lost", "", "reason",                              \
	  "Records lost or cut by where it happened")                                              \
	X(BPF_RUN, COUNTER, PROBE, "bpf_run_seconds", "seconds", "program",                        \
	  "Run time of the kernel programs, scaled from the windows in which it is counted")       \
	X(OVERHEAD, GAUGE, PROBE, "overhead_ratio", "ratio", "",                                   \
	  "Cost of the probe as a share of one core per watched process")                          \
	X(SOURCE_ACTIVE, GAUGE, PROBE, "source_active", "", "source",                              \
	  "1 while a source of records is on")                                                     \
	X(RENDER, GAUGE, PROBE, "exposition_duration_seconds", "seconds", "",                      \
	  "Time that making the previous exposition took")                                         \
	X(SERIES_EXPIRED, COUNTER, PROBE, "series_nodes_expired", "", "",                          \
	  "Nodes whose series were removed because the node had left")                             \
	X(BUILD_INFO, INFO, PROBE, "build", "", "version", "Version of the probe; always 1")       \
	X(CPU, COUNTER, SELF, "process_cpu_seconds", "seconds", "",                                \
	  "User and system CPU time of the probe")                                                 \
	X(RSS, GAUGE, SELF, "process_resident_memory_bytes", "bytes", "",                          \
	  "Resident memory of the probe")                                                          \
	X(VSIZE, GAUGE, SELF, "process_virtual_memory_bytes", "bytes", "",                         \
	  "Virtual memory of the probe")                                                           \
	X(OPEN_FDS, GAUGE, SELF, "process_open_fds", "fds", "",                                    \
	  "Open file descriptors of the probe")                                                    \
	X(MAX_FDS, GAUGE, SELF, "process_max_fds", "fds", "", "Limit of open file descriptors")    \
	X(START_TIME, GAUGE, SELF, "process_start_time_seconds", "seconds", "",                    \
	  "Start of the probe in seconds since the epoch")

#define DP_X_METRIC(e, type, scope, family, unit, labels, help) DP_METRIC_##e,
enum dp_metric_id { DP_METRICS(DP_X_METRIC) DP_METRIC_COUNT };

enum dp_metric_type {
	DP_METRIC_TYPE_INFO,
	DP_METRIC_TYPE_COUNTER,
	DP_METRIC_TYPE_GAUGE,
	DP_METRIC_TYPE_HISTOGRAM
};
enum dp_metric_scope { DP_METRIC_SCOPE_NODE, DP_METRIC_SCOPE_PROBE, DP_METRIC_SCOPE_SELF };

/*
 * Upper bounds of the histograms' buckets in nanoseconds with their printed `le`; +Inf is implied.
 * They sit on the numbers that matter: 5 ms is CPython's switch interval, 50 ms, 500 ms and 1 s are
 * the default thresholds, 2 s and 5 s their warning and critical steps and dora's drop wait, 10 s
 * and 15 s dora's grace periods. A wait is only seen once it has outlived 5 ms.
 */
#define DP_BUCKETS_GIL_HOLD(X)                                                                     \
	X(5000000, "0.005")                                                                        \
	X(20000000, "0.02")                                                                        \
	X(50000000, "0.05")                                                                        \
	X(100000000, "0.1")                                                                        \
	X(250000000, "0.25")                                                                       \
	X(500000000, "0.5")                                                                        \
	X(1000000000, "1.0")                                                                       \
	X(2000000000, "2.0")                                                                       \
	X(5000000000, "5.0") X(10000000000, "10.0") X(15000000000, "15.0") X(60000000000, "60.0")
#define DP_BUCKETS_TOKEN_PENDING(X) DP_BUCKETS_GIL_HOLD(X)
#define DP_BUCKETS_GIL_WAIT(X)                                                                     \
	X(5000000, "0.005")                                                                        \
	X(20000000, "0.02")                                                                        \
	X(50000000, "0.05")                                                                        \
	X(100000000, "0.1")                                                                        \
	X(500000000, "0.5")                                                                        \
	X(1000000000, "1.0")                                                                       \
	X(2000000000, "2.0") X(5000000000, "5.0") X(15000000000, "15.0") X(60000000000, "60.0")
#define DP_BUCKETS_STOP_DURATION(X)                                                                \
	X(100000000, "0.1")                                                                        \
	X(500000000, "0.5")                                                                        \
	X(1000000000, "1.0")                                                                       \
	X(2000000000, "2.0")                                                                       \
	X(5000000000, "5.0") X(10000000000, "10.0") X(15000000000, "15.0") X(60000000000, "60.0")
#define DP_BUCKETS_SIGNAL_DELAY(X)                                                                 \
	X(5000000, "0.005")                                                                        \
	X(50000000, "0.05")                                                                        \
	X(500000000, "0.5")                                                                        \
	X(1000000000, "1.0")                                                                       \
	X(5000000000, "5.0") X(10000000000, "10.0") X(15000000000, "15.0") X(60000000000, "60.0")
#define DP_BUCKETS_MAX 12

#endif
