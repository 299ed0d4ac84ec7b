// SPDX-License-Identifier: MIT
/*
 * One finding as a sentence for a person at a terminal:
 *
 *     07:02:27.123  camera    hold      held the GIL for 1.23 s in process (vision.py:42)
 *     07:02:28.001  camera    WARNING   1 drop token pending, for 1.00 s: one native call …
 *                                       release the GIL in that call, or split it
 */
#include "show/sentence.h"

/* The summary comes in several findings. */
static void summary(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		    const struct dp_finding *f)
{
	if (f->type == DP_FIND_SUMMARY)
		text_summary(l, s, o, f);
	else if (f->type == DP_FIND_SUMMARY_NODE)
		text_summary_node(s, f);
	else
		text_summary_end(l, s, o);
}

void dp_render_text(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		    const struct dp_finding *f)
{
	if (f->type != DP_FIND_TOKEN)
		dp_render_text_alike(l, s, UINT64_MAX);
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_START:
		text_start(l, s, o, f);
		break;
	case DP_FIND_NODE:
		text_node(l, s, o, f);
		break;
	case DP_FIND_GIL_HOLD:
		text_hold(l, s, o, f);
		break;
	case DP_FIND_GIL_WAIT:
		text_wait(l, s, o, f);
		break;
	case DP_FIND_TOKEN:
		text_token(l, s, o, f);
		break;
	case DP_FIND_WARNING:
		text_warning(l, s, o, f);
		break;
	case DP_FIND_SIGNAL:
		text_signal(l, s, o, f);
		break;
	case DP_FIND_STOP:
		text_stop(l, s, o, f);
		break;
	case DP_FIND_ACTION:
		text_action(l, s, o, f);
		break;
	case DP_FIND_EXIT:
		text_exit(l, s, o, f);
		break;
	case DP_FIND_LOSS:
		text_loss(l, s, o, f);
		break;
	case DP_FIND_SHARE:
		text_share(l, s, o, f);
		break;
	case DP_FIND_FORECAST:
		text_forecast(l, s, o, f);
		break;
	case DP_FIND_STOCK:
		text_stock(l, s, o, f);
		break;
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
		summary(l, s, o, f);
		break;
	case DP_FIND_COUNT:
		break;
	}
}
