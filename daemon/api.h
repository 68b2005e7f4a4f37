/* SPDX-License-Identifier: MIT */
/*
 * The groups as JSON: GET /api/v1/groups, `looplag ps --json` and the report of
 * `looplag run` have the same shape. Seconds are numbers; what is unknown is absent.
 */
#ifndef LOOPLAG_DAEMON_API_H
#define LOOPLAG_DAEMON_API_H

struct alerts;
struct groups;

/* What the quantiles are of. Counts and times are always those since the start. */
enum api_span { API_WINDOW, API_RUN };

/* {"groups":[...]} and a line feed, with the names of the alerts that fire, unless those
 * are NULL; caller frees. NULL without memory. */
char *
api_groups(const struct groups *groups, const struct alerts *alerts, enum api_span span);

#endif
