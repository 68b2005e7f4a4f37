/* SPDX-License-Identifier: MIT */
/* The watch in a collector that runs: stalls of targets while they last, and afterwards,
 * whatever happens to their loops. */

#include "config.h"

#include "daemon/watch.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "daemon/collector.h"
#include "daemon/configuration.h"
#include "daemon/groups.h"
#include "daemon/stalls.h"
#include "tests/stage.h"

#define MS 1000000ull
#define SECOND 1000000000ull

static struct writer writer;

static void
set_up(void)
{
	stage_set_up();
	writer = stage_writer();
	writer_begin(&writer, 0, 0, -1);
}

static void
tear_down(void)
{
	writer_free(&writer);
	stage_tear_down();
}

static const struct stall *
stall(size_t index)
{
	struct stalls *stalls = collector_stalls(stage.collector);

	return index < stalls_count(stalls) ? stalls_at(stalls, index) : NULL;
}

/* What a scrape counts of group "writer". */
static uint64_t
counted(void)
{
	struct groups *groups = collector_groups(stage.collector);
	uint64_t sum = 0;

	for (size_t i = 0; i < groups_count(groups); i++)
		for (size_t j = 0; j < groups_view(groups, i).series_count; j++)
			for (int k = 0; k < STALL_CAUSES; k++)
				sum += groups_series_view(groups, i, j).stalls->count[k];
	return sum;
}

static bool
is_open(void)
{
	return stall(0) && stall(0)->open;
}

static bool
has_ended(void)
{
	return stall(0) && !stall(0)->open;
}

static bool
is_long(void)
{
	return stall(0) && stall(0)->length_ns > 500 * MS;
}

/* Its only loop stalls; returns since when. */
static uint64_t
begin_stall(void)
{
	writer_wake(&writer, 0);
	return writer.slots[0].state;
}

START_TEST(a_stall_is_found_while_it_lasts)
{
	uint64_t since = begin_stall();

	ck_assert(stage_run_until(is_open));
	/* Within the threshold and a tick; the rest is this machine's. */
	ck_assert_uint_lt(writer_now_ns() - since, 500 * MS);
	ck_assert_uint_gt(stall(0)->length_ns, 100 * MS);
	ck_assert_uint_eq(stall(0)->started_ns, since);
	ck_assert_str_eq(stall(0)->groupname, "writer");
	ck_assert_str_eq(stall(0)->loop, "main");
	ck_assert_int_eq(stall(0)->pid, writer.pid);
	ck_assert_int_eq(stall(0)->tid, writer.pid);
	ck_assert(stage_run_until(is_long));
	ck_assert_uint_eq(counted(), 0);
	writer_wait(&writer, 0);
	ck_assert(stage_run_until(has_ended));
	ck_assert_uint_eq(stall(0)->length_ns, writer.slots[0].ring[0].length_ns);
	ck_assert_uint_eq(counted(), 1);
	ck_assert_ptr_null(stall(1));
	/* The process slept for a command all the time. */
	ck_assert_int_eq(stall(0)->cause, STALL_BLOCKED);
}
END_TEST

START_TEST(a_stall_is_looked_at_as_it_passes_the_threshold)
{
	const uint64_t tick = 25 * MS;
	unsigned in_time = 0;

	for (int i = 0; i < 9; i++) {
		size_t count = stalls_count(collector_stalls(stage.collector));

		/* Just after a tick: the fourth from there comes just too early. */
		stage_run_for(tick - writer_now_ns() % tick + 2 * MS);
		begin_stall();
		while (stalls_count(collector_stalls(stage.collector)) == count)
			stage_run_for(MS / 2);
		in_time += stall(count)->length_ns < 100 * MS + tick / 2;
		writer_wait(&writer, 0);
		stage_run_for(2 * tick);
	}
	/* Other looks come by chance. */
	ck_assert_uint_ge(in_time, 5);
}
END_TEST

START_TEST(a_loop_that_begins_while_another_is_late_is_not_overlooked)
{
	const uint64_t rest = 75 * MS;
	unsigned in_time = 0;

	for (unsigned i = 1; i < 10; i++) {
		/* After a look at the late one, and before the next: it has gone to rest by
		 * then, and another one has come that stalls without any further news. */
		stage_run_for(rest - writer_now_ns() % rest + 30 * MS);
		writer_wake(&writer, 0);
		stage_run_for(rest - writer_now_ns() % rest + 10 * MS);
		writer_wait(&writer, 0);
		writer_begin(&writer, i, 0, -1);
		writer_wake(&writer, i);
		while (!stall(i - 1))
			stage_run_for(MS / 2);
		in_time += stall(i - 1)->length_ns < 250 * MS;
		writer_wait(&writer, i);
		stage_run_for(rest);
	}
	/* Reading all by the second finds some of them by chance. */
	ck_assert_uint_ge(in_time, 5);
}
END_TEST

START_TEST(a_stall_that_only_a_reading_has_found_is_watched_from_then_on)
{
	uint64_t end_ns;

	/* Its thread read the clock, and then lost its CPU for so long that all seemed to be
	 * at rest: so nothing has told of it. */
	writer_iterate(&writer, 0, MS);
	stage_run_for(300 * MS);
	writer.slots[0].state = writer_now_ns();
	ck_assert(stage_run_until(is_open));
	writer_wait(&writer, 0);
	end_ns = writer_now_ns();
	ck_assert(stage_run_until(has_ended));
	/* By the next look, not by the next reading. */
	ck_assert_uint_lt(writer_now_ns() - end_ns, 700 * MS);
}
END_TEST

START_TEST(a_short_stall_between_two_ticks_is_reported_whole)
{
	writer_iterate(&writer, 0, 110 * MS);
	ck_assert(stage_run_until(has_ended));
	ck_assert_uint_eq(stall(0)->length_ns, writer.slots[0].ring[0].length_ns);
	writer_iterate(&writer, 0, 90 * MS);
	stage_run_for(200 * MS);
	stage_scrape("writer");
	ck_assert_ptr_null(stall(1));
	ck_assert_uint_eq(counted(), 1);
}
END_TEST

START_TEST(scrapes_and_ticks_report_it_once)
{
	begin_stall();
	stage_run_for(130 * MS);
	for (int i = 0; i < 20; i++)
		stage_scrape("writer");
	ck_assert(is_open());
	writer_wait(&writer, 0);
	for (int i = 0; i < 20; i++)
		stage_scrape("writer");
	stage_run_for(100 * MS);
	ck_assert(has_ended());
	ck_assert_ptr_null(stall(1));
	ck_assert_uint_eq(counted(), 1);
}
END_TEST

START_TEST(a_process_that_is_killed_ends_its_stall)
{
	uint64_t since = begin_stall(), length;

	ck_assert(stage_run_until(is_open));
	writer_kill(&writer);
	length = writer_now_ns() - since;
	ck_assert(stage_run_until(has_ended));
	ck_assert_uint_gt(stall(0)->length_ns, 100 * MS);
	ck_assert_uint_le(stall(0)->length_ns, length + SECOND);
	stage_run_for(1200 * MS);
	ck_assert_ptr_null(stall(1));
	ck_assert_uint_eq(counted(), 1);
}
END_TEST

START_TEST(a_loop_that_was_closed_has_no_stall)
{
	int fd = writer_open(&writer);

	writer_begin(&writer, 1, 0, fd);
	writer_iterate(&writer, 1, MS);
	writer_wake(&writer, 1);
	writer_close(&writer, fd);
	stage_run_for(400 * MS);
	ck_assert_ptr_null(stall(0));
}
END_TEST

START_TEST(a_stall_goes_on_through_a_registration_anew)
{
	struct writer later = writer_make();
	struct writer first;

	/* A process of its own that was made after both segments. */
	first = writer_make();
	writer_start(&first, stage.path, "writer");
	stage_run_until_targets(2);
	writer_begin(&first, 0, 0, -1);
	writer_wake(&first, 0);
	ck_assert(stage_run_until(is_open));
	writer_wait(&first, 0);
	/* The loop moves at the end of its iteration, with all that its slot has. */
	memcpy(later.slots, first.slots, sizeof(*later.slots));
	memcpy(later.threads, first.threads, sizeof(*later.threads));
	later.header->slots_used = 1;
	later.header->registrations = 1;
	first.slots[0].state = 0;
	writer_register(&first, &later);
	stage_run_until_targets(3);
	stage_run_for(150 * MS);
	ck_assert(has_ended());
	ck_assert_ptr_null(stall(1));
	ck_assert_uint_eq(counted(), 1);
	writer_free(&first);
}
END_TEST

START_TEST(the_threshold_may_change)
{
	struct configuration *configuration = configuration_default();

	ck_assert_ptr_nonnull(configuration);
	configuration->threshold_ns = 20 * MS;
	collector_configure(stage.collector, configuration);
	writer_iterate(&writer, 0, 30 * MS);
	ck_assert(stage_run_until(has_ended));
	configuration->threshold_ns = SECOND;
	collector_configure(stage.collector, configuration);
	writer_iterate(&writer, 0, 300 * MS);
	stage_run_for(300 * MS);
	stage_scrape("writer");
	ck_assert_ptr_null(stall(1));
	configuration_free(configuration);
}
END_TEST

START_TEST(closing_the_collector_ends_what_is_open)
{
	begin_stall();
	ck_assert(stage_run_until(is_open));
	collector_close(stage.collector);
	stage.collector = NULL;
	stage_open();
}
END_TEST

START_TEST(ticks_are_a_quarter_of_the_threshold_within_bounds)
{
	ck_assert_uint_eq(watch_tick_ns(100 * MS), 25 * MS);
	ck_assert_uint_eq(watch_tick_ns(60 * SECOND), 250 * MS);
	ck_assert_uint_eq(watch_tick_ns(10 * MS), 2500000);
	ck_assert_uint_eq(watch_tick_ns(1), 2500000);
	ck_assert_uint_eq(watch_rest_ns(25 * MS), 93750000);
	ck_assert_uint_eq(watch_rest_ns(100 * MS), 250 * MS);
	ck_assert_uint_eq(watch_rest_ns(250 * MS), 250 * MS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("watch");
	TCase *tcase = tcase_create("watch");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_stall_is_found_while_it_lasts);
	tcase_add_test(tcase, a_stall_is_looked_at_as_it_passes_the_threshold);
	tcase_add_test(tcase, a_loop_that_begins_while_another_is_late_is_not_overlooked);
	tcase_add_test(
		tcase, a_stall_that_only_a_reading_has_found_is_watched_from_then_on);
	tcase_add_test(tcase, a_short_stall_between_two_ticks_is_reported_whole);
	tcase_add_test(tcase, scrapes_and_ticks_report_it_once);
	tcase_add_test(tcase, a_process_that_is_killed_ends_its_stall);
	tcase_add_test(tcase, a_loop_that_was_closed_has_no_stall);
	tcase_add_test(tcase, a_stall_goes_on_through_a_registration_anew);
	tcase_add_test(tcase, the_threshold_may_change);
	tcase_add_test(tcase, closing_the_collector_ends_what_is_open);
	tcase_add_test(tcase, ticks_are_a_quarter_of_the_threshold_within_bounds);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
