// SPDX-License-Identifier: MIT
/* The command line (options.h): argp for the grammar, strict parsers for every value. */
#include "cli/options.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS  1000000ULL
#define SEC (1000 * MS)

/* PID_MAX_LIMIT of a 64-bit kernel (include/linux/threads.h). */
#define PID_MAX_LIMIT 4194304

/* ---- values ------------------------------------------------------------------------------ */

int dp_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	/* All characters are looked at before the range, so "99999999999999999999x" is EINVAL. */
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	for (; *s; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int dp_parse_duration(const char *s, uint64_t *ret_ns)
{
	/* Longest names first, so that "ms" is not read as "m" and "s". */
	static const struct {
		const char *name;
		unsigned int rank; /* each may follow only a larger one */
		uint64_t ns;
	} units[] = {
		{"ms", 2, MS},      {"us", 1, 1000},      {"s", 3, SEC},
		{"m", 4, 60 * SEC}, {"h", 5, 3600 * SEC},
	};
	unsigned int last_rank = 6;
	uint64_t total = 0;
	int too_large = 0;

	if (!*s)
		return -EINVAL;
	while (*s) {
		char digits[32];
		uint64_t n = 0;
		size_t len = strspn(s, "0123456789"), u;
		int err;

		if (len == 0 || len >= sizeof(digits))
			return -EINVAL;
		memcpy(digits, s, len);
		digits[len] = '\0';
		err = dp_parse_u64(digits, 0, INT64_MAX, &n);
		if (err == -EINVAL)
			return err;
		s += len;
		for (u = 0; u < sizeof(units) / sizeof(units[0]); u++)
			if (strncmp(s, units[u].name, strlen(units[u].name)) == 0)
				break;
		if (u == sizeof(units) / sizeof(units[0]) || units[u].rank >= last_rank)
			return -EINVAL;
		last_rank = units[u].rank;
		s += strlen(units[u].name);
		if (err || n > (INT64_MAX - total) / units[u].ns)
			too_large = 1;
		else
			total += n * units[u].ns;
	}
	if (too_large)
		return -ERANGE;
	*ret_ns = total;
	return 0;
}

int dp_parse_signal(const char *s, uint32_t *ret)
{
	const char *name = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	uint64_t n = 0;
	int err = dp_parse_u64(s, 1, 64, &n);

	if (err == -ERANGE)
		return -EINVAL;
	for (int i = 1; err && i < 32; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcasecmp(name, known) == 0) {
			n = (uint64_t)i;
			err = 0;
		}
	}
	if (err)
		return -EINVAL;
	if (n == SIGKILL || n == SIGSTOP)
		return -EPERM;
	*ret = (uint32_t)n;
	return 0;
}

int dp_parse_listen(const char *s, char *addr, size_t addr_len, uint16_t *ret_port)
{
	const char *colon = strrchr(s, ':');
	unsigned char bytes[16];
	char host[INET6_ADDRSTRLEN];
	int family = AF_INET;
	uint64_t port;
	size_t len;

	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - s);
	if (*s == '[') {
		if (len < 2 || colon[-1] != ']')
			return -EINVAL;
		s++;
		len -= 2;
		family = AF_INET6;
	}
	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(family, host, bytes) != 1 || dp_parse_u64(colon + 1, 1, 65535, &port) < 0 ||
	    strlen(host) >= addr_len)
		return -EINVAL;
	memcpy(addr, host, len + 1);
	*ret_port = (uint16_t)port;
	return 0;
}

/* "1", "0.5", "12.25": per cent in (0, 100]. */
static int parse_percent(const char *s, double *ret)
{
	char whole[8], fraction[8] = "0";
	size_t len = strspn(s, "0123456789");
	uint64_t w, f, scale = 1;

	if (len == 0 || len >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, s, len);
	whole[len] = '\0';
	if (s[len] == '.') {
		if (strlen(s + len + 1) >= sizeof(fraction))
			return -EINVAL;
		strcpy(fraction, s + len + 1);
	} else if (s[len]) {
		return -EINVAL;
	}
	if (dp_parse_u64(whole, 0, UINT64_MAX, &w) < 0 ||
	    dp_parse_u64(fraction, 0, UINT64_MAX, &f) < 0)
		return -EINVAL;
	for (size_t i = 0; i < strlen(fraction); i++)
		scale *= 10;
	if (w > 100 || (w == 100 && f) || (w == 0 && f == 0))
		return -ERANGE;
	*ret = (double)w + (double)f / (double)scale;
	return 0;
}

/* ---- options ----------------------------------------------------------------------------- */

enum key {
	KEY_FIRST = 256,
	KEY_PID = KEY_FIRST,
	KEY_NODE,
	KEY_DATAFLOW,
	KEY_ALL,
	KEY_JSON,
	KEY_VIEW,
	KEY_LISTEN,
	KEY_HOLD_THRESHOLD,
	KEY_WARN_HOLD,
	KEY_TOKEN_THRESHOLD,
	KEY_PENDING_THRESHOLD,
	KEY_GRACE,
	KEY_SHUTDOWN,
	KEY_NUDGE_SIGNAL,
	KEY_NUDGE_AFTER,
	KEY_NUDGE_INTERVAL,
	KEY_STOP_DATAFLOW_AFTER,
	KEY_DORA_CLI,
	KEY_SAVE_TOKENS,
	KEY_DRY_RUN,
	KEY_FAIL_ON_WARNING,
	KEY_ON_WARNING,
	KEY_ON_ACTION,
	KEY_EXACT,
	KEY_MAX_OVERHEAD,
	KEY_RECORD,
	KEY_DURATION,
	KEY_VERBOSE,
	KEY_QUIET,
	KEY_OUTPUT,
	KEY_END,
	KEY_VERSION = KEY_END,
	KEY_USAGE,
};
_Static_assert(KEY_END - KEY_FIRST <= 64, "one bit for each option");

#define BIT(key) (1ULL << ((key)-KEY_FIRST))

static const struct argp_option options[] = {
	{.doc = "What to watch:", .group = 1},
	{"pid", KEY_PID, "PID,...", 0, "These processes", 1},
	{"node", KEY_NODE, "NAME", 0, "The dora nodes of this name, now and later", 1},
	{"dataflow", KEY_DATAFLOW, "UUID|NAME", 0, "The nodes of this dataflow, now and later", 1},
	{"all", KEY_ALL, NULL, 0, "Every dora node of this machine, now and later", 1},
	{"duration", KEY_DURATION, "D", 0,
	 "End after D; default: at Ctrl-C or the last target's exit", 1},

	{.doc = "What to say:", .group = 2},
	{"json", KEY_JSON, NULL, 0, "JSON lines instead of text", 2},
	{"view", KEY_VIEW, NULL, 0, "Full-screen live view", 2},
	{"listen", KEY_LISTEN, "ADDR:PORT", 0, "Prometheus endpoint: /metrics, /healthz, /readyz",
	 2},
	{"hold-threshold", KEY_HOLD_THRESHOLD, "D", 0,
	 "Print GIL holds of at least D (default 50ms)", 2},
	{"token-threshold", KEY_TOKEN_THRESHOLD, "D", 0,
	 "Print drop tokens that were pending for at least D (default: the pending threshold)", 2},
	{"record", KEY_RECORD, "FILE", 0, "Write a recording, for replay and report", 2},
	{"output", 'o', "OUT", 0, "report: write to OUT; .html, .json and .txt choose the form", 2},
	{"verbose", 'v', NULL, 0, "Also waits, every signal, every forecast", 2},
	{"quiet", 'q', NULL, 0, "Only warnings, actions, exits and the summary", 2},

	{.doc = "When to warn:", .group = 3},
	{"warn-hold", KEY_WARN_HOLD, "D", 0,
	 "Notice while a hold lasts D, warning at 4 D, critical at 10 D (default 500ms)", 3},
	{"pending-threshold", KEY_PENDING_THRESHOLD, "D", 0,
	 "Warn when a drop token is pending for D (default 1s)", 3},
	{"fail-on-warning", KEY_FAIL_ON_WARNING, NULL, 0, "Exit with 10 when a warning was raised",
	 3},
	{"on-warning", KEY_ON_WARNING, "CMD", 0,
	 "Run CMD at a warning; the facts are in DORA_PROBE_* variables", 3},
	{"on-action", KEY_ON_ACTION, "CMD", 0, "Run CMD at an action, in the same way", 3},

	{.doc = "What to do about a node that will miss its deadline:", .group = 4},
	{"shutdown", KEY_SHUTDOWN, "observe|nudge|terminate", 0,
	 "observe only says what would be done (default); nudge signals the thread that holds the "
	 "GIL; terminate also sends SIGTERM at the end",
	 4},
	{"grace", KEY_GRACE, "D", 0,
	 "Grace period (default: by dora version, 15s up to 0.3, 10s from 0.4)", 4},
	{"nudge-signal", KEY_NUDGE_SIGNAL, "SIG", 0, "Signal of a nudge (default INT)", 4},
	{"nudge-after", KEY_NUDGE_AFTER, "D", 0,
	 "First nudge D after Stop (default 40 % of the grace, 300ms with --save-tokens)", 4},
	{"nudge-interval", KEY_NUDGE_INTERVAL, "D", 0,
	 "Next nudge after D, doubling (default 500ms)", 4},
	{"save-tokens", KEY_SAVE_TOKENS, NULL, 0,
	 "Nudge also to save drop tokens that are about to be given up", 4},
	{"stop-dataflow-after", KEY_STOP_DATAFLOW_AFTER, "D", 0,
	 "Stop the dataflow in an orderly way when a token is pending for D because of the GIL", 4},
	{"dora-cli", KEY_DORA_CLI, "PATH", 0, "The dora command for that (default: from PATH)", 4},
	{"dry-run", KEY_DRY_RUN, NULL, 0, "Decide and log, send nothing", 4},

	{.doc = "How closely to look:", .group = 5},
	{"exact", KEY_EXACT, "D", OPTION_ARG_OPTIONAL,
	 "Exact holds by a uprobe, all the time or for D", 5},
	{"max-overhead", KEY_MAX_OVERHEAD, "PCT", 0,
	 "Budget in per cent of a core for each watched process (default 1)", 5},

	{"help", 'h', NULL, 0, "This text", -1},
	{"usage", KEY_USAGE, NULL, 0, "All options in short", -1},
	{"version", KEY_VERSION, NULL, 0, "The version", -1},
	{0},
};

static const char usage[] = "[watch] (--pid PID | --node NAME | --dataflow UUID|NAME | --all)\n"
			    "list\n"
			    "doctor\n"
			    "replay FILE\n"
			    "report FILE [-o OUT]";

static const char doc[] =
	"Says who holds the GIL of dora's Python nodes, where, for how long, which drop tokens "
	"wait "
	"for it, and whether a node will miss its shutdown deadline.\v"
	"COMMANDS\n"
	"  watch    watch nodes until Ctrl-C (this is meant when no command is given)\n"
	"  list     the nodes of this machine and what can be observed of each\n"
	"  doctor   what this machine offers and lacks, and the command that mends it\n"
	"  replay   the findings of a recording, without privileges\n"
	"  report   a recording as text, .html with a timeline, or .json for Perfetto\n"
	"\n"
	"Durations D are written 300ms, 2s, 1m30s.\n"
	"\n"
	"EXAMPLES\n"
	"  sudo dora-probe --all\n"
	"  sudo dora-probe --node detector --hold-threshold 20ms --json\n"
	"  sudo dora-probe --dataflow robot --shutdown nudge --listen 127.0.0.1:9469\n"
	"  sudo dora-probe --pid 4711 --record run.rec --duration 1m\n"
	"  dora-probe report run.rec -o run.html\n"
	"\n"
	"EXIT STATUS\n"
	"  0 ended as asked, 1 internal error, 2 usage, 3 missing right,\n"
	"  4 missing kernel feature, 5 no such target, 10 a warning was raised (with\n"
	"  --fail-on-warning)\n";

/* argp's remark about short options would only be noise here. */
static char *filter_help(int key, const char *text, void *input)
{
	(void)input;
	return key == ARGP_KEY_HELP_DUP_ARGS_NOTE ? NULL : (char *)(uintptr_t)text;
}

static const char *const command_names[] = {
	[DP_CMD_WATCH] = "watch",   [DP_CMD_LIST] = "list",     [DP_CMD_DOCTOR] = "doctor",
	[DP_CMD_REPLAY] = "replay", [DP_CMD_REPORT] = "report",
};

/* What the model is told, which replay and report may override. */
#define MODEL_KEYS                                                                                 \
	(BIT(KEY_HOLD_THRESHOLD) | BIT(KEY_WARN_HOLD) | BIT(KEY_TOKEN_THRESHOLD) |                 \
	 BIT(KEY_PENDING_THRESHOLD) | BIT(KEY_GRACE) | BIT(KEY_SHUTDOWN) | BIT(KEY_NUDGE_SIGNAL) | \
	 BIT(KEY_NUDGE_AFTER) | BIT(KEY_NUDGE_INTERVAL) | BIT(KEY_STOP_DATAFLOW_AFTER) |           \
	 BIT(KEY_SAVE_TOKENS) | BIT(KEY_DRY_RUN))

static const uint64_t allowed[] = {
	[DP_CMD_WATCH] = ~BIT(KEY_OUTPUT),
	[DP_CMD_LIST] = BIT(KEY_JSON) | BIT(KEY_VERBOSE) | BIT(KEY_QUIET),
	[DP_CMD_DOCTOR] = BIT(KEY_JSON) | BIT(KEY_VERBOSE) | BIT(KEY_QUIET),
	[DP_CMD_REPLAY] = MODEL_KEYS | BIT(KEY_JSON) | BIT(KEY_FAIL_ON_WARNING) | BIT(KEY_VERBOSE) |
			  BIT(KEY_QUIET),
	[DP_CMD_REPORT] = MODEL_KEYS | BIT(KEY_OUTPUT) | BIT(KEY_VERBOSE) | BIT(KEY_QUIET),
};

struct parse {
	struct dp_options *o;
	int exit_code; /* -1: go on */
};

static error_t mistake(struct parse *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One sentence on standard error; the return value ends argp_parse. */
static error_t mistake(struct parse *p, const char *format, ...)
{
	va_list args;

	fputs("dora-probe: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\n", stderr);
	p->exit_code = DP_EX_USAGE;
	return EINVAL;
}

static error_t set_duration(struct parse *p, const char *name, const char *arg, uint64_t min_ns,
			    uint64_t *ret)
{
	uint64_t ns;
	int err = dp_parse_duration(arg, &ns);

	if (err == -ERANGE)
		return mistake(p, "--%s \"%s\": the duration is too long", name, arg);
	if (err < 0)
		return mistake(p,
			       "--%s \"%s\": not a duration; write for example 300ms, 2s or 1m30s",
			       name, arg);
	if (ns < min_ns)
		return mistake(p, "--%s \"%s\": must be longer than nothing", name, arg);
	*ret = ns;
	return 0;
}

static error_t set_text(struct parse *p, const char *name, const char *arg, const char **ret)
{
	if (!*arg)
		return mistake(p, "--%s \"\": must not be empty", name);
	*ret = arg;
	return 0;
}

static error_t add_pid(struct parse *p, const char *arg, const char *piece)
{
	struct dp_options *o = p->o;
	uint64_t pid = 0;

	if (dp_parse_u64(piece, 1, PID_MAX_LIMIT, &pid) < 0)
		return mistake(p, "--pid \"%s\": \"%s\" is not a process id", arg, piece);
	for (unsigned int i = 0; i < o->pid_count; i++)
		if ((uint64_t)o->pids[i] == pid)
			return 0;
	if (o->pid_count == DP_MAX_TARGETS)
		return mistake(p, "--pid \"%s\": more than %d processes", arg, DP_MAX_TARGETS);
	o->pids[o->pid_count++] = (pid_t)pid;
	return 0;
}

static error_t add_pids(struct parse *p, const char *arg)
{
	const char *s = arg;
	error_t err;

	for (;;) {
		size_t len = strcspn(s, ",");
		char piece[32];

		snprintf(piece, sizeof(piece), "%.*s", (int)(len < 31 ? len : 31), s);
		err = add_pid(p, arg, piece);
		if (err || !s[len])
			return err;
		s += len + 1;
	}
}

static error_t add_name(struct parse *p, const char *name, const char *arg, const char **list,
			unsigned int *count)
{
	if (!*arg)
		return mistake(p, "--%s \"\": must not be empty", name);
	if (strlen(arg) >= DP_ID_MAX)
		return mistake(p, "--%s \"%s\": longer than %d bytes", name, arg, DP_ID_MAX - 1);
	if (*count == DP_NAMES_MAX)
		return mistake(p, "--%s \"%s\": given more than %d times", name, arg, DP_NAMES_MAX);
	list[(*count)++] = arg;
	return 0;
}

static error_t set_shutdown(struct parse *p, const char *arg)
{
	for (unsigned int i = 0; i < DP_SHUTDOWN_COUNT; i++) {
		if (strcmp(arg, dp_shutdown_mode_name(i)) == 0) {
			p->o->model.shutdown = (uint8_t)i;
			return 0;
		}
	}
	return mistake(p, "--shutdown \"%s\": must be observe, nudge or terminate", arg);
}

static error_t set_signal(struct parse *p, const char *arg)
{
	int err = dp_parse_signal(arg, &p->o->model.nudge_signal);

	if (err == -EPERM)
		return mistake(
			p, "--nudge-signal \"%s\": dora-probe never sends SIGKILL or SIGSTOP", arg);
	if (err < 0)
		return mistake(
			p, "--nudge-signal \"%s\": no such signal; write for example INT or USR1",
			arg);
	return 0;
}

static error_t set_listen(struct parse *p, const char *arg)
{
	char addr[INET6_ADDRSTRLEN];
	uint16_t port;

	if (dp_parse_listen(arg, addr, sizeof(addr), &port) < 0)
		return mistake(p,
			       "--listen \"%s\": must be ADDRESS:PORT, for example 127.0.0.1:9469 "
			       "or [::1]:9469",
			       arg);
	p->o->listen = arg;
	return 0;
}

static error_t set_overhead(struct parse *p, const char *arg)
{
	if (parse_percent(arg, &p->o->max_overhead) < 0)
		return mistake(
			p, "--max-overhead \"%s\": must be a number of per cent above 0, up to 100",
			arg);
	return 0;
}

/* The option's name as the user knows it, for messages. */
static const char *name_of(int key)
{
	for (const struct argp_option *o = options; o->name || o->doc; o++)
		if (o->name && o->key == key)
			return o->name;
	return "?";
}

static error_t positional(struct parse *p, const char *arg)
{
	struct dp_options *o = p->o;

	if (o->command != DP_CMD_REPLAY && o->command != DP_CMD_REPORT) {
		for (size_t i = 0; i < sizeof(command_names) / sizeof(command_names[0]); i++)
			if (strcmp(arg, command_names[i]) == 0)
				return mistake(p, "\"%s\": a command must be the first word", arg);
		return mistake(p,
			       "\"%s\": neither a command nor an option; targets are given by "
			       "--pid, --node, --dataflow or --all",
			       arg);
	}
	if (o->file)
		return mistake(p, "%s reads one file; \"%s\" is a second one",
			       command_names[o->command], arg);
	if (!*arg)
		return mistake(p, "%s \"\": the name of the file must not be empty",
			       command_names[o->command]);
	o->file = arg;
	return 0;
}

static error_t check_report(struct parse *p)
{
	static const char *const endings[] = {".html", ".json", ".txt"};
	const char *out = p->o->output;
	size_t len = out ? strlen(out) : 0;

	if (!out)
		return 0;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (len > strlen(endings[i]) &&
		    strcmp(out + len - strlen(endings[i]), endings[i]) == 0)
			return 0;
	return mistake(p, "-o \"%s\": the name must end in .html, .json or .txt", out);
}

/* What can only be judged when all is known. */
static error_t check_all(struct parse *p)
{
	struct dp_options *o = p->o;
	unsigned int targets = o->pid_count + o->node_count + o->dataflow_count;

	if (!(o->given & DP_GIVEN_TOKEN_THRESHOLD))
		o->model.token_threshold_ns = o->model.pending_threshold_ns;
	if (o->command == DP_CMD_REPORT)
		return o->file ? check_report(p)
			       : mistake(p, "report: which recording? report FILE");
	if (o->command == DP_CMD_REPLAY && !o->file)
		return mistake(p, "replay: which recording? replay FILE");
	if (o->command != DP_CMD_WATCH)
		return 0;
	if (!targets && !o->all)
		return mistake(p, "which nodes? Give --pid, --node, --dataflow or --all; "
				  "`dora-probe list` shows what there is");
	if (targets && o->all)
		return mistake(
			p, "--all is every node already; leave out --pid, --node and --dataflow");
	if (o->json && o->view)
		return mistake(p, "--json and --view exclude each other");
	if (o->record && strcmp(o->record, "-") == 0)
		return mistake(p, "--record \"-\": a recording goes to a file, standard output is "
				  "for findings");
	return 0;
}

/* Bits of options that were given and have no short key of their own among KEY_*. */
static int key_of(int key)
{
	return key == 'v' ? KEY_VERBOSE : key == 'q' ? KEY_QUIET : key == 'o' ? KEY_OUTPUT : key;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	/* Durations that go straight into a field. */
	static const struct {
		int key;
		uint32_t given;
		uint64_t min_ns;
		size_t offset;
	} durations[] = {
		{KEY_HOLD_THRESHOLD, DP_GIVEN_HOLD_THRESHOLD, 0,
		 offsetof(struct dp_options, model.hold_threshold_ns)},
		{KEY_WARN_HOLD, DP_GIVEN_WARN_HOLD, 1,
		 offsetof(struct dp_options, model.warn_hold_ns)},
		{KEY_TOKEN_THRESHOLD, DP_GIVEN_TOKEN_THRESHOLD, 0,
		 offsetof(struct dp_options, model.token_threshold_ns)},
		{KEY_PENDING_THRESHOLD, DP_GIVEN_PENDING_THRESHOLD, 1,
		 offsetof(struct dp_options, model.pending_threshold_ns)},
		{KEY_GRACE, DP_GIVEN_GRACE, 1, offsetof(struct dp_options, model.grace_ns)},
		{KEY_NUDGE_AFTER, DP_GIVEN_NUDGE_AFTER, 1,
		 offsetof(struct dp_options, model.nudge_after_ns)},
		{KEY_NUDGE_INTERVAL, DP_GIVEN_NUDGE_INTERVAL, 1,
		 offsetof(struct dp_options, model.nudge_interval_ns)},
		{KEY_STOP_DATAFLOW_AFTER, DP_GIVEN_STOP_DATAFLOW, 1,
		 offsetof(struct dp_options, model.stop_dataflow_after_ns)},
		{KEY_DURATION, 0, 1, offsetof(struct dp_options, duration_ns)},
	};
	struct parse *p = state->input;
	struct dp_options *o = p->o;

	if (p->exit_code >= 0)
		return EINVAL; /* the answer stands; argp only finishes */
	key = key_of(key);
	if (key >= KEY_FIRST && key < KEY_END && !(allowed[o->command] & BIT(key)))
		return mistake(p, "--%s has no meaning with \"%s\"",
			       name_of(key == KEY_VERBOSE  ? 'v'
				       : key == KEY_QUIET  ? 'q'
				       : key == KEY_OUTPUT ? 'o'
							   : key),
			       command_names[o->command]);
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		if (durations[i].key != key)
			continue;
		o->given |= durations[i].given;
		return set_duration(p, name_of(key), arg, durations[i].min_ns,
				    (uint64_t *)(void *)((char *)o + durations[i].offset));
	}
	switch (key) {
	case KEY_PID:
		return add_pids(p, arg);
	case KEY_NODE:
		return add_name(p, "node", arg, o->nodes, &o->node_count);
	case KEY_DATAFLOW:
		return add_name(p, "dataflow", arg, o->dataflows, &o->dataflow_count);
	case KEY_ALL:
		o->all = 1;
		return 0;
	case KEY_JSON:
		o->json = 1;
		return 0;
	case KEY_VIEW:
		o->view = 1;
		return 0;
	case KEY_LISTEN:
		return set_listen(p, arg);
	case KEY_SHUTDOWN:
		o->given |= DP_GIVEN_SHUTDOWN;
		return set_shutdown(p, arg);
	case KEY_NUDGE_SIGNAL:
		o->given |= DP_GIVEN_NUDGE_SIGNAL;
		return set_signal(p, arg);
	case KEY_DORA_CLI:
		return set_text(p, "dora-cli", arg, &o->dora_cli);
	case KEY_SAVE_TOKENS:
		o->given |= DP_GIVEN_SAVE_TOKENS;
		o->model.save_tokens = 1;
		return 0;
	case KEY_DRY_RUN:
		o->given |= DP_GIVEN_DRY_RUN;
		o->model.dry_run = 1;
		return 0;
	case KEY_FAIL_ON_WARNING:
		o->fail_on_warning = 1;
		return 0;
	case KEY_ON_WARNING:
		return set_text(p, "on-warning", arg, &o->on_warning);
	case KEY_ON_ACTION:
		return set_text(p, "on-action", arg, &o->on_action);
	case KEY_EXACT:
		o->model.exact = 1;
		return arg ? set_duration(p, "exact", arg, 1, &o->exact_ns) : 0;
	case KEY_MAX_OVERHEAD:
		return set_overhead(p, arg);
	case KEY_RECORD:
		return set_text(p, "record", arg, &o->record);
	case KEY_OUTPUT:
		return set_text(p, "output", arg, &o->output);
	case KEY_VERBOSE:
	case KEY_QUIET:
		if (o->verbosity == (key == KEY_VERBOSE ? -1 : 1))
			return mistake(p, "-v and -q exclude each other");
		o->verbosity = key == KEY_VERBOSE ? 1 : -1;
		return 0;
	case KEY_VERSION:
		puts("dora-probe " DP_VERSION);
		p->exit_code = DP_EX_OK;
		return EINVAL;
	case KEY_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		p->exit_code = DP_EX_OK;
		return EINVAL;
	case 'h':
		argp_state_help(state, stdout,
				ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
		p->exit_code = DP_EX_OK;
		return EINVAL;
	case ARGP_KEY_ARG:
		return positional(p, arg);
	case ARGP_KEY_END:
		return check_all(p);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int dp_options_parse(int argc, char **argv, struct dp_options *ret)
{
	const struct argp argp = {.options = options,
				  .parser = parse_option,
				  .args_doc = usage,
				  .doc = doc,
				  .help_filter = filter_help};
	struct dp_options o = {
		.dora_cli = "dora",
		.max_overhead = 1.0,
		.model = {.hold_threshold_ns = 50 * MS,
			  .warn_hold_ns = 500 * MS,
			  .pending_threshold_ns = SEC,
			  .nudge_signal = SIGINT,
			  .nudge_interval_ns = 500 * MS,
			  .shutdown = DP_SHUTDOWN_OBSERVE},
	};
	struct parse p = {.o = &o, .exit_code = -1};
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	int first = 1, count = 0;
	error_t err;

	if (!words) {
		fputs("dora-probe: no memory for the command line\n", stderr);
		return DP_EX_INTERNAL;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(command_names) / sizeof(command_names[0]); i++) {
		if (strcmp(argv[1], command_names[i]) == 0) {
			o.command = (enum dp_command)i;
			first = 2;
		}
	}
	/* A copy: argp permutes its words, and takes the name of the program from the first. */
	words[count++] = (char *)(uintptr_t) "dora-probe";
	for (int i = first; i < argc; i++)
		words[count++] = argv[i];
	err = argp_parse(&argp, count, words, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &p);
	free(words);
	if (p.exit_code >= 0)
		return p.exit_code;
	if (err == ENOMEM) {
		fputs("dora-probe: no memory for the command line\n", stderr);
		return DP_EX_INTERNAL;
	}
	/* Unknown options and missing values: getopt has said which. */
	if (err)
		return DP_EX_USAGE;
	*ret = o;
	return -1;
}

void dp_options_override(const struct dp_options *o, struct dp_rec_options *model)
{
	const struct dp_rec_options *m = &o->model;

#define OVERRIDE(bit, field)                                                                       \
	do {                                                                                       \
		if (o->given & (bit))                                                              \
			model->field = m->field;                                                   \
	} while (0)
	OVERRIDE(DP_GIVEN_HOLD_THRESHOLD, hold_threshold_ns);
	OVERRIDE(DP_GIVEN_WARN_HOLD, warn_hold_ns);
	OVERRIDE(DP_GIVEN_PENDING_THRESHOLD, pending_threshold_ns);
	/* The token threshold follows the pending threshold unless it was given itself. */
	OVERRIDE(DP_GIVEN_PENDING_THRESHOLD | DP_GIVEN_TOKEN_THRESHOLD, token_threshold_ns);
	OVERRIDE(DP_GIVEN_GRACE, grace_ns);
	OVERRIDE(DP_GIVEN_SHUTDOWN, shutdown);
	OVERRIDE(DP_GIVEN_NUDGE_SIGNAL, nudge_signal);
	OVERRIDE(DP_GIVEN_NUDGE_AFTER, nudge_after_ns);
	OVERRIDE(DP_GIVEN_NUDGE_INTERVAL, nudge_interval_ns);
	OVERRIDE(DP_GIVEN_STOP_DATAFLOW, stop_dataflow_after_ns);
	OVERRIDE(DP_GIVEN_SAVE_TOKENS, save_tokens);
	OVERRIDE(DP_GIVEN_DRY_RUN, dry_run);
#undef OVERRIDE
}
