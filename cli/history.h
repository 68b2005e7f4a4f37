/* SPDX-License-Identifier: MIT */
/*
 * How the delay of all loops was spread in each of the last sixty readings, which are about a
 * second apart: each has what came since the one before.
 *
 *	oldest                         newest
 *	[rows] [rows] [rows] ... [rows] [rows]
 *
 * Pure.
 */
#ifndef LOOPLAG_CLI_HISTORY_H
#define LOOPLAG_CLI_HISTORY_H

#include <stddef.h>

#include "cli/histograms.h"

#define HISTORY_READINGS 60

struct history;

/* NULL without memory. */
struct history *
history_new(void);
void
history_free(struct history *history);

/* Add a reading. A loop that is not in sixty of them is forgotten. What finds no memory is
 * missing. */
void
history_add(struct history *history, const struct histograms *reading);

/*
 * The longest delay of a loop in each of `cells` parts of the sixty readings, the oldest first:
 * how long it was at least, 0 when nobody would have waited, -1 when nothing is known.
 */
void
history_longest(const struct history *history, const char *groupname, const char *loop,
	size_t cells, double *ret_seconds);

/* All readings of a group's loops together. Names are borrowed until the next reading. Returns
 * 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
history_sum(
	const struct history *history, const char *groupname, struct histograms *ret_sum);

#endif
