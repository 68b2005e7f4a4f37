/* SPDX-License-Identifier: MIT */
/* Series of single processes: how many, what they say, and when they are gone. */

#include "config.h"

#include "daemon/processes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/groups.h"
#include "daemon/metrics.h"

#define SECOND 1000000000ull

static struct groups *groups;
static struct series *web, *worker, *db;
static struct processes *processes;
static struct metrics *metrics;

static void
set_up(void)
{
	groups = groups_new();
	web = group_series(groups_get(groups, "web"), "main");
	worker = group_series(groups_get(groups, "web"), "worker");
	db = group_series(groups_get(groups, "db"), "main");
	processes = processes_new(3);
	metrics = metrics_new();
}

static void
tear_down(void)
{
	metrics_free(metrics);
	processes_free(processes);
	groups_free(groups);
}

/* A new reading in which these are seen. */
static void
collect(pid_t pid, struct series *series, uint64_t open_ns)
{
	processes_begin_reading(processes);
	processes_saw_loop(processes, pid, series, open_ns);
	metrics_free(metrics);
	metrics = metrics_new();
	processes_collect(processes, metrics, 1000);
}

static const struct metric_family *
family(const char *name)
{
	for (size_t i = 0; i < metrics_count(metrics); i++)
		if (strcmp(metrics_get(metrics, i)->name, name) == 0)
			return metrics_get(metrics, i);
	ck_abort_msg("no family %s", name);
}

static double
value(const char *name)
{
	ck_assert_uint_eq(family(name)->sample_count, 1);
	return family(name)->samples[0].value;
}

START_TEST(a_process_has_what_its_loops_did)
{
	const struct metric_sample *sample;

	processes_add(processes, 7, web, 10 * SECOND, 2 * SECOND, 100 * SECOND);
	processes_add(processes, 7, web, 2 * SECOND, SECOND, 102 * SECOND);
	processes_add_stall(processes, 7, web);
	collect(7, web, SECOND);
	ck_assert_double_eq(value("looplag_process_active_seconds_total"), 4);
	ck_assert_double_eq(value("looplag_process_idle_seconds_total"), 8);
	ck_assert_double_eq(value("looplag_process_stalls_total"), 1);
	ck_assert_double_eq(value("looplag_process_stall_age_seconds"), 0);
	sample = &family("looplag_process_stalls_total")->samples[0];
	ck_assert_str_eq(sample->labels[0].value, "web");
	ck_assert_str_eq(sample->labels[1].value, "main");
	ck_assert_str_eq(sample->labels[2].name, "pid");
	ck_assert_str_eq(sample->labels[2].value, "7");
	ck_assert_double_eq(sample->started_seconds, 1090);
}
END_TEST

START_TEST(the_oldest_stall_that_lasts_is_shown)
{
	processes_add(processes, 7, web, SECOND, 0, SECOND);
	processes_begin_reading(processes);
	processes_saw_loop(processes, 7, web, 0);
	processes_saw_stall(processes, 7, web, 3 * SECOND);
	processes_saw_stall(processes, 7, web, 2 * SECOND);
	processes_collect(processes, metrics, 0);
	ck_assert_double_eq(value("looplag_process_stall_age_seconds"), 3);
	collect(7, web, 0);
	ck_assert_double_eq(value("looplag_process_stall_age_seconds"), 0);
}
END_TEST

START_TEST(there_are_no_more_than_there_may_be)
{
	for (pid_t pid = 1; pid < 10; pid++)
		processes_add(processes, pid, web, SECOND, 0, SECOND);
	processes_begin_reading(processes);
	for (pid_t pid = 1; pid < 10; pid++)
		processes_saw_loop(processes, pid, web, 0);
	processes_collect(processes, metrics, 0);
	ck_assert_uint_eq(family("looplag_process_stalls_total")->sample_count, 3);
	/* One that has gone makes room. */
	collect(2, web, 0);
	processes_add(processes, 20, db, SECOND, 0, SECOND);
	collect(20, db, 0);
	ck_assert_str_eq(
		family("looplag_process_stalls_total")->samples[0].labels[2].value, "20");
}
END_TEST

START_TEST(a_process_is_there_as_long_as_one_of_its_loops)
{
	processes_add(processes, 7, web, SECOND, 0, SECOND);
	processes_add(processes, 7, worker, SECOND, 0, SECOND);
	collect(7, web, 0);
	ck_assert_uint_eq(family("looplag_process_stalls_total")->sample_count, 2);
	collect(8, web, 0);
	ck_assert_uint_eq(family("looplag_process_stalls_total")->sample_count, 0);
}
END_TEST

START_TEST(a_group_takes_its_processes_with_it)
{
	processes_add(processes, 7, web, SECOND, 0, SECOND);
	processes_add(processes, 7, worker, SECOND, 0, SECOND);
	processes_add(processes, 8, db, SECOND, 0, SECOND);
	processes_forget_group(processes, series_groupname(web));
	collect(8, db, 0);
	ck_assert_double_eq(value("looplag_process_idle_seconds_total"), 1);
}
END_TEST

START_TEST(without_a_number_or_a_wish_there_is_nothing)
{
	processes_add(processes, 0, web, SECOND, 0, SECOND);
	collect(0, web, 0);
	ck_assert_uint_eq(family("looplag_process_stalls_total")->sample_count, 0);
	ck_assert_ptr_null(processes_new(0));
	processes_add(NULL, 7, web, SECOND, 0, SECOND);
	processes_add_stall(NULL, 7, web);
	processes_begin_reading(NULL);
	processes_saw_loop(NULL, 7, web, 0);
	processes_saw_stall(NULL, 7, web, 1);
	processes_forget_group(NULL, "web");
	metrics_free(metrics);
	metrics = metrics_new();
	processes_collect(NULL, metrics, 0);
	ck_assert_uint_eq(metrics_count(metrics), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("processes");
	TCase *tcase = tcase_create("processes");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_process_has_what_its_loops_did);
	tcase_add_test(tcase, the_oldest_stall_that_lasts_is_shown);
	tcase_add_test(tcase, there_are_no_more_than_there_may_be);
	tcase_add_test(tcase, a_process_is_there_as_long_as_one_of_its_loops);
	tcase_add_test(tcase, a_group_takes_its_processes_with_it);
	tcase_add_test(tcase, without_a_number_or_a_wish_there_is_nothing);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
