/* SPDX-License-Identifier: MIT */
/* The loop table and the state machine of loops.h; the state word is segment.h's. */

#include "probes/loops.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <string.h>

#include "probes/copies.h"
#include "probes/descriptors.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

/* What others may read or write at the same time. */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define STORE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)

#define LOOPS SEGMENT_SLOTS_MAX
#define CHILD \
	0u /* the live word where nobody has asked yet, and while it gets a number */
#define BEGINNING UINT32_MAX
#define NOBODY 0u
#define BUSY UINT32_MAX /* whose a table entry is while a loop is made or ended in it */

static uint32_t not_started = BEGINNING;
uint32_t *loops_live = &not_started;
static uint32_t own_process; /* number of the process in which somebody asked last */
int loops_can_prefetch;
static struct segment segments[2]; /* the current one at segment_number % 2 */
static uint32_t segment_number;
static struct loop loops[LOOPS];

static int
can_prefetch(void)
{
#ifdef __x86_64__
	unsigned a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & bit_PRFCHW;
#else
	return 1;
#endif
}

void
loops_start(const struct segment *segment, uint32_t *live)
{
	loops_can_prefetch = can_prefetch();
	segments[0] = *segment;
	*live = own_process = 1;
	__atomic_store_n(&loops_live, live, __ATOMIC_RELEASE);
}

void
loops_move(const struct segment *segment)
{
	uint32_t number = segment_number + 1;

	segments[number % 2] = *segment;
	__atomic_store_n(&segment_number, number, __ATOMIC_RELEASE);
}

/* In a forked child, whose memory is its own now, forget the parent's loops. */
static uint32_t
begin_child(void)
{
	uint32_t state = CHILD;

	if (!__atomic_compare_exchange_n(
		    loops_live, &state, BEGINNING, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		return state == BEGINNING ? 0 : state;
	STORE(own_process, own_process + 1);
	__atomic_store_n(loops_live, own_process, __ATOMIC_RELEASE);
	return own_process;
}

uint32_t
loops_epoch(void)
{
	const uint32_t *live = __atomic_load_n(&loops_live, __ATOMIC_ACQUIRE);
	uint32_t process = __atomic_load_n(live, __ATOMIC_ACQUIRE);

	if (unlikely(process == CHILD || process == BEGINNING))
		return begin_child();
	return process;
}

static uint32_t
current_number(void)
{
	return __atomic_load_n(&segment_number, __ATOMIC_ACQUIRE);
}

static const struct segment *
current_segment(void)
{
	return &segments[current_number() % 2];
}

struct segment_header *
loops_header(void)
{
	return current_segment()->header;
}

const struct segment *
loops_segment(void)
{
	return current_segment();
}

/* Claim the thread's record in the current segment at first need. Returns its index, or a
 * negative number. */
static int
thread_record(struct loops_thread *thread)
{
	uint32_t number = current_number();

	if (thread->epoch != own_process || thread->segment != number) {
		thread->epoch = own_process;
		thread->segment = number;
		thread->record = slots_claim_thread(&segments[number % 2]);
	}
	return thread->record;
}

/* Tell whether the slot has been taken from the loop, since the thread to which it seemed
 * to belong had died. */
static int
is_lost(const struct loop *loop, const struct segment_slot *slot)
{
	return unlikely(LOAD(slot->life) != LOAD(loop->slot_life));
}

static uint64_t
load_tenure(const struct loop *loop)
{
	return __atomic_load_n(&loop->tenure, __ATOMIC_ACQUIRE);
}

static uint32_t
owner_of(uint64_t tenure)
{
	return (uint32_t)(tenure >> 32);
}

/* The entry passes on, to another life. */
static uint64_t
next_tenure(uint32_t owner, uint64_t tenure)
{
	return (uint64_t)owner << 32 | (uint32_t)(tenure + 1);
}

/* Become the one who makes or ends a loop there. */
static int
seize(struct loop *loop, uint64_t tenure)
{
	return __atomic_compare_exchange_n(&loop->tenure, &tenure,
		next_tenure(BUSY, tenure), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Take a table entry of no loop of this process, or of one that has lost its slot. NULL if
 * there is none. */
static struct loop *
take_entry(void)
{
	for (size_t i = 0; i < LOOPS; i++) {
		struct loop *loop = &loops[i];
		uint64_t tenure = load_tenure(loop);

		if (owner_of(tenure) != BUSY &&
			(owner_of(tenure) != own_process ||
				is_lost(loop, LOAD(loop->slot))) &&
			seize(loop, tenure))
			return loop;
	}
	return NULL;
}

/* Give back an entry that was seized. Its slot is no matter any more. */
static void
give_entry(struct loop *loop)
{
	if (loop->kind == SEGMENT_KIND_EPOLL)
		descriptors_forget(loop->key);
	__atomic_store_n(
		&loop->tenure, next_tenure(NOBODY, loop->tenure), __ATOMIC_RELEASE);
}

/* The loop's slot is no more, or another loop's: it is over, and may be made anew. Unless it is
 * just moving to another slot, when nobody has ended it. */
static __attribute__((cold)) void
lose(struct loop *loop)
{
	uint64_t tenure = load_tenure(loop);
	const struct segment_slot *slot = loop_slot(loop);

	if (owner_of(tenure) == own_process &&
		(is_lost(loop, slot) ||
			(!__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) &&
				LOAD(slot->ended_ns))) &&
		seize(loop, tenure))
		give_entry(loop);
}

/* Put the name, as much of it as there is room for, into the slot. */
static void
store_label(struct segment_slot *slot, const char *from)
{
	union {
		char text[sizeof(slot->label)];
		uint64_t words[sizeof(slot->label) / 8];
	} label;

	memset(&label, 0, sizeof(label));
	for (size_t i = 0; from && from[i] && i < sizeof(label.text) - 1; i++)
		label.text[i] = from[i];
	for (size_t i = 0; i < sizeof(label.words) / 8; i++)
		STORE(((uint64_t *)slot->label)[i], label.words[i]);
}

/* Count a loop that cannot be recorded, unless it is the one that was counted last. */
static void
drop(struct loops_thread *thread, uint64_t *counter, uint32_t kind, intptr_t key)
{
	if (kind == thread->dropped_kind && key == thread->dropped_key &&
		kind != SEGMENT_KIND_CUSTOM)
		return;
	thread->dropped_kind = kind;
	thread->dropped_key = key;
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Say that a wait of the loop ends in a new round, or that it is new: whoever has seen that
 * all loops wait has to look again. */
static __attribute__((cold, noinline)) void
announce(struct loop *loop, uint64_t round)
{
	struct segment_header *header = segments[LOAD(loop->segment) % 2].header;

	STORE(loop->round, (uint32_t)round);
	STORE(loop_slot(loop)->round, round);
	__atomic_fetch_add(&header->wakes, 1, __ATOMIC_RELEASE);
}

/* Take a slot and an entry for a new loop. */
static struct loop *
make(struct loops_thread *thread, uint32_t kind, intptr_t key, uint64_t born_ns,
	uint64_t since_ns, const char *label)
{
	int record = thread_record(thread);
	const struct segment *segment = &segments[thread->segment % 2];
	struct loop *loop;
	struct segment_slot *slot;

	if (record < 0) {
		drop(thread, &segment->header->dropped_threads, kind, key);
		thread->epoch = 0; /* others may have ended when we try again */
		return NULL;
	}
	slot = slots_claim(segment, (uint32_t)record, kind, born_ns);
	if (!slot) {
		drop(thread, &segment->header->dropped_loops, kind, key);
		return NULL;
	}
	loop = take_entry();
	if (!loop) {
		slots_give(slot, 0);
		drop(thread, &segment->header->dropped_loops, kind, key);
		return NULL;
	}
	STORE(slot->thread, (uint32_t)record);
	STORE(slot->kind, kind);
	STORE(slot->descriptor, kind == SEGMENT_KIND_EPOLL ? (int32_t)key : -1);
	STORE(slot->life, slot->life + 1);
	STORE(slot->ended_ns, 0);
	STORE(slot->born_ns, born_ns);
	STORE(slot->last_ns, since_ns ? since_ns : born_ns);
	store_label(slot, label);
	STORE(loop->slot, slot);
	STORE(loop->key, key);
	STORE(loop->kind, kind);
	STORE(loop->slot_life, slot->life);
	STORE(loop->segment, thread->segment);
	loop->index = (uint32_t)(slot - segment->slots);
	STORE(loop->nothing, 0);
	loop->nested_mark = LOAD(slot->nested_wait_ns);
	announce(loop, born_ns >> SEGMENT_ROUND_SHIFT);
	__atomic_store_n(
		&loop->tenure, next_tenure(own_process, loop->tenure), __ATOMIC_RELEASE);
	slots_give(slot, since_ns ? since_ns : SEGMENT_ATTENDED);
	return loop;
}

/* The epoll loop with that descriptor which has that number in the table. */
static struct loop *
find_numbered(intptr_t descriptor, uint32_t number)
{
	struct loop *loop;

	if (!number)
		return NULL;
	loop = &loops[number - 1];
	if (owner_of(load_tenure(loop)) != own_process || LOAD(loop->key) != descriptor ||
		LOAD(loop->kind) != SEGMENT_KIND_EPOLL)
		return NULL;
	return loop;
}

struct loop *
loops_find(intptr_t descriptor)
{
	return find_numbered(descriptor, descriptors_find(descriptor, own_process));
}

struct loop *
loops_make(struct loops_thread *thread, uint32_t kind, intptr_t key, uint64_t born_ns,
	uint64_t since_ns, const char *label)
{
	struct loop *loop;
	uint32_t waiters;

	if (kind != SEGMENT_KIND_EPOLL)
		return make(thread, kind, key, born_ns, since_ns, label);
	loop = loops_find(key);
	if (loop)
		return loop;
	if (!descriptors_reserve(key, own_process))
		return NULL;
	loop = make(thread, kind, key, born_ns, since_ns, label);
	/* Nobody attends it until it is published. */
	do {
		waiters = descriptors_waiters(key);
		if (loop && waiters)
			__atomic_store_n(&loop->slot->state, SEGMENT_ATTENDED | waiters,
				__ATOMIC_RELEASE);
		else if (loop)
			__atomic_store_n(&loop->slot->state,
				since_ns ? since_ns : SEGMENT_ATTENDED, __ATOMIC_RELEASE);
	} while (!descriptors_publish(
		key, own_process, waiters, loop ? (uint32_t)(loop - loops + 1) : 0));
	return loop;
}

int
loops_wait_early(intptr_t descriptor)
{
	return descriptors_enter(descriptor, own_process);
}

void
loops_return_early(intptr_t descriptor, uint64_t now_ns, uint64_t events)
{
	struct loop *loop =
		find_numbered(descriptor, descriptors_leave(descriptor, own_process));

	if (loop)
		loop_unattend(loop, now_ns, events);
}

/* End the loop whose entry the caller has seized. */
static void
end(struct loop *loop)
{
	struct segment_slot *slot = LOAD(loop->slot);
	uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
	uint64_t next = SEGMENT_ATTENDED | SEGMENT_RECORDING;

	while (state && !slots_is_written(slot, state) && !is_lost(loop, slot)) {
		if (!__atomic_compare_exchange_n(&slot->state, &state, next, 0,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		__atomic_thread_fence(__ATOMIC_RELEASE);
		STORE(slot->ended_ns, state & SEGMENT_ATTENDED ? slot->last_ns : state);
		slots_give(slot, 0);
		break;
	}
	give_entry(loop);
}

void
loops_end(struct loop *loop)
{
	uint64_t tenure = load_tenure(loop);

	if (owner_of(tenure) == own_process && seize(loop, tenure))
		end(loop);
}

void
loops_forget(intptr_t descriptor)
{
	uint32_t number = descriptors_find(descriptor, own_process);
	uint64_t tenure = number ? load_tenure(&loops[number - 1]) : 0;

	/* What is found after the tenure was read is seized only if it is still that. */
	if (find_numbered(descriptor, number) && owner_of(tenure) == own_process &&
		seize(&loops[number - 1], tenure))
		end(&loops[number - 1]);
	descriptors_forget(descriptor);
}

/* Tell whether the loop is late, and how. It may end or pass on at any time, which the
 * tenure tells. */
static int
is_late(const struct loop *loop, uint64_t before_ns, struct loops_late *ret_late)
{
	const struct segment *segment = current_segment();
	uint64_t tenure = load_tenure(loop), state;
	const struct segment_thread *record;

	if (owner_of(tenure) != own_process || LOAD(loop->segment) != current_number())
		return 0;
	ret_late->slot = loop_slot(loop);
	ret_late->index = (uint32_t)(ret_late->slot - segment->slots);
	state = __atomic_load_n(&ret_late->slot->state, __ATOMIC_ACQUIRE);
	if (!state || state & SEGMENT_ATTENDED || state > before_ns ||
		is_lost(loop, ret_late->slot) ||
		ret_late->index >= segment->header->slot_count)
		return 0;
	ret_late->since_ns = state;
	record = &segment->threads[LOAD(ret_late->slot->thread) %
				   segment->header->thread_count];
	ret_late->tid = __atomic_load_n(&record->tid, __ATOMIC_ACQUIRE);
	return ret_late->tid && load_tenure(loop) == tenure;
}

size_t
loops_find_late(
	uint64_t before_ns, struct loops_late *ret_late, size_t max, size_t *cursor)
{
	size_t count = 0, i;

	for (i = 0; i < LOOPS && count < max; i++)
		if (is_late(&loops[(*cursor + i) % LOOPS], before_ns, &ret_late[count]))
			count++;
	*cursor = (*cursor + i) % LOOPS;
	return count;
}

int
loop_is_ours(const struct loop *loop)
{
	return owner_of(load_tenure(loop)) == own_process;
}

int
loop_descriptor(const struct loop *loop)
{
	return LOAD(loop->kind) == SEGMENT_KIND_EPOLL ? (int)LOAD(loop->key) : -1;
}

/* The caller is the slot's writer by UNTIL, and no longer when this returns: move the loop into
 * the current segment, if that can be. */
static __attribute__((cold)) void
move(struct loop *loop, struct segment_slot *old, struct loops_thread *thread)
{
	struct segment_slot *new = NULL;
	const size_t body = offsetof(struct segment_slot, iterations);
	uint64_t state;

	if (thread_record(thread) >= 0)
		new = slots_claim_unused(current_segment(), loop->index);
	if (!new) {
		slots_count_update(old);
		return;
	}
	/* UNTIL is over when the update is counted, and the slot is still to be copied. */
	state = __atomic_or_fetch(&old->state, SEGMENT_RECORDING, __ATOMIC_ACQ_REL);
	slots_count_update(old);
	/* Where others wait too, try again at an end of an iteration without them. */
	if ((state & SEGMENT_WAITERS) != 1 ||
		!__atomic_compare_exchange_n(
			&old->state, &state, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		__atomic_store_n(&new->state, 0, __ATOMIC_RELEASE);
		slots_release(old);
		return;
	}
	copies_words((char *)new + body, (const char *)old + body, sizeof(*new) - body);
	STORE(new->thread, (uint32_t)thread->record);
	STORE(new->sequence, old->sequence);
	__atomic_store_n(
		&new->state, SEGMENT_ATTENDED | SEGMENT_RECORDING | 1, __ATOMIC_RELAXED);
	STORE(loop->segment, current_number());
	STORE(loop->round, 0); /* there it has said nothing yet */
	__atomic_store_n(&loop->slot, new, __ATOMIC_RELEASE);
	slots_release(new);
}

/* The caller has just become the slot's writer: add the iteration that ends now. */
static inline void
record(struct loop *loop, struct segment_slot *slot, struct loops_thread *thread,
	uint64_t since_ns, uint64_t now_ns)
{
	uint64_t nested_ns = LOAD(slot->nested_wait_ns);

	slots_record(slot, since_ns, now_ns, nested_ns - loop->nested_mark);
	if (unlikely(loop->nested_mark != nested_ns))
		loop->nested_mark = nested_ns;
	if (unlikely(loop->segment != current_number())) {
		move(loop, slot, thread);
		return;
	}
	if (unlikely(slot->thread != (uint32_t)thread->record) &&
		thread_record(thread) >= 0)
		slots_adopt(current_segment(), slot, (uint32_t)thread->record);
	slots_count_update(slot);
}

int
loop_attend(struct loop *loop, struct loops_thread *thread, uint64_t now_ns)
{
	struct segment_slot *slot = loop_slot(loop);
	uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

	for (;;) {
		int counts = 0;
		uint64_t next;

		if (unlikely(!state || is_lost(loop, slot))) {
			if (loop_slot(loop) == slot) {
				lose(loop);
				return 0;
			}
			slot = loop_slot(loop);
			state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
			continue;
		}
		if (state & SEGMENT_ATTENDED) {
			next = state + 1;
		} else {
			counts = !(LOAD(loop->nothing) &&
				   now_ns < state + HISTOGRAM_ZERO_NS);
			next = counts ? slots_attended_until_update(slot)
				      : SEGMENT_ATTENDED | 1;
		}
		if (!__atomic_compare_exchange_n(&slot->state, &state, next, 0,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		if (counts) {
			__atomic_thread_fence(__ATOMIC_RELEASE);
			record(loop, slot, thread, state, now_ns);
		} else {
			__atomic_fetch_add(&slot->other_waits, 1, __ATOMIC_RELAXED);
		}
		return 1;
	}
}

void
loop_unattend(struct loop *loop, uint64_t now_ns, uint64_t events)
{
	struct segment_slot *slot = loop_slot(loop);
	uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
	uint32_t nothing = !events;

	/* Other threads of the loop have this cache line too: leave it to them, if we can. */
	if (LOAD(loop->nothing) != nothing)
		STORE(loop->nothing, nothing);
	if (unlikely(LOAD(loop->round) != (uint32_t)(now_ns >> SEGMENT_ROUND_SHIFT)))
		announce(loop, now_ns >> SEGMENT_ROUND_SHIFT);
	while (state & SEGMENT_ATTENDED && state & SEGMENT_WAITERS &&
		!is_lost(loop, slot)) {
		/* The last one leaves it unattended. */
		uint64_t next = (state & SEGMENT_WAITERS) == 1 ? now_ns : state - 1;

		if (events)
			slots_count_events(slot, state, events);
		events = 0;
		if (__atomic_compare_exchange_n(&slot->state, &state, next, 0,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return;
	}
}

uint64_t
loop_blocked_ns(const struct loop *loop, uint64_t from_ns, uint64_t now_ns)
{
	uint64_t since_ns = __atomic_load_n(&loop_slot(loop)->state, __ATOMIC_ACQUIRE);

	if (since_ns & SEGMENT_ATTENDED || since_ns >= now_ns)
		return 0;
	return now_ns - (since_ns > from_ns ? since_ns : from_ns);
}

void
loop_rest(struct loop *loop)
{
	struct segment_slot *slot = loop_slot(loop);
	uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

	while (state && !(state & SEGMENT_ATTENDED) && !is_lost(loop, slot))
		if (__atomic_compare_exchange_n(&slot->state, &state, SEGMENT_ATTENDED, 0,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return;
}
