/* SPDX-License-Identifier: MIT */
/*
 * Exponential histograms of durations: where a duration goes, the sums that the answers
 * are made of, and quantiles of the durations themselves. Recording needs nothing but
 * integer arithmetic, so that it can run in a process whose floating-point environment is
 * none of our business.
 *
 * Boundaries are 2^(i/32) seconds (Prometheus native histogram, schema 5). In each power
 * of two of nanoseconds there are 32 of them, always at the same mantissas, since
 * 32 * log2(10^9) = 956 + a constant fraction.
 */

#include "probes/histogram.h"

#include <string.h>

#include "probes/histogram_private.h"

/* clang-format off */
/* Mantissas (top bit set) of the boundaries: floor(2^(63 + (j + frac) / 32)) with frac =
 * 32 * log2(10^9) - 956, computed with 60 decimal digits. */
const uint64_t histogram_mantissas[HISTOGRAM_PER_OCTAVE] = {
	0x81ffa7a9549ca6e3, 0x84d8626d3118d396, 0x87c11235836d16a3, 0x8aba10758e1ea3cf,
	0x8dc3b8960164a7d9, 0x90de67fff600044c, 0x940a7e28259fb382, 0x97485c9a622adb60,
	0x9a9867054d512391, 0x9dfb034651c99c68, 0xa1709975dfb06757, 0xa4f993f3ed7b61ca,
	0xa8965f74bf065071, 0xac476b0df43f745f, 0xb00d2843e1060dc2, 0xb3e80b172fd51af7,
	0xb7d88a12d0dd9ea0, 0xbbdf1e5a373ce5c6, 0xbffc43b7e604a922, 0xc43078ac4ed47ae7,
	0xc87c3e7d03cdbec3, 0xcce019443eb56ce4, 0xd15c9000bf211c1f, 0xd5f22ca6019743e0,
	0xdaa17c2cd19555db, 0xdf6b0ea438793a89, 0xe44f7742cb56e3dd, 0xe94f4c7859ce1066,
	0xee6b280000000000, 0xf3a3a6f29dd0c333, 0xf8f969d9b5abf948, 0xfe6d14c2b5114024,
};

/* No cell has two boundaries, so one compare settles where a mantissa is. */
const uint8_t histogram_cells[64] = {
	0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 10,
	10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 18,
	19, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 25, 25,
	26, 26, 26, 27, 27, 28, 28, 28, 29, 29, 30, 30, 30, 31, 31, 31,
};

/* 2^(j/32). */
static const double fractions[32] = {
	1, 1.0218971486541166, 1.0442737824274138, 1.0671404006768237,
	1.0905077326652577, 1.1143867425958924, 1.1387886347566916, 1.1637248587775775,
	1.189207115002721, 1.215247359980469, 1.241857812073484, 1.2690509571917332,
	1.2968395546510096, 1.3252366431597413, 1.3542555469368927, 1.383909881963832,
	1.4142135623730951, 1.4451808069770467, 1.4768261459394993, 1.5091644275934228,
	1.5422108254079407, 1.5759808451078865, 1.6104903319492543, 1.6457554781539649,
	1.681792830507429, 1.7186192981224779, 1.7562521603732995, 1.7947090750031072,
	1.8340080864093424, 1.8741676341103, 1.9152065613971474, 1.9571441241754002,
};
/* clang-format on */

static uint64_t
subtract_clamped(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void
band_histogram_record(struct band_histogram *h, uint64_t ns)
{
	unsigned band = histogram_band(histogram_index(ns));

	__atomic_fetch_add(&h->counts[band], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->sum_ns, ns, __ATOMIC_RELAXED);
}

/* The i-th boundary, 2^(i/32) s, in seconds; i from -640 to 256. */
static double
boundary(int i)
{
	unsigned from_lowest = (unsigned)(i + 32 * HISTOGRAM_PER_OCTAVE);
	union {
		uint64_t bits;
		double power;
	} two = {
		.bits = (uint64_t)(from_lowest / HISTOGRAM_PER_OCTAVE + 1023 - 32) << 52};

	return fractions[from_lowest % HISTOGRAM_PER_OCTAVE] * two.power;
}

double
histogram_upper_seconds(unsigned bucket)
{
	if (bucket > HISTOGRAM_REGULAR)
		return __builtin_inf();
	return boundary((int)bucket + HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE);
}

double
band_upper_seconds(unsigned band)
{
	return histogram_upper_seconds(band * HISTOGRAM_PER_BAND);
}

uint64_t
histogram_upper_ns(unsigned bucket)
{
	unsigned k = bucket + HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE +
		     HISTOGRAM_SCHEMA_OFFSET;

	if (bucket > HISTOGRAM_REGULAR)
		return UINT64_MAX;
	return histogram_mantissas[k % 32] >> (63 - k / 32);
}

uint64_t
histogram_ns(double limit)
{
	double ns = limit * 1e9;
	uint64_t whole;

	if (!(ns > 0))
		return 0;
	if (ns >= 18446744073709551615.0)
		return UINT64_MAX;
	whole = (uint64_t)ns;
	/* 0.29 * 1e9 is a little less than 290000000. */
	return (double)(whole + 1) - ns <= ns * 1e-15 ? whole + 1 : whole;
}

/* The first band from `band` on that holds any durations, or HISTOGRAM_BANDS. */
static unsigned
next_band(const struct histogram *h, unsigned band)
{
	if (!band && h->counts[0])
		return band;
	return (unsigned)histogram_next(h->sums_ns, band, HISTOGRAM_BANDS);
}

void
histogram_add(struct histogram *sum, const struct histogram *h)
{
	uint64_t low = sum->square_low + h->square_low;
	unsigned first, last;

	for (unsigned band = 0; (band = next_band(h, band)) < HISTOGRAM_BANDS; band++) {
		histogram_band_buckets(band, &first, &last);
		for (unsigned i = first; i <= last; i++)
			sum->counts[i] = add_saturated(sum->counts[i], h->counts[i]);
		sum->sums_ns[band] = add_saturated(sum->sums_ns[band], h->sums_ns[band]);
	}
	sum->square_high = add_saturated(
		sum->square_high, add_saturated(h->square_high, low < sum->square_low));
	sum->square_low = low;
}

/* ret = a - b, of the squares. */
static void
subtract_squares(
	const struct histogram *a, const struct histogram *b, struct histogram *ret)
{
	unsigned __int128 all = histogram_squares(a), some = histogram_squares(b);
	unsigned __int128 rest = all > some ? all - some : 0;

	ret->square_low = (uint64_t)rest;
	ret->square_high = (uint64_t)(rest >> 64);
}

void
histogram_subtract(struct histogram *sum, const struct histogram *h)
{
	unsigned first, last;

	for (unsigned band = 0; (band = next_band(h, band)) < HISTOGRAM_BANDS; band++) {
		histogram_band_buckets(band, &first, &last);
		for (unsigned i = first; i <= last; i++)
			sum->counts[i] = subtract_clamped(sum->counts[i], h->counts[i]);
		sum->sums_ns[band] =
			subtract_clamped(sum->sums_ns[band], h->sums_ns[band]);
	}
	subtract_squares(sum, h, sum);
}

void
band_histogram_add(struct band_histogram *sum, const struct band_histogram *h)
{
	const size_t n = HISTOGRAM_BANDS;

	for (size_t i = 0; (i = histogram_next(h->counts, i, n)) < n; i++)
		sum->counts[i] = add_saturated(sum->counts[i], h->counts[i]);
	sum->sum_ns = add_saturated(sum->sum_ns, h->sum_ns);
}

void
band_histogram_subtract(struct band_histogram *sum, const struct band_histogram *h)
{
	const size_t n = HISTOGRAM_BANDS;

	for (size_t i = 0; (i = histogram_next(h->counts, i, n)) < n; i++)
		sum->counts[i] = subtract_clamped(sum->counts[i], h->counts[i]);
	sum->sum_ns = subtract_clamped(sum->sum_ns, h->sum_ns);
}

static void
take(uint64_t *before, uint64_t now, uint64_t *ret_delta)
{
	*ret_delta = subtract_clamped(now, *before);
	*before = now;
}

unsigned
histogram_take(struct histogram *before, const struct histogram *now, bool whole,
	struct histogram *ret_delta, uint8_t ret_bands[HISTOGRAM_BANDS])
{
	unsigned first, last, count = 0;

	subtract_squares(now, before, ret_delta);
	before->square_low = now->square_low;
	before->square_high = now->square_high;
	for (unsigned band = 0; band < HISTOGRAM_BANDS; band++) {
		histogram_band_buckets(band, &first, &last);
		/* Most are as they were. */
		if (now->sums_ns[band] == before->sums_ns[band] &&
			((whole && band) ||
				memcmp(&now->counts[first], &before->counts[first],
					(last + 1 - first) * sizeof(uint64_t)) == 0))
			continue;
		for (unsigned i = first; i <= last; i++)
			take(&before->counts[i], now->counts[i], &ret_delta->counts[i]);
		take(&before->sums_ns[band], now->sums_ns[band],
			&ret_delta->sums_ns[band]);
		ret_bands[count++] = (uint8_t)band;
	}
	return count;
}

void
band_histogram_take(struct band_histogram *before, const struct band_histogram *now,
	struct band_histogram *ret_delta)
{
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		if (now->counts[i] != before->counts[i])
			take(&before->counts[i], now->counts[i], &ret_delta->counts[i]);
	take(&before->sum_ns, now->sum_ns, &ret_delta->sum_ns);
}

unsigned
histogram_top(const struct histogram *h)
{
	unsigned first, last;

	for (unsigned band = HISTOGRAM_BANDS; band-- > 0;) {
		if (!band_count(h, band))
			continue;
		histogram_band_buckets(band, &first, &last);
		while (!h->counts[last])
			last--;
		return last;
	}
	return 0;
}

uint64_t
histogram_total(const struct histogram *h)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total = add_saturated(total, h->counts[i]);
	return total;
}

uint64_t
band_histogram_total(const struct band_histogram *h)
{
	const size_t n = HISTOGRAM_BANDS;
	uint64_t total = 0;

	for (size_t i = 0; (i = histogram_next(h->counts, i, n)) < n; i++)
		total = add_saturated(total, h->counts[i]);
	return total;
}

double
histogram_sum_seconds(const struct histogram *h)
{
	const size_t n = HISTOGRAM_BANDS;
	double sum = 0;

	for (size_t i = 0; (i = histogram_next(h->sums_ns, i, n)) < n; i++)
		sum += seconds(h->sums_ns[i]);
	return sum;
}

unsigned __int128
histogram_squares(const struct histogram *h)
{
	return (unsigned __int128)h->square_high << 64 | h->square_low;
}

double
histogram_half_squares(const struct histogram *h)
{
	return (double)histogram_squares(h) / 2e18;
}

uint64_t
histogram_count_to(const struct histogram *h, double limit)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && histogram_upper_seconds(i) <= limit;
		i++)
		total = add_saturated(total, h->counts[i]);
	return total;
}

uint64_t
band_histogram_count_to(const struct band_histogram *h, double limit)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BANDS && band_upper_seconds(i) <= limit; i++)
		total = add_saturated(total, h->counts[i]);
	return total;
}

/* The middle of a bucket; of the last one, which has none, the mean. */
static double
middle(const struct histogram *h, unsigned bucket)
{
	if (bucket > HISTOGRAM_REGULAR)
		return seconds(h->sums_ns[histogram_band(bucket)]) /
		       (double)h->counts[bucket];
	return (lower_seconds(bucket) + histogram_upper_seconds(bucket)) / 2;
}

double
histogram_quantile(const struct histogram *h, double q)
{
	double rank = q * (double)histogram_total(h), seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += (double)h->counts[i];
		if (h->counts[i] && seen >= rank)
			return middle(h, i);
	}
	return 0;
}

double
band_histogram_quantile(const struct band_histogram *h, double q)
{
	double rank = q * (double)band_histogram_total(h), seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++) {
		double lower = i ? band_upper_seconds(i - 1) : 0;

		seen += (double)h->counts[i];
		if (h->counts[i] && seen >= rank)
			return i < HISTOGRAM_BANDS - 1
				       ? (lower + band_upper_seconds(i)) / 2
				       : lower;
	}
	return 0;
}
