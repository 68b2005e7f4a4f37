/* SPDX-License-Identifier: MIT */
/* Several threads at the edges of one loop, in every order that their steps can take. What
 * must hold at each step is in cast.h, and at the end: nothing lost, nothing twice. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "probes/waits.h"
#include "tests/explore/cast.h"
#include "tests/explore/waiting.h"

#define DESCRIPTOR 5
#define LONG SEGMENT_LONG_NS

static void
set_up(void)
{
	cast_set_up();
	cast_watch(
		loops_make(&cast.maker, SEGMENT_KIND_EPOLL, DESCRIPTOR, 500, 1000, NULL));
}

/* The iterations and events of the watched loop are in all sums, each once. */
static void
check_sums(const struct segment_slot *slot)
{
	const struct histogram *h = &slot->iteration;
	uint64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BANDS; i++)
		sum += h->sums_ns[i];
	if (slot->iterations != cast.iterations || slot->active_ns != cast.active_ns ||
		histogram_total(h) != cast.iterations || sum != cast.active_ns)
		explore_fail(
			"%llu iterations of %llu ns became %llu of %llu, %llu of %llu",
			(unsigned long long)cast.iterations,
			(unsigned long long)cast.active_ns,
			(unsigned long long)slot->iterations,
			(unsigned long long)slot->active_ns,
			(unsigned long long)histogram_total(h), (unsigned long long)sum);
	if (slot->events + slot->shared_events != cast.events)
		explore_fail("%llu events became %llu and %llu",
			(unsigned long long)cast.events, (unsigned long long)slot->events,
			(unsigned long long)slot->shared_events);
}

/* --- waits come and go --- */

static bool moving; /* a thread may find the loop between two slots */

/* Turns of a thread, as many as its number and one; the clock readings of both come in another
 * order than their steps. */
static void
turn(void)
{
	unsigned self = (unsigned)explore_self();
	uint64_t now_ns = 2000 + 15000 * self;

	for (unsigned i = 0; i <= self; i++) {
		now_ns += 10000;
		if (cast_attend(now_ns))
			cast_unattend(now_ns += 400);
		else if (!moving)
			explore_fail("a thread is not counted");
	}
}

static void
check_turns(void)
{
	const struct segment_slot *slot = cast.slot;

	check_sums(slot);
	if (slot->state & SEGMENT_ATTENDED || !slot->state)
		explore_fail("all have left, and the state is %#llx",
			(unsigned long long)slot->state);
	if (slot->iterations + slot->other_waits != 3)
		explore_fail("%llu waits ended iterations, %llu did not",
			(unsigned long long)slot->iterations,
			(unsigned long long)slot->other_waits);
}

static struct explore_scenario
turns_of_two(void)
{
	struct explore_scenario scenario = cast_scene();

	scenario.count = 2;
	scenario.threads[0] = turn;
	scenario.threads[1] = turn;
	scenario.end = check_turns;
	return scenario;
}

START_TEST(nothing_is_lost_or_twice_where_two_threads_wait_for_one_instance)
{
	struct explore_scenario scenario = turns_of_two();

	scenario.buffered = _i;
	cast_expect_sound(&scenario);
}
END_TEST

START_TEST(something_would_be_if_edges_were_no_atomic_swaps)
{
	struct explore_scenario scenario = turns_of_two();

	scenario.defect = EXPLORE_SPLIT_SWAP;
	ck_assert_ptr_nonnull(cast_play(&scenario).failure);
}
END_TEST

/* --- the loop moves to another segment meanwhile --- */

static void
move_and_turn(void)
{
	loops_move(&cast.second);
	turn();
}

static void
check_moved(void)
{
	const struct segment_slot *slot = loop_slot(cast.loop);

	if (!loop_is_ours(cast.loop))
		explore_fail("the loop is lost");
	check_sums(slot);
	if (slot->state & SEGMENT_ATTENDED || !slot->state)
		explore_fail("all have left, and the state is %#llx",
			(unsigned long long)slot->state);
}

START_TEST(a_loop_that_moves_takes_all_its_counts_along)
{
	struct explore_scenario scenario = turns_of_two();

	moving = true;
	scenario.threads[1] = move_and_turn;
	scenario.end = check_moved;
	cast_expect_sound(&scenario);
}
END_TEST

/* --- the loop ends meanwhile, and another one may take what it leaves --- */

static void
enter(void)
{
	(void)loop_attend(cast.loop, &cast.threads[0], 20000);
}

static unsigned to_make;

/* The last of as many loops as there are slots takes the slot of the one that ended, if it can
 * be had. */
static void
end_and_make(void)
{
	struct loops_thread *self = &cast.threads[1];
	struct loop *loop = NULL;

	loops_end(cast.loop);
	for (unsigned i = 0; i < to_make; i++)
		loop = loops_make(self, SEGMENT_KIND_POLL, i, 30000, 31000, NULL);
	if (loop && loop_attend(loop, self, 40000))
		loop_unattend(loop, 41000, 1);
}

/* Each slot has been written whole by one after another. */
static void
check_whole(void)
{
	for (unsigned i = 0; i < CAST_SLOTS; i++) {
		const struct segment_slot *slot = &cast.segment.slots[i];

		if (histogram_total(&slot->iteration) != slot->iterations ||
			segment_is_written(slot->state, slot->sequence))
			explore_fail(
				"slot %u: %llu iterations, %llu in buckets, state %#llx",
				i, (unsigned long long)slot->iterations,
				(unsigned long long)histogram_total(&slot->iteration),
				(unsigned long long)slot->state);
	}
}

START_TEST(a_slot_is_not_taken_from_who_writes_it_when_its_loop_ends)
{
	struct explore_scenario scenario = cast_scene();

	cast_set_up();
	cast.loop = loops_make(&cast.maker, SEGMENT_KIND_POLL, 99, 500, 1000, NULL);
	scenario.count = 2;
	scenario.threads[0] = enter;
	scenario.threads[1] = end_and_make;
	scenario.end = check_whole;
	to_make = CAST_SLOTS;
	cast_expect_sound(&scenario);
	to_make = 0; /* this takes minutes otherwise */
	scenario.buffered = true;
	cast_expect_sound(&scenario);
}
END_TEST

/* --- an instance becomes a loop while several wait for it --- */

static enum { OUTSIDE, ENTERING, WAITING, LEAVING } places[EXPLORE_THREADS];
static uint64_t clocks[EXPLORE_THREADS];
static void (*begin_watch)(void);

static int
tell_time(clockid_t clock, struct timespec *ret_time)
{
	uint64_t now_ns = clocks[explore_self()] += 5000;

	(void)clock;
	*ret_time = (struct timespec){.tv_nsec = (long)now_ns};
	return 0;
}

static int
is_epoll(int descriptor)
{
	return 1;
}

static void
ignore(void)
{
}

/* When nobody is just coming or going, the loop, if there is one, is attended by those who
 * wait, and by nobody else. */
static void
look_at_loop(void)
{
	struct loop *loop = loops_find(DESCRIPTOR);
	unsigned waiting = 0;
	uint64_t state;

	for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
		if (places[i] == ENTERING || places[i] == LEAVING)
			return;
		waiting += places[i] == WAITING;
	}
	if (!loop)
		return;
	state = loop_slot(loop)->state;
	if (state & SEGMENT_ATTENDED ? (state & SEGMENT_WAITERS) != waiting || !waiting
				     : waiting)
		explore_fail("%u threads wait and the state is %#llx", waiting,
			(unsigned long long)state);
}

static void
be_at(unsigned place)
{
	places[explore_self()] = place;
	explore_aside(look_at_loop);
	explore_pause();
}

static void
wait_thrice(void)
{
	struct wait wait;

	for (unsigned i = 0; i < 2u - (unsigned)explore_self(); i++) {
		places[explore_self()] = ENTERING;
		waits_enter(&wait, SEGMENT_KIND_EPOLL, DESCRIPTOR, 2, -1, 0x7000);
		be_at(WAITING);
		places[explore_self()] = LEAVING;
		waits_leave(&wait, 1);
		be_at(OUTSIDE);
	}
}

static void
begin_outside(void)
{
	begin_watch();
	memset(places, 0, sizeof(places));
	for (unsigned i = 0; i < EXPLORE_THREADS; i++)
		clocks[i] = 100000 * (i + 1);
}

START_TEST(a_loop_begins_with_all_who_wait_for_it)
{
	static const struct waits_calls calls = {tell_time, is_epoll, ignore, ignore};
	struct explore_scenario scenario = cast_scene();

	cast_set_up();
	waits_start(&calls);
	scenario.count = 2;
	scenario.threads[0] = wait_thrice;
	scenario.threads[1] = wait_thrice;
	begin_watch = scenario.begin;
	scenario.begin = begin_outside;
	scenario.local = waiting_self(&scenario.local_bytes);
	cast_expect_sound(&scenario);
}
END_TEST

static Suite *
shared_edges_suite(void)
{
	Suite *suite = suite_create("shared edges");
	TCase *beginnings = tcase_create("beginnings");
	TCase *turns = tcase_create("turns"), *moves = tcase_create("moves");
	TCase *ends = tcase_create("ends");

	tcase_set_timeout(turns, 300);
	tcase_add_checked_fixture(turns, set_up, NULL);
	tcase_add_loop_test(turns,
		nothing_is_lost_or_twice_where_two_threads_wait_for_one_instance, 0, 2);
	tcase_add_test(turns, something_would_be_if_edges_were_no_atomic_swaps);
	suite_add_tcase(suite, turns);
	tcase_set_timeout(moves, 300);
	tcase_add_checked_fixture(moves, set_up, NULL);
	tcase_add_test(moves, a_loop_that_moves_takes_all_its_counts_along);
	suite_add_tcase(suite, moves);
	tcase_set_timeout(ends, 300);
	tcase_add_test(ends, a_slot_is_not_taken_from_who_writes_it_when_its_loop_ends);
	suite_add_tcase(suite, ends);
	tcase_set_timeout(beginnings, 300);
	tcase_add_test(beginnings, a_loop_begins_with_all_who_wait_for_it);
	suite_add_tcase(suite, beginnings);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(shared_edges_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
