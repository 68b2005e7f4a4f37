/* SPDX-License-Identifier: MIT */
/* The screen of looplag top for one group: how the delay of its loops was spread over the last
 * minute, and its last stalls with their stacks, as lines that can be scrolled. */
#ifndef LOOPLAG_CLI_TOP_GROUP_H
#define LOOPLAG_CLI_TOP_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct minute;

struct top_group {
	char *groupname;
	char *text;   /* what the lines are of */
	char **lines; /* each ends in a NUL */
	size_t count, first;
};

/* Begin with a group, of which nothing is known yet. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
top_group_init(struct top_group *group, const char *groupname);
void
top_group_fini(struct top_group *group);

/* Show what is known now; `stalls` is an answer, or NULL. Returns 0 or -ENOMEM, and what was
 * there stays. */
__attribute__((warn_unused_result)) int
top_group_take(struct top_group *group, const struct minute *minute, const json_t *stalls,
	bool utf8);

/* Do what a key says, with so many rows to be seen. */
void
top_group_key(struct top_group *group, int key, size_t rows);

/* Draw it in those rows of the screen. */
void
top_group_draw(struct top_group *group, size_t top, size_t rows);

#endif
