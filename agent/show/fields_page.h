/* SPDX-License-Identifier: MIT */
/* The texts that are made from the lists of findings' fields (fields.h). */
#ifndef DORA_PROBE_FIELDS_PAGE_H
#define DORA_PROBE_FIELDS_PAGE_H

#include <stdio.h>

/* docs/json.md: every event with its fields, for people. */
void dp_fields_page(FILE *out);

/*
 * tests/e2e/fields.json: the same for programs. {event: {field: {"type": …, "null": …, "values":
 * […]}}}; "line" has what every event has, "summary.nodes" the objects of the summary's array,
 * "summary.nodes.blame" those of theirs.
 */
void dp_fields_schema(FILE *out);

#endif
