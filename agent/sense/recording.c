// SPDX-License-Identifier: MIT
/* Writes and reads recordings (recording.h). A recording is as untrusted as anything from outside.
 */
#include "sense/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)

struct file_header {
	char magic[8];
	uint32_t version;
	uint32_t order;
};
_Static_assert(sizeof(struct file_header) == 16, "16-byte header");
_Static_assert(sizeof(struct dp_record) <= BUFFER_BYTES, "a record fits into the buffer");

static const struct file_header expected = {
	.magic = DP_RECORDING_MAGIC, .version = DP_RECORD_VERSION, .order = DP_RECORDING_ORDER};

/* ---- writing ----------------------------------------------------------------------------- */

struct dp_recorder {
	int fd;
	int error;
	size_t used;
	unsigned char buffer[BUFFER_BYTES];
};

int dp_recorder_flush(struct dp_recorder *r)
{
	size_t done = 0;

	while (!r->error && done < r->used) {
		ssize_t n = write(r->fd, r->buffer + done, r->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			r->error = -errno;
	}
	r->used = 0;
	return r->error;
}

/* A file that is there is taken over only if it is a recording, a plain file, and the caller's. */
static int take_over(int fd)
{
	struct file_header h;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EEXIST;
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    memcmp(h.magic, expected.magic, sizeof(h.magic)) != 0)
		return -EEXIST;
	return 0;
}

int dp_recorder_open(const char *path, struct dp_recorder **ret)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct dp_recorder *r = calloc(1, sizeof(*r));
	int found = 0, err = 0;

	if (!r)
		return -ENOMEM;
	r->fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	if (r->fd < 0 && errno == EEXIST) {
		found = 1;
		r->fd = open(path, flags);
		/* A symbolic link or a FIFO without reader is somebody else's business too. */
		if (r->fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EISDIR))
			errno = EEXIST;
	}
	if (r->fd < 0) {
		err = -errno;
		goto cleanup;
	}
	if (found && (err = take_over(r->fd)) < 0)
		goto cleanup;
	/* Two probes told to record into one file: the second has to know. */
	if (flock(r->fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto cleanup;
	}
	if (found && (ftruncate(r->fd, 0) < 0 || fchmod(r->fd, 0600) < 0)) {
		err = -errno;
		goto cleanup;
	}
	memcpy(r->buffer, &expected, sizeof(expected));
	r->used = sizeof(expected);
	err = dp_recorder_flush(r);
cleanup:
	if (err < 0) {
		if (r->fd >= 0)
			close(r->fd);
		free(r);
		return err;
	}
	*ret = r;
	return 0;
}

int dp_recorder_write(struct dp_recorder *r, const struct dp_record *rec)
{
	struct dp_record copy;

	if (r->error)
		return r->error;
	if (dp_record_check(rec, sizeof(*rec)) < 0)
		return -EINVAL;
	if (sizeof(r->buffer) - r->used < rec->h.size && dp_recorder_flush(r) < 0)
		return r->error;
	memcpy(&copy, rec, rec->h.size);
	dp_record_clear(&copy);
	memcpy(r->buffer + r->used, &copy, rec->h.size);
	r->used += rec->h.size;
	return 0;
}

int dp_recorder_close(struct dp_recorder *r)
{
	int err;

	if (!r)
		return 0;
	err = dp_recorder_flush(r);
	if (close(r->fd) < 0 && err == 0)
		err = -errno;
	free(r);
	return err;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct dp_replay {
	int fd;
	int result;        /* sticks: 0 go on, -EBADMSG, other -errno, 1 end */
	size_t start, end; /* of what is in the buffer */
	uint64_t offset;
	unsigned char buffer[BUFFER_BYTES];
};

/* Reads until at least `want` bytes are in the buffer: 1; 0 the file ended before; -errno. */
static int fill(struct dp_replay *r, size_t want)
{
	if (r->end - r->start >= want)
		return 1;
	memmove(r->buffer, r->buffer + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	while (r->end < want) {
		ssize_t n = read(r->fd, r->buffer + r->end, sizeof(r->buffer) - r->end);

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r->end += (size_t)n;
	}
	return 1;
}

int dp_replay_open(const char *path, struct dp_replay **ret, char *why, size_t why_len)
{
	struct dp_replay *r = calloc(1, sizeof(*r));
	struct file_header h;
	int err, got;

	if (!r) {
		snprintf(why, why_len, "no memory to read the recording");
		return -ENOMEM;
	}
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (r->fd < 0) {
		err = -errno;
		snprintf(why, why_len, "cannot open the recording: %s", strerror(-err));
		goto cleanup;
	}
	got = fill(r, sizeof(h));
	if (got < 0) {
		err = got;
		snprintf(why, why_len, "cannot read the recording: %s", strerror(-err));
		goto cleanup;
	}
	err = -EBADMSG;
	if (got == 0) {
		snprintf(why, why_len, "the file is too short to be a recording");
		goto cleanup;
	}
	memcpy(&h, r->buffer, sizeof(h));
	if (memcmp(h.magic, expected.magic, sizeof(h.magic)) != 0) {
		snprintf(why, why_len, "the file is not a recording of dora-probe");
		goto cleanup;
	}
	if (h.order != expected.order) {
		snprintf(why, why_len,
			 "the recording was made on a machine of the other byte order");
		goto cleanup;
	}
	if (h.version != expected.version) {
		snprintf(why, why_len,
			 "the recording has format version %u, this dora-probe reads version %u",
			 h.version, expected.version);
		goto cleanup;
	}
	r->start = sizeof(h);
	r->offset = sizeof(h);
	*ret = r;
	return 0;
cleanup:
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	return err;
}

int dp_replay_next(struct dp_replay *r, struct dp_record *ret)
{
	struct dp_record rec;
	struct dp_rec_hdr h;
	size_t whole;
	int got;

	if (r->result)
		return r->result < 0 ? r->result : 0;
	got = fill(r, sizeof(h));
	if (got <= 0) {
		/* The end is an end only between two records. */
		r->result = got < 0 ? got : r->end == r->start ? 1 : -EBADMSG;
		return r->result < 0 ? r->result : 0;
	}
	memcpy(&h, r->buffer + r->start, sizeof(h));
	r->result = -EBADMSG;
	whole = dp_record_size(h.type);
	if (h.size < sizeof(h) || h.size > whole || h.size < dp_record_least_size(h.type))
		return r->result;
	got = fill(r, h.size);
	if (got <= 0) {
		if (got < 0)
			r->result = got;
		return r->result;
	}
	memcpy(&rec, r->buffer + r->start, h.size);
	/* Of a recording that is older than a field, the field is 0. */
	memset((char *)&rec + h.size, 0, whole - h.size);
	rec.h.size = (uint32_t)whole;
	if (dp_record_check(&rec, whole) < 0)
		return r->result;
	memcpy(ret, &rec, whole);
	r->start += h.size;
	r->offset += h.size;
	r->result = 0;
	return 1;
}

uint64_t dp_replay_offset(const struct dp_replay *r)
{
	return r->offset;
}

void dp_replay_close(struct dp_replay *r)
{
	if (!r)
		return;
	close(r->fd);
	free(r);
}
