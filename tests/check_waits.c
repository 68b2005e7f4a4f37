/* SPDX-License-Identifier: MIT */
/* probes/waits.c: which wait calls make a loop, and what the others mean to it. */

#include "config.h"

#include "probes/waits.h"

#include <errno.h>
#include <stdlib.h>

#include <check.h>

#include "tests/waiter.h"

START_TEST(an_epoll_instance_is_a_loop_from_its_second_wait_on)
{
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_used(), 0);
	ck_assert_uint_eq(waiter.segment.header->other_waits[EPOLL - 1], 1);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_uint_eq(waiter_slot(0)->kind, EPOLL);
	ck_assert_int_eq(waiter_slot(0)->descriptor, 3);
	ck_assert_uint_eq(waiter_slot(0)->born_ns, 1001 * MS);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 1);
	ck_assert_uint_eq(waiter_slot(0)->active_ns, MS);
	ck_assert_uint_eq(waiter.segment.header->other_waits[EPOLL - 1], 1);
}
END_TEST

START_TEST(a_wait_that_failed_says_nothing_of_a_loop)
{
	/* A dormant loop is interrupted by every child's end that it has nothing to do with. */
	for (int i = 0; i < 100; i++)
		waiter_wait(EPOLL, 3, 2, i % 2 ? -EBADF : -EINTR, FRAME);
	ck_assert_uint_eq(waiter_used(), 0);
	waiter_epoll(3);
	waiter_wait(EPOLL, 3, 2, -EINTR, FRAME);
	ck_assert_uint_eq(waiter_used(), 1);
}
END_TEST

START_TEST(a_call_site_is_a_loop_from_its_sixteenth_wait_on)
{
	uint32_t kind = _i;

	for (int i = 1; i < 16; i++)
		waiter_wait(kind, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_used(), 0);
	waiter_wait(kind, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_uint_eq(waiter_slot(0)->kind, kind);
	ck_assert_int_eq(waiter_slot(0)->descriptor, -1);
	/* Once it is one, it is whatever it waits for. */
	waiter_wait(kind, SITE, 1, 1, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 2);
}
END_TEST

START_TEST(a_call_site_that_waits_for_one_descriptor_or_none_is_no_loop)
{
	for (int i = 0; i < 1000; i++) {
		waiter_wait(POLL, SITE, 1, 1, FRAME);
		waiter_wait(SELECT, SITE + 1, 0, 0, FRAME);
	}
	ck_assert_uint_eq(waiter_used(), 0);
	ck_assert_uint_eq(waiter.segment.header->other_waits[POLL - 1], 1000);
	ck_assert_uint_eq(waiter.segment.header->other_waits[SELECT - 1], 1000);
}
END_TEST

START_TEST(call_sites_in_a_thread_with_an_epoll_loop_are_none)
{
	waiter_make_loop();
	for (int i = 0; i < 1000; i++)
		waiter_wait(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_used(), 1);
}
END_TEST

START_TEST(call_sites_that_wait_by_turns_are_all_remembered)
{
	for (int i = 0; i < 15; i++)
		for (int site = 0; site < 8; site++)
			waiter_wait(POLL, SITE + site, 2, 1, FRAME);
	waiter_wait(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_used(), 1);
}
END_TEST

START_TEST(a_wait_inside_an_iteration_is_part_of_it)
{
	waiter_make_loop();
	waiter_wait(POLL, SITE, 1, 1, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, MS);
	waiter_wait(EPOLL, 4, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 2 * MS);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 2);
	ck_assert_uint_eq(waiter_slot(0)->max_ns, 5 * MS);
	ck_assert_uint_eq(waiter_used(), 1);
}
END_TEST

START_TEST(a_wait_inside_an_iteration_is_told_of_while_it_lasts)
{
	struct wait wait;
	uint64_t began_ns;

	waiter_make_loop();
	ck_assert_uint_eq(waiter_slot(0)->nested_since_ns, 0);
	waiter.now_ns += MS;
	began_ns = waiter.now_ns;
	waits_enter(&wait, POLL, SITE, 1, -1, FRAME);
	waiter.now_ns += MS;
	ck_assert_uint_eq(waiter_slot(0)->nested_since_ns, began_ns);
	waits_leave(&wait, 1);
	ck_assert_uint_eq(waiter_slot(0)->nested_since_ns, 0);
	/* The loop's own wait is none. */
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->nested_since_ns, 0);
	waits_leave(&wait, 1);
}
END_TEST

START_TEST(a_thread_that_was_held_settles_at_its_next_wait_once)
{
	waiter_make_loop();
	waits_hold();
	ck_assert_int_eq(waiter.settled, 0);
	waiter_epoll(3);
	ck_assert_int_eq(waiter.settled, 1);
	waiter_epoll(3);
	ck_assert_int_eq(waiter.settled, 1);
}
END_TEST

START_TEST(a_nested_instance_is_a_loop_from_its_sixty_fourth_wait_on)
{
	waiter_make_loop();
	for (int i = 1; i < 64; i++) {
		waiter_epoll(4);
		waiter_epoll(3);
	}
	ck_assert_uint_eq(waiter_used(), 1);
	waiter_epoll(4);
	ck_assert_uint_eq(waiter_used(), 2);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 64 * MS);
	ck_assert_uint_eq(waiter_slot(1)->state, waiter.now_ns);
	/* While its outer loop waits it rests. */
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(1)->state, SEGMENT_ATTENDED);
	waiter_epoll(4);
	ck_assert_uint_eq(waiter_slot(1)->iterations, 1);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 65 * MS);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 65);
}
END_TEST

START_TEST(a_loop_that_follows_another_one_takes_its_place)
{
	waiter_make_loop();
	waiter.closed = 3;
	waiter_epoll(4);
	waiter_epoll(4);
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_int_eq(waiter_slot(0)->descriptor, 4);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 2);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, MS);
	ck_assert_uint_eq(waiter_slot(0)->past_life_ns, 3 * MS);
	ck_assert_uint_eq(waiter.epoll_checks, 1);
}
END_TEST

START_TEST(a_loop_that_follows_a_call_sites_takes_its_place)
{
	/* As a child's output read by poll() at the start, and the server's loop then. */
	for (int i = 0; i < 20; i++)
		waiter_wait(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_used(), 1);
	for (int i = 0; i < 20; i++)
		waiter_epoll(4);
	ck_assert_int_eq(waiter_slot(1)->descriptor, 4);
	ck_assert_uint_eq(waiter_slot(1)->state, waiter.now_ns);
	ck_assert_uint_eq(waiter_slot(0)->state, 0);
	for (int i = 0; i < 20; i++)
		waiter_wait(SELECT, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_slot(1)->nested_wait_ns, 20 * MS);
}
END_TEST

START_TEST(waits_inside_a_call_sites_iterations_do_not_end_it)
{
	for (int i = 0; i < 20; i++)
		waiter_wait(POLL, SITE, 2, 1, FRAME);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 5; j++)
			waiter_wait(SELECT, SITE + 1, 2, 1, FRAME);
		waiter_wait(POLL, SITE, 2, 1, FRAME);
	}
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 15);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 50 * MS);
}
END_TEST

START_TEST(a_new_instance_with_a_known_descriptor_is_another_loop)
{
	waiter_make_loop();
	waits_forget(3);
	ck_assert_uint_eq(waiter_slot(0)->state, 0);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(0)->state, 0);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	ck_assert_uint_eq(waiter_slot(0)->life, 2);
	ck_assert_uint_eq(waiter_used(), 1);
}
END_TEST

START_TEST(waits_of_short_lived_instances_do_not_add_up_to_a_loop)
{
	waiter_make_loop();
	for (int i = 0; i < 100; i++) {
		waits_forget(4);
		waiter_epoll(4);
		waiter_epoll(4);
		waiter_epoll(4);
	}
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 300 * MS);
}
END_TEST

START_TEST(every_wait_is_counted_once)
{
	uint64_t others = 0;

	for (int i = 0; i < 1000; i++) {
		waiter_epoll(3);
		if (i % 3 == 0)
			waiter_epoll(4);
		if (i % 5 == 0)
			waiter_wait(POLL, SITE, 2, -EINTR, FRAME);
		if (i % 7 == 0)
			waiter_wait(EPOLL, 3, 2, 0, FRAME);
	}
	for (unsigned i = 0; i < 4; i++)
		others += waiter.segment.header->other_waits[i];
	for (unsigned i = 0; i < waiter_used(); i++)
		others += waiter_slot(i)->iterations + waiter_slot(i)->other_waits;
	ck_assert_uint_eq(others, 1000 + 334 + 200 + 143);
}
END_TEST

START_TEST(results_are_events_and_lateness_is_the_kernels)
{
	struct wait wait;

	waiter_make_loop();
	waiter_wait(EPOLL, 3, 2, 5, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->events, 1 + 5);
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	waiter.now_ns += 12 * MS;
	waits_leave(&wait, 0);
	ck_assert_uint_eq(band_histogram_total(&waiter_slot(0)->wakeup), 1);
	ck_assert_uint_eq(waiter_slot(0)->wakeup.sum_ns, 2 * MS);
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	waiter.now_ns += 12 * MS;
	waits_leave(&wait, 1);
	ck_assert_uint_eq(band_histogram_total(&waiter_slot(0)->wakeup), 2);
	/* As after a stop. */
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	waiter.now_ns += 15 * MS;
	waits_leave(&wait, -EINTR);
	ck_assert_uint_eq(band_histogram_total(&waiter_slot(0)->wakeup), 3);
	ck_assert_uint_eq(waiter_slot(0)->wakeup.sum_ns, (2 + 2 + 5) * MS);
	/* What is not late, or has no timeout, tells nothing. */
	waits_enter(&wait, EPOLL, 3, 2, 10 * MS, FRAME);
	waits_leave(&wait, 1);
	waits_enter(&wait, EPOLL, 3, 2, 0, FRAME);
	waits_leave(&wait, 0);
	ck_assert_uint_eq(band_histogram_total(&waiter_slot(0)->wakeup), 3);
}
END_TEST

START_TEST(the_first_loop_is_told_once)
{
	waiter_make_loop();
	ck_assert_uint_eq(waiter.first_loops, 1);
	waits_forget(3);
	waiter_make_loop();
	ck_assert_uint_eq(waiter.first_loops, 1);
}
END_TEST

START_TEST(loops_that_find_no_room_are_counted_once)
{
	for (int i = 0; i < (int)SEGMENT_SLOTS_DEFAULT; i++)
		ck_assert_ptr_nonnull(waits_register("x"));
	for (int i = 0; i < 5000; i++)
		waiter_epoll(3);
	ck_assert_uint_eq(waiter.segment.header->dropped_loops, 1);
}
END_TEST

START_TEST(a_registered_loop_is_one_from_its_start)
{
	struct loop *loop = waits_register("render");

	ck_assert_ptr_nonnull(loop);
	ck_assert_uint_eq(waiter_slot(0)->kind, SEGMENT_KIND_CUSTOM);
	ck_assert_str_eq(waiter_slot(0)->label, "render");
	ck_assert_uint_eq(waiter_slot(0)->state, SEGMENT_ATTENDED);
	waits_begin(loop);
	/* What its own wait waits with is no wait of its own. */
	waiter_wait(POLL, SITE, 2, 1, FRAME);
	ck_assert_uint_eq(waiter_slot(0)->state, SEGMENT_ATTENDED | 1);
	waits_end(loop, 3);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	waiter_wait(POLL, SITE, 2, 1, FRAME);
	waits_begin(loop);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 1);
	ck_assert_uint_eq(waiter_slot(0)->active_ns, 2 * MS);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, MS);
	ck_assert_uint_eq(waiter_slot(0)->events, 3);
	waits_end(loop, 0);
	waits_unregister(loop);
	ck_assert_uint_eq(waiter_slot(0)->state, 0);
	waits_begin(loop);
	waits_end(loop, 1);
	ck_assert_uint_eq(waiter_slot(0)->state, 0);
}
END_TEST

START_TEST(a_registered_loop_in_the_place_of_one_that_is_over_does_not_get_its_waits)
{
	const uint64_t *others = &waiter.segment.header->other_waits[EPOLL - 1];
	struct loop *loop;
	uint64_t before;

	waiter_make_loop();
	waits_forget(3);
	loop = waits_register("render");
	waits_begin(loop);
	waits_end(loop, 1);
	before = *others;
	waiter_epoll(3);
	ck_assert_uint_eq(*others, before + 1);
	ck_assert_uint_eq(loop_slot(loop)->iterations, 0);
}
END_TEST

START_TEST(a_long_label_is_cut)
{
	waits_register("a label of more than one and thirty characters");
	ck_assert_str_eq(waiter_slot(0)->label, "a label of more than one and th");
}
END_TEST

static Suite *
waits_suite(void)
{
	Suite *suite = suite_create("waits");
	TCase *loops = tcase_create("loops"), *nested = tcase_create("nested");
	TCase *api = tcase_create("api");

	tcase_add_checked_fixture(loops, waiter_set_up, NULL);
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
	tcase_add_checked_fixture(nested, waiter_set_up, NULL);
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
	tcase_add_checked_fixture(api, waiter_set_up, NULL);
	tcase_add_test(api, a_registered_loop_is_one_from_its_start);
	tcase_add_test(api,
		a_registered_loop_in_the_place_of_one_that_is_over_does_not_get_its_waits);
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
