// SPDX-License-Identifier: MIT
/* Processes that begin; see birth.h. */
#include "sense/birth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"

static struct dp_birth_text *find(struct dp_births *b, pid_t pid)
{
	for (int i = 0; i < DP_BIRTHS_MAX; i++)
		if (b->at[i].pid == pid)
			return &b->at[i];
	return NULL;
}

static void forget(struct dp_birth_text *t)
{
	free(t->text);
	*t = (struct dp_birth_text){.pid = 0};
}

void dp_births_piece(struct dp_births *b, pid_t pid, const struct dp_config_piece *p,
		     const char *bytes)
{
	struct dp_birth_text *t = find(b, pid);
	char *text;

	if (p->offset == 0) {
		if (!t) {
			t = &b->at[b->next++ % DP_BIRTHS_MAX];
			forget(t);
		}
		t->pid = pid;
		t->len = 0;
	}
	/* One before it was lost: a text with a gap is none. */
	if (!t || t->len != p->offset || t->len + p->copied > DP_CONFIG_MAX)
		return;
	text = realloc(t->text, t->len + p->copied + 1);
	if (!text)
		return;
	memcpy(text + t->len, bytes, p->copied);
	t->text = text;
	t->len += p->copied;
}

void dp_births_take(struct dp_births *b, pid_t pid, const struct dp_exec_op *o,
		    struct dp_birth *ret)
{
	const struct dp_birth_text *t = find(b, pid);
	long hz = sysconf(_SC_CLK_TCK);

	*ret = (struct dp_birth){
		.pid = pid, .parent = (pid_t)o->parent_pid, .end_is_told = o->config_len > 0};
	if (hz > 0)
		ret->start_time = o->started_ns / (SEC / (uint64_t)hz);
	memcpy(ret->exe, o->exe, sizeof(ret->exe));
	ret->exe[sizeof(ret->exe) - 1] = '\0';
	if (t && o->config_len && t->len == o->config_len) {
		ret->config = t->text;
		ret->config_len = t->len;
	}
}

void dp_births_done(struct dp_births *b, pid_t pid)
{
	struct dp_birth_text *t = find(b, pid);

	if (t)
		forget(t);
}

void dp_births_free(struct dp_births *b)
{
	for (int i = 0; i < DP_BIRTHS_MAX; i++)
		forget(&b->at[i]);
}
