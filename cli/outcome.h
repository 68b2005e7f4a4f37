/* SPDX-License-Identifier: MIT */
/* What looplag enable and looplag disable have done to a unit, and how they tell it: changes
 * on standard output, before they are made, and words on standard error. */
#ifndef LOOPLAG_CLI_OUTCOME_H
#define LOOPLAG_CLI_OUTCOME_H

#include <stdbool.h>
#include <stdio.h>

struct enable_options;
struct findings;
struct service;

enum outcome_result { OUTCOME_DONE, OUTCOME_ALREADY, OUTCOME_REFUSED, OUTCOME_FAILED };

/* All borrowed, but what begins with an underline, which is this module's own. */
struct outcome {
	const struct enable_options *options;
	const char *verb;
	const char *unit;
	struct findings *findings;
	enum outcome_result result;
	const char *path; /* of the drop-in, or NULL */
	enum { RESTART_NONE, RESTART_NEEDED, RESTART_DONE, RESTART_FAILED } restart;
	char *_changes;
	size_t _changes_bytes;
	FILE *_memory;
	int _error; /* of writing what was shown */
};

/* Tell of a change to a file, which is to be made now; NULL: there is none. Returns 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int
outcome_show(
	struct outcome *outcome, const char *path, const char *before, const char *after);

/* See to it that the service runs as it is set up now, and note how. */
void
outcome_restart(struct outcome *outcome, const struct service *service, bool carry);

/* Tell all the rest. Returns the exit status. */
int
outcome_print(struct outcome *outcome);

#endif
