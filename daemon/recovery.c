/* SPDX-License-Identifier: MIT */
/* From records to groups and targets, and back for groups; see recovery.h. */

#include "config.h"

#include "daemon/recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/fd_store.h"
#include "daemon/gate.h"
#include "daemon/groups.h"
#include "daemon/hello.h"
#include "daemon/past.h"
#include "daemon/identity.h"
#include "daemon/ledger.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/segment_finder.h"
#include "daemon/target.h"
#include "daemon/targets.h"
#include "daemon/users.h"

/* A target that was restored, by the number that it had. */
struct restored {
	uint64_t serial;
	struct target *target;
};

struct recovery {
	struct groups *groups;
	struct targets *targets;
	struct collector_stats *stats;
	struct fd_store *kept;
	struct past *history;
	unsigned without_past; /* groups whose history could not be used */
	struct series *series[GROUPS_SERIES_MAX_ID]; /* by the number that they had */
	struct restored *restored;                   /* their serials grow */
	size_t count;
	struct record record;
};

/* Counts of a list that may be longer or shorter in another build. */
static void
put_counts(struct record *record, const uint64_t *counts, size_t count)
{
	record_put(record, count);
	for (size_t i = 0; i < count; i++)
		record_put(record, counts[i]);
}

static void
take_counts(struct record *record, uint64_t *ret_counts, size_t count)
{
	uint64_t there = record_take(record);

	memset(ret_counts, 0, count * sizeof(*ret_counts));
	for (uint64_t i = 0; i < there && !record->bad; i++) {
		uint64_t number = record_take(record);

		if (i < count)
			ret_counts[i] = number;
	}
}

void
recovery_save_stats(struct ledger *ledger, const struct collector_stats *stats)
{
	static struct record record;
	const struct ledger_key key = {.kind = LEDGER_STATS};

	record_begin(&record);
	put_counts(&record, stats->rejected, COLLECTOR_REASONS);
	put_counts(&record, stats->captures, CAPTURES_RESULTS);
	record_put(&record, stats->dropped_slots);
	record_put(&record, stats->dropped_threads);
	record_put(&record, stats->dropped_restart);
	record_put(&record, stats->dropped_quota);
	record_put(&record, stats->waits);
	record_put(&record, stats->targets);
	record_put(&record, stats->missed);
	record_put(&record, stats->hidden);
	ledger_put(ledger, &key, &record);
}

static bool
restore_stats(struct recovery *recovery)
{
	struct collector_stats *stats = recovery->stats;
	struct record *record = &recovery->record;

	take_counts(record, stats->rejected, COLLECTOR_REASONS);
	take_counts(record, stats->captures, CAPTURES_RESULTS);
	stats->dropped_slots = record_take(record);
	stats->dropped_threads = record_take(record);
	stats->dropped_restart = record_take(record);
	stats->dropped_quota = record_take(record);
	stats->waits = record_take(record);
	stats->targets = record_take(record);
	stats->missed = record_take(record);
	stats->hidden = record_take(record);
	return record_is_read(record);
}

static void
save_series(void *arg, const struct series *series, const struct group_view *group,
	const struct series_view *view)
{
	static struct record record;
	const struct ledger_key key = {LEDGER_SERIES, 0, series_id(series)};
	bool given;
	uid_t group_uid = series_group_uid(series, &given);

	record_begin(&record);
	record_put_text(&record, group->groupname);
	record_put(&record, group_uid);
	record_put(&record, given);
	record_put(&record, series_uid(series));
	record_put_text(&record, group->runtime ? group->runtime : "");
	record_put_text(&record, group->user ? group->user : "");
	record_put_text(&record, view->loop);
	record_put_counters(&record, view->total);
	put_counts(&record, view->stalls->count, STALL_CAUSES);
	put_counts(&record, view->stalls->length_ns, STALL_CAUSES);
	record_put(&record, (uint64_t)view->stalls->last_unix_ns);
	record_put(&record, view->started_ns);
	ledger_put(arg, &key, &record);
}

static void
forget_series(void *arg, uint32_t id)
{
	const struct ledger_key key = {LEDGER_SERIES, 0, id};

	ledger_forget(arg, &key);
}

void
recovery_save_groups(struct ledger *ledger, struct groups *groups)
{
	if (!ledger)
		return;
	groups_each_forgotten(groups, forget_series, ledger);
	groups_each_changed(groups, save_series, ledger);
}

static bool
restore_series(struct recovery *recovery, const struct ledger_key *key)
{
	static struct counters total;
	struct record *record = &recovery->record;
	char name[IDENTITY_NAME_BYTES], runtime[64], loop[IDENTITY_NAME_BYTES];
	char user[USERS_NAME_BYTES];
	struct groups_name wanted = {.name = name};
	struct stall_counters stalls;
	uint64_t started_ns;
	struct group *group;
	uid_t uid;

	record_take_text(record, name, sizeof(name));
	wanted.uid = (uid_t)record_take(record);
	wanted.given = record_take(record);
	uid = (uid_t)record_take(record);
	record_take_text(record, runtime, sizeof(runtime));
	record_take_text(record, user, sizeof(user));
	record_take_text(record, loop, sizeof(loop));
	record_take_counters(record, &total);
	take_counts(record, stalls.count, STALL_CAUSES);
	take_counts(record, stalls.length_ns, STALL_CAUSES);
	stalls.last_unix_ns = (int64_t)record_take(record);
	started_ns = record_take(record);
	if (!record_is_read(record) || key->number >= GROUPS_SERIES_MAX_ID)
		return false;
	group = groups_join(recovery->groups, &wanted);
	if (!group)
		return false;
	if (runtime[0])
		group_set_runtime(group, runtime);
	if (user[0])
		group_set_user(group, user);
	recovery->series[key->number] = group_series_for(group, loop, uid);
	if (!recovery->series[key->number])
		return false;
	series_restore(recovery->series[key->number], &total, &stalls, started_ns);
	return true;
}

static struct target *
find_restored(const struct recovery *recovery, uint64_t serial)
{
	size_t low = 0, high = recovery->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (recovery->restored[middle].serial == serial)
			return recovery->restored[middle].target;
		if (recovery->restored[middle].serial < serial)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Get the segment back, if it can be had; -1 otherwise. */
static int
find_segment(struct recovery *recovery, const struct target_past *past, bool *ret_kept)
{
	int fd = fd_store_take(recovery->kept, &past->header);
	enum collector_reason reason;

	*ret_kept = fd >= 0;
	if (fd < 0)
		return past->dead || past->pid <= 0
			       ? -1
			       : segment_finder_open(past->pid, &past->header);
	if (gate_check(fd, past->header.size, &reason) == 0)
		return fd;
	fd_store_drop(&past->header);
	close(fd);
	return -1;
}

static bool
restore_target(struct recovery *recovery, uint64_t serial)
{
	struct target_past past;
	enum collector_reason reason;
	struct segment_hello hello;
	struct restored *more;
	struct target *target;
	bool kept;
	int fd;

	if (!target_past_read(&recovery->record, &past))
		return false;
	hello = hello_of_header(&past.header);
	/* Another build may want other segments. */
	if (hello_check_header(&hello, &past.header, &reason) < 0)
		return false;
	more = realloc(recovery->restored, (recovery->count + 1) * sizeof(*more));
	if (!more)
		return false;
	recovery->restored = more;
	fd = find_segment(recovery, &past, &kept);
	target = targets_restore(
		recovery->targets, &past, fd, kept, find_restored(recovery, past.older));
	if (!target) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	more[recovery->count++] = (struct restored){serial, target};
	return true;
}

static bool
restore_slot(struct recovery *recovery, const struct ledger_key *key)
{
	struct target *target = find_restored(recovery, key->number);

	return target && target_restore_slot(target, key->index, &recovery->record,
				 recovery->series, GROUPS_SERIES_MAX_ID);
}

/* Counters do not depend on it. */
static void
restore_history(struct recovery *recovery)
{
	if (recovery->history && !past_restore(recovery->history, recovery->groups,
					 event_now_ns(), &recovery->record))
		recovery->without_past++;
}

static bool
restore(struct recovery *recovery, const struct ledger_key *key)
{
	switch (key->kind) {
	case LEDGER_STATS:
		return restore_stats(recovery);
	case LEDGER_SERIES:
		return restore_series(recovery, key);
	case LEDGER_TARGET:
		return restore_target(recovery, key->number);
	case LEDGER_SLOT:
		return restore_slot(recovery, key);
	case LEDGER_HISTORY:
		restore_history(recovery);
		return true;
	case LEDGER_ABOUT:
		break;
	}
	return false;
}

int
recovery_run(struct ledger *ledger, struct fd_store *kept, struct groups *groups,
	struct targets *targets, struct collector_stats *stats, struct past *history)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	struct ledger_key key;
	bool good = true;

	if (!recovery)
		return -ENOMEM;
	recovery->groups = groups;
	recovery->targets = targets;
	recovery->stats = stats;
	recovery->kept = kept;
	recovery->history = history;
	while (good && ledger_next(ledger, &key, &recovery->record))
		good = restore(recovery, &key);
	if (good && recovery->without_past)
		log_warn("ledger",
			"the last minutes of %u groups make no sense; the page begins "
			"without them",
			recovery->without_past);
	free(recovery->restored);
	free(recovery);
	return good ? 0 : -EBADMSG;
}
