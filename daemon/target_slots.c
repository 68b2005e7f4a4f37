/* SPDX-License-Identifier: MIT */
/* The slots of a target: reads them, finds out whose they are and what became of them, and
 * brings their accounts into the series of the group. */

#include "config.h"

#include "daemon/target_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/processes.h"
#include "daemon/quota.h"
#include "daemon/reader.h"
#include "daemon/users.h"
#include "daemon/window.h"

/* A process may be this much older than its start time tells, a tick. */
#define AGE_SLACK_NS 20000000ull
/* Of reading a slot in one piece: for the first time, and when that has never worked of
 * late. */
#define TRIES_MIN 2
/* Before the end of a slot of the windows: time for loops that are read late. */
#define LIFE_EARLY_NS 2000000000ull
/* Registrations of a process that are searched for a loop. */
#define OLDER_MAX 16

/* Whether the epoll instance of a loop that is unattended is no more. */
static bool
is_closed(struct target *target, const struct slot *slot, const struct segment_slot *now,
	uint64_t clock_ns)
{
	uint64_t since = account_unattended_since(&slot->account, now);
	pid_t tgid;
	int r;

	if (!since || now->kind != SEGMENT_KIND_EPOLL || now->descriptor < 0 ||
		target->descriptors_hidden || clock_ns < since + SEGMENT_LONG_NS ||
		now->thread >= reader_header(target->reader)->thread_count)
		return false;
	tgid = family_process(target->family, now->thread);
	if (tgid <= 0)
		return false;
	r = identity_is_epoll(tgid, now->descriptor);
	if (r == -EACCES || r == -EPERM)
		target->descriptors_hidden = true;
	/* A process that dies loses its descriptors first, and that is another matter. */
	return r == 0 && !(tgid == target->pid && target_has_died(target->pidfd));
}

/* Fill in what is known about the loop's thread and process. */
static void
find_fate(struct target *target, const struct slot *slot, const struct segment_slot *now,
	const struct target_reading *reading, struct account_reading *ret)
{
	struct reader_thread record = reader_thread(target->reader, now->thread);
	bool same_thread = slot->generation == record.generation;
	pid_t tgid;

	if (now->thread >= reader_header(target->reader)->thread_count) {
		ret->owner_dead = ret->process_dead = family_is_dead(target->family);
		return;
	}
	ret->owner_dead = record.owner & SEGMENT_OWNER_DIED || !same_thread;
	/* Its mark may come to our eyes before the process's own. */
	if (ret->owner_dead && !slot->account.over && !family_is_dead(target->family) &&
		target_has_died(target->pidfd))
		target_died(target, reading->now_ns);
	if (!family_is_dead(target->family))
		return;
	tgid = same_thread ? family_process(target->family, now->thread) : 0;
	ret->owner_dead =
		ret->owner_dead || !family_is_living(target->family, now->thread);
	ret->process_dead = ret->owner_dead && (tgid == target->pid || !tgid);
	if (ret->process_dead && target->died_ns)
		ret->died_ns = target->died_ns + (uint64_t)target->shift_ns;
}

/* The slot of an earlier registration where the loop was before it moved here, or NULL. It
 * has the same place in all of them, unless that was taken. Only who wants us to search
 * registers more often than that before its loops have moved. */
static struct slot *
find_before(struct target *target, const struct segment_slot *now, uint32_t index)
{
	struct target *t = target->older;

	for (unsigned i = 0; t && i < OLDER_MAX; t = t->older, i++) {
		uint32_t count = reader_header(t->reader)->slot_count;

		for (uint32_t j = 0; j < count; j++) {
			struct slot *old = t->slots[(index + j) % count];

			if (old && !old->moved && !account_is_new(&old->account, now))
				return old;
		}
	}
	return NULL;
}

/* Go on with the account of a loop that has moved here. */
static void
take_over(struct target *target, struct slot *slot, const struct segment_slot *now,
	uint32_t index)
{
	struct slot *old = find_before(target, now, index);

	if (!old)
		return;
	slot->account = old->account;
	slot->series = old->series;
	slot->watch = old->watch;
	old->moved = old->changed = true;
	old->watch.peek_ns = UINT64_MAX;
}

/* Whether the loop that is in a slot goes on elsewhere, with all that it has counted: in a
 * later registration, which may have been read already. */
static bool
has_moved(const struct segment_slot *slot)
{
	return !slot->state && !slot->ended_ns;
}

/* Remember whose loop is in the slot. */
static void
note_thread(const struct target *target, struct slot *slot, uint32_t thread)
{
	slot->thread = thread;
	slot->generation = reader_thread(target->reader, slot->thread).generation;
}

uint32_t
target_slots_count(struct target *target, struct collector_stats *stats)
{
	uint32_t used = reader_slots(target->reader);

	/* Once refused they stay so, however little is left of their user's work. */
	while (!target->refused && target->granted < used &&
		quota_take(target->quota, target->uid, QUOTA_LOOPS, 1) == 0)
		target->granted++;
	if (target->granted + target->refused < used) {
		stats->dropped_quota += used - target->granted - target->refused;
		target->refused = used - target->granted;
	}
	return target->granted;
}

/* Read a slot anew, to ret_now: its histograms only if it has changed. What may be a loop
 * that is just moving here is not known by half of it. Returns NULL if there is nothing to
 * tell about it. */
static struct slot *
read_slot(struct target *target, uint32_t index, struct segment_slot *ret_now,
	bool *ret_changed)
{
	static const uint64_t unused[SLOT_HEAD_BYTES / sizeof(uint64_t)];
	struct slot *slot = target->slots[index];
	enum reader_result result;

	if (slot && slot->moved)
		return NULL;
	memcpy(ret_now, slot ? slot->head : unused, SLOT_HEAD_BYTES);
	result = reader_read_slot(target->reader, index,
		family_is_dead(target->family) || (slot ? slot->busy : !target->older),
		slot ? slot->tries : TRIES_MIN,
		slot && slot->account.whole ? &slot->account.iteration : NULL, ret_now);
	*ret_changed = result == READER_WHOLE || result == READER_TORN;
	if (!slot) {
		if (!*ret_changed || !ret_now->born_ns || has_moved(ret_now))
			return NULL;
		slot = calloc(1, sizeof(*slot));
		if (!slot)
			return NULL;
		slot->tries = READER_TRIES;
		target->slots[index] = slot;
		note_thread(target, slot, ret_now->thread);
		take_over(target, slot, ret_now, index);
	}
	if (*ret_changed)
		memcpy(slot->head, ret_now, SLOT_HEAD_BYTES);
	slot->busy = result == READER_TORN || result == READER_BUSY;
	/* One that is written to whenever it is read costs less and less. */
	if (slot->busy && slot->tries > TRIES_MIN)
		slot->tries /= 2;
	else if (!slot->busy && slot->tries < READER_TRIES)
		slot->tries++;
	return slot;
}

/* A group comes to be with the first loop in it: most processes that a service starts have
 * none. */
int
target_slots_join(struct target *target, struct group *group)
{
	char user[USERS_NAME_BYTES];

	if (target->group || !group)
		return target->group ? 0 : -1;
	target->group = group;
	group_set_runtime(group, target->runtime);
	users_name(target->uid, user);
	group_set_user(group, user);
	group_add_process(group, (int)target->processes);
	return 0;
}

/* Find the slot's series, and the one that the next delta goes to. NULL: not yet. */
static struct series *
find_series(struct target *target, struct slot *slot, const struct segment_slot *now,
	uint64_t now_ns)
{
	struct groups_name name;
	struct series *before = slot->series;
	char label[IDENTITY_NAME_BYTES];

	/* Without a birth it is about to be another loop's. */
	if (!now->born_ns || (before && !account_is_new(&slot->account, now)))
		return before;
	identity_clean(now->label, sizeof(now->label), label);
	if (!label[0] && !family_label(target->family, now->thread, label))
		return NULL;
	if (!target->group && (!target_group_name(target, now_ns, &name) ||
				      target_slots_join(target,
					      groups_join(target->groups, &name)) < 0))
		return NULL;
	slot->series = group_series_for(target->group, label, target->uid);
	/* What was reported as open must stay where it was. */
	return before && slot->account.open_ns ? before : slot->series;
}

/* Bring what happened in a slot, which is as it is `now`, into its series. */
static void
account_slot(struct target *target, uint32_t index, const struct segment_slot *now,
	bool changed, const struct target_reading *reading)
{
	static struct account_result result;
	struct slot *slot = target->slots[index];
	uint64_t clock_ns = reading->now_ns + (uint64_t)target->shift_ns;
	struct account_reading facts = {
		.now_ns = target->clock_known ? clock_ns : 0,
		.budget_ns = target->age_ns + AGE_SLACK_NS +
			     difference(reading->now_ns, target->accepted_ns),
		.changed = changed,
	};
	struct series *series = find_series(target, slot, now, reading->now_ns);

	if (!series) {
		/* Read it again then. */
		memset(slot->head, 0, sizeof(slot->head));
		return;
	}
	facts.leaves = series != slot->series;
	facts.torn = slot->busy || segment_is_written(now->state, now->sequence);
	if (account_is_new(&slot->account, now) || now->thread != slot->thread)
		note_thread(target, slot, now->thread);
	find_fate(target, slot, now, reading, &facts);
	if (facts.now_ns && !facts.owner_dead)
		facts.closed = is_closed(target, slot, now, clock_ns);
	facts.after_ns = event_now_ns() + (uint64_t)target->shift_ns;
	account_update(&slot->account, now, &facts, &result);
	slot->alive = result.alive;
	slot->changed = true;
	slot->told_ns = reading->now_ns;
	reading->stats->waits = saturated_sum(reading->stats->waits, result.delta.waits);
	if (result.delta.life_ns || counters_active(&result.delta)) {
		series_add(series, &result.delta, reading->now_ns);
		processes_add(target->stalls->processes, target_process(target, slot),
			series, result.delta.life_ns, result.delta.active_ns,
			reading->now_ns);
	}
	target_watch_account(target, index, now, series, &facts, &result, reading);
}

/* In which slot of the windows the life of a loop at rest is told: once in each. */
static uint64_t
life_period(uint64_t now_ns)
{
	return (now_ns + LIFE_EARLY_NS) / WINDOW_SLOT_NS;
}

/* Whether the thread that the slot's loop had when it was told of still lives. */
static bool
has_thread(const struct target *target, const struct slot *slot)
{
	struct reader_thread record = reader_thread(target->reader, slot->thread);

	return reader_is_living(record.owner) && record.generation == slot->generation;
}

/* Whether the slot's loop is at rest as when it was told of. What it has had since, life and waits
 * that ended no iteration, may wait. */
static bool
is_told(const struct target *target, uint32_t index, uint64_t now_ns)
{
	const struct slot *slot = target->slots[index];
	uint64_t state, sequence;

	return slot && !slot->busy && !slot->watch.open &&
	       life_period(slot->told_ns) == life_period(now_ns) &&
	       !family_is_dead(target->family) && has_thread(target, slot) &&
	       reader_peek_state(target->reader, index, &state, &sequence) == 0 &&
	       state == slot->account.state && sequence == slot->account.sequence &&
	       target_state_rests(state, sequence);
}

bool
target_slots_read(
	struct target *target, uint32_t index, const struct target_reading *reading)
{
	static struct segment_slot now;
	bool changed = false;
	struct slot *slot;

	if (reading->routine && is_told(target, index, reading->now_ns))
		return false;
	slot = read_slot(target, index, &now, &changed);
	if (slot && (!slot->busy || changed))
		account_slot(target, index, &now, changed, reading);
	return changed || !slot || slot->busy || slot->account.open_ns;
}

pid_t
target_process(const struct target *target, const struct slot *slot)
{
	pid_t pid = 0;

	if (target->stalls->processes && !target->absent)
		pid = family_process(target->family, slot->thread);
	return pid > 0 ? pid : target->pid;
}

void
target_slots_tell(const struct target *target)
{
	struct processes *processes = target->stalls->processes;

	for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++) {
		const struct slot *slot = target->slots[i];

		if (!slot || !slot->series || slot->moved)
			continue;
		if (target->absent) {
			series_saw_open(slot->series, slot->account.open_ns);
			continue;
		}
		if (slot->alive) {
			series_saw_loop(slot->series, slot->account.open_ns);
			processes_saw_loop(processes, target_process(target, slot),
				slot->series, slot->account.open_ns);
		}
		if (slot->watch.open) {
			series_saw_stall(
				slot->watch.series, slot->watch.episodes.open_ns);
			processes_saw_stall(processes, target_process(target, slot),
				slot->watch.series, slot->watch.episodes.open_ns);
		}
	}
}

unsigned
target_count_loops(const struct target *target)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++)
		count += target->slots[i] && target->slots[i]->alive &&
			 !target->slots[i]->moved;
	return count;
}

void
target_keep_groups(const struct target *target, bool living, uint64_t now_ns)
{
	if (target->group)
		group_keep(target->group, living, now_ns);
	for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++) {
		const struct slot *slot = target->slots[i];

		/* A loop that has moved is where it is told of. */
		if (slot && slot->series)
			series_keep(slot->series, living && !slot->moved, now_ns);
		if (slot && slot->watch.series)
			series_keep(slot->watch.series, false, now_ns);
	}
}

void
target_slots_end(struct target *target, uint32_t index)
{
	static struct counters delta, none;
	struct slot *slot = target->slots[index];

	if (!slot || slot->moved || !slot->series || !slot->account.open_ns)
		return;
	delta = none;
	counters_record(&delta, slot->account.open_ns);
	series_add(slot->series, &delta, event_now_ns());
	slot->account.open_ns = 0;
}
