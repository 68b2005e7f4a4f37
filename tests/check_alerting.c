/* SPDX-License-Identifier: MIT */
/* Alerting: what each kind of alert looks at, what is said, exported and served of it. */

#include "config.h"

#include "daemon/alerting.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include "daemon/alert_value.h"
#include "daemon/alerts.h"
#include "daemon/api.h"
#include "daemon/api_alerts.h"
#include "daemon/configuration.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/stalls.h"

#define SECOND 1000000000ull
#define MS 1000000ull
#define NOW (1000 * SECOND)

static struct groups *groups;
static struct stalls *stalls;
static struct group *group;
static const char *name; /* its name */
static struct configuration *config;
static struct alerting *alerting;
static struct event_loop *loop;

/* What follows is about the group of that name. */
static void
set_group(const char *groupname)
{
	group = groups_get(groups, groupname);
	for (size_t i = 0; i < groups_count(groups); i++)
		if (strcmp(groups_view(groups, i).groupname, groupname) == 0)
			name = groups_view(groups, i).groupname;
}

static void
set_up(void)
{
	groups = groups_new();
	stalls = stalls_new();
	set_group("web");
	loop = event_loop_new();
	alerting = alerting_open(loop, groups, stalls);
}

static void
tear_down(void)
{
	alerting_close(alerting);
	event_loop_free(loop);
	configuration_free(config);
	stalls_free(stalls);
	groups_free(groups);
	config = NULL;
}

static void
configure(const char *text)
{
	struct configuration *before = config;

	ck_assert_int_eq(
		configuration_parse(text, strlen(text), "rules", stderr, &config), 0);
	alerting_configure(alerting, config);
	configuration_free(before);
}

/* A loop of the group has lived, and had so many iterations of that length. */
static void
live(const char *label, uint64_t life_ns, unsigned count, uint64_t length_ns)
{
	struct counters delta = {.life_ns = life_ns};

	while (count--)
		counters_record(&delta, length_ns);
	series_add(group_series(group, label), &delta, NOW);
}

static uint64_t
open_stall(const char *label, uint64_t length_ns)
{
	struct stall stall = {
		.groupname = name,
		.loop = label,
		.started_ns = NOW - length_ns,
	};

	return stalls_open(stalls, &stall, length_ns);
}

/* A stall that began so long ago, with that share of starvation. */
static void
end_stall(uint64_t ago_ns, uint64_t length_ns, double starved)
{
	struct stalls_cause cause = {.cause = STALL_STARVED};
	struct stall stall = {
		.groupname = name, .loop = "main", .started_ns = NOW - ago_ns};

	cause.shares[STALL_STARVED] = starved;
	cause.shares[STALL_CPU] = 1 - starved;
	stalls_end(stalls, stalls_open(stalls, &stall, 0), length_ns, &cause);
}

static double
value(enum configuration_alert_type type)
{
	struct configuration_alert rule = {.type = type, .quantile = 0.99};
	struct alert_scene scene = {groups, stalls, NOW, NOW - 2 * SECOND};

	return alert_value(&rule, &scene, 0);
}

START_TEST(of_a_group_without_life_nothing_is_known)
{
	ck_assert(isnan(value(CONFIGURATION_DELAY)));
	ck_assert(isnan(value(CONFIGURATION_STALLED)));
	ck_assert(isnan(value(CONFIGURATION_STARVED)));
}
END_TEST

START_TEST(the_delay_is_that_of_the_worst_loop)
{
	live("main", 60 * SECOND, 10, 200 * MS);
	/* Idle loops beside it make it no better. */
	for (int i = 0; i < 20; i++) {
		char label[16];

		snprintf(label, sizeof(label), "worker-%c", 'a' + i);
		live(label, 60 * SECOND, 0, 0);
	}
	/* 2 s of 60 unattended: P(delay > x) = 10 (0.2 - x) / 60 = 0.01 at x = 0.14. */
	ck_assert_double_eq_tol(value(CONFIGURATION_DELAY), 0.14, 0.003);
}
END_TEST

START_TEST(a_stall_that_lasts_is_in_the_delay)
{
	live("main", 60 * SECOND, 0, 0);
	ck_assert_double_eq(value(CONFIGURATION_DELAY), 0);
	open_stall("other", 10 * SECOND);
	ck_assert_double_eq(value(CONFIGURATION_DELAY), 0);
	open_stall("main", 10 * SECOND);
	/* P(delay > x) = (10 - x) / 60 = 0.01 at x = 9.4. */
	ck_assert_double_eq_tol(value(CONFIGURATION_DELAY), 9.4, 0.1);
}
END_TEST

START_TEST(what_lasted_at_an_older_reading_is_not)
{
	live("main", 60 * SECOND, 0, 0);
	groups_begin_reading(groups, NOW);
	series_saw_loop(group_series(group, "main"), 30 * SECOND);
	ck_assert_double_eq(value(CONFIGURATION_DELAY), 0);
}
END_TEST

START_TEST(the_oldest_open_stall_counts)
{
	live("main", 60 * SECOND, 0, 0);
	end_stall(20 * SECOND, 10 * SECOND, 0);
	ck_assert_double_eq(value(CONFIGURATION_STALLED), 0);
	open_stall("main", 2 * SECOND);
	open_stall("worker", 3 * SECOND);
	open_stall("main", SECOND);
	ck_assert_double_eq(value(CONFIGURATION_STALLED), 3);
}
END_TEST

START_TEST(a_stall_between_two_looks_counts_once_it_has_ended)
{
	live("main", 60 * SECOND, 0, 0);
	end_stall(10 * SECOND, 7900 * MS, 0);
	ck_assert_double_eq(value(CONFIGURATION_STALLED), 0);
	end_stall(1500 * MS, 900 * MS, 0);
	ck_assert_double_eq(value(CONFIGURATION_STALLED), 0.9);
}
END_TEST

START_TEST(starvation_is_a_share_of_the_life_of_the_last_minute)
{
	live("main", 60 * SECOND, 0, 0);
	ck_assert_double_eq(value(CONFIGURATION_STARVED), 0);
	end_stall(10 * SECOND, 6 * SECOND, 0.5);
	ck_assert_double_eq_tol(value(CONFIGURATION_STARVED), 0.05, 1e-9);
	/* Half of this one was before. */
	end_stall(66 * SECOND, 12 * SECOND, 1);
	ck_assert_double_eq_tol(value(CONFIGURATION_STARVED), 0.15, 1e-9);
	/* And all of this one. */
	end_stall(300 * SECOND, 100 * SECOND, 1);
	ck_assert_double_eq_tol(value(CONFIGURATION_STARVED), 0.15, 1e-9);
	/* Twice as much life, half the share. */
	live("worker", 60 * SECOND, 0, 0);
	ck_assert_double_eq_tol(value(CONFIGURATION_STARVED), 0.075, 1e-9);
}
END_TEST

START_TEST(starvation_is_never_more_than_all)
{
	live("main", SECOND, 0, 0);
	end_stall(50 * SECOND, 50 * SECOND, 1);
	ck_assert_double_eq(value(CONFIGURATION_STARVED), 1);
}
END_TEST

START_TEST(other_groups_do_not_count)
{
	live("main", 60 * SECOND, 0, 0);
	set_group("db");
	open_stall("main", 10 * SECOND);
	end_stall(20 * SECOND, 10 * SECOND, 1);
	ck_assert_double_eq(value(CONFIGURATION_DELAY), 0);
	ck_assert_double_eq(value(CONFIGURATION_STALLED), 0);
	ck_assert_double_eq(value(CONFIGURATION_STARVED), 0);
}
END_TEST

/* What is on standard error meanwhile. */
static char *
look_and_listen(uint64_t now_ns)
{
	int saved = dup(STDERR_FILENO), fd = fileno(tmpfile());
	static char text[4096];
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	alerting_begin_look(alerting, now_ns);
	while (alerting_look_on(alerting))
		;
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = 0;
	close(fd);
	return text;
}

START_TEST(transitions_are_told_once)
{
	uint64_t id;
	struct stalls_cause cause = {0};
	const char *text;

	log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	configure("alerts: [{name: stuck, type: stalled, above: 1s, keep: 10s}]");
	live("main", 60 * SECOND, 0, 0);
	ck_assert_str_eq(look_and_listen(NOW), "");
	id = open_stall("main", 1500 * MS);
	text = look_and_listen(NOW + SECOND);
	ck_assert_msg(strstr(text, "level=warn") &&
			      strstr(text, "stuck fires in group web") &&
			      strstr(text, "stalled for 1.5 s, longer than 1 s"),
		"it says: %s", text);
	ck_assert_str_eq(look_and_listen(NOW + 2 * SECOND), "");
	/* It ended at 1, and counts for the looks at 2 and 3. */
	stalls_end(stalls, id, 2500 * MS, &cause);
	for (unsigned i = 3; i <= 12; i++)
		ck_assert_str_eq(look_and_listen(NOW + i * SECOND), "");
	text = look_and_listen(NOW + 13 * SECOND);
	ck_assert_msg(
		strstr(text, "level=info") && strstr(text, "stuck is over in group web"),
		"it says: %s", text);
	ck_assert_str_eq(look_and_listen(NOW + 14 * SECOND), "");
	log_init(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
}
END_TEST

static const struct metric_family *
firing(struct metrics *metrics)
{
	alerting_collect(alerting, metrics);
	ck_assert_uint_eq(metrics_count(metrics), 1);
	ck_assert_str_eq(metrics_get(metrics, 0)->name, "looplag_alert_firing");
	return metrics_get(metrics, 0);
}

START_TEST(the_gauge_is_there_for_groups_to_which_an_alert_applies)
{
	struct metrics *metrics = metrics_new();
	const struct metric_family *family;

	configure("alerts:\n"
		  "- {name: a, type: stalled, above: 1s, groups: 'd.*'}\n"
		  "- {name: b, type: stalled, above: 1s}\n");
	live("main", 60 * SECOND, 0, 0);
	open_stall("main", 2 * SECOND);
	set_group("db");
	live("main", 60 * SECOND, 0, 0);
	(void)look_and_listen(NOW);
	family = firing(metrics);
	ck_assert_uint_eq(family->sample_count, 3);
	ck_assert_str_eq(family->samples[0].labels[0].value, "a");
	ck_assert_str_eq(family->samples[0].labels[1].value, "db");
	ck_assert_double_eq(family->samples[0].value, 0);
	ck_assert_str_eq(family->samples[1].labels[0].value, "b");
	ck_assert_str_eq(family->samples[1].labels[1].value, "web");
	ck_assert_double_eq(family->samples[1].value, 1);
	ck_assert_double_eq(family->samples[2].value, 0);
	metrics_free(metrics);
}
END_TEST

START_TEST(the_json_has_what_is_pending_or_fires)
{
	char *text;
	json_t *root;

	configure("alerts:\n"
		  "- {name: a, type: stalled, above: 1s}\n"
		  "- {name: b, type: delay, above: 1s, for: 1h}\n"
		  "- {name: c, type: starved, above: 0.5}\n");
	live("main", 60 * SECOND, 0, 0);
	open_stall("main", 2500 * MS);
	(void)look_and_listen(NOW);
	text = api_alerts(alerting_alerts(alerting), groups, NOW + 2 * SECOND,
		100 * (int64_t)SECOND);
	ck_assert_msg(
		strstr(text, "{\"status\":\"success\",\"data\":{\"alerts\":[{\"labels\":{"
			     "\"alertname\":\"a\",\"groupname\":\"web\"},\"annotations\":"
			     "{},\"state\":\"firing\",\"activeAt\":\"1970-01-01T00:01:38."
			     "000Z\",\"value\":\"2.5\"},{"),
		"%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\"pending\""));
	ck_assert_ptr_null(strstr(text, "\"inactive\""));
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_uint_eq(
		json_array_size(json_object_get(json_object_get(root, "data"), "alerts")),
		2);
	json_decref(root);
	free(text);
	text = api_groups(groups, alerting_alerts(alerting), API_WINDOW);
	ck_assert_msg(strstr(text, "\"alerts\":[\"a\"]") != NULL, "%s", text);
	free(text);
}
END_TEST

static Suite *
alerting_suite(void)
{
	Suite *suite = suite_create("alerting");
	TCase *values = tcase_create("values"), *told = tcase_create("told");

	tcase_add_checked_fixture(values, set_up, tear_down);
	tcase_add_test(values, of_a_group_without_life_nothing_is_known);
	tcase_add_test(values, the_delay_is_that_of_the_worst_loop);
	tcase_add_test(values, a_stall_that_lasts_is_in_the_delay);
	tcase_add_test(values, what_lasted_at_an_older_reading_is_not);
	tcase_add_test(values, the_oldest_open_stall_counts);
	tcase_add_test(values, a_stall_between_two_looks_counts_once_it_has_ended);
	tcase_add_test(values, starvation_is_a_share_of_the_life_of_the_last_minute);
	tcase_add_test(values, starvation_is_never_more_than_all);
	tcase_add_test(values, other_groups_do_not_count);
	suite_add_tcase(suite, values);
	tcase_add_checked_fixture(told, set_up, tear_down);
	tcase_add_test(told, transitions_are_told_once);
	tcase_add_test(told, the_gauge_is_there_for_groups_to_which_an_alert_applies);
	tcase_add_test(told, the_json_has_what_is_pending_or_fires);
	suite_add_tcase(suite, told);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(alerting_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
