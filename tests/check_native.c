/* SPDX-License-Identifier: MIT */
/* The buckets of native histograms: that they hold what they say, however coarse they are. */

#include "config.h"

#include "daemon/native.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/counters.h"
#include "daemon/groups.h"

#define LENGTHS 3000

static struct native_room room;

/* The end of a bucket in seconds. */
static double
end_of(int index, int schema)
{
	return exp2(index / exp2(schema));
}

static uint64_t
some_length(unsigned short dice[3])
{
	return (uint64_t)exp(erand48(dice) * 26);
}

static double
sum_of(const struct metric_native *native)
{
	double sum = native->zero_value;

	for (size_t i = 0; i < native->count; i++)
		sum += native->buckets[i].value;
	return sum;
}

START_TEST(each_iteration_is_in_the_bucket_that_holds_its_length)
{
	unsigned short dice[3] = {1, 2, 3};

	for (unsigned i = 0; i < LENGTHS; i++) {
		uint64_t ns = some_length(dice);
		struct histogram h = {0};
		struct metric_native native;

		histogram_record(&h, ns);
		native_iterations(&h, 160, &room, &native);
		ck_assert_int_eq(native.schema, 5);
		ck_assert(native.whole);
		ck_assert_double_eq(sum_of(&native), 1);
		if ((double)ns / 1e9 <= native.zero_threshold) {
			ck_assert_uint_eq(native.count, 0);
			continue;
		}
		ck_assert_uint_eq(native.count, 1);
		if (ns > 256000000000) {
			ck_assert_int_eq(native.buckets[0].index, 8 * 32 + 1);
			continue;
		}
		ck_assert_double_gt((double)ns / 1e9,
			end_of(native.buckets[0].index - 1, 5) * (1 - 1e-12) - 1e-9);
		ck_assert_double_le((double)ns / 1e9,
			end_of(native.buckets[0].index, 5) * (1 + 1e-12));
	}
}
END_TEST

/* How many of the fine buckets' values are in those up to that end. */
static double
sum_to(const struct metric_native *native, double end)
{
	double sum = native->zero_value;

	for (size_t i = 0; i < native->count; i++)
		if (end_of(native->buckets[i].index, native->schema) <= end * (1 + 1e-9))
			sum += native->buckets[i].value;
	return sum;
}

START_TEST(buckets_are_merged_exactly_until_they_are_few_enough)
{
	static const size_t budgets[] = {160, 100, 57, 40, NATIVE_BUDGET_MIN};
	static struct native_room fine_room;
	unsigned short dice[3] = {1, 2, 3};
	struct metric_native fine, coarse;
	struct histogram h = {0};

	for (unsigned i = 0; i < LENGTHS; i++) {
		histogram_record(&h, some_length(dice));
		if (i % 50)
			continue;
		native_iterations(&h, SIZE_MAX, &fine_room, &fine);
		ck_assert_int_eq(fine.schema, 5);
		for (size_t j = 0; j < sizeof(budgets) / sizeof(budgets[0]); j++) {
			native_iterations(&h, budgets[j], &room, &coarse);
			ck_assert_uint_le(coarse.count, budgets[j]);
			ck_assert_int_ge(coarse.schema, 0);
			ck_assert_double_eq(sum_of(&coarse), i + 1);
			for (size_t k = 0; k < coarse.count; k++) {
				int index = coarse.buckets[k].index;
				double end = end_of(index, coarse.schema);

				ck_assert_double_gt(coarse.buckets[k].value, 0);
				ck_assert(!k || index > coarse.buckets[k - 1].index);
				/* All above 2^8 s is in one bucket of another end. */
				if (end <= 256)
					ck_assert_double_eq(
						sum_to(&coarse, end), sum_to(&fine, end));
			}
		}
	}
	ck_assert_int_le(coarse.schema, 1);
}
END_TEST

START_TEST(a_schema_never_becomes_finer_again)
{
	unsigned short dice[3] = {4, 5, 6};
	struct histogram h = {0};
	int schema = 5, changes = 0;

	for (unsigned i = 0; i < LENGTHS; i++) {
		struct metric_native native;

		histogram_record(&h, some_length(dice));
		native_iterations(&h, 160, &room, &native);
		ck_assert_int_le(native.schema, schema);
		changes += native.schema != schema;
		schema = native.schema;
	}
	ck_assert_int_ge(changes, 1);
	ck_assert_int_le(changes, 3);
}
END_TEST

START_TEST(the_delay_always_fits_at_the_schema_at_which_it_is_exact)
{
	struct metric_native native;
	double bands[HISTOGRAM_BANDS];

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		bands[i] = 0.5;
	native_delay(bands, 160, &room, &native);
	ck_assert_int_eq(native.schema, 2);
	ck_assert(!native.whole);
	ck_assert_double_eq(sum_of(&native), HISTOGRAM_BANDS / 2.0);
	ck_assert_double_eq_tol(
		end_of(native.buckets[0].index - 1, 2), native.zero_threshold, 1e-12);
	ck_assert_int_eq(native.buckets[native.count - 1].index, 4 * 8 + 1);
}
END_TEST

/* The seconds in which an event would have waited up to x, of all these lengths. */
static double
waited_to(const uint64_t *lengths_ns, unsigned count, double x)
{
	double sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += fmin((double)lengths_ns[i] / 1e9, x);
	return sum;
}

START_TEST(the_delays_buckets_are_those_of_its_definition)
{
	static uint64_t lengths_ns[LENGTHS];
	unsigned short dice[3] = {1, 2, 3};
	struct counters total = {0};
	uint64_t open_ns[] = {700, 123456789, 4000000000};
	struct series_view view = {.total = &total, .open_ns = open_ns, .open_count = 3};
	double bands[HISTOGRAM_BANDS], sum_seconds = 0;
	const unsigned count = 200;
	struct metric_native native;

	for (unsigned i = 0; i < count; i++) {
		lengths_ns[i] = some_length(dice);
		if (i >= 3)
			counters_record(&total, lengths_ns[i]);
		else
			lengths_ns[i] = open_ns[i];
		total.life_ns += lengths_ns[i];
	}
	total.life_ns += 5000000000;
	series_delay_bands(&view, &total, bands);
	native_delay(bands, 160, &room, &native);
	for (size_t i = 0; i + 1 < native.count; i++) {
		double low = end_of(native.buckets[i].index - 1, native.schema);
		double high = end_of(native.buckets[i].index, native.schema);
		double expected = waited_to(lengths_ns, count, high) -
				  waited_to(lengths_ns, count, low);

		/* A nanosecond for each iteration. */
		ck_assert_double_eq_tol(native.buckets[i].value, expected, count * 2e-9);
	}
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		sum_seconds += bands[i];
	ck_assert_double_eq_tol(sum_seconds, (double)total.life_ns / 1e9, 1e-6);
	/* No more than the idle time and a microsecond for each. */
	ck_assert_double_ge(bands[0], 5);
	ck_assert_double_le(bands[0], 5 + count * native.zero_threshold);
}
END_TEST

START_TEST(counts_of_liars_still_add_up)
{
	struct histogram h = {0};
	struct band_histogram bands = {0};
	struct metric_native native;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h.counts[i] = UINT64_MAX - i;
	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		bands.counts[i] = UINT64_MAX / 2;
	native_iterations(&h, 160, &room, &native);
	ck_assert_double_eq(sum_of(&native), exp2(53));
	native_wakeups(&bands, 160, &room, &native);
	ck_assert_double_eq(sum_of(&native), exp2(53));
	ck_assert(native.whole);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("native");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, each_iteration_is_in_the_bucket_that_holds_its_length);
	tcase_add_test(all, buckets_are_merged_exactly_until_they_are_few_enough);
	tcase_add_test(all, a_schema_never_becomes_finer_again);
	tcase_add_test(all, the_delay_always_fits_at_the_schema_at_which_it_is_exact);
	tcase_add_test(all, the_delays_buckets_are_those_of_its_definition);
	tcase_add_test(all, counts_of_liars_still_add_up);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
