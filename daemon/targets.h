/* SPDX-License-Identifier: MIT */
/*
 * All targets: who is let in, how many of whom, and how long a segment is kept.
 *
 *	guest -> living -> orphan: nobody is left who has a loop in it -> forgotten
 *
 * An orphan is kept for a while: the process that registered it may have left a child that
 * has no loop yet, as a daemon does that forks at its start.
 */
#ifndef LOOPLAG_DAEMON_TARGETS_H
#define LOOPLAG_DAEMON_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/collector.h"

#define TARGETS_ORPHANS 256
#define TARGETS_ORPHAN_NS 300000000000ull /* unless it is told to be less */

struct event_loop;
struct group;
struct groups;
struct ledger;
struct naming;
struct quota;
struct reception_guest;
struct target;
struct target_past;
struct target_stalls;
struct targets;

/* All but the result is borrowed. NULL without memory. */
struct targets *
targets_new(struct event_loop *loop, struct groups *groups, const struct naming *naming,
	struct target_stalls *stalls, struct collector_stats *stats, struct quota *quota);
void
targets_free(struct targets *targets);

/* Let the guest in. Takes over its descriptors. Returns 0, or -1 with the reason. */
__attribute__((warn_unused_result)) int
targets_admit(struct targets *targets, const struct reception_guest *guest,
	enum collector_reason *ret_reason);

/* Bring back one that was kept, with its segment, which was kept by the service manager, or
 * -1, and the registration that it goes on with, or NULL. Takes over the descriptor. NULL
 * without memory, when that stays the caller's. */
struct target *
targets_restore(struct targets *targets, const struct target_past *past, int fd,
	bool kept, struct target *older);

/* Whether there are any that are alive and absent. */
bool
targets_miss_any(const struct targets *targets);

/* From now on targets are kept there. Borrowed. */
void
targets_set_ledger(struct targets *targets, struct ledger *ledger);

/*
 * Put what has changed into the ledger; after its commit, have the segments kept too.
 *
 * some: only a part of it, as all at once would delay others. Returns whether there may be
 *       more. It must not be committed without the rest, by targets_save().
 */
void
targets_save(struct targets *targets);
bool
targets_save_some(struct targets *targets, uint64_t now_ns);
void
targets_keep_segments(struct targets *targets);

/* Keep the one that was let in last, of which nothing was read yet: in the ledger, with a
 * commit, and its segment. Returns false if all else must be saved, too. */
__attribute__((warn_unused_result)) bool
targets_keep_newest(struct targets *targets);

/* Whether any have come or gone since they were saved. */
bool
targets_have_changed(const struct targets *targets);

/* From now on an orphan is kept no longer than that. */
void
targets_keep_orphans(struct targets *targets, uint64_t kept_ns);

/* In a sweep of the groups: keep those that targets tell of. */
void
targets_keep_groups(const struct targets *targets, uint64_t now_ns);

/* Read all of them for somebody who asks: begin, and then read some as long as there are
 * more, which is returned, as all at once would delay others. */
void
targets_read_begin(struct targets *targets);
bool
targets_read_more(struct targets *targets, uint64_t now_ns);

/* Instead of targets_read_more(): only find the stalls that there are by now. */
bool
targets_look_more(struct targets *targets, uint64_t now_ns);

/* Tell a group, which was told group_begin_reading(), who lives in it and what is open, as
 * it is known. NULL: no group, for those that are in none yet. */
void
targets_tell(struct targets *targets, const struct group *group);

/* How many loops live in all of them, as was known last. */
size_t
targets_count_loops(const struct targets *targets);

/* Read the next few of them, so that no time and no death is missed where nobody asks.
 * Returns whether there are more in this round. */
bool
targets_read_some(struct targets *targets, uint64_t now_ns);

/* Look for stalls: at the next targets of a round. Returns whether the round is over, as so
 * much at once would delay others; and then when the next one should be, UINT64_MAX if
 * there is nobody but ourselves. */
bool
targets_watch(struct targets *targets, uint64_t now_ns, uint64_t *ret_next_ns);

#endif
