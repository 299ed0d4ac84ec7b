// SPDX-License-Identifier: MIT
/* The walk over dora's metadata and arrow's types, alone. */
#include "base/utf8.h"
#include "base/uuid.h"
#include "wire_support.h"

#include "dora/bincode.h"

struct buf {
	uint8_t p[65536];
	size_t n;
};

static void u8(struct buf *b, unsigned int v)
{
	b->p[b->n++] = (uint8_t)v;
}

static void u32(struct buf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		u8(b, v >> (8 * i) & 255);
}

static void u64(struct buf *b, uint64_t v)
{
	put_len(b->p + b->n, v);
	b->n += 8;
}

static void str(struct buf *b, const char *s)
{
	u64(b, strlen(s));
	memcpy(b->p + b->n, s, strlen(s));
	b->n += strlen(s);
}

static void raw(struct buf *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static enum dp_cursor_status walk_type(const uint8_t *p, size_t n, size_t *ret_pos)
{
	struct dp_body body = {.head = p, .head_len = n, .len = n};
	struct dp_cursor c = {.body = &body};

	dp_bincode_skip_data_type(&c, 0);
	*ret_pos = c.pos;
	return c.status;
}

static enum dp_cursor_status walk_metadata(const uint8_t *p, size_t n, size_t *ret_pos)
{
	struct dp_body body = {.head = p, .head_len = n, .len = n};
	struct dp_cursor c = {.body = &body};

	dp_bincode_skip_metadata(&c);
	dp_cur_end(&c);
	*ret_pos = c.pos;
	return c.status;
}

/* Exactly n bytes are used; every shorter body is refused. `exact` on the heap for the sanitizer.
 */
static void assert_type(const uint8_t *p, size_t n)
{
	size_t pos;

	for (size_t len = 0; len <= n; len++) {
		uint8_t *exact = malloc(len ? len : 1);
		enum dp_cursor_status status;

		memcpy(exact, p, len);
		status = walk_type(exact, len, &pos);
		free(exact);
		if (len < n) {
			assert_int_equal(status, DP_CUR_BAD);
		} else {
			assert_int_equal(status, DP_CUR_OK);
			assert_int_equal(pos, n);
		}
	}
}

static void test_golden_types(void **state)
{
	FILE *f = golden_open("bincode-0.3-0.5.txt");
	char label[128];
	uint8_t body[4096];
	size_t n, types = 0;

	(void)state;
	while (golden_next(f, label, sizeof(label), body, sizeof(body), &n)) {
		if (!strstr(label, " DataType "))
			continue;
		assert_type(body, n);
		types++;
	}
	fclose(f);
	assert_int_equal(types, 2 * 18);
}

static void field(struct buf *b, const char *name, const struct buf *type, int metadata)
{
	str(b, name);
	raw(b, type->p, type->n);
	u8(b, 1);
	u64(b, 0);
	u8(b, 0);
	u64(b, (uint64_t)metadata);
	for (int i = 0; i < metadata; i++) {
		str(b, "key");
		str(b, "value");
	}
}

/* Every variant of the table, by arrow-schema 54.3's definition. */
static void test_every_type(void **state)
{
	static struct buf int32, b;

	(void)state;
	int32.n = 0;
	u32(&int32, 4);
	for (uint32_t type = 0; type < 39; type++) {
		b.n = 0;
		u32(&b, type);
		switch (type) {
		case 13:
			u32(&b, 2);
			u8(&b, 1);
			str(&b, "Europe/Berlin");
			break;
		case 16:
		case 17:
		case 18:
			u32(&b, 3);
			break;
		case 19:
			u32(&b, 2);
			break;
		case 21:
			u32(&b, 4);
			break;
		case 27:
		case 28:
		case 30:
		case 31:
			field(&b, "item", &int32, 2);
			break;
		case 29:
			field(&b, "item", &int32, 0);
			u32(&b, 3);
			break;
		case 32:
			u64(&b, 3);
			field(&b, "a", &int32, 1);
			field(&b, "", &int32, 0);
			field(&b, "c", &int32, 0);
			break;
		case 33:
			u64(&b, 2);
			u8(&b, 0xff);
			field(&b, "x", &int32, 0);
			u8(&b, 5);
			field(&b, "y", &int32, 0);
			u32(&b, 1);
			break;
		case 34:
			raw(&b, int32.p, int32.n);
			u32(&b, 24);
			break;
		case 35:
		case 36:
			u8(&b, 10);
			u8(&b, 2);
			break;
		case 37:
			field(&b, "entries", &int32, 0);
			u8(&b, 0);
			break;
		case 38:
			field(&b, "run_ends", &int32, 0);
			field(&b, "values", &int32, 0);
			break;
		default:
			break;
		}
		assert_type(b.p, b.n);
	}
}

static void nested(struct buf *b, unsigned int depth)
{
	b->n = 0;
	for (unsigned int i = 0; i < depth; i++) {
		u32(b, 27);
		str(b, "item");
	}
	u32(b, 5);
	for (unsigned int i = 0; i < depth; i++) {
		u8(b, 1);
		u64(b, 0);
		u8(b, 0);
		u64(b, 0);
	}
}

static void test_depth(void **state)
{
	static struct buf b;
	size_t pos;

	(void)state;
	nested(&b, DP_ARROW_DEPTH_MAX - 1);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_OK);
	assert_int_equal(pos, b.n);
	nested(&b, DP_ARROW_DEPTH_MAX);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_UNKNOWN);
	nested(&b, 1500);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_UNKNOWN);
	/* Dictionary(Dictionary(… both ways: as many steps as bytes, not 2^n. */
	for (b.n = 0; b.n + 4 <= 65536;)
		u32(&b, 34);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_UNKNOWN);
	assert_true(pos <= 4 * (DP_ARROW_DEPTH_MAX + 1));
}

static void test_unknown(void **state)
{
	static struct buf b;
	size_t pos;

	(void)state;
	u32(&b, 39);
	u64(&b, 0);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_UNKNOWN);
	/* Values that bincode itself refuses are not unknown, they are wrong. */
	b.n = 0;
	u32(&b, 19);
	u32(&b, 3);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_BAD);
	b.n = 0;
	u32(&b, 13);
	u32(&b, 0);
	u8(&b, 2);
	assert_int_equal(walk_type(b.p, b.n, &pos), DP_CUR_BAD);
}

/* A Metadata with everything in it. */
static void metadata(struct buf *b, int children, int params)
{
	b->n = 0;
	u8(b, 0);
	u8(b, 0);
	for (int i = 0; i < 24; i++)
		u8(b, 0xa0u + (unsigned int)i);
	u32(b, 6);
	u64(b, 100); /* len */
	u64(b, 3);   /* null_count */
	u8(b, 1);
	str(b, "validity bits");
	u64(b, 0);
	u64(b, 2);
	for (int i = 0; i < 4; i++)
		u64(b, 128);
	u64(b, (uint64_t)children);
	for (int i = 0; i < children; i++) {
		u32(b, 24);
		u64(b, 1);
		u64(b, 0);
		u8(b, 0);
		u64(b, 0);
		u64(b, 0);
		u64(b, 0);
	}
	u64(b, (uint64_t)params);
	for (int i = 0; i < params; i++) {
		str(b, "key");
		u32(b, (uint32_t)i % 8);
		switch (i % 8) {
		case 0:
			u8(b, 1);
			break;
		case 1:
		case 4:
			u64(b, ~0ULL);
			break;
		case 2:
			str(b, "text");
			break;
		case 3:
		case 5:
			u64(b, 3);
			for (int k = 0; k < 3; k++)
				u64(b, 7);
			break;
		case 6:
			u64(b, 2);
			str(b, "");
			str(b, "two");
			break;
		case 7:
			str(b, "2023-11-14T22:13:20.123456789Z");
			break;
		}
	}
}

static void test_metadata(void **state)
{
	static struct buf b;
	size_t pos, params_at;

	(void)state;
	metadata(&b, 3, 17);
	for (size_t len = 0; len < b.n; len++)
		assert_int_equal(walk_metadata(b.p, len, &pos), DP_CUR_BAD);
	assert_int_equal(walk_metadata(b.p, b.n, &pos), DP_CUR_OK);
	assert_int_equal(walk_metadata(b.p, b.n + 1, &pos), DP_CUR_BAD); /* a byte too many */
	/* A parameter of a later dora. */
	metadata(&b, 0, 1);
	params_at = b.n - 1 - 4;
	b.p[params_at] = 8;
	assert_int_equal(walk_metadata(b.p, b.n, &pos), DP_CUR_UNKNOWN);
	/* Counts that cannot be: refused at once. */
	for (size_t at = 2 + 24; at + 8 < b.n; at++) {
		static const uint64_t counts[] = {1000000, 1ULL << 61, 1ULL << 63, ~0ULL};

		for (size_t i = 0; i < 4; i++) {
			metadata(&b, 0, 1);
			put_len(b.p + at, counts[i]);
			walk_metadata(b.p, b.n, &pos);
			assert_true(pos <= b.n);
		}
	}
	metadata(&b, 0, 0);
	put_len(b.p + b.n - 8, 1000000);
	assert_int_equal(walk_metadata(b.p, b.n, &pos), DP_CUR_BAD);
	put_len(b.p + b.n - 16, ~0ULL / 16);
	assert_int_equal(walk_metadata(b.p, b.n, &pos), DP_CUR_BAD);
}

static void test_cursor_hole(void **state)
{
	static const uint8_t head[] = {1, 2, 3, 4}, tail[] = {7, 8, 9, 10, 11};
	struct dp_body body = {head, sizeof(head), tail, sizeof(tail), 20};
	struct dp_cursor c = {.body = &body};

	(void)state;
	assert_int_equal(dp_cur_u32(&c), 0x04030201);
	dp_cur_skip(&c, 11);
	assert_int_equal(c.pos, 15);
	assert_int_equal(dp_cur_u8(&c), 7);
	assert_int_equal(dp_cur_u32(&c), 0x0b0a0908);
	dp_cur_end(&c);
	assert_int_equal(c.status, DP_CUR_OK);
	/* into the hole, across its two edges, and beyond the end */
	for (size_t at = 1; at < 15; at++) {
		c = (struct dp_cursor){.body = &body, .pos = at};
		dp_cur_u32(&c);
		assert_int_equal(c.status, DP_CUR_HOLE);
		assert_int_equal(c.pos, at);
		assert_int_equal(dp_cur_u8(&c), 0); /* it sticks */
		dp_cur_fail(&c, DP_CUR_BAD);
		assert_int_equal(c.status, DP_CUR_HOLE);
	}
	c = (struct dp_cursor){.body = &body, .pos = 17};
	dp_cur_u32(&c);
	assert_int_equal(c.status, DP_CUR_BAD);
	c = (struct dp_cursor){.body = &body, .pos = 2};
	assert_null(dp_cur_take(&c, ~0ULL));
	assert_int_equal(c.status, DP_CUR_BAD);
	c = (struct dp_cursor){.body = &body, .pos = 2};
	dp_cur_skip(&c, ~0ULL - 1);
	assert_int_equal(c.status, DP_CUR_BAD);
}

static void assert_text(const char *in, size_t n, size_t cap, const char *want)
{
	char out[64];
	uint8_t *exact = malloc(n ? n : 1);

	memcpy(exact, in, n);
	memset(out, 'z', sizeof(out));
	dp_utf8_copy(out, cap, exact, n);
	free(exact);
	assert_string_equal(out, want);
	assert_int_equal(out[cap], 'z');
}

static void test_text(void **state)
{
	(void)state;
	assert_text("plain", 5, 32, "plain");
	assert_text("", 0, 1, "");
	assert_text("abc", 3, 1, "");
	assert_text("abc", 3, 3, "ab");
	assert_text("a\0b", 3, 32, "a?b");
	assert_text("\x7f\xc2\x80\xc2\xa0", 5, 32, "??\xc2\xa0");
	assert_text("\xe2\x82\xac", 3, 32, "\xe2\x82\xac");
	assert_text("\xe2\x82\xac", 3, 3, "");
	assert_text("\xe2\x82", 2, 32, "??");
	assert_text("\xf0\x9f\x98\x80!", 5, 32, "\xf0\x9f\x98\x80!");
	assert_text("\xc0\x80", 2, 32, "??");           /* over-long */
	assert_text("\xe0\x80\xaf", 3, 32, "???");      /* over-long */
	assert_text("\xed\xa0\x80", 3, 32, "???");      /* surrogate */
	assert_text("\xf4\x90\x80\x80", 4, 32, "????"); /* beyond U+10FFFF */
	assert_text("\xf5\x80\x80\x80", 4, 32, "????");
	assert_text("\xe2\x80\xae"
		    "evil",
		    7, 32, "?evil"); /* right-to-left override */
	assert_true(dp_uuid_is("00112233-4455-6677-8899-aabbccddeeff"));
	assert_true(dp_uuid_is("00112233-4455-6677-8899-AABBCCDDEEFF"));
	assert_false(dp_uuid_is("00112233-4455-6677-8899-aabbccddeef"));
	assert_false(dp_uuid_is("00112233-4455-6677-8899-aabbccddeeff0"));
	assert_false(dp_uuid_is("00112233-4455-6677-8899_aabbccddeeff"));
	assert_false(dp_uuid_is("g0112233-4455-6677-8899-aabbccddeeff"));
	assert_false(dp_uuid_is(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_types), cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_depth),        cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_metadata),     cmocka_unit_test(test_cursor_hole),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
