/* SPDX-License-Identifier: MIT */
/*
 * The loops that GET /api/v1/groups tells of, as rows of a table: what looplag ps prints and
 * looplag top shows. Pure.
 */
#ifndef LOOPLAG_CLI_LOOPS_H
#define LOOPLAG_CLI_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/format.h"

/* One loop. Names are borrowed from the answer; what is unknown is NAN. */
struct loops_row {
	const char *groupname;
	const char *loop;
	uint64_t processes; /* of the whole group */
	double p50_seconds, p99_seconds, max_seconds;
	double active_share;
	uint64_t stalls;
	double stuck_seconds; /* the oldest stall that lasts; 0: none */
};

struct loops {
	struct loops_row *rows;
	size_t count;
};

/* Read an answer, in its order; what is none has no loops. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
loops_read(const json_t *answer, struct loops *ret_loops);
void
loops_fini(struct loops *loops);

/* The columns, and what rows can be sorted by. */
enum loops_column {
	LOOPS_GROUP,
	LOOPS_LOOP,
	LOOPS_PROCESSES,
	LOOPS_P50,
	LOOPS_P99,
	LOOPS_MAX,
	LOOPS_ACTIVE,
	LOOPS_STALLS,
	LOOPS_STUCK,
	LOOPS_COLUMNS
};

/* Sort by a column: names from A on, numbers the largest first, unknown ones last; or the
 * other way round. Equal ones are in the order of their names. */
void
loops_sort(struct loops *loops, enum loops_column column, bool reverse);

#define LOOPS_NAME_COLUMNS 40
#define LOOPS_CELL_BYTES (4 * LOOPS_NAME_COLUMNS + 1)

/* What stands above a column. */
const char *
loops_heading(enum loops_column column);

/* What stands in it; safe on a terminal. Returns ret_text. */
const char *
loops_cell(const struct loops_row *row, enum loops_column column, bool utf8,
	char ret_text[LOOPS_CELL_BYTES]);

/* The delay by which a cell is coloured; 0 for the others. */
double
loops_lateness(const struct loops_row *row, enum loops_column column);

/* Whether it stands at the left end of its column. */
static inline bool
loops_is_name(enum loops_column column)
{
	return column <= LOOPS_LOOP;
}

#endif
