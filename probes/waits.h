/* SPDX-License-Identifier: MIT */
/*
 * Wait calls: whose they are and what they mean. Each goes through waits_enter(), the real
 * call, waits_leave().
 *
 * - An epoll instance is a loop from its second wait on; a poll or select call site from
 *   its 16th, if it waits for two descriptors or more and the thread has no epoll loop;
 *   either of them from its 64th if it is nested.
 * - A wait for something else than the thread's own loop, while that loop is unattended,
 *   is nested: it blocks the loop, and its time is added up.
 * - The thread's own loop is the first one that it had. When another epoll instance is
 *   waited for twice inside an iteration of it, it may have been closed, which nobody
 *   tells us (a program that ran one loop to its end and then another): then we look.
 *   A call site is a loop no more when something else has been waited for 16 times in a
 *   row.
 *
 * No system call, no lock, no allocation, errno untouched, but for what the calls of
 * struct waits_calls do (which must keep errno). Any thread. In a signal handler that interrupts them, or a wait,
 * these functions do nothing.
 */
#ifndef LOOPLAG_PROBES_WAITS_H
#define LOOPLAG_PROBES_WAITS_H

#include <stdint.h>

#include "probes/clock.h"

struct loop;
struct candidate;

/* What waits need from outside. */
struct waits_calls {
	clock_function *clock_gettime;
	int (*is_epoll)(int descriptor); /* whether it still is an epoll instance */
	void (*on_first_loop)(void);     /* once in each process that has a loop */
	void (*settle)(void); /* at the next wait call of a thread that was held */
};

/* Start to record; loops_start() has been called. */
void
waits_start(const struct waits_calls *calls);

/* A loop, which may be over and its place taken by another one when it is looked at. */
struct loop_ref {
	struct loop *loop;
	uint32_t life;
};

/* A wait call under way, on the wrapper's stack. */
struct wait {
	struct loop *loop;     /* in which the thread is counted as a waiter, or NULL */
	struct loop_ref outer; /* whose iteration the wait blocks, or NULL */
	struct candidate *candidate;
	intptr_t
		early; /* 1 + descriptor of the instance that is no loop yet, if counted */
	uint64_t begin_ns;
	int64_t timeout_ns;
	uintptr_t frame; /* 0: not recorded */
	uint32_t epoch;
};

/*
 * A wait call of that kind begins: on the epoll instance with descriptor `key`, or at call
 * site `key`; for so many descriptors (any number above one for epoll); with a timeout, or
 * a negative one for none. `frame` is the address of the wrapper's stack frame.
 */
void
waits_enter(struct wait *wait, uint32_t kind, intptr_t key, unsigned descriptors,
	int64_t timeout_ns, uintptr_t frame);

/* It has returned `result`. */
void
waits_leave(struct wait *wait, int result);

/* A new epoll instance has got this descriptor: the loop that had it is over. */
void
waits_forget(int descriptor);

/* The calling thread must not leave its next wait call before calls.settle() has. In a
 * signal handler. */
void
waits_hold(void);

/* Programs that have a loop of their own: see looplag.h, whose promises these keep. */
struct loop *
waits_register(const char *label);
void
waits_unregister(struct loop *loop);
void
waits_begin(struct loop *loop);
void
waits_end(struct loop *loop, int events);

#endif
