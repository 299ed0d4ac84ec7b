// SPDX-License-Identifier: MIT
/* `dora stop` and its like, seen starting or found running; see stop_command.h. */
#include "dora/stop_command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/procfile.h"
#include "base/task.h"
#include "base/units.h"
#include "base/utf8.h"

#define ARGS_MAX 64

int dp_dora_duration(const char *s, uint64_t *ret_ns)
{
	/* The units of dora's parser (duration-str), any case; months and years are no grace. */
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ns", 1},         {"nsec", 1},         {"nanosecond", 1},   {"us", US},
		{"\xc2\xb5s", US}, {"usec", US},        {"microsecond", US}, {"ms", MS},
		{"msec", MS},      {"millisecond", MS}, {"s", SEC},          {"sec", SEC},
		{"second", SEC},   {"m", MIN},          {"min", MIN},        {"minute", MIN},
		{"h", HOUR},       {"hr", HOUR},        {"hour", HOUR},      {"d", DAY},
		{"day", DAY},
	};
	uint64_t total = 0, part, ns;
	size_t len, n, i;

	if (!*s)
		return -EINVAL;
	while (*s) {
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		for (part = 0; isdigit((unsigned char)*s); s++)
			if (__builtin_mul_overflow(part, 10, &part) ||
			    __builtin_add_overflow(part, (uint64_t)(*s - '0'), &part))
				return -ERANGE;
		for (len = 0; isalpha((unsigned char)s[len]) || (unsigned char)s[len] >= 0x80;)
			len++;
		/* 1.1.0 takes a number alone for seconds; earlier ones refuse it, so it is none of theirs. */
		ns = len == 0 && !*s ? SEC : 0;
		for (i = 0; i < DP_COUNT_OF(units) && !ns; i++) {
			n = strlen(units[i].name);
			if ((len == n || (n > 2 && len == n + 1 && (s[n] | 0x20) == 's')) &&
			    !strncasecmp(s, units[i].name, n))
				ns = units[i].ns;
		}
		if (!ns)
			return -EINVAL;
		if (__builtin_mul_overflow(part, ns, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return -ERANGE;
		s += len;
		/* Between two parts: nothing, blanks, a plus. */
		while (*s == ' ' || *s == '+')
			if (!*++s)
				return -EINVAL;
	}
	*ret_ns = total;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_python(const char *name)
{
	return !strncmp(name, "python", 6) && strspn(name + 6, "0123456789.t") == strlen(name + 6);
}

static void take_grace(struct dp_rec_command *c, const char *value)
{
	/* What dora may understand and we do not is as if it were not given: never a guess. */
	if (dp_dora_duration(value, &c->grace_ns))
		c->grace_ns = 0;
	else if (!c->grace_ns)
		c->grace_ns = 1;
}

/* A command as it is typed, and which options it has; the parser of dora knows no others. */
struct form {
	const char *words[2]; /* the second NULL: one word */
	enum dp_dora_command verb;
	const char *grace; /* name of the option for the grace, "" none */
	bool of_node;      /* its argument is a node, and -d the dataflow */
};

static const struct form forms[] = {
	{{"stop", NULL}, DP_DORA_STOP, "--grace-duration", false},
	{{"restart", NULL}, DP_DORA_RESTART, "--grace-duration", false},
	{{"cluster", "restart"}, DP_DORA_RESTART, "", false},
	{{"destroy", NULL}, DP_DORA_DESTROY, "", false},
	{{"down", NULL}, DP_DORA_DESTROY, "", false},
	{{"cluster", "down"}, DP_DORA_DESTROY, "", false},
	{{"node", "stop"}, DP_DORA_NODE_STOP, "--grace", true},
	{{"node", "restart"}, DP_DORA_NODE_RESTART, "--grace", true},
	{{"node", "remove"}, DP_DORA_NODE_REMOVE, "--grace", true},
	{{"node", "replace"}, DP_DORA_NODE_REPLACE, "--grace", true},
};

struct parsing {
	struct dp_rec_command out;
	const struct form *form;
	bool only_positional;
};

static void take_dataflow(struct parsing *p, const char *value)
{
	dp_utf8_copy(p->out.dataflow, sizeof(p->out.dataflow), value, strlen(value));
}

/* A long option, "--name=value" or "--name" "value". Returns 1 when it takes the next argument. */
static int long_option(struct parsing *p, const char *arg, const char *next)
{
	const char *const with_value[] = {p->form->grace,       "--name",
					  "--dataflow",         "--coordinator-addr",
					  "--coordinator-port", "--from-yaml"};
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg), i;
	const char *value = eq ? eq + 1 : next;

	if (!strcmp(arg, "--force")) {
		p->out.force = 1;
		return 0;
	}
	for (i = 0; i < DP_COUNT_OF(with_value); i++)
		if (strlen(with_value[i]) == len && !strncmp(arg, with_value[i], len))
			break;
	if (i == DP_COUNT_OF(with_value))
		return 0;
	if (!value)
		return -EBADMSG;
	if (i == 0)
		take_grace(&p->out, value);
	else if (i == 1 || i == 2)
		take_dataflow(p, value);
	return eq ? 0 : 1;
}

/* A row of short options: -f, -n NAME, -nNAME, -n=NAME, -fn NAME; of node commands -d likewise. */
static int short_options(struct parsing *p, const char *arg, const char *next)
{
	char with_value = p->form->of_node ? 'd' : 'n';

	for (arg++; *arg; arg++) {
		if (*arg == 'f') {
			p->out.force = 1;
		} else if (*arg == with_value) {
			const char *value = arg[1] ? arg + 1 + (arg[1] == '=') : next;

			if (!value)
				return -EBADMSG;
			take_dataflow(p, value);
			return arg[1] ? 0 : 1;
		}
	}
	return 0;
}

static void positional(struct parsing *p, const char *arg)
{
	if (p->form->of_node)
		dp_utf8_copy(p->out.node, sizeof(p->out.node), arg, strlen(arg));
	else
		take_dataflow(p, arg);
}

/* One argument. Returns 1 when it takes the next one too; -ENOENT it asks for help. */
static int argument(struct parsing *p, const char *arg, const char *next)
{
	if (!p->only_positional && !strcmp(arg, "--")) {
		p->only_positional = true;
		return 0;
	}
	if (p->only_positional || arg[0] != '-' || !arg[1]) {
		positional(p, arg);
		return 0;
	}
	if (!strcmp(arg, "--help") || !strcmp(arg, "-h"))
		return -ENOENT;
	return arg[1] == '-' ? long_option(p, arg, next) : short_options(p, arg, next);
}

/* The arguments of a command line into args. Their number, or -ENOENT. */
static int split(const char *cmdline, size_t len, const char *args[ARGS_MAX])
{
	const char *end;
	size_t at;
	int count = 0;

	if (!len || len > DP_STOP_CMDLINE_MAX || cmdline[len - 1] != '\0')
		return -ENOENT;
	for (at = 0; at < len && count < ARGS_MAX; at = (size_t)(end - cmdline) + 1) {
		end = cmdline + at + strlen(cmdline + at);
		args[count++] = cmdline + at;
	}
	return at < len ? -ENOENT : count;
}

/* Where the program `dora` stands, behind a Python and its own options; -ENOENT. */
static int find_dora(const char *const args[ARGS_MAX], int count)
{
	int i = 0;

	if (is_python(base_name(args[0]))) {
		/* Options of Python's own, such as -u or -I; -c and -m are no script. */
		for (i = 1; i < count && args[i][0] == '-'; i++)
			if (strchr(args[i], 'c') || strchr(args[i], 'm') || args[i][1] == '-')
				return -ENOENT;
	}
	return i < count && !strcmp(base_name(args[i]), "dora") ? i : -ENOENT;
}

/* Which command begins at args[at]; NULL none that ends nodes. */
static const struct form *find_form(const char *const args[ARGS_MAX], int at, int count)
{
	for (size_t i = 0; i < DP_COUNT_OF(forms); i++) {
		const struct form *f = &forms[i];

		if (at < count && !strcmp(args[at], f->words[0]) &&
		    (!f->words[1] || (at + 1 < count && !strcmp(args[at + 1], f->words[1]))))
			return f;
	}
	return NULL;
}

int dp_stop_command_parse(const char *cmdline, size_t len, struct dp_rec_command *ret)
{
	const char *args[ARGS_MAX];
	struct parsing p = {0};
	int count = split(cmdline, len, args), i;

	if (count < 0)
		return count;
	i = find_dora(args, count);
	if (i < 0)
		return i;
	p.form = find_form(args, ++i, count);
	if (!p.form)
		return -ENOENT;
	for (i += p.form->words[1] ? 2 : 1; i < count; i++) {
		int took = argument(&p, args[i], i + 1 < count ? args[i + 1] : NULL);

		if (took < 0)
			return took;
		i += took;
	}
	if (p.form->of_node && !p.out.node[0])
		return -EBADMSG;
	p.out.verb = (uint8_t)p.form->verb;
	p.out.uid = ret->uid;
	p.out.started_ns = ret->started_ns;
	*ret = p.out;
	return 0;
}

int dp_stop_command_accepted(uid_t command_uid, uid_t daemon_uid)
{
	return command_uid == 0 || command_uid == daemon_uid;
}

int dp_stop_command_read(const char *proc, pid_t pid, struct dp_rec_command *ret)
{
	char cmdline[DP_STOP_CMDLINE_MAX + 2];
	struct dp_rec_command c = {0};
	struct dp_task_status status;
	ssize_t n;
	int err;

	if (!proc)
		proc = "/proc";
	n = dp_procfile_read_pid(proc, pid, "cmdline", cmdline, sizeof(cmdline));
	if (n < 0)
		return (int)n;
	err = dp_stop_command_parse(cmdline, (size_t)n, &c);
	if (err)
		return err;
	/*
	 * The user after the command line: a process that has put on another's clothes by exec in
	 * between (setuid) is that user's, whatever it said before.
	 */
	err = dp_task_status(proc, pid, 0, &status);
	if (err)
		return err;
	if (!status.has_uids)
		return -EBADMSG;
	c.uid = status.euid;
	*ret = c;
	return 0;
}
