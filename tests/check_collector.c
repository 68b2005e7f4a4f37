/* SPDX-License-Identifier: MIT */
/* The collector from end to end, with real processes whose loops the test writes: what is
 * counted of them, and how they end. */

#include "config.h"

#include "daemon/collector.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "daemon/groups.h"
#include "tests/segment_writer.h"
#include "tests/stage.h"

#define MS 1000000ull

START_TEST(a_target_and_its_loops_are_seen)
{
	struct writer writer = stage_writer();
	struct stage_shown shown = stage_show();
	uint64_t life_ns;

	/* Without a loop it is no group yet. */
	ck_assert_uint_eq(shown.processes, 0);
	ck_assert_uint_eq(groups_count(collector_groups(stage.collector)), 0);
	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 100; i++)
		writer_iterate(&writer, 0, 100000);
	shown = stage_show();
	life_ns = writer_now_ns() - writer.slots[0].born_ns;
	ck_assert_uint_eq(shown.processes, 1);
	ck_assert_uint_eq(shown.loops, 1);
	ck_assert_uint_eq(shown.iterations, 100);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(shown.max_ns, writer.slots[0].max_ns);
	ck_assert_uint_le(shown.life_ns, life_ns);
	ck_assert_uint_ge(
		shown.life_ns, writer.slots[0].last_ns - writer.slots[0].born_ns);
	ck_assert_uint_eq(collector_stats(stage.collector).waits, 100);
	writer_free(&writer);
}
END_TEST

START_TEST(groups_are_named_by_wish_and_else_by_command)
{
	struct writer wish = writer_make(), own = writer_make();
	struct segment_hello hello;
	struct groups *groups;

	strcpy(wish.header->group, "my \"group\"");
	wish.header->runtime = SEGMENT_RUNTIME_V8;
	writer_start(&wish, stage.path, "writer");
	hello = writer_hello(&own);
	close(writer_send(stage.path, &hello, sizeof(hello), own.fd, 1));
	stage_run_until_targets(2);
	writer_begin(&wish, 0, 0, -1);
	writer_begin(&own, 0, 0, -1);
	ck_assert_uint_eq(stage_scrape("my \"group\"").processes, 1);
	ck_assert_uint_eq(stage_scrape("myself").processes, 1);
	groups = collector_groups(stage.collector);
	ck_assert_uint_eq(groups_count(groups), 2);
	for (size_t i = 0; i < 2; i++) {
		struct group_view view = groups_view(groups, i);

		if (strcmp(view.groupname, "myself") == 0)
			ck_assert_ptr_null(view.runtime);
		else
			ck_assert_str_eq(view.runtime, "node");
	}
	writer_free(&wish);
	writer_free(&own);
}
END_TEST

START_TEST(loops_are_named_by_thread_or_label)
{
	struct writer writer = stage_writer();
	struct groups *groups;
	struct series_view view;

	writer_thread(&writer, 1, "io-pool_12");
	writer_begin(&writer, 0, 0, -1);
	writer_begin(&writer, 1, 1, -1);
	writer_begin(&writer, 2, 1, -1);
	strcpy(writer.slots[2].label, "render");
	collector_read(stage.collector);
	groups = collector_groups(stage.collector);
	ck_assert_uint_eq(groups_view(groups, 0).series_count, 3);
	view = groups_series_view(groups, 0, 0);
	ck_assert_str_eq(view.loop, "main");
	view = groups_series_view(groups, 0, 1);
	ck_assert_str_eq(view.loop, "io-pool");
	view = groups_series_view(groups, 0, 2);
	ck_assert_str_eq(view.loop, "render");
	writer_free(&writer);
}
END_TEST

/* Turns so short that no copy is ever of one moment. Were the loop seen unattended, what was
 * shown of an iteration could be more than is written: between a look at the clock and what
 * follows from it the thread may lose its CPU. */
static void *
spin(void *arg)
{
	struct writer *writer = arg;

	while (!__atomic_load_n(&writer->header->reserved[0], __ATOMIC_RELAXED))
		writer_turn(writer, 0);
	return NULL;
}

static uint64_t last_iterations;

static bool
more_iterations_are_counted(void)
{
	return stage_show().iterations > last_iterations;
}

START_TEST(a_loop_that_is_written_to_all_the_time_is_seen)
{
	struct writer writer = stage_writer();
	pthread_t thread;

	writer_begin(&writer, 0, 0, -1);
	ck_assert_int_eq(pthread_create(&thread, NULL, spin, &writer), 0);
	for (int i = 0; i < 5; i++) {
		last_iterations = stage_show().iterations;
		ck_assert(stage_run_until(more_iterations_are_counted));
	}
	__atomic_store_n(&writer.header->reserved[0], 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(stage_show().iterations, writer.slots[0].iterations);
	ck_assert_uint_eq(stage_show().loops, 1);
	writer_free(&writer);
}
END_TEST

START_TEST(a_slot_whose_writer_stopped_in_it_is_seen)
{
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 3; i++)
		writer_iterate(&writer, 0, MS);
	writer.slots[0].state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	ck_assert_uint_eq(stage_show().iterations, 3);
	ck_assert_uint_eq(stage_show().loops, 1);
	writer_kill(&writer);
	ck_assert(stage_run_until(stage_nobody_lives));
	ck_assert_uint_eq(stage_show().iterations, 3);
	writer_free(&writer);
}
END_TEST

START_TEST(an_iteration_that_lasts_is_seen_while_it_lasts)
{
	struct writer writer = stage_writer();
	struct stage_shown shown;
	double active;

	writer_begin(&writer, 0, 0, -1);
	writer_wake(&writer, 0);
	stage_run_for(50 * MS);
	shown = stage_show();
	ck_assert_uint_eq(shown.open, 1);
	ck_assert_uint_eq(shown.iterations, 0);
	ck_assert_double_ge(shown.active, 0.05);
	active = shown.active;
	stage_run_for(20 * MS);
	ck_assert_double_ge(stage_show().active, active + 0.02);
	writer_wait(&writer, 0);
	shown = stage_show();
	ck_assert_uint_eq(shown.open, 0);
	ck_assert_uint_eq(shown.iterations, 1);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(the_counts_of_a_killed_process_stay)
{
	struct writer writer = stage_writer();
	struct stage_shown before, after;

	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 0, MS);
	writer_wake(&writer, 0);
	stage_run_for(200 * MS);
	before = stage_show();
	ck_assert_uint_eq(before.open, 1);
	writer_kill(&writer);
	ck_assert(stage_run_until(stage_nobody_lives));
	after = stage_show();
	ck_assert_uint_eq(after.iterations, 11);
	ck_assert_uint_eq(after.open, 0);
	ck_assert_double_ge(after.active, before.active);
	ck_assert_uint_ge(after.max_ns, 200 * MS);
	stage_run_for(50 * MS);
	ck_assert_uint_eq(stage_show().life_ns, after.life_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(a_process_that_was_gone_before_it_was_accepted_counts)
{
	struct writer writer = writer_make();

	writer_start(&writer, stage.path, "writer");
	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 0, MS);
	writer_kill(&writer);
	stage_run_until_targets(1);
	ck_assert_uint_eq(stage_show().iterations, 10);
	ck_assert_uint_eq(stage_show().active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(
		stage_show().life_ns, writer.slots[0].last_ns - writer.slots[0].born_ns);
	ck_assert_uint_eq(stage_show().processes, 0);
	ck_assert_uint_eq(stage_show().loops, 0);
	writer_free(&writer);
}
END_TEST

START_TEST(a_hundred_processes_in_a_row_are_all_counted)
{
	uint64_t iterations = 0, active = 0, life = 0;

	for (int i = 0; i < 100; i++) {
		struct writer writer = writer_make();

		writer_start(&writer, stage.path, "writer");
		writer_begin(&writer, 0, 0, -1);
		for (int j = 0; j < 20; j++) {
			writer_iterate(&writer, 0, 50000);
			if (j == i % 20)
				stage_show();
		}
		writer_kill(&writer);
		stage_run_until_targets((uint64_t)i + 1);
		iterations += 20;
		active += writer.slots[0].active_ns;
		life += writer.slots[0].last_ns - writer.slots[0].born_ns;
		writer_free(&writer);
	}
	ck_assert(stage_run_until(stage_nobody_lives));
	ck_assert_uint_eq(stage_show().iterations, iterations);
	ck_assert_uint_eq(stage_show().active_ns, active);
	ck_assert_uint_ge(stage_show().life_ns, life);
}
END_TEST

START_TEST(a_forked_child_goes_on_when_its_parent_has_ended)
{
	struct writer writer = stage_writer();
	pid_t child = writer_fork(&writer);

	writer_begin(&writer, 0, 0, -1);
	writer_let_child_claim(&writer, 1);
	writer_begin(&writer, 1, 1, -1);
	ck_assert_uint_eq(stage_show().processes, 2);
	ck_assert_uint_eq(stage_show().loops, 2);
	ck_assert_uint_eq(
		groups_view(collector_groups(stage.collector), 0).series_count, 1);
	writer_kill(&writer);
	stage_run_for(50 * MS);
	ck_assert_uint_eq(stage_show().processes, 1);
	ck_assert_uint_eq(stage_show().loops, 1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 1, MS);
	ck_assert_uint_eq(stage_show().iterations, 10);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(stage_nobody_lives());
	ck_assert_uint_eq(stage_show().iterations, 10);
	writer_free(&writer);
}
END_TEST

START_TEST(a_child_may_have_its_first_loop_when_the_parent_is_long_gone)
{
	struct writer writer = writer_make();
	pid_t child;

	/* As a daemon does: it is gone before anybody has looked. */
	writer_start(&writer, stage.path, "writer");
	child = writer_fork(&writer);
	writer_kill(&writer);
	stage_run_until_targets(1);
	stage_run_for(50 * MS);
	ck_assert_uint_eq(stage_show().processes, 0);
	writer_let_child_claim(&writer, 1);
	writer_begin(&writer, 0, 1, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(stage_show().processes, 1);
	ck_assert_uint_eq(stage_show().loops, 1);
	ck_assert_uint_eq(stage_show().iterations, 1);
	ck_assert_str_eq(
		groups_series_view(collector_groups(stage.collector), 0, 0).loop, "main");
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(stage_nobody_lives());
	writer_free(&writer);
}
END_TEST

START_TEST(a_thread_that_ends_takes_its_loop_along)
{
	struct writer writer = stage_writer();
	struct stage_shown before;

	writer_thread(&writer, 1, "io");
	writer_begin(&writer, 0, 1, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(stage_show().loops, 1);
	writer_wake(&writer, 0);
	writer_end_thread(&writer);
	stage_run_for(50 * MS);
	before = stage_show();
	ck_assert_uint_eq(before.loops, 0);
	ck_assert_uint_eq(before.open, 0);
	ck_assert_uint_eq(before.processes, 1);
	ck_assert_uint_eq(before.iterations, 1);
	stage_run_for(50 * MS);
	ck_assert_uint_eq(stage_show().life_ns, before.life_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(another_program_in_the_same_process_takes_its_place)
{
	struct writer next = writer_make(), writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(stage_show().processes, 1);
	next.header->pid = (uint32_t)writer.pid;
	writer_register(&writer, &next);
	stage_run_until_targets(2);
	/* exec would have ended the thread. */
	writer.threads[0].lock[0] |= SEGMENT_OWNER_DIED;
	ck_assert_uint_eq(stage_show().processes, 1);
	ck_assert_uint_eq(stage_show().loops, 0);
	ck_assert_uint_eq(stage_show().iterations, 1);
	next.threads[0].lock[0] = (uint32_t)writer.pid;
	writer_begin(&next, 0, 0, -1);
	writer_iterate(&next, 0, MS);
	ck_assert_uint_eq(stage_show().processes, 1);
	ck_assert_uint_eq(stage_show().loops, 1);
	ck_assert_uint_eq(stage_show().iterations, 2);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

START_TEST(a_registration_anew_counts_nothing_twice)
{
	struct writer next = writer_make(), writer = stage_writer();
	uint64_t life_ns;
	struct stage_shown shown;

	writer_begin(&writer, 0, 0, -1);
	writer_begin(&writer, 1, 0, -1);
	for (int i = 0; i < 10; i++) {
		writer_iterate(&writer, 0, MS);
		writer_iterate(&writer, 1, MS);
	}
	stage_show();
	memcpy(next.header->id, writer.header->id, 16);
	next.header->pid = (uint32_t)writer.pid;
	next.header->registrations = 1;
	writer_register(&writer, &next);
	stage_run_until_targets(2);
	ck_assert_uint_eq(stage_show().loops, 2);
	ck_assert_uint_eq(stage_show().processes, 1);
	writer_iterate(&writer, 0, MS);
	writer_iterate(&writer, 1, MS);
	/* One of the loops moves, at the end of an iteration that nobody has seen yet; in
	 * the new segment the other one's place is taken by a new loop. */
	next.threads[0].lock[0] = (uint32_t)writer.pid;
	next.threads[0].generation = 1;
	next.slots[0] = writer.slots[0];
	next.header->slots_used = 1;
	writer.slots[0].state = 0;
	writer_begin(&next, 1, 0, -1);
	for (int i = 0; i < 10; i++) {
		writer_iterate(&next, 0, MS);
		writer_iterate(&next, 1, MS);
		writer_iterate(&writer, 1, MS);
	}
	shown = stage_show();
	ck_assert_uint_eq(shown.processes, 1);
	ck_assert_uint_eq(shown.loops, 3);
	ck_assert_uint_eq(shown.iterations, 21 + 21 + 10);
	ck_assert_uint_eq(shown.active_ns, next.slots[0].active_ns +
						   next.slots[1].active_ns +
						   writer.slots[1].active_ns);
	life_ns = 3 * writer_now_ns() - next.slots[0].born_ns - next.slots[1].born_ns -
		  writer.slots[1].born_ns;
	ck_assert_uint_le(shown.life_ns, life_ns);
	ck_assert_uint_ge(shown.life_ns, shown.active_ns);
	/* The same again is no registration. */
	writer_register(&writer, &next);
	stage_run_until_refused(1);
	ck_assert_uint_eq(collector_stats(stage.collector).rejected[COLLECTOR_HEADER], 1);
	writer_kill(&writer);
	ck_assert(stage_run_until(stage_nobody_lives));
	ck_assert_uint_eq(stage_show().iterations, shown.iterations);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

START_TEST(a_closed_loop_is_no_stall)
{
	struct writer writer = stage_writer();
	int fd = writer_open(&writer);
	double active;

	writer_begin(&writer, 0, 0, fd);
	writer_wake(&writer, 0);
	stage_run_for(100 * MS);
	ck_assert_uint_eq(stage_show().open, 1);
	ck_assert_uint_eq(stage_show().loops, 1);
	writer_close(&writer, fd);
	ck_assert_uint_eq(stage_show().open, 0);
	ck_assert_uint_eq(stage_show().loops, 0);
	active = stage_show().active;
	stage_run_for(50 * MS);
	ck_assert_double_eq(stage_show().active, active);
	writer_free(&writer);
}
END_TEST

#define MANY 100

static bool
many_iterations_are_counted(void)
{
	struct groups *groups = collector_groups(stage.collector);
	uint64_t iterations = 0;

	for (size_t i = 0; i < groups_count(groups); i++)
		if (groups_view(groups, i).series_count)
			iterations += groups_series_view(groups, i, 0).window->iterations;
	return iterations == MANY;
}

START_TEST(many_targets_are_read_without_being_asked_for)
{
	static struct writer writers[MANY];

	stage_limit_descriptors(4096);
	for (int i = 0; i < MANY; i++) {
		struct segment_hello hello;

		writers[i] = writer_make();
		snprintf(writers[i].header->group, SEGMENT_NAME_BYTES, "g%d", i);
		hello = writer_hello(&writers[i]);
		close(writer_send(stage.path, &hello, sizeof(hello), writers[i].fd, 1));
	}
	stage_run_until_targets(MANY);
	for (int i = 0; i < MANY; i++) {
		writer_begin(&writers[i], 0, 0, -1);
		writer_iterate(&writers[i], 0, 1000);
	}
	ck_assert(stage_run_until(many_iterations_are_counted));
	for (int i = 0; i < MANY; i++)
		writer_free(&writers[i]);
}
END_TEST

static uint64_t last_life_ns;

/* As far as it was told without anybody asking. */
static bool
life_goes_on(void)
{
	uint64_t before_ns = last_life_ns;

	last_life_ns = groups_series_view(collector_groups(stage.collector), 0, 0)
			       .total->life_ns;
	return last_life_ns != before_ns;
}

START_TEST(the_life_of_a_loop_at_rest_is_told_at_times_and_to_who_asks)
{
	struct writer writer = stage_writer();
	uint64_t first_ns, asked_ns;

	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, MS);
	last_life_ns = stage_show().life_ns;
	ck_assert(stage_run_until(life_goes_on));
	first_ns = writer_now_ns();
	ck_assert(stage_run_until(life_goes_on));
	/* Five seconds, less what kept us from reading in time. */
	ck_assert_uint_gt(writer_now_ns() - first_ns, 2000 * MS);
	asked_ns = writer_now_ns() - writer.slots[0].born_ns;
	ck_assert_uint_ge(stage_show().life_ns, asked_ns);
	writer_free(&writer);
}
END_TEST

static bool
no_loop_is_known(void)
{
	return collector_count_loops(stage.collector) == 0;
}

START_TEST(a_thread_that_ends_in_its_wait_is_noticed_by_the_next_reading)
{
	struct writer writer = stage_writer();
	uint64_t ended_ns;

	writer_thread(&writer, 1, "io");
	writer_begin(&writer, 0, 1, -1);
	writer_iterate(&writer, 0, MS);
	last_life_ns = stage_show().life_ns;
	/* From now on its life would not be told for five seconds. */
	ck_assert(stage_run_until(life_goes_on));
	ended_ns = writer_now_ns();
	writer_end_thread(&writer);
	ck_assert(stage_run_until(no_loop_is_known));
	ck_assert_uint_lt(writer_now_ns() - ended_ns, 3500 * MS);
	writer_free(&writer);
}
END_TEST

START_TEST(a_new_collector_rings)
{
	const volatile struct segment_doorbell *page;
	int fd = open(stage.doorbell, O_RDONLY | O_CLOEXEC);

	page = mmap(NULL, SEGMENT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne((void *)page, MAP_FAILED);
	ck_assert_uint_eq(page->daemon, 1);
	collector_close(stage.collector);
	stage_open();
	ck_assert_uint_eq(page->daemon, 2);
	munmap((void *)page, SEGMENT_PAGE);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("collector");
	TCase *tcase = tcase_create("collector");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, stage_set_up, stage_tear_down);
	tcase_add_test(tcase, a_target_and_its_loops_are_seen);
	tcase_add_test(tcase, groups_are_named_by_wish_and_else_by_command);
	tcase_add_test(tcase, loops_are_named_by_thread_or_label);
	tcase_add_test(tcase, a_loop_that_is_written_to_all_the_time_is_seen);
	tcase_add_test(tcase, a_slot_whose_writer_stopped_in_it_is_seen);
	tcase_add_test(tcase, an_iteration_that_lasts_is_seen_while_it_lasts);
	tcase_add_test(tcase, the_counts_of_a_killed_process_stay);
	tcase_add_test(tcase, a_process_that_was_gone_before_it_was_accepted_counts);
	tcase_add_test(tcase, a_hundred_processes_in_a_row_are_all_counted);
	tcase_add_test(tcase, a_forked_child_goes_on_when_its_parent_has_ended);
	tcase_add_test(
		tcase, a_child_may_have_its_first_loop_when_the_parent_is_long_gone);
	tcase_add_test(tcase, a_thread_that_ends_takes_its_loop_along);
	tcase_add_test(tcase, another_program_in_the_same_process_takes_its_place);
	tcase_add_test(tcase, a_registration_anew_counts_nothing_twice);
	tcase_add_test(tcase, a_closed_loop_is_no_stall);
	tcase_add_test(tcase, many_targets_are_read_without_being_asked_for);
	tcase_add_test(
		tcase, the_life_of_a_loop_at_rest_is_told_at_times_and_to_who_asks);
	tcase_add_test(
		tcase, a_thread_that_ends_in_its_wait_is_noticed_by_the_next_reading);
	tcase_add_test(tcase, a_new_collector_rings);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
