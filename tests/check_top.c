/* SPDX-License-Identifier: MIT */
/* The parts of looplag top that need no terminal: the last minute, the order of the list and
 * what keys do to it. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/histograms.h"
#include "cli/minute.h"
#include "cli/screen.h"
#include "cli/sparkline.h"
#include "cli/top_list.h"

/* --- the last minute --- */

static struct minute *minute;

static void
begin(void)
{
	minute = minute_new();
}

static void
end(void)
{
	minute_free(minute);
}

/* Read the totals of one loop, by rows. */
static void
read_loop(const char *loop, double a, double b, double c, double d)
{
	struct histograms_loop one = {
		.groupname = "web", .loop = loop, .seconds = {a, b, c, d}};
	struct histograms reading = {.rows = 4,
		.bounds = {0.001, 0.01, 0.1},
		.loops = &one,
		.count = loop != NULL};

	minute_add(minute, &reading);
}

/* The longest delays of the last so many readings. */
static void
assert_last(const char *loop, size_t count, const double *expected)
{
	double seconds[MINUTE_READINGS];

	minute_longest(minute, "web", loop, MINUTE_READINGS, seconds);
	for (size_t i = 0; i < MINUTE_READINGS; i++) {
		size_t known = MINUTE_READINGS - count;

		ck_assert_msg(seconds[i] == (i < known ? -1 : expected[i - known]),
			"%zu: %g", i, seconds[i]);
	}
}

START_TEST(each_reading_has_what_came_since_the_one_before)
{
	read_loop("main", 100, 5, 5, 5);
	assert_last("main", 0, NULL);
	read_loop("main", 101, 5, 5, 5);
	read_loop("main", 101.5, 5.5, 5, 5);
	read_loop("main", 102, 5.5, 5, 5.5);
	assert_last("main", 3, (double[]){0, 0.001, 0.1});
	assert_last("other", 0, NULL);
}
END_TEST

START_TEST(only_the_last_sixty_readings_are_known)
{
	double expected[MINUTE_READINGS];

	read_loop("main", 0, 0, 0, 0);
	for (int i = 1; i <= 100; i++)
		read_loop("main", i, 0, i > 50 ? 1 : 0, 0);
	for (int i = 0; i < MINUTE_READINGS; i++)
		expected[i] = i == 10 ? 0.01 : 0;
	assert_last("main", MINUTE_READINGS, expected);
}
END_TEST

START_TEST(a_loop_that_is_new_begins_with_all_that_it_has)
{
	read_loop("main", 1, 0, 0, 0);
	read_loop("late", 0, 1, 0, 0);
	assert_last("late", 1, (double[]){0.001});
	assert_last("main", 1, (double[]){-1});
}
END_TEST

START_TEST(a_daemon_that_counts_anew_makes_no_negative_second)
{
	read_loop("main", 100, 5, 0, 0);
	read_loop("main", 1, 0, 1, 0);
	assert_last("main", 1, (double[]){0.01});
}
END_TEST

START_TEST(a_loop_that_has_gone_is_forgotten_after_a_minute)
{
	struct histograms sum;

	read_loop("main", 1, 0, 0, 0);
	read_loop("main", 2, 0, 0, 0);
	for (int i = 0; i < MINUTE_READINGS; i++) {
		ck_assert_int_eq(minute_sum(minute, "web", &sum), 0);
		ck_assert_uint_eq(sum.count, 1);
		histograms_fini(&sum);
		read_loop(NULL, 0, 0, 0, 0);
	}
	ck_assert_int_eq(minute_sum(minute, "web", &sum), 0);
	ck_assert_uint_eq(sum.count, 0);
	histograms_fini(&sum);
}
END_TEST

START_TEST(fewer_cells_have_the_longest_of_several_readings)
{
	double cells[6];

	read_loop("main", 0, 0, 0, 0);
	for (int i = 1; i <= 60; i++)
		read_loop("main", i,
			i == 25 || i == 27 ? i
			: i == 26          ? 25
			: i > 27           ? 27
					   : 0,
			0, i >= 60 ? 1 : 0);
	minute_longest(minute, "web", "main", 6, cells);
	ck_assert_double_eq(cells[0], 0);
	ck_assert_double_eq(cells[2], 0.001);
	ck_assert_double_eq(cells[4], 0);
	ck_assert_double_eq(cells[5], 0.1);
}
END_TEST

START_TEST(the_sum_is_of_the_last_minute_and_can_be_folded)
{
	struct histograms sum;

	read_loop("main", 100, 100, 100, 100);
	read_loop("main", 101, 102, 103, 104);
	read_loop("main", 102, 102, 103, 104);
	ck_assert_int_eq(minute_sum(minute, "web", &sum), 0);
	ck_assert_uint_eq(sum.count, 1);
	ck_assert_double_eq(sum.loops[0].seconds[0], 2);
	ck_assert_double_eq(sum.loops[0].seconds[3], 4);
	histograms_fold(&sum, 0.05);
	ck_assert_uint_eq(sum.rows, 3);
	ck_assert_double_eq(sum.bounds[0], 0.01);
	ck_assert_double_eq(sum.loops[0].seconds[0], 4);
	ck_assert_double_eq(sum.loops[0].seconds[1], 3);
	ck_assert_double_eq(sum.loops[0].seconds[2], 4);
	ck_assert_double_eq(histograms_life(&sum, &sum.loops[0]), 11);
	histograms_fold(&sum, 1000);
	ck_assert_uint_eq(sum.rows, 2);
	ck_assert_double_eq(histograms_life(&sum, &sum.loops[0]), 11);
	histograms_fini(&sum);
}
END_TEST

START_TEST(bars_rise_with_the_delay)
{
	ck_assert_str_eq(sparkline_cell(-1, true), " ");
	ck_assert_str_eq(sparkline_cell(0, true), "\u2581");
	ck_assert_str_eq(sparkline_cell(0.0625, true), "\u2585");
	ck_assert_str_eq(sparkline_cell(0.125, true), "\u2586");
	ck_assert_str_eq(sparkline_cell(1, true), "\u2588");
	ck_assert_str_eq(sparkline_cell(1e9, true), "\u2588");
	ck_assert_str_eq(sparkline_cell(0, false), "_");
	ck_assert_str_eq(sparkline_cell(1, false), "#");
}
END_TEST

/* --- the list --- */

static struct top_list list;

/* Take groups of these names, whose p99 rises by 1 ms each; a capital one is stuck. */
static void
take(const char *names)
{
	json_t *answer = json_object(), *groups = json_array();

	for (int i = 0; names[i]; i++) {
		char name[] = {names[i], '\0'};
		bool stuck = names[i] < 'a';

		json_array_append_new(groups,
			json_pack("{s:s,s:i,s:[{s:s,s:{s:f},s:i,s:f}]}", "groupname",
				name, "processes", 1, "loops", "loop", "main", "delay",
				"p99", 0.001 * (i + 1), "stalls", 9 - i,
				"open_stall_seconds", stuck ? 1.5 : 0.0));
	}
	json_object_set_new(answer, "groups", groups);
	ck_assert_int_eq(top_list_take(&list, answer), 0);
}

static void
assert_list(const char *expected, char chosen)
{
	char names[32] = "";

	for (size_t i = 0; i < list.loops.count; i++)
		names[i] = *list.loops.rows[i].groupname;
	ck_assert_str_eq(names, expected);
	ck_assert_int_eq(*top_list_chosen(&list)->groupname, chosen);
}

static void
begin_list(void)
{
	top_list_init(&list);
}

static void
end_list(void)
{
	top_list_fini(&list);
}

START_TEST(what_is_stuck_is_on_top_whatever_the_order)
{
	take("abXcY");
	assert_list("YXcba", 'Y');
	ck_assert_uint_eq(top_list_stuck(&list), 2);
	ck_assert(top_list_key(&list, 'r', 10));
	assert_list("XYabc", 'X');
	ck_assert(top_list_key(&list, 'g', 10));
	assert_list("XYabc", 'X');
	ck_assert(top_list_key(&list, 's', 10));
	assert_list("XYabc", 'X');
	ck_assert(top_list_key(&list, 'p', 10));
	assert_list("YXcba", 'Y');
}
END_TEST

START_TEST(columns_are_chosen_one_by_one_too)
{
	take("abc");
	ck_assert_int_eq(list.column, LOOPS_P99);
	top_list_key(&list, '>', 10);
	ck_assert_int_eq(list.column, LOOPS_MAX);
	for (int i = 0; i < 20; i++)
		ck_assert(top_list_key(&list, '>', 10));
	ck_assert_int_eq(list.column, LOOPS_STUCK);
	for (int i = 0; i < 20; i++)
		ck_assert(top_list_key(&list, '<', 10));
	ck_assert_int_eq(list.column, LOOPS_GROUP);
	assert_list("abc", 'a');
	ck_assert(!top_list_key(&list, 'x', 10));
	ck_assert(!top_list_key(&list, 0, 10));
	ck_assert(!top_list_key(&list, 0x2603, 10));
}
END_TEST

START_TEST(a_chosen_row_stays_chosen_wherever_it_goes)
{
	take("abcd");
	assert_list("dcba", 'd');
	/* Nobody has chosen yet: the first row it is. */
	take("abdc");
	assert_list("cdba", 'c');
	top_list_key(&list, SCREEN_DOWN, 10);
	assert_list("cdba", 'd');
	take("dabc");
	assert_list("cbad", 'd');
	top_list_key(&list, 'r', 10);
	assert_list("dabc", 'd');
	/* It has gone: what came into its place. */
	take("abc");
	assert_list("abc", 'a');
}
END_TEST

START_TEST(moves_end_at_the_ends)
{
	take("abcdefghij");
	top_list_key(&list, SCREEN_UP, 4);
	assert_list("jihgfedcba", 'j');
	top_list_key(&list, SCREEN_PAGE_DOWN, 4);
	assert_list("jihgfedcba", 'g');
	top_list_key(&list, SCREEN_END, 4);
	assert_list("jihgfedcba", 'a');
	top_list_key(&list, SCREEN_DOWN, 4);
	top_list_key(&list, SCREEN_PAGE_DOWN, 4);
	assert_list("jihgfedcba", 'a');
	top_list_key(&list, SCREEN_PAGE_UP, 4);
	assert_list("jihgfedcba", 'd');
	top_list_key(&list, SCREEN_HOME, 4);
	assert_list("jihgfedcba", 'j');
}
END_TEST

START_TEST(a_list_without_rows_takes_all_keys)
{
	take("");
	ck_assert_ptr_null(top_list_chosen(&list));
	for (int key = SCREEN_UP; key <= SCREEN_END; key++)
		top_list_key(&list, key, 1);
	top_list_key(&list, 'r', 0);
	ck_assert_ptr_null(top_list_chosen(&list));
	take("a");
	assert_list("a", 'a');
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("top");
	TCase *readings = tcase_create("minute"), *rows = tcase_create("list");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(readings, begin, end);
	tcase_add_test(readings, each_reading_has_what_came_since_the_one_before);
	tcase_add_test(readings, only_the_last_sixty_readings_are_known);
	tcase_add_test(readings, a_loop_that_is_new_begins_with_all_that_it_has);
	tcase_add_test(readings, a_daemon_that_counts_anew_makes_no_negative_second);
	tcase_add_test(readings, a_loop_that_has_gone_is_forgotten_after_a_minute);
	tcase_add_test(readings, fewer_cells_have_the_longest_of_several_readings);
	tcase_add_test(readings, the_sum_is_of_the_last_minute_and_can_be_folded);
	tcase_add_test(readings, bars_rise_with_the_delay);
	suite_add_tcase(suite, readings);
	tcase_add_checked_fixture(rows, begin_list, end_list);
	tcase_add_test(rows, what_is_stuck_is_on_top_whatever_the_order);
	tcase_add_test(rows, columns_are_chosen_one_by_one_too);
	tcase_add_test(rows, a_chosen_row_stays_chosen_wherever_it_goes);
	tcase_add_test(rows, moves_end_at_the_ends);
	tcase_add_test(rows, a_list_without_rows_takes_all_keys);
	suite_add_tcase(suite, rows);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
