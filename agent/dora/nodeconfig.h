/* SPDX-License-Identifier: MIT */
/*
 * Who a dora node is: from DORA_NODE_CONFIG / DORA_RUNTIME_CONFIG in its environment (YAML, read
 * with libyaml), and its dora version from the installed distribution that it imported.
 */
#ifndef DORA_PROBE_NODECONFIG_H
#define DORA_PROBE_NODECONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/record.h"

struct dp_node_config {
	char dataflow[DP_UUID_MAX];
	char dataflow_name[DP_ID_MAX]; /* "" when the descriptor names none */
	char node[DP_ID_MAX];
	uint8_t transport; /* enum dp_transport */
	uint16_t port;     /* TCP: of the daemon's listener for this node, host order */
	uint8_t addr[16];  /* TCP: address bytes, 4 or 16 */
	uint16_t family;   /* AF_INET, AF_INET6, AF_UNIX, 0 */
	char socket_path[108];
	uint8_t dynamic;
	/* Watchdogs of dora 1.x, from the node's entry in the descriptor; ns, 0 none. */
	uint64_t health_ns;  /* health_check_timeout */
	uint64_t startup_ns; /* startup_timeout */
	uint64_t finish_ns;  /* finish_grace_secs */
	pid_t run_parent_pid; /* DORA_RUN_PARENT_PID: the `dora run` whose end ends the node; 0 none */
	uint8_t restarts;     /* dora starts some node of the dataflow anew when it ends */
};

/*
 * Reads the YAML text. Unknown keys are ignored; strings are bounded and made printable; depth,
 * aliases and size (1 MiB) are limited. 0; -EBADMSG not a node configuration.
 */
int dp_node_config_parse(const char *yaml, size_t len, struct dp_node_config *ret);

/*
 * Finds and reads the configuration of a running process in /proc/PID/environ. `proc` is "/proc"
 * or a test's own. 0; -ENOENT not a dora node; -EBADMSG; -EPERM; -ESRCH.
 */
int dp_node_config_read(const char *proc, pid_t pid, struct dp_node_config *ret);

/*
 * Version of the dora Python package that the process has mapped (dora*.so in /proc/PID/maps; its
 * dist-info directory beside it), read as data, never executed. For Rust/C++ nodes -ENOENT.
 * 0 and "0.5.0"; -ENOENT; -ENODATA it is there, but no distribution of dora-rs (a fork, vendored);
 * -EPERM; -ESRCH.
 */
int dp_dora_version_read(const char *proc, pid_t pid, char *ret, size_t len);
/* Version of the `dora` command that a process is, so of a daemon: package dora_cli. Else as dp_dora_version_read(). */
int dp_dora_daemon_version_read(const char *proc, pid_t pid, char *ret, size_t len);

/*
 * The newest dora version that speaks dora-message `message` ("0.8.0" -> "0.5.0"); "" unknown. From
 * 1.0.0 on the two are one number, and the argument itself is returned.
 */
const char *dp_dora_version_of_message(const char *message);

/* Default grace ladder of a dora version ("" = newest). Durations in ns. */
struct dp_grace {
	uint64_t deadline_ns;  /* Stop to the first deadly signal */
	uint32_t first_signal; /* SIGTERM or SIGKILL */
};
void dp_grace_of(const char *dora, struct dp_grace *ret);

/* a.b.c parsed; 1 when version `v` is at least `major.minor.patch`, 0 when less or unreadable. */
int dp_version_at_least(const char *v, unsigned int major, unsigned int minor, unsigned int patch);

#endif
