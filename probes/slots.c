/* SPDX-License-Identifier: MIT */
/*
 * Claims and records in a segment. Who owns a slot's body its state word tells, by UNTIL or
 * by RECORDING (segment.h); who owns a thread record its robust mutex, which the kernel marks
 * when the thread is gone, however it went.
 */

#include "probes/slots.h"

#include <errno.h>
#include <string.h>

#define OWNER_WORDS (SEGMENT_LOCK_BYTES / 4)

static struct slots_mutex_calls calls;
static uint32_t unlocked[OWNER_WORDS]; /* a mutex that nobody has locked yet */

_Static_assert(sizeof(pthread_mutex_t) <= SEGMENT_LOCK_BYTES, "a mutex fits its record");

static int
init_mutex(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;

	if (calls.attr_init(&attr) || calls.attr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) ||
		calls.attr_setpshared(&attr, PTHREAD_PROCESS_SHARED))
		return -1;
	return calls.init(mutex, &attr) ? -1 : 0;
}

int
slots_setup(const struct slots_mutex_calls *mutex_calls, uint32_t tid)
{
	union {
		pthread_mutex_t mutex;
		uint32_t words[OWNER_WORDS];
	} before, lock;
	int word = -1;

	calls = *mutex_calls;
	memset(&lock, 0, sizeof(lock));
	if (init_mutex(&lock.mutex))
		return -1;
	memcpy(&before, &lock, sizeof(lock));
	memcpy(unlocked, &lock, sizeof(lock));
	if (calls.trylock(&lock.mutex))
		return -1;
	for (int i = 0; i < OWNER_WORDS && word < 0; i++)
		if ((lock.words[i] & SEGMENT_TID_MASK) == tid &&
			lock.words[i] != before.words[i])
			word = i;
	calls.unlock(&lock.mutex);
	return word;
}

struct segment
slots_format(void *memory, uint32_t slot_count, int owner_word)
{
	struct segment_header *header = memory;
	uint64_t size = segment_size(slot_count);
	char *bytes = memory;

	header->version = SEGMENT_VERSION;
	header->compat_version = SEGMENT_COMPAT_VERSION;
	header->size = size;
	header->thread_count = slot_count;
	header->slot_count = slot_count;
	header->threads_offset = SEGMENT_PAGE;
	header->capture_bytes = SEGMENT_CAPTURE_BYTES;
	header->capture_offset = (uint32_t)(size - SEGMENT_CAPTURE_BYTES);
	header->slots_offset = header->capture_offset -
			       slot_count * (uint32_t)sizeof(struct segment_slot);
	header->owner_word = (uint32_t)owner_word;
	header->wakes = 1;
	header->magic = SEGMENT_MAGIC;
	return (struct segment){
		.header = header,
		.threads = (struct segment_thread *)(bytes + header->threads_offset),
		.slots = (struct segment_slot *)(bytes + header->slots_offset),
		.captures = (struct segment_capture *)(bytes + header->capture_offset),
	};
}

/* The word of a record that holds its owner's tid. */
static uint32_t
owner(const struct segment *segment, uint32_t thread)
{
	return __atomic_load_n(
		&segment->threads[thread].lock[segment->header->owner_word],
		__ATOMIC_ACQUIRE);
}

/* Lock a record's mutex, which nobody has locked yet or whose owner has died. */
static int
lock_record(struct segment_thread *record, uint32_t generation)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)record->lock;
	int result;

	/* Others may look at it by now: libc would write as if they did not. */
	for (int i = 0; generation == 0 && i < OWNER_WORDS; i++)
		__atomic_store_n(&record->lock[i], unlocked[i], __ATOMIC_RELAXED);
	result = calls.trylock(mutex);
	if (result == EOWNERDEAD)
		result = calls.consistent(mutex);
	return result ? -1 : 0;
}

/* Become the writer of a slot in that state, by way of one that nobody takes: the slot does
 * not tell yet whose it is. */
static int
take(struct segment_slot *slot, uint64_t state)
{
	if (!__atomic_compare_exchange_n(&slot->state, &state,
		    SEGMENT_ATTENDED | SEGMENT_RECORDING, 0, __ATOMIC_ACQ_REL,
		    __ATOMIC_RELAXED))
		return 0;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return 1;
}

/* Tell whether a slot in that state can be taken when its thread has died: unless it is
 * being taken, or written by one of several. */
static int
is_left(const struct segment_slot *slot, uint64_t state)
{
	return (state & SEGMENT_WAITERS) == 1 || !slots_is_written(slot, state);
}

/* The thread of a record has died: end the loops that it has left, before the record and
 * so the loops seem to be another thread's. */
static void
end_loops_of(const struct segment *segment, uint32_t thread)
{
	uint64_t used = __atomic_load_n(&segment->header->slots_used, __ATOMIC_ACQUIRE);

	for (uint64_t i = 0; i < used && i < segment->header->slot_count; i++) {
		struct segment_slot *slot = &segment->slots[i];
		uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

		if (!state || !is_left(slot, state) ||
			__atomic_load_n(&slot->thread, __ATOMIC_RELAXED) != thread ||
			!take(slot, state))
			continue;
		__atomic_store_n(&slot->ended_ns,
			state & SEGMENT_ATTENDED ? slot->last_ns : state,
			__ATOMIC_RELAXED);
		slots_give(slot, 0);
	}
}

/* Tell whether the tid in this record is that of another thread that lives: libc does not
 * know its own in a child that was made by a raw clone system call, and the kernel would
 * not tell of that child's death. */
static int
is_impostor(const struct segment *segment, uint32_t thread)
{
	uint32_t tid = owner(segment, thread);

	for (uint32_t i = 0; i < segment->header->thread_count; i++)
		if (i != thread && owner(segment, i) == tid)
			return 1;
	return 0;
}

int
slots_claim_thread(const struct segment *segment)
{
	uint32_t count = segment->header->thread_count;

	for (int dead = 0; dead <= 1; dead++) {
		for (uint32_t i = 0; i < count; i++) {
			struct segment_thread *record = &segment->threads[i];
			uint32_t generation =
				__atomic_load_n(&record->generation, __ATOMIC_ACQUIRE);

			if (dead ? !(owner(segment, i) & SEGMENT_OWNER_DIED)
				 : generation != 0)
				continue;
			if (!__atomic_compare_exchange_n(&record->generation, &generation,
				    generation + 1, 0, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED))
				continue;
			if (dead)
				end_loops_of(segment, i);
			if (lock_record(record, generation) != 0)
				continue;
			if (is_impostor(segment, i)) {
				__atomic_store_n(
					&record->lock[segment->header->owner_word],
					SEGMENT_OWNER_DIED, __ATOMIC_RELEASE);
				return -1;
			}
			__atomic_store_n(&record->tid,
				owner(segment, i) & SEGMENT_TID_MASK, __ATOMIC_RELEASE);
			return (int)i;
		}
	}
	return -1;
}

/* Put the life of the slot's last loop, if it had one, behind it. */
static void
bury(struct segment_slot *slot, uint64_t state)
{
	uint64_t end = slot->ended_ns;

	if (!slot->born_ns)
		return;
	if (!end)
		end = state & SEGMENT_ATTENDED || !state ? slot->last_ns : state;
	if (end > slot->born_ns)
		__atomic_store_n(&slot->past_life_ns,
			slot->past_life_ns + (end - slot->born_ns), __ATOMIC_RELAXED);
	__atomic_store_n(&slot->born_ns, 0, __ATOMIC_RELAXED);
}

/* Make slots_used cover the slot. */
static void
mark_used(const struct segment *segment, size_t index)
{
	uint64_t *used = &segment->header->slots_used;
	uint64_t value = __atomic_load_n(used, __ATOMIC_RELAXED);

	while (value < index + 1 && !__atomic_compare_exchange_n(used, &value, index + 1,
					    0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

enum claim {
	CLAIM_OWN,
	CLAIM_RESTED,
	CLAIM_UNUSED,
	CLAIM_ENDED,
	CLAIM_DEAD,
	CLAIM_STEPS
};

/* Who wants a slot, and when. */
struct claimant {
	uint32_t thread, kind;
	uint64_t now_ns;
};

/* Tell whether the loop in the slot, or the thread that had it, has ended. */
static int
is_over(const struct segment *segment, const struct segment_slot *slot, uint64_t state)
{
	uint32_t thread = __atomic_load_n(&slot->thread, __ATOMIC_RELAXED);

	return !state || (is_left(slot, state) &&
				 owner(segment, thread % segment->header->thread_count) &
					 SEGMENT_OWNER_DIED);
}

/* Tell whether nothing has happened in the slot for so long that readers know all of it. */
static int
has_rested(const struct segment_slot *slot, uint64_t state, uint64_t now_ns)
{
	uint64_t end_ns = __atomic_load_n(
		state ? &slot->last_ns : &slot->ended_ns, __ATOMIC_RELAXED);

	if (state && !(state & SEGMENT_ATTENDED))
		end_ns = state;
	return end_ns && now_ns > end_ns && now_ns - end_ns >= SLOTS_REST_NS;
}

/* Tell whether a slot in that state may be taken in this step of the search. */
static int
claimable(const struct segment *segment, const struct segment_slot *slot, uint64_t state,
	enum claim step, const struct claimant *claimant)
{
	uint32_t life = __atomic_load_n(&slot->life, __ATOMIC_RELAXED);

	switch (step) {
	case CLAIM_OWN:
		return !state && life &&
		       __atomic_load_n(&slot->thread, __ATOMIC_RELAXED) ==
			       claimant->thread &&
		       __atomic_load_n(&slot->kind, __ATOMIC_RELAXED) == claimant->kind;
	case CLAIM_RESTED:
		/* Who waits there may be another thread than the one that has ended. */
		return is_over(segment, slot, state) &&
		       !(state & SEGMENT_ATTENDED && state & SEGMENT_WAITERS) &&
		       has_rested(slot, state, claimant->now_ns);
	case CLAIM_UNUSED:
		return !state && !life;
	case CLAIM_ENDED:
		return !state;
	default:
		return is_over(segment, slot, state);
	}
}

struct segment_slot *
slots_claim(
	const struct segment *segment, uint32_t thread, uint32_t kind, uint64_t now_ns)
{
	const struct claimant claimant = {thread, kind, now_ns};
	uint32_t count = segment->header->slot_count;

	for (enum claim step = CLAIM_OWN; step < CLAIM_STEPS; step++) {
		for (uint32_t i = 0; i < count; i++) {
			struct segment_slot *slot = &segment->slots[i];
			uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

			if (step != CLAIM_UNUSED &&
				i >= __atomic_load_n(&segment->header->slots_used,
					     __ATOMIC_ACQUIRE))
				break;
			if (!claimable(segment, slot, state, step, &claimant) ||
				!take(slot, state))
				continue;
			bury(slot, state);
			mark_used(segment, i);
			return slot;
		}
	}
	return NULL;
}

struct segment_slot *
slots_claim_unused(const struct segment *segment, uint32_t wish)
{
	uint32_t count = segment->header->slot_count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = (wish + i) % count;
		struct segment_slot *slot = &segment->slots[index];

		if (__atomic_load_n(&slot->life, __ATOMIC_RELAXED) || !take(slot, 0))
			continue;
		mark_used(segment, index);
		return slot;
	}
	return NULL;
}

void
slots_record_long(struct segment_slot *slot, uint64_t since_ns, uint64_t length_ns,
	uint64_t nested_ns)
{
	uint64_t count = slot->long_count;
	struct segment_long *entry = &slot->ring[count % SEGMENT_RING];

	__atomic_store_n(&entry->start_ns, since_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->length_ns, length_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->nested_ns, nested_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->iteration, slot->iterations, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->long_count, count + 1, __ATOMIC_RELAXED);
}

void
slots_adopt(const struct segment *segment, struct segment_slot *slot, uint32_t thread)
{
	if (owner(segment, slot->thread) & SEGMENT_OWNER_DIED)
		__atomic_store_n(&slot->thread, thread, __ATOMIC_RELAXED);
}

void
slots_release(struct segment_slot *slot)
{
	slots_count_update(slot);
	__atomic_fetch_and(&slot->state, ~(SEGMENT_RECORDING | SEGMENT_UNTIL_MASK),
		__ATOMIC_RELEASE);
}

void
slots_give(struct segment_slot *slot, uint64_t state)
{
	slots_count_update(slot);
	__atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
}
