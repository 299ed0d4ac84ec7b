// SPDX-License-Identifier: MIT
/*
 * Reads what the oracle (src/main.rs) wrote, decodes every frame, and compares. Each frame is fed
 * twice: whole, and in pieces by a decoder that was not told the version. The latter may decline a
 * lone frame that both codecs can read, which must stay rare; it must never misread one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dora/wire.h"

#define LINE_MAX_ (16u * 1024 * 1024)

struct said {
	char *text;
	size_t len, cap;
};

static void put(struct said *s, const char *text)
{
	size_t n = strlen(text);

	if (s->len + n + 3 > s->cap) {
		s->cap = (s->len + n + 3) * 2;
		s->text = realloc(s->text, s->cap);
		if (!s->text)
			abort();
	}
	if (s->len) {
		memcpy(s->text + s->len, "; ", 2);
		s->len += 2;
	}
	memcpy(s->text + s->len, text, n + 1);
	s->len += n;
}

static const char *const kinds[DP_WIRE_KIND_COUNT] = {
	[DP_WIRE_INPUT] = "input",
	[DP_WIRE_STOP] = "stop",
	[DP_WIRE_ALL_INPUTS_CLOSED] = "all_inputs_closed",
	[DP_WIRE_INPUT_CLOSED] = "input_closed",
	[DP_WIRE_RELOAD] = "reload",
	[DP_WIRE_NODE_FAILED] = "node_failed",
	[DP_WIRE_EVENTS_END] = "events_end",
	[DP_WIRE_DROPS_END] = "drops_end",
	[DP_WIRE_OTHER_EVENT] = "other",
	[DP_WIRE_SUBSCRIBE] = "subscribe",
	[DP_WIRE_SUBSCRIBE_DROP] = "subscribe_drop",
	[DP_WIRE_NEXT_EVENT] = "next_event",
	[DP_WIRE_NEXT_DROP] = "next_drop",
	[DP_WIRE_SEND_MESSAGE] = "send_message",
	[DP_WIRE_CLOSE_OUTPUTS] = "close_outputs",
	[DP_WIRE_OUTPUTS_DONE] = "outputs_done",
	[DP_WIRE_EVENT_STREAM_DROPPED] = "event_stream_dropped",
	[DP_WIRE_OTHER_REQUEST] = "other",
	[DP_WIRE_RESULT_OK] = "ok",
	[DP_WIRE_RESULT_ERR] = "err",
};

static void on_record(void *ctx, const struct dp_record *r)
{
	char token[33] = "", text[512];

	switch (r->h.type) {
	case DP_REC_TOKEN_SENT:
	case DP_REC_TOKEN_DELIVERED:
	case DP_REC_TOKEN_REPORTED:
	case DP_REC_TOKEN_RETURNED:
		for (int i = 0; i < 16; i++)
			sprintf(token + 2 * i, "%02x", r->u.token.token[i]);
		if (r->h.type == DP_REC_TOKEN_REPORTED || r->h.type == DP_REC_TOKEN_RETURNED)
			snprintf(text, sizeof(text), "%s %s",
				 r->h.type == DP_REC_TOKEN_REPORTED ? "REPORTED" : "RETURNED",
				 token);
		else
			snprintf(text, sizeof(text), "%s %s %s %llu [%s]",
				 r->h.type == DP_REC_TOKEN_SENT ? "SENT" : "DELIVERED", token,
				 r->u.token.region, (unsigned long long)r->u.token.bytes,
				 r->u.token.id);
		break;
	case DP_REC_WIRE_REGISTER:
		snprintf(text, sizeof(text), "REGISTER %s [%s]", r->u.reg.dataflow, r->u.reg.node);
		break;
	case DP_REC_WIRE_REQUEST:
	case DP_REC_WIRE_EVENT:
		snprintf(text, sizeof(text), "%s %s %u [%s]",
			 r->h.type == DP_REC_WIRE_EVENT ? "EVENT" : "REQUEST",
			 kinds[r->u.wire.kind] ? kinds[r->u.wire.kind] : "?", r->u.wire.count,
			 r->u.wire.id);
		break;
	default:
		return;
	}
	if (r->h.flags)
		strncat(text, " flagged", sizeof(text) - strlen(text) - 1);
	put(ctx, text);
}

static void on_loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	(void)pid;
	(void)count;
	(void)t_ns;
	put(ctx, dp_loss_name(reason));
}

static void call(struct dp_wire *w, int direction, const uint8_t *p, size_t n)
{
	struct dp_capture h = {.type = DP_CAP_SOCK_DATA, .t_ns = 1, .pid = 7, .tid = 7};
	struct dp_sock_data d = {
		.conn = 1,
		.total = (uint32_t)n,
		.copied = (uint32_t)n,
		.direction = (uint8_t)direction,
		.last = 1,
	};

	dp_wire_data(w, &h, &d, p);
}

enum verdict { WRONG, RIGHT, DECLINED };

/* piece 0: the body in one call. */
static enum verdict agrees(const char *dora, int direction, const uint8_t *body, size_t n,
			   size_t piece, const char *expected)
{
	struct said s = {0};
	struct dp_wire_sink sink = {on_record, on_loss, &s};
	struct dp_wire *w = dp_wire_new(&sink);
	uint8_t len[8];
	enum verdict verdict;

	if (!w)
		abort();
	for (int i = 0; i < 8; i++)
		len[i] = (uint8_t)(n >> (8 * i));
	dp_wire_open(w, 1, 7, 1, dora, 0);
	call(w, direction, len, 8);
	for (size_t at = 0; at < n;) {
		size_t take = piece && n - at > piece ? piece : n - at;

		call(w, direction, body + at, take);
		at += take;
	}
	dp_wire_free(w);
	if (strcmp(s.text ? s.text : "", expected) == 0)
		verdict = RIGHT;
	else if (!dora[0] && s.text && strcmp(s.text, dp_loss_name(DP_LOSS_FRAME_INVALID)) == 0)
		verdict = DECLINED;
	else
		verdict = WRONG;
	if (verdict == WRONG)
		fprintf(stderr, "dora \"%s\", pieces of %zu\n expected %s\n got      %s\n", dora,
			piece, expected, s.text ? s.text : "");
	free(s.text);
	return verdict;
}

int main(void)
{
	char *line = malloc(LINE_MAX_);
	uint8_t *body = malloc(LINE_MAX_ / 2);
	unsigned long frames = 0, wrong = 0, declined = 0;

	if (!line || !body)
		return 1;
	while (fgets(line, LINE_MAX_, stdin)) {
		char *codec = strtok(line, "\t"), *way = strtok(NULL, "\t"),
		     *hex = strtok(NULL, "\t"), *expected = strtok(NULL, "\n");
		int direction = way && strcmp(way, "from") == 0;
		const char *dora;
		size_t n = 0;

		if (!codec || !hex || !expected) {
			fprintf(stderr, "line %lu is no frame\n", frames + 1);
			return 1;
		}
		dora = strcmp(codec, "bincode") == 0 ? "0.5.0" : "1.1.0";
		for (; hex[0] && hex[1]; hex += 2) {
			char two[3] = {hex[0], hex[1], '\0'};

			body[n++] = (uint8_t)strtoul(two, NULL, 16);
		}
		frames++;
		switch (agrees("", direction, body, n, 1 + frames % 97, expected)) {
		case WRONG:
			wrong++;
			break;
		case DECLINED:
			declined++;
			break;
		case RIGHT:
			break;
		}
		wrong += agrees(dora, direction, body, n, 0, expected) != RIGHT;
	}
	printf("%lu frames, %lu wrong, %lu of unknown version declined\n", frames, wrong, declined);
	free(line);
	free(body);
	return wrong || !frames || declined * 1000 > frames;
}
