/* SPDX-License-Identifier: MIT */
/*
 * The groups as JSON: GET /api/v1/groups, `looplag ps --json` and the report of
 * `looplag run` have the same shape. Seconds are numbers; what is unknown is absent.
 */
#ifndef LOOPLAG_DAEMON_API_H
#define LOOPLAG_DAEMON_API_H

#include <stddef.h>

struct alerts;
struct groups;

/* What the quantiles are of. Counts and times are always those since the start. */
enum api_span { API_WINDOW, API_RUN };

/* What stands in the array "groups" for one of them, by its index, with the names of the
 * alerts that fire, unless those are NULL; caller frees. NULL without memory. */
char *
api_group(const struct groups *groups, size_t index, const struct alerts *alerts,
	enum api_span span);

/* {"groups":[...]} and a line feed, of all of them; the same. */
char *
api_groups(const struct groups *groups, const struct alerts *alerts, enum api_span span);

#endif
