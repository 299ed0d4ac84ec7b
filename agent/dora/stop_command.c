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

#define ARGS_MAX 64

int dp_dora_duration(const char *s, uint64_t *ret_ns)
{
	/* The units of dora's parser (duration-str), any case; months and years are no grace. */
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ns", 1},
		{"nsec", 1},
		{"nanosecond", 1},
		{"us", 1000},
		{"\xc2\xb5s", 1000},
		{"usec", 1000},
		{"microsecond", 1000},
		{"ms", 1000000},
		{"msec", 1000000},
		{"millisecond", 1000000},
		{"s", 1000000000},
		{"sec", 1000000000},
		{"second", 1000000000},
		{"m", 60000000000},
		{"min", 60000000000},
		{"minute", 60000000000},
		{"h", 3600000000000},
		{"hr", 3600000000000},
		{"hour", 3600000000000},
		{"d", 86400000000000},
		{"day", 86400000000000},
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
		for (i = 0, ns = 0; i < sizeof(units) / sizeof(units[0]) && !ns; i++) {
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

/* Copies what will be printed: control bytes and bytes outside ASCII become '?'. */
static void copy_printable(char *dst, size_t len, const char *src)
{
	size_t i;

	for (i = 0; i + 1 < len && src[i]; i++)
		dst[i] = src[i] >= ' ' && src[i] < 0x7f ? src[i] : '?';
	dst[i] = '\0';
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
	for (i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++)
		if (strlen(with_value[i]) == len && !strncmp(arg, with_value[i], len))
			break;
	if (i == sizeof(with_value) / sizeof(with_value[0]))
		return 0;
	if (!value)
		return -EBADMSG;
	if (i == 0)
		take_grace(c, value);
	else if (i == 1)
		copy_printable(c->target, sizeof(c->target), value);
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
			copy_printable(c->target, sizeof(c->target), arg[1] ? arg + 1 : next);
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
			copy_printable(c.target, sizeof(c.target), args[i]);
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

static ssize_t read_whole(const char *path, char *buf, size_t len)
{
	ssize_t n, got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((size_t)got < len) {
		n = read(fd, buf + got, len - (size_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			got = -errno;
		if (n <= 0)
			break;
		got += n;
	}
	close(fd);
	return got;
}

int dp_stop_command_read(const char *proc, pid_t pid, struct dp_rec_stop_command *ret)
{
	char path[128], cmdline[DP_STOP_CMDLINE_MAX + 1], status[8193], *uid, *end;
	struct dp_rec_stop_command c = {0};
	unsigned long euid;
	ssize_t n;
	int err;

	snprintf(path, sizeof(path), "%s/%d/cmdline", proc ? proc : "/proc", (int)pid);
	n = read_whole(path, cmdline, sizeof(cmdline));
	if (n < 0)
		return (int)n;
	err = dp_stop_command_parse(cmdline, (size_t)n, &c);
	if (err)
		return err;
	/*
	 * The user after the command line: a process that has put on another's clothes by exec in
	 * between (setuid) is that user's, whatever it said before.
	 */
	snprintf(path, sizeof(path), "%s/%d/status", proc ? proc : "/proc", (int)pid);
	n = read_whole(path, status, sizeof(status) - 1);
	if (n < 0)
		return (int)n;
	status[n] = '\0';
	/* Uid: real, effective, saved, file system. */
	uid = strstr(status, "\nUid:\t");
	uid = uid ? strchr(uid + 6, '\t') : NULL;
	if (!uid)
		return -EBADMSG;
	errno = 0;
	euid = strtoul(uid + 1, &end, 10);
	if (errno || *end != '\t' || euid > UINT32_MAX)
		return -EBADMSG;
	c.uid = (uint32_t)euid;
	*ret = c;
	return 0;
}
