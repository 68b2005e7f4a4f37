/* SPDX-License-Identifier: MIT */
/* Finding and executing commands as execvp() does. */
#ifndef LOOPLAG_CLI_COMMAND_H
#define LOOPLAG_CLI_COMMAND_H

/* The file that execvp() would run for `command`, with `search` as PATH (NULL: the
 * system's default). Returns 0, -ENOENT, or -EACCES if what was found may not be run.
 * ret_path has room for PATH_MAX. */
__attribute__((warn_unused_result)) int
command_find(const char *command, const char *search, char *ret_path);

/* Become the command, as execvp() does; but a program for another machine, which no shell
 * can read, is an error. Returns -errno if that fails. */
int
command_exec(char *const argv[]);

#endif
