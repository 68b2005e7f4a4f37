/* SPDX-License-Identifier: MIT */
/*
 * The delay, from the durations of a histogram: for how long it was above a limit, and its
 * quantiles. Nothing of it runs in a target.
 */

#include "probes/histogram.h"

#include "probes/histogram_private.h"

/* Excess over limit_ns of the durations in the band that holds it, as if each were the
 * shortest of its bucket. */
static unsigned __int128
partial_excess(const struct histogram *h, unsigned band, uint64_t limit_ns)
{
	unsigned __int128 excess = 0;
	unsigned first, last;

	histogram_band_buckets(band, &first, &last);
	if (limit_ns >= histogram_upper_ns(last))
		return 0;
	for (unsigned i = first; i <= last; i++) {
		uint64_t shortest = i ? histogram_upper_ns(i - 1) + 1 : 0;

		if (shortest > limit_ns)
			excess += (unsigned __int128)h->counts[i] * (shortest - limit_ns);
	}
	return excess;
}

void
histogram_excesses_ns(const struct histogram *h, const uint64_t *limits_ns, size_t count,
	uint64_t *ret_ns)
{
	/* Of the durations in this band and above it. */
	uint64_t counts[HISTOGRAM_BANDS + 1];
	unsigned __int128 sums_ns[HISTOGRAM_BANDS + 1];

	counts[HISTOGRAM_BANDS] = 0;
	sums_ns[HISTOGRAM_BANDS] = 0;
	for (unsigned band = HISTOGRAM_BANDS; band-- > 0;) {
		counts[band] = add_saturated(counts[band + 1], band_count(h, band));
		sums_ns[band] = sums_ns[band + 1] + h->sums_ns[band];
	}
	for (size_t i = 0; i < count; i++) {
		unsigned band = histogram_band(histogram_index(limits_ns[i]));
		unsigned __int128 excess = partial_excess(h, band, limits_ns[i]);
		unsigned __int128 below =
			(unsigned __int128)counts[band + 1] * limits_ns[i];

		if (sums_ns[band + 1] > below)
			excess += sums_ns[band + 1] - below;
		ret_ns[i] = excess > UINT64_MAX ? UINT64_MAX : (uint64_t)excess;
	}
}

double
histogram_excess_seconds(const struct histogram *h, double limit)
{
	uint64_t limit_ns = histogram_ns(limit), excess_ns;

	histogram_excesses_ns(h, &limit_ns, 1, &excess_ns);
	return seconds(excess_ns);
}

/*
 * What is known of the durations above some edge, on the way down through the buckets:
 * their number, and bounds of their sum. At the edges of bands the sum is exact, so that
 * the bounds meet; within a band they are what the edges of its buckets allow.
 */
struct above {
	double count;
	double least;
	double most;
};

/* Fill ret_above[i] with what lies in buckets first + i to last of a band, and above it. */
static void
fill_band(const struct histogram *h, unsigned band, const struct above *above,
	struct above ret_above[HISTOGRAM_PER_BAND])
{
	double sum = seconds(h->sums_ns[band]);
	double least = 0, most = 0, count = 0;
	unsigned first, last;

	histogram_band_buckets(band, &first, &last);
	/* From below: what the others leave. */
	for (unsigned i = first; i <= last; i++) {
		ret_above[i - first].least = sum - most;
		ret_above[i - first].most = sum - least;
		least += (double)h->counts[i] * lower_seconds(i);
		most += (double)h->counts[i] * histogram_upper_seconds(i);
	}
	least = most = 0;
	for (unsigned i = last + 1; i-- > first;) {
		struct above *here = &ret_above[i - first];

		count += (double)h->counts[i];
		least += (double)h->counts[i] * lower_seconds(i);
		if (i <= HISTOGRAM_REGULAR)
			most += (double)h->counts[i] * histogram_upper_seconds(i);
		else
			most = sum;
		here->count = above->count + count;
		here->least = above->least + (least > here->least ? least : here->least);
		here->most = above->most + (most < here->most ? most : here->most);
	}
	ret_above[0].least = above->least + sum;
	ret_above[0].most = above->most + sum;
}

/* Where bucket i is reached, the least delay at which the excess can be `target`: the
 * excess is convex, it runs above the tangents at the bucket's edges. 0: not reached. */
static double
least_delay(
	unsigned i, const struct above *upper, const struct above *lower, double target)
{
	double low = lower_seconds(i), high = histogram_upper_seconds(i);
	double by_lower = (lower->least - target) / lower->count, by_upper;

	/* Where there are no durations the excess is a straight line. */
	if (upper->count > 0) {
		by_upper = (upper->least - target) / upper->count;
		if (by_upper > high || by_upper > by_lower)
			return by_upper > low ? by_upper : 0;
	}
	return by_lower > low ? by_lower : 0;
}

/* The same for the greatest delay: the excess runs below the chord. */
static double
greatest_delay(
	unsigned i, const struct above *upper, const struct above *lower, double target)
{
	double low = lower_seconds(i), high = histogram_upper_seconds(i);
	double at_low = lower->most - lower->count * low, at_high;

	if (i > HISTOGRAM_REGULAR)
		return at_low > target ? (lower->most - target) / lower->count : 0;
	at_high = upper->most - upper->count * high;
	if (at_high > target)
		return (upper->most - target) / upper->count;
	if (at_low > target)
		return high - (high - low) * (target - at_high) / (at_low - at_high);
	return 0;
}

/* A quantile on its way: the excess it belongs to, and the bounds found so far (0: none). */
struct wanted {
	double target;
	double least;
	double greatest;
};

static void
pass_bucket(unsigned i, const struct above *upper, const struct above *lower,
	struct wanted *wanted)
{
	if (!(wanted->least > 0))
		wanted->least = least_delay(i, upper, lower, wanted->target);
	if (!(wanted->greatest > 0))
		wanted->greatest = greatest_delay(i, upper, lower, wanted->target);
}

static double
settle(const struct wanted *wanted, const struct above *all)
{
	double least = wanted->least, greatest = wanted->greatest;

	/* Below the shortest duration the excess is a straight line. */
	if (!(least > 0))
		least = all->least > wanted->target
				? (all->least - wanted->target) / all->count
				: 0;
	if (!(greatest > 0))
		greatest = all->most > wanted->target
				   ? (all->most - wanted->target) / all->count
				   : 0;
	return (least + greatest) / 2;
}

/* Walk down through the buckets until all are found. Returns what lies in those passed. */
static struct above
find_wanted(const struct histogram *h, struct wanted *wanted, size_t count)
{
	struct above upper = {0}, lower[HISTOGRAM_PER_BAND];

	for (unsigned band = HISTOGRAM_BANDS; band-- > 0;) {
		unsigned first, last;
		size_t found = 0;
		double at_low;

		if (!band_count(h, band))
			continue;
		histogram_band_buckets(band, &first, &last);
		fill_band(h, band, &upper, lower);
		for (unsigned i = last + 1; i-- > first;) {
			if (!h->counts[i])
				continue;
			at_low = lower[i - first].most -
				 lower[i - first].count * lower_seconds(i);
			/* Most buckets are far above what is wanted: there the excess is
			 * less even at the lower edge. */
			for (size_t j = 0; j < count; j++)
				if (at_low > wanted[j].target)
					pass_bucket(
						i, &upper, &lower[i - first], &wanted[j]);
			upper = lower[i - first];
		}
		upper = lower[0];
		for (size_t j = 0; j < count; j++)
			found += wanted[j].least > 0 && wanted[j].greatest > 0;
		if (found == count)
			break;
	}
	return upper;
}

void
histogram_delay_quantiles(const struct histogram *h, double life, const double *q,
	size_t count, double *ret)
{
	double sum = histogram_sum_seconds(h);

	if (!(life > sum))
		life = sum;
	while (count) {
		struct wanted wanted[8] = {0};
		size_t part = count < 8 ? count : 8;
		struct above all;

		for (size_t i = 0; i < part; i++)
			wanted[i].target = q[i] < 1 ? (1 - q[i]) * life : 0;
		all = find_wanted(h, wanted, part);
		for (size_t i = 0; i < part; i++)
			ret[i] = settle(&wanted[i], &all);
		q += part;
		ret += part;
		count -= part;
	}
}

double
histogram_delay_quantile(const struct histogram *h, double life, double q)
{
	double delay;

	histogram_delay_quantiles(h, life, &q, 1, &delay);
	return delay;
}
