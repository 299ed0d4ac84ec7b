/* SPDX-License-Identifier: MIT */
/* Where a thread is: function, file, line and native library of a stack, kept in the model. */
#ifndef DORA_PROBE_MODEL_PLACE_H
#define DORA_PROBE_MODEL_PLACE_H

#include "dora_probe/finding.h"

#include <stdbool.h>

struct place {
	bool known;
	bool collecting; /* Python's garbage collector runs: the line has nothing to do with it */
	bool dora;       /* native code of dora's own library */
	int32_t line;
	char thread[DP_THREAD_MAX];
	char function[DP_FUNCTION_MAX];
	char file[DP_FILE_MAX];
	char library[DP_LIBRARY_MAX];
	/* the first frame that is of no library */
	int32_t user_line;
	char user_function[DP_FUNCTION_MAX];
	char user_file[DP_FILE_MAX];
};

/* Is a library of this name dora's own? */
bool place_library_is_dora(const char *library);
/* Is it somebody's code: neither the C library's, through which every sleep goes, nor Python's own? */
bool place_library_is_foreign(const char *library);

/* Does the path of a file end in this? */
bool place_file_ends(const char *file, const char *end);
/*
 * asyncio's loop in its wait: the tasks that wait have no frame on the thread, so a handler and a
 * clean-up that wait look the same, and so does recv_async.
 */
bool place_is_idle_loop(const struct dp_rec_stack *s);

/* Is the process stopped, by SIGSTOP, a terminal or a debugger? */
bool place_is_stopped(const struct dp_rec_stack *s);

/* Does the stack end in a join of threading.py: does it wait for another thread to end? */
bool place_is_join(const struct dp_rec_stack *s);

/*
 * Takes the place from a stack. What a later stack at the same line no longer shows (the library,
 * once its code runs) is kept.
 */
void place_from_stack(struct place *p, const struct dp_rec_stack *s);

/* Function, file and line of the innermost frame, and of the first that is of no library. */
void place_note_frames(struct place *p, const struct dp_rec_stack *s);
/* The thread's name: Python's, else what the system has. Nothing else is changed. */
void place_name_thread(struct place *p, const struct dp_rec_stack *s);

/* Function, file and line are the same. */
bool place_same(const struct place *a, const struct place *b);

/* Function, file and line as a number that begins with `key`: base/hash.h, folded. */
uint32_t place_hash(uint32_t key, const struct place *p);

/* The place as findings show it; points into `p`. */
struct dp_place place_view(const struct place *p);

#endif
