/* SPDX-License-Identifier: MIT */
/* Accounts: what a slot says of a loop that lives, counted once and never taken back. */

#include "config.h"

#include "daemon/account.h"

#include <stdlib.h>

#include <check.h>

#include "tests/loop.h"

#define MS 1000000ull
#define SECOND 1000000000ull

START_TEST(an_unused_slot_gives_nothing)
{
	struct counters none = {0};

	loop_look();
	ck_assert(!result.alive);
	ck_assert_mem_eq(&result.delta, &none, sizeof(none));
	slot.iteration.counts[40] = 100;
	loop_look();
	ck_assert_mem_eq(&result.delta, &none, sizeof(none));
}
END_TEST

START_TEST(life_runs_from_the_first_wait_to_the_reading)
{
	loop_begin();
	now += 300 * MS;
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(result.delta.life_ns, 300 * MS);
	now += 50 * MS;
	reading.changed = false;
	loop_look();
	ck_assert_uint_eq(result.delta.life_ns, 50 * MS);
	reading.changed = true;
	loop_iterate(100 * MS, 20 * MS);
	loop_look();
	ck_assert_uint_eq(result.delta.life_ns, 120 * MS);
	ck_assert_uint_eq(result.delta.active_ns, 20 * MS);
	ck_assert_uint_eq(result.delta.iterations, 1);
	ck_assert_uint_eq(result.delta.events, 1 + 2);
	ck_assert_uint_eq(result.delta.waits, 1);
	ck_assert_uint_eq(result.delta.max_ns, 20 * MS);
	ck_assert_uint_eq(loop_view().total->life_ns, 470 * MS);
}
END_TEST

START_TEST(an_iteration_that_lasts_is_open_and_then_counted_once)
{
	loop_begin();
	now += 100 * MS;
	loop_wake();
	now += 800 * MS;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 800 * MS);
	ck_assert_uint_eq(result.delta.active_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 900 * MS);
	now += SECOND;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 1800 * MS);
	now += 200 * MS;
	loop_wait();
	loop_look();
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(result.delta.active_ns, 2 * SECOND);
	ck_assert_uint_eq(result.delta.max_ns, 2 * SECOND);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->life_ns, 2100 * MS);
}
END_TEST

START_TEST(the_longest_of_a_reading_is_exact_also_when_it_is_no_record)
{
	loop_begin();
	loop_iterate(MS, 500 * MS);
	loop_look();
	loop_iterate(MS, 123456789);
	loop_iterate(MS, 20 * MS);
	loop_look();
	ck_assert_uint_eq(result.delta.max_ns, 123456789);
	loop_iterate(MS, 3333333);
	loop_look();
	ck_assert_uint_ge(result.delta.max_ns, 3333333);
	ck_assert_uint_le(result.delta.max_ns, 3333333 * 103 / 100);
	ck_assert_uint_eq(loop_view().total->max_ns, 500 * MS);
}
END_TEST

START_TEST(loops_that_came_and_went_between_two_readings_are_counted)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	loop_look();
	for (int i = 0; i < 5; i++) {
		loop_iterate(90 * MS, 10 * MS);
		slot.ended_ns = now;
		loop_begin();
	}
	loop_iterate(190 * MS, 10 * MS);
	loop_look();
	ck_assert_uint_eq(loop_view().total->life_ns, 110 * MS + 500 * MS + 200 * MS);
	ck_assert_uint_eq(loop_view().total->iterations, 7);
}
END_TEST

START_TEST(an_open_iteration_that_vanishes_is_kept)
{
	loop_begin();
	loop_wake();
	now += 400 * MS;
	loop_look();
	/* The loop rests inside another one's wait. */
	slot.state = SEGMENT_ATTENDED;
	now += 100 * MS;
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(loop_view().total->active_ns, 400 * MS);
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	/* Another one has its slot. */
	now += MS;
	loop_wake();
	now += 600 * MS;
	loop_look();
	loop_begin();
	loop_iterate(MS, MS);
	loop_look();
	ck_assert_uint_eq(loop_view().total->active_ns, 400 * MS + 600 * MS + MS);
	ck_assert_uint_eq(loop_view().total->iterations, 3);
}
END_TEST

START_TEST(what_a_loop_does_when_it_leaves_a_series_is_the_next_ones)
{
	uint64_t before_ns;

	loop_begin();
	loop_wake();
	now += 400 * MS;
	loop_look();
	/* Another one has the slot, and is busy too. */
	loop_begin();
	now += 10 * MS;
	loop_wake();
	now += 600 * MS;
	reading.leaves = true;
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(result.open_ns, 0);
	before_ns = loop_view().total->life_ns;
	ck_assert_uint_eq(before_ns, 400 * MS + 10 * MS);
	reading.leaves = false;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 600 * MS);
	ck_assert_uint_eq(loop_view().total->life_ns, before_ns + 600 * MS);
}
END_TEST

/* A loop as it is, read at any moments, ended in all the ways there are. */
START_TEST(an_honest_loops_numbers_are_exact)
{
	unsigned seed = (unsigned)_i + 1;
	uint64_t iterations = 0, active = 0, idle = 0, readings = 0, t;

	reading.budget_ns = UINT64_MAX >> 8;
	for (int n = 0; n < 100; n++) {
		loop_begin();
		for (int i = 0; i < 50; i++) {
			t = loop_random(&seed) % (1ull << rand_r(&seed) % 30);
			idle += t;
			now += t;
			if (rand_r(&seed) % 8 == 0)
				loop_look();
			readings++;
			loop_wake();
			t = loop_random(&seed) % (1ull << rand_r(&seed) % 32);
			active += t;
			now += t;
			if (rand_r(&seed) % 8 == 0)
				loop_look();
			loop_wait();
			iterations++;
		}
		slot.ended_ns = now;
		slot.state = 0;
		slot.sequence++;
	}
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, iterations);
	ck_assert_uint_eq(loop_view().total->active_ns, active);
	/* An iteration seen in its first microsecond is no open one yet. */
	ck_assert_uint_ge(loop_view().total->life_ns, active + idle);
	ck_assert_uint_le(loop_view().total->life_ns, active + idle + readings * 1000);
	ck_assert_uint_eq(loop_view().total->max_ns, slot.max_ns);
	ck_assert_mem_eq(
		&loop_view().total->iteration, &slot.iteration, sizeof(slot.iteration));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("account");
	TCase *tcase = tcase_create("account");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, loop_set_up, loop_tear_down);
	tcase_add_test(tcase, an_unused_slot_gives_nothing);
	tcase_add_test(tcase, life_runs_from_the_first_wait_to_the_reading);
	tcase_add_test(tcase, an_iteration_that_lasts_is_open_and_then_counted_once);
	tcase_add_test(
		tcase, the_longest_of_a_reading_is_exact_also_when_it_is_no_record);
	tcase_add_test(tcase, loops_that_came_and_went_between_two_readings_are_counted);
	tcase_add_test(tcase, an_open_iteration_that_vanishes_is_kept);
	tcase_add_test(tcase, what_a_loop_does_when_it_leaves_a_series_is_the_next_ones);
	tcase_add_loop_test(tcase, an_honest_loops_numbers_are_exact, 0, 50);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
