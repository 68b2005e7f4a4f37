/* SPDX-License-Identifier: MIT */
/* See top_text.h. */

#include "config.h"

#include "cli/top_text.h"

#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/screen.h"
#include "cli/style.h"

#define COLUMNS_MAX 512

void
top_text_put(size_t row, size_t column, const char *text, size_t columns, unsigned look)
{
	char cut[4 * COLUMNS_MAX + 1];
	size_t width = screen_columns();

	if (column >= width)
		return;
	if (columns > width - column)
		columns = width - column;
	if (columns > COLUMNS_MAX)
		columns = COLUMNS_MAX;
	/* The locale was set by who has found out what the terminal can show. */
	screen_put(row, column, format_name(text, columns, MB_CUR_MAX > 1, cut), look);
}

void
top_text_fill(size_t row, unsigned look)
{
	char blanks[COLUMNS_MAX + 1];
	size_t width = screen_columns();

	if (width > COLUMNS_MAX)
		width = COLUMNS_MAX;
	memset(blanks, ' ', width);
	blanks[width] = '\0';
	screen_put(row, 0, blanks, look);
}

unsigned
top_text_lateness(double seconds)
{
	if (seconds < STYLE_LATE_SECONDS)
		return SCREEN_PLAIN;
	return seconds < STYLE_STALLED_SECONDS ? SCREEN_LATE : SCREEN_STALLED;
}

size_t
top_text_move(int key, size_t place, size_t last, size_t rows)
{
	size_t page = rows > 1 ? rows - 1 : 1;

	switch (key) {
	case SCREEN_UP:
	case 'k':
		return place ? place - 1 : 0;
	case SCREEN_DOWN:
	case 'j':
		return place < last ? place + 1 : last;
	case SCREEN_PAGE_UP:
		return place > page ? place - page : 0;
	case SCREEN_PAGE_DOWN:
		return place + page < last ? place + page : last;
	case SCREEN_HOME:
		return 0;
	case SCREEN_END:
		return last;
	default:
		return TOP_TEXT_NO_MOVE;
	}
}
