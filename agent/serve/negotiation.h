/* SPDX-License-Identifier: MIT */
/* What a client of the endpoint takes, by its Accept headers: pure. */
#ifndef DORA_PROBE_SERVE_NEGOTIATION_H
#define DORA_PROBE_SERVE_NEGOTIATION_H

#include "serve/metrics.h"

/*
 * Which format an Accept header asks for (RFC 9110, 12.5.1: weights, and the more specific range
 * wins). NULL, nonsense, and what cannot be served give the text format.
 */
enum dp_metrics_format dp_http_negotiate(const char *accept);
/* 1 when an Accept-Encoding header allows gzip. */
int dp_http_accepts_gzip(const char *accept_encoding);

#endif
