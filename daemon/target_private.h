/* SPDX-License-Identifier: MIT */
/*
 * What a target is made of, for its own files:
 *
 *	target.c        the process that registered it, its clock, its life
 *	target_slots.c  the slots: what was read of them, whose they are, their accounts
 *	target_watch.c  the slots' stalls, and quick looks for them
 *	target_record.c what is kept of all that for the daemon after us
 */
#ifndef LOOPLAG_DAEMON_TARGET_PRIVATE_H
#define LOOPLAG_DAEMON_TARGET_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/account.h"
#include "daemon/cause.h"
#include "daemon/episodes.h"
#include "daemon/groups.h"
#include "daemon/identity.h"
#include "daemon/target.h"
#include "probes/segment.h"

struct collector_stats;
struct family;
struct naming;
struct naming_query;
struct quota;
struct reader;

/* The stalls of a slot. */
struct slot_watch {
	/* When to look again at the state, at the slot if the stall goes on, and at the
	 * thread. By our clock. */
	uint64_t peek_ns, look_ns, sample_ns;
	uint64_t sequence; /* of the slot, when a look at it left nothing to be done */
	bool open;         /* an episode is, and was told */
	bool may_ask;      /* for the thread's system call */
	struct episodes episodes;
	bool again;            /* it was told by another daemon: open it anew */
	uint64_t id;           /* of the stall; 0: the stalls had no room for it */
	struct series *series; /* where it counts */
	/* The iteration that was sampled, by the target's time, and what that showed. */
	uint64_t since_ns;
	struct cause cause;
};

#define SLOT_HEAD_BYTES offsetof(struct segment_slot, iteration)

struct slot {
	struct slot_watch watch; /* first, as it is in every look */
	struct series *series;
	uint64_t told_ns;            /* when it was brought into that, by our clock */
	uint32_t thread, generation; /* the loop's thread record, and its user then */
	unsigned tries;              /* to read it in one piece */
	bool busy;                   /* the last reading did not get it so */
	bool alive;
	bool moved;    /* a later registration goes on with the account */
	bool changed;  /* since it was saved */
	pid_t process; /* whose loop it is, when it was saved; 0: unknown */
	struct account account;
	/* What was read last, but for the histograms: those are in the account. */
	uint64_t head[SLOT_HEAD_BYTES / sizeof(uint64_t)];
};

struct target {
	/* What every look at it needs: */
	struct reader *reader;
	struct target_stalls *stalls;
	struct slot **slots; /* NULL where never used */
	uint64_t header_ns;  /* when to look for new slots */
	uint32_t granted;    /* slots, of its user's quota: the first ones */
	uint32_t refused;    /* those after them that are in use */
	bool absent;         /* its segment is lost */
	bool replaced;       /* its process may count its wakes elsewhere */
	/* All else: */
	int fd;
	struct groups *groups;
	struct quota *quota;
	const struct naming *naming;
	struct naming_query *query; /* NULL: it has been answered */
	char groupname[IDENTITY_NAME_BYTES];
	bool given; /* the name, see groups.h */
	const char *runtime;
	struct group *group; /* NULL until there is a loop in it */
	struct target *older;
	struct family *family;
	pid_t pid; /* 0: unknown */
	uid_t uid;
	int pidfd;
	uint64_t start_ticks;         /* 0: unknown */
	uint64_t accepted_ns, age_ns; /* when accepted, by our clock, and its age then */
	uint64_t died_ns;             /* by our clock; 0: it lives, or nobody knows */
	uint64_t
		known_ns; /* by its clock: earlier stalls were told by another daemon; or 0 */
	int64_t shift_ns; /* its clock is ahead of ours */
	bool clock_known;
	bool descriptors_hidden; /* we may not look at them */
	bool own;                /* it was the daemon before us, or one before that */
	bool changed;            /* since it was saved; not its slots */
	uint64_t serial;         /* its number among all targets */
	unsigned processes;      /* as told to the group, if there is one */
	uint64_t dropped_loops, dropped_threads, other_waits;
};

/* Whether a loop in that state, its slot at that sequence, waits or has ended: nothing of it is
 * under way. */
static inline bool
target_state_rests(uint64_t state, uint64_t sequence)
{
	return !state ||
	       (state & SEGMENT_ATTENDED && !segment_is_written(state, sequence));
}

/* Whether the process behind a pidfd is dead. */
bool
target_has_died(int pidfd);

/* The process of a slot's loop, as far as it is known; the registrant otherwise. */
pid_t
target_process(const struct target *target, const struct slot *slot);

/* A number for a new target. */
uint64_t
target_next_serial(void);

/* Find out what its group is to be called. Returns whether that is known by now; borrowed. */
bool
target_group_name(struct target *target, uint64_t now_ns, struct groups_name *ret_name);

/* Make the target one of the group, unless it has one already. Returns 0, or -1: there is
 * none. */
int
target_slots_join(struct target *target, struct group *group);

/* How many of its slots are looked at: those in use, as far as its user's quota goes. */
uint32_t
target_slots_count(struct target *target, struct collector_stats *stats);

/* Read the slot and bring what happened in it into its series. The target's reader has
 * begun. Returns whether that may be anything but rest. */
bool
target_slots_read(
	struct target *target, uint32_t index, const struct target_reading *reading);

/* See target_tell(). */
void
target_slots_tell(const struct target *target);

/* The slot will not be read any more: what was told of it while it lasted stays. */
void
target_slots_end(struct target *target, uint32_t index);

/* The slot was accounted as it is `now`: find the stalls in it. */
void
target_watch_account(struct target *target, uint32_t index,
	const struct segment_slot *now, struct series *series,
	const struct account_reading *facts, const struct account_result *result,
	const struct target_reading *reading);

/* The slot will not be read any more: what is open in it ends as it is known. */
void
target_watch_end(struct target *target, uint32_t index);

#endif
