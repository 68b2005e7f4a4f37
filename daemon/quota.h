/* SPDX-License-Identifier: MIT */
/*
 * Quotas: what one user may have of what is there for all. Users are told apart by the
 * number that the kernel has for them, also within a user namespace.
 *
 * What is held: a user has at most a fixed share, and never more than is left for others;
 * so whoever comes next gets something. What is done: so much a second, and at first a
 * burst. Root, and the user that we run as, have a larger share, and all that is left.
 *
 * Pure: takes time as an argument. Every function takes NULL for a quota: then nobody has
 * any limit.
 */
#ifndef LOOPLAG_DAEMON_QUOTA_H
#define LOOPLAG_DAEMON_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum quota_held {
	QUOTA_SEGMENTS, /* in units of 64 slots */
	QUOTA_LOOPS,    /* slots that are looked at */
	QUOTA_GROUPS,   /* that its processes have named */
	QUOTA_SERIES,
	QUOTA_STACKS, /* stalls whose stacks are being taken */
	QUOTA_JOBS,   /* stacks that wait for their names */
	QUOTA_HELD
};

enum quota_done {
	QUOTA_HANDSHAKES,
	QUOTA_LOOKUPS, /* of threads in /proc */
	QUOTA_LOOKS, /* at a loop that is late, and at its thread, between two readings */
	QUOTA_CAPTURES,
	QUOTA_DONE
};

#define QUOTA_USERS 1024 /* who hold something; those beyond share one quota */

struct quota;

/* NULL without memory. */
struct quota *
quota_new(void);
void
quota_free(struct quota *quota);

/* From now on there are so many for all users together. */
void
quota_set_total(struct quota *quota, enum quota_held what, uint64_t total);

/* The user gets so many more. Returns 0; -EDQUOT: it has its share; or -ENOSPC: there is
 * nothing left for anybody. */
__attribute__((warn_unused_result)) int
quota_take(struct quota *quota, uid_t uid, enum quota_held what, unsigned count);

/* The user gives back what it took. */
void
quota_return(struct quota *quota, uid_t uid, enum quota_held what, unsigned count);

/* The user does it once more, now. Returns 0, or -EDQUOT: it has to wait. */
__attribute__((warn_unused_result)) int
quota_do(struct quota *quota, uid_t uid, enum quota_done what, uint64_t now_ns);

/* What it has just done was worth so many more, and its next one has to wait for that. */
void
quota_owe(struct quota *quota, uid_t uid, enum quota_done what, unsigned count);

#endif
