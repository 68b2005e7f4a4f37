/* SPDX-License-Identifier: MIT */
/* probes/waits.c: waits in signal handlers, left by longjmp, in several threads, and in
 * forked children. */

#include "config.h"

#include "probes/waits.h"

#include <stdlib.h>

#include <check.h>

#include "tests/scene.h"
#include "tests/waiter.h"

START_TEST(a_wait_in_a_signal_handler_is_no_wait_of_the_thread)
{
	struct wait wait;

	waiter_make_loop();
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	waiter_wait(POLL, SITE, 1, 1, FRAME - 4096);
	waiter_wait(EPOLL, 9, 1, 1, FRAME - 4096);
	scene_expect_waiters(waiter_slot(0), 1);
	waiter.now_ns += MS;
	waits_leave(&wait, 1);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	ck_assert_uint_eq(waiter_slot(0)->nested_wait_ns, 0);
	ck_assert_uint_eq(waiter.segment.header->other_waits[POLL - 1], 1);
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

	waiter_make_loop();
	waiter.while_at_work = wait_in_handler;
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	scene_expect_waiters(waiter_slot(0), 1);
	waiter.while_at_work = wait_in_handler;
	waits_leave(&wait, 1);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 3);
}
END_TEST

/* Where the next wait's frame is after a siglongjmp() out of a wait. */
static const uintptr_t frames_after_jump[] = {FRAME, FRAME + 512, FRAME - 512};

START_TEST(a_wait_left_by_longjmp_is_over_with_the_next_one)
{
	struct wait left;
	uintptr_t frame = frames_after_jump[_i];

	waiter_make_loop();
	waiter.now_ns += MS;
	waits_enter(&left, EPOLL, 3, 2, -1, FRAME);
	waiter.now_ns += MS;
	waiter_wait(EPOLL, 3, 2, 1, frame);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	waiter_wait(EPOLL, 3, 2, 1, frame);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
	ck_assert_uint_ge(waiter_slot(0)->iterations + waiter_slot(0)->other_waits, 4);
	ck_assert_uint_eq(waiter_slot(0)->active_ns, 3 * MS);
}
END_TEST

START_TEST(a_first_wait_left_by_longjmp_is_no_waiter_of_the_loop)
{
	struct wait left;

	waits_enter(&left, EPOLL, 3, 2, -1, FRAME);
	waiter.now_ns += MS;
	waiter_wait(EPOLL, 3, 2, 1, frames_after_jump[_i]);
	waiter_wait(EPOLL, 3, 2, 1, frames_after_jump[_i]);
	ck_assert_uint_eq(waiter_used(), 1);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
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
	waiter_epoll(3);
	waiter_epoll(3);
	scene_expect_waiters(waiter_slot(0), 1);
	waiter_epoll(3);
	scene_expect_waiters(waiter_slot(0), 1);
	ck_assert_uint_eq(waiter_slot(0)->active_ns, 0);
}
END_TEST

/* Forked in a signal handler inside a wait. */
static void
be_child(void *wait)
{
	waiter.live = 0; /* as the kernel leaves the page in a child */
	waits_leave(wait, 1);
	waiter_epoll(3);
	waiter_epoll(3);
	waiter_epoll(3);
	if (waiter.first_loops != 2)
		abort();
}

START_TEST(a_forked_child_has_loops_of_its_own)
{
	struct wait wait;

	waiter_make_loop();
	waits_enter(&wait, EPOLL, 3, 2, -1, FRAME);
	scene_in_child(be_child, &wait);
	ck_assert_uint_eq(waiter_used(), 2);
	scene_expect_waiters(waiter_slot(0), 1);
	ck_assert_uint_eq(waiter_slot(0)->iterations, 2);
	ck_assert_uint_eq(waiter_slot(1)->iterations, 2);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("odd waits");
	TCase *tcase = tcase_create("odd waits");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, waiter_set_up, NULL);
	tcase_add_test(tcase, a_wait_in_a_signal_handler_is_no_wait_of_the_thread);
	tcase_add_test(tcase, a_signal_handler_that_interrupts_our_work_is_not_recorded);
	tcase_add_loop_test(tcase, a_wait_left_by_longjmp_is_over_with_the_next_one, 0,
		sizeof(frames_after_jump) / sizeof(*frames_after_jump));
	tcase_add_loop_test(tcase, a_first_wait_left_by_longjmp_is_no_waiter_of_the_loop,
		0, sizeof(frames_after_jump) / sizeof(*frames_after_jump));
	tcase_add_test(tcase,
		a_thread_in_its_first_wait_attends_the_loop_that_another_one_makes);
	tcase_add_test(tcase, a_forked_child_has_loops_of_its_own);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
