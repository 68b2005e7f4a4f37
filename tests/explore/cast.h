/* SPDX-License-Identifier: MIT */
/*
 * What the explorations of the probe have in common: a small segment with loops in it, and
 * somebody who watches each step. At all times
 *
 *  - the body of a slot is written by the one thread that has set SEGMENT_RECORDING;
 *  - that bit goes as it came, unless its thread is dead;
 *  - the waiters in the state of the watched loop are the threads that are in its wait.
 */
#ifndef LOOPLAG_TESTS_EXPLORE_CAST_H
#define LOOPLAG_TESTS_EXPLORE_CAST_H

#include <stdint.h>

#include "probes/loops.h"
#include "tests/explore/explore.h"

#define CAST_SLOTS 3

struct cast {
	struct segment segment;
	uint32_t live;
	struct loop *loop;         /* the watched one */
	struct segment_slot *slot; /* in which it is; NULL: it is not watched */
	struct loops_thread maker; /* who sets the scene */
	struct loops_thread threads[EXPLORE_THREADS];
	/* Of the watched loop, what its iterations should have come to: */
	uint64_t iterations, active_ns;
};
extern struct cast cast;

/* Before an exploration: an empty segment, and loops_start(). */
void
cast_set_up(void);

/* A second segment, empty. */
struct segment
cast_another_segment(void);

/* Watch the loop, which is unattended, from the beginning of each execution. */
void
cast_watch(struct loop *loop);

/* The running thread attends the watched loop, and comes back. Returns what
 * loop_attend() does. */
int
cast_attend(uint64_t now_ns);
void
cast_unattend(uint64_t now_ns);

/* How many threads are in the watched loop's wait. */
unsigned
cast_waiting(void);

/* For the scenario: */
const char *
cast_name(const void *address);
void
cast_begin(void);
void
cast_died(unsigned thread);
void
cast_wrote(unsigned thread, const void *address);

#endif
