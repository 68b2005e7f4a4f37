/* SPDX-License-Identifier: MIT */
/*
 * What the files of histograms have in common:
 *
 *	histogram.c        recording, sums, and quantiles of the durations
 *	histogram_delay.c  excesses, and quantiles of the delay
 */
#ifndef LOOPLAG_PROBES_HISTOGRAM_PRIVATE_H
#define LOOPLAG_PROBES_HISTOGRAM_PRIVATE_H

#include <stdint.h>

#include "probes/histogram.h"

/* 1 / 10^9 as the compiler rounds it. */
static inline double
seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static inline uint64_t
add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum < a ? UINT64_MAX : sum;
}

/* The lower bound of a bucket, in seconds. */
static inline double
lower_seconds(unsigned bucket)
{
	return bucket ? histogram_upper_seconds(bucket - 1) : 0;
}

/* How many durations a band holds. */
static inline uint64_t
band_count(const struct histogram *h, unsigned band)
{
	uint64_t count = 0, any = 0;
	unsigned first, last;

	if (band && !h->sums_ns[band])
		return 0;
	histogram_band_buckets(band, &first, &last);
	for (unsigned i = first; i <= last; i++) {
		count += h->counts[i];
		any |= h->counts[i];
	}
	/* Eight numbers of 60 bits are no more than 63. */
	if (any >> 60 == 0)
		return count;
	count = 0;
	for (unsigned i = first; i <= last; i++)
		count = add_saturated(count, h->counts[i]);
	return count;
}

#endif
