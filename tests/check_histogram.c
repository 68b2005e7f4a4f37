/* SPDX-License-Identifier: MIT */
/* Histograms: where durations go, and that the answers are as exact as promised. */

#include "config.h"

#include "probes/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#define ERROR 0.011
#define WORST_ERROR 0.013
#define SECOND 1000000000ull
#define SAMPLES 4000

static uint64_t
random_u64(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x * 2685821657736338717u;
}

/* For what is tried a million times: check itself notes each place that it passes. */
#define ASSERT_OFTEN(condition)                                 \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

static double
random_unit(void)
{
	return (double)(random_u64() >> 11) * 0x1p-53;
}

/* A duration between 1 us and 256 s, each power of two as likely as the others. */
static uint64_t
random_duration(void)
{
	return (uint64_t)(1000 * pow(256e6, random_unit()));
}

/* The upper bound of a bucket in nanoseconds, as exactly as 64 bits can have it. */
static long double
edge_ns(int bucket)
{
	return exp2l((bucket - 640) / 32.0L) * 1e9L;
}

START_TEST(every_bucket_ends_where_it_should)
{
	for (int b = 0; b <= 896; b++) {
		long double edge = edge_ns(b), whole = floorl(edge);

		/* What this test relies on: no edge is too near a whole number to tell. */
		ck_assert(edge == whole ||
			  (edge - whole > 1e-5L && edge - whole < 0.99999L));
		ck_assert_uint_eq(histogram_index((uint64_t)whole), b);
		ck_assert_uint_eq(histogram_index((uint64_t)whole + 1), b + 1);
		ck_assert_uint_eq(histogram_upper_ns((unsigned)b), (uint64_t)whole);
		ck_assert_double_eq_tol(histogram_upper_seconds((unsigned)b) * 1e9,
			(double)edge, (double)edge * 1e-15);
	}
	ck_assert(isinf(histogram_upper_seconds(897)));
	ck_assert_uint_eq(histogram_upper_ns(897), UINT64_MAX);
}
END_TEST

START_TEST(nothing_is_too_short_or_too_long_for_a_bucket)
{
	ck_assert_uint_eq(histogram_index(0), 0);
	ck_assert_uint_eq(histogram_index(HISTOGRAM_ZERO_NS), 0);
	ck_assert_uint_eq(histogram_index(HISTOGRAM_ZERO_NS + 1), 1);
	ck_assert_uint_eq(histogram_index(256 * SECOND), 896);
	ck_assert_uint_eq(histogram_index(256 * SECOND + 1), 897);
	ck_assert_uint_eq(histogram_index(UINT64_MAX), 897);
	ck_assert_uint_lt(histogram_band(897), HISTOGRAM_BANDS);
	for (int shift = 0; shift < 64; shift++)
		ck_assert_uint_lt(histogram_index(1ull << shift), HISTOGRAM_BUCKETS);
}
END_TEST

START_TEST(the_middle_of_a_bucket_is_near_each_duration_in_it)
{
	for (int i = 0; i < 1000000; i++) {
		uint64_t ns = random_duration();
		unsigned b = histogram_index(ns);
		double lower = histogram_upper_seconds(b - 1) * 1e9;
		double upper = histogram_upper_seconds(b) * 1e9;
		double middle = (lower + upper) / 2;

		ASSERT_OFTEN((double)ns > lower && (double)ns <= upper);
		ASSERT_OFTEN(fabs(middle - (double)ns) <= ERROR * (double)ns);
	}
}
END_TEST

START_TEST(seconds_become_the_nanoseconds_that_were_meant)
{
	static const struct {
		double seconds;
		uint64_t ns;
	} cases[] = {
		{0.001, 1000000},
		{0.1, 100000000},
		{0.29, 290000000},
		{2.5, 2500000000},
		{1e-6, 1000},
		{0.0000019, 1900},
		{0, 0},
		{-1, 0},
		{NAN, 0},
		{INFINITY, UINT64_MAX},
		{1e300, UINT64_MAX},
		{100, 100 * SECOND},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(histogram_ns(cases[i].seconds), cases[i].ns);
	for (unsigned b = 0; b <= 896; b++)
		ck_assert_uint_eq(
			histogram_ns(histogram_upper_seconds(b)), histogram_upper_ns(b));
	for (uint64_t ms = 1; ms < 300000; ms++)
		ASSERT_OFTEN(histogram_ns((double)ms / 1000) == ms * 1000000);
}
END_TEST

static uint64_t samples[SAMPLES];

/* Durations of one of some very different programs. */
static void
make_samples(int kind, struct histogram *ret_histogram)
{
	memset(ret_histogram, 0, sizeof(*ret_histogram));
	for (int i = 0; i < SAMPLES; i++) {
		switch (kind) {
		case 0: /* anything */
			samples[i] = random_duration();
			break;
		case 1: /* short ones, and a stall now and then */
			samples[i] = 5000 + random_u64() % 20000 +
				     (i % 100 ? 0 : 100000000 + random_u64() % 20000000);
			break;
		case 2: /* always the same */
			samples[i] = 1234567;
			break;
		case 3: /* at one side of their buckets */
			samples[i] = histogram_upper_ns((unsigned)(random_u64() % 896)) +
				     (i & 1);
			break;
		case 4: /* exponential, 3 ms */
			samples[i] = (uint64_t)(-3e6 * log(1 - random_unit())) + 1000;
			break;
		case 5: /* of one band, most of them at its lower end */
			samples[i] = i % 10 ? histogram_upper_ns(480) + 1
					    : histogram_upper_ns(488);
			break;
		}
		histogram_record(ret_histogram, samples[i]);
	}
}
#define KINDS 6

static long double
true_excess_ns(long double limit_ns)
{
	long double sum = 0;

	for (int i = 0; i < SAMPLES; i++)
		sum += (long double)samples[i] > limit_ns ? samples[i] - limit_ns : 0;
	return sum;
}

START_TEST(the_excess_is_exact_at_the_edges_of_bands)
{
	struct histogram h;

	make_samples(_i, &h);
	for (unsigned band = 0; band < HISTOGRAM_BANDS - 1; band++) {
		uint64_t limit = histogram_ns(band_upper_seconds(band)), excess;

		histogram_excesses_ns(&h, &limit, 1, &excess);
		ck_assert_uint_eq(excess, (uint64_t)true_excess_ns(limit));
		ck_assert_double_eq_tol(
			histogram_excess_seconds(&h, band_upper_seconds(band)),
			(double)true_excess_ns(edge_ns(8 * (int)band)) / 1e9,
			1e-9 * SAMPLES);
	}
}
END_TEST

START_TEST(between_the_edges_the_excess_is_never_too_much_and_little_too_small)
{
	struct histogram h;

	make_samples(_i, &h);
	for (int n = 0; n < 3000; n++) {
		uint64_t limit = random_duration(), excess;
		unsigned band = histogram_band(histogram_index(limit));
		long double truth = true_excess_ns(limit), slack = 0;

		for (int i = 0; i < SAMPLES; i++) {
			unsigned b = histogram_index(samples[i]);

			if (histogram_band(b) == band && b)
				slack += edge_ns((int)b) - edge_ns((int)b - 1);
		}
		histogram_excesses_ns(&h, &limit, 1, &excess);
		ck_assert(excess <= truth);
		ck_assert(excess >= truth - slack);
	}
}
END_TEST

START_TEST(a_duration_adds_something_between_nothing_and_its_own_excess)
{
	struct histogram h = {0};
	uint64_t limits[20], before[20], after[20];

	for (int i = 0; i < 20; i++)
		limits[i] =
			i & 1 ? random_duration()
			      : histogram_upper_ns((unsigned)(random_u64() % 112) * 8);
	memset(before, 0, sizeof(before));
	for (int n = 0; n < 50000; n++) {
		uint64_t ns = n % 3 ? random_duration()
				    : limits[random_u64() % 20] + random_u64() % 3;

		histogram_record(&h, ns);
		histogram_excesses_ns(&h, limits, 20, after);
		for (int i = 0; i < 20; i++) {
			uint64_t most = ns > limits[i] ? ns - limits[i] : 0;

			ASSERT_OFTEN(after[i] >= before[i]);
			ASSERT_OFTEN(after[i] - before[i] <= most);
		}
		memcpy(before, after, sizeof(before));
	}
}
END_TEST

static int
compare_falling(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* The delay's quantile from the durations themselves. */
static double
true_quantile(double life, double q)
{
	long double target = (1 - (long double)q) * life * 1e9L, sum = 0;

	qsort(samples, SAMPLES, sizeof(samples[0]), compare_falling);
	for (int i = 0; i < SAMPLES; i++) {
		if (sum - (long double)i * samples[i] > target)
			return (double)((sum - target) / i / 1e9L);
		sum += samples[i];
	}
	return sum > target ? (double)((sum - target) / SAMPLES / 1e9L) : 0;
}

START_TEST(delay_quantiles_are_within_the_error)
{
	static const double q[] = {0.01, 0.3, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
	struct histogram h;
	double sum, answers[8];

	make_samples(_i, &h);
	sum = histogram_sum_seconds(&h);
	for (double rest = 0; rest < 100; rest = 2 * rest + 0.01) {
		double life = sum * (1 + rest);

		for (int i = 0; i < 8; i++)
			answers[i] = histogram_delay_quantile(&h, life, q[i]);
		for (int i = 0; i < 7; i++) {
			double truth = true_quantile(life, q[i]);

			/* The last kind was made to be as bad as can be. */
			ck_assert_double_eq_tol(answers[i], truth,
				(_i == 5 ? WORST_ERROR : ERROR) * truth + 1e-9);
		}
		ck_assert_double_eq_tol(answers[7], (double)samples[0] / 1e9,
			ERROR * (double)samples[0] / 1e9);
	}
}
END_TEST

START_TEST(a_life_too_short_is_taken_as_all_busy)
{
	struct histogram h;

	make_samples(2, &h);
	ck_assert_double_eq(histogram_delay_quantile(&h, 0, 0.5),
		histogram_delay_quantile(&h, histogram_sum_seconds(&h), 0.5));
	ck_assert_double_eq(histogram_delay_quantile(&h, NAN, 0.5),
		histogram_delay_quantile(&h, 0, 0.5));
}
END_TEST

START_TEST(an_empty_histogram_answers_zero)
{
	struct histogram h = {0};
	struct band_histogram bands = {0};

	for (double q = 0; q <= 1; q += 0.25) {
		ck_assert_double_eq(histogram_delay_quantile(&h, 10, q), 0);
		ck_assert_double_eq(histogram_quantile(&h, q), 0);
		ck_assert_double_eq(band_histogram_quantile(&bands, q), 0);
	}
	ck_assert_double_eq(histogram_excess_seconds(&h, 0), 0);
	ck_assert_uint_eq(histogram_top(&h), 0);
}
END_TEST

START_TEST(quantiles_by_count_are_within_the_error)
{
	struct histogram h;

	make_samples(_i, &h);
	qsort(samples, SAMPLES, sizeof(samples[0]), compare_falling);
	for (double q = 0.05; q <= 1; q += 0.05) {
		size_t rank = (size_t)ceil(q * SAMPLES);
		double truth = (double)samples[SAMPLES - rank] / 1e9;

		ck_assert_double_eq_tol(histogram_quantile(&h, q), truth, ERROR * truth);
	}
}
END_TEST

START_TEST(sums_and_squares_are_exact)
{
	struct histogram h;
	unsigned __int128 squares = 0;
	uint64_t sum = 0, total = 0;

	make_samples(0, &h);
	for (int i = 0; i < SAMPLES; i++) {
		squares += (unsigned __int128)samples[i] * samples[i];
		sum += samples[i];
	}
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		total += h.sums_ns[i];
	ck_assert(histogram_squares(&h) == squares);
	ck_assert_uint_eq(total, sum);
	ck_assert_uint_eq(histogram_total(&h), SAMPLES);
	ck_assert_double_eq_tol(histogram_sum_seconds(&h), (double)sum / 1e9, 1e-6);
	ck_assert_double_eq_tol(histogram_half_squares(&h), (double)squares / 2e18,
		(double)squares / 1e30);
}
END_TEST

START_TEST(merging_is_recording_both_and_subtracting_undoes_it)
{
	struct histogram a = {0}, b = {0}, both = {0}, sum;
	struct band_histogram band_a = {0}, band_b = {0}, band_both = {0}, band_sum;

	for (int i = 0; i < 20000; i++) {
		uint64_t ns = i % 50 ? random_duration() : i % 40 ? random_u64() >> 8 : 0;

		histogram_record(i % 3 ? &a : &b, ns);
		histogram_record(&both, ns);
		band_histogram_record(i % 3 ? &band_a : &band_b, ns);
		band_histogram_record(&band_both, ns);
	}
	sum = a;
	histogram_add(&sum, &b);
	ck_assert_mem_eq(&sum, &both, sizeof(sum));
	histogram_subtract(&sum, &b);
	ck_assert_mem_eq(&sum, &a, sizeof(sum));
	band_sum = band_a;
	band_histogram_add(&band_sum, &band_b);
	ck_assert_mem_eq(&band_sum, &band_both, sizeof(band_sum));
	band_histogram_subtract(&band_sum, &band_b);
	ck_assert_mem_eq(&band_sum, &band_a, sizeof(band_sum));
}
END_TEST

/* Record some more durations, of which few or many share a band, and the first is nothing. */
static void
record_some(unsigned count, struct histogram *h, struct band_histogram *bands)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned shift = i % 5 ? 16 + (unsigned)(random_u64() % 48) : 16;
		uint64_t ns = i ? random_u64() >> shift : 0;

		histogram_record(h, ns);
		band_histogram_record(bands, ns);
	}
}

START_TEST(what_is_taken_is_what_was_recorded_since_the_last_time)
{
	struct histogram now = {0}, before = {0}, sum = {0};
	struct band_histogram bands_now = {0}, bands_before = {0}, bands_sum = {0};

	for (unsigned round = 0; round < 300; round++) {
		struct histogram delta = {0}, recorded = {0};
		struct band_histogram bands_delta = {0}, bands_recorded = {0};
		uint8_t bands[HISTOGRAM_BANDS];
		unsigned count, expected = 0;

		record_some(round % 40, &recorded, &bands_recorded);
		histogram_add(&now, &recorded);
		band_histogram_add(&bands_now, &bands_recorded);
		count = histogram_take(&before, &now, round % 2, &delta, bands);
		band_histogram_take(&bands_before, &bands_now, &bands_delta);
		ck_assert_mem_eq(&delta, &recorded, sizeof(delta));
		ck_assert_mem_eq(&before, &now, sizeof(before));
		ck_assert_mem_eq(&bands_delta, &bands_recorded, sizeof(bands_delta));
		ck_assert_mem_eq(&bands_before, &bands_now, sizeof(bands_before));
		for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
			if (bands_recorded.counts[i])
				ck_assert_uint_eq(bands[expected++], i);
		ck_assert_uint_eq(count, expected);
		histogram_add(&sum, &delta);
		band_histogram_add(&bands_sum, &bands_delta);
	}
	ck_assert_mem_eq(&sum, &now, sizeof(sum));
	ck_assert_mem_eq(&bands_sum, &bands_now, sizeof(bands_sum));
}
END_TEST

START_TEST(what_a_stranger_takes_back_is_nothing_and_is_not_given_twice)
{
	static const uint64_t counts[] = {5, 7, 1, 3}, taken[] = {5, 2, 0, 2};
	struct histogram now = {0}, before = {0};
	uint8_t bands[HISTOGRAM_BANDS];

	/* Each bucket by itself: its band's sum stays as it was. */
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		for (unsigned j = 0; j < 4; j++) {
			struct histogram delta = {0};

			now.counts[i] = counts[j];
			ck_assert_uint_eq(
				histogram_take(&before, &now, false, &delta, bands), 1);
			ck_assert_uint_eq(bands[0], histogram_band(i));
			ck_assert_uint_eq(delta.counts[i], taken[j]);
			ck_assert_uint_eq(histogram_total(&delta), taken[j]);
			ck_assert_mem_eq(&before, &now, sizeof(before));
		}
}
END_TEST

START_TEST(the_next_number_is_found_wherever_it_is)
{
	uint64_t numbers[40] = {0};

	for (size_t count = 0; count <= 40; count++)
		for (size_t from = 0; from <= count; from++) {
			ck_assert_uint_eq(histogram_next(numbers, from, count), count);
			for (size_t at = 0; at < 40; at++) {
				size_t next = at >= from && at < count ? at : count;

				numbers[at] = 1ull << (at + from) % 64;
				ASSERT_OFTEN(
					histogram_next(numbers, from, count) == next);
				numbers[at] = 0;
			}
		}
}
END_TEST

START_TEST(counts_of_strangers_saturate_and_never_go_negative)
{
	struct histogram ones, sum, less = {0};
	struct band_histogram band_ones, band_sum, band_less = {0};
	double q[] = {0, 0.5, 0.99, 1}, answers[4];
	uint64_t limits[] = {0, 1, 953, 100000000, UINT64_MAX}, excess[5];

	memset(&ones, 0xff, sizeof(ones));
	memset(&band_ones, 0xff, sizeof(band_ones));
	sum = ones;
	histogram_add(&sum, &ones);
	ck_assert_mem_eq(&sum.counts, &ones.counts, sizeof(ones.counts));
	ck_assert_mem_eq(&sum.sums_ns, &ones.sums_ns, sizeof(ones.sums_ns));
	ck_assert_uint_eq(sum.square_high, UINT64_MAX);
	band_sum = band_ones;
	band_histogram_add(&band_sum, &band_ones);
	ck_assert_mem_eq(&band_sum, &band_ones, sizeof(band_ones));
	ck_assert_uint_eq(histogram_total(&ones), UINT64_MAX);
	ck_assert_uint_eq(band_histogram_total(&band_ones), UINT64_MAX);

	histogram_excesses_ns(&ones, limits, 5, excess);
	ck_assert_uint_eq(excess[0], UINT64_MAX);
	for (int i = 0; i < 4; i++) {
		answers[i] = histogram_delay_quantile(&ones, 1, q[i]);
		ck_assert(answers[i] >= 0 && !isnan(answers[i]));
	}
	ck_assert(!isnan(histogram_quantile(&ones, 0.5)));
	ck_assert(!isnan(band_histogram_quantile(&band_ones, 0.5)));

	histogram_record(&less, 5000000);
	histogram_subtract(&less, &ones);
	ck_assert_uint_eq(histogram_total(&less), 0);
	ck_assert_double_eq(histogram_sum_seconds(&less), 0);
	ck_assert(histogram_squares(&less) == 0);
	band_histogram_record(&band_less, 5000000);
	band_histogram_subtract(&band_less, &band_ones);
	ck_assert_uint_eq(band_histogram_total(&band_less), 0);
	ck_assert_uint_eq(band_less.sum_ns, 0);
}
END_TEST

START_TEST(what_is_at_most_so_long_is_counted_exactly_at_edges)
{
	struct histogram h;
	struct band_histogram bands = {0};

	make_samples(0, &h);
	for (int i = 0; i < SAMPLES; i++)
		band_histogram_record(&bands, samples[i]);
	for (unsigned b = 0; b <= 896; b++) {
		double edge = histogram_upper_seconds(b);
		unsigned count = 0;

		for (int i = 0; i < SAMPLES; i++)
			count += samples[i] <= histogram_upper_ns(b);
		ck_assert_uint_eq(histogram_count_to(&h, edge), count);
		if (b % 8 == 0)
			ck_assert_uint_eq(band_histogram_count_to(&bands, edge), count);
	}
	ck_assert_uint_eq(histogram_count_to(&h, INFINITY), SAMPLES);
	ck_assert_uint_eq(band_histogram_count_to(&bands, INFINITY), SAMPLES);
	ck_assert_uint_eq(histogram_count_to(&h, 0), 0);
}
END_TEST

START_TEST(the_top_bucket_holds_the_longest)
{
	struct histogram h = {0};

	histogram_record(&h, 100);
	ck_assert_uint_eq(histogram_top(&h), 0);
	histogram_record(&h, 3 * SECOND);
	histogram_record(&h, SECOND);
	ck_assert_uint_eq(histogram_top(&h), histogram_index(3 * SECOND));
	histogram_record(&h, UINT64_MAX);
	ck_assert_uint_eq(histogram_top(&h), 897);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, every_bucket_ends_where_it_should);
	tcase_add_test(tcase, nothing_is_too_short_or_too_long_for_a_bucket);
	tcase_add_test(tcase, the_middle_of_a_bucket_is_near_each_duration_in_it);
	tcase_add_test(tcase, seconds_become_the_nanoseconds_that_were_meant);
	tcase_add_loop_test(tcase, the_excess_is_exact_at_the_edges_of_bands, 0, KINDS);
	tcase_add_loop_test(tcase,
		between_the_edges_the_excess_is_never_too_much_and_little_too_small, 0,
		KINDS);
	tcase_add_test(
		tcase, a_duration_adds_something_between_nothing_and_its_own_excess);
	tcase_add_loop_test(tcase, delay_quantiles_are_within_the_error, 0, KINDS);
	tcase_add_test(tcase, a_life_too_short_is_taken_as_all_busy);
	tcase_add_test(tcase, an_empty_histogram_answers_zero);
	tcase_add_loop_test(tcase, quantiles_by_count_are_within_the_error, 0, KINDS);
	tcase_add_test(tcase, sums_and_squares_are_exact);
	tcase_add_test(tcase, merging_is_recording_both_and_subtracting_undoes_it);
	tcase_add_test(tcase, what_is_taken_is_what_was_recorded_since_the_last_time);
	tcase_add_test(
		tcase, what_a_stranger_takes_back_is_nothing_and_is_not_given_twice);
	tcase_add_test(tcase, the_next_number_is_found_wherever_it_is);
	tcase_add_test(tcase, counts_of_strangers_saturate_and_never_go_negative);
	tcase_add_test(tcase, what_is_at_most_so_long_is_counted_exactly_at_edges);
	tcase_add_test(tcase, the_top_bucket_holds_the_longest);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
