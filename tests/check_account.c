/* SPDX-License-Identifier: MIT */
/* Accounts: what a slot says, counted once and never taken back, however loops end and
 * whatever is written into the slot. */

#include "config.h"

#include "daemon/account.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/groups.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define START (1000 * SECOND)

static struct segment_slot slot;
static struct account account;
static struct account_reading reading;
static struct account_result result;
static uint64_t now;

/* What all deltas together say, and what a scrape would show. */
static struct groups *groups;
static struct series *series;
static double exported[6];

static void
set_up(void)
{
	memset(&slot, 0, sizeof(slot));
	memset(&account, 0, sizeof(account));
	memset(exported, 0, sizeof(exported));
	now = START;
	reading = (struct account_reading){.budget_ns = 1000 * SECOND, .changed = true};
	groups = groups_new();
	series = group_series(groups_get(groups, "g"), "main");
}

static void
tear_down(void)
{
	groups_free(groups);
}

static struct series_view
view(void)
{
	return groups_series_view(groups, 0, 0);
}

/* A scrape's counters; none may go back. */
static void
scrape(void)
{
	static const double limits[] = {0.001, 0.1, 1};
	struct series_view v = view();
	double values[6];

	series_delay_buckets(&v, v.total, limits, 3, values);
	values[3] = series_active_seconds(&v, v.total);
	values[4] = series_idle_seconds(&v, v.total);
	values[5] = series_half_squares(&v, v.total);
	for (int i = 0; i < 6; i++)
		ck_assert_msg(values[i] >= exported[i], "counter %d: %.17g after %.17g",
			i, values[i], exported[i]);
	memcpy(exported, values, sizeof(exported));
}

/* Read the slot at this moment. */
static void
look(void)
{
	if (!reading.died_ns && reading.now_ns != UINT64_MAX)
		reading.now_ns = now;
	if (reading.now_ns == UINT64_MAX)
		reading.now_ns = 0;
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	groups_begin_reading(groups, now);
	series_add(series, &result.delta, now);
	if (result.alive)
		series_saw_loop(series, result.open_ns);
	scrape();
}

/* The loop is born now, and waits. */
static void
begin_loop(void)
{
	if (slot.born_ns)
		slot.past_life_ns +=
			(slot.ended_ns ? slot.ended_ns : slot.last_ns) - slot.born_ns;
	slot.life++;
	slot.born_ns = slot.last_ns = now;
	slot.ended_ns = 0;
	slot.state = SEGMENT_ATTENDED | 1;
	slot.sequence++;
}

static void
wake(void)
{
	slot.state = now;
	slot.events++;
}

static void
wait(void)
{
	uint64_t length = now - slot.state;

	histogram_record(&slot.iteration, length);
	slot.iterations++;
	slot.active_ns += length;
	if (length > slot.max_ns)
		slot.max_ns = length;
	slot.last_ns = now;
	if (length >= SEGMENT_LONG_NS)
		slot.ring[slot.long_count++ % SEGMENT_RING] = (struct segment_long){
			.length_ns = length, .iteration = slot.iterations};
	slot.sequence++;
	slot.state = SEGMENT_ATTENDED | 1;
}

static void
iterate(uint64_t idle_ns, uint64_t busy_ns)
{
	now += idle_ns;
	wake();
	now += busy_ns;
	wait();
}

START_TEST(an_unused_slot_gives_nothing)
{
	struct counters none = {0};

	look();
	ck_assert(!result.alive);
	ck_assert_mem_eq(&result.delta, &none, sizeof(none));
	slot.iteration.counts[40] = 100;
	look();
	ck_assert_mem_eq(&result.delta, &none, sizeof(none));
}
END_TEST

START_TEST(life_runs_from_the_first_wait_to_the_reading)
{
	begin_loop();
	now += 300 * MS;
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(result.delta.life_ns, 300 * MS);
	now += 50 * MS;
	reading.changed = false;
	look();
	ck_assert_uint_eq(result.delta.life_ns, 50 * MS);
	reading.changed = true;
	iterate(100 * MS, 20 * MS);
	look();
	ck_assert_uint_eq(result.delta.life_ns, 120 * MS);
	ck_assert_uint_eq(result.delta.active_ns, 20 * MS);
	ck_assert_uint_eq(result.delta.iterations, 1);
	ck_assert_uint_eq(result.delta.events, 1);
	ck_assert_uint_eq(result.delta.waits, 1);
	ck_assert_uint_eq(result.delta.max_ns, 20 * MS);
	ck_assert_uint_eq(view().total->life_ns, 470 * MS);
}
END_TEST

START_TEST(an_iteration_that_lasts_is_open_and_then_counted_once)
{
	begin_loop();
	now += 100 * MS;
	wake();
	now += 800 * MS;
	look();
	ck_assert_uint_eq(result.open_ns, 800 * MS);
	ck_assert_uint_eq(result.delta.active_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 900 * MS);
	now += SECOND;
	look();
	ck_assert_uint_eq(result.open_ns, 1800 * MS);
	now += 200 * MS;
	wait();
	look();
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(result.delta.active_ns, 2 * SECOND);
	ck_assert_uint_eq(result.delta.max_ns, 2 * SECOND);
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->life_ns, 2100 * MS);
}
END_TEST

START_TEST(the_longest_of_a_reading_is_exact_also_when_it_is_no_record)
{
	begin_loop();
	iterate(MS, 500 * MS);
	look();
	iterate(MS, 123456789);
	iterate(MS, 20 * MS);
	look();
	ck_assert_uint_eq(result.delta.max_ns, 123456789);
	iterate(MS, 3333333);
	look();
	ck_assert_uint_ge(result.delta.max_ns, 3333333);
	ck_assert_uint_le(result.delta.max_ns, 3333333 * 103 / 100);
	ck_assert_uint_eq(view().total->max_ns, 500 * MS);
}
END_TEST

START_TEST(a_loop_that_has_ended_lives_no_longer)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 100 * MS;
	slot.ended_ns = now;
	slot.state = 0;
	slot.sequence++;
	now += 10 * SECOND;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(view().total->life_ns, 210 * MS);
	now += 10 * SECOND;
	look();
	ck_assert_uint_eq(view().total->life_ns, 210 * MS);
	begin_loop();
	iterate(50 * MS, 50 * MS);
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(view().total->life_ns, 310 * MS);
	ck_assert_uint_eq(view().total->iterations, 2);
}
END_TEST

START_TEST(loops_that_came_and_went_between_two_readings_are_counted)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	look();
	for (int i = 0; i < 5; i++) {
		iterate(90 * MS, 10 * MS);
		slot.ended_ns = now;
		begin_loop();
	}
	iterate(190 * MS, 10 * MS);
	look();
	ck_assert_uint_eq(view().total->life_ns, 110 * MS + 500 * MS + 200 * MS);
	ck_assert_uint_eq(view().total->iterations, 7);
}
END_TEST

START_TEST(a_process_killed_in_a_stall_leaves_all_of_it)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 100 * MS;
	wake();
	now += 700 * MS;
	look();
	ck_assert_uint_eq(result.open_ns, 700 * MS);
	now += 500 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(result.delta.active_ns, 1200 * MS);
	ck_assert_uint_eq(result.delta.max_ns, 1200 * MS);
	ck_assert_uint_eq(view().total->life_ns, 1410 * MS);
	now += 10 * SECOND;
	reading.changed = false;
	for (int i = 0; i < 3; i++)
		look();
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().total->life_ns, 1410 * MS);
}
END_TEST

START_TEST(a_process_that_ends_soon_after_its_last_wait_has_no_stall)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	look();
	now += 100 * MS;
	wake();
	now += 700 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	look();
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->life_ns, 210 * MS);
}
END_TEST

START_TEST(a_process_killed_while_it_waits_lived_until_then)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 500 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	now += SECOND;
	look();
	ck_assert_uint_eq(view().total->life_ns, 610 * MS);
	ck_assert_uint_eq(view().total->iterations, 1);
}
END_TEST

START_TEST(of_a_process_dead_before_its_first_reading_the_last_edge_counts)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += SECOND;
	reading.owner_dead = reading.process_dead = true;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(view().total->life_ns, 110 * MS);
	ck_assert_uint_eq(view().total->iterations, 1);
}
END_TEST

START_TEST(a_thread_that_ends_after_its_last_wait_has_no_stall)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	look();
	now += 50 * MS;
	wake();
	now += 900 * MS;
	reading.owner_dead = true;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->life_ns, 160 * MS);
}
END_TEST

START_TEST(a_thread_that_ends_in_a_stall_leaves_what_was_seen_of_it)
{
	begin_loop();
	wake();
	now += 400 * MS;
	look();
	now += 900 * MS;
	reading.owner_dead = true;
	look();
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->active_ns, 400 * MS);
	ck_assert_uint_eq(view().total->life_ns, 400 * MS);
	now += SECOND;
	look();
	ck_assert_uint_eq(view().total->iterations, 1);
}
END_TEST

START_TEST(a_thread_that_dies_while_it_waits_takes_its_loop_along)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	look();
	now += SECOND;
	reading.owner_dead = true;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(view().total->life_ns, 110 * MS);
}
END_TEST

START_TEST(a_shared_loop_survives_its_first_thread)
{
	begin_loop();
	slot.state = SEGMENT_ATTENDED | 2;
	look();
	now += SECOND;
	reading.owner_dead = true;
	look();
	ck_assert(result.alive);
	slot.state = SEGMENT_ATTENDED | 1;
	now += SECOND;
	iterate(MS, MS);
	look();
	ck_assert(result.alive);
	now += SECOND;
	look();
	ck_assert(!result.alive);
	iterate(MS, MS);
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(view().total->life_ns, now - START);
	ck_assert_uint_eq(view().total->iterations, 2);
}
END_TEST

START_TEST(a_loop_closed_without_notice_is_no_stall)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 50 * MS;
	wake();
	now += 5 * SECOND;
	reading.closed = true;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(view().total->life_ns, 160 * MS);
	ck_assert_uint_eq(account_unattended_since(&account, &slot), 0);
	now += 5 * SECOND;
	reading.closed = false;
	look();
	ck_assert(!result.alive);
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->life_ns, 160 * MS);
	/* It was not closed after all. */
	wait();
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().total->life_ns, now - START);
}
END_TEST

START_TEST(an_open_iteration_that_vanishes_is_kept)
{
	begin_loop();
	wake();
	now += 400 * MS;
	look();
	/* The loop rests inside another one's wait. */
	slot.state = SEGMENT_ATTENDED;
	now += 100 * MS;
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(view().total->active_ns, 400 * MS);
	ck_assert_uint_eq(view().total->iterations, 1);
	/* Another one has its slot. */
	now += MS;
	wake();
	now += 600 * MS;
	look();
	begin_loop();
	iterate(MS, MS);
	look();
	ck_assert_uint_eq(view().total->active_ns, 400 * MS + 600 * MS + MS);
	ck_assert_uint_eq(view().total->iterations, 3);
}
END_TEST

/* A torn copy has counts that are younger than its state. */
START_TEST(torn_readings_count_nothing_twice)
{
	uint64_t since;

	begin_loop();
	iterate(MS, MS);
	look();
	now += MS;
	wake();
	now += 300 * MS;
	look();
	ck_assert_uint_eq(result.open_ns, 300 * MS);
	/* It ends while it is copied: counted, but its state says that it lasts. */
	since = slot.state;
	now += 100 * MS;
	wait();
	slot.state = since;
	reading.torn = true;
	look();
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().open_count, 0);
	slot.state = SEGMENT_ATTENDED | 1;
	reading.torn = false;
	look();
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().total->active_ns, 401 * MS);

	/* It is being written: the state has gone on, but it is not counted yet. */
	now += MS;
	wake();
	now += 300 * MS;
	look();
	since = slot.state;
	now += 100 * MS;
	slot.state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	reading.torn = true;
	look();
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().open_count, 1);
	slot.state = since;
	wait();
	reading.torn = false;
	look();
	ck_assert_uint_eq(view().open_count, 0);
	ck_assert_uint_eq(view().total->iterations, 3);
	ck_assert_uint_eq(view().total->active_ns, 801 * MS);

	/* A count without its sum, which comes with the next reading. */
	now += MS;
	wake();
	now += 300 * MS;
	look();
	now += 100 * MS;
	wait();
	slot.iteration.sums_ns[histogram_band(histogram_index(400 * MS))] -= 400 * MS;
	slot.iteration.square_low -= 400 * MS * 400 * MS;
	reading.torn = true;
	look();
	ck_assert_uint_eq(view().total->iterations, 4);
	slot.iteration.sums_ns[histogram_band(histogram_index(400 * MS))] += 400 * MS;
	slot.iteration.square_low += 400 * MS * 400 * MS;
	reading.torn = false;
	look();
	ck_assert_uint_eq(view().total->iterations, 4);
	ck_assert_uint_ge(view().total->active_ns, 1180 * MS);
	ck_assert_uint_le(view().total->active_ns, 1201 * MS);
}
END_TEST

/* The thread reads the clock, and loses its CPU before it can say so. */
START_TEST(an_iteration_shorter_than_it_looked_is_counted_once)
{
	uint64_t since;

	begin_loop();
	now += MS;
	wake();
	since = now;
	now += 3 * MS;
	look();
	ck_assert_uint_eq(result.open_ns, 3 * MS);
	now = since + 50000;
	wait();
	now = since + 4 * MS;
	look();
	ck_assert_uint_eq(view().total->iterations, 1);
	ck_assert_uint_eq(view().total->active_ns, 3 * MS);
}
END_TEST

START_TEST(without_a_common_clock_only_durations_count)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 50 * MS;
	wake();
	now += SECOND;
	reading.now_ns = UINT64_MAX;
	look();
	ck_assert(result.alive);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(view().total->life_ns, 160 * MS);
	wait();
	reading.now_ns = UINT64_MAX;
	look();
	ck_assert_uint_eq(view().total->life_ns, 1160 * MS);
	ck_assert_uint_eq(view().total->active_ns, 1010 * MS);
}
END_TEST

START_TEST(an_iteration_that_ended_while_it_was_read_is_within_life)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	now += 5000;
	reading.now_ns = now;
	iterate(0, 3000);
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	ck_assert_uint_eq(result.delta.life_ns, now - START);
	now += 2000;
	wake();
	reading.now_ns = now - 1000;
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	ck_assert_uint_eq(result.open_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 2000);
}
END_TEST

START_TEST(nobody_has_lived_longer_than_possible)
{
	reading.budget_ns = 10 * SECOND;
	begin_loop();
	slot.born_ns = 1;
	slot.past_life_ns = UINT64_MAX / 2;
	iterate(MS, MS);
	look();
	ck_assert_uint_eq(result.delta.life_ns, 10 * SECOND);
	iterate(MS, 20 * SECOND);
	look();
	ck_assert_uint_eq(result.delta.active_ns, 0);
	ck_assert_uint_eq(result.delta.life_ns, 0);
	ck_assert_uint_le(view().total->active_ns, 10 * SECOND);
}
END_TEST

START_TEST(counters_that_go_back_add_nothing)
{
	begin_loop();
	for (int i = 0; i < 10; i++)
		iterate(MS, MS);
	look();
	memset(&slot.iteration, 0, sizeof(slot.iteration));
	slot.events = slot.iterations = slot.other_waits = 0;
	slot.sequence++;
	now += MS;
	look();
	ck_assert_uint_eq(result.delta.iterations, 0);
	ck_assert_uint_eq(result.delta.events, 0);
	ck_assert_uint_eq(result.delta.waits, 0);
	iterate(MS, MS);
	look();
	ck_assert_uint_eq(result.delta.iterations, 1);
}
END_TEST

START_TEST(sums_that_do_not_fit_the_counts_are_made_to)
{
	begin_loop();
	iterate(100 * MS, 10 * MS);
	slot.iteration.sums_ns[histogram_band(histogram_index(10 * MS))] = 0;
	slot.iteration.sums_ns[100] = 5 * SECOND;
	slot.iteration.square_high = 77;
	look();
	ck_assert_uint_eq(result.delta.iterations, 1);
	ck_assert_uint_ge(result.delta.active_ns, 10 * MS * 97 / 100);
	ck_assert_uint_le(result.delta.active_ns, 10 * MS);
	ck_assert_double_le(histogram_half_squares(&result.delta.iteration), 0.000052);
}
END_TEST

static uint64_t
random_u64(unsigned *seed)
{
	return (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^
	       (uint64_t)rand_r(seed);
}

START_TEST(random_bytes_do_no_harm)
{
	unsigned seed = (unsigned)_i + 1;

	reading.budget_ns = 3600 * SECOND;
	for (int n = 0; n < 3000; n++) {
		unsigned kind = (unsigned)rand_r(&seed) % 8;

		now += random_u64(&seed) % SECOND;
		reading.budget_ns += SECOND;
		if (kind == 0)
			memset(&slot, 0xff, sizeof(slot));
		else if (kind == 1)
			for (size_t i = 0; i < sizeof(slot) / 8; i++)
				((uint64_t *)&slot)[i] = random_u64(&seed);
		else if (kind == 2)
			memset(&slot, 0, sizeof(slot));
		else if (kind == 3)
			((uint64_t *)&slot)[random_u64(&seed) % (10312 / 8)] =
				random_u64(&seed) >> random_u64(&seed) % 64;
		else if (kind == 4)
			((uint64_t *)&slot)[random_u64(&seed) % 16] =
				now - random_u64(&seed) % (10 * SECOND);
		else if (kind == 5)
			begin_loop();
		else if (slot.born_ns && slot.born_ns < now)
			iterate(random_u64(&seed) % MS, random_u64(&seed) % (100 * MS));
		reading.owner_dead = rand_r(&seed) % 4 == 0;
		reading.closed = rand_r(&seed) % 4 == 0;
		reading.changed = rand_r(&seed) % 4 != 0;
		reading.torn = rand_r(&seed) % 4 == 0;
		look();
		ck_assert_uint_le(account.life_ns, reading.budget_ns);
		ck_assert_uint_le(view().total->active_ns, view().total->life_ns);
	}
}
END_TEST

/* A loop as it is, read at any moments, ended in all the ways there are. */
START_TEST(an_honest_loops_numbers_are_exact)
{
	unsigned seed = (unsigned)_i + 1;
	uint64_t iterations = 0, active = 0, idle = 0, readings = 0, t;

	reading.budget_ns = UINT64_MAX >> 8;
	for (int n = 0; n < 100; n++) {
		begin_loop();
		for (int i = 0; i < 50; i++) {
			t = random_u64(&seed) % (1ull << rand_r(&seed) % 30);
			idle += t;
			now += t;
			if (rand_r(&seed) % 8 == 0)
				look();
			readings++;
			wake();
			t = random_u64(&seed) % (1ull << rand_r(&seed) % 32);
			active += t;
			now += t;
			if (rand_r(&seed) % 8 == 0)
				look();
			wait();
			iterations++;
		}
		slot.ended_ns = now;
		slot.state = 0;
		slot.sequence++;
	}
	look();
	ck_assert_uint_eq(view().total->iterations, iterations);
	ck_assert_uint_eq(view().total->active_ns, active);
	/* An iteration seen in its first microsecond is no open one yet. */
	ck_assert_uint_ge(view().total->life_ns, active + idle);
	ck_assert_uint_le(view().total->life_ns, active + idle + readings * 1000);
	ck_assert_uint_eq(view().total->max_ns, slot.max_ns);
	ck_assert_mem_eq(
		&view().total->iteration, &slot.iteration, sizeof(slot.iteration));
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
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, an_unused_slot_gives_nothing);
	tcase_add_test(tcase, life_runs_from_the_first_wait_to_the_reading);
	tcase_add_test(tcase, an_iteration_that_lasts_is_open_and_then_counted_once);
	tcase_add_test(
		tcase, the_longest_of_a_reading_is_exact_also_when_it_is_no_record);
	tcase_add_test(tcase, a_loop_that_has_ended_lives_no_longer);
	tcase_add_test(tcase, loops_that_came_and_went_between_two_readings_are_counted);
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
	tcase_add_test(tcase, an_open_iteration_that_vanishes_is_kept);
	tcase_add_test(tcase, torn_readings_count_nothing_twice);
	tcase_add_test(tcase, an_iteration_shorter_than_it_looked_is_counted_once);
	tcase_add_test(tcase, without_a_common_clock_only_durations_count);
	tcase_add_test(tcase, an_iteration_that_ended_while_it_was_read_is_within_life);
	tcase_add_test(tcase, nobody_has_lived_longer_than_possible);
	tcase_add_test(tcase, counters_that_go_back_add_nothing);
	tcase_add_test(tcase, sums_that_do_not_fit_the_counts_are_made_to);
	tcase_add_loop_test(tcase, random_bytes_do_no_harm, 0, 20);
	tcase_add_loop_test(tcase, an_honest_loops_numbers_are_exact, 0, 50);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
