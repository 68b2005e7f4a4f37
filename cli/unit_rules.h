/* SPDX-License-Identifier: MIT */
/* What the settings of a unit's sandbox mean for the probe. Pure; values are as systemctl
 * shows them. */
#ifndef LOOPLAG_CLI_UNIT_RULES_H
#define LOOPLAG_CLI_UNIT_RULES_H

#include <stdbool.h>

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

/* The first system call that the probe makes and SystemCallFilter= forbids, or NULL. */
const char *
unit_rules_forbidden_call(const char *filter);

#endif
