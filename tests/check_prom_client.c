/* SPDX-License-Identifier: MIT */
/* What dashboards for prom-client are told: of whom, and how much. */

#include "config.h"

#include "daemon/prom_client.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/groups.h"
#include "daemon/metrics.h"

#define SECOND 1000000000ull
#define NOW (1000 * SECOND)

static struct groups *groups;
static struct metrics *metrics;
static size_t first;

static void
set_up(void)
{
	groups = groups_new();
	metrics = metrics_new();
	metrics_family(metrics, METRIC_GAUGE, "another", "family");
	first = prom_client_begin(metrics);
}

static void
tear_down(void)
{
	metrics_free(metrics);
	groups_free(groups);
}

/* A loop has lived so long, and had so many iterations of that length. */
static void
live(const char *name, const char *runtime, const char *label, uint64_t life_ns,
	unsigned count, uint64_t length_ns)
{
	struct counters delta = {.life_ns = life_ns};
	struct group *group = groups_get(groups, name);

	group_set_runtime(group, runtime);
	while (count--)
		counters_record(&delta, length_ns);
	series_add(group_series(group, label), &delta, NOW);
}

static void
tell(void)
{
	groups_begin_reading(groups, NOW);
	for (size_t i = 0; i < groups_count(groups); i++)
		prom_client_add_group(metrics, first, groups, i);
}

/* The one value of that name; -1: there is none. */
static double
value(const char *name)
{
	for (size_t i = first; i < metrics_count(metrics); i++) {
		const struct metric_family *family = metrics_get(metrics, i);

		if (strcmp(family->name, name) != 0)
			continue;
		ck_assert_int_eq(family->type, METRIC_GAUGE);
		ck_assert_uint_le(family->sample_count, 1);
		return family->sample_count ? family->samples[0].value : -1;
	}
	ck_abort_msg("no family %s", name);
}

START_TEST(the_delay_is_told_as_the_library_does)
{
	/* Half of ten seconds is spent in iterations of a second: of the delay x below that
	 * the share 0.5 (1 - x) is longer. */
	live("web", "node", "main", 10 * SECOND, 5, SECOND);
	tell();
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_seconds"), 0.25, 0.005);
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_mean_seconds"), 0.25, 0.005);
	ck_assert_double_eq(value("nodejs_eventloop_lag_min_seconds"), 0);
	ck_assert_double_eq(value("nodejs_eventloop_lag_p50_seconds"), 0);
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_p90_seconds"), 0.8, 0.02);
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_p99_seconds"), 0.98, 0.02);
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_max_seconds"), 1, 0.02);
	/* sqrt(0.5 / 3 - 0.25^2) */
	ck_assert_double_eq_tol(
		value("nodejs_eventloop_lag_stddev_seconds"), 0.3227, 0.01);
}
END_TEST

START_TEST(an_iteration_that_lasts_counts)
{
	live("web", "node", "main", 10 * SECOND, 0, 0);
	groups_begin_reading(groups, NOW);
	series_saw_loop(group_series(groups_get(groups, "web"), "main"), 5 * SECOND);
	prom_client_add_group(metrics, first, groups, 0);
	ck_assert_double_eq(value("nodejs_eventloop_lag_max_seconds"), 5);
	ck_assert_double_eq_tol(value("nodejs_eventloop_lag_mean_seconds"), 1.25, 0.01);
	/* sqrt(125 / 3 / 10 - 1.25^2) */
	ck_assert_double_eq_tol(
		value("nodejs_eventloop_lag_stddev_seconds"), 1.614, 0.02);
}
END_TEST

START_TEST(nothing_is_told_of_other_programs_and_other_threads)
{
	live("snake", "python", "main", 10 * SECOND, 5, SECOND);
	live("native", NULL, "main", 10 * SECOND, 5, SECOND);
	live("web", "node", "node", 10 * SECOND, 5, SECOND);
	tell();
	ck_assert_double_eq(value("nodejs_eventloop_lag_seconds"), -1);
}
END_TEST

START_TEST(nothing_is_told_of_what_did_not_live)
{
	live("web", "node", "main", 0, 0, 0);
	tell();
	ck_assert_double_eq(value("nodejs_eventloop_lag_p99_seconds"), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("prom_client");
	TCase *tcase = tcase_create("prom_client");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_delay_is_told_as_the_library_does);
	tcase_add_test(tcase, an_iteration_that_lasts_counts);
	tcase_add_test(tcase, nothing_is_told_of_other_programs_and_other_threads);
	tcase_add_test(tcase, nothing_is_told_of_what_did_not_live);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
