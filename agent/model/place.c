// SPDX-License-Identifier: MIT
/* Where a thread is; see place.h. */
#include "model/place.h"

#include "base/array.h"
#include "base/hash.h"
#include "base/pyfile.h"

#include <string.h>

/* The function of a place in the collector: it is no Python function, and no line is to blame. */
#define COLLECTOR "<garbage collection>"

bool place_library_is_dora(const char *library)
{
	return strncmp(library, "dora", 4) == 0;
}

bool place_library_is_foreign(const char *library)
{
	static const char *const own[] = {"libc.", "libc-",     "libpthread",
					  "ld-",   "libpython", "python"};

	for (size_t i = 0; i < DP_COUNT_OF(own); i++)
		if (strncmp(library, own[i], strlen(own[i])) == 0)
			return false;
	return library[0] && !place_library_is_dora(library);
}

void place_name_thread(struct place *p, const struct dp_rec_stack *s)
{
	memset(p->thread, 0, sizeof(p->thread));
	if (s->thread[0])
		memcpy(p->thread, s->thread, sizeof(s->thread));
	else
		memcpy(p->thread, s->comm, sizeof(s->comm));
}

void place_note_frames(struct place *p, const struct dp_rec_stack *s)
{
	uint32_t user = 0;

	p->user_function[0] = p->user_file[0] = '\0';
	p->user_line = 0;
	p->collecting = s->collecting;
	if (s->collecting) {
		memcpy(p->function, COLLECTOR, sizeof(COLLECTOR));
		p->file[0] = '\0';
		p->line = 0;
	} else if (s->frame_count) {
		memcpy(p->function, s->frames[0].function, sizeof(p->function));
		memcpy(p->file, s->frames[0].file, sizeof(p->file));
		p->line = s->frames[0].line;
	}
	while (user < s->frame_count && dp_pyfile_is_library(s->frames[user].file))
		user++;
	if (user == s->frame_count)
		return;
	memcpy(p->user_function, s->frames[user].function, sizeof(p->user_function));
	memcpy(p->user_file, s->frames[user].file, sizeof(p->user_file));
	p->user_line = s->frames[user].line;
}

bool place_file_ends(const char *file, const char *end)
{
	size_t len = strlen(file), n = strlen(end);

	return len >= n && strcmp(file + len - n, end) == 0;
}

bool place_is_idle_loop(const struct dp_rec_stack *s)
{
	const struct dp_frame *f = s->frames;

	if (place_file_ends(f[0].file, "/selectors.py") && s->frame_count > 1)
		f++;
	return place_file_ends(f->file, "/asyncio/base_events.py") ||
	       place_file_ends(f->file, "/asyncio/runners.py");
}

bool place_is_stopped(const struct dp_rec_stack *s)
{
	return s->state == 'T' || s->state == 't';
}

bool place_is_join(const struct dp_rec_stack *s)
{
	static const char *const names[] = {"join", "_wait_for_tstate_lock", "_shutdown"};
	const char *name, *dot;

	if (!s->frame_count || !place_file_ends(s->frames[0].file, "/threading.py"))
		return false;
	/* From 3.11 on "Thread.join". */
	dot = strrchr(s->frames[0].function, '.');
	name = dot ? dot + 1 : s->frames[0].function;
	for (size_t i = 0; i < DP_COUNT_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void place_from_stack(struct place *p, const struct dp_rec_stack *s)
{
	struct place was = *p;

	memset(p, 0, sizeof(*p));
	p->known = true;
	place_name_thread(p, s);
	memcpy(p->library, s->library, sizeof(p->library));
	p->dora = place_library_is_dora(s->library);
	place_note_frames(p, s);
	if (was.known && was.library[0] && was.line == p->line &&
	    strcmp(was.function, p->function) == 0 &&
	    (!p->library[0] || (was.dora && strncmp(p->library, "lib", 3) == 0))) {
		memcpy(p->library, was.library, sizeof(p->library));
		p->dora = was.dora;
	}
}

bool place_same(const struct place *a, const struct place *b)
{
	return a->line == b->line && strcmp(a->function, b->function) == 0 &&
	       strcmp(a->file, b->file) == 0;
}

uint32_t place_hash(uint32_t key, const struct place *p)
{
	uint64_t h = dp_hash_u32(DP_HASH_START, key);

	h = dp_hash_text(h, p->function);
	h = dp_hash_text(h, p->file);
	return dp_hash_fold(dp_hash_u32(h, (uint32_t)p->line));
}

struct dp_place place_view(const struct place *p)
{
	return (struct dp_place){
		.thread = p->thread[0] ? p->thread : NULL,
		.function = p->function[0] ? p->function : NULL,
		.file = p->file[0] ? p->file : NULL,
		.library = p->library[0] ? p->library : NULL,
		.line = p->line,
		.user_function = p->user_function[0] ? p->user_function : NULL,
		.user_file = p->user_file[0] ? p->user_file : NULL,
		.user_line = p->user_line,
		.collecting = p->collecting,
	};
}
