/* SPDX-License-Identifier: MIT */
/*
 * Inside show/: one function for each type of finding. Each adds the finding's row, whole lines
 * with their ends, or nothing where it is not to be told at o->verbose.
 *
 * A sentence never says more than was proven: the precision of a hold chooses its words.
 */
#ifndef DORA_PROBE_SENTENCE_H
#define DORA_PROBE_SENTENCE_H

#include "show/render.h"

void text_start(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f);
void text_node(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_stock(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f);
void text_hold(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_wait(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_token(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f);
void text_warning(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		  const struct dp_finding *f);
void text_signal(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		 const struct dp_finding *f);
void text_stop(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_action(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		 const struct dp_finding *f);
void text_exit(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_share(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		const struct dp_finding *f);
void text_loss(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f);
void text_forecast(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		   const struct dp_finding *f);

/* The summary is begun, gets its nodes one by one into s->table, and is printed at its end. */
void text_summary(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		  const struct dp_finding *f);
void text_summary_node(struct dp_text_state *s, const struct dp_finding *f);
void text_summary_end(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o);

#endif
