/* SPDX-License-Identifier: MIT */
/*
 * The bars of the delay. With P(x) = excess(x) / life, the share of time in which an event
 * would have waited longer than x, a range of delays a..b takes the share P(a) - P(b).
 */

#include "config.h"

#include "cli/spread.h"

#include <stdbool.h>

#include "cli/format.h"
#include "cli/style.h"
#include "daemon/groups.h"

#define MINOR 0.02 /* share of the late time that is worth a line */
#define RANGE_COLUMNS 18
#define SHARE_COLUMNS 10

/* Where one range ends and the next begins. */
static const double limits[] = {1e-6, 2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6,
	500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 500e-3, 1, 2, 5,
	10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5};
#define LIMITS ((int)(sizeof limits / sizeof *limits))

/* Say a range as people do: "20 - 50 ms". */
static void
print_range(FILE *out, int lower, int upper, bool utf8)
{
	double high = limits[upper], unit = 1;
	const char *name = " s";
	char text[64];

	if (high < 0.9e-3) {
		unit = 1e-6;
		name = utf8 ? "\u00b5s" : "us";
	} else if (high < 0.9) {
		unit = 1e-3;
		name = "ms";
	}
	if (lower < 0)
		snprintf(text, sizeof text, "below %.0f %s", high / unit, name);
	else
		snprintf(text, sizeof text, "%.3g - %3.0f %s", limits[lower] / unit,
			high / unit, name);
	style_right(out, text, RANGE_COLUMNS);
}

static void
print_share(FILE *out, double share)
{
	char text[FORMAT_BYTES];

	style_right(out, format_share(share, text), SHARE_COLUMNS);
}

/* A bar of length 0..1; something is never drawn as nothing. */
static void
print_bar(FILE *out, const struct style *style, double length)
{
	static const char *const eighths[] = {
		"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
	unsigned columns = style->columns - RANGE_COLUMNS - SHARE_COLUMNS - 2;
	unsigned steps = style->utf8 ? 8 : 1;
	unsigned size = (unsigned)(length * columns * steps + 0.5);

	if (!(length > 0))
		return;
	if (!size)
		size = 1;
	fputs("  ", out);
	for (unsigned i = 0; i < size / steps; i++)
		fputs(style->utf8 ? "\u2588" : "#", out);
	if (style->utf8)
		fputs(eighths[size % 8], out);
}

/* The share of time in each range, ret_shares[i] for the one that ends at limits[i].
 * Returns the index of the range that the longest delay is in. */
static int
measure(const struct series_view *view, double life, double late,
	double ret_shares[LIMITS])
{
	double longest = series_max_seconds(view, view->total), rest = late;
	int last = 0;

	while (last + 1 < LIMITS && limits[last] < longest)
		last++;
	for (int i = 0; i < last; i++) {
		double above = series_excess_seconds(view, view->total, limits[i]) / life;

		/* Both are sums of floating-point numbers. */
		if (above > rest)
			above = rest;
		ret_shares[i] = rest - above;
		rest = above;
	}
	ret_shares[last] = rest;
	return last;
}

void
spread_print(const struct series_view *view, const struct style *style, FILE *out)
{
	double active = series_active_seconds(view, view->total), most = 0;
	double life = active + series_idle_seconds(view, view->total);
	double late = active / life, shares[LIMITS];
	int first = 0, last = measure(view, life, late, shares);

	/* Short delays share one line until they are worth more. */
	for (; first < last && shares[first] + shares[first + 1] < MINOR * late; first++)
		shares[first + 1] += shares[first];
	for (int i = first; i <= last; i++)
		most = shares[i] > most ? shares[i] : most;

	style_right(out, "no wait", RANGE_COLUMNS);
	print_share(out, 1 - late);
	putc('\n', out);
	for (int i = first; i <= last; i++) {
		const char *colour = style_delay(style, i ? limits[i - 1] : 0);

		print_range(out, i == first ? -1 : i - 1, i, style->utf8);
		print_share(out, shares[i]);
		fputs(colour, out);
		print_bar(out, style, most > 0 ? shares[i] / most : 0);
		fputs(*colour ? style_end(style) : "", out);
		putc('\n', out);
	}
}
