/* SPDX-License-Identifier: MIT */
/* The event loop: watches fire, may be freed in their own call, and leave nothing. */

#include "config.h"

#include "daemon/event.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

struct scene {
	struct event_loop *loop;
	struct event_watch *watch;
	unsigned calls;
};

static struct scene scene;

static void
set_up(void)
{
	scene = (struct scene){.loop = event_loop_new()};
	ck_assert_ptr_nonnull(scene.loop);
}

static void
tear_down(void)
{
	event_watch_free(scene.watch);
	event_loop_free(scene.loop);
}

static void
free_own_watch_and_stop(void *arg)
{
	event_watch_free(scene.watch);
	scene.watch = NULL;
	scene.calls++;
	event_loop_stop(scene.loop);
}

static void
stop_at_third_call(void *arg)
{
	if (++scene.calls == 3)
		event_loop_stop(scene.loop);
}

START_TEST(a_delayed_call_comes_once_and_not_too_early)
{
	uint64_t before = event_now_ns();

	scene.watch = event_after(scene.loop, 20000000, free_own_watch_and_stop, NULL);
	ck_assert_int_eq(event_loop_run(scene.loop), 0);
	ck_assert_uint_eq(scene.calls, 1);
	/* libevent's clock is the coarse one: it may be a tick behind. */
	ck_assert_uint_ge(event_now_ns() - before, 10000000);
}
END_TEST

START_TEST(a_periodic_call_comes_again)
{
	scene.watch = event_every(scene.loop, 1000000, stop_at_third_call, NULL);
	ck_assert_int_eq(event_loop_run(scene.loop), 0);
	ck_assert_uint_eq(scene.calls, 3);
}
END_TEST

START_TEST(a_readable_descriptor_calls_until_its_watch_is_freed)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	scene.watch = event_readable(scene.loop, ends[0], stop_at_third_call, NULL);
	ck_assert_int_eq(event_loop_run(scene.loop), 0);
	ck_assert_uint_eq(scene.calls, 3);
	event_watch_free(scene.watch);
	scene.watch = event_readable(scene.loop, ends[0], free_own_watch_and_stop, NULL);
	ck_assert_int_eq(event_loop_run(scene.loop), 0);
	ck_assert_uint_eq(scene.calls, 4);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_signal_calls_and_its_watch_may_be_freed_in_the_call)
{
	scene.watch = event_signal(scene.loop, SIGUSR1, free_own_watch_and_stop, NULL);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(event_loop_run(scene.loop), 0);
	ck_assert_uint_eq(scene.calls, 1);
}
END_TEST

static Suite *
event_suite(void)
{
	Suite *suite = suite_create("event");
	TCase *tc = tcase_create("watches");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_delayed_call_comes_once_and_not_too_early);
	tcase_add_test(tc, a_periodic_call_comes_again);
	tcase_add_test(tc, a_readable_descriptor_calls_until_its_watch_is_freed);
	tcase_add_test(tc, a_signal_calls_and_its_watch_may_be_freed_in_the_call);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(event_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
