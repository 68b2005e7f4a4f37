/* SPDX-License-Identifier: MIT */
/*
 * What the list of targets is made of, for its own files:
 *
 *	targets.c       who comes and goes, and who is read when
 *	targets_save.c  what is kept of them for the daemon after us
 */
#ifndef LOOPLAG_DAEMON_TARGETS_PRIVATE_H
#define LOOPLAG_DAEMON_TARGETS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/target.h"
#include "daemon/targets.h"

/* Enough that few groups share one. */
#define TARGETS_CHAINS 256

struct event_watch;

struct entry {
	/* What every round of quick looks needs: */
	TAILQ_ENTRY(entry) entry;
	uint64_t watch_ns; /* when to look for its stalls again */
	struct target_rest rest;
	/* All else: */
	struct target *target;
	struct targets *targets;
	TAILQ_ENTRY(entry) member;
	const struct group *group; /* in whose chain it is */
	struct event_watch *death;
	pid_t pid;       /* the target's: what others are told apart by */
	unsigned units;  /* of its user's quota of segments */
	bool kept;       /* the service manager has its segment too */
	bool superseded; /* its process has registered anew, or is another program */
	uint64_t orphan_since_ns; /* 0: it is none */
};

struct targets {
	struct event_loop *loop;
	struct groups *groups;
	const struct naming *naming;
	struct target_stalls *stalls;
	struct collector_stats *stats;
	struct quota *quota;
	struct ledger *ledger; /* NULL: nothing is kept */
	bool changed;          /* since that was written */
	bool partial;          /* what was put there is worth nothing without the rest */
	uint64_t orphan_ns;
	TAILQ_HEAD(entries, entry) entries;    /* in the order in which they came */
	struct entries chains[TARGETS_CHAINS]; /* the same by group, see find_chain() */
	struct entry *next;    /* to be read in this round; NULL: it is over */
	struct entry *asked;   /* the same for who asks */
	struct entry *watched; /* the same for quick looks */
	struct entry *saved;   /* the same for saving */
	uint64_t
		watch_ns; /* when the next round should be, as this one has seen so far */
	pid_t *registrants; /* whose processes are counted by themselves, sorted */
	size_t registrant_count;
};

#endif
