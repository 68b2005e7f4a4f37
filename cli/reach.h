/* SPDX-License-Identifier: MIT */
/* Whether a process of another user, perhaps with other mounts, could open a file. */
#ifndef LOOPLAG_CLI_REACH_H
#define LOOPLAG_CLI_REACH_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#define REACH_GROUPS 64

/* Its user and groups. */
struct reach_user {
	uid_t uid;
	gid_t groups[REACH_GROUPS];
	size_t group_count;
};

enum reach_result {
	REACH_YES,
	REACH_MISSING, /* a part of the path is not there */
	REACH_DENIED,  /* by the mode of a part of the path */
	REACH_NOEXEC,  /* it may be read, but not mapped to be run */
};

/* This process. */
struct reach_user
reach_this_user(void);

/*
 * Whether the user may open `path`, an absolute one, below the root directory `root`, to
 * read it and to run code of it (`mode` is R_OK | X_OK, the file's own execute bit does not
 * matter) or to connect to it (W_OK). Where links lead is looked at, not the way to there.
 * What cannot be found out, as with access control lists, is believed to be possible.
 * ret_part, with room for PATH_MAX, gets the part of the path that is missing or denied.
 */
__attribute__((warn_unused_result)) enum reach_result
reach_check(const char *root, const char *path, const struct reach_user *user, int mode,
	char *ret_part);

#endif
