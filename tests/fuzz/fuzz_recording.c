// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of recordings, replay and the three kinds of report: whatever a file says, the model
 * and what shows take it without a fault, and within the memory that the fuzzer is given. The first byte
 * chooses what is made of it; a header that is right is put before the rest, so that the records are reached.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run/session.h"
#include "sense/recording.h"
#include "show/timeline.h"
#include "show/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum making { TEXT, JSON, PAGE, TRACE, MAKINGS };

static void write_all(int fd, const void *data, size_t len)
{
	if (write(fd, data, len) != (ssize_t)len)
		abort();
}

static void as_recorded(const void *ctx, struct dp_rec_options *o)
{
	(void)ctx;
	(void)o;
}

static void make(struct dp_replay *file, enum making making)
{
	struct dp_show_options show = {.format = making == JSON ? DP_SHOW_JSON : DP_SHOW_TEXT,
				       .verbose = 1,
				       .columns = 100};
	struct dp_session s = {.patient = true};
	FILE *out = fopen("/dev/null", "we");
	bool ended;

	if (!out)
		abort();
	show.fd = fileno(out);
	if (making == PAGE)
		s.page = dp_timeline_new();
	else if (making == TRACE)
		s.trace = dp_trace_new(out);
	else
		s.show = dp_show_new(&show);
	if (dp_session_begin(&s) == 0)
		dp_session_replay(&s, file, as_recorded, NULL, &ended);
	if (s.trace)
		dp_trace_end(s.trace);
	if (s.page)
		dp_timeline_write(s.page, out);
	dp_timeline_free(s.page);
	dp_show_free(s.show);
	dp_session_end(&s);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint32_t head[] = {DP_RECORD_VERSION, DP_RECORDING_ORDER};
	struct dp_replay *file = NULL;
	char path[64], why[256];
	int fd;

	if (size < 1)
		return 0;
	fd = memfd_create("recording", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	/* One in eight has what header it likes. */
	if (data[0] & 0xe0) {
		write_all(fd, DP_RECORDING_MAGIC, 8);
		write_all(fd, head, sizeof(head));
	}
	write_all(fd, data + 1, size - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (dp_replay_open(path, &file, why, sizeof(why)) == 0)
		make(file, data[0] % MAKINGS);
	dp_replay_close(file);
	close(fd);
	return 0;
}
