// SPDX-License-Identifier: MIT
/*
 * The options, one row each (option_table.h). docs/HACKING.md says how to add one. The order is
 * that of the manual page; two rows with the same destination exclude each other.
 */
#include "cli/option_table.h"
#include "base/array.h"

#define WATCH  (1u << DP_CMD_WATCH)
#define LIST   (1u << DP_CMD_LIST)
#define DOCTOR (1u << DP_CMD_DOCTOR)
#define REPLAY (1u << DP_CMD_REPLAY)
#define REPORT (1u << DP_CMD_REPORT)
/* What the model is told, which replay and report may override. */
#define MODEL (WATCH | REPLAY | REPORT)
#define ALL   (WATCH | LIST | DOCTOR | REPLAY | REPORT)

/* The destination. */
#define TO(field)                                                                                  \
	.offset = offsetof(struct dp_options, field),                                              \
	.size = sizeof(((struct dp_options *)0)->field)

#define LIMITS(least, most) .limits = {.min = (least), .max = (most)}
#define DURATION_MAX        INT64_MAX /* ns */

/* clang-format off */
const struct dp_option dp_options_table[] = {
	{
		.name = "pid", .argument = "PID,...", .commands = WATCH, .group = DP_OPTIONS_TARGETS,
		TO(wanted.pids), .read = dp_value_pids, LIMITS(1, DP_PID_MAX),
		.help = "These processes",
		.manual = "These processes. May be given more than once.",
	}, {
		.name = "node", .argument = "NAME", .commands = WATCH, .group = DP_OPTIONS_TARGETS,
		TO(wanted.nodes), .read = dp_value_name, LIMITS(1, DP_NAME_LENGTH),
		.help = "The dora nodes of this name, now and later",
		.manual = "The dora nodes of this name, those that start later included. May be given more than once.",
	}, {
		.name = "dataflow", .argument = "UUID|NAME", .commands = WATCH, .group = DP_OPTIONS_TARGETS,
		TO(wanted.dataflows), .read = dp_value_name, LIMITS(1, DP_NAME_LENGTH),
		.help = "The nodes of this dataflow, now and later",
		.manual = "The nodes of this dataflow, those that start later included. May be given more than once.",
	}, {
		.name = "all", .commands = WATCH, .group = DP_OPTIONS_TARGETS,
		TO(wanted.all), .set = 1,
		.help = "Every dora node of this machine, now and later",
		.manual = "Every dora node of this machine, those that start later included.",
	}, {
		.name = "duration", .argument = "D", .commands = WATCH, .group = DP_OPTIONS_TARGETS,
		TO(duration_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.help = "End after D; default: at Ctrl-C or the last target's exit",
		.manual = "End _D_ after the attach (default: at Ctrl-C, at the exit of the last of *--pid*, or when no "
			  "node of the dataflows of *--dataflow* has been there for 3 s, 60 s where dora may restart one).",
	}, {
		.name = "json", .commands = WATCH | LIST | DOCTOR | REPLAY, .group = DP_OPTIONS_OUTPUT,
		TO(json), .set = 1,
		.help = "JSON lines instead of text",
		.manual = "JSON lines on standard output in the place of text.",
	}, {
		.name = "view", .commands = WATCH, .group = DP_OPTIONS_OUTPUT,
		TO(view), .set = 1,
		.help = "Full-screen live view",
		.manual = "A full-screen live view, the node that needs a look first. The keys: *q* quits, *up* and *down* (or k and j) select the node whose details are shown, *Home* and *End* (or g and G) the first and the last, *p* pauses the screen but not the probe, Ctrl-L draws it anew. At the end the summary is printed as usual. Standard output must be a terminal. Colours are left out where *NO_COLOR* is set.",
	}, {
		.name = "listen", .argument = "ADDR:PORT", .commands = WATCH, .group = DP_OPTIONS_OUTPUT,
		TO(listen), .read = dp_value_listen,
		.help = "Prometheus endpoint: /metrics, /healthz, /readyz",
		.manual = "Serve Prometheus or OpenMetrics at _/metrics_, and _/healthz_ and _/readyz_. The address is written as a number: 127.0.0.1:9469, [::1]:9469.",
	}, {
		.name = "hold-threshold", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_OUTPUT,
		TO(model.hold_threshold_ns), .read = dp_value_duration, LIMITS(0, DURATION_MAX),
		.standard = "50ms",
		.help = "Print GIL holds of at least D (default @)",
		.manual = "Print holds of the GIL of at least _D_ (default @).",
	}, {
		.name = "token-threshold", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_OUTPUT,
		TO(model.token_threshold_ns), .read = dp_value_duration, LIMITS(0, DURATION_MAX),
		.follows = "pending-threshold",
		.help = "Print drop tokens that were pending for at least D (default: the pending threshold)",
		.manual = "Print drop tokens that were pending for at least _D_ (default: the pending threshold; 0s prints all).",
	}, {
		.name = "record", .argument = "FILE", .commands = WATCH, .group = DP_OPTIONS_OUTPUT,
		TO(record), .read = dp_value_text,
		.help = "Write a recording, for replay and report",
		.manual = "Write the stream of records, for *replay* and *report*. The file is made with mode 0600. A file that is there is replaced only when it is a recording of the same user. A recording holds names, times and places, but no payload of a message.",
	}, {
		.name = "output", .letter = 'o', .argument = "OUT", .commands = REPORT, .group = DP_OPTIONS_OUTPUT,
		TO(output), .read = dp_value_text,
		.help = "report: write to OUT; .html, .json and .txt choose the form",
		.manual = "Of *report*: write to _OUT_; its ending chooses text (.txt), a page with a timeline (.html), or a trace for Perfetto (.json).",
	}, {
		.name = "share-interval", .argument = "D", .commands = WATCH, .group = DP_OPTIONS_OUTPUT,
		TO(share_interval_ns), .read = dp_value_duration, LIMITS(0, DURATION_MAX),
		.standard = "10s",
		.help = "With --json or -v: say each D what a node's time goes to (default @)",
		.manual = "Say once in _D_ and node what its time goes to: the GIL held, waited for, running without it, asleep; with *--json*, or *-v* (default @; 0s never).",
	}, {
		.name = "verbose", .letter = 'v', .commands = ALL, .group = DP_OPTIONS_OUTPUT,
		TO(verbosity), .set = 1,
		.help = "Also waits, every signal, every forecast, shares",
	}, {
		.name = "quiet", .letter = 'q', .commands = ALL, .group = DP_OPTIONS_OUTPUT,
		TO(verbosity), .set = -1,
		.help = "Only warnings, actions, exits and the summary",
	}, {
		.name = "warn-hold", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_WARN,
		TO(model.warn_hold_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.standard = "500ms",
		.help = "Notice while a hold lasts D, warning at 4 D, critical at 10 D (default @)",
		.manual = "Notice while a hold lasts _D_, warning at 4 _D_, critical at 10 _D_ (default @).",
	}, {
		.name = "pending-threshold", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_WARN,
		TO(model.pending_threshold_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.standard = "1s",
		.help = "Warn when a drop token is pending for D (default @)",
		.manual = "Warn when a drop token is pending for _D_ (default @).",
	}, {
		.name = "polling-threshold", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_WARN,
		TO(model.polling_threshold_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.standard = "3s",
		.help = "Notice when a node has not come back to next() for D, warning at 4 D, critical at 10 D (default @)",
		.manual = "Notice when the thread that takes a node's events has not come back to next() for _D_, warning at 4 _D_, critical at 10 _D_ (default @). It is said of a Stop or none, and only where it is proven: by a sleep, a hold of the GIL or a wait for it, inputs that are not taken (dora 1.x), or a call without the GIL. A recording from before this option is replayed without it unless it is given.",
	}, {
		.name = "fail-on-warning", .commands = WATCH | REPLAY, .group = DP_OPTIONS_WARN,
		TO(fail_on_warning), .set = 1,
		.help = "Exit with 10 when a warning was raised",
	}, {
		.name = "on-warning", .argument = "CMD", .commands = WATCH, .group = DP_OPTIONS_WARN,
		TO(on_warning), .read = dp_value_text,
		.help = "Run CMD at a warning; the facts are in DORA_PROBE_* variables",
		.manual = "Run _CMD_ at a warning. The facts are in environment variables *DORA_PROBE_\\**, never in the command itself.",
	}, {
		.name = "on-action", .argument = "CMD", .commands = WATCH, .group = DP_OPTIONS_WARN,
		TO(on_action), .read = dp_value_text,
		.help = "Run CMD at an action, in the same way",
		.manual = "Run _CMD_ at an action, in the same way.",
	}, {
		.name = "hook-user", .argument = "USER", .commands = WATCH, .group = DP_OPTIONS_WARN,
		TO(hook_user), .read = dp_value_text,
		.help = "Run hooks as USER (default: who has started the probe, also by sudo)",
		.manual = "Run the hooks as _USER_, a name or a number, with the groups and the home of that user and without capabilities. The default is who has started the probe: with sudo(8) the user that has called it.",
	}, {
		.name = "shutdown", .argument = "observe|nudge|terminate", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.shutdown), .read = dp_value_choice, .limits = {.max = DP_SHUTDOWN_COUNT - 1, .name = dp_shutdown_mode_name},
		.standard = "observe",
		.help = "observe only says what would be done (default); nudge signals a node that has not moved since Stop, where that helps; terminate also sends SIGTERM at the end",
		.manual = "*observe* (default) only says what would be done. *nudge* sends a signal to a node that has not moved since Stop, where that can help: to the thread that holds the GIL, or to main where the node sleeps or goes on in a loop as before Stop. It tries up to four times and leaves a clean-up alone. *terminate* does the same and then sends SIGTERM to the process. SIGKILL is never sent.",
	}, {
		.name = "grace", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.grace_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.help = "Grace period (default: by dora version, 15s up to 0.3, 10s from 0.4)",
		.manual = "Grace period (default: what the dora command asked for that ends the node, else by dora version, 15s up to 0.3, 10s from 0.4). A command that asks for more lengthens it, none shortens it.",
	}, {
		.name = "nudge-signal", .argument = "SIG", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.nudge_signal), .read = dp_value_signal,
		.standard = "INT",
		.help = "Signal of a nudge (default @)",
		.manual = "The signal of a nudge (default @). It is sent only to a process that catches it.",
	}, {
		.name = "nudge-after", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.nudge_after_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.help = "First nudge D after Stop (default 40 % of the grace, 300ms with --save-tokens)",
		.manual = "First nudge _D_ after Stop (default: 40 % of the grace, 300ms with *--save-tokens*).",
	}, {
		.name = "nudge-interval", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.nudge_interval_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.standard = "500ms",
		.help = "Next nudge after D, doubling (default @)",
		.manual = "Between the first two nudges, doubling after that (default @).",
	}, {
		.name = "save-tokens", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.save_tokens), .set = 1,
		.help = "Nudge also to save drop tokens that are about to be given up",
	}, {
		.name = "stop-dataflow-after", .argument = "D", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.stop_dataflow_after_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.help = "Stop the dataflow in an orderly way when a token is pending for D because of the GIL",
		.manual = "Stop the dataflow in an orderly way, with a grace period that was measured, when a token is pending for _D_ because of the GIL (default: off).",
	}, {
		.name = "dora-cli", .argument = "PATH", .commands = WATCH, .group = DP_OPTIONS_STOP,
		TO(dora_cli), .read = dp_value_text,
		.standard = "dora",
		.help = "The dora command for that (default: from PATH)",
		.manual = "The *dora* command for that (default: from PATH). It runs as the user of the node.",
	}, {
		.name = "dry-run", .commands = MODEL, .group = DP_OPTIONS_STOP,
		TO(model.dry_run), .set = 1,
		.help = "Decide and log, send nothing",
	}, {
		.name = "exact", .argument = "D", .may_lack = true, .commands = WATCH, .group = DP_OPTIONS_SENSE,
		TO(exact_ns), .read = dp_value_duration, LIMITS(1, DURATION_MAX),
		.mark_offset = offsetof(struct dp_options, model.exact),
		.help = "Exact holds by a uprobe, all the time or for D",
		.manual = "Exact times of every hold by a uprobe, all the time or for _D_.",
	}, {
		.name = "max-overhead", .argument = "PCT", .commands = WATCH, .group = DP_OPTIONS_SENSE,
		TO(max_overhead), .read = dp_value_percent, LIMITS(0, 100),
		.standard = "1",
		.help = "Budget in per cent of a core for each watched process (default @)",
	}, {
		.name = "help", .letter = 'h', .commands = ALL, .group = DP_OPTIONS_OTHER, .prints = DP_PRINT_HELP,
		.help = "This text",
		.manual = "All options with a line on each.",
	}, {
		.name = "usage", .commands = ALL, .group = DP_OPTIONS_OTHER, .prints = DP_PRINT_USAGE,
		.help = "All options in short",
	}, {
		.name = "version", .commands = ALL, .group = DP_OPTIONS_OTHER, .prints = DP_PRINT_VERSION,
		.help = "The version",
	}, {
		.name = "print", .argument = "PAGE", .hidden = true, .commands = ALL, .group = DP_OPTIONS_OTHER,
		.prints = DP_PRINT_PAGE,
		.help = "A generated part of the documentation",
	},
};
/* clang-format on */

const size_t dp_options_count = DP_COUNT_OF(dp_options_table);
_Static_assert(DP_COUNT_OF(dp_options_table) <= 64, "dp_options.given has a bit for each option");

const char *dp_option_group_title(enum dp_option_group g)
{
	static const char *const titles[DP_OPTIONS_GROUP_COUNT] = {
		[DP_OPTIONS_TARGETS] = "What to watch",
		[DP_OPTIONS_OUTPUT] = "What to say",
		[DP_OPTIONS_WARN] = "When to warn",
		[DP_OPTIONS_STOP] = "What to do about a node that will miss its deadline",
		[DP_OPTIONS_SENSE] = "How closely to look",
		[DP_OPTIONS_OTHER] = "Other",
	};

	return g < DP_OPTIONS_GROUP_COUNT ? titles[g] : NULL;
}

bool dp_option_is_model(const struct dp_option *o)
{
	const size_t begin = offsetof(struct dp_options, model);

	return o->size && o->offset >= begin && o->offset < begin + sizeof(struct dp_rec_options);
}
