/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/history: the last quarter of an hour of groups, as JSON, made in steps.
 *
 *	{"seconds":5,"last":4711,"end":TIME,"bounds":[...],"groups":[
 *		{"groupname":"web","p99":[...],"max":[...],"shares":[[...],...]},...]}
 *
 * The lists have a value for each column, oldest first, up to that of the number `last`,
 * which ended at that time, or null where nothing is known. A list of shares has the share
 * of time for each row, up to the last one that is not 0: row i is up to bounds[i] seconds.
 * They are there if one group is asked for.
 *
 *	group=NAME	that one alone
 *	since=NUMBER	only the columns after that one
 */
#ifndef LOOPLAG_DAEMON_API_HISTORY_H
#define LOOPLAG_DAEMON_API_HISTORY_H

struct collector;
struct past;
struct http_work;

/* What will write it, the caller's; it holds the collector meanwhile. NULL with a line that
 * says why the query cannot be answered, which the caller frees, or NULL without memory. */
struct http_work *
api_history(struct collector *collector, const struct past *history,
	const char *query_text, char **ret_reason);

#endif
