/* SPDX-License-Identifier: MIT */
/* cli/report.c: what people read, down to the columns. */

#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/report.h"
#include "cli/style.h"
#include "daemon/groups.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

static struct groups *groups;
static char *text;
static char program[] = "node", argument[] = "server.js";
static char *words[] = {program, argument, NULL};
static struct report_run run;
static struct style style;

static void
begin(void)
{
	groups = groups_new();
	ck_assert_ptr_nonnull(groups);
	text = NULL;
	run = (struct report_run){.argv = words, .seconds = 10};
	style = (struct style){.columns = 80};
}

static void
end(void)
{
	free(text);
	groups_free(groups);
}

/* A loop that lived ten seconds, `count` of its iterations being so long. */
static struct series *
add_loop(const char *groupname, const char *loop, unsigned count, uint64_t length_ns)
{
	struct group *group = groups_get(groups, groupname);
	struct series *series = group_series(group, loop);
	struct counters *delta = calloc(1, sizeof *delta);

	ck_assert_ptr_nonnull(series);
	ck_assert_ptr_nonnull(delta);
	for (unsigned i = 0; i < count; i++)
		histogram_record(&delta->iteration, length_ns);
	delta->iterations = count;
	delta->life_ns = 10 * SECOND;
	delta->active_ns = count * length_ns;
	delta->max_ns = count ? length_ns : 0;
	series_add(series, delta, SECOND);
	free(delta);
	return series;
}

/* Write the report into `text`. */
static void
write_text(void)
{
	size_t size;
	FILE *out;

	free(text);
	out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(out);
	report_text(groups, &run, &style, out);
	ck_assert_int_eq(fclose(out), 0);
}

static void
assert_says(const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

static void
assert_never_says(const char *part)
{
	ck_assert_msg(strstr(text, part) == NULL, "'%s' in:\n%s", part, text);
}

static void
assert_fits(void)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		ck_assert_msg(format_width(line) <= style.columns, "too wide: %s", line);
}

/* Waits of up to 213 ms in a twelfth of the time, in 78 columns. */
static const char whole[] =
	"node server.js: 10.0 s\n"
	"\n"
	"GROUP  LOOP     p50     p90     p99   p99.9     max  ITERATIONS  ACTIVE\n"
	"node   main       0       0  188 ms  211 ms  213 ms           4  8.53 %\n"
	"\n"
	"Delay: how long an event that arrives at any moment waits for its loop.\n"
	"Below: the share of time in which it would have waited so long.\n"
	"\n"
	"node, main\n"
	"           no wait    91.5 %\n"
	"        below 2 ms    0.08 %  #\n"
	"        2 -   5 ms    0.12 %  #\n"
	"        5 -  10 ms    0.20 %  ##\n"
	"       10 -  20 ms    0.40 %  #####\n"
	"       20 -  50 ms    1.20 %  ##############\n"
	"       50 - 100 ms    2.00 %  ########################\n"
	"      100 - 200 ms    4.00 %  ################################################\n"
	"      200 - 500 ms    0.53 %  ######\n";

START_TEST(the_whole_report_of_one_loop)
{
	add_loop("node", "main", 4, 213200 * 1000ull);
	style.columns = 78;
	write_text();
	ck_assert_str_eq(text, whole);
}
END_TEST

START_TEST(the_title_tells_a_bad_end)
{
	add_loop("node", "main", 1, MS);
	run.status = 3 << 8;
	write_text();
	assert_says("node server.js: 10.0 s, exit status 3\n");
	run.status = SIGTERM;
	write_text();
	assert_says("10.0 s, ended by signal 15 (Terminated)\n");
}
END_TEST

START_TEST(the_spread_adds_up_to_all_the_time)
{
	double sum = 0;
	char *at;

	add_loop("node", "main", 3, 7 * MS);
	add_loop("node", "main", 40, 33 * MS);
	add_loop("node", "main", 1, 1700 * MS);
	write_text();
	at = strstr(text, "no wait");
	ck_assert_ptr_nonnull(at);
	for (at = strchr(at - 20, '\n'); at && at[1]; at = strchr(at + 1, '\n')) {
		char *percent = memchr(at + 1, '%', strcspn(at + 1, "\n"));

		if (!percent)
			continue;
		for (percent -= 2; percent[-1] != ' '; percent--)
			;
		sum += strtod(percent, NULL);
	}
	ck_assert_msg(sum > 99.8 && sum < 100.2, "%f in:\n%s", sum, text);
}
END_TEST

START_TEST(every_line_fits_whatever_the_names)
{
	char long_word[300] = "";
	char *long_words[] = {long_word, NULL};

	memset(long_word, 'x', sizeof long_word - 1);
	run.argv = long_words;
	run.status = SIGSEGV;
	add_loop("a-service-with-a-rather-long-name.service", "ThreadPoolForeg", 5,
		20 * MS);
	add_loop("node", "main", 4000000, 2000);
	for (style.columns = STYLE_COLUMNS_MIN; style.columns <= STYLE_COLUMNS_MAX;
		style.columns++) {
		style.utf8 = style.columns % 2;
		write_text();
		assert_fits();
	}
}
END_TEST

START_TEST(ascii_terminals_get_ascii)
{
	add_loop("Z\u00fcrich", "main", 5, 20000);
	write_text();
	for (const char *c = text; *c; c++)
		ck_assert_msg((unsigned char)*c < 0x80, "%s", text);
	assert_says("Z??rich");
	assert_says("#");
	style.utf8 = true;
	write_text();
	assert_says("Z\u00fcrich");
	assert_says("20.0 \u00b5s");
	assert_says("\u2588");
}
END_TEST

START_TEST(colour_is_only_where_it_is_wanted)
{
	add_loop("node", "main", 5, 200 * MS);
	write_text();
	assert_never_says("\033");
	style.colour = true;
	write_text();
	assert_says("\033[31m");
}
END_TEST

START_TEST(names_and_arguments_cannot_command_the_terminal)
{
	char evil[] = "\033[2J";
	char *evil_words[] = {program, evil, NULL};

	add_loop("a\033[1mb", "c\nd", 5, MS);
	run.argv = evil_words;
	write_text();
	assert_never_says("\033");
	assert_says("node ?[2J:");
	assert_says("a?[1mb");
	assert_says("c?d");
}
END_TEST

START_TEST(nested_wait_has_a_column_if_there_was_any)
{
	struct counters *delta = calloc(1, sizeof *delta);
	struct series *series = add_loop("node", "main", 5, MS);

	write_text();
	assert_never_says("NESTED");
	delta->nested_wait_ns = 2 * SECOND;
	series_add(series, delta, SECOND);
	free(delta);
	write_text();
	assert_says("NESTED");
	assert_says("2.00 s");
	assert_fits();
}
END_TEST

START_TEST(a_loop_that_never_was_late_has_no_bars)
{
	add_loop("idle", "main", 0, 0);
	write_text();
	assert_says("idle");
	assert_never_says("no wait");
	ck_assert_uint_eq(report_loops(groups), 1);
}
END_TEST

START_TEST(of_many_loops_the_latest_are_drawn)
{
	for (unsigned i = 0; i < 9; i++) {
		char name[16];

		snprintf(name, sizeof name, "worker%u", i);
		add_loop("pool", name, 5, (i + 1) * 10 * MS);
	}
	write_text();
	assert_says("pool, worker8\n");
	assert_says("pool, worker4\n");
	assert_never_says("pool, worker3\n");
	assert_says("4 loops with shorter delays");
	ck_assert_uint_eq(report_loops(groups), 9);
}
END_TEST

START_TEST(of_loops_that_nobody_could_feel_one_is_drawn)
{
	add_loop("quick", "main", 5, 900000);
	add_loop("quick", "worker", 5, 300000);
	write_text();
	assert_says("quick, main\n");
	assert_never_says("quick, worker\n");
	assert_says("1 loop with shorter delays");
}
END_TEST

START_TEST(a_command_of_several_lines_has_one)
{
	char script[] = "import a\n\tb()";
	char *script_words[] = {program, script, NULL};

	run.argv = script_words;
	add_loop("node", "main", 1, MS);
	write_text();
	assert_says("node import a  b(): 10.0 s\n");
}
END_TEST

START_TEST(delays_beyond_all_limits_are_told)
{
	add_loop("stuck", "main", 1, 3600 * SECOND);
	write_text();
	assert_says("3600 s");
	assert_fits();
}
END_TEST

static Suite *
report_suite(void)
{
	Suite *suite = suite_create("report");
	TCase *tests = tcase_create("report");

	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, the_whole_report_of_one_loop);
	tcase_add_test(tests, the_title_tells_a_bad_end);
	tcase_add_test(tests, the_spread_adds_up_to_all_the_time);
	tcase_add_test(tests, every_line_fits_whatever_the_names);
	tcase_add_test(tests, ascii_terminals_get_ascii);
	tcase_add_test(tests, colour_is_only_where_it_is_wanted);
	tcase_add_test(tests, names_and_arguments_cannot_command_the_terminal);
	tcase_add_test(tests, nested_wait_has_a_column_if_there_was_any);
	tcase_add_test(tests, a_loop_that_never_was_late_has_no_bars);
	tcase_add_test(tests, of_many_loops_the_latest_are_drawn);
	tcase_add_test(tests, of_loops_that_nobody_could_feel_one_is_drawn);
	tcase_add_test(tests, a_command_of_several_lines_has_one);
	tcase_add_test(tests, delays_beyond_all_limits_are_told);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(report_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
