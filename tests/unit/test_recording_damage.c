// SPDX-License-Identifier: MIT
/* Recordings with damage of every kind, and those of older versions. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "recording_support.h"
#include "base/array.h"

/* ---- damage ------------------------------------------------------------------------------ */

struct image {
	int fd;
	char path[64];
	unsigned char *bytes;
	size_t len;
	size_t ends[DP_REC_COUNT]; /* offset behind each record */
};

static void make_image(struct image *im)
{
	size_t at = 16;
	struct stat st;
	int fd;

	assert_int_equal(write_all_types(in_dir("image"), 1), 0);
	fd = open(in_dir("image"), O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	im->len = (size_t)st.st_size;
	im->bytes = malloc(im->len);
	assert_non_null(im->bytes);
	assert_int_equal(read(fd, im->bytes, im->len), im->len);
	close(fd);
	unlink(in_dir("image"));
	im->fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(im->fd >= 0);
	assert_int_equal(write(im->fd, im->bytes, im->len), im->len);
	snprintf(im->path, sizeof(im->path), "/proc/self/fd/%d", im->fd);
	im->ends[0] = at;
	for (unsigned int t = 1; t < DP_REC_COUNT; t++)
		im->ends[t] = at += dp_record_size(t);
	assert_int_equal(at, im->len);
}

static void free_image(struct image *im)
{
	free(im->bytes);
	close(im->fd);
}

/* Reads to the end; the number of records, each of them checked, and the result. */
static unsigned int read_through(const char *path, int *ret_result)
{
	static struct dp_record r;
	struct dp_replay *p;
	unsigned int n = 0;
	char why[128] = "";

	*ret_result = dp_replay_open(path, &p, why, sizeof(why));
	if (*ret_result < 0) {
		assert_true(*why != '\0');
		return 0;
	}
	for (;;) {
		memset(&r, 0xAA, sizeof(r));
		*ret_result = dp_replay_next(p, &r);
		if (*ret_result != 1)
			break;
		assert_int_equal(dp_record_check(&r, r.h.size), 0);
		n++;
	}
	/* The damage sticks, and nothing of the damaged record was handed out. */
	if (*ret_result < 0) {
		assert_int_equal(r.h.type, 0xAAAA);
		assert_int_equal(dp_replay_next(p, &r), *ret_result);
	}
	dp_replay_close(p);
	return n;
}

static void test_truncation_at_every_byte(void **state)
{
	unsigned int whole = DP_REC_COUNT - 1;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (size_t len = im.len; len-- > 0;) {
		unsigned int n;

		assert_int_equal(ftruncate(im.fd, (off_t)len), 0);
		while (whole > 0 && im.ends[whole] > len)
			whole--;
		n = read_through(im.path, &result);
		assert_int_equal(n, len < 16 ? 0 : whole);
		assert_int_equal(result, len >= 16 && len == im.ends[whole] ? 0 : -EBADMSG);
	}
	free_image(&im);
}

/* Every bit of the headers and one bit of each other byte, at each place of the file. */
static void test_bit_flips(void **state)
{
	unsigned int type = 0, refused = 0;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (size_t at = 0; at < im.len; at++) {
		int header;

		while (type + 1 < DP_REC_COUNT && at >= im.ends[type])
			type++;
		header = at < 16 || at < im.ends[type - 1] + sizeof(struct dp_rec_hdr);
		for (unsigned int bit = 0; bit < 8; bit++) {
			unsigned char b = (unsigned char)(im.bytes[at] ^ 1u << bit);
			unsigned int n;

			if (!header && bit != at % 8)
				continue;
			assert_int_equal(pwrite(im.fd, &b, 1, (off_t)at), 1);
			n = read_through(im.path, &result);
			if (at < 16) {
				assert_int_equal(result, -EBADMSG);
				assert_int_equal(n, 0);
			}
			refused += result < 0;
		}
		assert_int_equal(pwrite(im.fd, &im.bytes[at], 1, (off_t)at), 1);
	}
	assert_true(refused > 16 * 8 + 4 * 8 * (DP_REC_COUNT - 1));
	assert_int_equal(read_through(im.path, &result), DP_REC_COUNT - 1);
	assert_int_equal(result, 0);
	free_image(&im);
}

/*
 * A recording from before a body grew: each record of a type that has grown is cut to its least size,
 * and what was cut off is read as 0. Shorter still is damage, and so is any cut of another type.
 */
static void test_older_recording(void **state)
{
	(void)state;
	for (unsigned int type = 1; type < DP_REC_COUNT; type++) {
		uint32_t whole = (uint32_t)dp_record_size(type);
		uint32_t least = (uint32_t)dp_record_least_size(type);
		struct image im;

		make_image(&im);
		for (uint32_t size = least; size >= sizeof(struct dp_rec_hdr) && size + 8 >= least;
		     size -= 8) {
			size_t begin = im.ends[type] - whole, n = im.len - im.ends[type];
			struct dp_record r;
			struct dp_replay *p;
			char why[128];

			assert_int_equal(ftruncate(im.fd, (off_t)(begin + size)), 0);
			assert_int_equal(pwrite(im.fd, &size, sizeof(size), (off_t)begin + 4), 4);
			assert_int_equal(
				pwrite(im.fd, im.bytes + im.ends[type], n, (off_t)(begin + size)),
				n);
			assert_int_equal(dp_replay_open(im.path, &p, why, sizeof(why)), 0);
			for (unsigned int t = 1; t < type; t++)
				assert_int_equal(dp_replay_next(p, &r), 1);
			assert_int_equal(dp_replay_next(p, &r), size == least ? 1 : -EBADMSG);
			for (uint32_t at = size; size == least && at < whole; at++)
				assert_int_equal(((unsigned char *)&r)[at], 0);
			if (size == least)
				assert_int_equal(r.h.size, whole);
			dp_replay_close(p);
		}
		free_image(&im);
	}
	assert_true(dp_record_least_size(DP_REC_OPTIONS) < dp_record_size(DP_REC_OPTIONS));
}

static void test_random_bytes(void **state)
{
	uint64_t rng = 1;
	struct image im;
	int result;

	(void)state;
	make_image(&im);
	for (int round = 0; round < 300; round++) {
		for (size_t at = 16; at < im.len; at += sizeof(rng)) {
			size_t n = im.len - at < sizeof(rng) ? im.len - at : sizeof(rng);

			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			/* The first half of the rounds keeps the record headers. */
			if (round % 2 || (at - 16) % 64 >= 32)
				assert_int_equal(pwrite(im.fd, &rng, n, (off_t)at), n);
		}
		read_through(im.path, &result);
	}
	free_image(&im);
}

static void test_open_refuses(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		const char *why;
	} rows[] = {
		{"none", "", 0, "too short"},
		{"text", "#!/bin/sh\necho hello\n", 21, "not a recording"},
		{"version", "dorarec\0\xff\0\0\0\x04\x03\x02\x01", 16, "format version 255"},
		{"order", "dorarec\0\0\0\0\x01\x01\x02\x03\x04", 16, "byte order"},
	};
	struct dp_replay *p = NULL;
	char why[128];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		put_file(in_dir(rows[i].name), rows[i].bytes, rows[i].len);
		assert_int_equal(dp_replay_open(in_dir(rows[i].name), &p, why, sizeof(why)),
				 -EBADMSG);
		assert_non_null(strstr(why, rows[i].why));
		assert_null(p);
	}
	assert_int_equal(dp_replay_open(in_dir("missing"), &p, why, sizeof(why)), -ENOENT);
	assert_int_equal(dp_replay_open(dir, &p, why, sizeof(why)), -EISDIR);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncation_at_every_byte),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_older_recording),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_open_refuses),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
