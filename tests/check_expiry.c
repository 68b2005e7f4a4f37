/* SPDX-License-Identifier: MIT */
/* Groups that are forgotten: which ones, when, and that nothing of them is left. */

#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/collector.h"
#include "daemon/configuration.h"
#include "daemon/groups.h"
#include "daemon/ledger.h"
#include "daemon/quota.h"
#include "daemon/stalls.h"
#include "tests/segment_writer.h"
#include "tests/stage.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static struct groups *groups;
static struct quota *quota;
static char told[256];

static void
set_up(void)
{
	groups = groups_new();
	quota = quota_new();
	groups_set_quota(groups, quota);
	told[0] = 0;
}

static void
tear_down(void)
{
	groups_free(groups);
	quota_free(quota);
}

static void
note(void *arg, const struct group_view *group)
{
	sprintf(told + strlen(told), "%s ", group->groupname);
}

/* A sweep at that second, in which somebody lives in `living` and `dead` has left traces. */
static size_t
sweep(unsigned second, const char *living, const char *dead)
{
	groups_begin_sweep(groups);
	if (living)
		group_keep(groups_get(groups, living), true, second * SECOND);
	if (dead)
		series_keep(group_series(groups_get(groups, dead), "main"), false,
			second * SECOND);
	return groups_forget(groups, second * SECOND, 10 * SECOND, note, NULL);
}

START_TEST(a_group_is_forgotten_when_nobody_has_lived_in_it_for_so_long)
{
	group_series(groups_get(groups, "web"), "main");
	groups_get(groups, "db");
	ck_assert_uint_eq(sweep(100, "web", NULL), 0);
	ck_assert_uint_eq(sweep(109, "web", NULL), 0);
	/* From the first look on. */
	ck_assert_uint_eq(sweep(110, "web", NULL), 1);
	ck_assert_str_eq(told, "db ");
	ck_assert_uint_eq(groups_count(groups), 1);
	ck_assert_ptr_null(groups_find(groups, "db"));
	ck_assert_uint_eq(sweep(119, NULL, NULL), 0);
	ck_assert_uint_eq(sweep(120, NULL, NULL), 1);
	ck_assert_uint_eq(groups_count(groups), 0);
	ck_assert_str_eq(told, "db web ");
}
END_TEST

START_TEST(a_group_of_which_something_is_told_stays_until_it_is_not)
{
	groups_get(groups, "web");
	ck_assert_uint_eq(sweep(100, "web", NULL), 0);
	ck_assert_uint_eq(sweep(200, NULL, "web"), 0);
	ck_assert_uint_eq(sweep(201, NULL, NULL), 1);
}
END_TEST

START_TEST(other_stays)
{
	groups_get(groups, GROUPS_OVERFLOW);
	sweep(100, NULL, NULL);
	ck_assert_uint_eq(sweep(1000000, NULL, NULL), 0);
	ck_assert_ptr_nonnull(groups_find(groups, GROUPS_OVERFLOW));
}
END_TEST

START_TEST(a_group_that_comes_back_begins_at_zero)
{
	struct counters delta = {.life_ns = SECOND};
	struct series *series = group_series(groups_get(groups, "web"), "main");
	struct series_view view;

	counters_record(&delta, SECOND / 2);
	series_add(series, &delta, 100 * SECOND);
	ck_assert_uint_eq(groups_series_view(groups, 0, 0).started_ns, 99 * SECOND);
	sweep(100, NULL, NULL);
	ck_assert_uint_eq(sweep(110, NULL, NULL), 1);
	series = group_series(groups_get(groups, "web"), "main");
	series_add(series, &delta, 200 * SECOND);
	view = groups_series_view(groups, 0, 0);
	ck_assert_uint_eq(view.total->life_ns, SECOND);
	ck_assert_uint_eq(view.started_ns, 199 * SECOND);
}
END_TEST

static uint32_t
id_of(const char *name, const char *label)
{
	return series_id(group_series(groups_get(groups, name), label));
}

START_TEST(those_that_stay_keep_their_numbers_and_the_others_are_used_again)
{
	uint32_t a = id_of("a", "main"), b = id_of("b", "main"), c = id_of("c", "main");
	uint32_t group_c;

	sweep(100, "c", NULL);
	group_c = groups_view(groups, 2).id;
	sweep(101, "a", NULL);
	ck_assert_uint_eq(sweep(110, "c", NULL), 1);
	ck_assert_str_eq(told, "b ");
	ck_assert_uint_eq(id_of("a", "main"), a);
	ck_assert_uint_eq(id_of("c", "main"), c);
	ck_assert_str_eq(groups_view(groups, 1).groupname, "c");
	ck_assert_uint_eq(groups_view(groups, 1).id, group_c);
	ck_assert_uint_eq(id_of("d", "x"), b);
	ck_assert_uint_eq(groups_view(groups, 2).id, 1);
}
END_TEST

static void
note_id(void *arg, uint32_t id)
{
	sprintf(told + strlen(told), "%u ", id);
}

START_TEST(the_numbers_that_are_free_again_are_told_once)
{
	id_of("a", "main");
	id_of("b", "one");
	id_of("b", "two");
	sweep(100, "a", NULL);
	ck_assert_uint_eq(sweep(110, "a", NULL), 1);
	told[0] = 0;
	groups_each_forgotten(groups, note_id, NULL);
	groups_each_forgotten(groups, note_id, NULL);
	ck_assert_str_eq(told, "1 2 ");
}
END_TEST

START_TEST(users_get_back_what_they_had)
{
	char name[32];

	groups_set_max(groups, 20);
	for (unsigned round = 0; round < 50; round++) {
		told[0] = 0;
		for (int i = 0; i < 10; i++) {
			struct groups_name mine = {.name = name, .uid = 1000};
			struct group *group;

			snprintf(name, sizeof(name), "g%u-%d", round, i);
			group = groups_join(groups, &mine);
			ck_assert_str_eq(
				series_groupname(group_series_for(group, "main", 1000)),
				name);
			for (int j = 0; j < 50; j++) {
				snprintf(name, sizeof(name), "l%d", j);
				ck_assert_str_eq(
					series_loop(group_series_for(group, name, 1000)),
					name);
			}
		}
		sweep(100 + round * 20, NULL, NULL);
		ck_assert_uint_eq(sweep(110 + round * 20, NULL, NULL), 10);
	}
}
END_TEST

START_TEST(the_maximum_is_as_it_was_set)
{
	groups_set_max(groups, 2);
	groups_get(groups, "a");
	groups_get(groups, "b");
	ck_assert_ptr_eq(groups_get(groups, "c"), groups_find(groups, GROUPS_OVERFLOW));
	groups_set_max(groups, 1);
	ck_assert_ptr_nonnull(groups_find(groups, "b"));
	groups_set_max(groups, 100);
	groups_get(groups, "c");
	ck_assert_ptr_nonnull(groups_find(groups, "c"));
}
END_TEST

static void
keep_for(uint64_t kept_ns)
{
	struct configuration *config = configuration_default();

	config->keep_groups_ns = kept_ns;
	collector_configure(stage.collector, config);
	configuration_free(config);
}

static bool
writer_is_forgotten(void)
{
	return !groups_find(collector_groups(stage.collector), "writer");
}

/* A process of the group that has had a stall, and has ended. */
static void
live_and_die(void)
{
	struct writer writer = stage_writer();

	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, 120 * MS);
	ck_assert_uint_eq(stage_show().iterations, 1);
	ck_assert_uint_ge(stalls_count(collector_stalls(stage.collector)), 1);
	writer_kill(&writer);
	writer_free(&writer);
}

START_TEST(a_collector_forgets_the_group_of_a_process_that_has_died)
{
	stage_set_up();
	keep_for(SECOND);
	live_and_die();
	ck_assert(stage_run_until(writer_is_forgotten));
	ck_assert_uint_eq(stalls_count(collector_stalls(stage.collector)), 0);
	stage_tear_down();
}
END_TEST

START_TEST(as_long_as_somebody_lives_and_never_unless_it_is_told_to)
{
	struct writer writer;

	stage_set_up();
	live_and_die();
	stage_run_for(2500 * MS);
	ck_assert(!writer_is_forgotten());
	keep_for(SECOND);
	writer = stage_writer();
	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, MS);
	stage_run_for(3500 * MS);
	ck_assert(!writer_is_forgotten());
	writer_free(&writer);
	stage_tear_down();
}
END_TEST

START_TEST(who_holds_the_groups_keeps_them)
{
	stage_set_up();
	keep_for(SECOND);
	live_and_die();
	collector_hold(stage.collector);
	stage_run_for(4000 * MS);
	ck_assert(!writer_is_forgotten());
	collector_release(stage.collector);
	ck_assert(stage_run_until(writer_is_forgotten));
	stage_tear_down();
}
END_TEST

START_TEST(what_was_forgotten_does_not_come_back_and_the_rest_does)
{
	struct writer writer;
	struct collector_stats stats;

	stage_set_up();
	stage_keep_history();
	keep_for(SECOND);
	live_and_die();
	ck_assert(stage_run_until(writer_is_forgotten));
	stage_kill();
	stage_open();
	ck_assert(ledger_has_history(stage.ledger));
	ck_assert(writer_is_forgotten());
	keep_for(SECOND);
	/* Its numbers are used again. */
	writer = stage_writer();
	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 7; i++)
		writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(stage_scrape("writer").iterations, 7);
	stage_store(&writer);
	stage_kill();
	stage_open();
	ck_assert(ledger_has_history(stage.ledger));
	ck_assert_uint_eq(stage_scrape("writer").iterations, 7);
	stats = collector_stats(stage.collector);
	ck_assert_uint_eq(stats.dropped_restart, 0);
	writer_free(&writer);
	stage_tear_down();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("expiry");
	TCase *tcase = tcase_create("groups"), *collector = tcase_create("collector");
	SRunner *runner = srunner_create(suite);
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(
		tcase, a_group_is_forgotten_when_nobody_has_lived_in_it_for_so_long);
	tcase_add_test(tcase, a_group_of_which_something_is_told_stays_until_it_is_not);
	tcase_add_test(tcase, other_stays);
	tcase_add_test(tcase, a_group_that_comes_back_begins_at_zero);
	tcase_add_test(
		tcase, those_that_stay_keep_their_numbers_and_the_others_are_used_again);
	tcase_add_test(tcase, the_numbers_that_are_free_again_are_told_once);
	tcase_add_test(tcase, users_get_back_what_they_had);
	tcase_add_test(tcase, the_maximum_is_as_it_was_set);
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(collector, 60);
	tcase_add_test(
		collector, a_collector_forgets_the_group_of_a_process_that_has_died);
	tcase_add_test(
		collector, as_long_as_somebody_lives_and_never_unless_it_is_told_to);
	tcase_add_test(collector, who_holds_the_groups_keeps_them);
	tcase_add_test(
		collector, what_was_forgotten_does_not_come_back_and_the_rest_does);
	suite_add_tcase(suite, collector);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
