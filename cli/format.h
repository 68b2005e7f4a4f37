/* SPDX-License-Identifier: MIT */
/* Numbers and names as people read them, in a known number of columns. */
#ifndef LOOPLAG_CLI_FORMAT_H
#define LOOPLAG_CLI_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

/* Long enough for every number formatted here. */
#define FORMAT_BYTES 24

/* A duration with three digits and a unit: "0", "83.0 us", "1.20 ms", "2.50 s". In UTF-8
 * micro is written as such. Returns ret_text. */
const char *
format_seconds(double seconds, bool utf8, char ret_text[FORMAT_BYTES]);

/* A number with three digits: "0", "<0.01", "0.08", "12.3", "101". Returns ret_text. */
const char *
format_number(double value, char ret_text[FORMAT_BYTES]);

/* A share of one in per cent: "0 %", "<0.001 %", "6.10 %", "100 %". Returns ret_text. */
const char *
format_share(double share, char ret_text[FORMAT_BYTES]);

/*
 * A name from outside, safe to print on a terminal: control characters, and bytes that are
 * no valid UTF-8 (or, without utf8, no ASCII), become '?'; what is longer than `columns`
 * ends in an ellipsis. ret_text needs 4 * columns + 1 bytes. Returns ret_text.
 */
const char *
format_name(const char *name, size_t columns, bool utf8, char *ret_text);

/* How many columns a text of UTF-8 takes on a terminal, each character one. */
size_t
format_width(const char *text);

#endif
