/* SPDX-License-Identifier: MIT */
/*
 * The stalls of a target's slots. Quick looks at the state words tell which slots are worth
 * reading, and when to look at their threads; what has been read and accounted, whoever
 * wanted it, tells which stalls begin, go on and end.
 */

#include "config.h"

#include "daemon/target_private.h"

#include <unistd.h>

#include "daemon/captures.h"
#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/processes.h"
#include "daemon/quota.h"
#include "daemon/reader.h"
#include "daemon/stalls.h"
#include "daemon/tasks.h"

/* Between two looks at something that lasts. */
#define PAUSE_MAX_NS 100000000ull

/* How long to wait before the next look at what has lasted for `age_ns`: the longer, the
 * less an exact moment matters. Less than a tick means at the next one. */
static uint64_t
pause_ns(const struct target *target, uint64_t age_ns)
{
	uint64_t pause = age_ns / 16;

	if (pause > PAUSE_MAX_NS)
		pause = PAUSE_MAX_NS;
	return pause > target->stalls->tick_ns ? pause : target->stalls->tick_ns / 2;
}

/* What is known of the cause of the iteration that began then. */
static void
find_cause(const struct slot *slot, const struct episode *episode,
	struct stalls_cause *ret_cause)
{
	static const struct cause none;
	const struct slot_watch *watch = &slot->watch;

	cause_find(watch->since_ns == episode->start_ns ? &watch->cause : &none,
		episode->length_ns, episode->nested_ns, ret_cause);
}

/* Describe a stall that begins, or has been. */
static struct stall
describe(struct target *target, const struct slot *slot, struct series *series,
	const struct episode *episode)
{
	uint64_t now_ns = event_now_ns();
	uint64_t started_ns = episode->start_ns - (uint64_t)target->shift_ns;

	/* Without a common clock it has just been. */
	if (!target->clock_known || started_ns > now_ns)
		started_ns = difference(now_ns, episode->length_ns);
	return (struct stall){
		.groupname = series_groupname(series),
		.loop = series_loop(series),
		.pid = family_process(target->family, slot->thread),
		.tid = family_thread(target->family, slot->thread),
		.started_ns = started_ns,
		.started_unix_ns = (int64_t)(event_unix_ns() - (now_ns - started_ns)),
	};
}

static void
begin(struct target *target, struct slot *slot, struct series *series,
	const struct episode *episode)
{
	struct slot_watch *watch = &slot->watch;
	struct stall stall = describe(target, slot, series, episode);
	struct stalls_cause cause;

	watch->open = true;
	watch->series = series;
	watch->id = stalls_open(target->stalls->stalls, &stall, episode->length_ns);
	series_begin_stall(series, stall.started_unix_ns);
	find_cause(slot, episode, &cause);
	stalls_update(target->stalls->stalls, watch->id, episode->length_ns, &cause);
}

/* A stall that another daemon has told of, and counted. */
static void
open_again(struct target *target, struct slot *slot)
{
	struct slot_watch *watch = &slot->watch;
	const struct episode episode = {
		EPISODES_OPEN, watch->episodes.open_since, watch->episodes.open_ns, 0};
	struct stall stall = describe(target, slot, watch->series, &episode);

	watch->again = false;
	if (watch->open)
		watch->id = stalls_open(
			target->stalls->stalls, &stall, watch->episodes.open_ns);
}

/* See to the stacks of the slot's stall, which is as long as that or has `ended` so. */
static void
capture(struct target *target, uint32_t index, uint64_t since_ns, uint64_t length_ns,
	bool ended)
{
	struct slot *slot = target->slots[index];
	struct captures_place place = {
		.stall = slot->watch.id,
		.length_ns = length_ns,
		.groupname = series_groupname(slot->watch.series),
		.segment = target->fd,
		.header = reader_header(target->reader),
		.slot = index,
		.since_ns = since_ns,
		.shift_ns = target->shift_ns,
		.pid = family_process(target->family, slot->thread),
		.tid = family_thread(target->family, slot->thread),
		.uid = target->uid,
		.pidfd = target->pidfd,
	};

	if (slot->watch.id)
		captures_look(target->stalls->captures, &place, ended, event_now_ns());
}

static void
end(struct target *target, uint32_t index, const struct episode *episode)
{
	struct slot *slot = target->slots[index];
	struct stalls *stalls = target->stalls->stalls;
	struct slot_watch *watch = &slot->watch;
	struct series_stall ended = {.length_ns = episode->length_ns};
	const struct stall *stall;
	struct stalls_cause cause;

	capture(target, index, episode->start_ns, episode->length_ns, true);
	find_cause(slot, episode, &cause);
	stalls_end(stalls, watch->id, episode->length_ns, &cause);
	/* The samples may have told more. */
	stall = stalls_find(stalls, watch->id);
	if (stall) {
		ended.id = stall->id;
		ended.pid = stall->pid;
		ended.ended_unix_ns = stall->started_unix_ns + (int64_t)stall->length_ns;
	}
	series_add_stall(watch->series, stall ? stall->cause : cause.cause, &ended);
	processes_add_stall(
		target->stalls->processes, target_process(target, slot), watch->series);
	watch->open = false;
	watch->id = 0;
}

static void
tell(struct target *target, uint32_t index, struct series *series,
	const struct episode *episode)
{
	static const char too_late[] = "it was over before its stack was asked for";
	struct stall_sample nothing = {.missing = too_late};
	struct slot *slot = target->slots[index];
	struct stalls_cause cause;

	switch (episode->event) {
	case EPISODES_WHOLE:
		begin(target, slot, series, episode);
		stalls_add_sample(target->stalls->stalls, slot->watch.id, &nothing);
		end(target, index, episode);
		break;
	case EPISODES_OPEN:
		begin(target, slot, series, episode);
		break;
	case EPISODES_GOES_ON:
		find_cause(slot, episode, &cause);
		stalls_update(target->stalls->stalls, slot->watch.id, episode->length_ns,
			&cause);
		break;
	case EPISODES_ENDED:
		end(target, index, episode);
		break;
	}
}

void
target_watch_account(struct target *target, uint32_t index,
	const struct segment_slot *now, struct series *series,
	const struct account_reading *facts, const struct account_result *result,
	const struct target_reading *reading)
{
	struct episode episodes[EPISODES_MAX];
	struct slot *slot = target->slots[index];
	struct slot_watch *watch = &slot->watch;
	struct episodes_look look = {
		.threshold_ns = target->stalls->threshold_ns,
		.after_ns = facts->now_ns ? facts->after_ns : 0,
		.budget_ns = facts->budget_ns,
		.known_ns = target->known_ns,
		.open_since = slot->account.open_since,
		.open_ns = result->open_ns,
		.died_ns = facts->process_dead ? facts->died_ns : 0,
		.torn = facts->torn && result->alive,
	};
	uint64_t lost = watch->episodes.lost;
	size_t count;

	if (watch->again)
		open_again(target, slot);
	count = episodes_look(&watch->episodes, now, &look, episodes);

	for (size_t i = 0; i < count; i++)
		tell(target, index, series, &episodes[i]);
	target->stalls->lost =
		saturated_sum(target->stalls->lost, watch->episodes.lost - lost);
	watch->look_ns = reading->now_ns + pause_ns(target, result->open_ns);
}

void
target_watch_end(struct target *target, uint32_t index)
{
	struct slot *slot = target->slots[index];
	struct episode episode = {EPISODES_ENDED, 0, 0, 0};

	if (!slot || slot->moved || !slot->watch.open)
		return;
	episode.start_ns = slot->watch.episodes.open_since;
	episode.length_ns = slot->watch.episodes.open_ns;
	end(target, index, &episode);
}

/* Look at the thread of a loop that is unattended since then. */
static void
sample(struct target *target, uint32_t index, uint64_t since_ns, uint64_t clock_ns)
{
	static struct segment_slot slot;
	struct segment_slot *hot = &slot;
	struct slot_watch *watch = &target->slots[index]->watch;
	struct cause_sample seen;
	pid_t pid, tid;

	if (reader_peek_slot(target->reader, index, hot) < 0 ||
		hot->thread >= reader_header(target->reader)->thread_count)
		return;
	pid = family_process(target->family, hot->thread);
	tid = family_thread(target->family, hot->thread);
	if (watch->since_ns != since_ns) {
		watch->since_ns = since_ns;
		watch->cause = (struct cause){0};
		watch->may_ask = true;
	}
	if (pid <= 0 || tid <= 0 || tasks_sample(pid, tid, &watch->may_ask, &seen) < 0)
		return;
	seen.nested_ns = hot->nested_wait_ns;
	if (hot->nested_since_ns)
		seen.nested_ns += difference(clock_ns, hot->nested_since_ns);
	/* What it did after the iteration is no part of it. */
	if (reader_peek_slot(target->reader, index, hot) == 0 && hot->state == since_ns)
		cause_add(&watch->cause, &seen);
}

/* Whether the slot must be read, as far as a quick look at it tells. */
static bool
is_worth_reading(struct target *target, uint32_t index, const struct segment_slot *hot,
	uint64_t since_ns, uint64_t age_ns, const struct target_reading *reading)
{
	struct slot_watch *watch = &target->slots[index]->watch;
	uint64_t threshold_ns = target->stalls->threshold_ns;
	bool due = reading->at_once || reading->now_ns >= watch->look_ns;
	struct segment_long ring[SEGMENT_RING];

	if (watch->open && (since_ns != watch->episodes.open_since || due))
		return true;
	if (!watch->open && age_ns > threshold_ns && due)
		return true;
	/* While it is written the ring is not to be trusted. */
	if (hot->long_count == watch->episodes.long_count ||
		segment_is_written(hot->state, hot->sequence))
		return false;
	return reader_peek_ring(target->reader, index, ring) < 0 ||
	       !episodes_skip(&watch->episodes, ring, hot->long_count, threshold_ns);
}

/* Whether the target's user has any work left that it may cause just now, unless it is
 * somebody else who asks. What is left out is seen when all is read. */
static bool
may_look(const struct target *target, const struct target_reading *reading)
{
	return reading->at_once ||
	       quota_do(target->quota, target->uid, QUOTA_LOOKS, reading->now_ns) == 0;
}

/* Whether the slot's loop waits or has ended, as it did when nothing was left to be done: most
 * do, and that costs a look at two words. */
static bool
is_asleep(const struct target *target, uint32_t index)
{
	const struct slot_watch *watch = &target->slots[index]->watch;
	uint64_t state, sequence;

	return !watch->open &&
	       reader_peek_state(target->reader, index, &state, &sequence) == 0 &&
	       sequence == watch->sequence && target_state_rests(state, sequence);
}

/* Look at a slot that is in use. */
static void
watch_used_slot(
	struct target *target, uint32_t index, const struct target_reading *reading)
{
	static struct segment_slot hot;
	uint64_t clock_ns = reading->now_ns + (uint64_t)target->shift_ns;
	uint64_t tick_ns = target->stalls->tick_ns;
	struct slot *slot = target->slots[index];
	struct slot_watch *watch = &slot->watch;
	uint64_t threshold_ns = target->stalls->threshold_ns;
	uint64_t since_ns, age_ns = 0, stall_ns;

	watch->peek_ns = target_next_look(target->stalls->rest_ns, reading->now_ns);
	if (is_asleep(target, index))
		return;
	if (reader_peek_used_slot(target->reader, index, &hot) < 0)
		return;
	since_ns = account_unattended_since(&slot->account, &hot);
	if (since_ns && target->clock_known)
		age_ns = difference(clock_ns, since_ns);
	/* It is late; but our own loop is at work by looking. */
	if (age_ns >= tick_ns / 4 && target->pid != getpid()) {
		watch->peek_ns = target_next_look(tick_ns, reading->now_ns);
		/* A stack is worth most when the iteration is not over yet. */
		stall_ns = reading->now_ns + difference(threshold_ns + 1, age_ns);
		if (age_ns <= threshold_ns && stall_ns < watch->peek_ns)
			watch->peek_ns = stall_ns;
	}
	if (age_ns >= threshold_ns * 2 / 5 && !reading->at_once &&
		(since_ns != watch->since_ns || reading->now_ns >= watch->sample_ns)) {
		watch->sample_ns = reading->now_ns + pause_ns(target, age_ns);
		if (may_look(target, reading))
			sample(target, index, since_ns, clock_ns);
	}
	if (!is_worth_reading(target, index, &hot, since_ns, age_ns, reading)) {
		if (!segment_is_written(hot.state, hot.sequence))
			watch->sequence = hot.sequence;
	} else if (may_look(target, reading) && reader_begin(target->reader) == 0) {
		target_slots_read(target, index, reading);
	}
	if (watch->open && watch->episodes.open_since == since_ns)
		capture(target, index, since_ns, age_ns, false);
}

/* Look at a slot, if it is time. Returns when it is time again. */
static uint64_t
watch_slot(struct target *target, uint32_t index, const struct target_reading *reading)
{
	static struct segment_slot hot;
	struct slot *slot = target->slots[index];

	if (!slot && reader_peek_slot(target->reader, index, &hot) == 0 && hot.born_ns &&
		may_look(target, reading) && reader_begin(target->reader) == 0) {
		target_slots_read(target, index, reading);
		slot = target->slots[index];
	}
	if (!slot)
		return UINT64_MAX;
	/* Of one that has moved that is never. */
	if (reading->at_once ? !slot->moved : reading->now_ns >= slot->watch.peek_ns)
		watch_used_slot(target, index, reading);
	return slot->watch.peek_ns;
}

/* Whether the slot's loop is asleep, and will say so when it wakes, at that time or later. */
static bool
will_tell(const struct target *target, uint32_t index, uint64_t clock_ns)
{
	const struct slot *slot = target->slots[index];
	uint64_t round;

	if (!slot || slot->moved)
		return slot;
	return is_asleep(target, index) &&
	       reader_peek_round(target->reader, index, &round) == 0 &&
	       round < clock_ns >> SEGMENT_ROUND_SHIFT;
}

/* Whether all the target's loops are at rest, and will count themselves when they wake. */
static bool
all_will_tell(const struct target *target, const struct target_reading *reading)
{
	uint64_t clock_ns = reading->now_ns + (uint64_t)target->shift_ns;

	if (target->replaced || !target->clock_known)
		return false;
	for (uint32_t i = 0; i < target->granted; i++)
		if (!will_tell(target, i, clock_ns))
			return false;
	return true;
}

uint64_t
target_watch(struct target *target, const struct target_reading *reading,
	struct target_rest *ret_rest)
{
	const uint32_t *wakes;
	uint32_t known_wakes = 0;
	uint64_t next_ns;

	*ret_rest = (struct target_rest){NULL, 0};
	if (target->absent)
		return UINT64_MAX;
	/* First: what happens from now on changes it. */
	wakes = reader_wakes(target->reader);
	if (wakes)
		known_wakes = __atomic_load_n(wakes, __ATOMIC_ACQUIRE);
	/* New slots too: their loops are in that count, and may not tell again for a while. */
	if (wakes || reading->at_once || reading->now_ns >= target->header_ns) {
		target->header_ns =
			target_next_look(target->stalls->rest_ns, reading->now_ns);
		if (reader_peek_slots(target->reader) < 0)
			return target->header_ns;
	}
	next_ns = target->header_ns;
	for (uint32_t i = 0; i < target_slots_count(target, reading->stats); i++) {
		uint64_t slot_ns = watch_slot(target, i, reading);

		if (slot_ns < next_ns)
			next_ns = slot_ns;
	}
	if (known_wakes && all_will_tell(target, reading))
		*ret_rest = (struct target_rest){wakes, known_wakes};
	return next_ns;
}
