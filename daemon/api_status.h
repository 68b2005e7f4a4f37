/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/status: how looplagd itself is, as JSON.
 *
 *	{"version":"0.1.0","time":TIME,"started":TIME,"stall_threshold_seconds":0.1,
 *	 "configuration":{"good":true,"read":TIME},"rejected":{"quota":1},"dropped":{}}
 *
 * What was refused and left out is counted by reason, as in the metrics; what never was is
 * absent.
 */
#ifndef LOOPLAG_DAEMON_API_STATUS_H
#define LOOPLAG_DAEMON_API_STATUS_H

#include <stdint.h>

struct collector_stats;
struct reload;

/* With a line feed; caller frees. NULL without memory. */
char *
api_status(const struct collector_stats *stats, const struct reload *reload,
	int64_t started_unix_ns, int64_t unix_ns);

#endif
