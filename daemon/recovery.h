/* SPDX-License-Identifier: MIT */
/*
 * Recovery: makes groups, counts and targets of what the daemon before us has left in the
 * ledger. A segment comes back from the service manager's store, or from the process
 * itself; failing both the target is absent until its process registers again.
 */
#ifndef LOOPLAG_DAEMON_RECOVERY_H
#define LOOPLAG_DAEMON_RECOVERY_H

#include <stdbool.h>

struct collector_stats;
struct fd_store;
struct groups;
struct past;
struct ledger;
struct targets;

/* Put what is there into the groups, the targets, the stats, and the history for the page,
 * unless that is NULL; all of them are empty. Returns 0 or -errno: -EBADMSG for what makes
 * no sense, of which some may be there. A past of groups that does not is left out, which
 * is logged. */
__attribute__((warn_unused_result)) int
recovery_run(struct ledger *ledger, struct fd_store *kept, struct groups *groups,
	struct targets *targets, struct collector_stats *stats, struct past *history);

/* Put what has changed in groups and stats into the ledger. */
void
recovery_save_groups(struct ledger *ledger, struct groups *groups);
void
recovery_save_stats(struct ledger *ledger, const struct collector_stats *stats);

#endif
