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

#include "probes/histogram_private.h"

/* 32 * log2(10^9), rounded down. */
#define SCHEMA_OFFSET 956

/* clang-format off */
/* Mantissas (top bit set) of the boundaries: floor(2^(63 + (j + frac) / 32)) with frac =
 * 32 * log2(10^9) - 956, computed with 60 decimal digits. */
static const uint64_t mantissas[32] = {
	0x81ffa7a9549ca6e3, 0x84d8626d3118d396, 0x87c11235836d16a3, 0x8aba10758e1ea3cf,
	0x8dc3b8960164a7d9, 0x90de67fff600044c, 0x940a7e28259fb382, 0x97485c9a622adb60,
	0x9a9867054d512391, 0x9dfb034651c99c68, 0xa1709975dfb06757, 0xa4f993f3ed7b61ca,
	0xa8965f74bf065071, 0xac476b0df43f745f, 0xb00d2843e1060dc2, 0xb3e80b172fd51af7,
	0xb7d88a12d0dd9ea0, 0xbbdf1e5a373ce5c6, 0xbffc43b7e604a922, 0xc43078ac4ed47ae7,
	0xc87c3e7d03cdbec3, 0xcce019443eb56ce4, 0xd15c9000bf211c1f, 0xd5f22ca6019743e0,
	0xdaa17c2cd19555db, 0xdf6b0ea438793a89, 0xe44f7742cb56e3dd, 0xe94f4c7859ce1066,
	0xee6b280000000000, 0xf3a3a6f29dd0c333, 0xf8f969d9b5abf948, 0xfe6d14c2b5114024,
};

/* For the six bits behind the leading one: the first boundary at or above the cell. No
 * cell has two boundaries, so one compare settles it. */
static const uint8_t first_in_cell[64] = {
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

static uint64_t
load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void
store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

unsigned
histogram_index(uint64_t ns)
{
	uint64_t mantissa;
	unsigned zeros, j;
	int bucket;

	if (ns <= HISTOGRAM_ZERO_NS)
		return 0;
	zeros = (unsigned)__builtin_clzll(ns);
	mantissa = ns << zeros;
	j = first_in_cell[(mantissa >> 57) & 63];
	if (j < 32 && mantissa > mantissas[j])
		j++;
	bucket = (int)j + 32 * (63 - (int)zeros) - SCHEMA_OFFSET -
		 HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE;
	return bucket > HISTOGRAM_REGULAR ? HISTOGRAM_REGULAR + 1 : (unsigned)bucket;
}

void
histogram_record(struct histogram *h, uint64_t ns)
{
	unsigned bucket = histogram_index(ns);
	uint64_t *count = &h->counts[bucket];
	uint64_t *sum = &h->sums_ns[histogram_band(bucket)];
	unsigned __int128 square = (unsigned __int128)ns * ns;
	uint64_t low = load(&h->square_low);
	uint64_t new_low = low + (uint64_t)square;

	store(count, load(count) + 1);
	store(sum, load(sum) + ns);
	store(&h->square_low, new_low);
	store(&h->square_high,
		load(&h->square_high) + (uint64_t)(square >> 64) + (new_low < low));
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
	unsigned k =
		bucket + HISTOGRAM_MIN_EXPONENT * HISTOGRAM_PER_OCTAVE + SCHEMA_OFFSET;

	if (bucket > HISTOGRAM_REGULAR)
		return UINT64_MAX;
	return mantissas[k % 32] >> (63 - k / 32);
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

void
histogram_add(struct histogram *sum, const struct histogram *h)
{
	uint64_t low = sum->square_low + h->square_low;

	for (unsigned band = 0; band < HISTOGRAM_BANDS; band++) {
		unsigned first, last;

		band_buckets(band, &first, &last);
		/* Most are empty, and leave the memory of `sum` alone. */
		if (!h->sums_ns[band] && !band_count(h, band))
			continue;
		for (unsigned i = first; i <= last; i++)
			sum->counts[i] = add_saturated(sum->counts[i], h->counts[i]);
		sum->sums_ns[band] = add_saturated(sum->sums_ns[band], h->sums_ns[band]);
	}
	sum->square_high = add_saturated(
		sum->square_high, add_saturated(h->square_high, low < sum->square_low));
	sum->square_low = low;
}

void
band_histogram_add(struct band_histogram *sum, const struct band_histogram *h)
{
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		sum->counts[i] = add_saturated(sum->counts[i], h->counts[i]);
	sum->sum_ns = add_saturated(sum->sum_ns, h->sum_ns);
}

void
histogram_subtract(const struct histogram *now, const struct histogram *before,
	struct histogram *ret_delta)
{
	unsigned __int128 a =
		((unsigned __int128)now->square_high << 64) | now->square_low;
	unsigned __int128 b =
		((unsigned __int128)before->square_high << 64) | before->square_low;
	unsigned __int128 square = a > b ? a - b : 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		ret_delta->counts[i] =
			subtract_clamped(now->counts[i], before->counts[i]);
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		ret_delta->sums_ns[i] =
			subtract_clamped(now->sums_ns[i], before->sums_ns[i]);
	ret_delta->square_low = (uint64_t)square;
	ret_delta->square_high = (uint64_t)(square >> 64);
}

void
band_histogram_subtract(const struct band_histogram *now,
	const struct band_histogram *before, struct band_histogram *ret_delta)
{
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		ret_delta->counts[i] =
			subtract_clamped(now->counts[i], before->counts[i]);
	ret_delta->sum_ns = subtract_clamped(now->sum_ns, before->sum_ns);
}

unsigned
histogram_top(const struct histogram *h)
{
	unsigned bucket = HISTOGRAM_BUCKETS - 1;

	while (bucket && !h->counts[bucket])
		bucket--;
	return bucket;
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
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		total = add_saturated(total, h->counts[i]);
	return total;
}

double
histogram_sum_seconds(const struct histogram *h)
{
	double sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
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
