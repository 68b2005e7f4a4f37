/* SPDX-License-Identifier: MIT */
/*
 * The rows of a histogram:
 *
 *	     usecs               :  seconds     share  distribution
 *	         0 -> 1          :   58.2 s    97.0 %  |                       |
 *	         1 -> 2          :    12 us  <0.001 %  |*                      |
 *
 * The first row is time in which nobody would have waited: it has no bar, which would leave
 * the others none.
 */

#include "config.h"

#include "cli/hist_text.h"

#include "cli/format.h"
#include "cli/style.h"

#define LEFT_COLUMNS 50 /* before a bar, and its end */
#define BAR_MAX 40
#define NUMBER_COLUMNS 9

static size_t
bar_columns(const struct style *style)
{
	size_t columns = style->columns - LEFT_COLUMNS;

	return columns < BAR_MAX ? columns : BAR_MAX;
}

/* A bar for that part of the longest one; something is never drawn as nothing. */
static void
print_bar(FILE *out, double part, size_t columns)
{
	size_t stars = (size_t)(part * (double)columns + 0.5);

	if (!stars && part > 0)
		stars = 1;
	for (size_t i = 0; i < columns; i++)
		putc(i < stars ? '*' : ' ', out);
}

void
hist_text_print(const struct histograms *histograms, const struct histograms_loop *loop,
	const struct style *style, FILE *out)
{
	double life = histograms_life(histograms, loop), most = 0;
	size_t last = 0, columns = bar_columns(style);

	for (size_t i = 1; i < histograms->rows; i++) {
		if (loop->seconds[i] > 0)
			last = i;
		if (loop->seconds[i] > most)
			most = loop->seconds[i];
	}
	fputs("     usecs               :   seconds     share  distribution\n", out);
	for (size_t i = 0; i <= last; i++) {
		double lower = i ? histograms->bounds[i - 1] : 0;
		const char *colour = style_delay(style, lower);
		char text[FORMAT_BYTES];

		fprintf(out, "%10.0f -> ", lower * 1e6);
		if (i + 1 < histograms->rows)
			fprintf(out, "%-10.0f : ", histograms->bounds[i] * 1e6);
		else
			fprintf(out, "%-10s : ", "");
		style_right(out, format_seconds(loop->seconds[i], style->utf8, text),
			NUMBER_COLUMNS);
		putc(' ', out);
		style_right(out,
			format_share(life > 0 ? loop->seconds[i] / life : 0, text),
			NUMBER_COLUMNS);
		fprintf(out, "  |%s", colour);
		print_bar(out, i && most > 0 ? loop->seconds[i] / most : 0, columns);
		fprintf(out, "%s|\n", *colour ? style_end(style) : "");
	}
}
