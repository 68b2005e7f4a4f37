/* SPDX-License-Identifier: MIT */
/* Finds out which drop-in enables a service: where it lies and what it says. Nothing is
 * changed. */
#ifndef LOOPLAG_CLI_ENABLE_PLAN_H
#define LOOPLAG_CLI_ENABLE_PLAN_H

#include <limits.h>
#include <stdbool.h>

#include "cli/unit_needs.h"

/* Where systemd reads what an administrator writes, for good and until the next boot. */
#define ENABLE_PLAN_LASTING "/etc/systemd/system"
#define ENABLE_PLAN_RUNTIME "/run/systemd/system"

struct enable_options;
struct findings;
struct service;

struct enable_plan {
	char by[PATH_MAX]; /* the file by which it is enabled, and not by us; or empty */
	char path[PATH_MAX];     /* the drop-in */
	char *before, *after;    /* what it says, NULL: it is not there; and is to say */
	char old_path[PATH_MAX]; /* one of ours whose place it takes, or empty */
	char *old;
	char library[PATH_MAX]; /* as the service is to see it */
	struct unit_needs needs;
};

/* Make one. What stands in the way is told as an obstacle, which leaves `after` NULL. Returns
 * 0 or -errno. */
__attribute__((warn_unused_result)) int
enable_plan_make(const struct service *service, const struct enable_options *options,
	struct findings *findings, struct enable_plan *ret_plan);
void
enable_plan_fini(struct enable_plan *plan);

#endif
