/* SPDX-License-Identifier: MIT */
/* The list of looplag top: all loops, those that are stuck first, one of them chosen. */
#ifndef LOOPLAG_CLI_TOP_LIST_H
#define LOOPLAG_CLI_TOP_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "cli/loops.h"

struct minute;

struct top_list {
	json_t *answer; /* what the names are of */
	struct loops loops;
	enum loops_column column; /* sorted by */
	bool reverse;
	size_t chosen, first; /* the chosen row, and the first one that is seen */
	bool moved;           /* somebody chose: the row stays chosen wherever it goes */
};

/* Begin with nothing, sorted by p99. */
void
top_list_init(struct top_list *list);
void
top_list_fini(struct top_list *list);

/* Show another answer, which is taken over. Returns 0 or -ENOMEM, and what was there stays. */
__attribute__((warn_unused_result)) int
top_list_take(struct top_list *list, json_t *answer);

/* Do what a key says, with so many rows to be seen. Returns whether it says anything here. */
bool
top_list_key(struct top_list *list, int key, size_t rows);

/* The chosen loop, NULL if there is none. */
const struct loops_row *
top_list_chosen(const struct top_list *list);

size_t
top_list_stuck(const struct top_list *list);

/* Draw it in those rows of the screen, with the headings in the first one. */
void
top_list_draw(struct top_list *list, const struct minute *minute, bool utf8, size_t top,
	size_t rows);

#endif
