/* SPDX-License-Identifier: MIT */
/*
 * About the last minute of a series: twelve slots of five seconds, each with what was
 * added in it, and their sum. Readers look at the sum and reset nothing.
 *
 *	 55 s ago                                 now
 *	|    |    |    |    |    |    |    |    |    |  ..|
 *	  ^ falls out of the sum when the next one begins
 *
 * Pure: takes time as an argument.
 */
#ifndef LOOPLAG_DAEMON_WINDOW_H
#define LOOPLAG_DAEMON_WINDOW_H

#include <stdint.h>

#include "daemon/counters.h"

#define WINDOW_SLOTS 12
#define WINDOW_SLOT_NS 5000000000ull

struct window {
	struct counters sum;
	uint64_t
		period; /* number of the newest slot's five seconds since the clock's 0 */
	/* By period % WINDOW_SLOTS. A loop at rest has life alone: there are no counters
	 * while nothing else happened in any slot, and they are good for those alone in
	 * which it did. */
	uint64_t life_ns[WINDOW_SLOTS];
	struct counters *counters;
	unsigned active; /* a bit a slot */
};

/* A window of zeros is an empty one. */
void
window_fini(struct window *window);

/* Let what is too old fall out. */
void
window_advance(struct window *window, uint64_t now_ns);

/* Add to the newest slot. What does not fit into memory is missing. */
void
window_add(struct window *window, const struct counters *delta, uint64_t now_ns);

#endif
