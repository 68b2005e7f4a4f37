/* SPDX-License-Identifier: MIT */
/*
 * Columns are as wide as they need to be; what is left is for the line of the last minute, and
 * if that gets too little, names are cut.
 */

#include "config.h"

#include "cli/top_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/minute.h"
#include "cli/ps_table.h"
#include "cli/screen.h"
#include "cli/sparkline.h"
#include "cli/top_text.h"

#define BARS_MIN 15 /* columns */
#define NAME_MIN 8

/* The keys that sort, by column. */
static const char sort_keys[] = "glndpmaso";
_Static_assert(sizeof(sort_keys) - 1 == LOOPS_COLUMNS, "a key for each column");

void
top_list_init(struct top_list *list)
{
	*list = (struct top_list){.column = LOOPS_P99};
}

void
top_list_fini(struct top_list *list)
{
	loops_fini(&list->loops);
	json_decref(list->answer);
	list->answer = NULL;
}

/* Sort; but what is stuck is on top, whatever the order. */
static void
sort(struct loops *loops, enum loops_column column, bool reverse)
{
	struct loops_row *rows = calloc(loops->count + 1, sizeof(*rows));
	size_t count = 0;

	loops_sort(loops, column, reverse);
	for (int stuck = 1; rows && stuck >= 0; stuck--)
		for (size_t i = 0; i < loops->count; i++)
			if ((loops->rows[i].stuck_seconds > 0) == stuck)
				rows[count++] = loops->rows[i];
	if (!rows)
		return;
	free(loops->rows);
	loops->rows = rows;
}

/* Find the row of the same loop; failing that, what is in its place. */
static size_t
find_again(const struct loops *loops, const struct loops_row *row, size_t place)
{
	for (size_t i = 0; i < loops->count; i++)
		if (!strcmp(loops->rows[i].loop, row->loop) &&
			!strcmp(loops->rows[i].groupname, row->groupname))
			return i;
	if (place < loops->count)
		return place;
	return loops->count ? loops->count - 1 : 0;
}

int
top_list_take(struct top_list *list, json_t *answer)
{
	const struct loops_row *chosen = top_list_chosen(list);
	struct loops loops;
	int r = loops_read(answer, &loops);

	if (r)
		return r;
	sort(&loops, list->column, list->reverse);
	if (chosen && list->moved)
		list->chosen = find_again(&loops, chosen, list->chosen);
	top_list_fini(list);
	list->answer = answer;
	list->loops = loops;
	if (list->chosen >= loops.count)
		list->chosen = loops.count ? loops.count - 1 : 0;
	return 0;
}

const struct loops_row *
top_list_chosen(const struct top_list *list)
{
	return list->chosen < list->loops.count ? &list->loops.rows[list->chosen] : NULL;
}

size_t
top_list_stuck(const struct top_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->loops.count; i++)
		count += list->loops.rows[i].stuck_seconds > 0;
	return count;
}

static void
sort_by(struct top_list *list, enum loops_column column, bool reverse)
{
	struct loops_row chosen = {0};
	bool any = top_list_chosen(list) && list->moved;

	if (any)
		chosen = *top_list_chosen(list);
	list->column = column;
	list->reverse = reverse;
	sort(&list->loops, column, reverse);
	if (any)
		list->chosen = find_again(&list->loops, &chosen, list->chosen);
}

static bool
sort_key(struct top_list *list, int key)
{
	int column = (int)list->column;
	const char *letter = key > 0 && key < 128 ? strchr(sort_keys, key) : NULL;

	if (key == '<' && column > 0)
		column--;
	else if (key == '>' && column + 1 < LOOPS_COLUMNS)
		column++;
	else if (letter)
		column = (int)(letter - sort_keys);
	else if (key == 'r')
		sort_by(list, list->column, !list->reverse);
	else
		return key == '<' || key == '>';
	if (column != (int)list->column)
		sort_by(list, (enum loops_column)column, false);
	return true;
}

bool
top_list_key(struct top_list *list, int key, size_t rows)
{
	size_t last = list->loops.count ? list->loops.count - 1 : 0;
	size_t chosen = top_text_move(key, list->chosen, last, rows);

	if (chosen == TOP_TEXT_NO_MOVE)
		return sort_key(list, key);
	list->chosen = chosen;
	list->moved = true;
	return true;
}

struct layout {
	size_t columns[LOOPS_COLUMNS];
	size_t minute; /* the line of the last minute; 0: no room */
};

/* Two columns for the mark, one behind each column. */
static struct layout
lay_out(const struct top_list *list, bool utf8)
{
	struct layout layout = {0};
	size_t used = 2, width = screen_columns();

	ps_table_lay_out(&list->loops, utf8, layout.columns);
	for (int i = 0; i < LOOPS_COLUMNS; i++)
		used += layout.columns[i] + 1;
	for (int i = LOOPS_GROUP; i <= LOOPS_LOOP; i++)
		while (used + BARS_MIN > width && layout.columns[i] > NAME_MIN) {
			layout.columns[i]--;
			used--;
		}
	if (used + BARS_MIN <= width)
		layout.minute = width - used;
	if (layout.minute > MINUTE_READINGS)
		layout.minute = MINUTE_READINGS;
	return layout;
}

/* Draw a cell; returns the column behind it. */
static size_t
draw_cell(
	size_t row, size_t at, const char *text, size_t columns, bool left, unsigned look)
{
	size_t width = format_width(text);

	top_text_put(row, at + (left || width >= columns ? 0 : columns - width), text,
		columns, look);
	return at + columns + 1;
}

static void
draw_headings(const struct top_list *list, const struct layout *layout, size_t row)
{
	size_t at = 2;

	top_text_fill(row, SCREEN_REVERSE);
	for (int i = 0; i < LOOPS_COLUMNS; i++) {
		enum loops_column column = (enum loops_column)i;

		at = draw_cell(row, at, loops_heading(column), layout->columns[i],
			loops_is_name(column),
			SCREEN_REVERSE | (column == list->column ? SCREEN_BOLD : 0));
	}
	if (layout->minute)
		top_text_put(row, at, "LAST MINUTE", layout->minute, SCREEN_REVERSE);
}

static void
draw_minute(const struct loops_row *loop, const struct minute *minute, bool utf8,
	size_t row, size_t at, size_t columns)
{
	double seconds[MINUTE_READINGS];

	minute_longest(minute, loop->groupname, loop->loop, columns, seconds);
	for (size_t i = 0; i < columns; i++)
		screen_put(row, at + i, sparkline_cell(seconds[i], utf8),
			top_text_lateness(seconds[i]));
}

static void
draw_row(const struct loops_row *loop, const struct layout *layout,
	const struct minute *minute, bool utf8, size_t row, bool chosen)
{
	unsigned base = (chosen ? SCREEN_REVERSE : 0) |
			(loop->stuck_seconds > 0 ? SCREEN_BOLD : 0);
	char text[LOOPS_CELL_BYTES];
	size_t at = 2;

	if (chosen)
		top_text_fill(row, SCREEN_REVERSE);
	if (loop->stuck_seconds > 0)
		top_text_put(row, 0, "!", 1, base | SCREEN_STALLED);
	for (int i = 0; i < LOOPS_COLUMNS; i++) {
		enum loops_column column = (enum loops_column)i;

		at = draw_cell(row, at, loops_cell(loop, column, utf8, text),
			layout->columns[i], loops_is_name(column),
			base | top_text_lateness(loops_lateness(loop, column)));
	}
	if (layout->minute)
		draw_minute(loop, minute, utf8, row, at, layout->minute);
}

void
top_list_draw(struct top_list *list, const struct minute *minute, bool utf8, size_t top,
	size_t rows)
{
	struct layout layout = lay_out(list, utf8);
	size_t seen = rows ? rows - 1 : 0;

	if (list->chosen < list->first)
		list->first = list->chosen;
	if (list->chosen >= list->first + seen)
		list->first = seen ? list->chosen - seen + 1 : 0;
	draw_headings(list, &layout, top);
	for (size_t i = 0; i < seen && list->first + i < list->loops.count; i++)
		draw_row(&list->loops.rows[list->first + i], &layout, minute, utf8,
			top + 1 + i, list->first + i == list->chosen);
}
