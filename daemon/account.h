/* SPDX-License-Identifier: MIT */
/*
 * The account of one slot: turns what stands in it, reading after reading, into what its
 * loops have done since the last one. The loop's life runs up to the moment of the
 * reading; an iteration that still lasts is reported by its age beside the delta.
 *
 *	       life so far             now
 *	|------------------------------|
 *	  [d1]   [ d2 ]        [open...
 *	born      ^ in the delta once it has ended
 *
 * What is promised, whatever a slot says: a delta is never negative; the time that loops
 * were unattended, the open iteration included, grows no faster than their life; and an
 * iteration once reported as open is in a later delta, unless it is still open.
 *
 * Pure: no clock, no descriptor.
 */
#ifndef LOOPLAG_DAEMON_ACCOUNT_H
#define LOOPLAG_DAEMON_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/counters.h"
#include "probes/segment.h"

/* The state of one account; zeros at first. */
struct account {
	/* What was accounted, as it stood in the slot. */
	struct histogram iteration;
	struct band_histogram wakeup;
	bool whole; /* `iteration` is of one moment */
	uint64_t iterations, events, nested_wait_ns, waits;
	uint64_t life_ns; /* in all deltas together */
	uint64_t max_ns;
	/* The loop that had the slot, in the target's time. */
	bool used;
	uint32_t life;
	uint64_t born_ns, past_life_ns;
	uint64_t end_ns;     /* up to here its life is accounted */
	uint64_t open_since; /* 0: none was reported */
	uint64_t open_ns;    /* its age as reported */
	/* It was taken to be over in that state, until something moves. */
	bool over;
	uint64_t state, sequence;
};

/* What is known about the moment of a reading. Times are the target's. */
struct account_reading {
	uint64_t now_ns; /* before the slot was read; 0: the clocks cannot be compared */
	uint64_t after_ns;  /* after it was read */
	uint64_t budget_ns; /* no loop can have lived longer than this */
	bool changed;       /* the slot was read again since the last time */
	bool torn;          /* but perhaps not all of one moment */
	bool owner_dead;    /* its thread is no more */
	bool closed;        /* its descriptor is no more */
	bool process_dead;
	uint64_t died_ns; /* when the process died, if that was seen; 0: not */
	/* From what it does now on, the loop is another series' to count. */
	bool leaves;
};

struct account_result {
	struct counters delta;
	bool alive;
	uint64_t open_ns; /* age of the iteration that still lasts; 0: none */
};

/* Whether the slot holds another loop than at the last reading. */
bool
account_is_new(const struct account *account, const struct segment_slot *slot);

/* Since when the slot's loop would be unattended; 0: it is not. For deciding whether its
 * descriptor is worth a look. */
uint64_t
account_unattended_since(const struct account *account, const struct segment_slot *slot);

void
account_update(struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, struct account_result *ret_result);

#endif
