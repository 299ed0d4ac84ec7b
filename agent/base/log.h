/* SPDX-License-Identifier: MIT */
/*
 * Messages to standard error: all of the agent's go through here. Data goes to standard output, and
 * is no message.
 */
#ifndef DORA_PROBE_BASE_LOG_H
#define DORA_PROBE_BASE_LOG_H

/*
 * One sentence as one line, behind "dora-probe: ", in one write(2). What may not be shown
 * (dp_utf8_may_show()) is '?': part of a sentence is often somebody else's. Bounded: 2 KiB.
 */
void dp_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Lines of a library, with their own ends and without a word before them; the same otherwise. */
void dp_log_lines(const char *text);

#endif
