/* SPDX-License-Identifier: MIT */
/*
 * Text that strangers wrote, made fit to be shown: valid UTF-8 without control characters
 * and without those that turn the direction of writing, which could make a line look like
 * another.
 */
#ifndef LOOPLAG_DAEMON_WORDS_H
#define LOOPLAG_DAEMON_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 1024 /* bytes of one text; what is longer loses its end */

/* A copy of at most `bytes` bytes, up to the first 0; what is not fit becomes '?'. Caller
 * frees. NULL without memory. */
char *
words_clean(const char *text, size_t bytes);

/* The same, where \xNN, \uNNNN and \UNNNNNNNN stand for characters. */
char *
words_clean_escaped(const char *text, size_t bytes);

/* The length of the character that a text of at least one byte begins with, and whether it is
 * fit to be shown; 0 if what stands there is none. */
size_t
words_character(const char *text, size_t bytes, bool *ret_fit);

/* Whether words_clean() would leave it as it is. */
bool
words_are_clean(const char *text);

#endif
