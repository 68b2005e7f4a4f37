/* SPDX-License-Identifier: MIT */
/*
 * The mistakes in a file, collected while it is read and told all at once, in the order
 * in which they stand there:
 *
 *	looplagd.yaml:3:5: unknown key 'treshold'; did you mean threshold?
 */
#ifndef LOOPLAG_DAEMON_MISTAKES_H
#define LOOPLAG_DAEMON_MISTAKES_H

#include <stddef.h>
#include <stdio.h>

#define MISTAKES_KEPT 100 /* the others are counted */
#define MISTAKES_QUOTE_BYTES 64

struct mistake;
struct mistakes {
	struct mistake *kept;
	size_t count;
};

void
mistakes_fini(struct mistakes *mistakes);

/* Line and column count from 1. */
void
mistakes_add(struct mistakes *mistakes, unsigned line, unsigned column,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One line for each on `err`. */
void
mistakes_print(const struct mistakes *mistakes, const char *path, FILE *err);

/* A text of the file in quotes, cut if it is long. */
const char *
mistakes_quote(const char *text, char ret_quoted[MISTAKES_QUOTE_BYTES]);

#endif
