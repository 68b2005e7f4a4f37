/* SPDX-License-Identifier: MIT */
/* Counts over the end of a daemon: an iteration that was counted before is not counted
 * again, and one that was not is; with the segments kept, found again, or lost. */

#include "config.h"

#include "daemon/recovery.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "daemon/collector.h"
#include "daemon/groups.h"
#include "daemon/ledger.h"
#include "tests/segment_writer.h"
#include "tests/stage.h"

#define MS 1000000ull

/* From now on we cannot open what others map. */
static void
do_without_maps(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	data[CAP_SYS_ADMIN / 32].effective &= ~(1u << CAP_SYS_ADMIN % 32);
	data[40 / 32].effective &= ~(1u << 40 % 32); /* CAP_CHECKPOINT_RESTORE */
	ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

static void
set_up(void)
{
	stage_set_up();
	stage_keep_history();
	do_without_maps();
}

static void
iterate(struct writer *writer, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		writer_iterate(writer, 0, MS);
}

static uint64_t
lost(void)
{
	return collector_stats(stage.collector).dropped_restart;
}

static uint64_t
count_stalls(void)
{
	struct groups *groups = collector_groups(stage.collector);
	uint64_t count = 0;

	for (size_t i = 0; i < groups_count(groups); i++)
		for (size_t j = 0; j < groups_view(groups, i).series_count; j++)
			for (int cause = 0; cause < STALL_CAUSES; cause++)
				count += groups_series_view(groups, i, j)
						 .stalls->count[cause];
	return count;
}

/* The writer's process registers `next`, as it does when it is asked to register again. */
static void
register_again(struct writer *writer, struct writer *next)
{
	uint64_t targets = collector_stats(stage.collector).targets;

	memcpy(next->header->id, writer->header->id, 16);
	next->header->pid = (uint32_t)writer->pid;
	next->header->registrations = writer->header->registrations + 1;
	writer_register(writer, next);
	stage_run_until_targets(targets + 1);
}

/* Its loop moves there. */
static void
move(struct writer *writer, struct writer *next, unsigned index)
{
	next->threads[0].lock[0] = (uint32_t)writer->pid;
	next->threads[0].generation = 1;
	next->slots[index] = writer->slots[0];
	next->header->slots_used = index + 1;
	writer->slots[0].state = 0;
}

START_TEST(iterations_are_counted_once_whether_they_were_stored_or_not)
{
	struct writer writer = stage_writer();
	struct stage_shown shown;

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 10);
	ck_assert_uint_eq(stage_show().iterations, 10);
	iterate(&writer, 5);
	stage_store(&writer);
	stage_kill();
	iterate(&writer, 3);
	stage_open();
	shown = stage_show();
	ck_assert_uint_eq(shown.iterations, 18);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(shown.processes, 1);
	ck_assert_uint_eq(shown.loops, 1);
	ck_assert_uint_le(shown.life_ns, writer_now_ns() - writer.slots[0].born_ns);
	iterate(&writer, 2);
	ck_assert_uint_eq(stage_show().iterations, 20);
	ck_assert_uint_eq(lost(), 0);
	writer_free(&writer);
}
END_TEST

START_TEST(many_restarts_count_nothing_twice)
{
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	for (unsigned i = 1; i <= 10; i++) {
		iterate(&writer, 2);
		if (i % 2)
			stage_show();
		stage_store(&writer);
		stage_kill();
		stage_open();
		ck_assert_uint_eq(stage_show().iterations, 2 * i);
	}
	ck_assert_uint_eq(stage_show().active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(collector_stats(stage.collector).targets, 1);
	writer_free(&writer);
}
END_TEST

START_TEST(a_registration_does_not_store_half_of_what_others_did)
{
	struct writer writer = stage_writer(), other;

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 10);
	ck_assert_uint_eq(stage_show().iterations, 10);
	iterate(&writer, 5);
	collector_read(stage.collector);
	while (collector_save_more(stage.collector))
		;
	other = stage_writer();
	stage_store(&writer);
	stage_store(&other);
	stage_kill();
	stage_open();
	ck_assert_uint_eq(stage_show().iterations, 15);
	writer_free(&other);
	writer_free(&writer);
}
END_TEST

START_TEST(what_a_process_did_before_it_died_without_a_daemon_is_counted)
{
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 4);
	stage_show();
	stage_store(&writer);
	stage_kill();
	iterate(&writer, 3);
	writer_kill(&writer);
	stage_open();
	ck_assert_uint_eq(stage_show().iterations, 7);
	ck_assert(stage_nobody_lives());
	ck_assert_uint_eq(lost(), 0);
	writer_free(&writer);
}
END_TEST

START_TEST(an_iteration_that_lasts_goes_on_and_is_counted_once)
{
	struct writer writer = stage_writer();
	struct stage_shown shown;
	double active;

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 1);
	writer_wake(&writer, 0);
	stage_run_for(150 * MS);
	active = stage_show().active;
	stage_store(&writer);
	stage_kill();
	stage_open();
	shown = stage_show();
	ck_assert_uint_eq(shown.open, 1);
	ck_assert_double_ge(shown.active, active);
	stage_run_for(20 * MS);
	writer_wait(&writer, 0);
	shown = stage_show();
	ck_assert_uint_eq(shown.open, 0);
	ck_assert_uint_eq(shown.iterations, 2);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(count_stalls(), 1);
	writer_free(&writer);
}
END_TEST

START_TEST(stalls_are_counted_once)
{
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, 120 * MS);
	stage_show();
	ck_assert_uint_eq(count_stalls(), 1);
	stage_store(&writer);
	stage_kill();
	writer_iterate(&writer, 0, 130 * MS);
	stage_open();
	stage_show();
	ck_assert_uint_eq(count_stalls(), 2);
	writer_free(&writer);
}
END_TEST

START_TEST(a_lost_segment_is_made_good_by_a_registration_anew)
{
	struct writer next = writer_make(), writer = stage_writer();
	struct stage_shown shown;

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 10);
	stage_show();
	iterate(&writer, 5);
	stage_kill();
	iterate(&writer, 3);
	stage_open();
	/* What was shown is shown on, and nobody is there. */
	shown = stage_show();
	ck_assert_uint_eq(shown.iterations, 10);
	ck_assert_uint_eq(shown.loops, 0);
	ck_assert_uint_eq(shown.processes, 0);
	register_again(&writer, &next);
	ck_assert_uint_eq(stage_show().iterations, 10);
	/* Its place is taken there. */
	move(&writer, &next, 3);
	writer_iterate(&next, 3, MS);
	shown = stage_show();
	ck_assert_uint_eq(shown.iterations, 19);
	ck_assert_uint_eq(shown.active_ns, next.slots[3].active_ns);
	ck_assert_uint_eq(shown.loops, 1);
	ck_assert_uint_eq(shown.processes, 1);
	writer_kill(&writer);
	ck_assert(stage_run_until(stage_nobody_lives));
	ck_assert_uint_eq(stage_show().iterations, 19);
	ck_assert_uint_eq(lost(), 0);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

START_TEST(a_loop_that_moved_twice_unseen_is_counted_once)
{
	struct writer last = writer_make(), next = writer_make();
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 10);
	stage_show();
	register_again(&writer, &next);
	iterate(&writer, 5);
	move(&writer, &next, 0);
	/* It is found in the last one before anybody has looked into the one between. */
	next.pid = writer.pid;
	iterate(&next, 3);
	move(&next, &last, 0);
	iterate(&last, 2);
	memcpy(last.header->id, writer.header->id, 16);
	last.header->pid = (uint32_t)writer.pid;
	last.header->registrations = 2;
	writer_register(&writer, &last);
	stage_run_until_targets(3);
	ck_assert_uint_eq(stage_show().iterations, 20);
	ck_assert_uint_eq(stage_show().active_ns, last.slots[0].active_ns);
	writer_free(&writer);
	next.pid = 0;
	writer_free(&next);
	writer_free(&last);
}
END_TEST

START_TEST(an_open_iteration_of_a_lost_segment_does_not_go_back)
{
	struct writer next = writer_make(), writer = stage_writer();
	struct stage_shown shown;

	writer_begin(&writer, 0, 0, -1);
	writer_wake(&writer, 0);
	stage_run_for(150 * MS);
	ck_assert_uint_eq(stage_show().open, 1);
	stage_kill();
	stage_open();
	ck_assert_uint_eq(stage_show().open, 1);
	stage_kill();
	stage_open();
	stage_show();
	register_again(&writer, &next);
	stage_show();
	writer_wait(&writer, 0);
	move(&writer, &next, 0);
	shown = stage_show();
	ck_assert_uint_eq(shown.open, 0);
	ck_assert_uint_eq(shown.iterations, 1);
	ck_assert_uint_eq(shown.active_ns, next.slots[0].active_ns);
	ck_assert_uint_eq(count_stalls(), 1);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

static bool
one_is_lost(void)
{
	stage_show();
	return lost() == 1;
}

START_TEST(a_process_that_dies_without_its_segment_is_counted_as_lost)
{
	struct writer writer = stage_writer();
	struct stage_shown shown;

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 5);
	writer_wake(&writer, 0);
	stage_run_for(150 * MS);
	stage_show();
	stage_kill();
	stage_open();
	stage_show();
	ck_assert_uint_eq(lost(), 0);
	writer_kill(&writer);
	ck_assert(stage_run_until(one_is_lost));
	/* The last iteration, as long as it was known to be. */
	shown = stage_show();
	ck_assert_uint_eq(shown.iterations, 6);
	ck_assert_uint_eq(shown.open, 0);
	ck_assert_uint_eq(count_stalls(), 1);
	/* And that is kept too. */
	stage_kill();
	stage_open();
	ck_assert_uint_eq(stage_show().iterations, 6);
	ck_assert_uint_eq(lost(), 1);
	writer_free(&writer);
}
END_TEST

START_TEST(a_process_that_dies_before_its_loops_are_known_is_counted_as_lost)
{
	struct writer writer = stage_writer();

	stage_kill();
	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 5);
	writer_kill(&writer);
	stage_open();
	ck_assert(stage_run_until(one_is_lost));
	writer_free(&writer);
}
END_TEST

START_TEST(registrations_in_hand_are_counted_as_lost_once)
{
	struct writer writer = stage_writer();

	stage_show();
	ledger_set_in_hand(stage.ledger, 2);
	stage_kill();
	for (int i = 0; i < 2; i++) {
		stage_open();
		stage_show();
		ck_assert_uint_eq(lost(), 2);
		stage_kill();
	}
	stage_open();
	writer_free(&writer);
}
END_TEST

START_TEST(registrations_in_hand_that_were_stored_are_not_lost)
{
	struct writer writer = stage_writer();

	stage_show();
	ledger_set_in_hand(stage.ledger, 2);
	ledger_admit(stage.ledger);
	ledger_commit(stage.ledger);
	for (int i = 0; i < 3; i++) {
		stage_kill();
		stage_open();
		stage_show();
		ck_assert_uint_eq(lost(), 1);
	}
	writer_free(&writer);
}
END_TEST

START_TEST(a_segment_that_is_not_what_it_was_is_no_target)
{
	struct writer writer = stage_writer(), other = writer_make();
	char name[FD_STORE_NAME_BYTES];

	writer_begin(&writer, 0, 0, -1);
	iterate(&writer, 5);
	stage_show();
	fd_store_name(writer.header, name);
	/* Not sealed memory, and a name that nobody has. */
	ck_assert_int_eq(fd_store_return(&stage.kept, dup(stage.listener), name), 0);
	ck_assert_int_eq(fd_store_return(&stage.kept, dup(other.fd), "segment-x"), 0);
	stage_kill();
	stage_open();
	ck_assert_uint_eq(stage_show().iterations, 5);
	ck_assert_uint_eq(stage_show().loops, 0);
	writer_free(&writer);
	writer_free(&other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("restart");
	TCase *tcase = tcase_create("restart");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, stage_tear_down);
	tcase_add_test(
		tcase, iterations_are_counted_once_whether_they_were_stored_or_not);
	tcase_add_test(tcase, many_restarts_count_nothing_twice);
	tcase_add_test(tcase, a_registration_does_not_store_half_of_what_others_did);
	tcase_add_test(
		tcase, what_a_process_did_before_it_died_without_a_daemon_is_counted);
	tcase_add_test(tcase, an_iteration_that_lasts_goes_on_and_is_counted_once);
	tcase_add_test(tcase, stalls_are_counted_once);
	tcase_add_test(tcase, a_lost_segment_is_made_good_by_a_registration_anew);
	tcase_add_test(tcase, a_loop_that_moved_twice_unseen_is_counted_once);
	tcase_add_test(tcase, an_open_iteration_of_a_lost_segment_does_not_go_back);
	tcase_add_test(tcase, a_process_that_dies_without_its_segment_is_counted_as_lost);
	tcase_add_test(
		tcase, a_process_that_dies_before_its_loops_are_known_is_counted_as_lost);
	tcase_add_test(tcase, registrations_in_hand_are_counted_as_lost_once);
	tcase_add_test(tcase, registrations_in_hand_that_were_stored_are_not_lost);
	tcase_add_test(tcase, a_segment_that_is_not_what_it_was_is_no_target);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
