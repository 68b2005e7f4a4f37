/* SPDX-License-Identifier: MIT */
/* See sparkline.h. */

#include "config.h"

#include "cli/sparkline.h"

#include <stddef.h>

#define CELLS 8

const char *
sparkline_cell(double seconds, bool utf8)
{
	static const char *const blocks[CELLS] = {"\u2581", "\u2582", "\u2583", "\u2584",
		"\u2585", "\u2586", "\u2587", "\u2588"};
	static const char *const letters[CELLS] = {
		"_", ".", ":", "-", "=", "+", "*", "#"};
	/* Where the next one begins: about three times as much each. */
	static const double limits[CELLS - 1] = {
		0.0009, 0.0035, 0.01, 0.03, 0.1, 0.3, 0.9};
	size_t cell = 0;

	if (seconds < 0)
		return " ";
	while (cell < CELLS - 1 && seconds >= limits[cell])
		cell++;
	return utf8 ? blocks[cell] : letters[cell];
}
