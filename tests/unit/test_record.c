// SPDX-License-Identifier: MIT
/* Records: what holds for every field of every type, from the lists of fields.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dora_probe/record.h"

/* One string, or one value with a limit, of one body. */
struct field {
	const char *name;
	size_t offset, size;
	bool is_string;
	uint64_t most;
};

#define FIELDS_MAX 128

struct body {
	const char *name;
	size_t count;
	struct field field[FIELDS_MAX];
};

/* The list that is being read; the macros of the fields cannot be given it. */
static struct body *into;
static struct dp_record *base;

static void keep(const char *name, const void *at, size_t size, bool is_string, uint64_t most)
{
	assert_true(into->count < FIELDS_MAX);
	into->field[into->count++] = (struct field){
		.name = name,
		.offset = (size_t)((const char *)at - (const char *)base),
		.size = size,
		.is_string = is_string,
		.most = most,
	};
}

#define KEEP_N(type, field_name)
#define KEEP_E(type, field_name, limit)                                                            \
	keep(#field_name, &s->field_name, sizeof(s->field_name), false, limit);
#define KEEP_T(field_name, length) keep(#field_name, s->field_name, sizeof(s->field_name), true, 0);
#define KEEP_B(field_name, length)
#define KEEP_S(body, field_name, count_name, max)                                                  \
	for (int i = 0; i < (max); i++)                                                            \
		keep_##body(&s->field_name[i]);
#define KEEP(body, type)                                                                           \
	static void keep_##body(const type *s)                                                     \
	{                                                                                          \
		(void)s;                                                                           \
		DP_FIELDS_##body(KEEP_N, KEEP_E, KEEP_T, KEEP_B, KEEP_S)                           \
	}
KEEP(frame, struct dp_frame)
KEEP(link, struct dp_link)
DP_RECORD_BODIES(KEEP)
DP_KERNEL_BODIES(KEEP)

/* The fields of the type of `r`. */
static const struct body *fields_of(struct dp_record *r)
{
	static struct body fields;

	fields = (struct body){0};
	into = &fields;
	base = r;
	switch ((enum dp_record_type)r->h.type) {
#define KEEP_BODY(e, body)                                                                         \
	case DP_REC_##e:                                                                           \
		fields.name = #e;                                                                  \
		keep_##body(&r->u.body);                                                           \
		break;
		DP_RECORD_TYPES(KEEP_BODY)
	case DP_REC_NONE:
	case DP_REC_COUNT:
		break;
	}
	return &fields;
}

/* A valid record with nothing in it. */
static const struct body *make(struct dp_record *r, unsigned int type)
{
	memset(r, 0, sizeof(*r));
	dp_record_init(r, (enum dp_record_type)type, 1, 2, 3);
	assert_int_equal(dp_record_check(r, sizeof(*r)), 0);
	return fields_of(r);
}

static void test_strings_end(void **state)
{
	struct dp_record r;
	unsigned int seen = 0;

	(void)state;
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		const struct body *b = make(&r, type);

		for (size_t i = 0; i < b->count; i++) {
			const struct field *f = &b->field[i];
			char *s = (char *)&r + f->offset;

			if (!f->is_string)
				continue;
			memset(s, 'x', f->size);
			if (dp_record_check(&r, sizeof(r)) == 0)
				fail_msg("%s: %s without an end is taken", b->name, f->name);
			s[f->size - 1] = '\0';
			if (dp_record_check(&r, sizeof(r)) != 0)
				fail_msg("%s: %s that fills its room is refused", b->name, f->name);
			seen++;
		}
	}
	assert_true(seen > 30);
}

static void put(struct dp_record *r, const struct field *f, uint64_t v)
{
	if (f->size == 1)
		*((uint8_t *)r + f->offset) = (uint8_t)v;
	else
		*(uint32_t *)(void *)((char *)r + f->offset) = (uint32_t)v;
}

static void test_values_have_limits(void **state)
{
	struct dp_record r;
	unsigned int seen = 0;

	(void)state;
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		const struct body *b = make(&r, type);

		for (size_t i = 0; i < b->count; i++) {
			const struct field *f = &b->field[i];

			if (f->is_string)
				continue;
			assert_true(f->size == 1 || f->size == 4);
			put(&r, f, f->most);
			if (dp_record_check(&r, sizeof(r)) != 0)
				fail_msg("%s: %s of %u is refused", b->name, f->name,
					 (unsigned int)f->most);
			put(&r, f, f->most + 1);
			if (dp_record_check(&r, sizeof(r)) == 0)
				fail_msg("%s: %s of %u is taken", b->name, f->name,
					 (unsigned int)f->most + 1);
			put(&r, f, 0);
			seen++;
		}
	}
	assert_true(seen > 15);
}

/* Every byte behind a string's end becomes 0, and no other byte changes. */
static void test_clearing_clears_strings_alone(void **state)
{
	struct dp_record r, want;

	(void)state;
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		const struct body *b = make(&r, type);

		memset(&r.u, 'S', sizeof(r.u));
		for (size_t i = 0; i < b->count; i++) {
			if (b->field[i].is_string)
				((char *)&r)[b->field[i].offset + 2] = '\0';
			else
				put(&r, &b->field[i], b->field[i].most);
		}
		assert_int_equal(dp_record_check(&r, sizeof(r)), 0);
		want = r;
		for (size_t i = 0; i < b->count; i++)
			if (b->field[i].is_string)
				memset((char *)&want + b->field[i].offset + 2, 0,
				       b->field[i].size - 2);
		dp_record_clear(&r);
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
		if (memcmp(&r, &want, sizeof(r)) != 0)
			fail_msg("%s: not just its strings are clear", b->name);
	}
}

static void test_frames_that_are_not_used_are_cleared(void **state)
{
	const struct dp_frame nothing = {.line = 0};
	struct dp_record r;

	(void)state;
	make(&r, DP_REC_STACK);
	for (int i = 0; i < DP_FRAMES_MAX; i++) {
		r.u.stack.frames[i].line = 7;
		strcpy(r.u.stack.frames[i].function, "f");
	}
	r.u.stack.frame_count = 2;
	dp_record_clear(&r);
	for (int i = 0; i < DP_FRAMES_MAX; i++) {
		if (i < 2)
			assert_int_equal(r.u.stack.frames[i].line, 7);
		else
			assert_memory_equal(&r.u.stack.frames[i], &nothing, sizeof(nothing));
	}
}

static void test_sizes(void **state)
{
	struct dp_record r;

	(void)state;
	assert_int_equal(dp_record_size(DP_REC_NONE), 0);
	assert_int_equal(dp_record_size(DP_REC_COUNT), 0);
	assert_int_equal(dp_record_size(DP_REC_TICK), sizeof(struct dp_rec_hdr));
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		make(&r, type);
		assert_int_equal(dp_record_check(&r, r.h.size - 1), -EBADMSG);
		r.h.size--;
		assert_int_equal(dp_record_check(&r, sizeof(r)), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_end),
		cmocka_unit_test(test_values_have_limits),
		cmocka_unit_test(test_clearing_clears_strings_alone),
		cmocka_unit_test(test_frames_that_are_not_used_are_cleared),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
