// SPDX-License-Identifier: MIT
/* What /proc/PID/stat and status say (task_parse.h). */
#include "base/task_parse.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "base/utf8.h"

/* From the blank before the field `from` to the one before the field `to`; NULL: there is none. */
static const char *skip_to(const char *p, int from, int to)
{
	for (int field = from; p && field < to; field++)
		p = strchr(p + 1, ' ');
	return p;
}

/*
 * What stands behind start_time: an older kernel has less of it, and to whom it may not be told
 * the kernel tells 0.
 */
static void stat_rest(const char *p, struct dp_task_stat *ret)
{
	uint64_t *const bounds[] = {&ret->arg_start, &ret->arg_end, &ret->env_start, &ret->env_end};
	uint64_t v;

	ret->cpu = ret->exit_status = -1;
	p = skip_to(p, 23, 39);
	if (p && dp_number(p + 1, 10, INT32_MAX, &v))
		ret->cpu = (int32_t)v;
	p = skip_to(p, 39, 48);
	for (size_t i = 0; p && i < DP_COUNT_OF(bounds); i++, p = strchr(p + 1, ' '))
		if (!dp_number(p + 1, 10, INT64_MAX, bounds[i]))
			*bounds[i] = 0;
	if (p && dp_number(p + 1, 10, INT32_MAX, &v))
		ret->exit_status = (int32_t)v;
}

int dp_task_stat_parse(const char *text, struct dp_task_stat *ret)
{
	/* The name may hold anything, parentheses too; nothing after it does. */
	const char *name = strchr(text, '('), *p = strrchr(text, ')');
	struct dp_task_stat s = {.state = 0};
	uint64_t ppid = 0;

	if (!name || !p || p < name || p[1] != ' ' || !p[2])
		return -EBADMSG;
	dp_utf8_copy(s.comm, sizeof(s.comm), name + 1, (size_t)(p - name - 1));
	p += 2;
	s.state = *p;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EBADMSG;
		p++;
		if (field == 3 && !dp_number(p, 10, INT32_MAX, &ppid))
			return -EBADMSG;
	}
	p = dp_number(p, 10, UINT64_MAX, &s.start_time);
	if (!p || *p != ' ')
		return -EBADMSG;
	s.ppid = (pid_t)ppid;
	stat_rest(p, &s);
	*ret = s;
	return 0;
}

/*
 * What follows "Name:" and a tab at the beginning of a line. Never the first line: it has the name
 * of the task, which is its own and may look like anything.
 */
static const char *field(const char *text, const char *name)
{
	char line[24];
	const char *at;

	snprintf(line, sizeof(line), "\n%s:\t", name);
	at = strstr(text, line);
	return at ? at + strlen(line) : NULL;
}

static bool hex_field(const char *text, const char *name, uint64_t *ret)
{
	const char *at = field(text, name);

	at = at ? dp_number(at, 16, UINT64_MAX, ret) : NULL;
	return at && (*at == '\n' || !*at);
}

void dp_task_status_parse(const char *text, struct dp_task_status *ret)
{
	struct dp_task_status s = {.has_signals = false};
	uint64_t uid = 0, euid = 0, id = 0, own, shared;
	const char *p;

	s.has_signals = hex_field(text, "SigIgn", &s.signals_ignored) &&
			hex_field(text, "SigCgt", &s.signals_caught);
	if (hex_field(text, "SigPnd", &own) && hex_field(text, "ShdPnd", &shared))
		s.signals_pending = own | shared;
	/* Real, effective, saved, file system. */
	p = field(text, "Uid");
	p = p ? dp_number(p, 10, UINT32_MAX, &uid) : NULL;
	p = p && *p == '\t' ? dp_number(p + 1, 10, UINT32_MAX, &euid) : NULL;
	s.has_uids = p && *p == '\t';
	s.uid = s.has_uids ? (uint32_t)uid : 0;
	s.euid = s.has_uids ? (uint32_t)euid : 0;
	/* From the namespace of /proc to the innermost one. */
	for (p = field(text, "NSpid"); p; p = *p == '\t' ? p + 1 : NULL) {
		p = dp_number(p, 10, INT32_MAX, &id);
		if (!p)
			break;
		s.levels++;
	}
	s.has_inner = s.levels && id;
	s.inner_id = s.has_inner ? (uint32_t)id : 0;
	*ret = s;
}
