/* SPDX-License-Identifier: MIT */
/* What the screens of looplag top have in common: texts in their places, and moves. */
#ifndef LOOPLAG_CLI_TOP_TEXT_H
#define LOOPLAG_CLI_TOP_TEXT_H

#include <stddef.h>

/* Put a text, cut to so many columns, and to the screen. */
void
top_text_put(size_t row, size_t column, const char *text, size_t columns, unsigned look);

/* Fill a row with blanks that look so. */
void
top_text_fill(size_t row, unsigned look);

/* How a delay looks. */
unsigned
top_text_lateness(double seconds);

#define TOP_TEXT_NO_MOVE ((size_t)-1)

/* Where a key moves to from `place` of 0 to `last`, with so many rows to be seen;
 * TOP_TEXT_NO_MOVE if it is none for that. */
size_t
top_text_move(int key, size_t place, size_t last, size_t rows);

#endif
