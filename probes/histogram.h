/* SPDX-License-Identifier: MIT */
/*
 * Exponential histograms of durations, shared by probe, daemon and command line.
 *
 * Bucket 0 holds durations of up to 2^-20 s (953 ns), bucket b of 1..896 those of up to
 * 2^((b - 640) / 32) s, bucket 897 those above 2^8 s. Lower bounds are exclusive. The
 * buckets are those of a Prometheus native histogram of schema 5: 32 to a power of two, so
 * a value given as the middle of its bucket is off by at most 1.1 %.
 *
 * Beside the counts stand exact sums over bands of eight buckets, which make the delay
 * (the excess of each duration over x) exact for every x at the edge of a band.
 *
 * Pure: no clock, no allocation, no errno; safe in any thread and any signal handler as
 * long as one histogram has one writer.
 */
#ifndef LOOPLAG_PROBES_HISTOGRAM_H
#define LOOPLAG_PROBES_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_PER_OCTAVE 32
#define HISTOGRAM_PER_BAND 8
#define HISTOGRAM_MIN_EXPONENT (-20)
#define HISTOGRAM_MAX_EXPONENT 8
#define HISTOGRAM_REGULAR \
	((HISTOGRAM_MAX_EXPONENT - HISTOGRAM_MIN_EXPONENT) * HISTOGRAM_PER_OCTAVE)
#define HISTOGRAM_BUCKETS (HISTOGRAM_REGULAR + 2)
#define HISTOGRAM_BANDS (HISTOGRAM_REGULAR / HISTOGRAM_PER_BAND + 2)

/* 2^-20 s in nanoseconds, rounded down: what is not longer is in the zero bucket. */
#define HISTOGRAM_ZERO_NS 953u

/* One writer at a time; all counts only grow. Lies in shared memory: see segment.h. Only in
 * band 0 are there durations that add up to 0: by their sums, which are few, the functions
 * below find the bands that hold any. */
struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t sums_ns[HISTOGRAM_BANDS]; /* by band: exact sum of the durations in it */
	uint64_t square_low;               /* sum of the squares in ns^2, low half */
	uint64_t square_high;
};

/* The coarser kind: counts by band alone. Several writers may add to it. */
struct band_histogram {
	uint64_t counts[HISTOGRAM_BANDS];
	uint64_t sum_ns;
};

/* 32 * log2(10^9), rounded down. */
#define HISTOGRAM_SCHEMA_OFFSET 956

/* The mantissas of the boundaries, and for the six bits behind the leading one the first
 * boundary at or above the cell. */
extern const uint64_t histogram_mantissas[HISTOGRAM_PER_OCTAVE];
extern const uint8_t histogram_cells[64];

/* Where a duration goes. */
static inline unsigned
histogram_index(uint64_t ns)
{
	uint64_t mantissa;
	unsigned exponent, j;
	int bucket;

	if (ns <= HISTOGRAM_ZERO_NS)
		return 0;
	exponent = 63 ^ (unsigned)__builtin_clzll(ns);
	mantissa = ns << (63 ^ exponent);
	j = histogram_cells[(mantissa >> 57) & 63];
	j += mantissa > histogram_mantissas[j];
	bucket = (int)(j + HISTOGRAM_PER_OCTAVE * exponent) - HISTOGRAM_SCHEMA_OFFSET -
		 HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE;
	return bucket > HISTOGRAM_REGULAR ? HISTOGRAM_REGULAR + 1 : (unsigned)bucket;
}

/* The band of a bucket. */
static inline unsigned
histogram_band(unsigned bucket)
{
	return (bucket + HISTOGRAM_PER_BAND - 1) / HISTOGRAM_PER_BAND;
}

/* The buckets of a band. */
static inline void
histogram_band_buckets(unsigned band, unsigned *ret_first, unsigned *ret_last)
{
	*ret_last = band * HISTOGRAM_PER_BAND;
	if (*ret_last >= HISTOGRAM_BUCKETS)
		*ret_last = HISTOGRAM_BUCKETS - 1;
	*ret_first = band ? (band - 1) * HISTOGRAM_PER_BAND + 1 : 0;
}

/* Replace a word that others may read at the same time by another one. */
static inline void
histogram_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Add one duration. Stores are single relaxed words, so that a reader in another process
 * never sees half a word; the caller orders them (segment.h). */
static inline void
histogram_record(struct histogram *h, uint64_t ns)
{
	unsigned bucket = histogram_index(ns), band = histogram_band(bucket);
	unsigned __int128 squares =
		(unsigned __int128)h->square_high << 64 | h->square_low;

	squares += (unsigned __int128)ns * ns;
	histogram_store(&h->counts[bucket], h->counts[bucket] + 1);
	histogram_store(&h->sums_ns[band], h->sums_ns[band] + ns);
	histogram_store(&h->square_low, (uint64_t)squares);
	histogram_store(&h->square_high, (uint64_t)(squares >> 64));
}

/* The same for the coarser kind; atomic adds, any number of writers. */
void
band_histogram_record(struct band_histogram *h, uint64_t ns);

/* Upper bound of a bucket, or of a band, in seconds; infinite for the last one. */
double
histogram_upper_seconds(unsigned bucket);
double
band_upper_seconds(unsigned band);

/* The longest duration in whole nanoseconds that a bucket holds. */
uint64_t
histogram_upper_ns(unsigned bucket);

/* Seconds as whole nanoseconds: the nearest if that is what was meant, else cut off. */
uint64_t
histogram_ns(double seconds);

/* The first of the numbers from `i` on that is not 0, or `count`. Most of a histogram's
 * are, so that it looks at eight at a time. */
static inline size_t
histogram_next(const uint64_t *n, size_t i, size_t count)
{
	while (count - i >= 8 && !(n[i] | n[i + 1] | n[i + 2] | n[i + 3] | n[i + 4] |
					 n[i + 5] | n[i + 6] | n[i + 7]))
		i += 8;
	while (i < count && !n[i])
		i++;
	return i;
}

/* sum += h, and sum -= h, which was added before; they saturate instead of wrapping. */
void
histogram_add(struct histogram *sum, const struct histogram *h);
void
band_histogram_add(struct band_histogram *sum, const struct band_histogram *h);
void
histogram_subtract(struct histogram *sum, const struct histogram *h);
void
band_histogram_subtract(struct band_histogram *sum, const struct band_histogram *h);

/*
 * Put what `now` has more than `before`, number by number, into ret_delta, which is empty,
 * and make `before` the same as `now`. What went back gives 0. Any numbers will do: these are
 * strangers'. Fills ret_bands with the bands in which something has changed; returns how
 * many they are. If both are `whole`, no half of a duration in them, a band whose sum is the
 * same is taken to be the same, but for the first.
 */
unsigned
histogram_take(struct histogram *before, const struct histogram *now, bool whole,
	struct histogram *ret_delta, uint8_t ret_bands[HISTOGRAM_BANDS]);
void
band_histogram_take(struct band_histogram *before, const struct band_histogram *now,
	struct band_histogram *ret_delta);

/* The bucket of the longest durations; 0 where empty. */
unsigned
histogram_top(const struct histogram *h);

/* How many durations; saturates. */
uint64_t
histogram_total(const struct histogram *h);
uint64_t
band_histogram_total(const struct band_histogram *h);

/* The sum of the squares, in ns^2. */
unsigned __int128
histogram_squares(const struct histogram *h);

/* Sum of all durations, and of half their squares (the integral of the delay), in seconds
 * and in seconds squared. */
double
histogram_sum_seconds(const struct histogram *h);
double
histogram_half_squares(const struct histogram *h);

/* How many durations are at most `seconds` long: exact where `seconds` is the edge of a
 * bucket, otherwise all of the bucket that holds it are left out. */
uint64_t
histogram_count_to(const struct histogram *h, double seconds);
uint64_t
band_histogram_count_to(const struct band_histogram *h, double seconds);

/*
 * Sum of max(0, d - limit) over all durations d, in nanoseconds: of all the time that was
 * seen, the part in which an event would still have waited longer than the limit. Fills
 * ret_ns[i] for limits_ns[i]; saturates.
 *
 * Exact where the limit is histogram_ns() of the edge of a band; elsewhere never too much,
 * and short by at most one bucket's width for each duration in the limit's band. Whole
 * numbers throughout, so that what is exported never goes back by a rounding: as durations
 * are added the sum never falls, and a duration adds no more than its own excess.
 */
void
histogram_excesses_ns(const struct histogram *h, const uint64_t *limits_ns, size_t count,
	uint64_t *ret_ns);

/* The same for one limit, in seconds. */
double
histogram_excess_seconds(const struct histogram *h, double seconds);

/*
 * Quantile q (0..1) of the delay: the x for which a share of 1 - q of `life_seconds` has
 * P(delay > x) = excess(x) / life. Time that is neither in h nor idle does not exist: a
 * life shorter than the sum of h is taken as that sum. q = 1 gives the longest duration.
 * 0 where h is empty. The answer is that of some durations of which each is within 1.1 % of
 * a true one.
 */
double
histogram_delay_quantile(const struct histogram *h, double life_seconds, double q);

/* The same for several, ret[i] for q[i], which costs little more than one. */
void
histogram_delay_quantiles(const struct histogram *h, double life_seconds, const double *q,
	size_t count, double *ret);

/* Quantile q (0..1) of the durations themselves, each counting once; 0 where empty. */
double
histogram_quantile(const struct histogram *h, double q);
double
band_histogram_quantile(const struct band_histogram *h, double q);

#endif
