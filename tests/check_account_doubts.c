/* SPDX-License-Identifier: MIT */
/* Accounts of slots that cannot be taken at their word: torn copies, clocks that cannot be
 * compared, and whatever somebody may write into them. */

#include "config.h"

#include "daemon/account.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/loop.h"

#define MS 1000000ull
#define SECOND 1000000000ull

/* A torn copy has counts that are younger than its state. */
START_TEST(torn_readings_count_nothing_twice)
{
	uint64_t since;

	loop_begin();
	loop_iterate(MS, MS);
	loop_look();
	now += MS;
	loop_wake();
	now += 300 * MS;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 300 * MS);
	/* It ends while it is copied: counted, but its state says that it lasts. */
	since = slot.state;
	now += 100 * MS;
	loop_wait();
	slot.state = since;
	reading.torn = true;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 2);
	ck_assert_uint_eq(loop_view().open_count, 0);
	slot.state = SEGMENT_ATTENDED | 1;
	reading.torn = false;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 2);
	ck_assert_uint_eq(loop_view().total->active_ns, 401 * MS);

	/* It is being written: the state has gone on, but it is not counted yet. */
	now += MS;
	loop_wake();
	now += 300 * MS;
	loop_look();
	since = slot.state;
	now += 100 * MS;
	slot.state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	reading.torn = true;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 2);
	ck_assert_uint_eq(loop_view().open_count, 1);
	slot.state = since;
	loop_wait();
	reading.torn = false;
	loop_look();
	ck_assert_uint_eq(loop_view().open_count, 0);
	ck_assert_uint_eq(loop_view().total->iterations, 3);
	ck_assert_uint_eq(loop_view().total->active_ns, 801 * MS);

	/* A count without its sum, which comes with the next reading. */
	now += MS;
	loop_wake();
	now += 300 * MS;
	loop_look();
	now += 100 * MS;
	loop_wait();
	slot.iteration.sums_ns[histogram_band(histogram_index(400 * MS))] -= 400 * MS;
	slot.iteration.square_low -= 400 * MS * 400 * MS;
	reading.torn = true;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 4);
	slot.iteration.sums_ns[histogram_band(histogram_index(400 * MS))] += 400 * MS;
	slot.iteration.square_low += 400 * MS * 400 * MS;
	reading.torn = false;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 4);
	ck_assert_uint_ge(loop_view().total->active_ns, 1180 * MS);
	ck_assert_uint_le(loop_view().total->active_ns, 1201 * MS);

	/* A sum without its count. */
	loop_iterate(MS, 300 * MS);
	slot.iteration.counts[histogram_index(300 * MS)]--;
	reading.torn = true;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 4);
	slot.iteration.counts[histogram_index(300 * MS)]++;
	reading.torn = false;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 5);
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 5);
}
END_TEST

/* The thread reads the clock, and loses its CPU before it can say so. */
START_TEST(an_iteration_shorter_than_it_looked_is_counted_once)
{
	uint64_t since;

	loop_begin();
	now += MS;
	loop_wake();
	since = now;
	now += 3 * MS;
	loop_look();
	ck_assert_uint_eq(result.open_ns, 3 * MS);
	now = since + 50000;
	loop_wait();
	now = since + 4 * MS;
	loop_look();
	ck_assert_uint_eq(loop_view().total->iterations, 1);
	ck_assert_uint_eq(loop_view().total->active_ns, 3 * MS);
}
END_TEST

START_TEST(without_a_common_clock_only_durations_count)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 50 * MS;
	loop_wake();
	now += SECOND;
	reading.now_ns = UINT64_MAX;
	loop_look();
	ck_assert(result.alive);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(loop_view().total->life_ns, 160 * MS);
	loop_wait();
	reading.now_ns = UINT64_MAX;
	loop_look();
	ck_assert_uint_eq(loop_view().total->life_ns, 1160 * MS);
	ck_assert_uint_eq(loop_view().total->active_ns, 1010 * MS);
}
END_TEST

START_TEST(an_iteration_that_ended_while_it_was_read_is_within_life)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	now += 5000;
	reading.now_ns = now;
	loop_iterate(0, 3000);
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	ck_assert_uint_eq(result.delta.life_ns, now - LOOP_START);
	now += 2000;
	loop_wake();
	reading.now_ns = now - 1000;
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 2000);
}
END_TEST

/* Whoever reads loses the CPU between a look at the clock and the counts. */
START_TEST(counts_that_are_younger_than_the_clock_prolong_life_once)
{
	uint64_t iterations = 0, active_ns = 0, life_ns = 0;

	loop_begin();
	for (int i = 0; i < 100; i++) {
		uint64_t last_ns = slot.last_ns;

		reading.torn = i % 2 == 0;
		reading.now_ns = now;
		loop_iterate(0, 5 * MS);
		if (reading.torn)
			slot.last_ns = last_ns;
		else
			reading.now_ns = now;
		reading.after_ns = now;
		reading.budget_ns = now - LOOP_START + 20 * MS;
		account_update(&account, &slot, &reading, &result);
		iterations += result.delta.iterations;
		active_ns += result.delta.active_ns;
		life_ns += result.delta.life_ns;
		ck_assert_uint_eq(life_ns, now - LOOP_START);
	}
	ck_assert_uint_eq(iterations, 100);
	ck_assert_uint_eq(active_ns, 500 * MS);
}
END_TEST

START_TEST(nobody_has_lived_longer_than_possible)
{
	reading.budget_ns = 10 * SECOND;
	loop_begin();
	slot.born_ns = 1;
	slot.past_life_ns = UINT64_MAX / 2;
	loop_iterate(MS, MS);
	loop_look();
	ck_assert_uint_eq(result.delta.life_ns, 10 * SECOND);
	loop_iterate(MS, 20 * SECOND);
	loop_look();
	ck_assert_uint_eq(result.delta.active_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 0);
	ck_assert_uint_le(loop_view().total->active_ns, 10 * SECOND);
}
END_TEST

START_TEST(counters_that_go_back_add_nothing)
{
	loop_begin();
	for (int i = 0; i < 10; i++)
		loop_iterate(MS, MS);
	loop_look();
	memset(&slot.iteration, 0, sizeof(slot.iteration));
	slot.events = slot.iterations = slot.other_waits = 0;
	slot.sequence++;
	now += MS;
	loop_look();
	ck_assert_uint_eq(result.delta.iterations, 0);
	ck_assert_uint_eq(result.delta.events, 0);
	ck_assert_uint_eq(result.delta.waits, 0);
	loop_iterate(MS, MS);
	loop_look();
	ck_assert_uint_eq(result.delta.iterations, 1);
}
END_TEST

START_TEST(sums_that_do_not_fit_the_counts_are_made_to)
{
	loop_begin();
	loop_iterate(100 * MS, 10 * MS);
	slot.iteration.sums_ns[histogram_band(histogram_index(10 * MS))] = 0;
	slot.iteration.sums_ns[100] = 5 * SECOND;
	slot.iteration.square_high = 77;
	loop_look();
	ck_assert_uint_eq(result.delta.iterations, 1);
	ck_assert_uint_ge(result.delta.active_ns, 10 * MS * 97 / 100);
	ck_assert_uint_le(result.delta.active_ns, 10 * MS);
	ck_assert_double_le(histogram_half_squares(&result.delta.iteration), 0.000052);
	ck_assert_uint_eq(histogram_total(&loop_view().total->iteration), 1);
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
	unsigned seed = (unsigned)_i + 1;

	reading.budget_ns = 3600 * SECOND;
	for (int n = 0; n < 3000; n++) {
		unsigned kind = (unsigned)rand_r(&seed) % 8;

		now += loop_random(&seed) % SECOND;
		reading.budget_ns += SECOND;
		if (kind == 0)
			memset(&slot, 0xff, sizeof(slot));
		else if (kind == 1)
			for (size_t i = 0; i < sizeof(slot) / 8; i++)
				((uint64_t *)&slot)[i] = loop_random(&seed);
		else if (kind == 2)
			memset(&slot, 0, sizeof(slot));
		else if (kind == 3)
			((uint64_t *)&slot)[loop_random(&seed) % (10312 / 8)] =
				loop_random(&seed) >> loop_random(&seed) % 64;
		else if (kind == 4)
			((uint64_t *)&slot)[loop_random(&seed) % 16] =
				now - loop_random(&seed) % (10 * SECOND);
		else if (kind == 5)
			loop_begin();
		else if (slot.born_ns && slot.born_ns < now)
			loop_iterate(
				loop_random(&seed) % MS, loop_random(&seed) % (100 * MS));
		reading.owner_dead = rand_r(&seed) % 4 == 0;
		reading.closed = rand_r(&seed) % 4 == 0;
		reading.changed = rand_r(&seed) % 4 != 0;
		reading.torn = rand_r(&seed) % 4 == 0;
		loop_look();
		ck_assert_uint_le(account.life_ns, reading.budget_ns);
		ck_assert_uint_le(
			loop_view().total->active_ns, loop_view().total->life_ns);
		ck_assert_uint_eq(histogram_total(&loop_view().total->iteration),
			loop_view().total->iterations);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("account_doubts");
	TCase *tcase = tcase_create("account_doubts");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, loop_set_up, loop_tear_down);
	tcase_add_test(tcase, torn_readings_count_nothing_twice);
	tcase_add_test(tcase, an_iteration_shorter_than_it_looked_is_counted_once);
	tcase_add_test(tcase, without_a_common_clock_only_durations_count);
	tcase_add_test(tcase, an_iteration_that_ended_while_it_was_read_is_within_life);
	tcase_add_test(tcase, counts_that_are_younger_than_the_clock_prolong_life_once);
	tcase_add_test(tcase, nobody_has_lived_longer_than_possible);
	tcase_add_test(tcase, counters_that_go_back_add_nothing);
	tcase_add_test(tcase, sums_that_do_not_fit_the_counts_are_made_to);
	tcase_add_loop_test(tcase, random_bytes_do_no_harm, 0, 20);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
