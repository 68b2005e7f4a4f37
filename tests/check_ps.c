/* SPDX-License-Identifier: MIT */
/* What looplag ps and looplag top show of loops: JSON in, rows in order, cells out. */

#include "config.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/loops.h"
#include "cli/ps_table.h"

static json_t *answer;
static struct loops loops;

static void
read_text(const char *text)
{
	json_decref(answer);
	loops_fini(&loops);
	answer = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(loops_read(answer, &loops), 0);
}

static void
tear_down(void)
{
	loops_fini(&loops);
	json_decref(answer);
	answer = NULL;
}

static void
read_three(void)
{
	read_text(
		"{\"groups\":["
		"{\"groupname\":\"web\",\"processes\":2,\"loops\":["
		"{\"loop\":\"main\",\"delay\":{\"p50\":0.0,\"p99\":0.101,\"max\":0.1204},"
		"\"active_share\":0.061,\"stalls\":10,\"open_stall_seconds\":2.5},"
		"{\"loop\":\"worker\",\"stalls\":0,\"open_stall_seconds\":0.0}]},"
		"{\"groupname\":\"db\",\"processes\":1,\"loops\":["
		"{\"loop\":\"main\",\"delay\":{\"p50\":0.000004,\"p99\":0.2,"
		"\"max\":1},\"active_share\":1,\"stalls\":3,"
		"\"open_stall_seconds\":0.0}]}]}");
}

static void
assert_order(enum loops_column column, bool reverse, const char *expected)
{
	char order[8] = "";

	loops_sort(&loops, column, reverse);
	for (size_t i = 0; i < loops.count; i++)
		order[i] = loops.rows[i].groupname[0] == 'd' ? 'd'
			   : loops.rows[i].loop[0] == 'w'    ? 'w'
							     : 'm';
	ck_assert_str_eq(order, expected);
}

START_TEST(the_longest_comes_first_and_what_is_unknown_last)
{
	read_three();
	assert_order(LOOPS_P99, false, "dmw");
	assert_order(LOOPS_P99, true, "mdw");
	assert_order(LOOPS_STUCK, false, "mdw");
	assert_order(LOOPS_STALLS, false, "mdw");
	assert_order(LOOPS_STALLS, true, "wdm");
}
END_TEST

START_TEST(names_are_in_their_order_and_decide_among_equals)
{
	read_three();
	assert_order(LOOPS_GROUP, false, "dmw");
	assert_order(LOOPS_GROUP, true, "wmd");
	assert_order(LOOPS_LOOP, false, "dmw");
	assert_order(LOOPS_PROCESSES, false, "mwd");
	assert_order(LOOPS_PROCESSES, true, "dmw");
}
END_TEST

/* The cells of a row, joined by blanks. */
static const char *
cells(size_t row)
{
	static char text[LOOPS_COLUMNS * LOOPS_CELL_BYTES];
	char cell[LOOPS_CELL_BYTES];

	*text = '\0';
	for (int i = 0; i < LOOPS_COLUMNS; i++) {
		strcat(text, i ? "|" : "");
		strcat(text,
			loops_cell(&loops.rows[row], (enum loops_column)i, false, cell));
	}
	return text;
}

START_TEST(times_are_in_milliseconds_and_shares_in_per_cent)
{
	read_three();
	ck_assert_str_eq(cells(0), "web|main|2|0|101|120|6.10|10|2.50 s");
	ck_assert_str_eq(cells(1), "web|worker|2|-|-|-|-|0|-");
	ck_assert_str_eq(cells(2), "db|main|1|<0.01|200|1000|100|3|-");
}
END_TEST

START_TEST(columns_are_as_wide_as_what_stands_in_them)
{
	static const size_t expected[LOOPS_COLUMNS] = {5, 6, 5, 5, 5, 5, 7, 6, 6};
	size_t columns[LOOPS_COLUMNS];

	read_three();
	ps_table_lay_out(&loops, false, columns);
	for (int i = 0; i < LOOPS_COLUMNS; i++)
		ck_assert_uint_eq(columns[i], expected[i]);
	read_text("{\"groups\":[{\"groupname\":\"a-group-of-a-long-name.service\","
		  "\"loops\":[{\"loop\":\"main\"}]}]}");
	ps_table_lay_out(&loops, false, columns);
	ck_assert_uint_eq(columns[LOOPS_GROUP], 30);
	ck_assert_uint_eq(columns[LOOPS_LOOP], 4);
}
END_TEST

START_TEST(delays_and_open_stalls_are_late_and_nothing_else)
{
	read_three();
	ck_assert_double_eq(loops_lateness(&loops.rows[0], LOOPS_P99), 0.101);
	ck_assert_double_eq(loops_lateness(&loops.rows[0], LOOPS_STUCK), 2.5);
	ck_assert_double_eq(loops_lateness(&loops.rows[0], LOOPS_STALLS), 0);
	ck_assert_double_eq(loops_lateness(&loops.rows[0], LOOPS_ACTIVE), 0);
	ck_assert_double_eq(loops_lateness(&loops.rows[1], LOOPS_P99), 0);
}
END_TEST

START_TEST(an_answer_that_makes_no_sense_shows_nothing_wrong)
{
	static const char *const none[] = {"{}", "[]", "{\"groups\":{}}",
		"{\"groups\":[1,null,{}]}",
		"{\"groups\":[{\"loops\":[{\"loop\":\"x\"}]}]}",
		"{\"groups\":[{\"groupname\":\"g\",\"loops\":[{},{\"loop\":1},2]}]}",
		"{\"groups\":[{\"groupname\":\"g\",\"loops\":{\"loop\":\"x\"}}]}"};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		read_text(none[i]);
		ck_assert_msg(!loops.count, "%s", none[i]);
	}
	read_text(
		"{\"groups\":[{\"groupname\":\"g\\u001b[2J\",\"processes\":-4,\"loops\":"
		"[{\"loop\":\"l\",\"delay\":{\"p50\":-1,\"p99\":1e300,\"max\":\"5\"},"
		"\"active_share\":[],\"stalls\":9223372036854775807,"
		"\"open_stall_seconds\":-3}]}]}");
	ck_assert_str_eq(cells(0), "g?[2J|l|0|-|-|-|-|0|-");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ps");
	TCase *tcase = tcase_create("ps");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, the_longest_comes_first_and_what_is_unknown_last);
	tcase_add_test(tcase, names_are_in_their_order_and_decide_among_equals);
	tcase_add_test(tcase, times_are_in_milliseconds_and_shares_in_per_cent);
	tcase_add_test(tcase, columns_are_as_wide_as_what_stands_in_them);
	tcase_add_test(tcase, delays_and_open_stalls_are_late_and_nothing_else);
	tcase_add_test(tcase, an_answer_that_makes_no_sense_shows_nothing_wrong);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
