/* SPDX-License-Identifier: MIT */
/* From JSON to rows and cells. The answer is that of a program at a URL: nothing in it is
 * taken for granted. */

#include "config.h"

#include "cli/loops.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SECONDS 1e9
#define COUNT_MAX 1000000000000000ll

/* A duration or a share, NAN if it is absent or makes no sense. */
static double
number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double number = json_is_number(value) ? json_number_value(value) : NAN;

	return number >= 0 && number <= LONGEST_SECONDS ? number : NAN;
}

static uint64_t
count(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value < COUNT_MAX ? (uint64_t)value : 0;
}

/* Read the loops of a group behind those that are there, for which there is room. */
static void
read_group(const json_t *group, struct loops *loops)
{
	const char *name = json_string_value(json_object_get(group, "groupname"));
	const json_t *array = json_object_get(group, "loops"), *object;
	size_t i;

	if (!name)
		return;
	json_array_foreach(array, i, object)
	{
		const char *loop = json_string_value(json_object_get(object, "loop"));
		const json_t *delay = json_object_get(object, "delay");
		double stuck = number(object, "open_stall_seconds");

		if (!loop)
			continue;
		loops->rows[loops->count++] = (struct loops_row){
			.groupname = name,
			.loop = loop,
			.processes = count(group, "processes"),
			.p50_seconds = number(delay, "p50"),
			.p99_seconds = number(delay, "p99"),
			.max_seconds = number(delay, "max"),
			.active_share = number(object, "active_share"),
			.stalls = count(object, "stalls"),
			.stuck_seconds = stuck > 0 ? stuck : 0,
		};
	}
}

int
loops_read(const json_t *answer, struct loops *ret_loops)
{
	const json_t *groups = json_object_get(answer, "groups"), *group;
	struct loops loops = {0};
	size_t i, total = 0;

	json_array_foreach(groups, i, group)
	{
		total += json_array_size(json_object_get(group, "loops"));
	}
	loops.rows = calloc(total + 1, sizeof *loops.rows);
	if (!loops.rows)
		return -ENOMEM;
	json_array_foreach(groups, i, group)
	{
		read_group(group, &loops);
	}
	*ret_loops = loops;
	return 0;
}

void
loops_fini(struct loops *loops)
{
	free(loops->rows);
	*loops = (struct loops){0};
}

/* The number in a column. */
static double
value_of(const struct loops_row *row, enum loops_column column)
{
	switch (column) {
	case LOOPS_PROCESSES:
		return (double)row->processes;
	case LOOPS_P50:
		return row->p50_seconds;
	case LOOPS_P99:
		return row->p99_seconds;
	case LOOPS_MAX:
		return row->max_seconds;
	case LOOPS_ACTIVE:
		return row->active_share;
	case LOOPS_STALLS:
		return (double)row->stalls;
	case LOOPS_STUCK:
		return row->stuck_seconds;
	default:
		return NAN;
	}
}

/* The order of names, by groups first unless it is by loops. */
static int
compare_names(
	const struct loops_row *a, const struct loops_row *b, enum loops_column column)
{
	int by_group = strcmp(a->groupname, b->groupname);
	int by_loop = strcmp(a->loop, b->loop);

	if (column == LOOPS_LOOP)
		return by_loop ? by_loop : by_group;
	return by_group ? by_group : by_loop;
}

struct order {
	enum loops_column column;
	bool reverse;
};

static int
compare(const void *one, const void *other, void *arg)
{
	const struct loops_row *a = one, *b = other;
	const struct order *order = arg;
	double x = value_of(a, order->column), y = value_of(b, order->column);

	if (loops_is_name(order->column))
		return order->reverse ? -compare_names(a, b, order->column)
				      : compare_names(a, b, order->column);
	if (isnan(x) != isnan(y))
		return isnan(x) ? 1 : -1;
	if (x != y && !isnan(x))
		return (x < y) == order->reverse ? -1 : 1;
	return compare_names(a, b, LOOPS_GROUP);
}

void
loops_sort(struct loops *loops, enum loops_column column, bool reverse)
{
	struct order order = {column, reverse};

	qsort_r(loops->rows, loops->count, sizeof *loops->rows, compare, &order);
}

const char *
loops_heading(enum loops_column column)
{
	static const char *const headings[LOOPS_COLUMNS] = {"GROUP", "LOOP", "PROCS",
		"p50ms", "p99ms", "maxms", "ACTIVE%", "STALLS", "STUCK"};

	return headings[column];
}

const char *
loops_cell(const struct loops_row *row, enum loops_column column, bool utf8,
	char ret_text[LOOPS_CELL_BYTES])
{
	double value = value_of(row, column);

	switch (column) {
	case LOOPS_GROUP:
		return format_name(row->groupname, LOOPS_NAME_COLUMNS, utf8, ret_text);
	case LOOPS_LOOP:
		return format_name(row->loop, LOOPS_NAME_COLUMNS, utf8, ret_text);
	case LOOPS_PROCESSES:
	case LOOPS_STALLS:
		snprintf(ret_text, LOOPS_CELL_BYTES, "%.0f", value);
		return ret_text;
	case LOOPS_STUCK:
		return value > 0 ? format_seconds(value, utf8, ret_text)
				 : strcpy(ret_text, "-");
	default:
		if (isnan(value))
			return strcpy(ret_text, "-");
		return format_number(
			value * (column == LOOPS_ACTIVE ? 100 : 1000), ret_text);
	}
}

double
loops_lateness(const struct loops_row *row, enum loops_column column)
{
	bool late = (column >= LOOPS_P50 && column <= LOOPS_MAX) || column == LOOPS_STUCK;

	return late && value_of(row, column) > 0 ? value_of(row, column) : 0;
}
