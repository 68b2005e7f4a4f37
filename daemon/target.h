/* SPDX-License-Identifier: MIT */
/*
 * One target: a segment, the process that registered it, and the children that it forked
 * and that have loops in the segment too. Knows whose loops are whose, which of them live,
 * and brings what they did into the series of the target's group.
 */
#ifndef LOOPLAG_DAEMON_TARGET_H
#define LOOPLAG_DAEMON_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct captures;
struct collector_stats;
struct family;
struct group;
struct groups;
struct naming;
struct reception_guest;
struct segment_header;
struct stalls;
struct target;

/* What a stall is, and who is told of them. */
struct target_stalls {
	uint64_t threshold_ns;
	uint64_t tick_ns; /* between two looks at a loop that may stall */
	uint64_t rest_ns; /* and at one that was not late */
	struct stalls *stalls;
	struct captures *captures;
	uint64_t lost; /* long iterations that were never seen */
};

/* What one reading of a target is for. */
struct target_reading {
	uint64_t now_ns;
	bool seen; /* the groups were told groups_begin_reading(): tell them who lives */
	struct collector_stats *stats;
};

/* A target of a guest whose header was checked; takes over both descriptors, and borrows the
 * rest. NULL without memory, when the descriptors stay the caller's. */
struct target *
target_new(const struct reception_guest *guest, const struct segment_header *header,
	struct groups *groups, const struct naming *naming, struct target_stalls *stalls,
	uint64_t now_ns);

/* Forget it, with what was not read yet. */
void
target_free(struct target *target);

void
target_read(struct target *target, const struct target_reading *reading);

/* Look quickly whether a loop stalls, and read its slot only then. Returns when to look
 * again, as reading->now_ns has it. */
uint64_t
target_watch(struct target *target, const struct target_reading *reading);

/* The process that registered it. */
pid_t
target_pid(const struct target *target);
uid_t
target_uid(const struct target *target);
int
target_pidfd(const struct target *target);
bool
target_is_alive(const struct target *target);

/* It has died, at that moment or, if that is 0, nobody knows when. */
void
target_died(struct target *target, uint64_t now_ns);

/* Whether both are of the same process, by pid and start. */
bool
target_is_same_process(const struct target *a, const struct target *b);

/* Whether both have one id, and `target` is no later registration than `other`. */
bool
target_repeats(const struct target *target, const struct target *other);

/* Who has loops in it. Borrowed. */
struct family *
target_family(const struct target *target);

/* Loops may have moved here from an earlier registration, or NULL: it goes on with their
 * accounts. `older` must outlive the target or be replaced. */
void
target_set_older(struct target *target, struct target *older);
struct target *
target_older(const struct target *target);

/* Tell the target's group how many living processes the target stands for now. */
void
target_count_processes(struct target *target, unsigned count);

#endif
