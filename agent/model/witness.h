/* SPDX-License-Identifier: MIT */
/*
 * Stop is a fact of the dataflow, not of one socket. A node that does not read its own (a deadlock in
 * recv_async, a full channel of dora 1.x, a frame that was lost) has been told all the same, and others
 * know of it:
 *   sibling  a node of the same dataflow got its Stop
 *   command  a `dora stop` of exactly this dataflow, which is still running
 *   unread   the Stop lies in the node's own socket, where it was peeked at
 *   daemon   its daemon was sent SIGINT (Ctrl-C of `dora run`), or sends the node a deadly signal
 * The earliest of those that are believed starts the clock.
 *
 * None of them is believed of a node that would have heard: whose request for the next event waits for
 * an answer, or was answered with something else after that time.
 *
 * A sibling may lie: whoever can set DORA_NODE_CONFIG can play a node of any dataflow and hand itself a
 * Stop. So its word counts for the line, the deadline and the warnings, and never for a signal to
 * somebody else: `stop.confirmed` is set by witnesses alone that no node can make up for another one.
 * Those are the node's own socket, a command of root or of the node's own user (who may stop it anyway),
 * and the daemon of the node's own connections.
 */
#ifndef DORA_PROBE_MODEL_WITNESS_H
#define DORA_PROBE_MODEL_WITNESS_H

#include "model/table.h"

/* The node `told` was handed a Stop at t_ns: the others of its dataflow may have been, too. */
void witness_frame(const struct env *e, struct table *t, const struct node *told, uint64_t t_ns);
/* A signal to a process that is no watched node; it may be the daemon of some. */
void witness_signal(struct table *t, const struct dp_record *r);
/* The newest command, of the record, was seen starting: noted where it names a node or its dataflow. */
void witness_command(const struct env *e, struct table *t, const struct dp_record *r);
/* A record STOP_WITNESS: of the command, or of a node's own socket. */
void witness_record(struct table *t, const struct dp_record *r);
/* Believes what is to be believed by now, and asks for a look at the socket. */
void witness_tick(const struct env *e, const struct table *t, struct node *n);
/*
 * The node ends at t_ns, or its daemon (`by_daemon`) sends it a deadly signal, and nobody was believed
 * so far: was it told to stop?
 */
void witness_look_back(const struct env *e, struct node *n, bool by_daemon, uint64_t t_ns);

#endif
