/* SPDX-License-Identifier: MIT */
/* The pure parts of looplag hist: command line, JSON in, differences, text and JSON out. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/hist_options.h"
#include "cli/hist_text.h"
#include "cli/histograms.h"
#include "cli/style.h"

/* --- the command line --- */

static int
parse(char *interval, char *count, struct hist_options *ret_options)
{
	static char verb[] = "hist", group[] = "web";
	char *argv[] = {verb, group, interval, count, NULL};
	int status = 0, r;

	r = hist_options_parse(interval ? count ? 4 : 3 : 2, argv, ret_options, &status);
	ck_assert_int_eq(r ? status : 2, 2);
	return r;
}

START_TEST(an_interval_is_seconds_and_a_count_a_number)
{
	char half[] = "0.5", five[] = "5", three[] = "3";
	struct hist_options options;

	ck_assert_int_eq(parse(NULL, NULL, &options), 0);
	ck_assert_str_eq(options.group, "web");
	ck_assert_uint_eq(options.interval_ns, 0);
	ck_assert_int_eq(parse(half, NULL, &options), 0);
	ck_assert_uint_eq(options.interval_ns, 500000000);
	ck_assert_uint_eq(options.count, 0);
	ck_assert_int_eq(parse(five, three, &options), 0);
	ck_assert_uint_eq(options.interval_ns, 5000000000);
	ck_assert_uint_eq(options.count, 3);
}
END_TEST

START_TEST(other_words_are_refused)
{
	static const char *const intervals[] = {
		"", "0", "0.05", "86401", "5s", "1e3", "0x5", "+5", " 5", "inf", "1.2.3"};
	static const char *const counts[] = {
		"", "0", "3x", "+3", " 3", "1.5", "99999999999999999999"};
	struct hist_options options;
	char word[32], five[] = "5";

	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		strcpy(word, intervals[i]);
		ck_assert_msg(parse(word, NULL, &options) < 0, "'%s'", word);
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		strcpy(word, counts[i]);
		ck_assert_msg(parse(five, word, &options) < 0, "'%s'", word);
	}
}
END_TEST

START_TEST(any_name_can_be_asked_for)
{
	char *path = ask_path("/p", "group", "a b&c=d/\xc3\xa4%-1.service");

	ck_assert_str_eq(path, "/p?group=a%20b%26c%3Dd%2F%C3%A4%25-1.service");
	free(path);
}
END_TEST

/* --- readings --- */

static json_t *answers[2];
static struct histograms readings[2];

static void
read_text(int which, const char *text)
{
	answers[which] = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(answers[which]);
	ck_assert_int_eq(histograms_read(answers[which], &readings[which]), 0);
}

static void
tear_down(void)
{
	for (int i = 0; i < 2; i++) {
		histograms_fini(&readings[i]);
		json_decref(answers[i]);
		answers[i] = NULL;
	}
}

#define LOOP(name, seconds) \
	"{\"groupname\":\"web\",\"loop\":\"" name "\",\"seconds\":[" seconds "]}"
#define ANSWER(loops) "{\"bounds\":[0.001,0.002],\"histograms\":[" loops "]}"

static void
assert_seconds(const char *loop, double a, double b, double c)
{
	const struct histograms_loop *found = NULL;

	for (size_t i = 0; i < readings[1].count; i++)
		if (!strcmp(readings[1].loops[i].loop, loop))
			found = &readings[1].loops[i];
	ck_assert_ptr_nonnull(found);
	ck_assert_double_eq_tol(found->seconds[0], a, 1e-9);
	ck_assert_double_eq_tol(found->seconds[1], b, 1e-9);
	ck_assert_double_eq_tol(found->seconds[2], c, 1e-9);
}

START_TEST(an_interval_is_what_has_come_in_it)
{
	read_text(0, ANSWER(LOOP("main", "1,2,3") "," LOOP("gone", "7,7,7")));
	read_text(1, ANSWER(LOOP("new", "4,5,6") "," LOOP("main", "1.5,2,4.25")));
	histograms_subtract(&readings[1], &readings[0]);
	assert_seconds("main", 0.5, 0, 1.25);
	assert_seconds("new", 4, 5, 6);
}
END_TEST

START_TEST(a_loop_that_counts_anew_keeps_what_it_has)
{
	read_text(0, ANSWER(LOOP("main", "10,2,3")));
	read_text(1, ANSWER(LOOP("main", "1,5,0.5")));
	histograms_subtract(&readings[1], &readings[0]);
	assert_seconds("main", 1, 5, 0.5);
}
END_TEST

START_TEST(rows_that_are_others_are_not_subtracted)
{
	read_text(0, "{\"bounds\":[1],\"histograms\":[" LOOP("main", "1,1") "]}");
	read_text(1, ANSWER(LOOP("main", "1,5,2")));
	histograms_subtract(&readings[1], &readings[0]);
	assert_seconds("main", 1, 5, 2);
}
END_TEST

START_TEST(what_is_no_answer_is_refused)
{
	static const char *const wrong[] = {"{}", "[]", "{\"histograms\":[]}",
		"{\"bounds\":[],\"histograms\":[]}",
		"{\"bounds\":[2,1],\"histograms\":[]}",
		"{\"bounds\":[-1],\"histograms\":[]}",
		"{\"bounds\":[\"1\"],\"histograms\":[]}", ANSWER("1"),
		ANSWER(LOOP("main", "1,2")), ANSWER(LOOP("main", "1,2,3,4")),
		ANSWER(LOOP("main", "1,2,-3")), ANSWER(LOOP("main", "1,2,1e300")),
		ANSWER("{\"loop\":\"main\",\"seconds\":[1,2,3]}")};
	struct histograms none;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *answer = json_loads(wrong[i], 0, NULL);

		ck_assert_ptr_nonnull(answer);
		ck_assert_msg(histograms_read(answer, &none) < 0, "%s", wrong[i]);
		json_decref(answer);
	}
}
END_TEST

START_TEST(more_rows_than_there_can_be_are_refused)
{
	json_t *answer = json_object(), *bounds = json_array();
	struct histograms none;

	for (int i = 0; i < HISTOGRAMS_ROWS_MAX; i++)
		json_array_append_new(bounds, json_integer(i));
	json_object_set_new(answer, "bounds", bounds);
	json_object_set_new(answer, "histograms", json_array());
	ck_assert_int_lt(histograms_read(answer, &none), 0);
	json_array_remove(bounds, 0);
	ck_assert_int_eq(histograms_read(answer, &none), 0);
	histograms_fini(&none);
	json_decref(answer);
}
END_TEST

START_TEST(json_has_the_shape_of_the_answer)
{
	json_t *again;

	read_text(1, ANSWER(LOOP("main", "1.5,0.000000001,3.0")));
	again = histograms_json(&readings[1]);
	ck_assert(json_equal(again, answers[1]));
	json_decref(again);
}
END_TEST

START_TEST(rows_double_and_the_longest_has_the_longest_bar)
{
	const struct style style = {.columns = 72};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	read_text(1, "{\"bounds\":[1e-6,2e-6,4e-6],\"histograms\":[" LOOP(
			     "main", "9,0.25,0.00001,0.5") "]}");
	hist_text_print(&readings[1], &readings[1].loops[0], &style, out);
	fclose(out);
	ck_assert_str_eq(text,
		"     usecs               :   seconds     share  distribution\n"
		"         0 -> 1          :    9.00 s    92.3 %  |                      "
		"|\n"
		"         1 -> 2          :    250 ms    2.56 %  |***********           "
		"|\n"
		"         2 -> 4          :   10.0 us  <0.001 %  |*                     "
		"|\n"
		"         4 ->            :    500 ms    5.13 %  "
		"|**********************|\n");
	free(text);
}
END_TEST

START_TEST(what_is_longer_than_any_delay_is_left_out)
{
	const struct style style = {.columns = 72};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	read_text(1, ANSWER(LOOP("main", "9,0,0")));
	hist_text_print(&readings[1], &readings[1].loops[0], &style, out);
	fclose(out);
	ck_assert_str_eq(text,
		"     usecs               :   seconds     share  distribution\n"
		"         0 -> 1000       :    9.00 s     100 %  |                      "
		"|\n");
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hist");
	TCase *tcase = tcase_create("hist");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, an_interval_is_seconds_and_a_count_a_number);
	tcase_add_test(tcase, other_words_are_refused);
	tcase_add_test(tcase, any_name_can_be_asked_for);
	tcase_add_test(tcase, an_interval_is_what_has_come_in_it);
	tcase_add_test(tcase, a_loop_that_counts_anew_keeps_what_it_has);
	tcase_add_test(tcase, rows_that_are_others_are_not_subtracted);
	tcase_add_test(tcase, what_is_no_answer_is_refused);
	tcase_add_test(tcase, more_rows_than_there_can_be_are_refused);
	tcase_add_test(tcase, json_has_the_shape_of_the_answer);
	tcase_add_test(tcase, rows_double_and_the_longest_has_the_longest_bar);
	tcase_add_test(tcase, what_is_longer_than_any_delay_is_left_out);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
