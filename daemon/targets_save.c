/* SPDX-License-Identifier: MIT */
/* What is kept of the targets: in the ledger, and with the service manager. */

#include "config.h"

#include "daemon/event.h"
#include "daemon/fd_store.h"
#include "daemon/ledger.h"
#include "daemon/target.h"
#include "daemon/targets_private.h"

/* So long may a part of saving take. */
#define SAVE_NS 500000ull

void
targets_set_ledger(struct targets *targets, struct ledger *ledger)
{
	targets->ledger = ledger;
}

void
targets_save(struct targets *targets)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		target_save(entry->target, entry->superseded, targets->ledger);
	targets->changed = targets->partial = false;
	targets->saved = NULL;
}

bool
targets_save_some(struct targets *targets, uint64_t now_ns)
{
	struct entry *entry = targets->saved;

	if (!entry)
		entry = TAILQ_FIRST(&targets->entries);
	targets->partial = true;
	for (; entry && event_now_ns() - now_ns <= SAVE_NS;
		entry = TAILQ_NEXT(entry, entry))
		target_save(entry->target, entry->superseded, targets->ledger);
	targets->saved = entry;
	return entry;
}

static void
keep_segment(struct entry *entry)
{
	const struct segment_header *header;
	int fd;

	if (entry->kept || target_is_absent(entry->target))
		return;
	fd = target_segment(entry->target, &header);
	fd_store_keep(header, fd);
	entry->kept = true;
}

void
targets_keep_segments(struct targets *targets)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		keep_segment(entry);
}

bool
targets_keep_newest(struct targets *targets)
{
	struct entry *newest = TAILQ_LAST(&targets->entries, entries);

	if (targets->partial)
		return false;
	target_save(newest->target, newest->superseded, targets->ledger);
	ledger_commit(targets->ledger);
	keep_segment(newest);
	return true;
}

bool
targets_have_changed(const struct targets *targets)
{
	return targets->changed;
}
