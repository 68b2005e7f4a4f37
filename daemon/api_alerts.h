/* SPDX-License-Identifier: MIT */
/*
 * The alerts as JSON: GET /api/v1/alerts, in the shape in which Prometheus has its own;
 * those that are pending or firing alone.
 */
#ifndef LOOPLAG_DAEMON_API_ALERTS_H
#define LOOPLAG_DAEMON_API_ALERTS_H

#include <stdint.h>

struct alerts;
struct groups;

/* {"status":"success","data":{"alerts":[...]}} and a line feed; caller frees. The clocks
 * say what CLOCK_MONOTONIC and CLOCK_REALTIME are now. NULL without memory. */
char *
api_alerts(const struct alerts *alerts, const struct groups *groups, uint64_t now_ns,
	int64_t unix_ns);

#endif
