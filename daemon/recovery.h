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
struct ledger;
struct targets;

/* Put the history into the groups, the targets and the stats, which are empty. Returns 0
 * or -errno: -EBADMSG for a history that makes no sense, of which some may be there. */
__attribute__((warn_unused_result)) int
recovery_run(struct ledger *ledger, struct fd_store *kept, struct groups *groups,
	struct targets *targets, struct collector_stats *stats);

/* Put what has changed in groups and stats into the ledger. */
void
recovery_save_groups(struct ledger *ledger, struct groups *groups);
void
recovery_save_stats(struct ledger *ledger, const struct collector_stats *stats);

#endif
