/* SPDX-License-Identifier: MIT */
/* Causes: what samples of a thread, and the texts they are made of, tell. */

#include "config.h"

#include "daemon/cause.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "daemon/tasks.h"

#define MS 1000000ull

static struct cause cause;
static struct cause_sample thread;
static struct stalls_cause found;

static void
set_up(void)
{
	memset(&cause, 0, sizeof(cause));
	thread = (struct cause_sample){
		.now_ns = 1000 * MS, .state = 'R', .has_times = true, .slices = 1};
}

/* Let time go by, and look at the thread, which is in that state then. */
static void
look_after(uint64_t ms, char state)
{
	thread.now_ns += ms * MS;
	thread.state = state;
	cause_add(&cause, &thread);
}

static void
find(uint64_t length_ms, uint64_t nested_ms)
{
	double sum = 0;

	cause_find(&cause, length_ms * MS, nested_ms * MS, &found);
	for (int i = 0; i < STALL_CAUSES; i++)
		sum += found.shares[i];
	ck_assert(sum == 0 || (sum > 0.999999 && sum < 1.000001));
}

static void
expect(enum stall_cause expected, double share)
{
	ck_assert_msg(found.cause == expected, "%s", stall_cause_name(found.cause));
	ck_assert_double_ge(found.shares[expected], share - 0.01);
	ck_assert_double_le(found.shares[expected], share + 0.01);
}

START_TEST(without_two_samples_nothing_is_known)
{
	find(100, 0);
	expect(STALL_UNKNOWN, 0);
	look_after(0, 'R');
	find(100, 0);
	expect(STALL_UNKNOWN, 0);
	look_after(1, 'R');
	find(100, 0);
	expect(STALL_UNKNOWN, 0);
}
END_TEST

START_TEST(a_thread_that_runs_is_cpu)
{
	for (int i = 0; i < 5; i++) {
		look_after(25, 'R');
		thread.cpu_ns += 25 * MS;
	}
	find(150, 0);
	expect(STALL_CPU, 1);
	ck_assert_ptr_null(found.system_call);
}
END_TEST

START_TEST(what_runs_is_counted_a_tick_late)
{
	look_after(0, 'R');
	thread.cpu_ns += 46 * MS;
	look_after(50, 'R');
	find(100, 0);
	expect(STALL_CPU, 1);
}
END_TEST

START_TEST(a_thread_that_sleeps_is_blocked_in_its_system_call)
{
	look_after(0, 'S');
	thread.system_call = "flock";
	look_after(25, 'S');
	look_after(25, 'D');
	thread.system_call = "futex";
	look_after(25, 'S');
	thread.cpu_ns += 5 * MS;
	look_after(25, 'S');
	find(200, 0);
	expect(STALL_BLOCKED, 0.95);
	ck_assert_str_eq(found.system_call, "flock");
}
END_TEST

START_TEST(one_of_four_on_a_core_is_starved)
{
	for (int i = 0; i < 8; i++) {
		look_after(25, 'R');
		thread.cpu_ns += 6 * MS;
		thread.wait_ns += 19 * MS;
		thread.slices += 2;
	}
	find(250, 0);
	expect(STALL_STARVED, 0.76);
}
END_TEST

/* The kernel counts a wait for a CPU when it is over. */
START_TEST(who_got_no_cpu_at_all_is_starved)
{
	for (int i = 0; i < 5; i++)
		look_after(25, 'R');
	find(200, 0);
	expect(STALL_STARVED, 1);
	thread.wait_ns += 100 * MS;
	thread.slices++;
	look_after(0, 'R');
	find(200, 0);
	expect(STALL_STARVED, 1);
	thread.cpu_ns += 100 * MS;
	look_after(100, 'R');
	find(300, 0);
	ck_assert_double_gt(found.shares[STALL_CPU], 0.49);
	ck_assert_double_gt(found.shares[STALL_STARVED], 0.49);
}
END_TEST

START_TEST(a_thread_that_was_stopped_is_stopped)
{
	look_after(0, 'R');
	thread.cpu_ns += 5 * MS;
	look_after(25, 'T');
	look_after(500, 'T');
	look_after(25, 'R');
	find(600, 0);
	expect(STALL_STOPPED, 0.99);
}
END_TEST

START_TEST(waits_of_others_are_taken_out_of_what_is_blocked)
{
	look_after(0, 'S');
	thread.nested_ns += 40 * MS;
	look_after(50, 'S');
	thread.nested_ns += 50 * MS;
	look_after(50, 'S');
	find(200, 0);
	expect(STALL_NESTED_WAIT, 0.9);
	ck_assert_double_gt(found.shares[STALL_BLOCKED], 0.09);
	ck_assert_ptr_null(found.system_call);
}
END_TEST

START_TEST(a_wait_that_is_counted_at_its_end_counts)
{
	look_after(0, 'S');
	look_after(100, 'S');
	find(150, 0);
	expect(STALL_BLOCKED, 1);
	find(150, 145);
	expect(STALL_NESTED_WAIT, 0.95);
}
END_TEST

START_TEST(a_poll_that_burns_is_cpu)
{
	look_after(0, 'R');
	thread.nested_ns += 100 * MS;
	thread.cpu_ns += 100 * MS;
	look_after(100, 'R');
	find(150, 150);
	expect(STALL_CPU, 1);
}
END_TEST

START_TEST(the_probe_knows_of_waits_that_nobody_watched)
{
	find(100, 80);
	expect(STALL_NESTED_WAIT, 0.8);
	find(100, 30);
	expect(STALL_UNKNOWN, 0);
}
END_TEST

START_TEST(who_waits_for_the_interpreter_is_not_blocked)
{
	look_after(0, 'S');
	thread.cpu_ns += 10 * MS;
	thread.system_call = "futex";
	look_after(100, 'S');
	find(150, 0);
	cause_waits_gil(&found);
	expect(STALL_GIL, 0.9);
	ck_assert_ptr_null(found.system_call);

	set_up();
	find(150, 0);
	cause_waits_gil(&found);
	expect(STALL_GIL, 1);
}
END_TEST

START_TEST(who_waited_once_and_ran_all_the_time_is_cpu)
{
	look_after(0, 'R');
	thread.cpu_ns += 95 * MS;
	look_after(100, 'S');
	find(150, 0);
	cause_waits_gil(&found);
	expect(STALL_CPU, 0.95);
}
END_TEST

START_TEST(without_times_only_what_all_samples_say_is_known)
{
	thread.has_times = false;
	look_after(0, 'S');
	look_after(50, 'S');
	find(100, 0);
	expect(STALL_BLOCKED, 1);
	look_after(50, 'R');
	find(150, 0);
	expect(STALL_UNKNOWN, 1);

	set_up();
	thread.has_times = false;
	look_after(0, 'R');
	look_after(50, 'R');
	find(100, 0);
	expect(STALL_UNKNOWN, 1);
}
END_TEST

START_TEST(shares_are_shares_whatever_the_samples_say)
{
	unsigned seed = (unsigned)_i + 1;

	for (int n = 0; n < 200; n++) {
		thread.cpu_ns += (uint64_t)rand_r(&seed) % (50 * MS);
		thread.wait_ns += (uint64_t)rand_r(&seed) % (50 * MS);
		thread.nested_ns = (uint64_t)rand_r(&seed);
		thread.slices += (uint64_t)rand_r(&seed) % 2;
		thread.has_times = rand_r(&seed) % 50 > 0;
		look_after((uint64_t)rand_r(&seed) % 30, "RSDTtIZX"[rand_r(&seed) % 8]);
		find((uint64_t)rand_r(&seed) % 1000, (uint64_t)rand_r(&seed) % 1000);
		for (int i = 0; i < STALL_CAUSES; i++)
			ck_assert_double_ge(found.shares[i], 0);
	}
}
END_TEST

START_TEST(texts_of_the_kernel_are_read)
{
	struct cause_sample sample = {0};
	char text[64];

	ck_assert_int_eq(tasks_state_in("12 (a) b) ) S 1 2 3"), 'S');
	ck_assert_int_eq(tasks_state_in(""), 0);
	ck_assert_int_eq(tasks_state_in("12 (cut"), 0);
	ck_assert(tasks_times_in("123456 789 12\n", &sample));
	ck_assert_uint_eq(sample.cpu_ns, 123456);
	ck_assert_uint_eq(sample.wait_ns, 789);
	ck_assert_uint_eq(sample.slices, 12);
	ck_assert(!tasks_times_in("0 0 0\n", &sample));
	ck_assert(!tasks_times_in("", &sample));
	snprintf(text, sizeof(text), "%d 0x1 0x2\n", SYS_flock);
	ck_assert_str_eq(tasks_system_call_in(text), "flock");
	ck_assert_ptr_null(tasks_system_call_in("running\n"));
	ck_assert_ptr_null(tasks_system_call_in("-1 0x7ffd 0x7f00\n"));
	ck_assert_ptr_null(tasks_system_call_in("99999 0x1\n"));
	ck_assert_ptr_null(tasks_system_call_in(""));
}
END_TEST

START_TEST(a_sleeping_process_is_seen_in_its_system_call)
{
	struct cause_sample sample = {0};
	bool may_ask = true;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		sleep(60);
		_exit(0);
	}
	for (int i = 0; i < 2000 && sample.state != 'S'; i++) {
		ck_assert_int_eq(tasks_sample(child, child, &may_ask, &sample), 0);
		usleep(1000);
	}
	ck_assert_int_eq(sample.state, 'S');
	ck_assert_uint_gt(sample.now_ns, 0);
	if (may_ask)
		ck_assert_str_eq(sample.system_call, "clock_nanosleep");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_int_lt(tasks_sample(child, child, &may_ask, &sample), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cause");
	TCase *tcase = tcase_create("cause");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, without_two_samples_nothing_is_known);
	tcase_add_test(tcase, a_thread_that_runs_is_cpu);
	tcase_add_test(tcase, what_runs_is_counted_a_tick_late);
	tcase_add_test(tcase, a_thread_that_sleeps_is_blocked_in_its_system_call);
	tcase_add_test(tcase, one_of_four_on_a_core_is_starved);
	tcase_add_test(tcase, who_got_no_cpu_at_all_is_starved);
	tcase_add_test(tcase, a_thread_that_was_stopped_is_stopped);
	tcase_add_test(tcase, waits_of_others_are_taken_out_of_what_is_blocked);
	tcase_add_test(tcase, a_wait_that_is_counted_at_its_end_counts);
	tcase_add_test(tcase, a_poll_that_burns_is_cpu);
	tcase_add_test(tcase, the_probe_knows_of_waits_that_nobody_watched);
	tcase_add_test(tcase, who_waits_for_the_interpreter_is_not_blocked);
	tcase_add_test(tcase, who_waited_once_and_ran_all_the_time_is_cpu);
	tcase_add_test(tcase, without_times_only_what_all_samples_say_is_known);
	tcase_add_loop_test(tcase, shares_are_shares_whatever_the_samples_say, 0, 20);
	tcase_add_test(tcase, texts_of_the_kernel_are_read);
	tcase_add_test(tcase, a_sleeping_process_is_seen_in_its_system_call);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
