/* SPDX-License-Identifier: MIT */
/*
 * The last quarter of an hour of each group, for the page: a column for every five seconds,
 * with the share of its loops' life in which they had been unattended for so long already.
 * Over many iterations that is the share of time by delay; of one that lasts it climbs while
 * it does.
 *
 *	beyond 64 s  |  |  |  |  |  |   row HISTORY_ROWS - 1
 *	  ..         |  |  |  |##|  |
 *	up to 0.5 ms |##|  |##|##|##|   row 1
 *	up to 0.2 ms |##|##|##|##|##|   row 0: attended, or as good as that
 *	              15 min ago    now
 *
 * A column is what became known in its five seconds. One in which nothing did, as nobody
 * lived or there was no daemon, is empty.
 *
 * Bounded: nothing but 9000 bytes for each group that is there, 4.5 MB for GROUPS_MAX.
 * Pure: takes groups and time as arguments.
 */
#ifndef LOOPLAG_DAEMON_HISTORY_H
#define LOOPLAG_DAEMON_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_COLUMNS 180
#define HISTORY_COLUMN_NS 5000000000ull
/* Row i is up to 2^(i - 12) seconds, the last one is all beyond. */
#define HISTORY_ROWS 20
#define HISTORY_BOUNDS (HISTORY_ROWS - 1)

struct group_view;
struct groups;
struct history;
struct record;

struct history_column {
	uint32_t life_ms;              /* of all its loops; 0: the column is empty */
	uint32_t longest_us;           /* iteration, be it that it still lasts */
	uint16_t shares[HISTORY_ROWS]; /* in 1 / HISTORY_WHOLE; only nothing is 0 */
};

#define HISTORY_WHOLE 65535

/* In seconds. */
double
history_bound(unsigned row);

struct history *
history_new(void);
void
history_free(struct history *history);

/* Forget all, or a group that is about to be forgotten. */
void
history_clear(struct history *history);
void
history_forget(struct history *history, const struct group_view *group);

/* What the groups have so far, and no record told of, is nobody's column. */
void
history_begin(struct history *history, const struct groups *groups);

/* Columns are numbered from the machine's start; the one of now. */
uint64_t
history_number(uint64_t now_ns);

/* What the group did since the last time belongs to that column, the newest so far. */
void
history_add(
	struct history *history, struct groups *groups, size_t index, uint64_t number);

/* All groups have got that column. */
void
history_finish(struct history *history, uint64_t number);

/* The newest one that all have got, in this life or the one before; 0: there is none. */
uint64_t
history_last(const struct history *history);

/* That column of a group, or NULL: it is not there any more, or was never. Borrowed. */
const struct history_column *
history_column(
	const struct history *history, const struct group_view *group, uint64_t number);

/* Quantile q of the delay in a column, in seconds, from its rows: 0 in the first one. */
double
history_quantile(const struct history_column *column, double q);

/* A record of what is known of a group; and what one tells of the group of that name, if
 * it is there. Returns whether the record made sense. */
void
history_save(const struct history *history, const struct group_view *group,
	struct record *record);
bool
history_restore(struct history *history, const struct groups *groups, uint64_t now_ns,
	struct record *record);

#endif
