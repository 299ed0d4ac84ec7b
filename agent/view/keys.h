/* SPDX-License-Identifier: MIT */
/* What the bytes of a keyboard mean to the live view: pure. */
#ifndef DORA_PROBE_VIEW_KEYS_H
#define DORA_PROBE_VIEW_KEYS_H

#include <stdint.h>

enum dp_view_key {
	DP_KEY_NONE,
	DP_KEY_QUIT,
	DP_KEY_PAUSE,
	DP_KEY_UP,
	DP_KEY_DOWN,
	DP_KEY_FIRST,
	DP_KEY_LAST,
	DP_KEY_REDRAW
};
/* How far a sequence has come that began with ESC. Zeroed at the start. */
struct dp_view_keys {
	uint8_t state;
};
/* The next byte from the keyboard. Sequences that mean nothing here are swallowed whole. */
enum dp_view_key dp_view_key(struct dp_view_keys *k, uint8_t byte);

#endif
