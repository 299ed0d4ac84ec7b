/* SPDX-License-Identifier: MIT */
/* One finding of each type, with everything known or with nothing known, for the tests of show/. */
#ifndef DORA_PROBE_TEST_FINDINGS_H
#define DORA_PROBE_TEST_FINDINGS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "show/show.h"

/* 2026-11-23T07:02:27.123456Z at t_ns = 100 s. */
#define T0          100000000000ULL
#define WALL_OFFSET (1795417347123456000LL - 100000000000LL)

static const struct dp_rec_session full_session = {
	.version = "0.1.0", .kernel = "6.1.0", .targets = "camera,1234"};
static const struct dp_rec_node full_facts = {
	.is_dora = 1,
	.is_python = 1,
	.transport = DP_TRANSPORT_TCP,
	.gil_observable = 1,
	.tokens_observable = 0,
	.daemon_pid = 99,
	.dataflow = "0190-uuid",
	.dataflow_name = "flow",
	.node = "camera",
	.python = "3.11.7",
	.implementation = "cpython",
	.dora = "0.5.0",
	.reason = "the sockets were opened before",
};
static const struct dp_rec_node empty_facts;
static const struct dp_rec_waits full_chain = {
	.link_count = 2,
	.owned = 2,
	.links = {{.tid = 1240,
		   .for_tid = 1241,
		   .waits = DP_WAIT_MUTEX,
		   .line = 12,
		   .thread = "MainThread",
		   .function = "process",
		   .file = "vision.py",
		   .library = "libvision.so"},
		  {.tid = 1241, .waits = DP_WAIT_GIL, .thread = "worker"}},
};
static const struct dp_place full_place = {.thread = "MainThread",
					   .function = "process",
					   .file = "vision.py",
					   .library = "libvision.so",
					   .line = 42,
					   .user_function = "process",
					   .user_file = "vision.py",
					   .user_line = 42};

static inline struct dp_token_finding full_token(void)
{
	return (struct dp_token_finding){
		.token = {1, 0x90, 0xab, 0xcd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		.dataflow = "0190-uuid",
		.owner = "camera",
		.receiver = "detector",
		.output = "image",
		.region = "shmem_1f",
		.owner_pid = 1234,
		.receiver_pid = 1300,
		.bytes = 1048576,
		.sent_ns = T0 - 1300 * MS,
		.delivered_ns = T0 - 1299 * MS,
		.mapped_ns = T0 - 1290 * MS,
		.released_ns = T0 - 10 * MS,
		.reported_ns = T0 - 9 * MS,
		.returned_ns = T0,
		.given_up_ns = T0 - 1,
		.pending_ns = 1290 * MS,
		.state = DP_TOKEN_RETURNED,
		.gil_held_ns = 1200 * MS,
		.cause = DP_CAUSE_GIL_NATIVE,
		.print = 1};
}

static inline struct dp_warning_finding full_warning(void)
{
	return (struct dp_warning_finding){.kind = DP_WARN_TOKEN_PENDING,
					   .severity = DP_SEVERITY_WARNING,
					   .cause = DP_CAUSE_GIL_NATIVE,
					   .holder_tid = 1240,
					   .place = full_place,
					   .held_ns = 2 * SEC,
					   .pending_tokens = 3,
					   .oldest_pending_ns = 1500 * MS,
					   .deadline_ns = T0 + 8 * SEC,
					   .slack_ns = -500 * (int64_t)MS,
					   .deadline_source = DP_DEADLINE_VERSION,
					   .not_polling_ns = 4 * SEC,
					   .asleep_since_ns = T0 - 4 * SEC,
					   .evidence = 1u << DP_EVIDENCE_ASLEEP |
						       1u << DP_EVIDENCE_INPUTS_UNTAKEN,
					   .advice = "release the GIL in that call, or split it",
					   .chain = &full_chain,
					   .chain_proof = DP_PROOF_OWNERS};
}

static inline struct dp_stock_finding full_stock(void)
{
	return (struct dp_stock_finding){.started_ns = T0 - 25 * SEC,
					 .connections = 4,
					 .messages = 300,
					 .oldest_lo_ns = T0 - 24 * SEC,
					 .regions_own = 2,
					 .signals_pending = 1 << 14,
					 .stop_command_ns = T0 - 2 * SEC,
					 .daemon_started_ns = T0 - 90 * SEC,
					 .daemon = "0.5.0",
					 .complete = 1,
					 .took_ns = 3 * MS,
					 .unknown = "what was before"};
}

static inline struct dp_summary_node_finding full_summary_node(void)
{
	return (struct dp_summary_node_finding){.dataflow = "0190-uuid",
						.node = "camera",
						.holds = 12,
						.max_hold_ns = 1230 * MS,
						.gil_held_ns = 8100 * MS,
						.max_hold_function = "process",
						.tokens = 340,
						.tokens_abandoned = 57,
						.tokens_open = 1,
						.tokens_lost = 2,
						.max_pending_ns = 1340 * MS,
						.recommended_grace_ns = 12 * SEC + 1,
						.gil_held = {0.8123, 0.0112},
						.gil_wait = {0.05, 0},
						.running_without_gil = {0.1, 0.0112},
						.blocked = {0.0377, 0.0004},
						.since_ns = T0 - 25 * SEC,
						.since_attach = 1,
						.lives = 1,
						.blame_count = 1,
						.blame = {{.function = "process",
							   .file = "vision.py",
							   .line = 42,
							   .token_ns = 12300 * MS,
							   .held_ns = 8 * SEC}}};
}

static inline struct dp_finding finding_full(enum dp_finding_type type)
{
	struct dp_finding f = {.type = (uint8_t)type,
			       .t_ns = T0,
			       .wall_offset_ns = WALL_OFFSET,
			       .pid = 1234,
			       .dataflow = "0190-uuid",
			       .node = "camera"};

	switch (type) {
	case DP_FIND_START:
		f.u.start.session = &full_session;
		f.u.start.sources = 1u << DP_SOURCE_FUTEX | 1u << DP_SOURCE_SAMPLER;
		break;
	case DP_FIND_NODE:
		f.u.node = (struct dp_node_finding){.facts = &full_facts,
						    .nudge_signal = 2,
						    .level = DP_LEVEL_FULL,
						    .health_check_timeout_ns = 15 * SEC,
						    .startup_timeout_ns = 60 * SEC,
						    .finish_grace_ns = 10 * SEC,
						    .role = "node",
						    .life = 1,
						    .nudge_disposition = DP_SIGDISP_IGNORED,
						    .other_caught_signal = 10};
		break;
	case DP_FIND_GIL_HOLD:
		f.u.hold = (struct dp_hold_finding){.tid = 1240,
						    .precision = DP_PRECISION_BOUNDED,
						    .native = 1,
						    .waiter_count = 2,
						    .waiters = {1241, 1242},
						    .start_lo_ns = T0 - 1250 * MS,
						    .start_ns = T0 - 1210 * MS,
						    .end_ns = T0 - 5 * MS,
						    .end_hi_ns = T0,
						    .off_cpu_ns = 7 * MS,
						    .place = full_place};
		break;
	case DP_FIND_GIL_WAIT:
		f.u.wait = (struct dp_wait_finding){
			.tid = 1241, .holder_tid = 1240, .start_ns = T0 - 12 * MS, .end_ns = T0};
		break;
	case DP_FIND_TOKEN:
		f.u.token = full_token();
		break;
	case DP_FIND_WARNING:
		f.u.warning = full_warning();
		break;
	case DP_FIND_SIGNAL:
		f.u.signal = (struct dp_signal_finding){.signal = 2,
							.sender_pid = 99,
							.tid = 1234,
							.sent_ns = T0 - 1200 * MS,
							.delivered_ns = T0 - 1100 * MS,
							.handled_ns = T0};
		break;
	case DP_FIND_STOP:
		f.u.stop = (struct dp_stop_finding){.reason = DP_STOP_STOP,
						    .deadline_ns = T0 + 10 * SEC,
						    .deadline_source = DP_DEADLINE_VERSION,
						    .kill_signal = 15};
		break;
	case DP_FIND_ACTION:
		f.u.action = (struct dp_action_finding){.action = DP_ACTION_NUDGE,
							.result = DP_RESULT_SENT,
							.signal = 2,
							.tid = 1240,
							.attempt = 2,
							.reason = "held since before Stop"};
		break;
	case DP_FIND_EXIT:
		f.u.exit = (struct dp_exit_finding){.code = 0,
						    .signal = 9,
						    .reason = DP_EXIT_GRACE_KILL,
						    .grace_kill = 1,
						    .cause = DP_CAUSE_GIL_NATIVE,
						    .killer_pid = 99,
						    .since_stop_ns = 15 * SEC,
						    .gil_share = 0.984,
						    .explanation = "why",
						    .tokens_abandoned = 57};
		break;
	case DP_FIND_LOSS:
		f.u.loss = (struct dp_loss_finding){
			.reason = DP_LOSS_RING_FULL, .count = 12, .total = 34};
		break;
	case DP_FIND_FORECAST:
		f.u.forecast = (struct dp_forecast_finding){.need_ns = 12 * SEC,
							    .grace_ns = 10 * SEC,
							    .at_risk = 1,
							    .text = "it needs 12 s"};
		break;
	case DP_FIND_SHARE:
		f.u.share = (struct dp_share_finding){.duration_ns = 10 * SEC,
						      .gil_held = {0.8123, 0.0112},
						      .gil_wait = {0.05, 0},
						      .running_without_gil = {0.1, 0.0112},
						      .blocked = {0.0377, 0.0004}};
		break;
	case DP_FIND_STOCK:
		f.u.stock = full_stock();
		break;
	case DP_FIND_SUMMARY:
		f.u.summary = (struct dp_summary_finding){.records = 12345,
							  .records_lost = 3,
							  .nodes = 1,
							  .recommendation = "camera",
							  .recommended_grace_ns = 12 * SEC};
		break;
	case DP_FIND_SUMMARY_NODE:
		f.u.summary_node = full_summary_node();
		break;
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
	return f;
}

static inline struct dp_finding finding_empty(enum dp_finding_type type)
{
	struct dp_finding f = {.type = (uint8_t)type, .t_ns = T0, .wall_offset_ns = DP_SNULL};

	switch (type) {
	case DP_FIND_NODE:
		f.u.node = (struct dp_node_finding){.facts = &empty_facts,
						    .health_check_timeout_ns = DP_NULL,
						    .startup_timeout_ns = DP_NULL,
						    .finish_grace_ns = DP_NULL};
		break;
	case DP_FIND_GIL_HOLD:
		f.u.hold = (struct dp_hold_finding){.native = -1,
						    .start_lo_ns = DP_NULL,
						    .start_ns = DP_NULL,
						    .end_ns = DP_NULL,
						    .end_hi_ns = DP_NULL,
						    .off_cpu_ns = DP_NULL};
		break;
	case DP_FIND_GIL_WAIT:
		f.u.wait = (struct dp_wait_finding){.start_ns = DP_NULL, .end_ns = DP_NULL};
		break;
	case DP_FIND_TOKEN:
		f.u.token = (struct dp_token_finding){.sent_ns = DP_NULL,
						      .delivered_ns = DP_NULL,
						      .mapped_ns = DP_NULL,
						      .released_ns = DP_NULL,
						      .reported_ns = DP_NULL,
						      .returned_ns = DP_NULL,
						      .given_up_ns = DP_NULL,
						      .pending_ns = DP_NULL,
						      .gil_held_ns = DP_NULL,
						      .cause = -1,
						      .print = 1};
		break;
	case DP_FIND_WARNING:
		f.u.warning = (struct dp_warning_finding){.cause = -1,
							  .held_ns = DP_NULL,
							  .pending_tokens = DP_NULL,
							  .oldest_pending_ns = DP_NULL,
							  .deadline_ns = DP_NULL,
							  .slack_ns = DP_SNULL,
							  .not_polling_ns = DP_NULL};
		break;
	case DP_FIND_SIGNAL:
		f.u.signal = (struct dp_signal_finding){
			.sent_ns = DP_NULL, .delivered_ns = DP_NULL, .handled_ns = DP_NULL};
		break;
	case DP_FIND_STOP:
		f.u.stop.deadline_ns = DP_NULL;
		break;
	case DP_FIND_EXIT:
		f.u.exit = (struct dp_exit_finding){.code = -1,
						    .cause = -1,
						    .since_stop_ns = DP_NULL,
						    .gil_share = -1.0,
						    .tokens_abandoned = DP_NULL};
		break;
	case DP_FIND_FORECAST:
		f.u.forecast =
			(struct dp_forecast_finding){.need_ns = DP_NULL, .grace_ns = DP_NULL};
		break;
	case DP_FIND_SUMMARY:
		f.u.summary.recommended_grace_ns = DP_NULL;
		break;
	case DP_FIND_SUMMARY_NODE:
		f.u.summary_node = (struct dp_summary_node_finding){.max_hold_ns = DP_NULL,
								    .gil_held_ns = DP_NULL,
								    .max_pending_ns = DP_NULL,
								    .tokens_open = DP_NULL,
								    .tokens_lost = DP_NULL,
								    .recommended_grace_ns = DP_NULL,
								    .gil_held = {-1, -1},
								    .gil_wait = {-1, -1},
								    .running_without_gil = {-1, -1},
								    .blocked = {-1, -1}};
		break;
	case DP_FIND_SHARE:
		f.u.share = (struct dp_share_finding){.duration_ns = DP_NULL,
						      .gil_held = {-1, -1},
						      .gil_wait = {-1, -1},
						      .running_without_gil = {-1, -1},
						      .blocked = {-1, -1}};
		break;
	case DP_FIND_START:
	case DP_FIND_ACTION:
	case DP_FIND_LOSS:
	case DP_FIND_STOCK:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
	return f;
}

/* A temporary file that is already unlinked. */
static inline int temp_fd(void)
{
	char path[] = "/tmp/dora-probe-test.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		abort();
	unlink(path);
	return fd;
}

/* All that was written to fd, as a string owned by the caller. */
static inline char *read_all(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = malloc((size_t)len + 1);

	if (!text || pread(fd, text, (size_t)len, 0) != (ssize_t)len)
		abort();
	text[len] = '\0';
	return text;
}

#endif
