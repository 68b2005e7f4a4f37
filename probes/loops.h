/* SPDX-License-Identifier: MIT */
/*
 * The loops of this process. The part of a loop's state that the daemon needs lies in a
 * slot of the segment; this keeps which descriptor is which loop, and turns the two edges
 * of a wait call into iterations:
 *
 *	            attend                    unattend(now)
 *	unattended ---------> attended by n -------------> unattended since now
 *	since t      record      | ^  more threads
 *	             now - t     +-+  come and go
 *
 * A wait that returned nothing and is followed at once (953 ns) by another one of the same
 * loop is one wait with it. A loop that rests (attended by nobody) is not late.
 *
 * Nothing here makes a system call, takes a lock, allocates or touches errno. Any thread;
 * signal handlers are kept out by the caller (waits.c).
 */
#ifndef LOOPLAG_PROBES_LOOPS_H
#define LOOPLAG_PROBES_LOOPS_H

#include <stddef.h>
#include <stdint.h>

#include "probes/slots.h"

/* An entry of the loop table: for loops.c, and for what every wait call looks at. A cache
 * line each: threads that have loops of their own must not share one. */
struct loop {
	uint64_t
		tenure; /* whose loop this is, an epoch, NOBODY or BUSY, in the upper half;
			  * in the lower a life, another one for each loop */
	struct segment_slot *slot;
	intptr_t key;
	uint32_t kind;
	uint32_t slot_life; /* the slot's; another one tells that we have lost the slot */
	uint32_t segment;   /* number of the segment that the slot lies in */
	uint32_t index;     /* of the slot */
	uint32_t nothing;   /* the last wait returned nothing */
	uint32_t round;     /* the slot's, of late */
	uint64_t
		nested_mark; /* the slot's nested_wait_ns when the last iteration ended */
} __attribute__((aligned(64)));

/* A thread of this process, as far as loops are concerned: its record in the segment.
 * All zeros at first. */
struct loops_thread {
	uint32_t epoch;
	uint32_t segment;
	int record; /* -1: none was free */
	uint32_t dropped_kind;
	intptr_t dropped_key; /* of the loop that was counted as dropped last */
};

/* From now on there are loops, in that segment. `live` lies on a page that a forked child
 * finds zeroed. Once in a process. */
void
loops_start(const struct segment *segment, uint32_t *live);

/* Go on in another segment: each loop moves, counters and all, at its next iteration's
 * end. Segments that were used before must stay mapped. */
void
loops_move(const struct segment *segment);

/* Number of this process since loops_start() in an ancestor, 0 when there are no loops to
 * be recorded. A forked child has another one, and none of the loops of its parent. */
uint32_t
loops_epoch(void);

/* The number of this process; 0 in a forked child until somebody asks for its number. */
extern uint32_t *loops_live;
extern int loops_can_prefetch; /* for writing; not all processors can */

/* Tell whether loops_epoch() is that number. Of 0, which no process has, it may say yes in a
 * child whose number nobody has asked for. */
static inline int
loops_is_process(uint32_t epoch)
{
	const uint32_t *live = __atomic_load_n(&loops_live, __ATOMIC_ACQUIRE);

	return __atomic_load_n(live, __ATOMIC_ACQUIRE) == epoch;
}

/* The header of the current segment, and all of it. */
struct segment_header *
loops_header(void);
const struct segment *
loops_segment(void);

/* A loop that has been unattended for long. */
struct loops_late {
	const struct segment_slot *slot; /* in the current segment */
	uint32_t index;                  /* of it */
	uint32_t tid;                    /* of the loop's thread */
	uint64_t since_ns;
};

/* The loops of this process that have been unattended since before_ns or longer. The search
 * begins at *cursor, which moves on, so that all have their turn if there are more than
 * `max`. Returns how many were found. */
size_t
loops_find_late(
	uint64_t before_ns, struct loops_late *ret_late, size_t max, size_t *cursor);

/*
 * Make a loop whose first wait began at born_ns. It is unattended since since_ns, or rests
 * if that is 0. An epoll loop (key: its descriptor) is found by loops_find() from now on;
 * if another thread has just made it, that one comes back. NULL when there is no room.
 */
struct loop *
loops_make(struct loops_thread *thread, uint32_t kind, intptr_t key, uint64_t born_ns,
	uint64_t since_ns, const char *label);

/* The epoll loop with that descriptor, or NULL. */
struct loop *
loops_find(intptr_t descriptor);

/* The thread begins to wait for an epoll instance that is no loop yet, but may become one
 * by another thread before it comes back. Returns whether it is counted for that, which
 * loops_return_early() must end. */
int
loops_wait_early(intptr_t descriptor);
void
loops_return_early(intptr_t descriptor, uint64_t now_ns, uint64_t events);

/* The descriptor means another epoll instance now: the loop that had it is over. */
void
loops_forget(intptr_t descriptor);

/* The loop is over: it ended when it was attended last. */
void
loops_end(struct loop *loop);

/* Tell whether it is a loop of this process, not of the one that forked it. */
int
loop_is_ours(const struct loop *loop);

/* Tell whether the loop is of that kind and key. */
static inline int
loop_is(const struct loop *loop, uint32_t kind, intptr_t key)
{
	return __atomic_load_n(&loop->kind, __ATOMIC_RELAXED) == kind &&
	       __atomic_load_n(&loop->key, __ATOMIC_RELAXED) == key;
}

/* The descriptor of an epoll loop, or -1. */
int
loop_descriptor(const struct loop *loop);

/* Changes when the same struct loop comes to mean another loop. */
static inline uint32_t
loop_life(const struct loop *loop)
{
	return (uint32_t)__atomic_load_n(&loop->tenure, __ATOMIC_RELAXED);
}

/* The slot, for what may be added to it at any time. Borrowed until the loop's end. */
static inline struct segment_slot *
loop_slot(const struct loop *loop)
{
	return __atomic_load_n(&loop->slot, __ATOMIC_ACQUIRE);
}

/* The thread is about to call one of the next two: if another thread has the slot's first cache
 * line, have it come, to be written, while the caller reads the clock. */
static inline void
loop_expect(const struct loop *loop)
{
#ifdef __x86_64__
	/* The compiler's own would fetch it to be read. */
	if (loops_can_prefetch)
		__asm__ volatile("prefetchw %0" : : "m"(loop_slot(loop)->state));
#else
	__builtin_prefetch(&loop_slot(loop)->state, 1);
#endif
}

/* The thread begins to wait in the loop. Returns whether it counts as a waiter now, which
 * loop_unattend() must end. */
int
loop_attend(struct loop *loop, struct loops_thread *thread, uint64_t now_ns);

/* It has come back, with so many events, which are counted. */
void
loop_unattend(struct loop *loop, uint64_t now_ns, uint64_t events);

/* How much of the time until now the loop has been unattended: none while other threads
 * wait in it. */
uint64_t
loop_blocked_ns(const struct loop *loop, uint64_t from_ns, uint64_t now_ns);

/* Nobody waits, and that is all right: another loop of the thread is attended. */
void
loop_rest(struct loop *loop);

#endif
