/* SPDX-License-Identifier: MIT */
/* Accounts of loops that end, in all the ways there are: what they leave is counted, and an
 * end is no stall. */

#include "config.h"

#include "daemon/account.h"

#include <check.h>

#include "tests/loop.h"

#define MS 1000000ull
#define SECOND 1000000000ull

START_TEST(a_loop_that_has_ended_lives_no_longer)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 100 * MS;
	slot.ended_ns = now;
	slot.state = 0;
	slot.sequence++;
	now += 10 * SECOND;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, 210 * MS);
	now += 10 * SECOND;
	loop_look();
	ck_assert_uint_eq(loop_view().total->life_ns, 210 * MS);
	loop_begin();
	loop_iterate(50 * MS, 50 * MS);
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, 310 * MS);
	ck_assert_uint_eq(loop_view().total->iterations, 2);
}
END_TEST

START_TEST(a_process_killed_in_a_stall_leaves_all_of_it)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 100 * MS;
	loop_wake();
	now += 700 * MS;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 700 * MS);
	now += 500 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(result.delta.active_ns, 1200 * MS);
	ck_assert_uint_eq(result.delta.max_ns, 1200 * MS);
	ck_assert_uint_eq(loop_view().total->life_ns, 1410 * MS);
	now += 10 * SECOND;
	reading.changed = false;
	for (int i = 0; i < 3; i++)
		loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 2);
	ck_assert_uint_eq(loop_view().total->life_ns, 1410 * MS);
}
END_TEST

START_TEST(a_process_that_ends_soon_after_its_last_wait_has_no_stall)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	loop_look();
	now += 100 * MS;
	loop_wake();
	now += 700 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->life_ns, 210 * MS);
}
END_TEST

START_TEST(a_process_killed_while_it_waits_lived_until_then)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 500 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	now += SECOND;
	loop_look();
	ck_assert_uint_eq(loop_view().total->life_ns, 610 * MS);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
}
END_TEST

START_TEST(of_a_process_dead_before_its_first_reading_the_last_edge_counts)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += SECOND;
	reading.owner_dead = reading.process_dead = true;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, 110 * MS);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
}
END_TEST

START_TEST(a_thread_that_ends_after_its_last_wait_has_no_stall)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	loop_look();
	now += 50 * MS;
	loop_wake();
	now += 900 * MS;
	reading.owner_dead = true;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->life_ns, 160 * MS);
}
END_TEST

START_TEST(a_thread_that_ends_in_a_stall_leaves_what_was_seen_of_it)
{
	loop_begin();
	loop_wake();
	now += 400 * MS;
	loop_look();
	now += 900 * MS;
	reading.owner_dead = true;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->active_ns, 400 * MS);
	ck_assert_uint_eq(loop_view().total->life_ns, 400 * MS);
	now += SECOND;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 1);
}
END_TEST

START_TEST(a_thread_that_dies_while_it_waits_takes_its_loop_along)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	loop_look();
	now += SECOND;
	reading.owner_dead = true;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, 110 * MS);
}
END_TEST

START_TEST(a_shared_loop_survives_its_first_thread)
{
	loop_begin();
	slot.state = SEGMENT_ATTENDED | 2;
	loop_look();
	now += SECOND;
	reading.owner_dead = true;
	loop_look();
	ck_assert(result.alive);
	slot.state = SEGMENT_ATTENDED | 1;
	now += SECOND;
	loop_iterate(MS, MS);
	loop_look();
	ck_assert(result.alive);
	now += SECOND;
	loop_look();
	ck_assert(!result.alive);
	loop_iterate(MS, MS);
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, now - LOOP_START);
	ck_assert_uint_eq(loop_view().total->iterations, 2);
}
END_TEST

START_TEST(a_loop_closed_without_notice_is_no_stall)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 50 * MS;
	loop_wake();
	now += 5 * SECOND;
	reading.closed = true;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(loop_view().total->life_ns, 160 * MS);
	ck_assert_uint_eq(account_unattended_since(&account, &slot), 0);
	now += 5 * SECOND;
	reading.closed = false;
	loop_look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->life_ns, 160 * MS);
	/* It was not closed after all. */
	loop_wait();
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(loop_view().total->iterations, 2);
	ck_assert_uint_eq(loop_view().total->life_ns, now - LOOP_START);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("account_ends");
	TCase *tcase = tcase_create("account_ends");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, loop_set_up, loop_tear_down);
	tcase_add_test(tcase, a_loop_that_has_ended_lives_no_longer);
	tcase_add_test(tcase, a_process_killed_in_a_stall_leaves_all_of_it);
	tcase_add_test(tcase, a_process_that_ends_soon_after_its_last_wait_has_no_stall);
	tcase_add_test(tcase, a_process_killed_while_it_waits_lived_until_then);
	tcase_add_test(
		tcase, of_a_process_dead_before_its_first_reading_the_last_edge_counts);
	tcase_add_test(tcase, a_thread_that_ends_after_its_last_wait_has_no_stall);
	tcase_add_test(tcase, a_thread_that_ends_in_a_stall_leaves_what_was_seen_of_it);
	tcase_add_test(tcase, a_thread_that_dies_while_it_waits_takes_its_loop_along);
	tcase_add_test(tcase, a_shared_loop_survives_its_first_thread);
	tcase_add_test(tcase, a_loop_closed_without_notice_is_no_stall);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
