// SPDX-License-Identifier: MIT
/* The keyboard, byte by byte (keys.h). */
#include "view/keys.h"

enum { KEYS_PLAIN, KEYS_ESCAPE, KEYS_SEQUENCE, KEYS_SEQUENCE_TAIL };

enum dp_view_key dp_view_key(struct dp_view_keys *k, uint8_t byte)
{
	uint8_t state = k->state;

	if (byte == 0x1B) {
		k->state = KEYS_ESCAPE;
		return DP_KEY_NONE;
	}
	k->state = KEYS_PLAIN;
	if (state == KEYS_ESCAPE) {
		/* CSI and SS3 (ECMA-48): cursor keys come as one or the other. */
		if (byte == '[' || byte == 'O')
			k->state = KEYS_SEQUENCE;
		return DP_KEY_NONE;
	}
	if (state != KEYS_PLAIN) {
		/* Parameters and intermediates, then one final byte. */
		if (byte >= 0x20 && byte < 0x40) {
			k->state = KEYS_SEQUENCE_TAIL;
			return DP_KEY_NONE;
		}
		/* With parameters they are pressed with Shift or Ctrl: still an arrow. */
		switch (byte) {
		case 'A':
			return DP_KEY_UP;
		case 'B':
			return DP_KEY_DOWN;
		case 'H':
			return DP_KEY_FIRST;
		case 'F':
			return DP_KEY_LAST;
		}
		return DP_KEY_NONE;
	}
	switch (byte) {
	case 'q':
	case 'Q':
	case 0x03: /* Ctrl-C, where the terminal sends it as a key */
		return DP_KEY_QUIT;
	case 'p':
	case 'P':
		return DP_KEY_PAUSE;
	case 'k':
		return DP_KEY_UP;
	case 'j':
		return DP_KEY_DOWN;
	case 'g':
		return DP_KEY_FIRST;
	case 'G':
		return DP_KEY_LAST;
	case 0x0C: /* Ctrl-L */
		return DP_KEY_REDRAW;
	}
	return DP_KEY_NONE;
}
