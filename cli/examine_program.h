/* SPDX-License-Identifier: MIT */
/* Whether a program can carry the probe, by its file and that of the probe. */
#ifndef LOOPLAG_CLI_EXAMINE_PROGRAM_H
#define LOOPLAG_CLI_EXAMINE_PROGRAM_H

#include "cli/carry.h"
#include "cli/reach.h"

struct findings;

/* Tell of a verdict; `where` is the program, or the script that it runs. */
void
examine_program_verdict(
	struct findings *findings, const char *where, const struct carry *carry);

/* Tell what is to say about a command that `user` runs, searched for in `search`. Returns 0,
 * or -errno if there is no such command. */
__attribute__((warn_unused_result)) int
examine_program(struct findings *findings, const char *command, const char *search,
	const struct carry_user *user, const char *library);

/* Tell if the user, below that root directory, cannot load the library. */
void
examine_program_library(struct findings *findings, const char *library, const char *root,
	const struct reach_user *user);

/* Tell if the probe registers nothing in a program of that file name. Returns whether. */
bool
examine_program_skipped(struct findings *findings, const char *name);

/* Tell of other entries in an LD_PRELOAD. */
void
examine_program_preload(
	struct findings *findings, const char *where, const char *preload);

#endif
