// SPDX-License-Identifier: MIT
/* Sizes and checks of records (record.h). */
#include "dora_probe/record.h"

#include <errno.h>
#include <string.h>

/* The layout is a file format and the border to the kernel programs: it must not drift. */
_Static_assert(sizeof(struct dp_rec_hdr) == 32, "record header");
_Static_assert(sizeof(struct dp_capture) == 32, "capture header");
_Static_assert(sizeof(struct dp_gil_wait) == 24, "gil wait");
_Static_assert(sizeof(struct dp_gil_span) == 48, "gil span");
_Static_assert(sizeof(struct dp_sock_data) == 32, "sock data");
_Static_assert(sizeof(struct dp_region_op) == 48, "region op");
_Static_assert(sizeof(struct dp_rec_look) == 120, "look");
_Static_assert(offsetof(struct dp_record, u) == sizeof(struct dp_rec_hdr), "body follows header");

size_t dp_record_size(unsigned int type)
{
#define DP_BODY_SIZE(b)      sizeof(((struct dp_record *)0)->u.b)
#define DP_X_SIZE(e, b)      [DP_REC_##e] = (uint16_t)(sizeof(struct dp_rec_hdr) + DP_SIZE_##b),
#define DP_SIZE_none         0
#define DP_SIZE_session      DP_BODY_SIZE(session)
#define DP_SIZE_options      DP_BODY_SIZE(options)
#define DP_SIZE_wall_clock   DP_BODY_SIZE(wall_clock)
#define DP_SIZE_node         DP_BODY_SIZE(node)
#define DP_SIZE_gone         DP_BODY_SIZE(gone)
#define DP_SIZE_look         DP_BODY_SIZE(look)
#define DP_SIZE_wait         DP_BODY_SIZE(wait)
#define DP_SIZE_gil_span     DP_BODY_SIZE(gil_span)
#define DP_SIZE_stack        DP_BODY_SIZE(stack)
#define DP_SIZE_source       DP_BODY_SIZE(source)
#define DP_SIZE_token        DP_BODY_SIZE(token)
#define DP_SIZE_wire         DP_BODY_SIZE(wire)
#define DP_SIZE_reg          DP_BODY_SIZE(reg)
#define DP_SIZE_conn         DP_BODY_SIZE(conn)
#define DP_SIZE_region       DP_BODY_SIZE(region)
#define DP_SIZE_signal       DP_BODY_SIZE(signal)
#define DP_SIZE_fork         DP_BODY_SIZE(fork)
#define DP_SIZE_exit         DP_BODY_SIZE(exit)
#define DP_SIZE_stop_command DP_BODY_SIZE(stop_command)
#define DP_SIZE_action       DP_BODY_SIZE(action)
#define DP_SIZE_cost         DP_BODY_SIZE(cost)
#define DP_SIZE_loss         DP_BODY_SIZE(loss)
	static const uint16_t sizes[DP_REC_COUNT] = {DP_RECORD_TYPES(DP_X_SIZE)};

	return type < DP_REC_COUNT ? sizes[type] : 0;
}

void dp_record_init(struct dp_record *r, enum dp_record_type type, uint64_t t_ns, uint32_t pid,
		    uint32_t tid)
{
	r->h = (struct dp_rec_hdr){
		.type = (uint16_t)type,
		.size = (uint32_t)dp_record_size(type),
		.t_ns = t_ns,
		.pid = pid,
		.tid = tid,
		.cpu = UINT32_MAX,
	};
}

#define TERMINATED(field) (memchr((field), '\0', sizeof(field)) != NULL)

static int stack_ok(const struct dp_rec_stack *s)
{
	if (s->frame_count > DP_FRAMES_MAX || !TERMINATED(s->comm) || !TERMINATED(s->library) ||
	    !TERMINATED(s->symbol))
		return 0;
	for (uint32_t i = 0; i < DP_FRAMES_MAX; i++)
		if (!TERMINATED(s->frames[i].function) || !TERMINATED(s->frames[i].file))
			return 0;
	return 1;
}

int dp_record_check(const struct dp_record *r, size_t len)
{
	int ok = 1;

	if (len < sizeof(r->h) || r->h.size > len || r->h.size != dp_record_size(r->h.type) ||
	    r->h.size == 0)
		return -EBADMSG;
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_SESSION:
		ok = TERMINATED(r->u.session.version) && TERMINATED(r->u.session.kernel) &&
		     TERMINATED(r->u.session.targets);
		break;
	case DP_REC_OPTIONS:
		ok = r->u.options.shutdown < DP_SHUTDOWN_COUNT && r->u.options.nudge_signal < 65;
		break;
	case DP_REC_NODE_FACTS:
		ok = r->u.node.transport < DP_TRANSPORT_COUNT &&
		     r->u.node.gil_count <= DP_MAX_GILS && TERMINATED(r->u.node.dataflow) &&
		     TERMINATED(r->u.node.dataflow_name) && TERMINATED(r->u.node.node) &&
		     TERMINATED(r->u.node.python) && TERMINATED(r->u.node.implementation) &&
		     TERMINATED(r->u.node.dora) && TERMINATED(r->u.node.reason);
		break;
	case DP_REC_NODE_GONE:
		ok = TERMINATED(r->u.gone.reason);
		break;
	case DP_REC_GIL_LOOK:
		ok = r->u.look.gil < DP_MAX_GILS && r->u.look.locked <= 2;
		break;
	case DP_REC_GIL_WAIT_BEGIN:
	case DP_REC_GIL_WAIT_END:
		ok = r->u.wait.gil < DP_MAX_GILS;
		break;
	case DP_REC_GIL_RELEASE:
	case DP_REC_GIL_EDGE_HOLD:
	case DP_REC_GIL_OFFCPU:
	case DP_REC_GIL_RUN:
		ok = r->u.gil_span.gil < DP_MAX_GILS;
		break;
	case DP_REC_STACK:
		ok = stack_ok(&r->u.stack);
		break;
	case DP_REC_SOURCE_STATE:
		ok = r->u.source.source < DP_SOURCE_COUNT && TERMINATED(r->u.source.detail);
		break;
	case DP_REC_TOKEN_SENT:
	case DP_REC_TOKEN_DELIVERED:
	case DP_REC_TOKEN_REPORTED:
	case DP_REC_TOKEN_RETURNED:
		ok = TERMINATED(r->u.token.region) && TERMINATED(r->u.token.id);
		break;
	case DP_REC_WIRE_EVENT:
	case DP_REC_WIRE_REQUEST:
		ok = r->u.wire.kind < DP_WIRE_KIND_COUNT && r->u.wire.role <= DP_ROLE_CONTROL &&
		     TERMINATED(r->u.wire.id);
		break;
	case DP_REC_WIRE_REGISTER:
		ok = TERMINATED(r->u.reg.dataflow) && TERMINATED(r->u.reg.node) &&
		     TERMINATED(r->u.reg.message_version);
		break;
	case DP_REC_CONN_OPENED:
	case DP_REC_CONN_CLOSED:
		ok = r->u.conn.role <= DP_ROLE_CONTROL;
		break;
	case DP_REC_REGION:
		ok = r->u.region.kind < DP_REGION_KIND_COUNT && TERMINATED(r->u.region.name);
		break;
	case DP_REC_SIGNAL:
		ok = r->u.signal.kind <= DP_SIGNAL_HANDLED && r->u.signal.signal < 65 &&
		     r->u.signal.disposition <= DP_SIGDISP_CAUGHT;
		break;
	case DP_REC_STOP_COMMAND:
		ok = TERMINATED(r->u.stop_command.target);
		break;
	case DP_REC_ACTION_RESULT:
		ok = r->u.action.action < DP_ACTION_COUNT && r->u.action.result < DP_RESULT_COUNT &&
		     TERMINATED(r->u.action.reason);
		break;
	case DP_REC_LOSS:
		ok = r->u.loss.reason < DP_LOSS_COUNT;
		break;
	case DP_REC_WALL_CLOCK:
	case DP_REC_TICK:
	case DP_REC_PROC_EXEC:
	case DP_REC_PROC_FORK:
	case DP_REC_PROC_EXIT:
	case DP_REC_SELF_COST:
	case DP_REC_END:
		break;
	case DP_REC_NONE:
	case DP_REC_COUNT:
		return -EBADMSG;
	}
	return ok ? 0 : -EBADMSG;
}
