/* SPDX-License-Identifier: MIT */
/*
 * Writing a segment: claiming thread records and slots in it, and putting iterations into
 * slots. Knows the layout and nothing of loops, clocks or system calls, which is what lets
 * a forked child go on in a sandbox.
 *
 * Every function may be called from any thread and from signal handlers.
 */
#ifndef LOOPLAG_PROBES_SLOTS_H
#define LOOPLAG_PROBES_SLOTS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/segment.h"

/* A mapped segment. */
struct segment {
	struct segment_header *header;
	struct segment_thread *threads;
	struct segment_slot *slots;
	struct segment_capture *captures;
};

/* libc's mutex functions, found at start-up: their versioned names would keep the probe
 * from loading on older systems. */
struct slots_mutex_calls {
	int (*attr_init)(pthread_mutexattr_t *);
	int (*attr_setrobust)(pthread_mutexattr_t *, int);
	int (*attr_setpshared)(pthread_mutexattr_t *, int);
	int (*init)(pthread_mutex_t *, const pthread_mutexattr_t *);
	int (*trylock)(pthread_mutex_t *);
	int (*consistent)(pthread_mutex_t *);
	int (*unlock)(pthread_mutex_t *);
};

/* Keep the calls, and find which word of a locked mutex holds `tid`, the caller's. Returns
 * that word's index, or -1: no robust mutexes here. Not thread-safe; once, at start. */
int
slots_setup(const struct slots_mutex_calls *calls, uint32_t tid);

/* Lay out memory of segment_size(slot_count) zero bytes as an empty segment. The caller
 * fills in who it is. */
struct segment
slots_format(void *memory, uint32_t slot_count, int owner_word);

/* Claim a thread record for the calling thread, which holds it until it ends. Returns its
 * index, or -1 when all are taken, or when libc takes the thread for another one that has a
 * record. A record whose thread has died is taken with the loops
 * that it had, which end by that. */
int
slots_claim_thread(const struct segment *segment);

/*
 * Claim a slot for a new loop of thread record `thread`: one that this thread's last loop
 * of the kind has left, else one whose loop ended SLOTS_REST_NS ago or more, but not in a
 * wait, else one never used, else any whose loop has ended, by itself or with its thread. So
 * a server that starts workers anew for ever needs no more slots than workers, and what a
 * slot has counted is read, as a rule, before it goes on for another loop. It comes back as
 * ATTENDED|RECORDING, which nobody takes, with its counters left as they are; the caller is
 * its writer until it stores another state. NULL when all are taken.
 */
#define SLOTS_REST_NS 60000000000ull
struct segment_slot *
slots_claim(
	const struct segment *segment, uint32_t thread, uint32_t kind, uint64_t now_ns);

/* The same for a slot never used before in this segment, at index `wish` if it can be. */
struct segment_slot *
slots_claim_unused(const struct segment *segment, uint32_t wish);

/* The writer makes the thread record the slot's own if the one that it had has died. */
void
slots_adopt(const struct segment *segment, struct segment_slot *slot, uint32_t thread);

/* The writer puts the iteration that it has just counted, a long one, into the ring. */
void
slots_record_long(struct segment_slot *slot, uint64_t since_ns, uint64_t length_ns,
	uint64_t nested_ns);

/* The writer adds an iteration from since_ns to now_ns, `nested_ns` of it nested waits. */
static inline void
slots_record(
	struct segment_slot *slot, uint64_t since_ns, uint64_t now_ns, uint64_t nested_ns)
{
	uint64_t length_ns;

	/* Two threads' clock readings may come in the other order than their edges. */
	if (__builtin_expect(now_ns < since_ns, 0))
		now_ns = since_ns;
	length_ns = now_ns - since_ns;
	__atomic_store_n(&slot->iterations, slot->iterations + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->active_ns, slot->active_ns + length_ns, __ATOMIC_RELAXED);
	if (length_ns > slot->max_ns)
		__atomic_store_n(&slot->max_ns, length_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->last_ns, now_ns, __ATOMIC_RELAXED);
	histogram_record(&slot->iteration, length_ns);
	if (__builtin_expect(length_ns >= SEGMENT_LONG_NS, 0))
		slots_record_long(slot, since_ns, length_ns, nested_ns);
}

/* The writer, who alone changes the sequence, has changed what readers must not take half of.
 * One by UNTIL is the writer no more. */
static inline void
slots_count_update(struct segment_slot *slot)
{
	/* Whoever sees it sees what was written before. */
	__atomic_store_n(&slot->sequence, slot->sequence + 1, __ATOMIC_RELEASE);
}

/*
 * A waiter adds what its wait has returned; the slot was in that state when it was one. While
 * there is but one nobody else adds to `events`: whoever comes is one of several as long as
 * that one waits, and does not take over before it has left, with release. Only where the loop
 * is ended, and its slot goes on for another one, while the last waiter is just in here may
 * some events be lost.
 */
static inline void
slots_count_events(struct segment_slot *slot, uint64_t state, uint64_t events)
{
	if (__builtin_expect((state & SEGMENT_WAITERS) == 1, 1))
		__atomic_store_n(&slot->events, slot->events + events, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&slot->shared_events, events, __ATOMIC_RELAXED);
}

/* The state of a slot, which nobody writes, when a thread attends it that writes it until it
 * counts an update. */
static inline uint64_t
slots_attended_until_update(const struct segment_slot *slot)
{
	uint64_t sequence = __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED);

	return SEGMENT_ATTENDED | SEGMENT_UNTIL |
	       (uint64_t)(uint32_t)(sequence + 1) << SEGMENT_UNTIL_SHIFT | 1;
}

/* Tell whether somebody writes the slot, which is in that state or was. */
static inline int
slots_is_written(const struct segment_slot *slot, uint64_t state)
{
	return segment_is_written(
		state, __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE));
}

/* Count an update, and give up a slot that is held by RECORDING; it stays as attended as it is
 * by now. */
void
slots_release(struct segment_slot *slot);

/* The same; it is in that state from now on, whatever it was in. */
void
slots_give(struct segment_slot *slot, uint64_t state);

#endif
