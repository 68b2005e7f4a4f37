/* SPDX-License-Identifier: MIT */
/*
 * The last quarter of an hour of each group, for the page: a column for every five seconds,
 * with the share of its loops' life in which they had been unattended for so long already.
 * Over many iterations that is the share of time by delay; of one that lasts it climbs while
 * it does.
 *
 *	beyond 64 s  |  |  |  |  |  |   row PAST_ROWS - 1
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
#ifndef LOOPLAG_DAEMON_PAST_H
#define LOOPLAG_DAEMON_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAST_COLUMNS 180
#define PAST_COLUMN_NS 5000000000ull
/* Row i is up to 2^(i - 12) seconds, the last one is all beyond. */
#define PAST_ROWS 20
#define PAST_BOUNDS (PAST_ROWS - 1)

struct group_view;
struct groups;
struct past;
struct record;

struct past_column {
	uint32_t life_ms;           /* of all its loops; 0: the column is empty */
	uint32_t longest_us;        /* iteration, be it that it still lasts */
	uint16_t shares[PAST_ROWS]; /* in 1 / PAST_WHOLE; only nothing is 0 */
};

#define PAST_WHOLE 65535

/* In seconds. */
double
past_bound(unsigned row);

struct past *
past_new(void);
void
past_free(struct past *past);

/* Forget all, or a group that is about to be forgotten. */
void
past_clear(struct past *past);
void
past_forget(struct past *past, const struct group_view *group);

/* What the groups have so far, and no record told of, is nobody's column. */
void
past_begin(struct past *past, const struct groups *groups);

/* Columns are numbered from the machine's start; the one of now. */
uint64_t
past_number(uint64_t now_ns);

/* What the group did since the last time belongs to that column, the newest so far. */
void
past_add(struct past *past, struct groups *groups, size_t index, uint64_t number);

/* All groups have got that column. */
void
past_finish(struct past *past, uint64_t number);

/* The newest one that all have got, in this life or the one before; 0: there is none. */
uint64_t
past_last(const struct past *past);

/* That column of a group, or NULL: it is not there any more, or was never. Borrowed. */
const struct past_column *
past_column(const struct past *past, const struct group_view *group, uint64_t number);

/* Quantile q of the delay in a column, in seconds, from its rows: 0 in the first one. */
double
past_quantile(const struct past_column *column, double q);

/* A record of what is known of a group; and what one tells of the group of that name, if
 * it is there. Returns whether the record made sense. */
void
past_save(const struct past *past, const struct group_view *group, struct record *record);
bool
past_restore(struct past *past, const struct groups *groups, uint64_t now_ns,
	struct record *record);

#endif
