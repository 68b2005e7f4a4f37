/* SPDX-License-Identifier: MIT */
/*
 * The episodes of one slot: which of its loops' iterations are longer than the threshold,
 * each told once, from looks at the slot at any moments.
 *
 *	        look     look       look
 *	  [long]  |  [ long |....     |]
 *	        WHOLE     OPEN      ENDED, with the length that the ring has
 *
 * What has ended is taken from the slot's ring, where every iteration of SEGMENT_LONG_NS
 * and more stands with its number, and what lasts from the state, as the account of the
 * slot judges it. An open one that is neither open still nor in the ring has ended with the
 * length that was known last.
 *
 * Whatever a slot says: episodes do not overlap, so that no liar has more of them than time
 * has passed. Pure.
 */
#ifndef LOOPLAG_DAEMON_EPISODES_H
#define LOOPLAG_DAEMON_EPISODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/segment.h"

/* The state of one slot's episodes; zeros at first. Times are the target's. */
struct episodes {
	bool started;
	uint64_t iteration;  /* the ring was read up to this one */
	uint64_t long_count; /* as it was then */
	uint64_t end_ns;     /* no later episode begins before this */
	uint64_t open_since; /* 0: none is open */
	uint64_t open_ns;    /* as told last */
	uint64_t told_ns;    /* length of all that have ended */
	uint64_t lost; /* ring entries that were overwritten before they were read */
};

struct episodes_look {
	uint64_t threshold_ns;
	uint64_t after_ns; /* after the slot was read; 0: the clocks cannot be compared */
	uint64_t budget_ns; /* no loop can have lived longer than this */
	uint64_t
		known_ns; /* what had ended by then was told before the first look; or 0 */
	uint64_t open_since; /* the iteration that lasts as the account has it; 0: none */
	uint64_t open_ns;
	uint64_t died_ns; /* when the loop's process died, if it did, and that was seen */
	bool torn;        /* the slot was not read all of one moment, and will be again */
};

enum episodes_event { EPISODES_WHOLE, EPISODES_OPEN, EPISODES_GOES_ON, EPISODES_ENDED };

struct episode {
	enum episodes_event event;
	uint64_t start_ns, length_ns;
	uint64_t nested_ns; /* of it in the waits of others, if the ring has told */
};

#define EPISODES_MAX (2 * SEGMENT_RING + 2) /* in one look */

/* What has happened since the last look, in its order. Returns how much. */
size_t
episodes_look(struct episodes *episodes, const struct segment_slot *slot,
	const struct episodes_look *look, struct episode ret_episodes[EPISODES_MAX]);

/* Whether the ring, as a quick look at it shows it, has news for episodes_look(): a long
 * one, or so many that they could get lost. If not, it is as if it had been looked at. */
bool
episodes_skip(struct episodes *episodes, const struct segment_long ring[SEGMENT_RING],
	uint64_t long_count, uint64_t threshold_ns);

#endif
