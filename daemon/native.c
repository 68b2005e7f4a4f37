/* SPDX-License-Identifier: MIT */
/* The buckets of native histograms; see native.h. */

#include "config.h"

#include "daemon/native.h"

#include <math.h>

#define SCHEMA 5
#define BAND_SCHEMA 2
/* What a native histogram's numbers add up to must be exact as a double. */
#define EXACT_MAX (1ull << 53)

/* Merge the buckets with those of the next coarser schema; returns how many there are. */
static size_t
merge(struct metric_bucket *buckets, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		/* Half of it, rounded up: the ends of buckets are inclusive. */
		int index = (buckets[i].index + 1) >> 1;

		if (kept && buckets[kept - 1].index == index)
			buckets[kept - 1].value += buckets[i].value;
		else
			buckets[kept++] = (struct metric_bucket){index, buckets[i].value};
	}
	return kept;
}

static void
finish(struct metric_native *native, struct native_room *room, size_t budget)
{
	while (native->count > budget) {
		native->count = merge(room->buckets, native->count);
		native->schema--;
	}
	native->zero_threshold = ldexp(1, HISTOGRAM_MIN_EXPONENT);
	native->buckets = room->buckets;
}

/* As much of a count as may still be added. */
static double
take(uint64_t count, uint64_t *left)
{
	uint64_t taken = count < *left ? count : *left;

	*left -= taken;
	return (double)taken;
}

void
native_iterations(const struct histogram *h, size_t budget, struct native_room *room,
	struct metric_native *ret_native)
{
	struct metric_native native = {.schema = SCHEMA, .whole = true};
	uint64_t left = EXACT_MAX;

	native.zero_value = take(h->counts[0], &left);
	for (int i = 1; i < HISTOGRAM_BUCKETS; i++)
		if (h->counts[i])
			room->buckets[native.count++] = (struct metric_bucket){
				i + HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE,
				take(h->counts[i], &left)};
	finish(&native, room, budget);
	*ret_native = native;
}

void
native_wakeups(const struct band_histogram *h, size_t budget, struct native_room *room,
	struct metric_native *ret_native)
{
	double bands[HISTOGRAM_BANDS];
	uint64_t left = EXACT_MAX;

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		bands[i] = take(h->counts[i], &left);
	native_delay(bands, budget, room, ret_native);
	ret_native->whole = true;
}

void
native_delay(const double bands[HISTOGRAM_BANDS], size_t budget, struct native_room *room,
	struct metric_native *ret_native)
{
	struct metric_native native = {.schema = BAND_SCHEMA};

	native.zero_value = bands[0];
	for (int i = 1; i < HISTOGRAM_BANDS; i++)
		if (bands[i] > 0)
			room->buckets[native.count++] = (struct metric_bucket){
				i + HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE /
						HISTOGRAM_PER_BAND,
				bands[i]};
	finish(&native, room, budget);
	*ret_native = native;
}
