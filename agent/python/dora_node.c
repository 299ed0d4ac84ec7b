/* SPDX-License-Identifier: MIT */
/*
 * Which node a process is, by its object of dora's type Node (apis/python/node/src/lib.rs: node_id, a String, and
 * dataflow_id, a Uuid). The order of a Rust struct's fields is the compiler's, so they are known by their looks: a
 * String is its capacity, its address and its length, in this order in all releases that were looked at (0.3.12,
 * 0.4.1, 0.5.0, 1.1.0); dora makes its UUIDs by the clock (version 7) or by chance (4).
 */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "base/uuid.h"
#include "python/internal.h"

#define OBJECT_MAX   4096 /* bytes; 88 in 0.5.0, 440 in 0.3.12 */
#define OBJECT_HEAD  2    /* words */
#define FRAME_WORDS  128  /* of a frame: what is before its variables takes 10 to 45 */
#define FRAMES_MAX   64   /* of a thread */
#define VALUES_MAX   512  /* of a dict */
#define NAMES_MAX    8
#define CAPACITY_MAX (1u << 20)
/* Objects that are looked at in one process, some 1 us each. */
#define BUDGET 20000

struct search {
	const struct dp_py *py;
	uint64_t type;  /* dora's Node */
	uint64_t words; /* of an object of it */
	unsigned int left;
	struct dp_dora_node found;
	bool has_found, contradicts;
};

/* A name that somebody may have given to a node: no blank, no control character, no '/'. */
static bool is_name(const char *text, uint64_t len)
{
	uint32_t c;

	for (uint64_t i = 0; i < len;) {
		i += dp_utf8_decode(text + i, len - i, &c);
		if (c == UINT32_MAX || c == ' ' || c == '/' || !dp_utf8_may_show(c))
			return false;
	}
	return len > 0;
}

/* The name that this word points at, between a capacity and a length. */
static bool read_name(const struct search *s, const uint64_t *w, char ret[DP_ID_MAX])
{
	uint64_t capacity = w[-1], len = w[1];

	if (capacity > CAPACITY_MAX || len > capacity || len == 0 || len >= DP_ID_MAX ||
	    dp_remote_read(s->py->pid, w[0], ret, len) < 0 || !is_name(ret, len))
		return false;
	ret[len] = '\0';
	return true;
}

/*
 * The name among the Strings of an object: the one that is there most often, since what a variant of an enum does not
 * use is garbage that may look like one. False: there is none, or two are as often.
 */
static bool find_name(const struct search *s, const uint64_t *w, char ret[DP_ID_MAX])
{
	char name[NAMES_MAX][DP_ID_MAX];
	unsigned int times[NAMES_MAX] = {0}, n = 0, best = 0, k;
	bool tie = false;

	for (uint64_t i = OBJECT_HEAD + 1; i + 1 < s->words && n < NAMES_MAX; i++) {
		if (!read_name(s, &w[i], name[n]))
			continue;
		for (k = 0; k < n && strcmp(name[k], name[n]) != 0; k++)
			;
		times[k]++;
		n += k == n;
	}
	for (k = 1; k < n; k++) {
		tie = times[k] == times[best] || (tie && times[k] < times[best]);
		if (times[k] > times[best])
			best = k;
	}
	if (n == 0 || tie)
		return false;
	memcpy(ret, name[best], DP_ID_MAX);
	return true;
}

/* The one UUID among its words. */
static bool find_uuid(const struct search *s, const uint64_t *w, char ret[DP_UUID_MAX])
{
	const uint8_t *found = NULL;

	for (uint64_t i = OBJECT_HEAD; i + 1 < s->words; i++) {
		const uint8_t *b = (const uint8_t *)&w[i];
		unsigned int version = b[6] >> 4;

		if ((version != 4 && version != 7) || b[8] >> 6 != 2)
			continue;
		if (found && memcmp(found, b, 16) != 0)
			return false;
		found = b;
	}
	if (found)
		dp_uuid_text(ret, found);
	return found != NULL;
}

static void take(struct search *s, uint64_t object)
{
	uint64_t w[OBJECT_MAX / 8];
	struct dp_dora_node n;

	memset(&n, 0, sizeof(n));
	if (dp_remote_read(s->py->pid, object, w, s->words * 8) < 0 ||
	    !find_uuid(s, w, n.dataflow) || !find_name(s, w, n.node))
		return;
	if (s->has_found &&
	    (strcmp(s->found.node, n.node) != 0 || strcmp(s->found.dataflow, n.dataflow) != 0))
		s->contradicts = true;
	s->found = n;
	s->has_found = true;
}

/* An object that something holds, and, `below` times, what it has itself. */
static void look(struct search *s, uint64_t object, int below)
{
	uint64_t type, values[VALUES_MAX];
	struct dp_entries e;
	unsigned int n;

	/* A _PyStackRef of 3.14 keeps flags in the lowest two bits. */
	object &= ~3ull;
	if (object < 4096 || object % 8 != 0 || s->left == 0)
		return;
	s->left--;
	if (dp_remote_u64(s->py->pid, object + s->py->layout.ob_type, &type) < 0)
		return;
	if (type == s->type) {
		take(s, object);
		return;
	}
	if (below == 0 || type < 4096 || !dp_attributes_open(s->py, object, &e))
		return;
	n = dp_entries_values(s->py, &e, values, VALUES_MAX);
	for (unsigned int i = 0; i < n; i++)
		look(s, values[i], below - 1);
}

static void look_at_frames(struct search *s, uint64_t tstate)
{
	uint64_t frames[FRAMES_MAX], w[FRAME_WORDS];
	unsigned int n = dp_frames_addresses(s->py, tstate, frames, FRAMES_MAX);

	for (unsigned int i = 0; i < n; i++) {
		ssize_t got = dp_remote_read_some(s->py->pid, frames[i], w, sizeof(w));

		for (ssize_t k = 0; k < got / 8; k++)
			look(s, w[k], 1);
	}
}

static void look_at_threads(struct search *s)
{
	const struct dp_layout *l = &s->py->layout;
	uint64_t interp, at = 0, next;

	if (dp_py_interpreters(s->py, &interp, 1) != 1 ||
	    dp_remote_u64(s->py->pid, interp + l->is_threads_head, &at) < 0)
		return;
	for (unsigned int i = 0; at != 0 && i < DP_TSTATES_MAX && s->left; i++, at = next) {
		if (dp_remote_u64(s->py->pid, at + l->ts_next, &next) < 0)
			return;
		look_at_frames(s, at);
	}
}

int dp_py_dora_node(struct dp_py *py, struct dp_dora_node *ret)
{
	struct search s = {.py = py, .left = BUDGET};
	uint64_t values[VALUES_MAX], size = 0;
	struct dp_entries e;
	unsigned int n;

	if (py->layout.type_cached_keys == DP_NO_OFFSET)
		return -ENOENT;
	s.type = dp_module_attribute(py, "dora", "Node");
	if (!s.type || dp_remote_u64(py->pid, s.type + DP_TYPE_SIZE, &size) < 0 ||
	    size > OBJECT_MAX)
		return -ENOENT;
	s.words = size / 8;
	if (dp_module_open(py, "__main__", &e)) {
		n = dp_entries_values(py, &e, values, VALUES_MAX);
		for (unsigned int i = 0; i < n; i++)
			look(&s, values[i], 1);
	}
	look_at_threads(&s);
	if (!s.has_found || s.contradicts)
		return -ENOENT;
	*ret = s.found;
	return 0;
}
