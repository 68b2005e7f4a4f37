/* SPDX-License-Identifier: MIT */
/*
 * What groups and series are made of, for their own files:
 *
 *	groups.c        names, limits and totals
 *	groups_sweep.c  those that are forgotten
 */
#ifndef LOOPLAG_DAEMON_GROUPS_PRIVATE_H
#define LOOPLAG_DAEMON_GROUPS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/counters.h"
#include "daemon/groups.h"
#include "daemon/window.h"

struct series {
	struct group *group;
	uid_t uid; /* for whom it was made */
	bool paid; /* it is one of that user's quota */
	uint32_t id;
	char *loop;
	struct counters total;
	/* What else series_add() writes lies between what it adds to. */
	bool changed; /* since groups_each_changed() told of it */
	bool started; /* started_ns is known */
	uint64_t started_ns;
	uint64_t longest_ns; /* since groups_take_longest_ns() took it */
	struct window window;
	uint64_t *open_ns;
	size_t open_count, open_room;
	unsigned loops;
	struct stall_counters stalls;
	unsigned stalled;
	uint64_t stall_age_ns;
	struct series_stall last_stalls[SERIES_LAST_STALLS];
};

struct group {
	struct groups *groups;
	char *name;
	uint32_t id;
	uid_t uid; /* who has chosen the name */
	bool given;
	bool paid;          /* it is one of a user's quota */
	bool kept;          /* in this sweep */
	uint64_t living_ns; /* when somebody lived in it, as far as sweeps have seen */
	char *runtime, *user;
	unsigned processes;
	struct series **series;
	size_t series_count;
};

struct groups {
	struct quota *quota;
	struct group **groups;
	size_t count, max;
	size_t series_count; /* in all groups */
	/* Numbers that are in use, and those of series that were and nobody was told of. */
	bool ids[GROUPS_MAX_ID], series_ids[GROUPS_SERIES_MAX_ID];
	bool forgotten[GROUPS_SERIES_MAX_ID];
};

/* It is in no list any more. */
void
group_free(struct group *group);

#endif
