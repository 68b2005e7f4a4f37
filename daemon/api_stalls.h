/* SPDX-License-Identifier: MIT */
/*
 * Stalls as JSON: GET /api/v1/stalls, and a line each in `looplag stalls --json`. Seconds
 * are numbers; what is unknown is absent.
 */
#ifndef LOOPLAG_DAEMON_API_STALLS_H
#define LOOPLAG_DAEMON_API_STALLS_H

#include <stdint.h>
#include <stdio.h>

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

struct api_stalls;

/*
 * {"stalls":[...]} and a line feed, oldest first, of those that the query of the URL, or
 * NULL, asks for. Returns what will write it, the caller's; or NULL with a line that says
 * why the query cannot be answered, which the caller frees, or NULL without memory.
 *
 *	since=ID     whose id is greater
 *	since=TIME   that were not over before that time, as RFC 3339 writes it
 *	group=NAME   of that group
 */
struct api_stalls *
api_stalls_new(const struct stalls *stalls, const char *query, char **ret_reason);
void
api_stalls_free(struct api_stalls *answer);

/* Write some of them, each as it is now. Returns 1 while there are more, 0 when all is
 * written, or -ENOMEM. */
__attribute__((warn_unused_result)) int
api_stalls_write(struct api_stalls *answer, FILE *out);

#endif
