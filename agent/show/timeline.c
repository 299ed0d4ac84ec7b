// SPDX-License-Identifier: MIT
/* Collecting: findings become spans, marks and the text below them (timeline.h). */
#include "show/timeline_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

struct dp_timeline *dp_timeline_new(void)
{
	struct dp_timeline *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	/* Twice the number, so that the shortest are sorted out in batches. */
	t->items = calloc(2 * DP_TIMELINE_MAX, sizeof(*t->items));
	t->text.limit = TEXT_MAX;
	t->text_state.table.limit = TEXT_MAX;
	t->first_ns = UINT64_MAX;
	t->wall_offset_ns = DP_SNULL;
	if (!t->items) {
		free(t);
		return NULL;
	}
	return t;
}

void dp_timeline_free(struct dp_timeline *t)
{
	if (!t)
		return;
	dp_line_free(&t->text);
	dp_line_free(&t->text_state.table);
	free(t->items);
	free(t);
}

static uint64_t length(const struct timeline_item *i)
{
	/* Marks have no length and are what must not get lost. */
	return i->kind == MARK ? UINT64_MAX : i->end - i->start;
}

static int longest_first(const void *a, const void *b)
{
	uint64_t x = length(a), y = length(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

void timeline_keep_longest(struct dp_timeline *t)
{
	if (t->count <= DP_TIMELINE_MAX)
		return;
	qsort(t->items, t->count, sizeof(*t->items), longest_first);
	for (size_t i = DP_TIMELINE_MAX; i < t->count; i++)
		if (t->items[i].kind != MARK && length(&t->items[i]) > t->longest_left_out_ns)
			t->longest_left_out_ns = length(&t->items[i]);
	t->left_out += t->count - DP_TIMELINE_MAX;
	t->count = DP_TIMELINE_MAX;
}

/* The finding's sentence, without time and name, is what a span says when pointed at. */
static void set_label(struct timeline_item *i, const struct dp_finding *f)
{
	const struct dp_show_options o = {.verbose = 1};
	struct dp_text_state state = {.day = 0};
	struct dp_finding plain = *f;
	struct dp_line l = {.limit = 64 * 1024};
	const char *s, *end;
	size_t n = 0;

	plain.wall_offset_ns = DP_SNULL;
	plain.node = "-";
	dp_render_text(&l, &state, &o, &plain);
	if (!l.error && l.len) {
		/* "+123.456      -         hold      held …": the third column begins the sentence.
		 */
		end = memchr(l.data, '\n', l.len);
		end = end ? end : l.data + l.len;
		s = memchr(l.data, '-', (size_t)(end - l.data));
		s = s ? s + 1 : l.data;
		while (s < end && *s == ' ')
			s++;
		/* The columns' blanks are for a terminal. */
		for (; s < end && n < LABEL_MAX - 1; s++)
			if (*s != ' ' || n == 0 || i->label[n - 1] != ' ')
				i->label[n++] = *s;
		/* Not in the middle of a character. */
		while (s < end && n > 0 && ((unsigned char)*s & 0xC0) == 0x80) {
			s--;
			n--;
		}
		i->label[n] = '\0';
	}
	dp_line_free(&l);
}

/* 1, or 0 when there is no room for another node. */
static int see_node(struct dp_timeline *t, uint32_t pid, const char *name)
{
	size_t i = 0;

	while (i < t->node_count && t->nodes[i].pid != pid)
		i++;
	if (i == t->node_count) {
		if (i == DP_TIMELINE_NODES_MAX) {
			t->nodes_left_out = 1;
			return 0;
		}
		t->nodes[i].pid = pid;
		snprintf(t->nodes[i].name, sizeof(t->nodes[i].name), "pid %u", pid);
		t->node_count++;
	}
	if (name && *name)
		snprintf(t->nodes[i].name, sizeof(t->nodes[i].name), "%s", name);
	return 1;
}

static void add(struct dp_timeline *t, const struct dp_finding *f, enum timeline_kind kind,
		uint32_t pid, uint64_t start, uint64_t end, const char *style)
{
	struct timeline_item *i;

	if (!pid || start == DP_NULL || end == DP_NULL || end < start ||
	    !see_node(t, pid, pid == f->pid ? f->node : NULL))
		return;
	if (t->count == 2 * DP_TIMELINE_MAX)
		timeline_keep_longest(t);
	if (t->count == 2 * DP_TIMELINE_MAX)
		return;
	i = &t->items[t->count++];
	*i = (struct timeline_item){
		.start = start, .end = end, .pid = pid, .kind = (uint8_t)kind, .style = style};
	set_label(i, f);
	if (start < t->first_ns)
		t->first_ns = start;
	if (end > t->last_ns)
		t->last_ns = end;
}

static void add_token(struct dp_timeline *t, const struct dp_finding *f)
{
	static const char *const styles[] = {
		[DP_TOKEN_OPEN] = "token open",
		[DP_TOKEN_RETURNED] = "token",
		[DP_TOKEN_ABANDONED] = "token abandoned",
		[DP_TOKEN_LOST] = "token lost",
	};
	const struct dp_token_finding *k = &f->u.token;
	uint32_t pid = k->receiver_pid ? k->receiver_pid : f->pid;

	_Static_assert(DP_COUNT_OF(styles) == DP_TOKEN_COUNT, "one for each state");
	add(t, f, TOKEN, pid, k->delivered_ns != DP_NULL ? k->delivered_ns : k->sent_ns,
	    k->reported_ns != DP_NULL ? k->reported_ns : f->t_ns,
	    k->state < DP_TOKEN_COUNT ? styles[k->state] : "token lost");
	if (pid && k->receiver)
		see_node(t, pid, k->receiver);
}

static void add_text(struct dp_timeline *t, const struct dp_finding *f)
{
	const struct dp_show_options o = {.verbose = 0, .hold_threshold_ns = t->hold_threshold_ns};
	size_t before = t->text.len;

	if (!dp_finding_passes(f, &o))
		return;
	dp_render_text(&t->text, &t->text_state, &o, f);
	if (t->text.error) {
		t->text.len = before;
		t->text.error = 0;
		t->text_cut = 1;
	}
}

void dp_timeline_set_hold_threshold(struct dp_timeline *t, uint64_t ns)
{
	t->hold_threshold_ns = ns;
}

void dp_timeline_finding(struct dp_timeline *t, const struct dp_finding *f)
{
	if (f->wall_offset_ns != DP_SNULL && t->wall_offset_ns == DP_SNULL)
		t->wall_offset_ns = f->wall_offset_ns;
	add_text(t, f);
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_NODE:
		if (f->pid)
			see_node(t, f->pid, f->node);
		break;
	case DP_FIND_GIL_HOLD:
		add(t, f, HOLD, f->pid, f->u.hold.start_ns, f->u.hold.end_ns,
		    f->u.hold.precision == DP_PRECISION_UNCONFIRMED ? "hold unconfirmed"
		    : f->u.hold.dora_internal                       ? "hold dora"
								    : "hold");
		break;
	case DP_FIND_GIL_WAIT:
		add(t, f, WAIT, f->pid, f->u.wait.start_ns, f->u.wait.end_ns, "wait");
		break;
	case DP_FIND_TOKEN:
		add_token(t, f);
		break;
	case DP_FIND_WARNING:
		if (!f->u.warning.resolved)
			add(t, f, MARK, f->pid, f->t_ns, f->t_ns, "mark warning");
		break;
	case DP_FIND_STOP:
	case DP_FIND_ACTION:
	case DP_FIND_EXIT:
		add(t, f, MARK, f->pid, f->t_ns, f->t_ns, "mark");
		break;
	case DP_FIND_START:
	case DP_FIND_SIGNAL:
	case DP_FIND_LOSS:
	case DP_FIND_FORECAST:
	case DP_FIND_SHARE:
	case DP_FIND_STOCK:
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
}
