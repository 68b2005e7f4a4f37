/* SPDX-License-Identifier: MIT */
/* probes/loops.c: the two edges of a wait, seen by the reader of the segment. */

#include "config.h"

#include "probes/loops.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/scene.h"

#define SLOTS SEGMENT_SLOTS_DEFAULT
#define EPOLL SEGMENT_KIND_EPOLL
#define POLL SEGMENT_KIND_POLL
#define RESTING SEGMENT_ATTENDED

static struct segment segment;
static uint32_t live;
static struct loops_thread self;

static void
set_up(void)
{
	segment = scene_segment(SLOTS);
	loops_start(&segment, &live);
}

/* A loop of this thread, unattended since 1000. */
static struct loop *
make(uint32_t kind, intptr_t key)
{
	struct loop *loop = loops_make(&self, kind, key, 500, 1000, NULL);

	ck_assert_ptr_nonnull(loop);
	return loop;
}

/* One wait from `from` to `to` that returned something. */
static void
wait_in(struct loop *loop, uint64_t from, uint64_t to)
{
	ck_assert(loop_attend(loop, &self, from));
	loop_unattend(loop, to, 1);
}

START_TEST(an_iteration_lasts_from_a_return_to_the_next_entry)
{
	struct loop *loop = make(EPOLL, 7);
	const struct segment_slot *slot = loop_slot(loop);

	ck_assert_uint_eq(slot->state, 1000);
	ck_assert_uint_eq(slot->born_ns, 500);
	ck_assert(loop_attend(loop, &self, 5000));
	scene_expect_waiters(slot, 1);
	ck_assert_uint_eq(slot->iterations, 1);
	ck_assert_uint_eq(slot->active_ns, 4000);
	loop_unattend(loop, 9000, 1);
	ck_assert_uint_eq(slot->state, 9000);
	ck_assert_uint_eq(slot->iterations, 1);
}
END_TEST

START_TEST(a_wait_for_nothing_that_is_repeated_at_once_is_the_same_wait)
{
	struct loop *loop = make(EPOLL, 7);
	const struct segment_slot *slot = loop_slot(loop);

	loop_attend(loop, &self, 5000);
	loop_unattend(loop, 6000, 0);
	loop_attend(loop, &self, 6000 + HISTOGRAM_ZERO_NS - 1);
	ck_assert_uint_eq(slot->iterations, 1);
	ck_assert_uint_eq(slot->other_waits, 1);
	scene_expect_waiters(slot, 1);
}
END_TEST

START_TEST(a_wait_for_nothing_that_is_not_repeated_at_once_ends_an_iteration)
{
	struct loop *loop = make(EPOLL, 7);
	const struct segment_slot *slot = loop_slot(loop);

	loop_attend(loop, &self, 5000);
	loop_unattend(loop, 6000, 0);
	loop_attend(loop, &self, 6000 + HISTOGRAM_ZERO_NS);
	ck_assert_uint_eq(slot->iterations, 2);
	ck_assert_uint_eq(slot->other_waits, 0);
}
END_TEST

START_TEST(a_wait_for_something_that_is_repeated_at_once_ends_an_iteration)
{
	struct loop *loop = make(EPOLL, 7);

	wait_in(loop, 5000, 6000);
	wait_in(loop, 6010, 7000);
	ck_assert_uint_eq(loop_slot(loop)->iterations, 2);
}
END_TEST

START_TEST(a_shared_loop_is_unattended_only_while_no_thread_waits)
{
	struct loop *loop = make(EPOLL, 7);
	const struct segment_slot *slot = loop_slot(loop);

	loop_attend(loop, &self, 2000);
	loop_attend(loop, &self, 3000);
	scene_expect_waiters(slot, 2);
	loop_unattend(loop, 4000, 3);
	scene_expect_waiters(slot, 1);
	loop_unattend(loop, 9000, 4);
	ck_assert_uint_eq(slot->state, 9000);
	ck_assert_uint_eq(slot->shared_events, 3);
	ck_assert_uint_eq(slot->events, 4);
	loop_attend(loop, &self, 9500);
	ck_assert_uint_eq(slot->iterations, 2);
	ck_assert_uint_eq(slot->active_ns, 1000 + 500);
	ck_assert_uint_eq(slot->other_waits, 1);
}
END_TEST

START_TEST(a_nested_wait_blocks_a_shared_loop_only_while_no_thread_waits)
{
	struct loop *loop = make(EPOLL, 7);

	loop_attend(loop, &self, 2000);
	ck_assert_uint_eq(loop_blocked_ns(loop, 3000, 5000), 0);
	loop_unattend(loop, 4000, 1);
	ck_assert_uint_eq(loop_blocked_ns(loop, 3000, 5000), 1000);
	ck_assert_uint_eq(loop_blocked_ns(loop, 4500, 5000), 500);
	ck_assert_uint_eq(loop_blocked_ns(loop, 3000, 3990), 0);
}
END_TEST

START_TEST(threads_that_waited_before_there_was_a_loop_are_waiters_of_it)
{
	const struct segment_slot *slot;

	ck_assert(loops_wait_early(7));
	ck_assert(loops_wait_early(7));
	ck_assert(loops_wait_early(7));
	loops_return_early(7, 900, 1);
	slot = loop_slot(make(EPOLL, 7));
	scene_expect_waiters(slot, 2);
	ck_assert(!loops_wait_early(7));
	loops_return_early(7, 2000, 3);
	scene_expect_waiters(slot, 1);
	loops_return_early(7, 3000, 4);
	ck_assert_uint_eq(slot->state, 3000);
	ck_assert_uint_eq(slot->shared_events, 3);
	ck_assert_uint_eq(slot->events, 4);
}
END_TEST

START_TEST(waiters_of_another_instance_or_process_are_none_of_a_loop)
{
	ck_assert(loops_wait_early(7));
	loops_forget(7);
	ck_assert_uint_eq(loop_slot(make(EPOLL, 7))->state, 1000);
	ck_assert(loops_wait_early(8));
	live = 0; /* forked */
	loops_epoch();
	loops_return_early(8, 2000, 1);
	ck_assert(loops_wait_early(8));
	ck_assert(!loops_wait_early(1 << 30));
}
END_TEST

START_TEST(a_loop_that_rests_is_attended_by_nobody_and_not_late)
{
	struct loop *loop = make(EPOLL, 7);
	const struct segment_slot *slot = loop_slot(loop);

	loop_rest(loop);
	ck_assert_uint_eq(slot->state, RESTING);
	loop_attend(loop, &self, 1000000);
	ck_assert_uint_eq(slot->iterations, 0);
	ck_assert_uint_eq(slot->other_waits, 1);
	loop_rest(loop);
	scene_expect_waiters(slot, 1);
}
END_TEST

/* How many the segment has counted since the last look. */
static uint32_t
new_wakes(void)
{
	static uint32_t known;
	uint32_t before = known;

	known = segment.header->wakes;
	return known - before;
}

START_TEST(a_loop_says_that_it_begins_and_once_a_round_that_it_wakes)
{
	const uint64_t round_ns = 1ull << SEGMENT_ROUND_SHIFT;
	struct loop *loop;

	ck_assert_uint_ne(new_wakes(), 0);
	loop = make(EPOLL, 7);
	ck_assert_uint_eq(new_wakes(), 1);
	wait_in(loop, 2000, 4 * round_ns);
	ck_assert_uint_eq(new_wakes(), 1);
	ck_assert_uint_eq(loop_slot(loop)->round, 4);
	for (int i = 1; i < 10; i++)
		wait_in(loop, 4 * round_ns + 1000 * i, 4 * round_ns + 1000 * i + 500);
	ck_assert_uint_eq(new_wakes(), 0);
	wait_in(loop, 5 * round_ns - 500, 5 * round_ns);
	ck_assert_uint_eq(new_wakes(), 1);
	ck_assert_uint_eq(loop_slot(loop)->round, 5);
	loop_attend(loop, &self, 6 * round_ns);
	ck_assert_uint_eq(new_wakes(), 0);
}
END_TEST

START_TEST(epoll_loops_are_found_by_their_descriptor_and_others_are_not)
{
	struct loop *loop = make(EPOLL, 7);

	make(POLL, 8);
	ck_assert_ptr_eq(loops_find(7), loop);
	ck_assert_ptr_null(loops_find(8));
	ck_assert_ptr_null(loops_find(-1));
	ck_assert_ptr_null(loops_find(1 << 30));
	ck_assert_ptr_null(loops_make(&self, EPOLL, 1 << 30, 500, 1000, NULL));
	ck_assert_ptr_eq(make(EPOLL, 7), loop);
	ck_assert_uint_eq(segment.header->slots_used, 2);
}
END_TEST

START_TEST(a_loop_that_is_over_ended_when_it_was_attended_last)
{
	struct loop *loop = make(EPOLL, 7);
	struct segment_slot *slot = loop_slot(loop);
	uint32_t life = loop_life(loop);

	wait_in(loop, 2000, 3000);
	loops_end(loop);
	ck_assert_uint_eq(slot->state, 0);
	ck_assert_uint_eq(slot->ended_ns, 3000);
	ck_assert_uint_ne(loop_life(loop), life);
	ck_assert(!loop_is_ours(loop));
	ck_assert_ptr_null(loops_find(7));
}
END_TEST

START_TEST(the_next_loop_of_the_thread_goes_on_in_the_same_slot)
{
	struct loop *loop = make(EPOLL, 7);
	struct segment_slot *slot = loop_slot(loop);

	wait_in(loop, 2000, 3000);
	loops_end(loop);
	loop = loops_make(&self, EPOLL, 9, 10000, 11000, NULL);
	ck_assert_ptr_eq(loop_slot(loop), slot);
	wait_in(loop, 12000, 13000);
	ck_assert_uint_eq(slot->iterations, 2);
	ck_assert_uint_eq(slot->past_life_ns, 3000 - 500);
	ck_assert_uint_eq(slot->born_ns, 10000);
	ck_assert_uint_eq(slot->life, 2);
	ck_assert_int_eq(slot->descriptor, 9);
}
END_TEST

START_TEST(loops_without_a_slot_are_counted_once_and_wait_for_room)
{
	struct loop *first = make(EPOLL, 10);

	for (int i = 1; i < (int)SLOTS; i++)
		make(EPOLL, 10 + i);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_null(loops_make(&self, EPOLL, 9, 500, 1000, NULL));
	ck_assert_uint_eq(segment.header->dropped_loops, 1);
	ck_assert_ptr_null(loops_make(&self, EPOLL, 8, 500, 1000, NULL));
	ck_assert_uint_eq(segment.header->dropped_loops, 2);
	loops_end(first);
	ck_assert_ptr_nonnull(loops_make(&self, EPOLL, 9, 500, 1000, NULL));
}
END_TEST

/* A loop of another thread, at a call site of its own, which that thread leaves behind. */
static void
make_and_leave(void *arg)
{
	struct loops_thread thread = {0};
	struct loop *loop = loops_make(&thread, POLL, (intptr_t)arg, 500, 1000, NULL);

	ck_assert_ptr_nonnull(loop);
	ck_assert(loop_attend(loop, &thread, 2000));
	loop_unattend(loop, 3000, 1);
}

START_TEST(threads_that_come_and_go_always_find_room)
{
	uint64_t iterations = 0;
	unsigned stalled = 0;

	for (intptr_t i = 1; i <= 1200; i++)
		scene_in_thread(make_and_leave, (void *)i);
	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct segment_slot *slot = &segment.slots[i];
		const uint32_t *lock = segment.threads[slot->thread].lock;

		iterations += slot->iterations;
		stalled += slot->state &&
			   !(lock[segment.header->owner_word] & SEGMENT_OWNER_DIED);
	}
	ck_assert_uint_eq(iterations, 1200);
	ck_assert_uint_eq(stalled, 0);
	ck_assert_uint_eq(segment.header->dropped_loops, 0);
	ck_assert_uint_eq(segment.header->dropped_threads, 0);
}
END_TEST

static struct loop *shared;

static void
make_shared(void *arg)
{
	struct loops_thread thread = {0};

	shared = loops_make(&thread, EPOLL, 7, 500, 1000, NULL);
}

START_TEST(a_loop_whose_slot_was_taken_is_over_and_leaves_that_slot_alone)
{
	struct segment_slot *slot;
	uint64_t iterations;

	scene_in_thread(make_shared, NULL);
	slot = loop_slot(shared);
	for (int i = 0; i < (int)SLOTS; i++)
		make(EPOLL, 10 + i);
	ck_assert_int_ne(slot->descriptor, 7);
	iterations = slot->iterations;
	ck_assert(!loop_attend(shared, &self, 5000));
	loop_unattend(shared, 6000, 1);
	loop_rest(shared);
	ck_assert_uint_eq(slot->iterations, iterations);
	ck_assert_uint_eq(slot->state, 1000);
	ck_assert_ptr_null(loops_find(7));
}
END_TEST

START_TEST(a_shared_loop_survives_the_thread_that_had_it_first)
{
	struct segment_slot *slot;

	scene_in_thread(make_shared, NULL);
	slot = loop_slot(shared);
	make(EPOLL, 8);
	wait_in(shared, 2000, 3000);
	ck_assert_uint_eq(slot->thread, (uint32_t)self.record);
	ck_assert_uint_eq(slot->iterations, 1);
}
END_TEST

static void
be_child(void *parents)
{
	const uint32_t epoch = loops_epoch();

	live = 0; /* as the kernel leaves the page in a child */
	if (loops_epoch() == epoch || loop_is_ours(parents) || loops_find(7))
		abort();
	wait_in(make(EPOLL, 7), 2000, 3000);
}

START_TEST(a_forked_child_has_none_of_its_parents_loops)
{
	scene_in_child(be_child, make(EPOLL, 7));
	ck_assert_uint_eq(segment.header->slots_used, 2);
	ck_assert_uint_eq(segment.slots[0].state, 1000);
	ck_assert_uint_eq(segment.slots[1].state, 3000);
	ck_assert_uint_eq(segment.slots[1].iterations, 1);
}
END_TEST

START_TEST(loops_move_to_another_segment_with_all_their_counts)
{
	struct loop *loop = make(EPOLL, 7);
	struct segment_slot *old = loop_slot(loop), *new;
	struct segment next = scene_segment(SLOTS);

	wait_in(loop, 2000, 3000);
	old->events = 77;
	old->shared_events = 5;
	loops_move(&next);
	ck_assert_ptr_eq(loops_header(), next.header);
	wait_in(loop, 4000, 5000);
	new = loop_slot(loop);
	ck_assert_ptr_eq(new, &next.slots[0]);
	ck_assert_uint_eq(old->state, 0);
	ck_assert_uint_eq(new->state, 5000);
	ck_assert_uint_eq(new->iterations, 2);
	ck_assert_uint_eq(new->events, 77 + 1);
	ck_assert_uint_eq(new->shared_events, 5);
	ck_assert_uint_eq(new->born_ns, 500);
	ck_assert_mem_eq(&new->iteration, &old->iteration, sizeof(new->iteration));
	ck_assert_uint_eq(next.header->slots_used, 1);
	wait_in(loop, 6000, 7000);
	ck_assert_uint_eq(new->iterations, 3);
}
END_TEST

START_TEST(that_it_wakes_is_news_in_the_segment_that_it_has_moved_to)
{
	const uint64_t now_ns = 9ull << SEGMENT_ROUND_SHIFT;
	struct loop *loop = make(EPOLL, 7);
	struct segment next = scene_segment(SLOTS);

	wait_in(loop, 2000, now_ns);
	loops_move(&next);
	wait_in(loop, now_ns + 1000, now_ns + 2000);
	ck_assert_ptr_eq(loop_slot(loop), &next.slots[0]);
	ck_assert_uint_eq(next.header->wakes, 2);
}
END_TEST

START_TEST(a_loop_moves_although_a_new_one_has_taken_its_place)
{
	struct loop *loop = make(EPOLL, 7);
	struct segment next = scene_segment(SLOTS);

	loops_move(&next);
	make(EPOLL, 8);
	wait_in(loop, 4000, 5000);
	ck_assert_ptr_eq(loop_slot(loop), &next.slots[1]);
	ck_assert_uint_eq(next.slots[0].iterations, 0);
	ck_assert_uint_eq(next.slots[1].iterations, 1);
	ck_assert_int_eq(next.slots[1].descriptor, 7);
}
END_TEST

static Suite *
loops_suite(void)
{
	Suite *suite = suite_create("loops");
	TCase *edges = tcase_create("edges"), *table = tcase_create("table");
	TCase *move = tcase_create("move");

	tcase_add_checked_fixture(edges, set_up, NULL);
	tcase_add_test(edges, an_iteration_lasts_from_a_return_to_the_next_entry);
	tcase_add_test(
		edges, a_wait_for_nothing_that_is_repeated_at_once_is_the_same_wait);
	tcase_add_test(
		edges, a_wait_for_nothing_that_is_not_repeated_at_once_ends_an_iteration);
	tcase_add_test(
		edges, a_wait_for_something_that_is_repeated_at_once_ends_an_iteration);
	tcase_add_test(edges, a_shared_loop_is_unattended_only_while_no_thread_waits);
	tcase_add_test(
		edges, a_nested_wait_blocks_a_shared_loop_only_while_no_thread_waits);
	tcase_add_test(
		edges, threads_that_waited_before_there_was_a_loop_are_waiters_of_it);
	tcase_add_test(edges, waiters_of_another_instance_or_process_are_none_of_a_loop);
	tcase_add_test(edges, a_loop_that_rests_is_attended_by_nobody_and_not_late);
	tcase_add_test(edges, a_loop_says_that_it_begins_and_once_a_round_that_it_wakes);
	suite_add_tcase(suite, edges);
	tcase_add_checked_fixture(table, set_up, NULL);
	tcase_add_test(
		table, epoll_loops_are_found_by_their_descriptor_and_others_are_not);
	tcase_add_test(table, a_loop_that_is_over_ended_when_it_was_attended_last);
	tcase_add_test(table, the_next_loop_of_the_thread_goes_on_in_the_same_slot);
	tcase_add_test(table, loops_without_a_slot_are_counted_once_and_wait_for_room);
	tcase_add_test(table, threads_that_come_and_go_always_find_room);
	tcase_add_test(
		table, a_loop_whose_slot_was_taken_is_over_and_leaves_that_slot_alone);
	tcase_add_test(table, a_shared_loop_survives_the_thread_that_had_it_first);
	tcase_add_test(table, a_forked_child_has_none_of_its_parents_loops);
	suite_add_tcase(suite, table);
	tcase_add_checked_fixture(move, set_up, NULL);
	tcase_add_test(move, loops_move_to_another_segment_with_all_their_counts);
	tcase_add_test(move, that_it_wakes_is_news_in_the_segment_that_it_has_moved_to);
	tcase_add_test(move, a_loop_moves_although_a_new_one_has_taken_its_place);
	suite_add_tcase(suite, move);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(loops_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
