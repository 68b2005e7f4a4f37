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

#include "probes/segment.h"

struct captures;
struct collector_stats;
struct family;
struct group;
struct groups;
struct ledger;
struct naming;
struct processes;
struct quota;
struct record;
struct reception_guest;
struct series;
struct stalls;
struct target;

/* What a stall is, and who is told of them. */
struct target_stalls {
	uint64_t threshold_ns;
	uint64_t tick_ns; /* between two looks at a loop that may stall */
	uint64_t rest_ns; /* and at one that was not late */
	struct stalls *stalls;
	struct captures *captures;
	struct processes *processes; /* or NULL */
	uint64_t lost;               /* long iterations that were never seen */
	bool history;                /* what the daemons before us have told is known */
};

/* What one reading of a target is for. */
struct target_reading {
	uint64_t now_ns;
	struct collector_stats *stats;
	bool at_once; /* quick looks are due, whatever was planned */
	bool routine; /* nobody has asked: what only gets older may wait */
};

/* A target of a guest whose header was checked; takes over both descriptors, and borrows the
 * rest. NULL without memory, when the descriptors stay the caller's. */
struct target *
target_new(const struct reception_guest *guest, const struct segment_header *header,
	struct groups *groups, const struct naming *naming, struct target_stalls *stalls,
	struct quota *quota, uint64_t now_ns);

/*
 * What is kept of a target for the daemon after us: put into the ledger what has changed
 * since the last time; take out of it what is there.
 *
 * A target that was kept is given back its segment, and takes over that descriptor. Without
 * one, -1, it is absent: it cannot be read, but it is remembered what was told of its
 * loops, in case that they register again, until its process is dead.
 */
struct target_past {
	struct segment_header header; /* as it was checked once */
	char groupname[256];
	bool given; /* see groups.h */
	pid_t pid;
	uid_t uid;
	uint64_t serial, older; /* 0: none */
	bool superseded, dead;
	bool own; /* it was a daemon itself, whose end is no loss */
	uint64_t start_ticks, accepted_ns, age_ns, died_ns, known_ns;
	int64_t shift_ns;
	bool clock_known;
	uint64_t dropped_loops, dropped_threads, other_waits;
};

void
target_save(struct target *target, bool superseded, struct ledger *ledger);
void
target_unsave(struct target *target, struct ledger *ledger);

/* Returns whether it is one. */
bool
target_past_read(struct record *record, struct target_past *ret_past);

/* NULL without memory, when the descriptor stays the caller's. */
struct target *
target_restore(const struct target_past *past, int fd, struct groups *groups,
	const struct naming *naming, struct target_stalls *stalls, struct quota *quota);
/* One of its slots; `series` is what numbers in records mean. Returns whether it is one. */
bool
target_restore_slot(struct target *target, uint32_t index, struct record *record,
	struct series *const *series, size_t series_count);

/* Whether it could not be given back its segment. */
bool
target_is_absent(const struct target *target);

/* Its segment, for those who keep descriptors for us: borrowed; -1: none. */
int
target_segment(const struct target *target, const struct segment_header **ret_header);

/* How many of its loops have been lost with it, if it is absent. If nothing at all was known
 * of its loops that is `unknown`. */
unsigned
target_count_lost(const struct target *target, unsigned unknown);

/* Whether one of its loops was that process's, as far as we know. */
bool
target_had_member(const struct target *target, pid_t pid);

/* Forget it, with what was not read yet. */
void
target_free(struct target *target);

/* Returns whether anything may have happened in it since the last time. */
bool
target_read(struct target *target, const struct target_reading *reading);

/* Tell its series, which were told group_begin_reading(), which loops live and what is open,
 * as it is known. Of a target that is absent: what was told of it stays open. */
void
target_tell(const struct target *target);

/* When to look at what is looked at so often: all loops at the same moments, so that one
 * round does for them. */
static inline uint64_t
target_next_look(uint64_t period_ns, uint64_t now_ns)
{
	return now_ns - now_ns % period_ns + period_ns;
}

/* That all its loops are at rest: as long as a count of its segment stays. */
struct target_rest {
	const uint32_t *wakes; /* others write it; NULL: they are not */
	uint32_t known_wakes;
};

/* Whether they still are: all that a round of looks takes for most targets. */
static inline bool
target_rests(const struct target_rest *rest)
{
	return rest->wakes &&
	       __atomic_load_n(rest->wakes, __ATOMIC_RELAXED) == rest->known_wakes;
}

/* Look quickly whether a loop stalls, and read its slot only then. Returns when to look
 * again, as reading->now_ns has it, and whether all its loops are at rest, by words that are
 * borrowed as long as it lives. */
uint64_t
target_watch(struct target *target, const struct target_reading *reading,
	struct target_rest *ret_rest);

/* The process that registered it. */
pid_t
target_pid(const struct target *target);
/* NULL while no loop was seen in it. */
const struct group *
target_group(const struct target *target);
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

/* Whether both registered the same program in its course. */
bool
target_is_same_program(const struct target *a, const struct target *b);

/* What is to be saved with it has changed. */
void
target_touch(struct target *target);

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

/* How many loops live in it, as was known last, without those that have moved to a later
 * registration. */
unsigned
target_count_loops(const struct target *target);

/* In a sweep of the groups: keep those that the target tells of. */
void
target_keep_groups(const struct target *target, bool living, uint64_t now_ns);

/* Tell the target's group how many living processes the target stands for now. */
void
target_count_processes(struct target *target, unsigned count);

#endif
