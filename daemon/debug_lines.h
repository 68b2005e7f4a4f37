/* SPDX-License-Identifier: MIT */
/*
 * Source files and lines from a program's debug information, by elfutils' libdw; without
 * that library there are none. libdw is made for friendly files: the caller sees to it that
 * no stranger could have written this one.
 */
#ifndef LOOPLAG_DAEMON_DEBUG_LINES_H
#define LOOPLAG_DAEMON_DEBUG_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct debug_lines;

/* NULL when there is no debug information. The descriptor is borrowed. */
struct debug_lines *
debug_lines_new(int fd);
void
debug_lines_free(struct debug_lines *lines);

/* Where in the source the code at an offset (address less load bias) is; strings are
 * borrowed until the lines are freed, and NULL where unknown. Returns whether the line is
 * known. */
bool
debug_lines_find(struct debug_lines *lines, uint64_t offset, const char **ret_function,
	const char **ret_file, unsigned *ret_line);

#endif
