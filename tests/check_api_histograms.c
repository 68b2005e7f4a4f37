/* SPDX-License-Identifier: MIT */
/* The JSON of histograms: its rows, what they add up to, and what is asked for. */

#include "config.h"

#include "daemon/api_histograms.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/counters.h"
#include "daemon/groups.h"

#define SECOND 1000000000ull
#define ROWS 30

static struct groups *groups;
static struct series *loop;
static json_t *root;

static void
set_up(void)
{
	groups = groups_new();
	loop = group_series(groups_get(groups, "web"), "main");
	group_series(groups_get(groups, "web"), "worker");
	group_series(groups_get(groups, "data & more"), "main");
	root = NULL;
}

static void
tear_down(void)
{
	json_decref(root);
	groups_free(groups);
}

/* All that a query is answered with. */
static const json_t *
ask(const char *query)
{
	char *reason, *text = NULL;
	struct api_histograms *answer = api_histograms_new(query, &reason);
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(answer);
	for (size_t i = 0; i < groups_count(groups); i++)
		ck_assert_int_eq(api_histograms_write(answer, groups, i, out), 0);
	ck_assert_int_eq(api_histograms_finish(answer, out), 0);
	api_histograms_free(answer);
	fclose(out);
	ck_assert_int_eq(text[size - 1], '\n');
	json_decref(root);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	ck_assert_ptr_nonnull(root);
	return json_object_get(root, "histograms");
}

static double
at(const json_t *array, size_t index)
{
	return json_number_value(json_array_get(array, index));
}

static void
assert_count(const char *query, size_t count)
{
	ck_assert_msg(
		json_array_size(ask(query)) == count, "%s", query ? query : "nothing");
	ck_assert_uint_eq(json_array_size(json_object_get(root, "bounds")), ROWS - 1);
}

START_TEST(a_group_can_be_asked_for)
{
	assert_count(NULL, 3);
	assert_count("", 3);
	assert_count("group=web", 2);
	assert_count("group=data+%26+more", 1);
	assert_count("group=we", 0);
	assert_count("group=", 0);
}
END_TEST

START_TEST(other_queries_are_refused_with_a_reason)
{
	char *reason;

	ck_assert_ptr_null(api_histograms_new("loop=main", &reason));
	ck_assert_str_eq(reason, "There is no parameter \"loop\"; there is group.\n");
	free(reason);
	ck_assert_ptr_null(api_histograms_new("group=%", &reason));
	ck_assert_str_eq(reason, "The query cannot be read.\n");
	free(reason);
}
END_TEST

START_TEST(rows_are_powers_of_two_and_add_up_to_the_life)
{
	struct counters delta = {.life_ns = 10 * SECOND};
	const json_t *bounds, *seconds;
	double sum = 0;

	counters_record(&delta, SECOND / 2);
	series_add(loop, &delta, 10 * SECOND);
	seconds = json_object_get(json_array_get(ask("group=web"), 0), "seconds");
	bounds = json_object_get(root, "bounds");
	ck_assert_uint_eq(json_array_size(seconds), ROWS);
	ck_assert_double_eq(at(bounds, 0), 1.0 / (1 << 20));
	ck_assert_double_eq(at(bounds, ROWS - 2), 256);
	for (size_t i = 1; i < ROWS - 1; i++)
		ck_assert_double_eq(at(bounds, i), 2 * at(bounds, i - 1));
	/* Of half a second an event would wait for over a quarter in the first quarter. */
	for (size_t i = 0; i < ROWS - 1; i++) {
		double expected = i ? at(bounds, i - 1) : 9.5 + at(bounds, 0);

		if (at(bounds, i) > 0.5)
			expected = 0;
		ck_assert_double_eq_tol(at(seconds, i), expected, 2e-9);
	}
	for (size_t i = 0; i < ROWS; i++)
		sum += at(seconds, i);
	ck_assert_double_eq_tol(sum, 10, 1e-7);
}
END_TEST

START_TEST(an_iteration_that_lasts_is_counted_in)
{
	struct counters delta = {.life_ns = 600 * SECOND};
	const json_t *seconds;

	series_add(loop, &delta, 600 * SECOND);
	groups_begin_reading(groups, 600 * SECOND);
	series_saw_loop(loop, 300 * SECOND);
	seconds = json_object_get(json_array_get(ask("group=web"), 0), "seconds");
	ck_assert_double_eq(at(seconds, ROWS - 1), 44);
	ck_assert_double_eq(at(seconds, ROWS - 2), 128);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("api_histograms");
	TCase *tcase = tcase_create("api_histograms");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_group_can_be_asked_for);
	tcase_add_test(tcase, other_queries_are_refused_with_a_reason);
	tcase_add_test(tcase, rows_are_powers_of_two_and_add_up_to_the_life);
	tcase_add_test(tcase, an_iteration_that_lasts_is_counted_in);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
