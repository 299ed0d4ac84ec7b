// SPDX-License-Identifier: MIT
/* The printed names of names.h's lists. */
#include "dora_probe/names.h"

#include "base/array.h"

#define DP_NAME_FUNCTION(fn, LIST)                                                                 \
	const char *fn(unsigned int v)                                                             \
	{                                                                                          \
		static const char *const names[] = {LIST(DP_X_STRING)};                            \
                                                                                                   \
		return v < DP_COUNT_OF(names) ? names[v] : "?";                                    \
	}
#define DP_X_STRING(e, s) s,

DP_NAME_FUNCTION(dp_cause_name, DP_CAUSES)
DP_NAME_FUNCTION(dp_warning_name, DP_WARNING_KINDS)
DP_NAME_FUNCTION(dp_evidence_name, DP_EVIDENCES)
DP_NAME_FUNCTION(dp_severity_name, DP_SEVERITIES)
DP_NAME_FUNCTION(dp_precision_name, DP_PRECISIONS)
DP_NAME_FUNCTION(dp_token_state_name, DP_TOKEN_STATES)
DP_NAME_FUNCTION(dp_transport_name, DP_TRANSPORTS)
DP_NAME_FUNCTION(dp_stop_reason_name, DP_STOP_REASONS)
DP_NAME_FUNCTION(dp_witness_name, DP_WITNESSES)
DP_NAME_FUNCTION(dp_action_name, DP_ACTIONS)
DP_NAME_FUNCTION(dp_action_result_name, DP_ACTION_RESULTS)
DP_NAME_FUNCTION(dp_exit_reason_name, DP_EXIT_REASONS)
DP_NAME_FUNCTION(dp_deadline_source_name, DP_DEADLINE_SOURCES)
DP_NAME_FUNCTION(dp_dora_source_name, DP_DORA_SOURCES)
DP_NAME_FUNCTION(dp_dora_command_name, DP_DORA_COMMANDS)
DP_NAME_FUNCTION(dp_shutdown_mode_name, DP_SHUTDOWN_MODES)
DP_NAME_FUNCTION(dp_wait_name, DP_WAITS)
DP_NAME_FUNCTION(dp_proof_name, DP_PROOFS)
DP_NAME_FUNCTION(dp_member_name, DP_MEMBER_ROLES)
DP_NAME_FUNCTION(dp_source_name, DP_SOURCES)
DP_NAME_FUNCTION(dp_level_name, DP_LEVELS)
DP_NAME_FUNCTION(dp_loss_name, DP_LOSSES)
DP_NAME_FUNCTION(dp_spoils_name, DP_SPOILS)

const char *dp_wait_words(unsigned int wait)
{
	static const char *const words[] = {
		[DP_WAIT_UNKNOWN] = "it could not be read what it waits for",
		[DP_WAIT_NOTHING] = "runs",
		[DP_WAIT_GIL] = "waits for the GIL",
		[DP_WAIT_THREAD] = "waits for the end of",
		[DP_WAIT_MUTEX] = "waits for a mutex of",
		[DP_WAIT_LOCK] = "waits for a lock",
		[DP_WAIT_STATIC] = "waits until a static initialiser is through",
		[DP_WAIT_FUTEX] = "waits for an event",
		[DP_WAIT_SHARED] = "waits for something that another process may give it",
		[DP_WAIT_SLEEP] = "sleeps",
		[DP_WAIT_IO] = "waits for input or output",
		[DP_WAIT_CHILD] = "waits for a child process",
		[DP_WAIT_SYSCALL] = "is in a system call",
	};

	_Static_assert(DP_COUNT_OF(words) == DP_WAIT_COUNT, "words for each");
	return words[wait < DP_WAIT_COUNT ? wait : DP_WAIT_UNKNOWN];
}

#define SPOILS(e) (1u << DP_SPOILS_##e)

unsigned int dp_loss_spoils(unsigned int loss)
{
	/* Any capture of the kernel's may be the one that is missing. */
	const unsigned int capture = SPOILS(HOLDS) | SPOILS(WAITS) | SPOILS(TOKENS) | SPOILS(STOP) |
				     SPOILS(SIGNALS) | SPOILS(EXITS);
	const unsigned int wire = SPOILS(TOKENS) | SPOILS(STOP);

	switch ((enum dp_loss)loss) {
	case DP_LOSS_RING_FULL:
	case DP_LOSS_SEQUENCE_GAP:
	case DP_LOSS_PROGRAM_SKIPPED:
		return capture | SPOILS(NODES);
	case DP_LOSS_MAP_FULL:
		return capture & ~SPOILS(SIGNALS) & ~SPOILS(EXITS);
	case DP_LOSS_LATE_RECORD:
		return capture;
	case DP_LOSS_PAYLOAD_CUT:
	case DP_LOSS_STREAM_RESYNC:
	case DP_LOSS_FRAME_INVALID:
	case DP_LOSS_STREAM_LIMIT:
	case DP_LOSS_SOCKET_LIMIT:
		return wire;
	case DP_LOSS_READ_FAULT:
	case DP_LOSS_READ_STUCK:
	case DP_LOSS_SAMPLE_SKIPPED:
		return SPOILS(HOLDS);
	case DP_LOSS_TOKEN_LIMIT:
		return SPOILS(TOKENS);
	case DP_LOSS_NODE_LIMIT:
		return SPOILS(NODES);
	case DP_LOSS_RECORDER_WRITE:
		return SPOILS(RECORDING);
	case DP_LOSS_SIGNAL_REPEATED:
		return SPOILS(SIGNALS);
	case DP_LOSS_COUNT:
		break;
	}
	return 0;
}

const char *dp_record_name(unsigned int v)
{
#define DP_X_RECORD_NAME(e, b) [DP_REC_##e] = #e,
	static const char *const names[] = {[DP_REC_NONE] = "NONE",
					    DP_RECORD_TYPES(DP_X_RECORD_NAME)};

	return v < DP_REC_COUNT ? names[v] : "?";
}
