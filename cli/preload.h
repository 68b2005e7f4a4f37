/* SPDX-License-Identifier: MIT */
/* Which probe library the command is to load, and the LD_PRELOAD that says so. */
#ifndef LOOPLAG_CLI_PRELOAD_H
#define LOOPLAG_CLI_PRELOAD_H

#include <stdbool.h>

/*
 * The path of liblooplag.so for the program `exe`: `override` if that is set, else the
 * library of the same build tree, else the installed one. Returns 0, -ENOENT if there is
 * none, -EINVAL if LD_PRELOAD cannot hold its path (a blank or a colon in it). ret_path has
 * room for PATH_MAX and is filled in either case, so that a message can name it.
 */
__attribute__((warn_unused_result)) int
preload_find(const char *exe, const char *override, char *ret_path);

/* The same for this very program, with what its environment says in LOOPLAG_LIBRARY. */
__attribute__((warn_unused_result)) int
preload_find_own(char *ret_path);

/* The entry of a list such as LD_PRELOAD that is called liblooplag.so, in whatever
 * directory. Returns whether there is one; ret_path has room for PATH_MAX. */
bool
preload_find_in(const char *list, char *ret_path);

/* Whether the list has an entry that is none of ours; then ret_path gets the first. */
bool
preload_find_other(const char *list, char *ret_path);

/* The value of LD_PRELOAD: `library` behind what is there already (NULL: nothing), once.
 * Caller frees; NULL without memory. */
char *
preload_append(const char *existing, const char *library);

#endif
