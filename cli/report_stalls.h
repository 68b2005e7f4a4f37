/* SPDX-License-Identifier: MIT */
/* Where loops were stuck, as part of a report: for people, and as JSON. Pure. */
#ifndef LOOPLAG_CLI_REPORT_STALLS_H
#define LOOPLAG_CLI_REPORT_STALLS_H

#include <stdint.h>
#include <stdio.h>

struct groups;
struct style;
struct worst;

/* The places where most of the time was lost, each with the top of its stack. Nothing if
 * there are none. */
void
report_stalls_text(const struct worst *worst, uint64_t threshold_ns,
	const struct style *style, FILE *out);

/*
 * The groups as api_groups() writes them, and beside them
 * "stalls":[{"groupname":...,"cause":...,"count":...,"seconds":...,"longest":{...}}, ...],
 * the longest sum first; "longest" is one stall as in GET /api/v1/stalls. A line feed at
 * its end; caller frees. NULL without memory.
 */
char *
report_stalls_json(const struct groups *groups, const struct worst *worst);

#endif
