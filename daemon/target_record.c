/* SPDX-License-Identifier: MIT */
/* What of a target and its slots is kept in the ledger, and a target made of that. */

#include "config.h"

#include "daemon/target_private.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/hello.h"
#include "daemon/ledger.h"
#include "daemon/naming.h"
#include "daemon/reader.h"
#include "daemon/reception.h"
#include "daemon/record.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define HEADER_BYTES offsetof(struct segment_header, reserved)

_Static_assert(sizeof(((struct target_past *)0)->groupname) == IDENTITY_NAME_BYTES,
	"room for a name");

/* Small negative numbers are large ones otherwise. */
static uint64_t
zigzag(int64_t number)
{
	return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

static int64_t
unzigzag(uint64_t number)
{
	return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

static void
put_target(struct record *record, const struct target *target, bool superseded)
{
	record_put_bytes(record, reader_header(target->reader), HEADER_BYTES);
	record_put_text(record, target->groupname);
	record_put(record, target->given);
	record_put(record, (uint64_t)target->pid);
	record_put(record, target->uid);
	record_put(record, target->older ? target->older->serial : 0);
	record_put(record, superseded);
	record_put(record, family_is_dead(target->family));
	record_put(record, target->own || target->pid == getpid());
	record_put(record, target->start_ticks);
	record_put(record, target->accepted_ns);
	record_put(record, target->age_ns);
	record_put(record, target->died_ns);
	record_put(record, target->known_ns);
	record_put(record, zigzag(target->shift_ns));
	record_put(record, target->clock_known);
	record_put(record, target->dropped_loops);
	record_put(record, target->dropped_threads);
	record_put(record, target->other_waits);
}

bool
target_past_read(struct record *record, struct target_past *ret)
{
	memset(&ret->header, 0, sizeof(ret->header));
	record_take_bytes(record, &ret->header, HEADER_BYTES);
	record_take_text(record, ret->groupname, sizeof(ret->groupname));
	ret->given = record_take(record);
	ret->pid = (pid_t)record_take(record);
	ret->uid = (uid_t)record_take(record);
	ret->older = record_take(record);
	ret->superseded = record_take(record);
	ret->dead = record_take(record);
	ret->own = record_take(record);
	ret->start_ticks = record_take(record);
	ret->accepted_ns = record_take(record);
	ret->age_ns = record_take(record);
	ret->died_ns = record_take(record);
	ret->known_ns = record_take(record);
	ret->shift_ns = unzigzag(record_take(record));
	ret->clock_known = record_take(record);
	ret->dropped_loops = record_take(record);
	ret->dropped_threads = record_take(record);
	ret->other_waits = record_take(record);
	return record_is_read(record);
}

static void
put_account(struct record *record, const struct account *account)
{
	record_put_histogram(record, &account->iteration);
	record_put_bands(record, &account->wakeup);
	record_put(record, account->iterations);
	record_put(record, account->events);
	record_put(record, account->nested_wait_ns);
	record_put(record, account->waits);
	record_put(record, account->life_ns);
	record_put(record, account->max_ns);
	record_put(record, account->used);
	record_put(record, account->life);
	record_put(record, account->born_ns);
	record_put(record, account->past_life_ns);
	record_put(record, account->end_ns);
	record_put(record, account->open_since);
	record_put(record, account->open_ns);
	record_put(record, account->over);
	record_put(record, account->state);
	record_put(record, account->sequence);
}

static void
take_account(struct record *record, struct account *ret)
{
	record_take_histogram(record, &ret->iteration);
	record_take_bands(record, &ret->wakeup);
	ret->iterations = record_take(record);
	ret->events = record_take(record);
	ret->nested_wait_ns = record_take(record);
	ret->waits = record_take(record);
	ret->life_ns = record_take(record);
	ret->max_ns = record_take(record);
	ret->used = record_take(record);
	ret->life = (uint32_t)record_take(record);
	ret->born_ns = record_take(record);
	ret->past_life_ns = record_take(record);
	ret->end_ns = record_take(record);
	ret->open_since = record_take(record);
	ret->open_ns = record_take(record);
	ret->over = record_take(record);
	ret->state = record_take(record);
	ret->sequence = record_take(record);
}

static void
put_episodes(struct record *record, const struct episodes *episodes)
{
	record_put(record, episodes->started);
	record_put(record, episodes->iteration);
	record_put(record, episodes->long_count);
	record_put(record, episodes->end_ns);
	record_put(record, episodes->open_since);
	record_put(record, episodes->open_ns);
	record_put(record, episodes->told_ns);
	record_put(record, episodes->lost);
}

static void
take_episodes(struct record *record, struct episodes *ret)
{
	ret->started = record_take(record);
	ret->iteration = record_take(record);
	ret->long_count = record_take(record);
	ret->end_ns = record_take(record);
	ret->open_since = record_take(record);
	ret->open_ns = record_take(record);
	ret->told_ns = record_take(record);
	ret->lost = record_take(record);
}

/* A series as its number plus one; 0: none. */
static void
put_series(struct record *record, const struct series *series)
{
	record_put(record, series ? (uint64_t)series_id(series) + 1 : 0);
}

static struct series *
take_series(struct record *record, struct series *const *series, size_t count)
{
	uint64_t number = record_take(record);

	if (number > count || (number && !series[number - 1]))
		record->bad = true;
	return number && !record->bad ? series[number - 1] : NULL;
}

static void
save_slot(struct target *target, uint32_t index, struct ledger *ledger)
{
	static struct record record;
	const struct ledger_key key = {LEDGER_SLOT, index, target->serial};
	struct slot *slot = target->slots[index];

	if (!target->absent)
		slot->process = family_process(target->family, slot->thread);
	record_begin(&record);
	put_series(&record, slot->series);
	record_put(&record, slot->thread);
	record_put(&record, slot->generation);
	record_put(&record, (uint64_t)slot->process);
	record_put(&record, slot->alive);
	record_put(&record, slot->moved);
	put_account(&record, &slot->account);
	record_put(&record, slot->watch.open);
	put_series(&record, slot->watch.series);
	put_episodes(&record, &slot->watch.episodes);
	ledger_put(ledger, &key, &record);
	slot->changed = false;
}

bool
target_restore_slot(struct target *target, uint32_t index, struct record *record,
	struct series *const *series, size_t series_count)
{
	struct slot *slot;

	if (index >= reader_header(target->reader)->slot_count || target->slots[index])
		return false;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return false;
	slot->tries = READER_TRIES;
	slot->series = take_series(record, series, series_count);
	slot->thread = (uint32_t)record_take(record);
	slot->generation = (uint32_t)record_take(record);
	slot->process = (pid_t)record_take(record);
	slot->alive = record_take(record);
	slot->moved = record_take(record);
	take_account(record, &slot->account);
	slot->watch.open = record_take(record);
	slot->watch.series = take_series(record, series, series_count);
	take_episodes(record, &slot->watch.episodes);
	slot->watch.again = slot->watch.open;
	slot->watch.peek_ns = slot->moved ? UINT64_MAX : 0;
	slot->changed = true;
	if (!record_is_read(record) || (slot->watch.open && !slot->watch.series)) {
		free(slot);
		return false;
	}
	target->slots[index] = slot;
	return true;
}

void
target_save(struct target *target, bool superseded, struct ledger *ledger)
{
	static struct record record;
	const struct ledger_key key = {LEDGER_TARGET, 0, target->serial};
	uint32_t count = reader_header(target->reader)->slot_count;

	if (target->changed) {
		record_begin(&record);
		put_target(&record, target, superseded);
		ledger_put(ledger, &key, &record);
		target->changed = false;
	}
	for (uint32_t i = 0; i < count; i++)
		if (target->slots[i] && target->slots[i]->changed)
			save_slot(target, i, ledger);
}

void
target_unsave(struct target *target, struct ledger *ledger)
{
	struct ledger_key key = {LEDGER_TARGET, 0, target->serial};

	ledger_forget(ledger, &key);
	key.kind = LEDGER_SLOT;
	for (; key.index < reader_header(target->reader)->slot_count; key.index++)
		if (target->slots[key.index])
			ledger_forget(ledger, &key);
}

/* Find the process again. */
static void
find_process(struct target *target)
{
	uint64_t age_ns, start_ticks;

	if (target->pid <= 0 || family_is_dead(target->family))
		return;
	target->pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
	/* By a number alone it could be another one; what is behind the descriptor stays. */
	if (target->start_ticks &&
		(identity_age(target->pid, &age_ns, &start_ticks) < 0 ||
			start_ticks != target->start_ticks))
		family_died(target->family);
	if (target->pidfd >= 0 &&
		(family_is_dead(target->family) || !target->start_ticks)) {
		close(target->pidfd);
		target->pidfd = -1;
	}
}

/* Its name was still being asked for. */
static struct naming_query *
ask_again(const struct target *target, const struct segment_hello *hello)
{
	const struct reception_guest guest = {
		.hello = *hello,
		.fd = target->fd,
		.pidfd = target->pidfd,
		.pid = target->pid,
		.uid = target->uid,
		.gone = target->pidfd < 0,
	};

	return naming_ask(target->naming, &guest, event_now_ns());
}

struct target *
target_restore(const struct target_past *past, int fd, struct groups *groups,
	const struct naming *naming, struct target_stalls *stalls, struct quota *quota)
{
	struct segment_hello hello = hello_of_header(&past->header);
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->fd = target->pidfd = -1;
	target->groups = groups;
	target->stalls = stalls;
	target->quota = quota;
	target->serial = target_next_serial();
	target->changed = true;
	target->absent = fd < 0;
	target->own = past->own;
	memcpy(target->groupname, past->groupname, sizeof(target->groupname));
	target->given = past->given;
	target->runtime = naming_runtime(&hello);
	target->pid = past->pid;
	target->uid = past->uid;
	target->start_ticks = past->start_ticks;
	target->accepted_ns = past->accepted_ns;
	target->age_ns = past->age_ns;
	target->died_ns = past->died_ns;
	target->known_ns = past->known_ns;
	target->shift_ns = past->shift_ns;
	target->clock_known = past->clock_known;
	target->dropped_loops = past->dropped_loops;
	target->dropped_threads = past->dropped_threads;
	target->other_waits = past->other_waits;
	target->slots = calloc(past->header.slot_count, sizeof(struct slot *));
	if (target->slots)
		target->reader = reader_new(fd, &past->header);
	if (target->reader)
		target->family = family_new(target->reader, past->pid, past->uid, quota);
	if (!target->family) {
		target_free(target);
		return NULL;
	}
	target->fd = fd;
	if (past->dead)
		family_died(target->family);
	find_process(target);
	target->naming = naming;
	if (!target->groupname[0])
		target->query = ask_again(target, &hello);
	if (!target->groupname[0] && !target->query)
		strcpy(target->groupname, "unknown");
	return target;
}

bool
target_is_absent(const struct target *target)
{
	return target->absent;
}

int
target_segment(const struct target *target, const struct segment_header **ret_header)
{
	*ret_header = reader_header(target->reader);
	return target->fd;
}

bool
target_had_member(const struct target *target, pid_t pid)
{
	for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++)
		if (target->slots[i] && target->slots[i]->process == pid)
			return true;
	return false;
}

unsigned
target_count_lost(const struct target *target, unsigned unknown)
{
	unsigned count = 0, known = 0;

	if (!target->absent || target->own)
		return 0;
	for (uint32_t i = 0; i < reader_header(target->reader)->slot_count; i++) {
		const struct slot *slot = target->slots[i];

		known += slot != NULL;
		count += slot && slot->alive && !slot->moved;
	}
	return known ? count : unknown;
}
