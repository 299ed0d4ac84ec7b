// SPDX-License-Identifier: MIT
/* `dora stop` seen starting; see stop_command.h. */
#include "dora/stop_command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
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
		for (i = 0, ns = 0; i < DP_COUNT_OF(units) && !ns; i++) {
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

static int is_python(const char *name)
{
	return !strncmp(name, "python", 6) && strspn(name + 6, "0123456789.t") == strlen(name + 6);
}

static void take_grace(struct dp_rec_stop_command *c, const char *value)
{
	/* What dora may understand and we do not is as if it were not given: never a guess. */
	if (dp_dora_duration(value, &c->grace_ns))
		c->grace_ns = 0;
}

/* A long option, "--name=value" or "--name" "value". Returns 1 when it takes the next argument. */
static int long_option(struct dp_rec_stop_command *c, const char *arg, const char *next)
{
	static const char *const with_value[] = {"--grace-duration", "--name", "--coordinator-addr",
						 "--coordinator-port"};
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg), i;
	const char *value = eq ? eq + 1 : next;

	if (!strcmp(arg, "--force")) {
		c->force = 1;
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
		take_grace(c, value);
	else if (i == 1)
		dp_utf8_copy(c->target, sizeof(c->target), value, strlen(value));
	return eq ? 0 : 1;
}

/* A row of short options: -f, -n NAME, -nNAME, -fn NAME. */
static int short_options(struct dp_rec_stop_command *c, const char *arg, const char *next)
{
	for (arg++; *arg; arg++) {
		if (*arg == 'f') {
			c->force = 1;
		} else if (*arg == 'n') {
			if (!arg[1] && !next)
				return -EBADMSG;
			dp_utf8_copy(c->target, sizeof(c->target), arg[1] ? arg + 1 : next,
				     strlen(arg[1] ? arg + 1 : next));
			return arg[1] ? 0 : 1;
		}
	}
	return 0;
}

int dp_stop_command_parse(const char *cmdline, size_t len, struct dp_rec_stop_command *ret)
{
	struct dp_rec_stop_command c = {0};
	const char *args[ARGS_MAX], *end;
	size_t count = 0, i = 0, at;
	int took, only_positional = 0;

	if (!len || len > DP_STOP_CMDLINE_MAX || cmdline[len - 1] != '\0')
		return -ENOENT;
	for (at = 0; at < len && count < ARGS_MAX; at = (size_t)(end - cmdline) + 1) {
		end = cmdline + at + strlen(cmdline + at);
		args[count++] = cmdline + at;
	}
	if (at < len)
		return -ENOENT;
	if (is_python(base_name(args[0]))) {
		/* Options of Python's own, such as -u or -I; -c and -m are no script. */
		for (i = 1; i < count && args[i][0] == '-'; i++)
			if (strchr(args[i], 'c') || strchr(args[i], 'm') || args[i][1] == '-')
				return -ENOENT;
	}
	if (i >= count || strcmp(base_name(args[i]), "dora") != 0)
		return -ENOENT;
	if (++i >= count || strcmp(args[i], "stop") != 0)
		return -ENOENT;
	for (i++; i < count; i++) {
		const char *next = i + 1 < count ? args[i + 1] : NULL;

		if (!only_positional && !strcmp(args[i], "--")) {
			only_positional = 1;
			continue;
		}
		if (only_positional || args[i][0] != '-' || !args[i][1]) {
			dp_utf8_copy(c.target, sizeof(c.target), args[i], strlen(args[i]));
			continue;
		}
		if (!strcmp(args[i], "--help") || !strcmp(args[i], "-h"))
			return -ENOENT;
		took = args[i][1] == '-' ? long_option(&c, args[i], next)
					 : short_options(&c, args[i], next);
		if (took < 0)
			return took;
		i += (size_t)took;
	}
	c.uid = ret->uid;
	*ret = c;
	return 0;
}

int dp_stop_command_accepted(uid_t command_uid, uid_t daemon_uid)
{
	return command_uid == 0 || command_uid == daemon_uid;
}

int dp_stop_command_read(const char *proc, pid_t pid, struct dp_rec_stop_command *ret)
{
	char cmdline[DP_STOP_CMDLINE_MAX + 2];
	struct dp_rec_stop_command c = {0};
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
