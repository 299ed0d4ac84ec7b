// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of what comes out of the ring: any header, any body, any length. Nothing is watched,
 * so that no process of the machine is looked at; every record must be one that the model may eat.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sense/captures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(void *ctx, const struct dp_record *r)
{
	(void)ctx;
	if (r->h.size != dp_record_size(r->h.type))
		abort();
}

static void loss(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count, uint64_t t_ns)
{
	(void)ctx;
	(void)pid;
	(void)t_ns;
	if (reason >= DP_LOSS_COUNT || count == 0)
		abort();
}

static void exited(void *ctx, pid_t pid)
{
	(void)ctx;
	(void)pid;
}

static void say(void *ctx, const char *sentence)
{
	(void)ctx;
	(void)sentence;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dp_targets *targets;
	static struct dp_wire *wire;
	struct dp_captures c = {.record = record, .exited = exited};

	if (!targets) {
		static struct dp_wanted nobody;

		wire = dp_wire_new(&(struct dp_wire_sink){.record = record, .loss = loss});
		targets = dp_targets_new(&nobody, NULL, wire,
					 &(struct dp_targets_sink){.record = record, .say = say});
	}
	if (!targets || !wire)
		abort();
	c.wire = wire;
	c.targets = targets;
	/* Each: two bytes of length, then as many bytes, in memory of exactly that size. */
	while (size > 2) {
		size_t len = data[0] | (size_t)data[1] << 8;
		struct dp_capture *h;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (len >= sizeof(*h)) {
			h = malloc(len);
			if (!h)
				abort();
			memcpy(h, data, len);
			/* No command of this machine is to be read. */
			h->pid = 0;
			dp_captures_take(&c, h, len);
			free(h);
		}
		data += len;
		size -= len;
	}
	return 0;
}
