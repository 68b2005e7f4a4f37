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
#ifndef LOOPLAG_CLI_MINUTE_H
#define LOOPLAG_CLI_MINUTE_H

#include <stddef.h>

#include "cli/histograms.h"

#define MINUTE_READINGS 60

struct minute;

/* NULL without memory. */
struct minute *
minute_new(void);
void
minute_free(struct minute *minute);

/* Add a reading. A loop that is not in sixty of them is forgotten. What finds no memory is
 * missing. */
void
minute_add(struct minute *minute, const struct histograms *reading);

/*
 * The longest delay of a loop in each of `cells` parts of the sixty readings, the oldest first:
 * how long it was at least, 0 when nobody would have waited, -1 when nothing is known.
 */
void
minute_longest(const struct minute *minute, const char *groupname, const char *loop,
	size_t cells, double *ret_seconds);

/* All readings of a group's loops together. Names are borrowed until the next reading. Returns
 * 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
minute_sum(
	const struct minute *minute, const char *groupname, struct histograms *ret_sum);

#endif
