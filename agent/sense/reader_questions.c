// SPDX-License-Identifier: MIT
/* What a reader can be asked, and that its answers are looked at before they are taken (reader.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/uuid.h"
#include "sense/reader_state.h"

/* A text of the reader's, which may have read what is hostile. */
static void take_text(char *ret, size_t len, const char *text, size_t text_len)
{
	dp_utf8_copy(ret, len, text, strnlen(text, text_len));
}

static void keep_first(struct dp_reader *r, const struct job *j)
{
	r->first = (struct first_answers){.fill = j->u.open.filled >= 0,
					  .site = j->u.open.sited == 0,
					  .version = j->u.open.has_version == 0,
					  .filled = j->u.open.filled,
					  .target = j->u.open.target,
					  .at = j->u.open.site};
	take_text(r->first.dora, sizeof(r->first.dora), j->u.open.version,
		  sizeof(j->u.open.version));
}

int dp_reader_open(struct dp_reader *r, struct dp_py **py, char *why, size_t why_len)
{
	struct job j = {.kind = JOB_OPEN};
	int err = reader_ask(r, &j);

	why[0] = '\0';
	if (err == 0)
		err = dp_py_take_copy(r->target, j.u.open.copy, py);
	if (err == 0) {
		keep_first(r, &j);
		return 0;
	}
	if (err == -EBUSY)
		snprintf(why, why_len, "%s", r->sentence);
	else if (err == -EINPROGRESS)
		snprintf(why, why_len, "its memory is being looked through");
	else if (j.result == err)
		take_text(why, why_len, j.u.open.why, sizeof(j.u.open.why));
	else
		snprintf(why, why_len, "no process could be started to read it: %s",
			 strerror(-err));
	return err;
}

/* `n` GILs, as the reader has found them. */
static int take_target(const struct dp_target *t, int n, struct dp_target *target)
{
	if (n > DP_MAX_GILS || t->gil_count != (uint32_t)n)
		return -EBADMSG;
	memcpy(target->gils, t->gils, sizeof(target->gils));
	target->gil_count = t->gil_count;
	target->has_native_tid = t->has_native_tid;
	target->off_native_tid = t->off_native_tid;
	target->off_pthread = t->off_pthread;
	target->off_pthread_tid = t->off_pthread_tid;
	target->other_pid_ns = t->other_pid_ns;
	memcpy(target->eval, t->eval, sizeof(target->eval));
	return n;
}

int dp_reader_fill(struct dp_reader *r, struct dp_py *py, struct dp_target *target)
{
	struct job j = {.kind = JOB_FILL};
	int n;

	if (r->first.fill) {
		r->first.fill = false;
		return take_target(&r->first.target, r->first.filled, target);
	}
	n = reader_ask(r, &j);
	if (n < 0)
		return n;
	if (dp_py_take_copy(r->target, j.u.fill.copy, &py) < 0)
		return -EBADMSG;
	return take_target(&j.u.fill.target, n, target);
}

/* A body is taken as one of a recording would be: not at all when a value cannot be. */
static bool is_sound(enum dp_record_type type, const void *body, size_t len)
{
	struct dp_record r;

	memset(&r, 0, sizeof(r));
	dp_record_init(&r, type, 1, 1, 0);
	memcpy(&r.u, body, len);
	return dp_record_check(&r, sizeof(r)) == 0;
}

int dp_reader_look(struct dp_reader *r, unsigned int index, struct dp_rec_look *ret,
		   uint32_t *ret_tid)
{
	struct job j = {.kind = JOB_LOOK, .index = index};
	int err = reader_ask(r, &j);

	if (err)
		return err;
	if (!is_sound(DP_REC_GIL_LOOK, &j.u.look.look, sizeof(*ret)))
		return -EBADMSG;
	*ret = j.u.look.look;
	*ret_tid = j.u.look.tid;
	return 0;
}

static int take_stack(int err, const struct job *j, struct dp_rec_stack *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (err != -EINPROGRESS && err != -EBUSY && j->result == err) {
		if (is_sound(DP_REC_STACK, &j->u.stack, sizeof(*ret))) {
			*ret = j->u.stack;
			return err;
		}
		err = -EBADMSG;
	}
	ret->status = err;
	ret->syscall_nr = -2;
	return err;
}

int dp_reader_stack(struct dp_reader *r, bool is_python, pid_t tid, struct dp_rec_stack *ret)
{
	struct job j = {.kind = JOB_STACK, .tid = tid, .is_python = is_python, .result = INT32_MIN};

	return take_stack(reader_ask(r, &j), &j, ret);
}

int dp_reader_native_stack(struct dp_reader *r, pid_t pid, struct dp_rec_stack *ret)
{
	struct job j = {.kind = JOB_STACK, .pid = pid, .tid = pid, .result = INT32_MIN};

	return take_stack(reader_ask(r, &j), &j, ret);
}

int dp_reader_threads(struct dp_reader *r, pid_t ret[DP_THREADS_LOOKED_AT])
{
	struct job j = {.kind = JOB_THREADS, .result = INT32_MIN};
	int err = reader_ask(r, &j);

	if (err)
		return err;
	if (j.u.threads.count > DP_THREADS_LOOKED_AT)
		return -EBADMSG;
	memcpy(ret, j.u.threads.tids, sizeof(j.u.threads.tids));
	return (int)j.u.threads.count;
}

int dp_reader_waits(struct dp_reader *r, pid_t tid, struct dp_rec_waits *ret)
{
	struct job j = {.kind = JOB_WAITS, .tid = tid, .result = INT32_MIN};
	int err = reader_ask(r, &j);

	memset(ret, 0, sizeof(*ret));
	if (err != -EINPROGRESS && err != -EBUSY && j.result == err &&
	    is_sound(DP_REC_WAITS, &j.u.waits, sizeof(*ret))) {
		*ret = j.u.waits;
		return err;
	}
	ret->status = err ? err : -EBADMSG;
	return ret->status;
}

int dp_reader_signal_pending(struct dp_reader *r)
{
	struct job j = {.kind = JOB_SIGNAL};

	return reader_ask(r, &j);
}

/* The kernel opens it: it must lead to a file of the target and of nobody else. Ends the text. */
static bool is_targets(const struct dp_reader *r, char *path, size_t len)
{
	char own[32];

	path[len - 1] = '\0';
	snprintf(own, sizeof(own), "/proc/%d/", (int)r->target);
	return strncmp(path, own, strlen(own)) == 0 && !strstr(path, "/../");
}

static int take_site(const struct dp_reader *r, struct job_site *s, char *path, size_t len,
		     uint64_t *ret_offset)
{
	if (!is_targets(r, s->path, sizeof(s->path)))
		return -EBADMSG;
	snprintf(path, len, "%s", s->path);
	*ret_offset = s->offset;
	return 0;
}

int dp_reader_site(struct dp_reader *r, char *path, size_t len, uint64_t *ret_offset)
{
	struct job j = {.kind = JOB_SITE};
	int err;

	if (r->first.site)
		return take_site(r, &r->first.at, path, len, ret_offset);
	err = reader_ask(r, &j);
	if (!err)
		err = take_site(r, &j.u.site, path, len, ret_offset);
	if (!err) {
		r->first.site = true;
		r->first.at = j.u.site;
	}
	return err;
}

int dp_reader_dora_calls(struct dp_reader *r, struct dp_dora_calls *ret)
{
	struct job j = {.kind = JOB_DORA_CALLS};
	struct dp_dora_calls *c = &j.u.dora_calls;
	int err;

	if (r->first.calls) {
		*ret = r->first.dora_calls;
		return 0;
	}
	err = reader_ask(r, &j);
	if (err)
		return err;
	if (!is_targets(r, c->path, sizeof(c->path)) || c->count > DP_DORA_CALLS_MAX)
		return -EBADMSG;
	*ret = r->first.dora_calls = *c;
	r->first.calls = c->count != 0;
	return 0;
}

int dp_reader_version_of(struct dp_reader *r, pid_t pid, char *ret, size_t len)
{
	struct job j = {.kind = JOB_VERSION, .pid = pid};
	int err = reader_ask(r, &j);

	if (!err)
		take_text(ret, len, j.u.version, sizeof(j.u.version));
	return err;
}

int dp_reader_version(struct dp_reader *r, char *ret, size_t len)
{
	/* A module that is loaded stays; one that was not may be by now. */
	if (r->first.version) {
		take_text(ret, len, r->first.dora, sizeof(r->first.dora));
		return 0;
	}
	return dp_reader_version_of(r, 0, ret, len);
}

int dp_reader_config(struct dp_reader *r, pid_t pid, struct dp_node_config *ret)
{
	struct job j = {.kind = JOB_CONFIG, .pid = pid};
	struct dp_node_config *c = &j.u.config;
	int err = reader_ask(r, &j);

	if (err)
		return err;
	c->dataflow[sizeof(c->dataflow) - 1] = '\0';
	c->dataflow_name[sizeof(c->dataflow_name) - 1] = '\0';
	c->node[sizeof(c->node) - 1] = '\0';
	c->socket_path[sizeof(c->socket_path) - 1] = '\0';
	if (c->transport >= DP_TRANSPORT_COUNT)
		return -EBADMSG;
	*ret = *c;
	return 0;
}

int dp_reader_dora_node(struct dp_reader *r, struct dp_dora_node *ret)
{
	struct job j = {.kind = JOB_DORA_NODE, .result = INT32_MIN};
	int err = reader_ask(r, &j);

	if (err)
		return err;
	take_text(ret->dataflow, sizeof(ret->dataflow), j.u.dora_node.dataflow,
		  sizeof(j.u.dora_node.dataflow));
	take_text(ret->node, sizeof(ret->node), j.u.dora_node.node, sizeof(j.u.dora_node.node));
	return dp_uuid_is(ret->dataflow) && ret->node[0] ? 0 : -EBADMSG;
}

int dp_reader_command(struct dp_reader *r, pid_t pid, struct dp_rec_command *ret)
{
	struct job j = {.kind = JOB_COMMAND, .pid = pid};
	int err = reader_ask(r, &j);

	if (!err && !is_sound(DP_REC_DORA_COMMAND, &j.u.command, sizeof(*ret)))
		return -EBADMSG;
	if (!err)
		*ret = j.u.command;
	return err;
}
