/* SPDX-License-Identifier: MIT */
/*
 * The worst case: a signal ends the process while the live view has the terminal. Then the terminal
 * gets its modes and its screen back from the signal's handler.
 */
#ifndef DORA_PROBE_VIEW_GOODBYE_H
#define DORA_PROBE_VIEW_GOODBYE_H

#include <termios.h>

/*
 * From now on a deadly signal puts `modes` and a plain screen back to `fd`, then ends the process as
 * it would have. ncurses knows the terminal already. One at a time.
 */
void goodbye_prepare(int fd, const struct termios *modes);
/* Deadly signals do again what they did. */
void goodbye_cancel(void);

#endif
