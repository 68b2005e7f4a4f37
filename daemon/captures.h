/* SPDX-License-Identifier: MIT */
/*
 * Captures: when the stack of a stalled loop is taken, how, and what becomes of it. The
 * first one at the threshold, then at twice that length, four times, and so on, as long as
 * the group has not had its share of this minute.
 *
 *	want -> ring the target's bell -> its helper writes a record -> read, check it
 *	     -> or, where we may trace it, take registers and stack ourselves
 *	-> a thread of our own finds symbols -> frames -> stalls_add_sample()
 */
#ifndef LOOPLAG_DAEMON_CAPTURES_H
#define LOOPLAG_DAEMON_CAPTURES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/stall.h"

struct captures;
struct doorbell;
struct event_loop;
struct quota;
struct segment_header;
struct stalls;

/* Labels `result` of looplag_captures_total, in this order. */
enum captures_result {
	CAPTURES_TAKEN,   /* gave a stack */
	CAPTURES_LATE,    /* gave a stack, the JavaScript part after the fact */
	CAPTURES_LIMITED, /* not asked for: the group or the user had its share */
	CAPTURES_OFF,     /* switched off, there or here */
	CAPTURES_HANDLER, /* the program has SIGURG for itself */
	CAPTURES_SILENT,  /* no answer in time */
	CAPTURES_OVER,    /* the stall ended first */
	CAPTURES_REFUSED, /* no helper in the target, and we may not trace it */
	CAPTURES_FAILED,
	CAPTURES_RESULTS
};

const char *
captures_result_name(enum captures_result result);

/* A stalled loop, for as long as one call. */
struct captures_place {
	uint64_t stall; /* id */
	uint64_t length_ns;
	const char *groupname; /* of a group, whose name has one address */
	int segment;           /* descriptor */
	const struct segment_header *header;
	uint32_t slot;
	uint64_t since_ns; /* of the iteration, as the target's clock has it */
	int64_t shift_ns;  /* that clock is ahead of ours */
	pid_t pid, tid;    /* of the loop's thread, as we count; 0: unknown */
	uid_t uid;         /* of the process that registered */
	int pidfd;         /* of the process that registered, or -1 */
};

struct captures_settings {
	bool stacks;
	unsigned per_minute; /* in a group */
	uint64_t threshold_ns;
};

/* All is borrowed; `doorbell` may be NULL. NULL without memory. */
struct captures *
captures_new(struct event_loop *loop, struct doorbell *doorbell, struct stalls *stalls,
	struct quota *quota);
/* Stops its thread; stacks that were not finished are dropped. */
void
captures_free(struct captures *captures);

void
captures_set(struct captures *captures, const struct captures_settings *settings);

/* At each look at a stall that is open, and once when it has ended: take its stack if it is
 * time for that, and see what has come of earlier tries. Never waits. */
void
captures_look(struct captures *captures, const struct captures_place *place, bool ended,
	uint64_t now_ns);

/* The group is about to be forgotten, and its name with it: that may be another's next. */
void
captures_forget_group(struct captures *captures, const char *groupname);

/* How many captures ended so; for all groups. */
uint64_t
captures_count(const struct captures *captures, enum captures_result result);

#endif
