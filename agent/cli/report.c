// SPDX-License-Identifier: MIT
/* The command `report` (report.h). */
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "run/session.h"

static int ends_in(const char *name, const char *ending)
{
	size_t len = name ? strlen(name) : 0;

	return len > strlen(ending) && strcmp(name + len - strlen(ending), ending) == 0;
}

/* Opens what the findings go into: one of the three. 0 or -ENOMEM. */
static int begin(struct dp_session *s, const struct dp_options *o, FILE *out)
{
	const struct dp_show_options text = {.fd = fileno(out),
					     .format = DP_SHOW_TEXT,
					     .verbose = o->verbosity,
					     .columns = dp_show_columns_wanted(fileno(out)),
					     .colour = !o->output &&
						       dp_show_colour_wanted(fileno(out)),
					     .hold_threshold_ns = o->model.hold_threshold_ns};

	if (ends_in(o->output, ".html"))
		s->page = dp_timeline_new();
	else if (ends_in(o->output, ".json"))
		s->trace = dp_trace_new(out);
	else
		s->show = dp_show_new(&text);
	return s->page || s->trace || s->show ? dp_session_begin(s) : -ENOMEM;
}

/* Ends and frees it: 0 or the first error. `out` is NULL when there is nothing to write to. */
static int finish(struct dp_session *s, FILE *out)
{
	int err = s->pipe_broken ? -EPIPE : s->output_error, e = 0;

	if (s->trace)
		e = dp_trace_end(s->trace);
	if (s->page && out)
		e = dp_timeline_write(s->page, out);
	dp_timeline_free(s->page);
	dp_show_free(s->show);
	s->trace = NULL;
	s->page = NULL;
	s->show = NULL;
	return err ? err : e;
}

static void use_options(const void *ctx, struct dp_rec_options *m)
{
	dp_options_override(ctx, m);
}

/*
 * Where the report is written: standard output, or a file that has no name until it is whole, so that nothing is left of a
 * report that is broken off. Where the file system cannot do that, it is a file beside the one that it becomes.
 */
struct place {
	const char *name; /* NULL: standard output */
	char temporary[PATH_MAX];
	bool is_unnamed;
	FILE *out;
};

/* The folder of the report, for a file without a name in it. A descriptor or -errno. */
static int open_unnamed(const char *name)
{
	char folder[PATH_MAX];
	const char *end = strrchr(name, '/');
	int fd;

	if (!end)
		snprintf(folder, sizeof(folder), ".");
	else
		snprintf(folder, sizeof(folder), "%.*s", (int)(end - name + 1), name);
	fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* 0 or -errno. */
static int open_place(struct place *p)
{
	int fd, err = 0;

	p->out = stdout;
	if (!p->name)
		return 0;
	p->out = NULL;
	if (snprintf(p->temporary, sizeof(p->temporary), "%s.XXXXXX", p->name) >=
	    (int)sizeof(p->temporary)) {
		*p->temporary = '\0';
		return -ENAMETOOLONG;
	}
	fd = open_unnamed(p->name);
	p->is_unnamed = fd >= 0;
	if (!p->is_unnamed)
		fd = mkstemp(p->temporary);
	p->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!p->out) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		if (fd < 0 || p->is_unnamed)
			*p->temporary = '\0';
	}
	return err;
}

/* Gives the file its temporary name: a link cannot replace what is there, a rename can. 0 or -errno. */
static int name_place(struct place *p)
{
	char fd[64];
	int tried = mkstemp(p->temporary);

	if (tried < 0)
		return -errno;
	close(tried);
	unlink(p->temporary);
	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", fileno(p->out));
	if (linkat(AT_FDCWD, fd, AT_FDCWD, p->temporary, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	p->is_unnamed = false;
	return 0;
}

/*
 * Makes it the file that was asked for. 0 or -errno. Between its temporary name and its own it cannot be broken off: what would
 * end the process waits.
 */
static int keep_place(struct place *p)
{
	/* It was made private; a report is as private as the user's umask says. */
	mode_t mask = umask(077);
	sigset_t deadly, before;
	int err = 0;

	umask(mask);
	sigemptyset(&deadly);
	sigaddset(&deadly, SIGHUP);
	sigaddset(&deadly, SIGINT);
	sigaddset(&deadly, SIGQUIT);
	sigaddset(&deadly, SIGTERM);
	if (fchmod(fileno(p->out), 0666 & ~mask) < 0 || fflush(p->out) != 0)
		err = -errno;
	sigprocmask(SIG_BLOCK, &deadly, &before);
	if (!err && p->is_unnamed)
		err = name_place(p);
	if (fclose(p->out) != 0 && !err)
		err = -errno;
	p->out = NULL;
	if (!err && rename(p->temporary, p->name) < 0)
		err = -errno;
	if (!err)
		*p->temporary = '\0';
	else if (!p->is_unnamed)
		unlink(p->temporary);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}

static void close_place(struct place *p)
{
	if (p->out && p->out != stdout)
		fclose(p->out);
	if (*p->temporary && !p->is_unnamed)
		unlink(p->temporary);
}

/* Feeds the whole recording and writes the report. 0 or -errno; *ret_damaged: only a part of it. */
static int write_report(struct dp_session *s, struct dp_replay *replay, const struct dp_options *o,
			FILE *out, bool *ret_damaged)
{
	bool ended;
	int err = begin(s, o, out);

	if (!err)
		err = dp_session_replay(s, replay, use_options, o, &ended);
	if (err == -EBADMSG) {
		dp_log("%s: damaged behind byte %llu; this is what comes before", o->file,
		       (unsigned long long)dp_replay_offset(replay));
		*ret_damaged = true;
		err = 0;
	}
	return err ? err : finish(s, out);
}

int dp_report(const struct dp_options *o)
{
	struct dp_session s = {.patient = true};
	struct dp_replay *replay = NULL;
	struct place place = {.name = o->output};
	char why[256] = "";
	bool damaged = false;
	int err;

	err = dp_replay_open(o->file, &replay, why, sizeof(why));
	if (err) {
		dp_log("%s: %s", o->file, why);
		return err == -EBADMSG || err == -ENOENT ? DP_EX_USAGE : DP_EX_INTERNAL;
	}
	signal(SIGPIPE, SIG_IGN);
	err = open_place(&place);
	if (!err)
		err = write_report(&s, replay, o, place.out, &damaged);
	if (!err && o->output)
		err = keep_place(&place);
	if (err && err != -EPIPE)
		dp_log("%s: cannot write the report: %s", o->output ? o->output : "standard output",
		       strerror(-err));
	finish(&s, place.out);
	close_place(&place);
	dp_session_end(&s);
	dp_replay_close(replay);
	return (err && err != -EPIPE) || damaged ? DP_EX_INTERNAL : DP_EX_OK;
}
