// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of what is read out of a Python's memory for a stack: thread state, frames, code objects, names, line
 * tables. The target is this process: the input lies at a fixed address, and a word with its highest bit set is a pointer
 * into it. The first byte chooses the version of Python, the second whether a chain of frames that hangs together is put
 * over the input, so that what stands at its ends is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "python/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where neither the address sanitizer nor the kernel puts anything. */
#define BASE   0x200000000000ULL
#define LENGTH 0x10000u
#define FRAMES 12u

static uint8_t *memory;

static void put(uint32_t at, uint64_t field, uint64_t value)
{
	if (at + field + sizeof(value) <= LENGTH)
		memcpy(memory + at + field, &value, sizeof(value));
}

/* An ASCII string of this many bytes, as each version has it. */
static void put_string(const struct dp_layout *l, uint32_t at, uint64_t length)
{
	put(at, l->str_state, 1u << 2 | 1u << 5 | 1u << 6); /* kind 1, compact, ascii */
	put(at, l->str_length, length);
}

/* Frames one behind the other, each with code, names and a line table; lengths are the input's. */
static void put_chain(const struct dp_layout *l)
{
	const uint32_t frames = 0x1000, codes = 0x3000, strings = 0x6000, tables = 0xa000;

	put(0, l->ts_frame, BASE + frames);
	put(0, l->ts_cframe, BASE + 0x800);
	if (l->cframe_frame != DP_NO_OFFSET)
		put(0x800, l->cframe_frame, BASE + frames);
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t frame = frames + i * 0x200, code = codes + i * 0x200;
		uint32_t name = strings + i * 0x200, table = tables + i * 0x400;
		uint64_t back = i + 1 < FRAMES ? BASE + frame + 0x200 : 0;

		/* The input may close the chain to a ring. */
		put(frame, l->fr_back, memory[frame] & 1 ? BASE + frames : back);
		put(frame, l->fr_code, BASE + code);
		if (l->fr_ip != DP_NO_OFFSET)
			put(frame, l->fr_ip,
			    BASE + code + l->co_bytecode + (uint64_t)memory[frame + 1] * 2);
		put(code, l->co_name, BASE + name);
		put(code, l->co_qualname, BASE + name);
		put(code, l->co_filename, BASE + name);
		put(code, l->co_lines, BASE + table);
		put_string(l, name, memory[name] * (uint64_t)memory[name + 1]);
		put(table, l->bytes_size, memory[table] * 4ull);
	}
}

static void fill(const uint8_t *data, size_t size)
{
	memset(memory, 0, LENGTH);
	memcpy(memory, data, size < LENGTH ? size : LENGTH);
	/* Where the input ends it begins anew: all of the memory is its to choose. */
	for (size_t at = size; size && at < LENGTH; at++)
		memory[at] = memory[at - size];
	for (size_t at = 0; at < LENGTH; at += 8) {
		uint64_t word;

		memcpy(&word, memory + at, 8);
		if (word >> 63) {
			word = BASE + (word & (LENGTH - 8));
			memcpy(memory + at, &word, 8);
		}
	}
}

static void read_all(struct dp_py *py)
{
	struct dp_rec_stack stack = {.status = 0};
	char name[DP_FILE_MAX];

	dp_frames_read(py, BASE, &stack);
	if (stack.frame_count > DP_FRAMES_MAX)
		abort();
	for (uint32_t i = 0; i < stack.frame_count; i++)
		if (!memchr(stack.frames[i].function, '\0', DP_FUNCTION_MAX) ||
		    !memchr(stack.frames[i].file, '\0', DP_FILE_MAX))
			abort();
	if (dp_frames_string(py, BASE + 0x100, name, sizeof(name)) == 0 &&
	    !memchr(name, '\0', sizeof(name)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_py py = {.pid = getpid(), .pagemap = -1};
	uint32_t version;
	uint8_t free_threaded;
	int err;

	if (size < 2)
		return 0;
	if (!memory)
		memory = mmap((void *)(uintptr_t)BASE, LENGTH, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (memory == MAP_FAILED)
		abort();
	fill(data + 2, size - 2);
	if (data[0] & 0x80)
		err = dp_layout_from_debug_offsets(memory, data[0] & 1, &py.layout, &version,
						   &free_threaded);
	else
		err = dp_layout_for(8 + data[0] % 5, data[0] & 0x40, &py.layout);
	if (err)
		return 0;
	if (data[1] & 1)
		put_chain(&py.layout);
	read_all(&py);
	return 0;
}
