/* SPDX-License-Identifier: MIT */
/*
 * The `dora` commands that end nodes (stop, restart, destroy, down, and those of one node), seen
 * starting on this machine or found running: what is asked for, and whether to believe it.
 */
#ifndef DORA_PROBE_STOP_COMMAND_H
#define DORA_PROBE_STOP_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/record.h"

/* Bytes of a command line that are looked at; a longer one is none of these. */
#define DP_STOP_CMDLINE_MAX 4096

/*
 * Is this command line (arguments ended by NULs, as /proc/PID/cmdline gives it) a command of dora
 * that ends nodes? Knows the program itself and the wheel's script (`…/python3 …/bin/dora stop …`).
 * Options as `dora COMMAND --help` of 0.3.12, 0.4.1, 0.5.0 and 1.1.0 lists them. uid and started_ns
 * are left. Pure. 0; -ENOENT something else; -EBADMSG one that dora itself would reject.
 */
int dp_stop_command_parse(const char *cmdline, size_t len, struct dp_rec_command *ret);

/* dora's duration syntax: "10s", "500ms", "1m30s", "1m + 30s", "2min". 0, -EINVAL, -ERANGE. */
int dp_dora_duration(const char *s, uint64_t *ret_ns);

/* Only root and the daemon's own user can stop its dataflows and be believed about the grace. */
int dp_stop_command_accepted(uid_t command_uid, uid_t daemon_uid);

/*
 * Reads and parses the command line and effective uid of a process; started_ns is left 0. `proc`
 * NULL: /proc. As dp_stop_command_parse; -ESRCH gone; other -errno.
 */
int dp_stop_command_read(const char *proc, pid_t pid, struct dp_rec_command *ret);

#endif
