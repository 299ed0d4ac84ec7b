// SPDX-License-Identifier: MIT
/*
 * One finding as one JSON object on a line. Each field of an event is there in every line of that
 * event, null where it is not known. Numbers are printed without the C locale's help, so a decimal
 * comma can never get in.
 */
#include "show/render.h"
#include "base/array.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A comma, unless the field is the first of its object. */
static void key(struct dp_line *l, const char *name)
{
	const char *comma = l->len && l->data[l->len - 1] == '{' ? "" : ",";

	dp_line_fmt(l, "%s\"%s\":", comma, name);
}

/* ---- one function a kind of field (fields.h) ------------------------------------------------ */

static void put_null(struct dp_line *l, const char *name)
{
	key(l, name);
	dp_line_str(l, "null");
}

static void put_NUMBER(struct dp_line *l, const char *name, uint64_t v)
{
	key(l, name);
	dp_line_fmt(l, "%llu", (unsigned long long)v);
}

static void put_COUNT(struct dp_line *l, const char *name, uint64_t v)
{
	if (v == DP_NULL)
		put_null(l, name);
	else
		put_NUMBER(l, name, v);
}

static void put_ID(struct dp_line *l, const char *name, uint64_t v)
{
	put_COUNT(l, name, v == 0 ? DP_NULL : v);
}

static void put_MOMENT(struct dp_line *l, const char *name, uint64_t v)
{
	put_ID(l, name, v);
}

static void put_LINE(struct dp_line *l, const char *name, int32_t v)
{
	put_ID(l, name, v > 0 ? (uint64_t)v : 0);
}

static void put_SLACK(struct dp_line *l, const char *name, int64_t v)
{
	if (v == DP_SNULL) {
		put_null(l, name);
		return;
	}
	key(l, name);
	dp_line_fmt(l, "%lld", (long long)v);
}

static void put_CODE(struct dp_line *l, const char *name, int32_t v)
{
	put_SLACK(l, name, v < 0 ? DP_SNULL : v);
}

static void put_BOOL(struct dp_line *l, const char *name, bool v)
{
	key(l, name);
	dp_line_str(l, v ? "true" : "false");
}

static void put_TRUTH(struct dp_line *l, const char *name, int v)
{
	if (v < 0)
		put_null(l, name);
	else
		put_BOOL(l, name, v);
}

static void put_TEXT(struct dp_line *l, const char *name, const char *s)
{
	key(l, name);
	dp_line_json(l, s && *s ? s : NULL);
}

static void put_SIGNAL(struct dp_line *l, const char *name, uint32_t sig)
{
	char text[32], key_name[48];

	put_ID(l, name, sig);
	snprintf(key_name, sizeof(key_name), "%s_name", name);
	put_TEXT(l, key_name, sig ? dp_format_signal(sig, text, sizeof(text)) : NULL);
}

/* In millionths; NaN is unknown as well. */
static void put_SHARE(struct dp_line *l, const char *name, double v)
{
	unsigned int millionths;

	if (!(v >= 0.0 && v <= 1.0)) {
		put_null(l, name);
		return;
	}
	millionths = (unsigned int)(v * 1e6 + 0.5);
	key(l, name);
	dp_line_fmt(l, "%u.%06u", millionths / 1000000, millionths % 1000000);
}

static void put_ESTIMATE(struct dp_line *l, const char *name, struct dp_estimate v)
{
	if (!(v.ratio >= 0.0)) {
		put_null(l, name);
		return;
	}
	key(l, name);
	dp_line_str(l, "{");
	put_SHARE(l, "ratio", v.ratio);
	put_SHARE(l, "error", v.error);
	dp_line_str(l, "}");
}

static void put_WALL(struct dp_line *l, const char *name, int64_t wall_ns)
{
	char time[40];

	put_TEXT(l, name, wall_ns == DP_SNULL ? NULL : dp_format_time(wall_ns, time, sizeof(time)));
}

static void put_TOKEN(struct dp_line *l, const char *name, const uint8_t token[DP_TOKEN_LEN])
{
	char uuid[40];

	put_TEXT(l, name,
		 dp_token_is_known(token) ? dp_format_token(token, uuid, sizeof(uuid)) : NULL);
}

#define PUT_WORD(kind, word)                                                                       \
	static void put_##kind(struct dp_line *l, const char *name, unsigned int v)                \
	{                                                                                          \
		put_TEXT(l, name, word(v));                                                        \
	}
PUT_WORD(KIND, dp_warning_name)
PUT_WORD(DORA, dp_dora_source_name)
PUT_WORD(SEVERITY, dp_severity_name)
PUT_WORD(PRECISION, dp_precision_name)
PUT_WORD(STATE, dp_token_state_name)
PUT_WORD(STOP, dp_stop_reason_name)
PUT_WORD(WITNESS, dp_witness_name)
PUT_WORD(ACTION, dp_action_name)
PUT_WORD(RESULT, dp_action_result_name)
PUT_WORD(EXIT, dp_exit_reason_name)
PUT_WORD(LOSS, dp_loss_name)
PUT_WORD(WAIT, dp_wait_name)

static void put_CAUSE(struct dp_line *l, const char *name, int cause)
{
	put_TEXT(l, name, cause < 0 ? NULL : dp_cause_name((unsigned int)cause));
}

static void put_LEVEL(struct dp_line *l, const char *name, unsigned int v)
{
	put_TEXT(l, name, v == DP_LEVEL_NONE ? NULL : dp_level_name(v));
}

static void put_DEADLINE(struct dp_line *l, const char *name, unsigned int v)
{
	put_TEXT(l, name, v == DP_DEADLINE_NONE ? NULL : dp_deadline_source_name(v));
}

static void put_TRANSPORT(struct dp_line *l, const char *name, unsigned int v)
{
	put_TEXT(l, name, v == DP_TRANSPORT_UNKNOWN ? NULL : dp_transport_name(v));
}

/* The parts of a text between any of the bytes `between`, without blanks before them, as an array. */
static void put_parts(struct dp_line *l, const char *name, const char *text, const char *between)
{
	const char *sep = "[";
	char item[256];

	key(l, name);
	while (*text) {
		size_t n;

		text += strspn(text, " ");
		n = strcspn(text, between);
		snprintf(item, sizeof(item), "%.*s", (int)(n < sizeof(item) ? n : sizeof(item) - 1),
			 text);
		if (*item) {
			dp_line_str(l, sep);
			dp_line_json(l, item);
			sep = ",";
		}
		text += n + (text[n] != '\0');
	}
	dp_line_str(l, *sep == '[' ? "[]" : "]");
}

/* "1234,camera" as ["1234","camera"]. */
static void put_TARGETS(struct dp_line *l, const char *name, const char *text)
{
	put_parts(l, name, text, ",");
}

static void put_MISSING(struct dp_line *l, const char *name, const struct dp_rec_node *facts)
{
	put_parts(l, name, facts ? facts->reason : "", ";");
}

/* The words of the bits that are set, `count` at most. */
static void put_words(struct dp_line *l, const char *name, uint32_t bits, unsigned int count,
		      const char *(*word)(unsigned int v))
{
	const char *sep = "";

	key(l, name);
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < count; i++) {
		if (!(bits & 1u << i))
			continue;
		dp_line_str(l, sep);
		dp_line_json(l, word(i));
		sep = ",";
	}
	dp_line_str(l, "]");
}

static void put_SOURCES(struct dp_line *l, const char *name, uint32_t sources)
{
	put_words(l, name, sources, DP_SOURCE_COUNT, dp_source_name);
}

static void put_SPOILS(struct dp_line *l, const char *name, uint32_t spoils)
{
	put_words(l, name, spoils, DP_SPOILS_COUNT, dp_spoils_name);
}

static void put_EVIDENCE(struct dp_line *l, const char *name, uint32_t evidence)
{
	put_words(l, name, evidence, DP_EVIDENCE_COUNT, dp_evidence_name);
}

static const char *disposition_name(unsigned int d)
{
	static const char *const names[] = {
		[DP_SIGDISP_DEFAULT] = "default",
		[DP_SIGDISP_IGNORED] = "ignored",
		[DP_SIGDISP_CAUGHT] = "caught",
	};

	return d < DP_COUNT_OF(names) ? names[d] : NULL;
}

static void put_READINESS(struct dp_line *l, const char *name, const struct dp_node_finding *n)
{
	const uint32_t other = n->other_caught_signal;
	char text[32];

	key(l, name);
	dp_line_str(l, "{");
	put_TEXT(l, "nudge_signal",
		 n->nudge_signal ? dp_format_signal(n->nudge_signal, text, sizeof(text)) : NULL);
	put_TEXT(l, "disposition", disposition_name(n->nudge_disposition));
	put_TEXT(l, "caught_signal", other ? dp_format_signal(other, text, sizeof(text)) : NULL);
	dp_line_str(l, "}");
}

static void put_WAITERS(struct dp_line *l, const char *name, const struct dp_hold_finding *h)
{
	unsigned int waiters = h->waiter_count < DP_WAITERS_MAX ? h->waiter_count : DP_WAITERS_MAX;

	key(l, name);
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < waiters; i++)
		dp_line_fmt(l, i ? ",%u" : "%u", h->waiters[i]);
	dp_line_str(l, "]");
}

/* Begins the array; each node adds its object. */
static void put_NODES(struct dp_line *l, const char *name, const void *none)
{
	(void)none;
	key(l, name);
	dp_line_str(l, "[");
}

static void json_blame(struct dp_line *l, const struct dp_finding *f, const struct dp_blame *d);

static void put_BLAMES(struct dp_line *l, const char *name, const struct dp_summary_node_finding *n)
{
	unsigned int blames = n->blame_count < DP_BLAME_MAX ? n->blame_count : DP_BLAME_MAX;

	key(l, name);
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < blames; i++) {
		dp_line_str(l, i ? ",{" : "{");
		json_blame(l, NULL, &n->blame[i]);
		dp_line_str(l, "}");
	}
	dp_line_str(l, "]");
}

static void json_link(struct dp_line *l, const struct dp_finding *f, const struct dp_link *d);

static void put_CHAIN(struct dp_line *l, const char *name, const struct dp_rec_waits *w)
{
	if (!w) {
		put_null(l, name);
		return;
	}
	key(l, name);
	dp_line_str(l, "[");
	for (unsigned int i = 0; i < w->link_count && i < DP_LINKS_MAX; i++) {
		dp_line_str(l, i ? ",{" : "{");
		json_link(l, NULL, &w->links[i]);
		dp_line_str(l, "}");
	}
	dp_line_str(l, "]");
}

static void put_PROOF(struct dp_line *l, const char *name, unsigned int proof)
{
	put_TEXT(l, name, proof == DP_PROOF_NONE ? NULL : dp_proof_name(proof));
}

/* ---- values that are no member of a finding -------------------------------------------------- */

static int64_t wall_ns(const struct dp_finding *f)
{
	/* Unsigned: a forged offset may wrap, which is then a wrong date and no more. */
	return f->wall_offset_ns == DP_SNULL ? DP_SNULL
					     : (int64_t)(f->t_ns + (uint64_t)f->wall_offset_ns);
}

static uint64_t known_hold_duration(const struct dp_hold_finding *h)
{
	return h->start_ns == DP_NULL || h->end_ns == DP_NULL ? DP_NULL : dp_hold_duration(h);
}

static uint64_t known_wait_duration(const struct dp_wait_finding *w)
{
	bool known = w->start_ns != DP_NULL && w->end_ns != DP_NULL && w->end_ns >= w->start_ns;

	return known ? w->end_ns - w->start_ns : DP_NULL;
}

/* ---- one function a list of fields ----------------------------------------------------------- */

#define PUT_F(kind, type, name, null, unit, meaning)  put_##kind(l, #name, d->name);
#define PUT_V(kind, name, value, null, unit, meaning) put_##kind(l, #name, value);
#define PUT_M(type, name)
/* The fields of `d`, a list's struct in the finding `f`, without the braces of the object. */
#define JSON(list, type)                                                                           \
	static void json_##list(struct dp_line *l, const struct dp_finding *f, const type *d)      \
	{                                                                                          \
		(void)f;                                                                           \
		(void)d;                                                                           \
		DP_FINDING_##list(PUT_F, PUT_V, PUT_M)                                             \
	}
#define JSON_EVENT(e, list, event) JSON(list, struct dp_##list##_finding)
JSON(line, struct dp_finding)
JSON(blame, struct dp_blame)
JSON(link, struct dp_link)
JSON(summary, struct dp_summary_finding)
JSON(summary_node, struct dp_summary_node_finding)
DP_FINDING_EVENTS(JSON_EVENT)

static void summary_begin(struct dp_json_state *s, const struct dp_finding *f)
{
	dp_line_reset(&s->summary);
	dp_line_str(&s->summary, "{");
	json_line(&s->summary, f, f);
	json_summary(&s->summary, f, &f->u.summary);
	s->in_summary = 1;
	s->nodes = 0;
	s->nodes_left_out = 0;
}

/* A node that does not fit is left out whole and counted, so the line stays valid JSON. */
static void summary_node(struct dp_json_state *s, const struct dp_finding *f)
{
	size_t before = s->summary.len;

	if (!s->in_summary)
		return;
	if (s->nodes)
		dp_line_str(&s->summary, ",");
	dp_line_str(&s->summary, "{");
	json_summary_node(&s->summary, f, &f->u.summary_node);
	dp_line_str(&s->summary, "}");
	if (s->summary.error == -E2BIG) {
		s->summary.len = before;
		s->summary.error = 0;
		s->nodes_left_out++;
	} else {
		s->nodes++;
	}
}

static void summary_end(struct dp_line *l, struct dp_json_state *s)
{
	if (!s->in_summary)
		return;
	s->in_summary = 0;
	dp_line_add(l, s->summary.data, s->summary.len);
	dp_line_str(l, "]");
	DP_FINDING_summary_end(PUT_F, PUT_V, PUT_M) dp_line_str(l, "}\n");
	if (s->summary.error)
		l->error = s->summary.error;
}

static void json_finding(struct dp_line *l, const struct dp_finding *f)
{
	dp_line_str(l, "{");
	json_line(l, f, f);
	switch ((enum dp_finding_type)f->type) {
#define JSON_CASE(e, list, event)                                                                  \
	case DP_FIND_##e:                                                                          \
		json_##list(l, f, &f->u.list);                                                     \
		break;
		DP_FINDING_EVENTS(JSON_CASE)
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
	dp_line_str(l, "}\n");
}

void dp_render_json(struct dp_line *l, struct dp_json_state *s, const struct dp_finding *f)
{
	if (f->type == DP_FIND_SUMMARY)
		summary_begin(s, f);
	else if (f->type == DP_FIND_SUMMARY_NODE)
		summary_node(s, f);
	else if (f->type == DP_FIND_SUMMARY_END)
		summary_end(l, s);
	else if (f->type < DP_FIND_COUNT)
		json_finding(l, f);
}
