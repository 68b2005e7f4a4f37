/* SPDX-License-Identifier: MIT */
/*
 * Stalls as JSON: GET /api/v1/stalls, and a line each in `looplag stalls --json`. Seconds
 * are numbers; what is unknown is absent.
 */
#ifndef LOOPLAG_DAEMON_API_STALLS_H
#define LOOPLAG_DAEMON_API_STALLS_H

#include <stdbool.h>
#include <stdint.h>

/* jansson's. */
struct json_t;
struct stall;
struct stalls;

/* One stall as an object; the caller's reference. NULL without memory. */
struct json_t *
api_stall_object(const struct stall *stall);

/* The same as one line of text, without a line feed; caller frees. */
char *
api_stall(const struct stall *stall);

/*
 * {"stalls":[...]} and a line feed, oldest first, of those that the query of the URL, or
 * NULL, asks for; caller frees. NULL without memory. With a query that cannot be answered
 * it is a line that says why, and *ret_bad is true.
 *
 *	since=ID     whose id is greater
 *	since=TIME   that were not over before that time, as RFC 3339 writes it
 *	group=NAME   of that group
 */
char *
api_stalls(const struct stalls *stalls, const char *query, bool *ret_bad);

#endif
