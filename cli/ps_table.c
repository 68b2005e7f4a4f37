/* SPDX-License-Identifier: MIT */
/* See ps_table.h. */

#include "config.h"

#include "cli/ps_table.h"

#include <stdio.h>

#include "cli/output.h"
#include "cli/style.h"

void
ps_table_lay_out(const struct loops *loops, bool utf8, size_t ret_columns[LOOPS_COLUMNS])
{
	char text[LOOPS_CELL_BYTES];

	for (int i = 0; i < LOOPS_COLUMNS; i++)
		ret_columns[i] = format_width(loops_heading((enum loops_column)i));
	for (size_t i = 0; i < loops->count; i++)
		for (int j = 0; j < LOOPS_COLUMNS; j++) {
			size_t width = format_width(loops_cell(
				&loops->rows[i], (enum loops_column)j, utf8, text));

			if (width > ret_columns[j])
				ret_columns[j] = width;
		}
}

/* Print a line; that of the headings if there is no row. */
static int
print_line(const struct loops_row *row, const size_t columns[LOOPS_COLUMNS],
	const struct style *style)
{
	char text[LOOPS_CELL_BYTES];

	for (int i = 0; i < LOOPS_COLUMNS; i++) {
		enum loops_column column = (enum loops_column)i;
		const char *cell = row ? loops_cell(row, column, style->utf8, text)
				       : loops_heading(column);
		const char *colour = row ? style_delay(style, loops_lateness(row, column))
					 : style_bold(style);

		printf("%s%s", i ? "  " : "", colour);
		if (loops_is_name(column))
			style_left(stdout, cell, columns[i]);
		else
			style_right(stdout, cell, columns[i]);
		fputs(*colour ? style_end(style) : "", stdout);
	}
	putchar('\n');
	return output_flush();
}

int
ps_table_print(const struct loops *loops, const struct style *style)
{
	size_t columns[LOOPS_COLUMNS];
	int r;

	ps_table_lay_out(loops, style->utf8, columns);
	r = print_line(NULL, columns, style);
	for (size_t i = 0; i < loops->count && !r; i++)
		r = print_line(&loops->rows[i], columns, style);
	return r;
}
