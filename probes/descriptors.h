/* SPDX-License-Identifier: MIT */
/*
 * Epoll instances by descriptor: which of them are loops, and how many threads wait in one
 * that is not a loop yet. These are the loop's waiters from the moment when it becomes one.
 *
 *	enter: +1        publish: the loop's waiters        leave: -1 here, or in the loop
 *
 * A number of the process, its epoch, tells its own entries from those that a forked child
 * finds. No system call, no lock, no errno; any thread, any signal handler.
 */
#ifndef LOOPLAG_PROBES_DESCRIPTORS_H
#define LOOPLAG_PROBES_DESCRIPTORS_H

#include <stdint.h>

#define DESCRIPTORS 65536 /* instances with a higher one are not seen */

/* Number of the loop, which is above 0, or 0 if there is none. */
uint32_t
descriptors_find(intptr_t descriptor, uint32_t epoch);

/* Begin to make a loop. Returns whether there is none and nobody else is making one. */
int
descriptors_reserve(intptr_t descriptor, uint32_t epoch);

/* How many threads wait for the instance that is being made a loop. */
uint32_t
descriptors_waiters(intptr_t descriptor);

/* End making it: `number` is the loop, or 0 if it could not be made. Fails, returning 0, if
 * the waiters are another number by now. */
int
descriptors_publish(
	intptr_t descriptor, uint32_t epoch, uint32_t waiters, uint32_t number);

/* The loop is over, or the descriptor means another instance. */
void
descriptors_forget(intptr_t descriptor);

/* The thread begins to wait for an instance that is no loop yet. Returns whether it is counted,
 * which descriptors_leave() must end. */
int
descriptors_enter(intptr_t descriptor, uint32_t epoch);

/* It has come back. Returns the number of the loop that counts it now, if there is one. */
uint32_t
descriptors_leave(intptr_t descriptor, uint32_t epoch);

#endif
