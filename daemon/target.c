/* SPDX-License-Identifier: MIT */
/* One segment and its family of processes; see target.h. */

#include "config.h"

#include "daemon/target.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/account.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/identity.h"
#include "daemon/naming.h"
#include "daemon/reader.h"
#include "daemon/reception.h"

/* A process may be this much older than its start time tells, a tick. */
#define AGE_SLACK_NS 20000000ull
/* Without knowledge of clocks a hello this old is taken for one of our own clock. */
#define HELLO_AGE_MAX_NS 600000000000ull

struct slot {
	struct segment_slot copy;
	struct account account;
	struct series *series;
	uint32_t thread, generation; /* the loop's thread record, and its user then */
	bool busy;                   /* the last reading did not get it in one piece */
	bool alive;
	bool pending; /* read, but not accounted yet */
	bool moved;   /* a later registration goes on with the account */
};

struct target {
	int fd;
	struct reader *reader;
	struct groups *groups;
	char groupname[IDENTITY_NAME_BYTES];
	const char *runtime;
	struct group *group; /* NULL until there is a loop in it */
	struct target *older;
	struct slot **slots; /* NULL where never used */
	struct family *family;
	pid_t pid; /* 0: unknown */
	uid_t uid;
	int pidfd;
	uint64_t start_ticks;         /* 0: unknown */
	uint64_t accepted_ns, age_ns; /* when accepted, by our clock, and its age then */
	uint64_t died_ns;             /* by our clock; 0: it lives, or nobody knows */
	int64_t shift_ns;             /* its clock is ahead of ours */
	bool clock_known;
	bool descriptors_hidden; /* we may not look at them */
	unsigned processes;      /* as told to the group, if there is one */
	uint64_t dropped_loops, dropped_threads, other_waits;
};

static bool
has_died(int pidfd)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && poll(&fd, 1, 0) == 1 && fd.revents & POLLIN;
}

/* Find out how the target's clock goes, and when the process started. */
static void
find_time(struct target *target, const struct reception_guest *guest,
	const struct segment_header *header, uint64_t now_ns)
{
	uint64_t sent_ns = guest->hello.clock_ns;
	bool clock_known, age_known;

	clock_known = identity_clock_shift(guest->pid, &target->shift_ns) == 0;
	age_known = identity_age(guest->pid, &target->age_ns, &target->start_ticks) == 0;
	if (!reception_is_current(guest))
		clock_known = age_known = false;
	target->clock_known = clock_known;
	if (!clock_known) {
		target->shift_ns = 0;
		target->clock_known =
			sent_ns <= now_ns && now_ns - sent_ns <= HELLO_AGE_MAX_NS;
	}
	if (!age_known) {
		/* Its own word must do. */
		target->start_ticks = 0;
		target->age_ns = difference(
			now_ns + (uint64_t)target->shift_ns, header->created_ns);
	}
}

struct target *
target_new(const struct reception_guest *guest, const struct segment_header *header,
	struct groups *groups, const struct naming *naming, uint64_t now_ns)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->groups = groups;
	target->pid = guest->pid;
	target->uid = guest->uid;
	target->fd = target->pidfd = -1; /* not ours yet */
	target->accepted_ns = now_ns;
	target->slots = calloc(header->slot_count, sizeof(struct slot *));
	naming_group(naming, guest, target->groupname);
	target->runtime = naming_runtime(&guest->hello);
	if (target->slots)
		target->reader = reader_new(guest->fd, header);
	if (target->reader)
		target->family = family_new(target->reader, guest->pid);
	if (!target->family) {
		target_free(target);
		return NULL;
	}
	target->fd = guest->fd;
	target->pidfd = guest->pidfd;
	if (guest->gone || has_died(guest->pidfd))
		family_died(target->family);
	find_time(target, guest, header, now_ns);
	return target;
}

void
target_free(struct target *target)
{
	if (!target)
		return;
	target_count_processes(target, 0);
	if (target->reader)
		for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++)
			free(target->slots[i]);
	free(target->slots);
	family_free(target->family);
	reader_free(target->reader);
	if (target->fd >= 0)
		close(target->fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
	free(target);
}

/* Whether the epoll instance of a loop that is unattended is no more. */
static bool
is_closed(struct target *target, const struct slot *slot, uint64_t clock_ns)
{
	uint64_t since = account_unattended_since(&slot->account, &slot->copy);
	pid_t tgid;
	int r;

	if (!since || slot->copy.kind != SEGMENT_KIND_EPOLL ||
		slot->copy.descriptor < 0 || target->descriptors_hidden ||
		clock_ns < since + SEGMENT_LONG_NS ||
		slot->copy.thread >= reader_header(target->reader)->thread_count)
		return false;
	tgid = family_process(target->family, slot->copy.thread);
	if (tgid <= 0)
		return false;
	r = identity_is_epoll(tgid, slot->copy.descriptor);
	if (r == -EACCES || r == -EPERM)
		target->descriptors_hidden = true;
	/* A process that dies loses its descriptors first, and that is another matter. */
	return r == 0 && !(tgid == target->pid && has_died(target->pidfd));
}

/* Fill in what is known about the loop's thread and process. */
static void
find_fate(struct target *target, struct slot *slot, const struct target_reading *reading,
	struct account_reading *ret)
{
	struct reader_thread record = reader_thread(target->reader, slot->copy.thread);
	bool same_thread = slot->generation == record.generation;
	pid_t tgid;

	if (slot->copy.thread >= reader_header(target->reader)->thread_count) {
		ret->owner_dead = ret->process_dead = family_is_dead(target->family);
		return;
	}
	ret->owner_dead = record.owner & SEGMENT_OWNER_DIED || !same_thread;
	/* Its mark may come to our eyes before the process's own. */
	if (ret->owner_dead && !slot->account.over && !family_is_dead(target->family) &&
		has_died(target->pidfd))
		target_died(target, reading->now_ns);
	if (!family_is_dead(target->family))
		return;
	tgid = same_thread ? family_process(target->family, slot->copy.thread) : 0;
	ret->owner_dead =
		ret->owner_dead || !family_is_living(target->family, slot->copy.thread);
	ret->process_dead = ret->owner_dead && (tgid == target->pid || !tgid);
	if (ret->process_dead && target->died_ns)
		ret->died_ns = target->died_ns + (uint64_t)target->shift_ns;
}

/* Go on with the account of a loop that has moved here. */
static void
take_over(struct target *target, struct slot *slot, uint32_t index)
{
	for (struct target *t = target->older; t; t = t->older) {
		struct slot *old = index < reader_header(t->reader)->slot_count
					   ? t->slots[index]
					   : NULL;

		if (!old || old->moved || account_is_new(&old->account, &slot->copy))
			continue;
		slot->account = old->account;
		slot->series = old->series;
		old->moved = true;
		return;
	}
}

/* Remember whose loop is in the slot. */
static void
note_thread(const struct target *target, struct slot *slot)
{
	slot->thread = slot->copy.thread;
	slot->generation = reader_thread(target->reader, slot->thread).generation;
}

/* Read a slot anew. Returns NULL if there is nothing to tell about it. */
static struct slot *
read_slot(struct target *target, uint32_t index, bool *ret_changed)
{
	static struct segment_slot unused, fresh;
	struct slot *slot = target->slots[index];
	enum reader_result result;

	if (slot && slot->moved)
		return NULL;
	if (!slot)
		fresh = unused;
	result = reader_read_slot(target->reader, index,
		family_is_dead(target->family) || !slot || slot->busy,
		slot ? &slot->copy : &fresh);
	if (!slot) {
		if ((result != READER_WHOLE && result != READER_TORN) || !fresh.born_ns)
			return NULL;
		slot = calloc(1, sizeof(*slot));
		if (!slot)
			return NULL;
		slot->copy = fresh;
		target->slots[index] = slot;
		note_thread(target, slot);
		take_over(target, slot, index);
	}
	slot->busy = result == READER_TORN || result == READER_BUSY;
	*ret_changed = result == READER_WHOLE || result == READER_TORN;
	return slot;
}

/* Make the target one of the group, unless it has one already. A group comes to be with
 * the first loop in it: most processes that a service starts have none. */
static int
join(struct target *target, struct group *group)
{
	if (target->group || !group)
		return target->group ? 0 : -1;
	target->group = group;
	group_set_runtime(group, target->runtime);
	group_add_process(group, (int)target->processes);
	return 0;
}

/* Find the slot's series, and the one that the next delta goes to. NULL: not yet. */
static struct series *
find_series(struct target *target, struct slot *slot)
{
	struct series *before = slot->series;
	char label[IDENTITY_NAME_BYTES];

	/* Without a birth it is about to be another loop's. */
	if (!slot->copy.born_ns ||
		(before && !account_is_new(&slot->account, &slot->copy)))
		return before;
	identity_clean(slot->copy.label, sizeof(slot->copy.label), label);
	if (!label[0] && !family_label(target->family, slot->copy.thread, label))
		return NULL;
	if (join(target, groups_get(target->groups, target->groupname)))
		return NULL;
	slot->series = group_series(target->group, label);
	/* What was reported as open must stay where it was. */
	return before && slot->account.open_ns ? before : slot->series;
}

/* Bring what happened in a slot into its series. */
static void
account_slot(struct target *target, struct slot *slot, bool changed,
	const struct target_reading *reading)
{
	static struct account_result result;
	uint64_t clock_ns = reading->now_ns + (uint64_t)target->shift_ns;
	struct account_reading facts = {
		.now_ns = target->clock_known ? clock_ns : 0,
		.budget_ns = target->age_ns + AGE_SLACK_NS +
			     difference(reading->now_ns, target->accepted_ns),
		.changed = changed,
	};
	struct series *series = find_series(target, slot);

	if (!series) {
		slot->pending = slot->pending || changed;
		return;
	}
	facts.changed = changed || slot->pending;
	facts.torn = slot->busy || slot->copy.state & SEGMENT_RECORDING;
	slot->pending = false;
	if (account_is_new(&slot->account, &slot->copy) ||
		slot->copy.thread != slot->thread)
		note_thread(target, slot);
	find_fate(target, slot, reading, &facts);
	if (facts.now_ns && !facts.owner_dead)
		facts.closed = is_closed(target, slot, clock_ns);
	facts.after_ns = event_now_ns() + (uint64_t)target->shift_ns;
	account_update(&slot->account, &slot->copy, &facts, &result);
	slot->alive = result.alive;
	reading->stats->waits = saturated_sum(reading->stats->waits, result.delta.waits);
	if (result.delta.life_ns || counters_active(&result.delta))
		series_add(series, &result.delta, reading->now_ns);
	if (reading->seen && result.alive && slot->series)
		series_saw_loop(slot->series, result.open_ns);
}

/* Add what the header has counted since the last reading. */
static void
account_header(struct target *target, struct collector_stats *stats)
{
	const struct segment_header *header = reader_header(target->reader);
	uint64_t waits = 0;

	for (unsigned i = 0; i < 4; i++)
		waits = saturated_sum(waits, header->other_waits[i]);
	stats->waits =
		saturated_sum(stats->waits, difference(waits, target->other_waits));
	stats->dropped_slots = saturated_sum(stats->dropped_slots,
		difference(header->dropped_loops, target->dropped_loops));
	stats->dropped_threads = saturated_sum(stats->dropped_threads,
		difference(header->dropped_threads, target->dropped_threads));
	target->other_waits = waits;
	target->dropped_loops = header->dropped_loops;
	target->dropped_threads = header->dropped_threads;
}

void
target_read(struct target *target, const struct target_reading *reading)
{
	uint64_t start_ticks, age_ns;

	/* Without a pidfd: whether somebody else has the number now. */
	if (target->pidfd < 0 && target->start_ticks && !family_is_dead(target->family) &&
		(identity_age(target->pid, &age_ns, &start_ticks) < 0 ||
			start_ticks != target->start_ticks))
		target_died(target, reading->now_ns);
	/* A sealed file can be read. */
	if (reader_begin(target->reader) < 0)
		return;
	account_header(target, reading->stats);
	for (uint32_t i = 0; i < reader_slots(target->reader); i++) {
		bool changed = false;
		struct slot *slot = read_slot(target, i, &changed);

		if (!slot)
			continue;
		if (slot->busy && !changed) {
			/* All that is known is what was known. */
			if (reading->seen && slot->series && slot->alive)
				series_saw_loop(slot->series, slot->account.open_ns);
			continue;
		}
		account_slot(target, slot, changed, reading);
	}
}

pid_t
target_pid(const struct target *target)
{
	return target->pid;
}

uid_t
target_uid(const struct target *target)
{
	return target->uid;
}

int
target_pidfd(const struct target *target)
{
	return target->pidfd;
}

bool
target_is_alive(const struct target *target)
{
	return !family_is_dead(target->family);
}

void
target_died(struct target *target, uint64_t now_ns)
{
	if (family_is_dead(target->family))
		return;
	family_died(target->family);
	target->died_ns = now_ns;
}

bool
target_is_same_process(const struct target *a, const struct target *b)
{
	return a->pid > 0 && a->pid == b->pid && a->start_ticks == b->start_ticks;
}

bool
target_repeats(const struct target *target, const struct target *other)
{
	const struct segment_header *a = reader_header(target->reader);
	const struct segment_header *b = reader_header(other->reader);

	return memcmp(a->id, b->id, sizeof(a->id)) == 0 &&
	       a->registrations <= b->registrations;
}

struct family *
target_family(const struct target *target)
{
	return target->family;
}

void
target_set_older(struct target *target, struct target *older)
{
	target->older = older;
}

struct target *
target_older(const struct target *target)
{
	return target->older;
}

void
target_count_processes(struct target *target, unsigned count)
{
	if (join(target, groups_find(target->groups, target->groupname)) == 0)
		group_add_process(target->group, (int)count - (int)target->processes);
	target->processes = count;
}
