/* SPDX-License-Identifier: MIT */
/*
 * What users ask of a series (groups.h), with the iterations that still last counted in.
 * What is exported as a counter is computed in whole nanoseconds up to the last step: then
 * it grows whenever time does.
 */

#include "config.h"

#include "daemon/groups.h"

static double
seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

/* Unattended time, open iterations included. */
static uint64_t
active_ns(const struct series_view *view, const struct counters *counters)
{
	uint64_t sum = counters->active_ns;

	for (size_t i = 0; i < view->open_count; i++)
		sum = saturated_sum(sum, view->open_ns[i]);
	return sum;
}

/* Excess over each limit, open iterations included. */
static void
excesses_ns(const struct series_view *view, const struct counters *counters,
	const uint64_t *limits_ns, size_t count, uint64_t *ret_ns)
{
	histogram_excesses_ns(&counters->iteration, limits_ns, count, ret_ns);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < view->open_count; j++)
			ret_ns[i] = saturated_sum(
				ret_ns[i], difference(view->open_ns[j], limits_ns[i]));
}

void
series_delay_quantiles(const struct series_view *view, const struct counters *counters,
	const double *q, size_t count, double *ret)
{
	double life = seconds(counters->life_ns);
	double longest = series_max_seconds(view, counters);
	const struct histogram *h = &counters->iteration;
	struct histogram with_open;

	if (view->open_count) {
		with_open = counters->iteration;
		for (size_t i = 0; i < view->open_count; i++)
			histogram_record(&with_open, view->open_ns[i]);
		h = &with_open;
	}
	histogram_delay_quantiles(h, life, q, count, ret);
	for (size_t i = 0; i < count; i++) {
		if (q[i] >= 1)
			ret[i] = longest;
		/* What is known exactly bounds what is not. */
		if (ret[i] > longest)
			ret[i] = longest;
	}
}

void
series_delay_buckets(const struct series_view *view, const struct counters *counters,
	const double *limits, size_t count, double *ret_seconds)
{
	while (count) {
		uint64_t limits_ns[32], excess_ns[32];
		size_t part = count < 32 ? count : 32;

		for (size_t i = 0; i < part; i++)
			limits_ns[i] = histogram_ns(limits[i]);
		excesses_ns(view, counters, limits_ns, part, excess_ns);
		for (size_t i = 0; i < part; i++)
			ret_seconds[i] =
				seconds(difference(counters->life_ns, excess_ns[i]));
		limits += part;
		ret_seconds += part;
		count -= part;
	}
}

void
series_delay_bands(const struct series_view *view, const struct counters *counters,
	double ret_seconds[HISTOGRAM_BANDS])
{
	/* At the ends of all bands but the last one, where they are exact: what an iteration
	 * that still lasts adds is never more than what it adds when it has ended. */
	uint64_t ends_ns[HISTOGRAM_BANDS - 1], excess_ns[HISTOGRAM_BANDS - 1];
	unsigned last = HISTOGRAM_BANDS - 1;

	for (unsigned i = 0; i < last; i++)
		ends_ns[i] = histogram_upper_ns(i * HISTOGRAM_PER_BAND);
	excesses_ns(view, counters, ends_ns, last, excess_ns);
	ret_seconds[0] = seconds(difference(counters->life_ns, excess_ns[0]));
	for (unsigned i = 1; i < last; i++)
		ret_seconds[i] = seconds(difference(excess_ns[i - 1], excess_ns[i]));
	ret_seconds[last] = seconds(excess_ns[last - 1]);
}

double
series_excess_seconds(
	const struct series_view *view, const struct counters *counters, double limit)
{
	uint64_t limit_ns = histogram_ns(limit), excess_ns;

	excesses_ns(view, counters, &limit_ns, 1, &excess_ns);
	return seconds(excess_ns);
}

double
series_active_seconds(const struct series_view *view, const struct counters *counters)
{
	return seconds(active_ns(view, counters));
}

double
series_idle_seconds(const struct series_view *view, const struct counters *counters)
{
	return seconds(difference(counters->life_ns, active_ns(view, counters)));
}

double
series_half_squares(const struct series_view *view, const struct counters *counters)
{
	unsigned __int128 sum = histogram_squares(&counters->iteration);

	for (size_t i = 0; i < view->open_count; i++)
		sum += (unsigned __int128)view->open_ns[i] * view->open_ns[i];
	return (double)sum / 2e18;
}

double
series_max_seconds(const struct series_view *view, const struct counters *counters)
{
	uint64_t max_ns = counters->max_ns;

	for (size_t i = 0; i < view->open_count; i++)
		if (view->open_ns[i] > max_ns)
			max_ns = view->open_ns[i];
	return seconds(max_ns);
}
