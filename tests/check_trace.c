/* SPDX-License-Identifier: MIT */
/* Stacks taken from outside: of children in known functions that run, sleep, or hang. */

#include "config.h"

#include "daemon/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "daemon/capture.h"
#include "daemon/event.h"
#include "daemon/frames.h"
#include "daemon/symbolizer.h"
#include "tests/segment_writer.h"

static struct writer writer;
static struct symbolizer *symbolizer;
static pid_t child;
static volatile unsigned sink;

static void
set_up(void)
{
	writer = writer_make();
	writer.commands = -1;
	writer.slots[0].state = 42;
	symbolizer = symbolizer_new();
	child = 0;
}

static void
tear_down(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	symbolizer_free(symbolizer);
	writer_free(&writer);
}

/* The functions in which children are; each is called by the next, by no tail call. */
__attribute__((noinline)) static void
run_for_ever(void)
{
	for (;;)
		sink++;
}

__attribute__((noinline)) static void
sleep_for_long(void)
{
	for (;;)
		usleep(900000);
}

__attribute__((noinline)) static void
wait_for_a_lock(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	flock(fd, LOCK_EX);
	sink++;
}

__attribute__((noinline)) static void
wait_for_a_mutex(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mutex);
	pthread_mutex_lock(&mutex);
	sink++;
}

/* Its child has our memory, and we sleep until it is gone: no signal and no debugger gets
 * through to us. */
__attribute__((noinline)) static void
wait_for_vfork(void)
{
	if (syscall(SYS_vfork) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			usleep(1000000);
	}
}

__attribute__((noinline)) static void
callback(void (*function)(void))
{
	function();
	sink++;
}

static void
start(void (*function)(void))
{
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		callback(function);
		_exit(0);
	}
}

/* The state letter of the child. */
static char
state(void)
{
	char path[64], text[256] = "", *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	file = fopen(path, "r");
	(void)!fgets(text, sizeof(text), file);
	fclose(file);
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static void
wait_until(char letter)
{
	while (state() != letter)
		usleep(1000);
}

static int
take(struct capture **ret_capture)
{
	struct trace trace;
	int r = trace_open(child, child, writer.fd, &trace);

	if (r < 0)
		return r;
	trace.since_ns = 42;
	trace.slot_offset = writer.header->slots_offset;
	r = trace_take(&trace, ret_capture);
	trace_close(&trace);
	return r;
}

/* Whether the stack is now: innermost, a function of ours, callback. */
static bool
shows(const char *innermost, const char *function)
{
	struct capture *capture = NULL;
	struct stall_sample sample = {0};
	bool found = false;
	int r = take(&capture);

	ck_assert_int_eq(r, 0);
	symbolizer_name(symbolizer, capture, child);
	ck_assert_int_eq(frames_make(capture, &sample), 0);
	for (size_t i = 0; i + 1 < sample.count; i++)
		found = found ||
			(sample.frames[i].function && sample.frames[i + 1].function &&
				strcmp(sample.frames[i].function, function) == 0 &&
				strcmp(sample.frames[i + 1].function, "callback") == 0);
	found = found && frames_application(&sample)->function &&
		strcmp(frames_application(&sample)->function, function) == 0 &&
		(!innermost || strcmp(sample.frames[0].function, innermost) == 0);
	for (size_t i = 0; i < sample.count; i++) {
		free(sample.frames[i].function);
		free(sample.frames[i].file);
		free(sample.frames[i].module);
	}
	free(sample.frames);
	capture_free(capture);
	return found;
}

#define until(condition)                              \
	do {                                          \
		int tries = 100;                      \
		while (!(condition)) {                \
			ck_assert_int_gt(tries--, 0); \
			usleep(20000);                \
		}                                     \
	} while (0)

START_TEST(a_thread_that_runs_is_stopped_and_goes_on)
{
	start(run_for_ever);
	until(shows(NULL, "run_for_ever"));
	until(state() == 'R');
}
END_TEST

START_TEST(a_thread_that_sleeps_is_seen_where_it_was_called)
{
	start(sleep_for_long);
	wait_until('S');
	until(shows("usleep", "sleep_for_long"));
}
END_TEST

START_TEST(a_thread_that_waits_for_a_file_lock_is_seen)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	start(wait_for_a_lock);
	wait_until('S');
	until(shows("flock", "wait_for_a_lock"));
	close(fd);
}
END_TEST

START_TEST(a_thread_that_waits_for_a_mutex_is_seen)
{
	start(wait_for_a_mutex);
	wait_until('S');
	until(shows(NULL, "wait_for_a_mutex"));
}
END_TEST

START_TEST(a_thread_that_no_signal_reaches_is_seen_or_let_be_in_time)
{
	struct capture *capture = NULL;
	uint64_t start_ns;
	int r;

	start(wait_for_vfork);
	wait_until('D');
	start_ns = event_now_ns();
	r = take(&capture);
	/* It sleeps, so it is looked at without being stopped; and if not, not for long. */
	ck_assert_uint_lt(event_now_ns() - start_ns, 5000000000ull);
	ck_assert(r == 0 || r == -ETIMEDOUT);
	capture_free(capture);
	ck_assert_int_eq(state(), 'D');
}
END_TEST

#define SIGNALS 2000

static void
count_signal(int number)
{
	writer.header->dropped_loops++;
}

START_TEST(a_signal_that_comes_meanwhile_is_not_lost)
{
	struct capture *capture = NULL;
	int status, taken = 0;
	pid_t sender;

	signal(SIGRTMIN, count_signal);
	start(run_for_ever);
	sender = fork();
	if (sender == 0) {
		/* Queued, so that each one counts. */
		for (int i = 0; i < SIGNALS; i++) {
			sigqueue(child, SIGRTMIN, (union sigval){0});
			usleep(100);
		}
		_exit(0);
	}
	while (waitpid(sender, &status, WNOHANG) == 0) {
		taken += take(&capture) == 0;
		capture_free(capture);
		capture = NULL;
	}
	ck_assert_int_gt(taken, 0);
	until(writer.header->dropped_loops == SIGNALS);
}
END_TEST

START_TEST(a_stopped_process_stays_stopped)
{
	struct capture *capture = NULL;

	start(run_for_ever);
	usleep(1000);
	kill(child, SIGSTOP);
	wait_until('T');
	ck_assert_int_eq(take(&capture), 0);
	capture_free(capture);
	ck_assert_int_eq(state(), 'T');
	kill(child, SIGCONT);
	wait_until('R');
}
END_TEST

START_TEST(a_debugger_that_is_there_is_left_alone)
{
	struct capture *capture = NULL;
	int status;

	start(run_for_ever);
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	ck_assert_int_eq(take(&capture), -EBUSY);
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, child, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
}
END_TEST

START_TEST(a_stall_that_is_over_is_not_looked_at)
{
	struct capture *capture = NULL;

	start(run_for_ever);
	writer.slots[0].state = SEGMENT_ATTENDED | 1;
	ck_assert_int_eq(take(&capture), -ESTALE);
}
END_TEST

START_TEST(a_process_that_has_become_another_program_is_let_be)
{
	struct capture *capture = NULL;

	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", "sleep", "100", NULL);
	}
	until(state() == 'S' && take(&capture) == -ESRCH);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_int_eq(take(&capture), -ESRCH);
	child = 0;
	ck_assert_int_eq(take(&capture), -ESRCH);
}
END_TEST

START_TEST(who_may_not_is_refused)
{
	pid_t other;
	int status;

	if (geteuid() != 0)
		return;
	start(run_for_ever);
	other = fork();
	if (other == 0) {
		struct capture *capture = NULL;

		_exit(setgid(65534) || setuid(65534) || take(&capture) != -EPERM);
	}
	ck_assert_int_eq(waitpid(other, &status, 0), other);
	ck_assert_int_eq(status, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("trace");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_thread_that_runs_is_stopped_and_goes_on);
	tcase_add_test(tcase, a_thread_that_sleeps_is_seen_where_it_was_called);
	tcase_add_test(tcase, a_thread_that_waits_for_a_file_lock_is_seen);
	tcase_add_test(tcase, a_thread_that_waits_for_a_mutex_is_seen);
	tcase_add_test(tcase, a_thread_that_no_signal_reaches_is_seen_or_let_be_in_time);
	tcase_add_test(tcase, a_signal_that_comes_meanwhile_is_not_lost);
	tcase_add_test(tcase, a_stopped_process_stays_stopped);
	tcase_add_test(tcase, a_debugger_that_is_there_is_left_alone);
	tcase_add_test(tcase, a_stall_that_is_over_is_not_looked_at);
	tcase_add_test(tcase, a_process_that_has_become_another_program_is_let_be);
	tcase_add_test(tcase, who_may_not_is_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
