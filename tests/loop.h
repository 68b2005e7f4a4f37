/* SPDX-License-Identifier: MIT */
/*
 * A loop that a test plays by hand, for the tests of accounts: its slot, the clock, its
 * account, and a series that gets all that it is said to have done.
 */
#ifndef LOOPLAG_TESTS_LOOP_H
#define LOOPLAG_TESTS_LOOP_H

#include <stdint.h>

#include "daemon/account.h"
#include "daemon/groups.h"

/* When the clock begins. */
#define LOOP_START 1000000000000ull

extern struct segment_slot slot;
extern struct account account;
extern struct account_reading reading; /* the next one; the times are filled in */
extern struct account_result result;   /* of the last one */
extern uint64_t now;

/* Before and after each test. */
void
loop_set_up(void);
void
loop_tear_down(void);

/* The loop is born now, and waits; its wait returns; its next wait begins. */
void
loop_begin(void);
void
loop_wake(void);
void
loop_wait(void);

/* Wait, and then be busy, so long. */
void
loop_iterate(uint64_t idle_ns, uint64_t busy_ns);

/* Read the slot at this moment, and see that no counter of a scrape goes back. A reading
 * with now_ns UINT64_MAX has no common clock. */
void
loop_look(void);

/* What all readings together say. */
struct series_view
loop_view(void);

uint64_t
loop_random(unsigned *seed);

#endif
