/* SPDX-License-Identifier: MIT */
/* What the settings of a unit's sandbox mean for the probe. Pure; values are as systemctl
 * shows them. */
#ifndef LOOPLAG_CLI_UNIT_RULES_H
#define LOOPLAG_CLI_UNIT_RULES_H

#include <stdbool.h>

#define UNIT_RULES_CALLS_BYTES 128

/* Whether the list has the word, which may have ":ERRNO" or "=VALUE" behind it there. */
bool
unit_rules_have(const char *list, const char *word);

/* Whether RestrictAddressFamilies= lets the probe talk to its daemon. */
bool
unit_rules_allow_unix(const char *families);

/* Whether NoExecPaths= and ExecPaths= let a file be executed. */
bool
unit_rules_may_execute(const char *noexec, const char *exec, const char *path);

/* Whether one of the paths (a list; prefixes, and what stands behind a colon, do not count)
 * is `path`, or a directory above it. */
bool
unit_rules_cover(const char *paths, const char *path);

/* Whether one of BindPaths= or BindReadOnlyPaths= shows `path` to the service, or a directory
 * above it. */
bool
unit_rules_bind(const char *binds, const char *path);

/* The first system call that SystemCallFilter= forbids of those that the probe makes at its
 * start; or, for `helper`, of those that its helper thread makes, which Node.js and Python
 * programs have. NULL: none. */
const char *
unit_rules_forbidden_call(const char *filter, bool helper);

/* Those of the calls that the probe makes at its start that are forbidden, or in the list
 * `also`, with blanks between. */
void
unit_rules_wanted_calls(
	const char *filter, const char *also, char ret_calls[UNIT_RULES_CALLS_BYTES]);

#endif
