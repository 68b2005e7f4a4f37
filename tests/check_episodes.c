/* SPDX-License-Identifier: MIT */
/* Episodes: each iteration longer than the threshold is told once, with its exact length,
 * at whatever moments the slot is looked at. The account that judges what lasts is the real
 * one. */

#include "config.h"

#include "daemon/episodes.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/account.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define START (1000 * SECOND)
#define THRESHOLD (100 * MS)

static struct segment_slot slot;
static struct account account;
static struct account_reading reading;
static struct account_result result;
static struct episodes episodes;
static struct episodes_look look;
static uint64_t now;

/* What was told. */
static struct episode told[EPISODES_MAX];
static size_t told_count;

static void
set_up(void)
{
	memset(&slot, 0, sizeof(slot));
	memset(&account, 0, sizeof(account));
	memset(&episodes, 0, sizeof(episodes));
	look = (struct episodes_look){.threshold_ns = THRESHOLD};
	reading = (struct account_reading){.budget_ns = UINT64_MAX >> 8, .changed = true};
	now = START;
}

static void
look_now(void)
{
	reading.now_ns = reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	look.after_ns = now;
	look.budget_ns = reading.budget_ns;
	look.open_since = account.open_since;
	look.open_ns = result.open_ns;
	look.died_ns = reading.process_dead ? reading.died_ns : 0;
	look.torn = reading.torn && result.alive;
	told_count = episodes_look(&episodes, &slot, &look, told);
	ck_assert_uint_le(told_count, EPISODES_MAX);
}

static void
begin_loop(void)
{
	if (slot.born_ns)
		slot.past_life_ns += now - slot.born_ns;
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
		slot.ring[slot.long_count++ % SEGMENT_RING] =
			(struct segment_long){slot.state, length, 7, slot.iterations};
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

static void
expect(size_t index, enum episodes_event event, uint64_t start_ns, uint64_t length_ns)
{
	ck_assert_uint_lt(index, told_count);
	ck_assert_int_eq(told[index].event, event);
	ck_assert_uint_eq(told[index].start_ns, start_ns);
	ck_assert_uint_eq(told[index].length_ns, length_ns);
}

START_TEST(one_that_began_and_ended_between_two_looks_is_told_whole)
{
	begin_loop();
	look_now();
	ck_assert_uint_eq(told_count, 0);
	iterate(MS, 120 * MS);
	iterate(MS, THRESHOLD);
	iterate(MS, THRESHOLD + 1);
	look_now();
	ck_assert_uint_eq(told_count, 2);
	expect(0, EPISODES_WHOLE, START + MS, 120 * MS);
	ck_assert_uint_eq(told[0].nested_ns, 7);
	expect(1, EPISODES_WHOLE, now - THRESHOLD - 1, THRESHOLD + 1);
	look_now();
	ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(one_that_lasts_opens_goes_on_and_ends_with_its_exact_length)
{
	uint64_t since;

	begin_loop();
	now += MS;
	since = now;
	wake();
	now += THRESHOLD;
	look_now();
	ck_assert_uint_eq(told_count, 0);
	now += 1;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_OPEN, since, THRESHOLD + 1);
	now += SECOND;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_GOES_ON, since, SECOND + THRESHOLD + 1);
	now += 5;
	wait();
	iterate(MS, 200 * MS);
	look_now();
	ck_assert_uint_eq(told_count, 2);
	expect(0, EPISODES_ENDED, since, SECOND + THRESHOLD + 6);
	expect(1, EPISODES_WHOLE, now - 200 * MS, 200 * MS);
	look_now();
	ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(one_that_its_process_did_not_survive_ends_when_that_died)
{
	begin_loop();
	wake();
	now += SECOND;
	look_now();
	expect(0, EPISODES_OPEN, START, SECOND);
	now += 50 * MS;
	reading.owner_dead = reading.process_dead = true;
	reading.died_ns = now;
	now += 10 * MS;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_ENDED, START, SECOND + 50 * MS);
	look_now();
	ck_assert_uint_eq(told_count, 0);
}
END_TEST

START_TEST(one_whose_loop_is_over_ends_with_what_is_known)
{
	begin_loop();
	wake();
	now += SECOND;
	look_now();
	reading.closed = true;
	now += SECOND;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_ENDED, START, SECOND);
	/* It was not over after all, and is told no second time. */
	reading.closed = false;
	wait();
	look_now();
	ck_assert_uint_eq(told_count, 0);
	iterate(MS, 300 * MS);
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_WHOLE, now - 300 * MS, 300 * MS);
}
END_TEST

START_TEST(one_that_vanished_without_an_entry_ends_with_what_is_known)
{
	begin_loop();
	wake();
	now += SECOND;
	look_now();
	/* The loop rests inside the wait of another one. */
	slot.state = SEGMENT_ATTENDED;
	slot.sequence++;
	now += MS;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_ENDED, START, SECOND);
}
END_TEST

START_TEST(a_torn_look_tells_nothing_and_loses_nothing)
{
	begin_loop();
	wake();
	now += SECOND;
	look_now();
	now += SECOND;
	wait();
	slot.state |= SEGMENT_RECORDING;
	reading.torn = true;
	look_now();
	ck_assert_uint_eq(told_count, 0);
	slot.state &= ~SEGMENT_RECORDING;
	reading.torn = false;
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_ENDED, START, 2 * SECOND);
}
END_TEST

START_TEST(what_was_told_by_an_earlier_daemon_is_not_told_again)
{
	begin_loop();
	iterate(MS, 200 * MS);
	look.known_ns = now + MS;
	iterate(2 * MS, 300 * MS);
	look_now();
	ck_assert_uint_eq(told_count, 1);
	expect(0, EPISODES_WHOLE, now - 300 * MS, 300 * MS);
}
END_TEST

START_TEST(a_ring_that_overflowed_is_counted)
{
	begin_loop();
	look_now();
	for (int i = 0; i < 40; i++)
		iterate(MS, 200 * MS);
	look_now();
	ck_assert_uint_eq(told_count, SEGMENT_RING);
	ck_assert_uint_eq(episodes.lost, 8);
	look_now();
	ck_assert_uint_eq(episodes.lost, 8);
}
END_TEST

START_TEST(without_a_common_clock_what_has_ended_is_told)
{
	begin_loop();
	wake();
	now += 200 * MS;
	wait();
	reading.now_ns = 0;
	account_update(&account, &slot, &reading, &result);
	look.budget_ns = reading.budget_ns;
	told_count = episodes_look(&episodes, &slot, &look, told);
	expect(0, EPISODES_WHOLE, START, 200 * MS);
}
END_TEST

START_TEST(a_quick_look_at_the_ring_knows_whether_it_has_news)
{
	begin_loop();
	ck_assert(!episodes_skip(&episodes, slot.ring, slot.long_count, THRESHOLD));
	look_now();
	for (int i = 0; i < 10; i++)
		iterate(MS, 50 * MS);
	ck_assert(episodes_skip(&episodes, slot.ring, slot.long_count, THRESHOLD));
	iterate(MS, 150 * MS);
	ck_assert(!episodes_skip(&episodes, slot.ring, slot.long_count, THRESHOLD));
	look_now();
	ck_assert_uint_eq(told_count, 1);
	for (int i = 0; i < 20; i++)
		iterate(MS, 50 * MS);
	/* So many that the next ones may overwrite them. */
	ck_assert(!episodes_skip(&episodes, slot.ring, slot.long_count, THRESHOLD));
	look_now();
	ck_assert_uint_eq(told_count, 0);
	ck_assert_uint_eq(episodes.lost, 0);
}
END_TEST

static unsigned seed;

static uint64_t
random_up_to(uint64_t limit)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % (limit + 1);
}

/* The iterations that are longer than the threshold, as they are. */
static struct {
	uint64_t start_ns, length_ns, least_ns;
} truth[4096];
static size_t truth_count, truth_told;
static bool open_told;

/* Look, and compare what is told with what is so. */
static void
look_and_compare(void)
{
	look_now();
	for (size_t i = 0; i < told_count; i++) {
		const struct episode *episode = &told[i];

		if (episode->event == EPISODES_OPEN) {
			ck_assert(!open_told);
			open_told = true;
			ck_assert_uint_eq(episode->start_ns, slot.state);
			ck_assert_uint_eq(episode->length_ns, now - slot.state);
			continue;
		}
		if (episode->event == EPISODES_GOES_ON) {
			ck_assert(open_told);
			ck_assert_uint_eq(episode->start_ns, slot.state);
			continue;
		}
		ck_assert(open_told == (episode->event == EPISODES_ENDED));
		open_told = false;
		ck_assert_uint_lt(truth_told, truth_count);
		ck_assert_uint_eq(episode->start_ns, truth[truth_told].start_ns);
		ck_assert_uint_le(episode->length_ns, truth[truth_told].length_ns);
		ck_assert_uint_ge(episode->length_ns, truth[truth_told].least_ns);
		truth_told++;
	}
}

static void
add_truth(uint64_t start_ns, uint64_t length_ns, uint64_t least_ns)
{
	if (length_ns <= THRESHOLD)
		return;
	truth[truth_count].start_ns = start_ns;
	truth[truth_count].length_ns = length_ns;
	truth[truth_count++].least_ns = least_ns;
}

/* Sometimes look, as a scrape, a tick or a torn reading does. */
static void
perhaps_look(void)
{
	switch (random_up_to(7)) {
	case 0:
	case 1:
		look_and_compare();
		break;
	case 2:
		reading.torn = true;
		look_and_compare();
		reading.torn = false;
		break;
	case 3:
		episodes_skip(&episodes, slot.ring, slot.long_count, THRESHOLD);
		break;
	default:
		break;
	}
}

static void
live_one_life(void)
{
	begin_loop();
	for (int i = 0; i < 20; i++) {
		uint64_t busy_ns = random_up_to(1ull << random_up_to(30));

		now += random_up_to(20 * MS);
		perhaps_look();
		wake();
		for (int part = 0; part < 3; part++) {
			now += busy_ns / 3;
			perhaps_look();
		}
		now += busy_ns % 3;
		add_truth(slot.state, now - slot.state, now - slot.state);
		wait();
		perhaps_look();
	}
	if (random_up_to(1)) {
		slot.ended_ns = now;
		slot.state = 0;
		slot.sequence++;
		perhaps_look();
		return;
	}
	/* It dies in an iteration: only what was seen of it is known. */
	wake();
	now += random_up_to(SECOND);
	look_and_compare();
	if (now - slot.state > THRESHOLD)
		add_truth(slot.state, now - slot.state, now - slot.state);
	now += MS;
	reading.owner_dead = true;
	look_and_compare();
	reading.owner_dead = false;
}

START_TEST(each_long_iteration_of_many_lives_is_told_once)
{
	seed = (unsigned)_i + 1;
	truth_count = truth_told = 0;
	open_told = false;
	for (int life = 0; life < 20; life++)
		live_one_life();
	look_and_compare();
	ck_assert(!open_told);
	ck_assert_uint_eq(episodes.lost, 0);
	ck_assert_uint_eq(truth_told, truth_count);
	ck_assert_uint_gt(truth_count, 20);
}
END_TEST

/* Whatever a slot says: there is never more of stalls than of time. */
START_TEST(liars_have_no_more_stalls_than_time)
{
	uint64_t end_ns = 0, sum_ns = 0;

	seed = (unsigned)_i + 1;
	reading.budget_ns = 10 * SECOND;
	for (int n = 0; n < 2000; n++) {
		now += random_up_to(10 * MS);
		reading.budget_ns += 10 * MS;
		for (size_t i = 0; i < SEGMENT_RING; i++)
			slot.ring[i] = (struct segment_long){
				now - random_up_to(20 * SECOND),
				random_up_to(1ull << random_up_to(40)),
				random_up_to(SECOND), random_up_to(1ull << n % 60)};
		slot.iterations = random_up_to(1ull << n % 60);
		slot.long_count = random_up_to(1ull << n % 60);
		slot.state = random_up_to(3) ? now - random_up_to(SECOND)
					     : random_up_to(UINT64_MAX >> 1);
		slot.born_ns = START - SECOND;
		slot.sequence++;
		look_now();
		for (size_t i = 0; i < told_count; i++) {
			if (told[i].event == EPISODES_OPEN ||
				told[i].event == EPISODES_GOES_ON)
				continue;
			ck_assert_uint_ge(told[i].start_ns, end_ns);
			end_ns = told[i].start_ns + told[i].length_ns;
			ck_assert_uint_le(end_ns, now);
			sum_ns += told[i].length_ns;
		}
		ck_assert_uint_le(sum_ns, reading.budget_ns);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("episodes");
	TCase *tcase = tcase_create("episodes");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, one_that_began_and_ended_between_two_looks_is_told_whole);
	tcase_add_test(
		tcase, one_that_lasts_opens_goes_on_and_ends_with_its_exact_length);
	tcase_add_test(tcase, one_that_its_process_did_not_survive_ends_when_that_died);
	tcase_add_test(tcase, one_whose_loop_is_over_ends_with_what_is_known);
	tcase_add_test(tcase, one_that_vanished_without_an_entry_ends_with_what_is_known);
	tcase_add_test(tcase, a_torn_look_tells_nothing_and_loses_nothing);
	tcase_add_test(tcase, what_was_told_by_an_earlier_daemon_is_not_told_again);
	tcase_add_test(tcase, a_ring_that_overflowed_is_counted);
	tcase_add_test(tcase, without_a_common_clock_what_has_ended_is_told);
	tcase_add_test(tcase, a_quick_look_at_the_ring_knows_whether_it_has_news);
	tcase_add_loop_test(
		tcase, each_long_iteration_of_many_lives_is_told_once, 0, 100);
	tcase_add_loop_test(tcase, liars_have_no_more_stalls_than_time, 0, 20);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
