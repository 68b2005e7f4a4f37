/* SPDX-License-Identifier: MIT */
/* Histories of groups: what is in a column, what a restart leaves of them, and how the ledger
 * keeps them. */

#include "config.h"

#include "daemon/past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/counters.h"
#include "daemon/groups.h"
#include "daemon/quota.h"
#include "daemon/record.h"

#define MS 1000000ull
#define SECOND 1000000000ull

static struct quota *quota;
static struct groups *groups;
static struct past *past;
static struct series *series;
static struct group_view group;
static struct record record;

static void
make(void)
{
	quota = quota_new();
	groups = groups_new();
	past = past_new();
	ck_assert(quota && groups && past);
	groups_set_quota(groups, quota);
	series = group_series(groups_get(groups, "web"), "main");
	ck_assert_ptr_nonnull(series);
	group = groups_view(groups, 0);
}

static void
drop(void)
{
	groups_free(groups);
	quota_free(quota);
	past_free(past);
}

/* So much life, of it these iterations of a length each. */
static void
live(uint64_t life_ns, unsigned count, uint64_t length_ns)
{
	static struct counters delta;

	memset(&delta, 0, sizeof(delta));
	for (unsigned i = 0; i < count; i++)
		counters_record(&delta, length_ns);
	delta.life_ns = life_ns;
	series_add(series, &delta, SECOND);
}

static const struct past_column *
column(uint64_t number)
{
	return past_column(past, &group, number);
}

static double
share_above(const struct past_column *column, double seconds)
{
	double sum = 0;

	for (unsigned row = 1; row < PAST_ROWS; row++)
		if (past_bound(row - 1) >= seconds)
			sum += column->shares[row];
	return sum / PAST_WHOLE;
}

static bool
is_about(double value, double expected)
{
	return fabs(value - expected) <= 0.001 + expected * 0.03;
}

START_TEST(an_idle_loop_is_in_the_first_row)
{
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	ck_assert_ptr_nonnull(column(100));
	ck_assert_uint_eq(column(100)->shares[0], PAST_WHOLE);
	ck_assert_uint_eq(column(100)->life_ms, 5000);
	ck_assert_uint_eq(column(100)->longest_us, 0);
	ck_assert(past_quantile(column(100), 0.99) == 0);
}
END_TEST

START_TEST(the_shares_are_those_of_time_by_delay)
{
	/* Half of the time in iterations of 0.5 s: it waits longer than 0.25 s in a quarter. */
	live(5 * SECOND, 5, 500 * MS);
	past_add(past, groups, 0, 100);
	ck_assert(is_about(share_above(column(100), 0.25), 0.25));
	ck_assert(is_about(share_above(column(100), 0.5), 0));
	ck_assert_uint_eq(column(100)->longest_us, 500000);
	ck_assert(is_about(past_quantile(column(100), 0.75), 0.25));
	ck_assert(is_about(past_quantile(column(100), 0.99), 0.49));
	ck_assert(past_quantile(column(100), 1) <= 0.5);
}
END_TEST

START_TEST(a_column_has_what_came_since_the_last_one)
{
	live(5 * SECOND, 5, 500 * MS);
	past_add(past, groups, 0, 100);
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 101);
	ck_assert_uint_eq(column(101)->shares[0], PAST_WHOLE);
	ck_assert_uint_eq(column(101)->longest_us, 0);
	ck_assert(is_about(share_above(column(100), 0.25), 0.25));
}
END_TEST

START_TEST(an_iteration_that_lasts_climbs_and_is_counted_once)
{
	live(5 * SECOND, 0, 0);
	series_saw_loop(series, 4 * SECOND);
	past_add(past, groups, 0, 100);
	ck_assert(is_about(share_above(column(100), 1), 0.6));
	ck_assert_uint_eq(column(100)->longest_us, 4000000);

	groups_begin_reading(groups, SECOND);
	live(5 * SECOND, 0, 0);
	series_saw_loop(series, 8 * SECOND);
	past_add(past, groups, 0, 101);
	ck_assert(is_about(share_above(column(101), 4), 0.8));
	ck_assert(is_about(share_above(column(101), 8), 0));
	ck_assert_uint_eq(column(101)->longest_us, 8000000);

	/* It ended at once. */
	groups_begin_reading(groups, SECOND);
	live(5 * SECOND, 1, 8 * SECOND);
	past_add(past, groups, 0, 102);
	ck_assert(is_about(share_above(column(102), 0), 0));
}
END_TEST

START_TEST(loops_of_a_group_share_a_column)
{
	live(5 * SECOND, 0, 0);
	series = group_series(groups_get(groups, "web"), "worker");
	live(5 * SECOND, 1, 5 * SECOND);
	past_add(past, groups, 0, 100);
	ck_assert_uint_eq(column(100)->life_ms, 10000);
	ck_assert(is_about(share_above(column(100), 1), 0.4));
}
END_TEST

START_TEST(columns_in_which_nothing_was_known_are_empty)
{
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 103);
	past_add(past, groups, 0, 104);
	ck_assert_ptr_nonnull(column(100));
	ck_assert_ptr_null(column(101));
	ck_assert_ptr_null(column(102));
	ck_assert_ptr_nonnull(column(103));
	ck_assert_ptr_null(column(104));
	ck_assert_ptr_null(column(105));
}
END_TEST

START_TEST(only_the_last_columns_are_kept)
{
	for (uint64_t number = 1; number <= PAST_COLUMNS + 10; number++) {
		live(5 * SECOND, 0, 0);
		past_add(past, groups, 0, number);
	}
	ck_assert_ptr_null(column(10));
	for (uint64_t number = 11; number <= PAST_COLUMNS + 10; number++)
		ck_assert_ptr_nonnull(column(number));
	/* Long after that there is nothing of them. */
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100000);
	ck_assert_ptr_nonnull(column(100000));
	for (uint64_t number = 1; number < PAST_COLUMNS; number++)
		ck_assert_ptr_null(column(100000 - number));
}
END_TEST

START_TEST(a_column_is_added_once)
{
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	live(5 * SECOND, 5, SECOND);
	past_add(past, groups, 0, 100);
	past_add(past, groups, 0, 99);
	ck_assert_uint_eq(column(100)->shares[0], PAST_WHOLE);
}
END_TEST

START_TEST(nothing_but_nothing_is_a_share_of_zero)
{
	live(100000 * SECOND, 1, 3 * MS / 2);
	past_add(past, groups, 0, 100);
	ck_assert_uint_eq(column(100)->shares[3], 1);
	ck_assert_uint_eq(column(100)->shares[4], 0);
}
END_TEST

START_TEST(what_groups_had_before_is_in_no_column)
{
	live(5000 * SECOND, 100, SECOND);
	past_begin(past, groups);
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	ck_assert_uint_eq(column(100)->shares[0], PAST_WHOLE);
	ck_assert_uint_eq(column(100)->life_ms, 5000);
}
END_TEST

START_TEST(a_group_that_is_forgotten_leaves_nothing_to_the_next_one)
{
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	past_forget(past, &group);
	ck_assert_ptr_null(column(100));
}
END_TEST

/* Another daemon begins, with the groups as they were saved; its first group is another. */
static void
restart(void)
{
	struct series_view view = groups_series_view(groups, 0, 0);
	struct counters *total = malloc(sizeof(*total));
	const struct stall_counters stalls = {.last_unix_ns = 0};

	ck_assert_ptr_nonnull(total);
	*total = *view.total;
	past_save(past, &group, &record);
	drop();
	make();
	groups_free(groups);
	groups = groups_new();
	groups_set_quota(groups, quota);
	group_series(groups_get(groups, "another"), "main");
	series = group_series(groups_get(groups, "web"), "main");
	group = groups_view(groups, 1);
	series_restore(series, total, &stalls, 0);
	free(total);
}

START_TEST(columns_survive_a_restart_and_what_came_meanwhile_is_in_the_next_one)
{
	for (uint64_t number = 50; number <= 100; number++) {
		live(5 * SECOND, 5, 500 * MS);
		past_add(past, groups, 0, number);
	}
	/* Exported, and in no column yet. */
	live(2 * SECOND, 1, 2 * SECOND);
	restart();
	ck_assert(past_restore(past, groups, 600 * SECOND, &record));
	past_begin(past, groups);
	ck_assert_uint_eq(past_last(past), 100);
	ck_assert_ptr_null(column(49));
	for (uint64_t number = 50; number <= 100; number++) {
		ck_assert(is_about(share_above(column(number), 0.25), 0.25));
		ck_assert_uint_eq(column(number)->longest_us, 500000);
	}
	live(2 * SECOND, 0, 0);
	past_add(past, groups, 1, 110);
	ck_assert_uint_eq(column(110)->life_ms, 4000);
	ck_assert(is_about(share_above(column(110), 1), 0.25));
	ck_assert_ptr_null(column(105));
}
END_TEST

START_TEST(a_group_that_is_not_there_any_more_has_no_past)
{
	live(5 * SECOND, 0, 0);
	past_add(past, groups, 0, 100);
	past_save(past, &group, &record);
	drop();
	make();
	groups_free(groups);
	groups = groups_new();
	ck_assert(past_restore(past, groups, 600 * SECOND, &record));
	ck_assert_uint_eq(past_last(past), 0);
}
END_TEST

START_TEST(a_record_that_makes_no_sense_is_refused)
{
	static struct record damaged;
	unsigned refused = 0;

	live(5 * SECOND, 5, 500 * MS);
	past_add(past, groups, 0, 100);
	past_save(past, &group, &record);
	/* Too short, of another format, of the future. */
	for (size_t size = 0; size < record.size; size++) {
		record_load(&damaged, record.bytes, size);
		ck_assert(!past_restore(past, groups, 600 * SECOND, &damaged));
	}
	record_load(&damaged, record.bytes, record.size);
	damaged.bytes[0]++;
	ck_assert(!past_restore(past, groups, 600 * SECOND, &damaged));
	record_load(&damaged, record.bytes, record.size);
	ck_assert(!past_restore(past, groups, 400 * SECOND, &damaged));
	/* Any other byte: refused or taken, and what is taken can be shown. */
	for (size_t at = 0; at < record.size; at++) {
		record_load(&damaged, record.bytes, record.size);
		damaged.bytes[at] ^= 0x55;
		past_clear(past);
		refused += !past_restore(past, groups, 600 * SECOND, &damaged);
		for (uint64_t number = 0; number < 200; number++)
			if (column(number))
				ck_assert(isfinite(past_quantile(column(number), 0.99)));
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

START_TEST(the_record_of_a_group_at_its_worst_fits)
{
	unsigned short dice[3] = {1, 2, 3};

	for (uint64_t number = 1; number <= PAST_COLUMNS; number++) {
		for (unsigned exponent = 0; exponent < 31; exponent++)
			live(200000 * SECOND, 1 + (unsigned)nrand48(dice) % 10,
				1000ull << exponent);
		past_add(past, groups, 0, number + (1ull << 31));
	}
	past_save(past, &group, &record);
	ck_assert(!record.bad);
	ck_assert_uint_lt(record.size, RECORD_BYTES);
	past_clear(past);
	ck_assert(past_restore(past, groups, UINT64_MAX, &record));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("past");
	TCase *columns = tcase_create("columns");
	TCase *restarts = tcase_create("restarts");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(columns, make, drop);
	tcase_add_test(columns, an_idle_loop_is_in_the_first_row);
	tcase_add_test(columns, the_shares_are_those_of_time_by_delay);
	tcase_add_test(columns, a_column_has_what_came_since_the_last_one);
	tcase_add_test(columns, an_iteration_that_lasts_climbs_and_is_counted_once);
	tcase_add_test(columns, loops_of_a_group_share_a_column);
	tcase_add_test(columns, columns_in_which_nothing_was_known_are_empty);
	tcase_add_test(columns, only_the_last_columns_are_kept);
	tcase_add_test(columns, a_column_is_added_once);
	tcase_add_test(columns, nothing_but_nothing_is_a_share_of_zero);
	tcase_add_test(columns, what_groups_had_before_is_in_no_column);
	tcase_add_test(columns, a_group_that_is_forgotten_leaves_nothing_to_the_next_one);
	suite_add_tcase(suite, columns);
	tcase_add_checked_fixture(restarts, make, drop);
	tcase_add_test(restarts,
		columns_survive_a_restart_and_what_came_meanwhile_is_in_the_next_one);
	tcase_add_test(restarts, a_group_that_is_not_there_any_more_has_no_past);
	tcase_add_test(restarts, a_record_that_makes_no_sense_is_refused);
	tcase_add_test(restarts, the_record_of_a_group_at_its_worst_fits);
	suite_add_tcase(suite, restarts);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
