/* SPDX-License-Identifier: MIT */
/* The text format: escapes, numbers, and the order of lines. */

#include "config.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"
#include "daemon/text.h"

/* Write the metrics, free them, and give the text; caller frees. */
static char *
text_of(struct metrics *metrics)
{
	size_t length = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &length);

	ck_assert_ptr_nonnull(out);
	text_write(out, metrics);
	ck_assert_int_eq(fclose(out), 0);
	metrics_free(metrics);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(length, strlen(text));
	return text;
}

static void
assert_text(struct metrics *metrics, const char *expected)
{
	char *text = text_of(metrics);

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(a_family_has_help_and_type_and_then_its_samples)
{
	struct metrics *metrics = metrics_new();

	metrics_family(metrics, METRIC_COUNTER, "a_total", "Some.");
	metrics_add(metrics, &(struct metric_sample){.value = 3});
	metrics_add(metrics,
		&(struct metric_sample){.labels = {{"x", "1"}, {"y", ""}}, .value = 0.5});
	metrics_family(metrics, METRIC_GAUGE, "b", "Other.");
	assert_text(metrics, "# HELP a_total Some.\n"
			     "# TYPE a_total counter\n"
			     "a_total 3\n"
			     "a_total{x=\"1\",y=\"\"} 0.5\n"
			     "# HELP b Other.\n"
			     "# TYPE b gauge\n");
}
END_TEST

START_TEST(label_values_and_help_are_escaped)
{
	struct metrics *metrics = metrics_new();

	metrics_family(metrics, METRIC_GAUGE, "a", "A \"b\" \\ c\nd");
	metrics_add(metrics, &(struct metric_sample){.labels = {{"x", "\"\\\n"}}});
	metrics_add(metrics, &(struct metric_sample){.labels = {{"x", "a\\nb}\u00e4"}}});
	assert_text(metrics, "# HELP a A \"b\" \\\\ c\\nd\n"
			     "# TYPE a gauge\n"
			     "a{x=\"\\\"\\\\\\n\"} 0\n"
			     "a{x=\"a\\\\nb}\u00e4\"} 0\n");
}
END_TEST

START_TEST(a_histogram_has_cumulative_buckets_sum_and_count)
{
	static const struct metric_point points[] = {
		{0.001, 1.5}, {1, 2}, {INFINITY, 4.25}};
	struct metrics *metrics = metrics_new();

	metrics_family(metrics, METRIC_HISTOGRAM, "h", "H.");
	metrics_add(metrics, &(struct metric_sample){.labels = {{"l", "v"}},
				     .points = points,
				     .point_count = 3,
				     .count = 4.25,
				     .sum = 7});
	assert_text(metrics, "# HELP h H.\n"
			     "# TYPE h histogram\n"
			     "h_bucket{l=\"v\",le=\"0.001\"} 1.5\n"
			     "h_bucket{l=\"v\",le=\"1.0\"} 2\n"
			     "h_bucket{l=\"v\",le=\"+Inf\"} 4.25\n"
			     "h_sum{l=\"v\"} 7\n"
			     "h_count{l=\"v\"} 4.25\n");
}
END_TEST

START_TEST(a_summary_has_quantiles_that_may_be_unknown)
{
	static const struct metric_point points[] = {{0.5, 0.25}, {1, NAN}};
	struct metrics *metrics = metrics_new();

	metrics_family(metrics, METRIC_SUMMARY, "s", "S.");
	metrics_add(metrics,
		&(struct metric_sample){
			.points = points, .point_count = 2, .count = 9, .sum = 1});
	assert_text(metrics, "# HELP s S.\n"
			     "# TYPE s summary\n"
			     "s{quantile=\"0.5\"} 0.25\n"
			     "s{quantile=\"1.0\"} NaN\n"
			     "s_sum 1\n"
			     "s_count 9\n");
}
END_TEST

START_TEST(bounds_are_always_written_as_floats)
{
	static const struct {
		double bound;
		const char *text;
	} cases[] = {{1, "1.0"}, {60, "60.0"}, {0.0025, "0.0025"}, {2.5, "2.5"},
		{1e-5, "1e-05"}, {0.00005, "5e-05"}, {1e14, "100000000000000.0"},
		{1e20, "1e+20"}, {-INFINITY, "-Inf"}, {INFINITY, "+Inf"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct metric_point point = {cases[i].bound, 0};
		struct metrics *metrics = metrics_new();
		char expected[64], *text;

		metrics_family(metrics, METRIC_HISTOGRAM, "h", "H.");
		metrics_add(metrics,
			&(struct metric_sample){.points = &point, .point_count = 1});
		text = text_of(metrics);
		snprintf(expected, sizeof(expected), "h_bucket{le=\"%s\"} 0\n",
			cases[i].text);
		ck_assert_msg(strstr(text, expected), "no %s in %s", expected, text);
		free(text);
	}
}
END_TEST

/* A double of any exponent but those of infinity, from a fixed sequence. */
static double
next_double(unsigned short state[3])
{
	return ldexp(erand48(state) - 0.5, (int)(nrand48(state) % 2000) - 1000);
}

START_TEST(every_number_reads_back_as_itself)
{
	static const double special[] = {0, 0.1, 1.0 / 3, 1e15, 1e15 + 1,
		9007199254740993.0, -2.5, 5e-324, 1.7976931348623157e308, 0.1 + 0.2};
	unsigned short state[3] = {1, 2, 3};

	for (unsigned i = 0; i < 5000; i++) {
		double value = i < sizeof(special) / sizeof(special[0])
				       ? special[i]
				       : next_double(state);
		struct metrics *metrics = metrics_new();
		char *text;

		metrics_family(metrics, METRIC_GAUGE, "g", "G.");
		metrics_add(metrics, &(struct metric_sample){.value = value});
		text = text_of(metrics);
		ck_assert_double_eq(strtod(strrchr(text, ' '), NULL), value);
		free(text);
	}
}
END_TEST

START_TEST(numbers_are_no_longer_than_they_must_be)
{
	struct metrics *metrics = metrics_new();

	metrics_family(metrics, METRIC_GAUGE, "g", "G.");
	metrics_add(metrics, &(struct metric_sample){.value = 0.1});
	metrics_add(metrics, &(struct metric_sample){.value = 1795254895});
	metrics_add(metrics, &(struct metric_sample){.value = 0.1 + 0.2});
	assert_text(metrics, "# HELP g G.\n"
			     "# TYPE g gauge\n"
			     "g 0.1\n"
			     "g 1795254895\n"
			     "g 0.30000000000000004\n");
}
END_TEST

static Suite *
text_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *lines = tcase_create("lines"), *numbers = tcase_create("numbers");

	tcase_add_test(lines, a_family_has_help_and_type_and_then_its_samples);
	tcase_add_test(lines, label_values_and_help_are_escaped);
	tcase_add_test(lines, a_histogram_has_cumulative_buckets_sum_and_count);
	tcase_add_test(lines, a_summary_has_quantiles_that_may_be_unknown);
	suite_add_tcase(suite, lines);
	tcase_add_test(numbers, bounds_are_always_written_as_floats);
	tcase_add_test(numbers, every_number_reads_back_as_itself);
	tcase_add_test(numbers, numbers_are_no_longer_than_they_must_be);
	suite_add_tcase(suite, numbers);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(text_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
