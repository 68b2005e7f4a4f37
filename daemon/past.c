/* SPDX-License-Identifier: MIT */
/* Columns of groups, from the differences of their totals; see past.h. */

#include "config.h"

#include "daemon/past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/counters.h"
#include "daemon/groups.h"
#include "daemon/identity.h"
#include "daemon/record.h"

#define FIRST_EXPONENT (-12)
/* Of a record: another one is not understood. */
#define FORMAT 1

struct entry {
	uint64_t number; /* of the newest column */
	/* The group's life by rows, as far as it is in columns. */
	uint64_t seen_ns[PAST_ROWS];
	struct past_column columns[PAST_COLUMNS]; /* by number % PAST_COLUMNS */
};

_Static_assert(sizeof(struct entry) <= 9000, "as it is promised");

struct past {
	uint64_t last;
	struct entry
		*entries[GROUPS_MAX_ID]; /* by the group's number; NULL: nothing yet */
};

double
past_bound(unsigned row)
{
	return ldexp(1, FIRST_EXPONENT + (int)row);
}

struct past *
past_new(void)
{
	return calloc(1, sizeof(struct past));
}

void
past_clear(struct past *past)
{
	for (size_t i = 0; i < GROUPS_MAX_ID; i++) {
		free(past->entries[i]);
		past->entries[i] = NULL;
	}
	past->last = 0;
}

void
past_free(struct past *past)
{
	if (!past)
		return;
	past_clear(past);
	free(past);
}

void
past_forget(struct past *past, const struct group_view *group)
{
	free(past->entries[group->id]);
	past->entries[group->id] = NULL;
}

static struct entry *
get_entry(struct past *past, uint32_t id)
{
	if (!past->entries[id])
		past->entries[id] = calloc(1, sizeof(struct entry));
	return past->entries[id];
}

/* The life of all loops of a group by rows, and its longest iteration that still lasts. */
static void
read_group(const struct groups *groups, size_t index, uint64_t ret_ns[PAST_ROWS],
	uint64_t *ret_open_ns)
{
	size_t count = groups_view(groups, index).series_count;
	double bounds[PAST_BOUNDS];

	for (unsigned row = 0; row < PAST_BOUNDS; row++)
		bounds[row] = past_bound(row);
	memset(ret_ns, 0, PAST_ROWS * sizeof(*ret_ns));
	*ret_open_ns = 0;
	for (size_t i = 0; i < count; i++) {
		struct series_view view = groups_series_view(groups, index, i);
		double below[PAST_BOUNDS];
		uint64_t before_ns = 0;

		series_delay_buckets(&view, view.total, bounds, PAST_BOUNDS, below);
		for (unsigned row = 0; row < PAST_ROWS; row++) {
			uint64_t ns = row < PAST_BOUNDS
					      ? (uint64_t)llround(below[row] * 1e9)
					      : view.total->life_ns;

			ret_ns[row] =
				saturated_sum(ret_ns[row], difference(ns, before_ns));
			before_ns = ns;
		}
		for (size_t j = 0; j < view.open_count; j++)
			if (view.open_ns[j] > *ret_open_ns)
				*ret_open_ns = view.open_ns[j];
	}
}

void
past_begin(struct past *past, const struct groups *groups)
{
	for (size_t i = 0; i < groups_count(groups); i++) {
		uint32_t id = groups_view(groups, i).id;
		struct entry *entry = past->entries[id];
		uint64_t open_ns;

		if (entry)
			continue;
		entry = get_entry(past, id);
		if (entry)
			read_group(groups, i, entry->seen_ns, &open_ns);
	}
}

uint64_t
past_number(uint64_t now_ns)
{
	return now_ns / PAST_COLUMN_NS;
}

/* Begin that column; those between it and the last one are empty. */
static void
advance(struct entry *entry, uint64_t number)
{
	if (number <= entry->number)
		return;
	if (number - entry->number > PAST_COLUMNS)
		entry->number = number - PAST_COLUMNS;
	while (entry->number < number)
		entry->columns[++entry->number % PAST_COLUMNS] = (struct past_column){0};
}

static uint32_t
at_most_32_bits(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* Fill a column with so much life in each row. */
static void
fill(struct past_column *column, const uint64_t ns[PAST_ROWS], uint64_t longest_ns)
{
	uint64_t life_ns = 0;

	for (unsigned row = 0; row < PAST_ROWS; row++)
		life_ns = saturated_sum(life_ns, ns[row]);
	if (!life_ns)
		return;
	column->life_ms = at_most_32_bits((life_ns + 999999) / 1000000);
	column->longest_us = at_most_32_bits(longest_ns / 1000);
	for (unsigned row = 0; row < PAST_ROWS; row++) {
		double share = (double)ns[row] / (double)life_ns;

		column->shares[row] =
			(uint16_t)fmin(ceil(share * PAST_WHOLE), PAST_WHOLE);
	}
}

void
past_add(struct past *past, struct groups *groups, size_t index, uint64_t number)
{
	uint64_t longest_ns = groups_take_longest_ns(groups, index);
	struct entry *entry = get_entry(past, groups_view(groups, index).id);
	uint64_t ns[PAST_ROWS], open_ns;

	if (!entry || number <= entry->number)
		return;
	read_group(groups, index, ns, &open_ns);
	advance(entry, number);
	for (unsigned row = 0; row < PAST_ROWS; row++) {
		uint64_t seen_ns = entry->seen_ns[row];

		/* What an open iteration was said to be may be taken back. */
		entry->seen_ns[row] = ns[row] > seen_ns ? ns[row] : seen_ns;
		ns[row] = difference(ns[row], seen_ns);
	}
	fill(&entry->columns[number % PAST_COLUMNS], ns,
		longest_ns > open_ns ? longest_ns : open_ns);
}

void
past_finish(struct past *past, uint64_t number)
{
	past->last = number;
}

uint64_t
past_last(const struct past *past)
{
	return past->last;
}

const struct past_column *
past_column(const struct past *past, const struct group_view *group, uint64_t number)
{
	const struct entry *entry = past->entries[group->id];
	const struct past_column *column;

	if (!entry || number > entry->number || entry->number - number >= PAST_COLUMNS)
		return NULL;
	column = &entry->columns[number % PAST_COLUMNS];
	return column->life_ms ? column : NULL;
}

double
past_quantile(const struct past_column *column, double q)
{
	double longest = column->longest_us / 1e6, wanted, below = 0, whole = 0;

	for (unsigned row = 0; row < PAST_ROWS; row++)
		whole += column->shares[row];
	wanted = q * whole;
	for (unsigned row = 0; row < PAST_ROWS; row++) {
		double lower = row ? past_bound(row - 1) : 0;
		double upper = row < PAST_BOUNDS ? past_bound(row) : longest;

		if (below + column->shares[row] < wanted) {
			below += column->shares[row];
			continue;
		}
		if (!row)
			return 0;
		return fmin(lower + (fmin(upper, longest) - lower) * (wanted - below) /
					    column->shares[row],
			longest);
	}
	return longest;
}

void
past_save(const struct past *past, const struct group_view *group, struct record *record)
{
	static const struct entry nothing;
	const struct entry *entry = past->entries[group->id] ?: &nothing;

	record_begin(record);
	record_put(record, FORMAT);
	record_put_text(record, group->groupname);
	record_put_sparse(record, entry->seen_ns, PAST_ROWS);
	record_put(record, entry->number);
	/* Oldest first. */
	for (uint64_t i = 1; i <= PAST_COLUMNS; i++) {
		const struct past_column *column =
			&entry->columns[(entry->number + i) % PAST_COLUMNS];
		uint64_t shares[PAST_ROWS];

		record_put(record, column->life_ms);
		if (!column->life_ms)
			continue;
		record_put(record, column->longest_us);
		for (unsigned row = 0; row < PAST_ROWS; row++)
			shares[row] = column->shares[row];
		record_put_sparse(record, shares, PAST_ROWS);
	}
}

static void
restore_column(struct record *record, struct past_column *ret_column)
{
	uint64_t shares[PAST_ROWS];

	*ret_column = (struct past_column){0};
	ret_column->life_ms = at_most_32_bits(record_take(record));
	if (!ret_column->life_ms)
		return;
	ret_column->longest_us = at_most_32_bits(record_take(record));
	record_take_sparse(record, shares, PAST_ROWS);
	for (unsigned row = 0; row < PAST_ROWS; row++) {
		record->bad |= shares[row] > PAST_WHOLE;
		ret_column->shares[row] = (uint16_t)shares[row];
	}
}

bool
past_restore(struct past *past, const struct groups *groups, uint64_t now_ns,
	struct record *record)
{
	char name[IDENTITY_NAME_BYTES];
	struct entry *entry;
	bool format = record_take(record) == FORMAT;

	record_take_text(record, name, sizeof(name));
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return false;
	record_take_sparse(record, entry->seen_ns, PAST_ROWS);
	entry->number = record_take(record);
	for (uint64_t i = 1; i <= PAST_COLUMNS; i++)
		restore_column(
			record, &entry->columns[(entry->number + i) % PAST_COLUMNS]);
	if (!format || !record_is_read(record) || entry->number > past_number(now_ns)) {
		free(entry);
		return false;
	}
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		if (strcmp(group.groupname, name) != 0 || past->entries[group.id])
			continue;
		past->entries[group.id] = entry;
		if (entry->number > past->last)
			past->last = entry->number;
		return true;
	}
	free(entry);
	return true;
}
