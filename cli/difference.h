/* SPDX-License-Identifier: MIT */
/* What a change makes of a small file, as `diff -u` tells it. */
#ifndef LOOPLAG_CLI_DIFFERENCE_H
#define LOOPLAG_CLI_DIFFERENCE_H

/* The difference between two texts of a file; NULL: there is no file. All lines between the
 * first and the last that differ count as changed. Caller frees; NULL without memory, ""
 * if there is none. Pure. */
char *
difference(const char *file, const char *before, const char *after);

#endif
