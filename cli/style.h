/* SPDX-License-Identifier: MIT */
/* How text can look where it is read: on a terminal of some width, in a file. */
#ifndef LOOPLAG_CLI_STYLE_H
#define LOOPLAG_CLI_STYLE_H

#include <stdbool.h>
#include <stdio.h>

#define STYLE_COLUMNS_MIN 72
#define STYLE_COLUMNS_MAX 120

/* Delays at which colours change. */
#define STYLE_LATE_SECONDS 0.01
#define STYLE_STALLED_SECONDS 0.1

struct style {
	unsigned columns; /* STYLE_COLUMNS_MIN..MAX */
	bool utf8;
	bool colour;
};

/* What `out` can show. Sets the locale's character set. */
struct style
style_of(FILE *out);

/* Print text in that many columns: at the right end of them, or the left. */
void
style_right(FILE *out, const char *text, size_t columns);
void
style_left(FILE *out, const char *text, size_t columns);

/* The escape sequence for headings, for a delay of that length, or to end either; empty
 * where there is none. */
const char *
style_bold(const struct style *style);
const char *
style_delay(const struct style *style, double seconds);
const char *
style_end(const struct style *style);

#endif
