/* SPDX-License-Identifier: MIT */
/* Which of this machine's files a unit sees, by its settings. Pure. */
#ifndef LOOPLAG_CLI_UNIT_VIEW_H
#define LOOPLAG_CLI_UNIT_VIEW_H

#include <stdbool.h>

struct unit_properties;

enum unit_view {
	UNIT_VIEW_OPEN, /* nothing hides it */
	UNIT_VIEW_BOUND, /* something would, but BindPaths= or BindReadOnlyPaths= shows it */
	UNIT_VIEW_COVERED, /* it is hidden, and either of these could show it */
	UNIT_VIEW_CLOSED,  /* it is hidden, and nothing helps */
};

/* How it sees a path; ret_hider gets the setting that hides it. */
enum unit_view
unit_view_of(const struct unit_properties *properties, const char *path,
	const char **ret_hider);

/* The setting that gives it a root directory of its own, or NULL. */
const char *
unit_view_own_root(const struct unit_properties *properties);

#endif
