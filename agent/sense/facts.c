// SPDX-License-Identifier: MIT
/* What is known of a watched process, as its node record tells it; see watched.h. */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/task.h"
#include "sense/procfs.h"

#define DAEMON_TRIES 5

static void say(char *buf, size_t len, const char *words)
{
	size_t have = strlen(buf);

	snprintf(buf + have, len - have, "%s%s", have ? "; " : "", words);
}

static void say_left_alone(struct target *x, enum governed i)
{
	char text[DP_REASON_MAX];

	governor_says(&x->governor, i, text, sizeof(text));
	say(x->facts.reason, sizeof(x->facts.reason), text);
}

/* Why not everything of it can be observed; "" nothing is missing. */
static void refresh_reason(struct target *x)
{
	struct dp_rec_node *f = &x->facts;

	f->reason[0] = '\0';
	if (x->sampling)
		say(f->reason, sizeof(f->reason),
		    "level sampling: holds by looks, unconfirmed; tokens, waits, signals not seen, Stop only by a running `dora stop`");
	if (!x->py && x->why[0])
		say(f->reason, sizeof(f->reason), x->why);
	if (x->py && !x->kernel.gil_count)
		say(f->reason, sizeof(f->reason),
		    dp_py_info(x->py)->free_threaded ? "free-threaded build without a GIL"
						     : "no GIL found (interpreter ending?)");
	if (!x->is_dora)
		say(f->reason, sizeof(f->reason),
		    "no dora node (no DORA_NODE_CONFIG): watched for its GIL only");
	else if (member_is_aside(x))
		say(f->reason, sizeof(f->reason),
		    x->role == DP_MEMBER_HELPER
			    ? "started by a dora node, without a connection to the daemon of its own: watched for its GIL only"
			    : "started a dora node, without a connection to the daemon of its own: watched for its GIL only");
	else if (f->transport == DP_TRANSPORT_SHMEM)
		say(f->reason, sizeof(f->reason),
		    "shared-memory transport to the daemon, whose frames pass through no system call: use communication Tcp to see tokens and Stop");
	else if (f->transport == DP_TRANSPORT_UNKNOWN)
		say(f->reason, sizeof(f->reason), "transport to the daemon not known");
	else if (dp_version_at_least(f->dora, 1, 0, 0))
		say(f->reason, sizeof(f->reason), "dora 1.x has no drop tokens");
	else if (x->sockets_incomplete)
		say(f->reason, sizeof(f->reason),
		    "not all of its sockets could be looked at: tokens and Stop may pass unseen");
	else if (!x->conn_count && !x->heard)
		say(f->reason, sizeof(f->reason), "no connection to its daemon was found");
	else if (!x->heard)
		say(f->reason, sizeof(f->reason), "no frame has been seen on its connections yet");
	if (x->foreign)
		say(f->reason, sizeof(f->reason),
		    "its dora package is no distribution of dora-rs (a fork, or vendored): the grace "
		    "period is assumed");
	if (x->given_up && x->py)
		say(f->reason, sizeof(f->reason),
		    "reading it was given up on for a while: what it did meanwhile is not known");
	for (int i = 0; i < GOVERNED_COUNT; i++)
		if (x->left_alone & 1u << i)
			say_left_alone(x, (enum governed)i);
	if (x->no_edge[0])
		say(f->reason, sizeof(f->reason), x->no_edge);
}

/* The version of the dora package that it has mapped; none where it has not imported it yet. */
static void read_version(struct target *x)
{
	char dora[sizeof(x->facts.dora)];
	int err = dp_reader_version(x->reader, dora, sizeof(dora));

	if (!err) {
		memcpy(x->facts.dora, dora, sizeof(dora));
		x->dora_source = DP_DORA_FROM_DISTRIBUTION;
	}
	x->foreign = err == -ENODATA;
}

void target_refresh_facts(struct target *x)
{
	struct dp_rec_node *f = &x->facts;
	struct dp_task_status status;
	struct dp_task_stat stat;
	bool has_tokens;

	if (dp_task_stat("/proc", x->pid, 0, &stat) == 0 &&
	    dp_task_status("/proc", x->pid, 0, &status) == 0) {
		f->start_time = stat.start_time;
		f->signals_caught = status.signals_caught;
		f->signals_ignored = status.signals_ignored;
		f->uid = status.uid;
	}
	f->is_dora = x->is_dora && !member_is_aside(x);
	if (f->is_dora) {
		memcpy(f->dataflow, x->config.dataflow, sizeof(f->dataflow));
		memcpy(f->dataflow_name, x->config.dataflow_name, sizeof(f->dataflow_name));
		memcpy(f->node, x->config.node, sizeof(f->node));
		f->transport = x->config.transport;
		/* A search through all processes where it is not an ancestor: not for ever. */
		if (!f->daemon_pid && x->daemon_tries < DAEMON_TRIES && ++x->daemon_tries)
			f->daemon_pid = (uint32_t)dp_proc_daemon("/proc", x->pid, &x->config);
	}
	if (!f->dora[0] && f->is_dora)
		read_version(x);
	if (x->py) {
		const struct dp_py_info *i = dp_py_info(x->py);

		f->is_python = 1;
		f->free_threaded = i->free_threaded;
		snprintf(f->python, sizeof(f->python), "%s", i->version);
		snprintf(f->implementation, sizeof(f->implementation), "%s", i->implementation);
		f->gil_count = (uint8_t)x->kernel.gil_count;
		f->gil_observable = x->kernel.gil_count > 0;
		f->switch_interval_us = x->kernel.gils[0].interval_us;
	}
	has_tokens = f->is_dora && f->transport != DP_TRANSPORT_SHMEM &&
		     f->transport != DP_TRANSPORT_UNKNOWN && !dp_version_at_least(f->dora, 1, 0, 0);
	/* A configuration promises; a frame that was read shows. */
	f->tokens_observable = has_tokens && x->heard && !x->sockets_incomplete &&
			       !(x->left_alone & 1u << GOVERNED_SOCKETS);
	f->unheard = has_tokens && !x->sampling && x->conn_count && !x->heard;
	refresh_reason(x);
}
