/* SPDX-License-Identifier: MIT */
/* What one loop, or many added up, did. */
#ifndef LOOPLAG_DAEMON_COUNTERS_H
#define LOOPLAG_DAEMON_COUNTERS_H

#include <stdint.h>

#include "probes/histogram.h"

/* Plain numbers; all but max_ns add up. */
struct counters {
	struct histogram iteration;
	struct band_histogram wakeup;
	uint64_t iterations;
	uint64_t life_ns;   /* loop life, attended or not */
	uint64_t active_ns; /* of it unattended */
	uint64_t nested_wait_ns;
	uint64_t events;
	uint64_t waits;  /* wait calls made */
	uint64_t max_ns; /* longest iteration: of the run in totals, within a bucket in
			  * windows */
};

/* sum += delta; saturates. */
void
counters_add(struct counters *sum, const struct counters *delta);

/* sum -= part, which was added before; its max_ns stays. */
void
counters_subtract(struct counters *sum, const struct counters *part);

/* Whether anything but life_ns is in it. */
int
counters_active(const struct counters *counters);

/* Add one iteration. */
void
counters_record(struct counters *counters, uint64_t length_ns);

/* The numbers' arithmetic, for those who deal with strangers'. */
static inline uint64_t
saturated_sum(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static inline uint64_t
difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

#endif
