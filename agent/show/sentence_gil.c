// SPDX-License-Identifier: MIT
/* Sentences about holds of the GIL and waits for it. */
#include "show/sentence.h"

#include "base/duration.h"
#include "show/row.h"
#include "show/words.h"

/* The words that go with what is proven. */
static void put_hold_length(struct dp_line *l, const struct dp_hold_finding *h)
{
	uint64_t proven = dp_hold_duration(h), most = DP_NULL;
	char buf[96];

	if (h->start_lo_ns != DP_NULL && h->start_lo_ns != 0 && h->end_hi_ns != DP_NULL &&
	    h->end_hi_ns >= h->start_lo_ns)
		most = h->end_hi_ns - h->start_lo_ns;
	switch ((enum dp_precision)h->precision) {
	case DP_PRECISION_EXACT:
		dp_line_str(l, "held the GIL for ");
		put_duration(l, proven);
		return;
	case DP_PRECISION_BOUNDED:
		if (most != DP_NULL && most >= proven) {
			dp_line_fmt(l, "held the GIL for %s",
				    dp_duration_range(proven, most, buf, sizeof(buf)));
			return;
		}
		break;
	case DP_PRECISION_AT_LEAST:
		break;
	case DP_PRECISION_UNCONFIRMED:
	case DP_PRECISION_COUNT:
	default:
		dp_line_str(l, "looks as if it held the GIL for ");
		put_duration(l, proven);
		dp_line_str(l, ", unconfirmed");
		return;
	}
	dp_line_str(l, "held the GIL for at least ");
	put_duration(l, proven);
}

void text_hold(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	const struct dp_hold_finding *h = &f->u.hold;

	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "hold", PLAIN);
	put_hold_length(l, h);
	put_place(l, &h->place, h->native == 1);
	if (h->dora_internal)
		dp_line_str(l, ", inside dora's own code");
	if (h->tid || has(h->place.thread)) {
		dp_line_str(l, "; ");
		put_thread(l, &h->place, h->tid);
	}
	if (h->waiter_count)
		dp_line_fmt(l, "; %u thread%s waited", h->waiter_count, plural(h->waiter_count));
	if (h->off_cpu_ns != DP_NULL && h->off_cpu_ns >= 1000000) {
		dp_line_str(l, "; ");
		put_duration(l, h->off_cpu_ns);
		dp_line_str(l, " of it off the CPU");
	}
	if (h->gil)
		dp_line_fmt(l, "; GIL %u", h->gil);
	dp_line_str(l, "\n");
}

void text_wait(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	const struct dp_wait_finding *w = &f->u.wait;
	int known = w->start_ns != DP_NULL && w->end_ns != DP_NULL && w->end_ns >= w->start_ns;

	if (o->verbose < 1)
		return;
	row_begin(l, s, o, f, "wait", PLAIN);
	dp_line_fmt(l, "thread %u waited for the GIL for ", w->tid);
	put_duration(l, known ? w->end_ns - w->start_ns : DP_NULL);
	if (w->holder_tid)
		dp_line_fmt(l, ", held by thread %u", w->holder_tid);
	dp_line_str(l, "\n");
}
