/* SPDX-License-Identifier: MIT */
/*
 * How the delay is spread, as JSON: GET /api/v1/histograms, and `looplag hist --json`.
 *
 *	{"bounds":[2^-20, 2^-19, ... 2^8],
 *	 "histograms":[{"groupname":"web","loop":"main","seconds":[...]}, ...]}
 *
 * seconds[i] is the loop life, since it is counted, in which an event would have waited for
 * more than bounds[i - 1] and at most bounds[i] seconds: one number more than there are
 * bounds, each exact, which never go back and add up to the life.
 */
#ifndef LOOPLAG_DAEMON_API_HISTOGRAMS_H
#define LOOPLAG_DAEMON_API_HISTOGRAMS_H

#include <stddef.h>
#include <stdio.h>

struct api_histograms;
struct groups;

/* What writes those that the query of the URL, or NULL, asks for: group=NAME, those of that
 * group. The caller's; or NULL with a line that says why the query cannot be answered, which
 * the caller frees, or NULL without memory. */
struct api_histograms *
api_histograms_new(const char *query, char **ret_reason);
void
api_histograms_free(struct api_histograms *answer);

/* Write those of a group, by its index, if they are asked for. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
api_histograms_write(struct api_histograms *answer, const struct groups *groups,
	size_t index, FILE *out);

/* Write what comes after all of them. */
__attribute__((warn_unused_result)) int
api_histograms_finish(struct api_histograms *answer, FILE *out);

#endif
