/* SPDX-License-Identifier: MIT */
/* Stopping a thread by SIGURG: who goes on when, and whose handler it is. */

#include "config.h"

#include "probes/handler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "tests/scene.h"

#define MS 1000000ull
#define LONG (10000 * MS)

static struct {
	pthread_t thread;
	volatile uint32_t tid;
	volatile uint64_t turns;
	volatile int go, block, settle, settled, interrupted;
} worker;

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static void *
work(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	if (worker.block)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	worker.tid = (uint32_t)gettid();
	while (worker.go) {
		errno = 4711;
		worker.turns++;
		if (errno != 4711)
			worker.interrupted = 1;
		if (worker.settle) {
			handler_settle();
			worker.settled = 1;
			worker.settle = 0;
		}
	}
	return arg;
}

static void
begin(int block)
{
	memset(&worker, 0, sizeof(worker));
	worker.go = 1;
	worker.block = block;
	ck_assert_int_eq(handler_start(clock_ns), 0);
	ck_assert_int_eq(handler_install(), 0);
	ck_assert_int_eq(pthread_create(&worker.thread, NULL, work, NULL), 0);
	while (!worker.tid)
		sched_yield();
}

static void
end(void)
{
	worker.go = 0;
	ck_assert_int_eq(pthread_join(worker.thread, NULL), 0);
	ck_assert_int_eq(worker.interrupted, 0);
	handler_remove();
}

/* Stop the worker. It waits for whoever asked for 20 ms, three times: who is kept from the
 * processor for so long may ask again. */
static int
stop_it(const struct handler_facts **ret_facts)
{
	int result = -ETIMEDOUT;

	for (int i = 0; i < 10 && result == -ETIMEDOUT; i++)
		result = handler_stop(worker.tid, LONG, ret_facts);
	return result;
}

/* Wait until the worker has gone on. Returns how long that took. */
static uint64_t
wait_until_it_goes_on(void)
{
	uint64_t began_ns = clock_ns(), turns = worker.turns;

	while (worker.turns == turns)
		ck_assert_uint_lt(clock_ns() - began_ns, LONG);
	return clock_ns() - began_ns;
}

START_TEST(a_thread_stands_still_until_it_is_let_go)
{
	const struct handler_facts *facts;
	const struct timespec pause = {.tv_nsec = 50 * MS};

	begin(0);
	for (int i = 0; i < 3; i++) {
		uint64_t turns;

		ck_assert_int_eq(stop_it(&facts), 0);
		turns = worker.turns;
		ck_assert_ptr_null(facts->python);
		ck_assert_ptr_null(facts->isolate);
		ck_assert_int_eq(facts->holds_gil, 0);
#if UNWIND_REGISTERS
		ck_assert_uint_ne(facts->registers.values[UNWIND_PC], 0);
		ck_assert_uint_ne(facts->registers.values[UNWIND_SP], 0);
#endif
		/* Longer than one that is not claimed would wait. */
		nanosleep(&pause, NULL);
		ck_assert_uint_eq(worker.turns, turns);
		handler_free();
		(void)wait_until_it_goes_on();
	}
	end();
}
END_TEST

START_TEST(a_thousand_times_does_no_harm)
{
	const struct handler_facts *facts;

	begin(0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(stop_it(&facts), 0);
		handler_free();
	}
	(void)wait_until_it_goes_on();
	end();
}
END_TEST

START_TEST(a_thread_that_takes_no_signal_is_given_up)
{
	const struct handler_facts *facts;

	begin(1);
	ck_assert_int_eq(handler_stop(worker.tid, 20 * MS, &facts), -ETIMEDOUT);
	(void)wait_until_it_goes_on();
	end();
	begin(0);
	end();
	ck_assert_int_eq(handler_stop(worker.tid, LONG, &facts), -ESRCH);
}
END_TEST

START_TEST(a_thread_that_was_given_up_does_nothing_when_the_signal_comes)
{
	const struct handler_facts *facts;
	sigset_t set;

	ck_assert_int_eq(handler_start(clock_ns), 0);
	ck_assert_int_eq(handler_install(), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ck_assert_int_eq(handler_stop((uint32_t)gettid(), MS, &facts), -ETIMEDOUT);
	/* It would wait here. */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGURG);
	handler_remove();
}
END_TEST

START_TEST(a_loose_thread_goes_on_and_settles_later)
{
	const struct handler_facts *facts;
	const struct timespec pause = {.tv_nsec = 50 * MS};

	begin(0);
	ck_assert_int_eq(stop_it(&facts), 0);
	handler_loosen();
	(void)wait_until_it_goes_on();
	worker.settle = 1;
	nanosleep(&pause, NULL);
	ck_assert_int_eq(worker.settled, 0);
	handler_free();
	(void)wait_until_it_goes_on();
	while (!worker.settled)
		sched_yield();
	/* It has nothing to wait for now. */
	worker.settle = 1;
	while (worker.settle)
		sched_yield();
	end();
}
END_TEST

START_TEST(a_loose_thread_that_was_let_go_has_nothing_to_settle)
{
	const struct handler_facts *facts;

	begin(0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(stop_it(&facts), 0);
		handler_loosen();
		handler_free();
		(void)wait_until_it_goes_on();
	}
	worker.settle = 1;
	while (worker.settle)
		sched_yield();
	end();
}
END_TEST

static void
stop_the_worker_in_a_child(void *arg)
{
	const struct handler_facts *facts;

	(void)arg;
	/* Nobody is parked in this process, whatever is under way in its parent. */
	begin(0);
	ck_assert_int_eq(stop_it(&facts), 0);
	handler_free();
	end();
}

START_TEST(a_forked_child_begins_anew)
{
	const struct handler_facts *facts;

	begin(0);
	ck_assert_int_eq(stop_it(&facts), 0);
	scene_in_child(stop_the_worker_in_a_child, NULL);
	handler_free();
	(void)wait_until_it_goes_on();
	end();
}
END_TEST

static volatile int theirs;

static void
on_theirs(int number)
{
	(void)number;
	theirs++;
}

START_TEST(a_handler_of_the_programs_own_stays)
{
	struct sigaction now;

	ck_assert_int_eq(handler_start(clock_ns), 0);
	signal(SIGURG, on_theirs);
	ck_assert_int_eq(handler_install(), -1);
	raise(SIGURG);
	ck_assert_int_eq(theirs, 1);
	/* So does one that was set while ours was there. */
	signal(SIGURG, SIG_DFL);
	ck_assert_int_eq(handler_install(), 0);
	signal(SIGURG, on_theirs);
	handler_remove();
	raise(SIGURG);
	ck_assert_int_eq(theirs, 2);
	/* What was ignored is ignored again, and the default is the default. */
	signal(SIGURG, SIG_IGN);
	ck_assert_int_eq(handler_install(), 0);
	handler_remove();
	ck_assert_int_eq(sigaction(SIGURG, NULL, &now), 0);
	ck_assert_ptr_eq(now.sa_handler, SIG_IGN);
	signal(SIGURG, SIG_DFL);
	ck_assert_int_eq(handler_install(), 0);
	ck_assert_int_eq(handler_install(), 0);
	handler_remove();
	ck_assert_int_eq(sigaction(SIGURG, NULL, &now), 0);
	ck_assert_ptr_eq(now.sa_handler, SIG_DFL);
}
END_TEST

#define RAISED 100000

static void *
raise_many(void *arg)
{
	for (int i = 0; i < RAISED; i++)
		raise(SIGURG);
	worker.go = 0;
	return arg;
}

START_TEST(a_handler_of_the_programs_own_misses_nothing)
{
	ck_assert_int_eq(handler_start(clock_ns), 0);
	signal(SIGURG, on_theirs);
	theirs = 0;
	worker.go = 1;
	ck_assert_int_eq(pthread_create(&worker.thread, NULL, raise_many, NULL), 0);
	while (worker.go)
		ck_assert_int_eq(handler_install(), -1);
	ck_assert_int_eq(pthread_join(worker.thread, NULL), 0);
	ck_assert_int_eq(theirs, RAISED);
	signal(SIGURG, SIG_DFL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("handler");
	TCase *tcase = tcase_create("handler");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_thread_stands_still_until_it_is_let_go);
	tcase_add_test(tcase, a_thousand_times_does_no_harm);
	tcase_add_test(tcase, a_thread_that_takes_no_signal_is_given_up);
	tcase_add_test(
		tcase, a_thread_that_was_given_up_does_nothing_when_the_signal_comes);
	tcase_add_test(tcase, a_loose_thread_goes_on_and_settles_later);
	tcase_add_test(tcase, a_loose_thread_that_was_let_go_has_nothing_to_settle);
	tcase_add_test(tcase, a_forked_child_begins_anew);
	tcase_add_test(tcase, a_handler_of_the_programs_own_stays);
	tcase_add_test(tcase, a_handler_of_the_programs_own_misses_nothing);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
