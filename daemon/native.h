/* SPDX-License-Identifier: MIT */
/*
 * The buckets of native histograms out of our histograms. Pure. A bucket of schema n is two
 * of schema n + 1, so that merging them is exact; it is done until no more buckets than the
 * budget are in use. As counts only grow, so does what is in use: the schema of a series
 * never becomes finer again.
 */
#ifndef LOOPLAG_DAEMON_NATIVE_H
#define LOOPLAG_DAEMON_NATIVE_H

#include <stddef.h>

#include "daemon/metrics.h"
#include "probes/histogram.h"

/* The buckets of all durations at schema 0, and the one above them all. */
#define NATIVE_BUDGET_MIN (HISTOGRAM_MAX_EXPONENT - HISTOGRAM_MIN_EXPONENT + 1)

/* Where the buckets of one are. */
struct native_room {
	struct metric_bucket buckets[HISTOGRAM_BUCKETS];
};

/*
 * Iterations: of whole numbers, of schema 5 or coarser. All that is above 2^8 s is in the
 * first bucket above.
 */
void
native_iterations(const struct histogram *h, size_t budget, struct native_room *room,
	struct metric_native *ret_native);

/* The same of the coarser kind, of schema 2 or coarser. */
void
native_wakeups(const struct band_histogram *h, size_t budget, struct native_room *room,
	struct metric_native *ret_native);

/* And of the delay, by what series_delay_bands() tells: real numbers. */
void
native_delay(const double bands[HISTOGRAM_BANDS], size_t budget, struct native_room *room,
	struct metric_native *ret_native);

#endif
