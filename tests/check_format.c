/* SPDX-License-Identifier: MIT */
/* cli/format.c. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format.h"

START_TEST(durations_have_three_digits_and_the_unit_that_fits)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {{0, "0"}, {-1, "0"}, {0.4e-9, "0"}, {4.2e-9, "4.20 ns"},
		{953e-9, "953 ns"}, {0.99949e-6, "999 ns"}, {0.9996e-6, "1.00 us"},
		{9.996e-6, "10.0 us"}, {83.04e-6, "83.0 us"}, {999.6e-6, "1.00 ms"},
		{0.0201, "20.1 ms"}, {0.1204, "120 ms"}, {0.9996, "1.00 s"},
		{12.34, "12.3 s"}, {4321, "4321 s"}};
	char text[FORMAT_BYTES];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_str_eq(
			format_seconds(cases[i].seconds, false, text), cases[i].text);
	ck_assert_str_eq(format_seconds(1.2e-6, true, text), "1.20 \u00b5s");
}
END_TEST

START_TEST(no_duration_is_too_long_for_its_text)
{
	char text[FORMAT_BYTES];

	for (double seconds = 1e-300; seconds < 1e12; seconds *= 3)
		ck_assert_uint_lt(
			strlen(format_seconds(seconds, true, text)), sizeof text);
}
END_TEST

START_TEST(numbers_have_three_digits_and_something_is_never_nothing)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {{0, "0"}, {-1, "0"}, {1e-9, "<0.01"}, {0.00499, "<0.01"},
		{0.0051, "0.01"}, {0.083, "0.08"}, {9.994, "9.99"}, {9.996, "10.0"},
		{99.94, "99.9"}, {99.96, "100"}, {4321.4, "4321"}};
	char text[FORMAT_BYTES];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_str_eq(format_number(cases[i].number, text), cases[i].text);
}
END_TEST

START_TEST(shares_are_told_down_to_a_thousandth_of_a_per_cent)
{
	static const struct {
		double share;
		const char *text;
	} cases[] = {{0, "0 %"}, {1e-9, "<0.001 %"}, {1.2e-5, "0.001 %"},
		{0.00021, "0.02 %"}, {0.0021, "0.21 %"}, {0.061, "6.10 %"},
		{0.939, "93.9 %"}, {0.99999, "100 %"}, {1, "100 %"}};
	char text[FORMAT_BYTES];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_str_eq(format_share(cases[i].share, text), cases[i].text);
}
END_TEST

/* What becomes of a name in twelve columns. */
static const char *
name(const char *from, bool utf8)
{
	static char text[4 * 12 + 1];

	return format_name(from, 12, utf8, text);
}

START_TEST(names_cannot_command_the_terminal)
{
	ck_assert_str_eq(name("a\033[2Jb\r\n\177", true), "a?[2Jb???");
	ck_assert_str_eq(name("a\xc2\x9b"
			      "2Jb",
				 true),
		"a??2Jb");
	ck_assert_str_eq(name("a\xe2\x80\xae"
			      "b",
				 true),
		"a???b");
	ck_assert_str_eq(name("", true), "");
}
END_TEST

START_TEST(names_in_utf8_stay_and_broken_ones_show_it)
{
	ck_assert_str_eq(name("Z\u00fcrich \u20ac \U0001f600", true),
		"Z\u00fcrich \u20ac \U0001f600");
	ck_assert_str_eq(name("Z\u00fcrich", false), "Z??rich");
	ck_assert_str_eq(name("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", true), "?????????");
	ck_assert_str_eq(name("\xe2\x82", true), "??");
	ck_assert_str_eq(name("\xf0\x9f", true), "??");
}
END_TEST

START_TEST(long_names_end_in_an_ellipsis)
{
	char none[1];

	ck_assert_str_eq(name("twelve chars", true), "twelve chars");
	ck_assert_str_eq(name("thirteen char", true), "thirteen ch\u2026");
	ck_assert_str_eq(name("thirteen char", false), "thirteen ch~");
	ck_assert_str_eq(
		name("\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600"
		     "\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600",
			true),
		"\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600"
		"\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600");
	ck_assert_str_eq(format_name("abc", 0, true, none), "");
}
END_TEST

START_TEST(width_counts_characters_not_bytes)
{
	ck_assert_uint_eq(format_width(""), 0);
	ck_assert_uint_eq(format_width("1.20 \u00b5s"), 7);
}
END_TEST

static Suite *
format_suite(void)
{
	Suite *suite = suite_create("format");
	TCase *numbers = tcase_create("numbers"), *names = tcase_create("names");

	tcase_add_test(numbers, durations_have_three_digits_and_the_unit_that_fits);
	tcase_add_test(numbers, no_duration_is_too_long_for_its_text);
	tcase_add_test(numbers, numbers_have_three_digits_and_something_is_never_nothing);
	tcase_add_test(numbers, shares_are_told_down_to_a_thousandth_of_a_per_cent);
	suite_add_tcase(suite, numbers);
	tcase_add_test(names, names_cannot_command_the_terminal);
	tcase_add_test(names, names_in_utf8_stay_and_broken_ones_show_it);
	tcase_add_test(names, long_names_end_in_an_ellipsis);
	tcase_add_test(names, width_counts_characters_not_bytes);
	suite_add_tcase(suite, names);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(format_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
