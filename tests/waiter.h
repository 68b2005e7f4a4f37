/* SPDX-License-Identifier: MIT */
/*
 * A thread whose wait calls a test plays by hand, for the tests of probes/waits.c. The clock
 * stands still but for what the test lets pass.
 */
#ifndef LOOPLAG_TESTS_WAITER_H
#define LOOPLAG_TESTS_WAITER_H

#include <stdint.h>

#include "probes/loops.h"

#define EPOLL SEGMENT_KIND_EPOLL
#define POLL SEGMENT_KIND_POLL
#define SELECT SEGMENT_KIND_SELECT
#define SITE 0x400100    /* of some call in the program */
#define FRAME 0x7ff00000 /* of the wrapper; nested calls have lower ones */
#define MS 1000000u

struct waiter {
	struct segment segment;
	uint32_t live;
	uint64_t now_ns;
	int closed; /* the descriptor that is no epoll instance any more */
	unsigned first_loops, epoll_checks;
	int settled;
	/* Called once from inside, as a signal handler would be. */
	void (*while_at_work)(void);
};
extern struct waiter waiter;

/* Before each test. */
void
waiter_set_up(void);

/* A wait of a millisecond that returns `result`, after a millisecond of work. */
void
waiter_wait(
	uint32_t kind, intptr_t key, unsigned descriptors, int result, uintptr_t frame);

/* Such a wait for that epoll instance, with one event. */
void
waiter_epoll(int descriptor);

/* An epoll loop with descriptor 3 in slot 0, unattended. */
void
waiter_make_loop(void);

const struct segment_slot *
waiter_slot(unsigned index);

/* How many slots are used. */
uint64_t
waiter_used(void);

#endif
