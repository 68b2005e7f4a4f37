/* SPDX-License-Identifier: MIT */
/* probes/waits.c: which wait calls make a loop, and what the others mean to it. The clock
 * stands still but for what a test lets pass. */

#include "config.h"

#include "probes/waits.h"

#include <errno.h>
#include <stdlib.h>

#include <check.h>

#include "probes/loops.h"
#include "tests/scene.h"

#define EPOLL SEGMENT_KIND_EPOLL
#define POLL SEGMENT_KIND_POLL
#define SELECT SEGMENT_KIND_SELECT
#define SITE 0x400100    /* of some call in the program */
#define FRAME 0x7ff00000 /* of the wrapper; nested calls have lower ones */
#define MS 1000000u

static struct segment segment;
static uint32_t live;
static uint64_t now_ns;
static int closed; /* the descriptor that is no epoll instance any more */
static unsigned first_loops, epoll_checks;
static int settled;
static void (*while_at_work)(void); /* called from inside, as a signal handler would be */

static uint64_t
clock_ns(void)
{
	void (*call)(void) = while_at_work;

	while_at_work = NULL;
	if (call)
		call();
	return now_ns;
}

static int
is_epoll(int descriptor)
{
	epoll_checks++;
	return descriptor != closed;
}

static void
on_first_loop(void)
{
	first_loops++;
}

static void
settle(void)
{
	settled++;
}

static void
set_up(void)
{
	static const struct waits_calls calls = {
		clock_ns, is_epoll, on_first_loop, settle};

	segment = scene_segment(SEGMENT_SLOTS_DEFAULT);
	now_ns = 1000 * MS;
	closed = -1;
	waits_start(&calls);
	loops_start(&segment, &live);
}

static const struct segment_slot *
slot(unsigned index)
{
	return &segment.slots[index];
}

/* A wait of a millisecond that returns `result`, after a millisecond of work. */
static void
wait_for(uint32_t kind, intptr_t key, unsigned descriptors, int result, uintptr_t frame)
{
	struct wait wait;

	now_ns += MS;
	waits_enter(&wait, kind, key, descriptors, -1, frame);
	now_ns += MS;
	waits_leave(&wait, result);
}

static void
epoll(int descriptor)
{
	wait_for(EPOLL, descriptor, 2, 1, FRAME);
}

/* An epoll loop with descriptor 3 in slot 0, unattended. */
static void
make_loop(void)
{
	epoll(3);
	epoll(3);
	ck_assert_uint_eq(slot(0)->state, now_ns);
}

static uint64_t
used(void)
{
	return segment.header->slots_used;
}

START_TEST(an_epoll_instance_is_a_loop_from_its_second_wait_on)
{
	epoll(3);
	ck_assert_uint_eq(used(), 0);
	ck_assert_uint_eq(segment.header->other_waits[EPOLL - 1], 1);
	epoll(3);
	ck_assert_uint_eq(used(), 1);
	ck_assert_uint_eq(slot(0)->kind, EPOLL);
	ck_assert_int_eq(slot(0)->descriptor, 3);
	ck_assert_uint_eq(slot(0)->born_ns, 1001 * MS);
	ck_assert_uint_eq(slot(0)->iterations, 1);
	ck_assert_uint_eq(slot(0)->active_ns, MS);
	ck_assert_uint_eq(segment.header->other_waits[EPOLL - 1], 1);
}
END_TEST

START_TEST(a_wait_that_failed_says_nothing_of_a_loop)
{
	/* A dormant loop is interrupted by every child's end that it has nothing to do with. */
	for (int i = 0; i < 100; i++)
		wait_for(EPOLL, 3, 2, i % 2 ? -EBADF : -EINTR, FRAME);
	ck_assert_uint_eq(used(), 0);
	epoll(3);
	wait_for(EPOLL, 3, 2, -EINTR, FRAME);
	ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(a_call_site_is_a_loop_from_its_sixteenth_wait_on)
{
	uint32_t kind = _i;

	for (int i = 1; i < 16; i++)
		wait_for(kind, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(used(), 0);
	wait_for(kind, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(used(), 1);
	ck_assert_uint_eq(slot(0)->kind, kind);
	ck_assert_int_eq(slot(0)->descriptor, -1);
	/* Once it is one, it is whatever it waits for. */
	wait_for(kind, SITE, 1, 1, FRAME);
	ck_assert_uint_eq(slot(0)->iterations, 2);
}
END_TEST

START_TEST(a_call_site_that_waits_for_one_descriptor_or_none_is_no_loop)
{
	for (int i = 0; i < 1000; i++) {
		wait_for(POLL, SITE, 1, 1, FRAME);
		wait_for(SELECT, SITE + 1, 0, 0, FRAME);
	}
	ck_assert_uint_eq(used(), 0);
	ck_assert_uint_eq(segment.header->other_waits[POLL - 1], 1000);
	ck_assert_uint_eq(segment.header->other_waits[SELECT - 1], 1000);
}
END_TEST

START_TEST(call_sites_in_a_thread_with_an_epoll_loop_are_none)
{
	make_loop();
	for (int i = 0; i < 1000; i++)
		wait_for(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(call_sites_that_wait_by_turns_are_all_remembered)
{
	for (int i = 0; i < 15; i++)
		for (int site = 0; site < 8; site++)
			wait_for(POLL, SITE + site, 2, 1, FRAME);
	wait_for(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(a_wait_inside_an_iteration_is_part_of_it)
{
	make_loop();
	wait_for(POLL, SITE, 1, 1, FRAME);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, MS);
	wait_for(EPOLL, 4, 2, 1, FRAME);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 2 * MS);
	epoll(3);
	ck_assert_uint_eq(slot(0)->iterations, 2);
	ck_assert_uint_eq(slot(0)->max_ns, 5 * MS);
	ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(a_wait_inside_an_iteration_is_told_of_while_it_lasts)
{
	struct wait wait;
	uint64_t began_ns;

	make_loop();
	ck_assert_uint_eq(slot(0)->nested_since_ns, 0);
	now_ns += MS;
	began_ns = now_ns;
	waits_enter(&wait, POLL, SITE, 1, -1, FRAME);
	now_ns += MS;
	ck_assert_uint_eq(slot(0)->nested_since_ns, began_ns);
	waits_leave(&wait, 1);
	ck_assert_uint_eq(slot(0)->nested_since_ns, 0);
	/* The loop's own wait is none. */
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	ck_assert_uint_eq(slot(0)->nested_since_ns, 0);
	waits_leave(&wait, 1);
}
END_TEST

START_TEST(a_thread_that_was_held_settles_at_its_next_wait_once)
{
	make_loop();
	waits_hold();
	ck_assert_int_eq(settled, 0);
	epoll(3);
	ck_assert_int_eq(settled, 1);
	epoll(3);
	ck_assert_int_eq(settled, 1);
}
END_TEST

START_TEST(a_nested_instance_is_a_loop_from_its_sixty_fourth_wait_on)
{
	make_loop();
	for (int i = 1; i < 64; i++) {
		epoll(4);
		epoll(3);
	}
	ck_assert_uint_eq(used(), 1);
	epoll(4);
	ck_assert_uint_eq(used(), 2);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 64 * MS);
	ck_assert_uint_eq(slot(1)->state, now_ns);
	/* While its outer loop waits it rests. */
	epoll(3);
	ck_assert_uint_eq(slot(1)->state, SEGMENT_ATTENDED);
	epoll(4);
	ck_assert_uint_eq(slot(1)->iterations, 1);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 65 * MS);
	ck_assert_uint_eq(slot(0)->iterations, 65);
}
END_TEST

START_TEST(a_loop_that_follows_another_one_takes_its_place)
{
	make_loop();
	closed = 3;
	epoll(4);
	epoll(4);
	ck_assert_uint_eq(used(), 1);
	ck_assert_int_eq(slot(0)->descriptor, 4);
	ck_assert_uint_eq(slot(0)->iterations, 2);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, MS);
	ck_assert_uint_eq(slot(0)->past_life_ns, 3 * MS);
	ck_assert_uint_eq(epoll_checks, 1);
}
END_TEST

START_TEST(a_loop_that_follows_a_call_sites_takes_its_place)
{
	/* As a child's output read by poll() at the start, and the server's loop then. */
	for (int i = 0; i < 20; i++)
		wait_for(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(used(), 1);
	for (int i = 0; i < 20; i++)
		epoll(4);
	ck_assert_int_eq(slot(1)->descriptor, 4);
	ck_assert_uint_eq(slot(1)->state, now_ns);
	ck_assert_uint_eq(slot(0)->state, 0);
	for (int i = 0; i < 20; i++)
		wait_for(SELECT, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(slot(1)->nested_wait_ns, 20 * MS);
}
END_TEST

START_TEST(waits_inside_a_call_sites_iterations_do_not_end_it)
{
	for (int i = 0; i < 20; i++)
		wait_for(POLL, SITE, 2, 1, FRAME);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 5; j++)
			wait_for(SELECT, SITE + 1, 2, 1, FRAME);
		wait_for(POLL, SITE, 2, 1, FRAME);
	}
	ck_assert_uint_eq(used(), 1);
	ck_assert_uint_eq(slot(0)->iterations, 15);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 50 * MS);
}
END_TEST

START_TEST(a_new_instance_with_a_known_descriptor_is_another_loop)
{
	make_loop();
	waits_forget(3);
	ck_assert_uint_eq(slot(0)->state, 0);
	epoll(3);
	ck_assert_uint_eq(slot(0)->state, 0);
	epoll(3);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	ck_assert_uint_eq(slot(0)->life, 2);
	ck_assert_uint_eq(used(), 1);
}
END_TEST

START_TEST(waits_of_short_lived_instances_do_not_add_up_to_a_loop)
{
	make_loop();
	for (int i = 0; i < 100; i++) {
		waits_forget(4);
		epoll(4);
		epoll(4);
		epoll(4);
	}
	ck_assert_uint_eq(used(), 1);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 300 * MS);
}
END_TEST

START_TEST(every_wait_is_counted_once)
{
	uint64_t others = 0;

	for (int i = 0; i < 1000; i++) {
		epoll(3);
		if (i % 3 == 0)
			epoll(4);
		if (i % 5 == 0)
			wait_for(POLL, SITE, 2, -EINTR, FRAME);
		if (i % 7 == 0)
			wait_for(EPOLL, 3, 2, 0, FRAME);
	}
	for (unsigned i = 0; i < 4; i++)
		others += segment.header->other_waits[i];
	for (unsigned i = 0; i < used(); i++)
		others += slot(i)->iterations + slot(i)->other_waits;
	ck_assert_uint_eq(others, 1000 + 334 + 200 + 143);
}
END_TEST

START_TEST(results_are_events_and_lateness_is_the_kernels)
{
	struct wait wait;

	make_loop();
	wait_for(EPOLL, 3, 2, 5, FRAME);
	ck_assert_uint_eq(slot(0)->events, 1 + 5);
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	now_ns += 12 * MS;
	waits_leave(&wait, 0);
	ck_assert_uint_eq(band_histogram_total(&slot(0)->wakeup), 1);
	ck_assert_uint_eq(slot(0)->wakeup.sum_ns, 2 * MS);
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	now_ns += 12 * MS;
	waits_leave(&wait, 1);
	waits_enter(&wait, EPOLL, 3, 2, 0, FRAME);
	waits_leave(&wait, 0);
	ck_assert_uint_eq(band_histogram_total(&slot(0)->wakeup), 1);
}
END_TEST

START_TEST(the_first_loop_is_told_once)
{
	make_loop();
	ck_assert_uint_eq(first_loops, 1);
	waits_forget(3);
	make_loop();
	ck_assert_uint_eq(first_loops, 1);
}
END_TEST

START_TEST(a_wait_in_a_signal_handler_is_no_wait_of_the_thread)
{
	struct wait wait;

	make_loop();
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	wait_for(POLL, SITE, 1, 1, FRAME - 4096);
	wait_for(EPOLL, 9, 1, 1, FRAME - 4096);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	now_ns += MS;
	waits_leave(&wait, 1);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, 0);
	ck_assert_uint_eq(segment.header->other_waits[POLL - 1], 1);
}
END_TEST

static void
wait_in_handler(void)
{
	struct wait wait;

	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME - 4096);
	ck_assert_uint_eq(wait.frame, 0);
	waits_leave(&wait, 1);
}

START_TEST(a_signal_handler_that_interrupts_our_work_is_not_recorded)
{
	struct wait wait;

	make_loop();
	while_at_work = wait_in_handler;
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	while_at_work = wait_in_handler;
	waits_leave(&wait, 1);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	epoll(3);
	ck_assert_uint_eq(slot(0)->iterations, 3);
}
END_TEST

/* Where the next wait's frame is after a siglongjmp() out of a wait. */
static const uintptr_t frames_after_jump[] = {FRAME, FRAME + 512, FRAME - 512};

START_TEST(a_wait_left_by_longjmp_is_over_with_the_next_one)
{
	struct wait left;
	uintptr_t frame = frames_after_jump[_i];

	make_loop();
	now_ns += MS;
	waits_enter(&left, EPOLL, 3, 2, -1, FRAME);
	now_ns += MS;
	wait_for(EPOLL, 3, 2, 1, frame);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	wait_for(EPOLL, 3, 2, 1, frame);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	ck_assert_uint_ge(slot(0)->iterations + slot(0)->other_waits, 4);
	ck_assert_uint_eq(slot(0)->active_ns, 3 * MS);
}
END_TEST

START_TEST(a_first_wait_left_by_longjmp_is_no_waiter_of_the_loop)
{
	struct wait left;

	waits_enter(&left, EPOLL, 3, 2, -1, FRAME);
	now_ns += MS;
	wait_for(EPOLL, 3, 2, 1, frames_after_jump[_i]);
	wait_for(EPOLL, 3, 2, 1, frames_after_jump[_i]);
	ck_assert_uint_eq(used(), 1);
	ck_assert_uint_eq(slot(0)->state, now_ns);
}
END_TEST

static void
wait_for_ever(void *unused)
{
	struct wait wait;

	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
}

START_TEST(a_thread_in_its_first_wait_attends_the_loop_that_another_one_makes)
{
	scene_in_lasting_thread(wait_for_ever, NULL);
	epoll(3);
	epoll(3);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	epoll(3);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	ck_assert_uint_eq(slot(0)->active_ns, 0);
}
END_TEST

/* Forked in a signal handler inside a wait. */
static void
be_child(void *wait)
{
	live = 0; /* as the kernel leaves the page in a child */
	waits_leave(wait, 1);
	epoll(3);
	epoll(3);
	epoll(3);
	if (first_loops != 2)
		abort();
}

START_TEST(a_forked_child_has_loops_of_its_own)
{
	struct wait wait;

	make_loop();
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	scene_in_child(be_child, &wait);
	ck_assert_uint_eq(used(), 2);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	ck_assert_uint_eq(slot(0)->iterations, 2);
	ck_assert_uint_eq(slot(1)->iterations, 2);
}
END_TEST

START_TEST(loops_that_find_no_room_are_counted_once)
{
	for (int i = 0; i < (int)SEGMENT_SLOTS_DEFAULT; i++)
		ck_assert_ptr_nonnull(waits_register("x"));
	for (int i = 0; i < 5000; i++)
		epoll(3);
	ck_assert_uint_eq(segment.header->dropped_loops, 1);
}
END_TEST

START_TEST(a_registered_loop_is_one_from_its_start)
{
	struct loop *loop = waits_register("render");

	ck_assert_ptr_nonnull(loop);
	ck_assert_uint_eq(slot(0)->kind, SEGMENT_KIND_CUSTOM);
	ck_assert_str_eq(slot(0)->label, "render");
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED);
	waits_begin(loop);
	/* What its own wait waits with is no wait of its own. */
	wait_for(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(slot(0)->state, SEGMENT_ATTENDED | 1);
	waits_end(loop, 3);
	ck_assert_uint_eq(slot(0)->state, now_ns);
	wait_for(POLL, SITE, 2, 1, FRAME);
	waits_begin(loop);
	ck_assert_uint_eq(slot(0)->iterations, 1);
	ck_assert_uint_eq(slot(0)->active_ns, 2 * MS);
	ck_assert_uint_eq(slot(0)->nested_wait_ns, MS);
	ck_assert_uint_eq(slot(0)->events, 3);
	waits_end(loop, 0);
	waits_unregister(loop);
	ck_assert_uint_eq(slot(0)->state, 0);
	waits_begin(loop);
	waits_end(loop, 1);
	ck_assert_uint_eq(slot(0)->state, 0);
}
END_TEST

START_TEST(a_long_label_is_cut)
{
	waits_register("a label of more than one and thirty characters");
	ck_assert_str_eq(slot(0)->label, "a label of more than one and th");
}
END_TEST

static Suite *
waits_suite(void)
{
	Suite *suite = suite_create("waits");
	TCase *loops = tcase_create("loops"), *nested = tcase_create("nested");
	TCase *odd = tcase_create("odd"), *api = tcase_create("api");

	tcase_add_checked_fixture(loops, set_up, NULL);
	tcase_add_test(loops, an_epoll_instance_is_a_loop_from_its_second_wait_on);
	tcase_add_test(loops, a_wait_that_failed_says_nothing_of_a_loop);
	tcase_add_loop_test(loops, a_call_site_is_a_loop_from_its_sixteenth_wait_on, POLL,
		SELECT + 1);
	tcase_add_test(
		loops, a_call_site_that_waits_for_one_descriptor_or_none_is_no_loop);
	tcase_add_test(loops, call_sites_in_a_thread_with_an_epoll_loop_are_none);
	tcase_add_test(loops, call_sites_that_wait_by_turns_are_all_remembered);
	tcase_add_test(loops, every_wait_is_counted_once);
	tcase_add_test(loops, results_are_events_and_lateness_is_the_kernels);
	tcase_add_test(loops, the_first_loop_is_told_once);
	tcase_add_test(loops, loops_that_find_no_room_are_counted_once);
	suite_add_tcase(suite, loops);
	tcase_add_checked_fixture(nested, set_up, NULL);
	tcase_add_test(nested, a_wait_inside_an_iteration_is_part_of_it);
	tcase_add_test(nested, a_wait_inside_an_iteration_is_told_of_while_it_lasts);
	tcase_add_test(loops, a_thread_that_was_held_settles_at_its_next_wait_once);
	tcase_add_test(nested, a_nested_instance_is_a_loop_from_its_sixty_fourth_wait_on);
	tcase_add_test(nested, a_loop_that_follows_another_one_takes_its_place);
	tcase_add_test(nested, a_loop_that_follows_a_call_sites_takes_its_place);
	tcase_add_test(nested, waits_inside_a_call_sites_iterations_do_not_end_it);
	tcase_add_test(nested, a_new_instance_with_a_known_descriptor_is_another_loop);
	tcase_add_test(nested, waits_of_short_lived_instances_do_not_add_up_to_a_loop);
	suite_add_tcase(suite, nested);
	tcase_add_checked_fixture(odd, set_up, NULL);
	tcase_add_test(odd, a_wait_in_a_signal_handler_is_no_wait_of_the_thread);
	tcase_add_test(odd, a_signal_handler_that_interrupts_our_work_is_not_recorded);
	tcase_add_loop_test(odd, a_wait_left_by_longjmp_is_over_with_the_next_one, 0,
		sizeof(frames_after_jump) / sizeof(*frames_after_jump));
	tcase_add_loop_test(odd, a_first_wait_left_by_longjmp_is_no_waiter_of_the_loop, 0,
		sizeof(frames_after_jump) / sizeof(*frames_after_jump));
	tcase_add_test(
		odd, a_thread_in_its_first_wait_attends_the_loop_that_another_one_makes);
	tcase_add_test(odd, a_forked_child_has_loops_of_its_own);
	suite_add_tcase(suite, odd);
	tcase_add_checked_fixture(api, set_up, NULL);
	tcase_add_test(api, a_registered_loop_is_one_from_its_start);
	tcase_add_test(api, a_long_label_is_cut);
	suite_add_tcase(suite, api);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(waits_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
