/* SPDX-License-Identifier: MIT */
/*
 * What the explorations of the probe have in common: a small segment with loops in it, and
 * somebody who watches each step. At all times
 *
 *  - the body of a slot is written by the one thread that has put into its state that it is;
 *  - that goes as it came, unless its thread is dead;
 *  - the waiters in the state of the watched loop are the threads that are in its wait.
 */
#ifndef LOOPLAG_TESTS_EXPLORE_CAST_H
#define LOOPLAG_TESTS_EXPLORE_CAST_H

#include <stdint.h>

#include "probes/loops.h"
#include "tests/explore/explore.h"

#define CAST_SLOTS 3

struct cast {
	struct segment segment, second; /* to which loops may move */
	uint32_t live;
	struct loop *loop;         /* the watched one */
	struct segment_slot *slot; /* in which it is; NULL: it is not watched */
	struct loops_thread maker; /* who sets the scene */
	struct loops_thread threads[EXPLORE_THREADS];
	/* Of the watched loop, what its iterations and waits should have come to: */
	uint64_t iterations, active_ns, events;
};
extern struct cast cast;

/* Before an exploration: an empty segment, and loops_start(). */
void
cast_set_up(void);

/* Watch the loop, which is unattended, from the beginning of each execution. */
void
cast_watch(struct loop *loop);

/* The running thread attends the watched loop, and comes back with events. Returns what
 * loop_attend() does. */
int
cast_attend(uint64_t now_ns);
void
cast_unattend(uint64_t now_ns);

/* How many threads are in the watched loop's wait. */
unsigned
cast_waiting(void);

/* A scenario without threads, that is watched. */
struct explore_scenario
cast_scene(void);

/* Explore it, and say how far that went. */
struct explore_result
cast_play(const struct explore_scenario *scenario);
void
cast_expect_sound(const struct explore_scenario *scenario);

#endif
