// SPDX-License-Identifier: MIT
/* Sizes and checks of records (record.h). */
#include "dora_probe/record.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The layout is a file format and the border to the kernel programs: it must not drift. */
_Static_assert(sizeof(struct dp_rec_hdr) == 32, "record header");
_Static_assert(sizeof(struct dp_capture) == 32, "capture header");
_Static_assert(sizeof(struct dp_gil_wait) == 32, "gil wait");
_Static_assert(sizeof(struct dp_gil_span) == 48, "gil span");
_Static_assert(sizeof(struct dp_sock_data) == 32, "sock data");
_Static_assert(sizeof(struct dp_region_op) == 48, "region op");
_Static_assert(sizeof(struct dp_rec_look) == 120, "look");
_Static_assert(sizeof(struct dp_rec_node) == 472, "node");
_Static_assert(offsetof(struct dp_record, u) == sizeof(struct dp_rec_hdr), "body follows header");

/* A field of a kernel program's struct that is missing from its list leaves a difference. */
#define SIZE_N(type, name)             +sizeof(type)
#define SIZE_E(type, name, most)       +sizeof(type)
#define SIZE_T(name, size)             +(size)
#define SIZE_B(name, size)             +(size)
#define SIZE_S(body, name, count, max) +(max) * sizeof(struct dp_##body)
#define WHOLE(body, type)                                                                          \
	_Static_assert(sizeof(type) == 0 DP_FIELDS_##body(SIZE_N, SIZE_E, SIZE_T, SIZE_B, SIZE_S), \
		       #body);
DP_KERNEL_BODIES(WHOLE)

size_t dp_record_size(unsigned int type)
{
#define BODY_SIZE(body, member) SIZE_##body = sizeof(member),
	enum { DP_RECORD_BODIES(BODY_SIZE) DP_KERNEL_BODIES(BODY_SIZE) };
#define SIZE(e, body) [DP_REC_##e] = (uint16_t)(sizeof(struct dp_rec_hdr) + SIZE_##body),
	static const uint16_t sizes[DP_REC_COUNT] = {DP_RECORD_TYPES(SIZE)};

	return type < DP_REC_COUNT ? sizes[type] : 0;
}

size_t dp_record_least_size(unsigned int type)
{
#define LEAST(e, body, member) [DP_REC_##e] = (uint16_t)offsetof(struct dp_record, u.body.member),
	static const uint16_t least[DP_REC_COUNT] = {DP_RECORD_GROWN(LEAST)};

	return type < DP_REC_COUNT && least[type] ? least[type] : dp_record_size(type);
}

void dp_record_init(struct dp_record *r, enum dp_record_type type, uint64_t t_ns, uint32_t pid,
		    uint32_t tid)
{
	r->h = (struct dp_rec_hdr){
		.type = (uint16_t)type,
		.size = (uint32_t)dp_record_size(type),
		.t_ns = t_ns,
		.pid = pid,
		.tid = tid,
		.cpu = UINT32_MAX,
	};
}

/* ---- check ---------------------------------------------------------------------------------- */

static bool ok_frame(const struct dp_frame *s);
static bool ok_link(const struct dp_link *s);

static bool ok_frames(const struct dp_frame *frames, size_t max)
{
	for (size_t i = 0; i < max; i++)
		if (!ok_frame(&frames[i]))
			return false;
	return true;
}

static bool ok_links(const struct dp_link *links, size_t max)
{
	for (size_t i = 0; i < max; i++)
		if (!ok_link(&links[i]))
			return false;
	return true;
}

#define OK_N(type, name)
#define OK_E(type, name, most) &&s->name <= (most)
#define OK_T(name, size)       &&memchr(s->name, '\0', size) != NULL
#define OK_B(name, size)
#define OK_S(body, name, count, max) &&ok_##body##s(s->name, max)
#define OK(body, type)                                                                             \
	static bool ok_##body(const type *s)                                                       \
	{                                                                                          \
		(void)s;                                                                           \
		return true DP_FIELDS_##body(OK_N, OK_E, OK_T, OK_B, OK_S);                        \
	}
OK(frame, struct dp_frame)
OK(link, struct dp_link)
DP_RECORD_BODIES(OK)
DP_KERNEL_BODIES(OK)

int dp_record_check(const struct dp_record *r, size_t len)
{
	bool ok = false;

	if (len < sizeof(r->h) || r->h.size > len || r->h.size != dp_record_size(r->h.type) ||
	    r->h.size == 0)
		return -EBADMSG;
	switch ((enum dp_record_type)r->h.type) {
#define CHECK(e, body)                                                                             \
	case DP_REC_##e:                                                                           \
		ok = ok_##body(&r->u.body);                                                        \
		break;
		/* NOLINTNEXTLINE(bugprone-branch-clone): types that share a body */
		DP_RECORD_TYPES(CHECK)
	case DP_REC_NONE:
	case DP_REC_COUNT:
		break;
	}
	return ok ? 0 : -EBADMSG;
}

/* ---- clear ---------------------------------------------------------------------------------- */

static void clear_tail(char *s, size_t size)
{
	size_t len = strnlen(s, size);

	memset(s + len, 0, size - len);
}

static void clear_frame(struct dp_frame *s);
static void clear_link(struct dp_link *s);

static void clear_frames(struct dp_frame *frames, size_t count, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		if (i >= count)
			memset(&frames[i], 0, sizeof(frames[i]));
		clear_frame(&frames[i]);
	}
}

static void clear_links(struct dp_link *links, size_t count, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		if (i >= count)
			memset(&links[i], 0, sizeof(links[i]));
		clear_link(&links[i]);
	}
}

#define CLEAR_N(type, name)
#define CLEAR_E(type, name, most)
#define CLEAR_T(name, size) clear_tail(s->name, size);
#define CLEAR_B(name, size)
#define CLEAR_S(body, name, count_name, max) clear_##body##s(s->name, s->count_name, max);
#define CLEAR(body, type)                                                                          \
	static void clear_##body(type *s)                                                          \
	{                                                                                          \
		(void)s;                                                                           \
		DP_FIELDS_##body(CLEAR_N, CLEAR_E, CLEAR_T, CLEAR_B, CLEAR_S)                      \
	}
CLEAR(frame, struct dp_frame)
CLEAR(link, struct dp_link)
DP_RECORD_BODIES(CLEAR)
DP_KERNEL_BODIES(CLEAR)

void dp_record_clear(struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
#define CLEAR_BODY(e, body)                                                                        \
	case DP_REC_##e:                                                                           \
		clear_##body(&r->u.body);                                                          \
		break;
		/* NOLINTNEXTLINE(bugprone-branch-clone): types that share a body */
		DP_RECORD_TYPES(CLEAR_BODY)
	case DP_REC_NONE:
	case DP_REC_COUNT:
		break;
	}
}

uint64_t dp_wait_over(const struct dp_record *r)
{
	uint64_t end = r->u.wait.end_ns;

	return end && end < r->h.t_ns ? end : r->h.t_ns;
}
