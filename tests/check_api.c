/* SPDX-License-Identifier: MIT */
/* The JSON of the groups: its shape, its units, and what is left out. */

#include "config.h"

#include "daemon/api.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "daemon/counters.h"
#include "daemon/groups.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static struct groups *groups;
static struct series *loop;
static json_t *root;

static void
set_up(void)
{
	groups = groups_new();
	loop = group_series(groups_get(groups, "web"), "main");
	root = NULL;
}

static void
tear_down(void)
{
	json_decref(root);
	groups_free(groups);
}

/* The only group's only loop. */
static json_t *
loop_of(enum api_span span)
{
	char *text = api_groups(groups, NULL, span);
	json_t *array;

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	json_decref(root);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	ck_assert_ptr_nonnull(root);
	array = json_object_get(
		json_array_get(json_object_get(root, "groups"), 0), "loops");
	ck_assert_uint_eq(json_array_size(array), 1);
	return json_array_get(array, 0);
}

static double
number(const json_t *object, const char *outer, const char *inner)
{
	const json_t *value = json_object_get(object, outer);

	if (inner)
		value = json_object_get(value, inner);
	ck_assert_msg(
		json_is_number(value), "%s %s is no number", outer, inner ? inner : "");
	return json_number_value(value);
}

static void
live(uint64_t life_ns, uint64_t iteration_ns, uint64_t now_ns)
{
	struct counters delta = {.life_ns = life_ns, .events = 2, .nested_wait_ns = MS};

	if (iteration_ns)
		counters_record(&delta, iteration_ns);
	series_add(loop, &delta, now_ns);
}

START_TEST(a_loop_tells_its_delay_iterations_and_times)
{
	const json_t *object;

	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	object = loop_of(API_WINDOW);
	ck_assert_str_eq(json_string_value(json_object_get(object, "loop")), "main");
	/* A tenth of the life is the first second of those two. */
	ck_assert_double_eq_tol(number(object, "delay", "p90"), 1, 0.02);
	ck_assert_double_eq(number(object, "delay", "p50"), 0);
	ck_assert_double_eq_tol(number(object, "delay", "max"), 2, 0.022);
	ck_assert_double_eq_tol(number(object, "iteration", "p50"), 2, 0.022);
	ck_assert_double_eq(number(object, "iterations", NULL), 1);
	ck_assert_double_eq(number(object, "events", NULL), 2);
	ck_assert_double_eq(number(object, "active_seconds", NULL), 2);
	ck_assert_double_eq(number(object, "idle_seconds", NULL), 8);
	ck_assert_double_eq(number(object, "nested_wait_seconds", NULL), 0.001);
}
END_TEST

START_TEST(no_quantile_is_above_the_maximum)
{
	const json_t *object;

	live(10 * SECOND, 101 * MS, 10 * SECOND);
	object = loop_of(API_RUN);
	ck_assert_double_eq(number(object, "delay", "max"), 0.101);
	ck_assert_double_le(number(object, "delay", "p999"), 0.101);
	ck_assert_double_le(number(object, "iteration", "p999"), 0.101);
}
END_TEST

START_TEST(quantiles_are_of_the_window_or_of_the_run)
{
	const json_t *object;

	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	live(10 * SECOND, 10 * MS, 500 * SECOND);
	groups_begin_reading(groups, 500 * SECOND);
	object = loop_of(API_WINDOW);
	ck_assert_double_eq_tol(number(object, "delay", "max"), 0.01, 0.0003);
	ck_assert_double_eq(number(object, "iterations", NULL), 2);
	object = loop_of(API_RUN);
	ck_assert_double_eq(number(object, "delay", "max"), 2);
}
END_TEST

START_TEST(the_active_share_is_of_the_window_or_of_the_run_and_never_above_one)
{
	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	live(10 * SECOND, 1 * SECOND, 500 * SECOND);
	groups_begin_reading(groups, 500 * SECOND);
	ck_assert_double_eq(number(loop_of(API_WINDOW), "active_share", NULL), 0.1);
	ck_assert_double_eq(number(loop_of(API_RUN), "active_share", NULL), 0.15);
	series_saw_loop(loop, 100 * SECOND);
	ck_assert_double_eq(number(loop_of(API_WINDOW), "active_share", NULL), 1);
}
END_TEST

START_TEST(what_is_unknown_is_absent)
{
	const json_t *object, *group;

	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	groups_begin_reading(groups, 500 * SECOND);
	object = loop_of(API_WINDOW);
	ck_assert_ptr_null(json_object_get(object, "delay"));
	ck_assert_ptr_null(json_object_get(object, "active_share"));
	ck_assert_ptr_null(json_object_get(object, "iteration"));
	ck_assert_ptr_null(json_object_get(object, "wakeup_latency"));
	ck_assert_double_eq(number(object, "active_seconds", NULL), 2);
	group = json_array_get(json_object_get(root, "groups"), 0);
	ck_assert_ptr_null(json_object_get(group, "runtime"));
}
END_TEST

START_TEST(a_group_tells_its_runtime_and_processes)
{
	const json_t *group;

	group_set_runtime(groups_get(groups, "web"), "node");
	group_add_process(groups_get(groups, "web"), 2);
	loop_of(API_WINDOW);
	group = json_array_get(json_object_get(root, "groups"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(group, "groupname")), "web");
	ck_assert_str_eq(json_string_value(json_object_get(group, "runtime")), "node");
	ck_assert_double_eq(number(group, "processes", NULL), 2);
}
END_TEST

START_TEST(wakeup_latency_is_there_once_there_was_one)
{
	struct counters delta = {.life_ns = SECOND};
	const json_t *object;

	band_histogram_record(&delta.wakeup, 60000);
	series_add(loop, &delta, SECOND);
	object = loop_of(API_WINDOW);
	ck_assert_double_eq_tol(number(object, "wakeup_latency", "p50"), 60e-6, 12e-6);
}
END_TEST

START_TEST(an_iteration_that_still_lasts_is_in_the_delay)
{
	live(10 * SECOND, 0, 10 * SECOND);
	groups_begin_reading(groups, 10 * SECOND);
	series_saw_loop(loop, 3 * SECOND);
	ck_assert_double_eq(number(loop_of(API_WINDOW), "delay", "max"), 3);
	ck_assert_double_eq(number(loop_of(API_WINDOW), "active_seconds", NULL), 3);
}
END_TEST

START_TEST(without_groups_the_list_is_empty)
{
	struct groups *none = groups_new();
	char *text = api_groups(none, NULL, API_WINDOW);

	ck_assert_str_eq(text, "{\"groups\":[]}\n");
	free(text);
	groups_free(none);
}
END_TEST

START_TEST(seconds_have_no_more_digits_than_nanoseconds)
{
	char *text;

	live(300 * MS, 100 * MS, SECOND);
	text = api_groups(groups, NULL, API_RUN);
	ck_assert_ptr_nonnull(
		strstr(text, "\"active_seconds\":0.1,\"idle_seconds\":0.2,"));
	free(text);
}
END_TEST

static Suite *
api_suite(void)
{
	Suite *suite = suite_create("api");
	TCase *tc = tcase_create("groups");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_loop_tells_its_delay_iterations_and_times);
	tcase_add_test(tc, no_quantile_is_above_the_maximum);
	tcase_add_test(tc, quantiles_are_of_the_window_or_of_the_run);
	tcase_add_test(
		tc, the_active_share_is_of_the_window_or_of_the_run_and_never_above_one);
	tcase_add_test(tc, what_is_unknown_is_absent);
	tcase_add_test(tc, a_group_tells_its_runtime_and_processes);
	tcase_add_test(tc, wakeup_latency_is_there_once_there_was_one);
	tcase_add_test(tc, an_iteration_that_still_lasts_is_in_the_delay);
	tcase_add_test(tc, without_groups_the_list_is_empty);
	tcase_add_test(tc, seconds_have_no_more_digits_than_nanoseconds);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(api_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
