// SPDX-License-Identifier: MIT
/* bincode primitives, and the walk over dora's metadata (bincode.h). */
#include "dora/bincode.h"

struct dp_slice dp_bincode_bytes(struct dp_cursor *c)
{
	uint64_t len = dp_cur_u64(c);
	const uint8_t *p = dp_cur_take(c, len);

	return (struct dp_slice){p, p ? (size_t)len : 0};
}

void dp_bincode_skip_bytes(struct dp_cursor *c)
{
	uint64_t len = dp_cur_u64(c);

	dp_cur_skip(c, len);
}

const uint8_t *dp_bincode_uuid(struct dp_cursor *c)
{
	if (dp_cur_u64(c) != 16) {
		dp_cur_fail(c, DP_CUR_BAD);
		return NULL;
	}
	return dp_cur_take(c, 16);
}

uint64_t dp_bincode_count(struct dp_cursor *c, size_t least)
{
	return dp_cur_count(c, dp_cur_u64(c), least);
}

/* A fieldless enum of `count` variants. */
static void skip_enum(struct dp_cursor *c, uint32_t count)
{
	if (dp_cur_u32(c) >= count)
		dp_cur_fail(c, DP_CUR_BAD);
}

/* arrow_schema::Field: name, type, nullable, dict_id, dict_is_ordered, metadata (54.3: all six). */
static void skip_field(struct dp_cursor *c, unsigned int depth)
{
	uint64_t n;

	dp_bincode_skip_bytes(c);
	dp_bincode_skip_data_type(c, depth + 1);
	dp_cur_flag(c);
	dp_cur_skip(c, 8);
	dp_cur_flag(c);
	n = dp_bincode_count(c, 16);
	for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++) {
		dp_bincode_skip_bytes(c);
		dp_bincode_skip_bytes(c);
	}
}

/*
 * Variant indexes of arrow_schema::DataType, the same in 52.2, 53.2, 53.4 and 54.3
 * (arrow-schema/src/datatype.rs). From 56 on Decimal32 and Decimal64 come before Decimal128; only
 * dora's 1.0.0 release candidates put those on the wire, and they are not read.
 */
enum arrow_type {
	ARROW_TIMESTAMP = 13,
	ARROW_TIME32 = 16,
	ARROW_TIME64 = 17,
	ARROW_DURATION = 18,
	ARROW_INTERVAL = 19,
	ARROW_FIXED_SIZE_BINARY = 21,
	ARROW_LIST = 27,
	ARROW_LIST_VIEW = 28,
	ARROW_FIXED_SIZE_LIST = 29,
	ARROW_LARGE_LIST = 30,
	ARROW_LARGE_LIST_VIEW = 31,
	ARROW_STRUCT = 32,
	ARROW_UNION = 33,
	ARROW_DICTIONARY = 34,
	ARROW_DECIMAL128 = 35,
	ARROW_DECIMAL256 = 36,
	ARROW_MAP = 37,
	ARROW_RUN_END_ENCODED = 38,
	ARROW_TYPE_COUNT = 39,
};

/* The least bytes of a Field: empty name, a plain type, and its fixed-width rest. */
#define FIELD_MIN (8 + 4 + 1 + 8 + 1 + 8)

/* The parameters of a type that is made of other types; the rest have none. */
static void skip_nested(struct dp_cursor *c, uint32_t type, unsigned int depth)
{
	uint64_t n;

	switch (type) {
	case ARROW_LIST:
	case ARROW_LIST_VIEW:
	case ARROW_LARGE_LIST:
	case ARROW_LARGE_LIST_VIEW:
		skip_field(c, depth);
		break;
	case ARROW_FIXED_SIZE_LIST:
		skip_field(c, depth);
		dp_cur_skip(c, 4);
		break;
	case ARROW_STRUCT:
		n = dp_bincode_count(c, FIELD_MIN);
		for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++)
			skip_field(c, depth);
		break;
	case ARROW_UNION:
		n = dp_bincode_count(c, 1 + FIELD_MIN);
		for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++) {
			dp_cur_skip(c, 1);
			skip_field(c, depth);
		}
		skip_enum(c, 2);
		break;
	case ARROW_DICTIONARY:
		dp_bincode_skip_data_type(c, depth + 1);
		dp_bincode_skip_data_type(c, depth + 1);
		break;
	case ARROW_MAP:
		skip_field(c, depth);
		dp_cur_flag(c);
		break;
	case ARROW_RUN_END_ENCODED:
		skip_field(c, depth);
		skip_field(c, depth);
		break;
	default:
		break;
	}
}

void dp_bincode_skip_data_type(struct dp_cursor *c, unsigned int depth)
{
	uint32_t type = dp_cur_u32(c);

	if (c->status != DP_CUR_OK)
		return;
	if (type >= ARROW_TYPE_COUNT || depth >= DP_ARROW_DEPTH_MAX) {
		c->status = DP_CUR_UNKNOWN;
		return;
	}
	switch (type) {
	case ARROW_TIMESTAMP:
		skip_enum(c, 4);
		if (dp_cur_flag(c))
			dp_bincode_skip_bytes(c);
		break;
	case ARROW_TIME32:
	case ARROW_TIME64:
	case ARROW_DURATION:
		skip_enum(c, 4);
		break;
	case ARROW_INTERVAL:
		skip_enum(c, 3);
		break;
	case ARROW_FIXED_SIZE_BINARY:
		dp_cur_skip(c, 4);
		break;
	case ARROW_DECIMAL128:
	case ARROW_DECIMAL256:
		dp_cur_skip(c, 2);
		break;
	default:
		skip_nested(c, type, depth);
		break;
	}
}

/* The least bytes of an ArrowTypeInfo: a plain type, no validity, no buffers, no children. */
#define TYPE_INFO_MIN (4 + 8 + 8 + 1 + 8 + 8 + 8)

static void skip_type_info(struct dp_cursor *c, unsigned int depth)
{
	uint64_t n;

	if (depth >= DP_ARROW_DEPTH_MAX) {
		dp_cur_fail(c, DP_CUR_UNKNOWN);
		return;
	}
	dp_bincode_skip_data_type(c, 0);
	dp_cur_skip(c, 8 + 8); /* len, null_count */
	if (dp_cur_flag(c))
		dp_bincode_skip_bytes(c); /* validity */
	dp_cur_skip(c, 8);                /* offset */
	n = dp_bincode_count(c, 16);
	dp_cur_skip(c, n * 16); /* buffer_offsets; n is bounded by the frame */
	n = dp_bincode_count(c, TYPE_INFO_MIN);
	for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++)
		skip_type_info(c, depth + 1);
}

/* metadata.rs Parameter; availability grew by version, indexes never moved. */
enum parameter {
	PARAM_BOOL,
	PARAM_INTEGER,
	PARAM_STRING,
	PARAM_LIST_INT,
	PARAM_FLOAT,
	PARAM_LIST_FLOAT,
	PARAM_LIST_STRING,
	PARAM_TIMESTAMP,
};

static void skip_parameter(struct dp_cursor *c)
{
	uint32_t kind = dp_cur_u32(c);
	uint64_t n;

	if (c->status != DP_CUR_OK)
		return;
	switch (kind) {
	case PARAM_BOOL:
		dp_cur_flag(c);
		break;
	case PARAM_INTEGER:
	case PARAM_FLOAT:
		dp_cur_skip(c, 8);
		break;
	case PARAM_STRING:
	case PARAM_TIMESTAMP:
		dp_bincode_skip_bytes(c);
		break;
	case PARAM_LIST_INT:
	case PARAM_LIST_FLOAT:
		n = dp_bincode_count(c, 8);
		dp_cur_skip(c, n * 8);
		break;
	case PARAM_LIST_STRING:
		n = dp_bincode_count(c, 8);
		for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++)
			dp_bincode_skip_bytes(c);
		break;
	default:
		c->status = DP_CUR_UNKNOWN;
		break;
	}
}

void dp_bincode_skip_metadata(struct dp_cursor *c)
{
	uint64_t n;

	dp_cur_skip(c, 2 + DP_BINCODE_TIMESTAMP); /* metadata_version, timestamp */
	skip_type_info(c, 0);
	n = dp_bincode_count(c, 8 + 4 + 1);
	for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++) {
		dp_bincode_skip_bytes(c);
		skip_parameter(c);
	}
}
