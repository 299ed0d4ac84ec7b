// SPDX-License-Identifier: MIT
/* Sentences about what is watched, and what was missed of it. */
#include "show/sentence.h"

#include <stdio.h>

#include "base/signals.h"
#include "show/row.h"
#include "show/words.h"

void text_start(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f)
{
	const struct dp_rec_session *session = f->u.start.session;
	const char *sep = "";

	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "start", PLAIN);
	dp_line_str(l, "dora-probe ");
	dp_line_text(l, session ? session->version : "");
	if (session && *session->kernel) {
		dp_line_str(l, " on ");
		dp_line_text(l, session->kernel);
	}
	if (session && *session->targets) {
		dp_line_str(l, ", watching ");
		dp_line_text(l, session->targets);
	}
	dp_line_str(l, "; sources: ");
	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++) {
		if (!(f->u.start.sources & 1u << i))
			continue;
		dp_line_fmt(l, "%s%s", sep, dp_source_name(i));
		sep = ", ";
	}
	dp_line_str(l, *sep ? "\n" : "none\n");
}

void text_node(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	const struct dp_node_finding *n = &f->u.node;
	const struct dp_rec_node *facts = n->facts;
	int blind;

	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "node", PLAIN);
	dp_line_fmt(l, "pid %u", f->pid);
	if (!facts) {
		dp_line_str(l, ", nothing known of it\n");
		return;
	}
	if (has(f->dataflow)) {
		dp_line_str(l, " of dataflow ");
		dp_line_text(l, has(facts->dataflow_name) ? facts->dataflow_name : f->dataflow);
	}
	if (facts->is_python) {
		dp_line_str(l, ", Python ");
		dp_line_text(l, *facts->python ? facts->python : "of unknown version");
		dp_line_str(l, facts->free_threaded ? " (free-threaded)" : "");
	} else {
		dp_line_str(l, ", not a Python process");
	}
	if (facts->is_dora) {
		dp_line_str(l, ", dora ");
		dp_line_text(l, *facts->dora ? facts->dora : "of unknown version");
		if (facts->transport != DP_TRANSPORT_UNKNOWN)
			dp_line_fmt(l, " over %s", dp_transport_name(facts->transport));
	}
	dp_line_str(l, "\n");
	blind = !facts->gil_observable + 2 * !facts->tokens_observable;
	if (blind && (facts->is_dora || facts->is_python)) {
		static const char *const what[] = {
			"",
			"its GIL cannot be observed",
			"its drop tokens cannot be observed",
			"neither its GIL nor its drop tokens can be observed",
		};
		char text[DP_REASON_MAX + 80];

		snprintf(text, sizeof(text), "%s%s%s", what[blind], *facts->reason ? ": " : "",
			 facts->reason);
		row_below(l, s, text);
	}
	if (n->nudge_signal && n->nudge_disposition == DP_SIGDISP_IGNORED) {
		char text[128], sig[32], other[32];

		snprintf(text, sizeof(text), "it ignores %s: a nudge would not help%s%s",
			 dp_signal_text(n->nudge_signal, sig, sizeof(sig)),
			 n->other_caught_signal ? "; it catches " : "",
			 n->other_caught_signal
				 ? dp_signal_text(n->other_caught_signal, other, sizeof(other))
				 : "");
		row_below(l, s, text);
	}
}

static void put_ago(struct dp_line *l, const char *words, const struct dp_finding *f,
		    uint64_t since_ns)
{
	if (!since_ns || since_ns == DP_NULL || since_ns > f->t_ns)
		return;
	dp_line_str(l, words);
	put_duration(l, f->t_ns - since_ns);
}

void text_stock(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f)
{
	const struct dp_stock_finding *k = &f->u.stock;
	char text[512];

	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "found", PLAIN);
	dp_line_str(l, "it runs already");
	put_ago(l, " for ", f, k->started_ns);
	dp_line_fmt(l, ", with %llu connection%s to its daemon", (unsigned long long)k->connections,
		    plural(k->connections));
	if (has(k->daemon)) {
		dp_line_str(l, " (dora ");
		dp_line_text(l, k->daemon);
		dp_line_str(l, ")");
	}
	if (k->messages) {
		dp_line_fmt(l, "; %llu message%s mapped", (unsigned long long)k->messages,
			    plural(k->messages));
		put_ago(l, k->messages == 1 ? ", for at most " : ", the oldest for at most ", f,
			k->oldest_lo_ns);
	}
	if (k->stop_command_ns && k->stop_command_ns != DP_NULL) {
		dp_line_str(l, "; a `dora stop` runs");
		put_ago(l, " for ", f, k->stop_command_ns);
	}
	dp_line_str(l, "\n");
	if (!k->complete)
		row_below(l, s,
			  "a limit cut the look at its sockets and memory: there may be more");
	if (has(k->unknown)) {
		snprintf(text, sizeof(text), "not known: %s", k->unknown);
		row_below(l, s, text);
	}
}

/* With -v alone: the warnings say what is out of the ordinary, the summary the whole. */
void text_share(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f)
{
	const struct dp_share_finding *p = &f->u.share;

	if (o->verbose <= 0)
		return;
	row_begin(l, s, o, f, "share", PLAIN);
	if (!put_shares(l, &p->gil_held, &p->gil_wait, &p->running_without_gil, &p->blocked))
		dp_line_str(l, "not known");
	dp_line_str(l, ", of the last ");
	put_duration(l, p->duration_ns);
	dp_line_str(l, "\n");
}

void text_loss(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f)
{
	const struct dp_loss_finding *p = &f->u.loss;
	unsigned int spoils = dp_loss_spoils(p->reason);
	const char *sep = "";

	if (o->verbose < 0)
		return;
	row_begin(l, s, o, f, "loss", YELLOW);
	dp_line_fmt(l, "%llu lost (%s), %llu in all: may have spoilt ",
		    (unsigned long long)p->count, dp_loss_name(p->reason),
		    (unsigned long long)p->total);
	for (unsigned int i = 0; i < DP_SPOILS_COUNT; i++) {
		if (!(spoils & 1u << i))
			continue;
		dp_line_fmt(l, "%s%s", sep, dp_spoils_name(i));
		sep = ", ";
	}
	dp_line_str(l, " around this time\n");
}
