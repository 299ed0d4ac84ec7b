/* SPDX-License-Identifier: MIT */
/*
 * The keys of each event, written by hand on purpose: one that goes from fields.h, or comes, must fail
 * here; `?` marks those that are null when nothing is known. `summary.nodes` stands for the objects of the
 * summary's array.
 */
#ifndef DORA_PROBE_TEST_JSON_CONTRACT_H
#define DORA_PROBE_TEST_JSON_CONTRACT_H

static const char contract[] =
	"start version? kernel? targets sources\n"
	"node pid? dataflow? node? python? implementation? free_threaded? dora? transport? "
	"gil_observable tokens_observable reason? readiness level? missing daemon_pid? "
	"dora_source health_check_timeout_ns? startup_timeout_ns? finish_grace_ns? role? "
	"life?\n"
	"gil_hold pid? node? tid? thread? gil start_lo_ns? start_ns? end_ns? end_hi_ns? "
	"duration_ns? precision off_cpu_ns? native? function? file? line? library? waiters "
	"user_function? user_file? user_line? collecting dataflow? dora_internal\n"
	"gil_wait pid? node? tid? start_ns? end_ns? duration_ns? holder_tid? dataflow? gil\n"
	"token token? dataflow? owner? receiver? output? region? bytes? sent_ns? "
	"delivered_ns? mapped_ns? released_ns? reported_ns? returned_ns? given_up_ns? state "
	"gil_held_ns? cause? pending_ns? owner_pid? receiver_pid?\n"
	"warning kind severity pid? node? cause? holder_tid? function? file? line? held_ns? "
	"pending_tokens? oldest_pending_ns? deadline_ns? slack_ns? advice? resolved chain? "
	"chain_proof? user_function? user_file? user_line? collecting dataflow? library? "
	"thread? not_polling_ns? asleep_since_ns? evidence deadline_source?\n"
	"signal pid? node? signal? sender_pid? sent_ns? delivered_ns? handled_ns? tid? "
	"dataflow?\n"
	"stop pid? node? reason deadline_ns? kill_signal? dataflow? deadline_source? "
	"witness\n"
	"action pid? node? action signal? tid? dry_run result reason? attempt? dataflow?\n"
	"exit pid? node? code? signal? killer_pid? since_stop_ns? grace_kill cause? "
	"gil_share? tokens_abandoned? saved dataflow? reason explanation?\n"
	"loss reason count total spoils pid? dataflow? node?\n"
	"forecast pid? node? need_ns? grace_ns? at_risk dataflow? at_least text?\n"
	"share pid? node? duration_ns? gil_held? gil_wait? running_without_gil? blocked? "
	"dataflow?\n"
	"stock pid? node? started_ns? connections messages oldest_lo_ns? regions_own "
	"signals_pending stop_command_ns? daemon_started_ns? daemon? complete took_ns "
	"unknown? dataflow?\n"
	"summary nodes records records_lost recommended_grace_ns? recommendation? "
	"nodes_left_out\n"
	"summary.nodes pid? dataflow? node? holds max_hold_ns? max_hold_function? "
	"gil_held_ns? tokens tokens_abandoned max_pending_ns? recommended_grace_ns? "
	"since_ns? since_attach tokens_open? tokens_lost? lives? blame gil_held? gil_wait? "
	"running_without_gil? blocked?\n";

#endif
