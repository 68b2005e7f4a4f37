/* SPDX-License-Identifier: MIT */
/* One segment, the process that registered it, its clock and its life; see target.h. */

#include "config.h"

#include "daemon/target_private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/collector.h"
#include "daemon/counters.h"
#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/naming.h"
#include "daemon/quota.h"
#include "daemon/reader.h"
#include "daemon/reception.h"

/* Without knowledge of clocks a hello this old is taken for one of our own clock. */
#define HELLO_AGE_MAX_NS 600000000000ull
/* Nobody makes so many waits outside loops. */
#define WAITS_MAX (1ull << 48)

bool
target_has_died(int pidfd)
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

uint64_t
target_next_serial(void)
{
	static uint64_t last;

	return ++last;
}

struct target *
target_new(const struct reception_guest *guest, const struct segment_header *header,
	struct groups *groups, const struct naming *naming, struct target_stalls *stalls,
	struct quota *quota, uint64_t now_ns)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->groups = groups;
	target->stalls = stalls;
	target->quota = quota;
	target->pid = guest->pid;
	target->uid = guest->uid;
	target->fd = target->pidfd = -1; /* not ours yet */
	target->accepted_ns = now_ns;
	target->serial = target_next_serial();
	target->changed = true;
	target->slots = calloc(header->slot_count, sizeof(struct slot *));
	target->naming = naming;
	target->query = naming_ask(naming, guest, now_ns);
	target->runtime = naming_runtime(&guest->hello);
	if (guest->hello.registrations && !stalls->history)
		target->known_ns = guest->hello.clock_ns;
	if (target->slots && target->query)
		target->reader = reader_new(guest->fd, header);
	if (target->reader)
		target->family =
			family_new(target->reader, guest->pid, guest->uid, quota);
	if (!target->family) {
		target_free(target);
		return NULL;
	}
	target->fd = guest->fd;
	target->pidfd = guest->pidfd;
	if (guest->gone || target_has_died(guest->pidfd))
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
		for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++) {
			target_watch_end(target, i);
			target_slots_end(target, i);
			free(target->slots[i]);
		}
	quota_return(target->quota, target->uid, QUOTA_LOOPS, target->granted);
	naming_free(target->query);
	free(target->slots);
	family_free(target->family);
	reader_free(target->reader);
	if (target->fd >= 0)
		close(target->fd);
	if (target->pidfd >= 0)
		close(target->pidfd);
	free(target);
}

bool
target_group_name(struct target *target, uint64_t now_ns, struct groups_name *ret_name)
{
	if (target->query && naming_answer(target->naming, target->query, now_ns,
				     target->groupname, &target->given)) {
		naming_free(target->query);
		target->query = NULL;
		target->changed = true;
	}
	*ret_name = (struct groups_name){target->groupname, target->uid, target->given};
	return !target->query;
}

/* Add what a count of the header has grown by, but no more than it can be: it is added up
 * for all targets, and must not drown what others have to say. Returns whether it has. */
static bool
add_count(uint64_t *sum, uint64_t *known, uint64_t count, uint64_t most)
{
	if (count > most)
		count = most;
	if (count <= *known)
		return false;
	*sum = saturated_sum(*sum, count - *known);
	*known = count;
	return true;
}

/* Add what the header has counted since the last reading. */
static void
account_header(struct target *target, struct collector_stats *stats)
{
	const struct segment_header *header = reader_header(target->reader);
	uint64_t waits = 0;

	for (unsigned i = 0; i < 4; i++)
		waits = saturated_sum(waits, header->other_waits[i]);
	target->changed |=
		add_count(&stats->waits, &target->other_waits, waits, WAITS_MAX);
	target->changed |= add_count(&stats->dropped_slots, &target->dropped_loops,
		header->dropped_loops, UINT32_MAX);
	target->changed |= add_count(&stats->dropped_threads, &target->dropped_threads,
		header->dropped_threads, UINT32_MAX);
}

bool
target_read(struct target *target, const struct target_reading *reading)
{
	uint64_t start_ticks, age_ns;
	bool moved = false;

	/* Without a pidfd: whether somebody else has the number now. */
	if (target->pidfd < 0 && target->start_ticks && !family_is_dead(target->family) &&
		(identity_age(target->pid, &age_ns, &start_ticks) < 0 ||
			start_ticks != target->start_ticks))
		target_died(target, reading->now_ns);
	if (target->absent)
		return false;
	/* A sealed file can be read. */
	if (reader_begin(target->reader) < 0)
		return false;
	account_header(target, reading->stats);
	for (uint32_t i = 0; i < target_slots_count(target, reading->stats); i++)
		moved |= target_slots_read(target, i, reading);
	return moved;
}

void
target_tell(const struct target *target)
{
	target_slots_tell(target);
}

pid_t
target_pid(const struct target *target)
{
	return target->pid;
}

const struct group *
target_group(const struct target *target)
{
	return target->group;
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
	target->changed = true;
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

bool
target_is_same_program(const struct target *a, const struct target *b)
{
	return memcmp(reader_header(a->reader)->id, reader_header(b->reader)->id,
		       sizeof(reader_header(a->reader)->id)) == 0;
}

void
target_touch(struct target *target)
{
	target->changed = true;
}

struct family *
target_family(const struct target *target)
{
	return target->family;
}

void
target_set_older(struct target *target, struct target *older)
{
	target->changed = target->changed || target->older != older;
	target->older = older;
	if (older)
		older->replaced = true;
}

struct target *
target_older(const struct target *target)
{
	return target->older;
}

void
target_count_processes(struct target *target, unsigned count)
{
	struct groups_name name;

	if (target->group || (target_group_name(target, event_now_ns(), &name) &&
				     target_slots_join(target,
					     groups_seek(target->groups, &name)) == 0))
		group_add_process(target->group, (int)count - (int)target->processes);
	target->processes = count;
}
