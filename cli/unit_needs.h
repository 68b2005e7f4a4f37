/* SPDX-License-Identifier: MIT */
/* What a drop-in must add to the sandbox of a unit, so that the probe can be loaded there and
 * register. Pure. */
#ifndef LOOPLAG_CLI_UNIT_NEEDS_H
#define LOOPLAG_CLI_UNIT_NEEDS_H

#include <limits.h>
#include <stdbool.h>

#include "cli/unit_rules.h"

/* Where the library is put in a root directory that is the unit's own: systemd mounts an
 * empty file system at /run there. */
#define UNIT_NEEDS_INSIDE "/run/liblooplag.so"

struct unit_properties;
struct unit_settings;

struct unit_needs {
	bool execution;    /* ExecPaths= */
	bool unix_sockets; /* RestrictAddressFamilies= */
	bool library;      /* BindReadOnlyPaths= for the library */
	bool directory;    /* ... for the directory of the socket */
	bool inside;       /* the library is loaded from UNIT_NEEDS_INSIDE */
	char calls[UNIT_RULES_CALLS_BYTES]; /* SystemCallFilter= */
	bool own_filter; /* there is no other filter than one of ours, which goes */
};

/*
 * What it needs by its properties. If these have been read with a drop-in of ours in place,
 * `ours` is what that says, and `others` what the other files do: then what is added already
 * is kept, unless there is no longer anything to which it would be added. An allow-list that
 * we had for ourselves would forbid all that the service needs.
 */
void
unit_needs_find(const struct unit_properties *properties,
	const struct unit_settings *ours, const struct unit_settings *others,
	const char *library, const char *socket, struct unit_needs *ret_needs);

#endif
