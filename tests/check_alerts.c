/* SPDX-License-Identifier: MIT */
/* Alerts: when they fire, when they are over, and that a value at the edge does not flap. */

#include "config.h"

#include "daemon/alerts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/configuration.h"
#include "daemon/pattern.h"

#define SECOND 1000000000ull

static struct alerts *alerts;
static struct configuration_alert rules[3];

static void
set_rules(size_t count)
{
	ck_assert_int_eq(alerts_set_rules(alerts, rules, count), 0);
}

static void
set_up(void)
{
	alerts = alerts_new();
	for (size_t i = 0; i < 3; i++)
		rules[i] = (struct configuration_alert){
			.name = strdup((const char *[]){"a", "b", "c"}[i]),
			.type = CONFIGURATION_DELAY,
			.above = 1,
			.below = 0.8,
			.for_ns = 10 * SECOND,
			.keep_ns = 5 * SECOND,
		};
	set_rules(1);
}

static void
tear_down(void)
{
	alerts_free(alerts);
	for (size_t i = 0; i < 3; i++) {
		free(rules[i].name);
		pattern_free(rules[i].groups);
	}
}

/* The first rule in the group 0. */
static enum alerts_change
judge(double value, unsigned seconds)
{
	return alerts_judge(alerts, 0, 0, "web", value, (1000 + seconds) * SECOND);
}

static enum alerts_state
state(void)
{
	struct alerts_view view;

	ck_assert(alerts_view(alerts, 0, 0, &view));
	return view.state;
}

/* Bring it to fire at second 0. */
static void
fire(void)
{
	rules[0].for_ns = 0;
	ck_assert_int_eq(judge(2, 0), ALERTS_FIRED);
}

START_TEST(it_fires_when_it_was_above_for_long_enough)
{
	ck_assert_int_eq(judge(0, 0), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(judge(1.1, i), ALERTS_NO_CHANGE);
		ck_assert_int_eq(state(), ALERTS_PENDING);
	}
	ck_assert_int_eq(judge(1.1, 11), ALERTS_FIRED);
	ck_assert_int_eq(state(), ALERTS_FIRING);
	/* Once. */
	ck_assert_int_eq(judge(1.1, 12), ALERTS_NO_CHANGE);
}
END_TEST

START_TEST(without_a_time_it_fires_at_once)
{
	fire();
	ck_assert_int_eq(state(), ALERTS_FIRING);
}
END_TEST

START_TEST(just_at_the_limit_is_not_above)
{
	rules[0].for_ns = 0;
	ck_assert_int_eq(judge(1, 0), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
	ck_assert_int_eq(judge(nextafter(1, 2), 1), ALERTS_FIRED);
}
END_TEST

START_TEST(a_pause_starts_the_time_anew)
{
	judge(2, 0);
	judge(2, 9);
	ck_assert_int_eq(judge(1, 10), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
	ck_assert_int_eq(judge(2, 11), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(2, 20), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(2, 21), ALERTS_FIRED);
}
END_TEST

START_TEST(it_is_over_when_it_was_below_for_long_enough)
{
	fire();
	ck_assert_int_eq(judge(0.5, 1), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(0.5, 4), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(0.5, 5), ALERTS_RESOLVED);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
	ck_assert_int_eq(judge(0.5, 6), ALERTS_NO_CHANGE);
}
END_TEST

START_TEST(between_the_limits_it_goes_on)
{
	fire();
	for (unsigned i = 1; i < 100; i++)
		ck_assert_int_eq(judge(0.8, i), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(nextafter(0.8, 0), 104), ALERTS_RESOLVED);
}
END_TEST

START_TEST(without_a_time_to_keep_it_is_over_at_once)
{
	rules[0].keep_ns = 0;
	fire();
	ck_assert_int_eq(judge(0.5, 1), ALERTS_RESOLVED);
}
END_TEST

START_TEST(a_value_that_swings_about_the_limit_does_not_flap)
{
	unsigned changes = 0;

	fire();
	for (unsigned i = 1; i < 1000; i++)
		changes += judge(i % 2 ? 0.99 : 1.01, i) != ALERTS_NO_CHANGE;
	/* Not even a deep dip, as long as it is shorter than the time to keep. */
	for (unsigned i = 1000; i < 2000; i++)
		changes += judge(i % 5 ? 0 : 1.01, i) != ALERTS_NO_CHANGE;
	ck_assert_uint_eq(changes, 0);
	ck_assert_int_eq(state(), ALERTS_FIRING);
}
END_TEST

START_TEST(equal_limits_hold_the_state_at_the_edge)
{
	rules[0].below = rules[0].above;
	rules[0].keep_ns = 0;
	fire();
	ck_assert_int_eq(judge(1, 1), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(0.99, 2), ALERTS_RESOLVED);
	ck_assert_int_eq(judge(1, 3), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
}
END_TEST

START_TEST(a_group_that_vanished_is_over)
{
	fire();
	ck_assert_int_eq(judge(NAN, 1), ALERTS_NO_CHANGE);
	ck_assert_int_eq(judge(NAN, 5), ALERTS_RESOLVED);
	rules[0].for_ns = 10 * SECOND;
	judge(2, 6);
	ck_assert_int_eq(state(), ALERTS_PENDING);
	judge(NAN, 7);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
}
END_TEST

START_TEST(groups_and_rules_are_apart)
{
	struct alerts_view view;

	rules[0].for_ns = rules[1].for_ns = 0;
	set_rules(2);
	ck_assert_int_eq(
		alerts_judge(alerts, 1, 5, "five", 2, 2000 * SECOND), ALERTS_FIRED);
	judge(0, 0);
	ck_assert(!alerts_view(alerts, 0, 5, &view));
	ck_assert(!alerts_view(alerts, 1, 0, &view));
	ck_assert(!alerts_view(alerts, 1, 1000, &view));
	ck_assert(alerts_view(alerts, 1, 5, &view));
	ck_assert_str_eq(view.rule->name, "b");
	ck_assert_int_eq(view.state, ALERTS_FIRING);
	ck_assert_uint_eq(view.since_ns, 2000 * SECOND);
	ck_assert_double_eq(view.value, 2);
}
END_TEST

START_TEST(it_applies_to_groups_that_match_alone)
{
	struct alerts_view view;
	char words[256];

	ck_assert_ptr_null(pattern_new("web-.*", words, &rules[0].groups));
	rules[0].for_ns = 0;
	ck_assert_int_eq(
		alerts_judge(alerts, 0, 0, "db", 2, 2000 * SECOND), ALERTS_NO_CHANGE);
	ck_assert(!alerts_view(alerts, 0, 0, &view));
	ck_assert_int_eq(
		alerts_judge(alerts, 0, 1, "web-1", 2, 2000 * SECOND), ALERTS_FIRED);
	ck_assert(alerts_view(alerts, 0, 1, &view));
}
END_TEST

START_TEST(a_group_with_the_id_of_one_that_was_forgotten_begins_anew)
{
	struct alerts_view view;
	char words[256];

	ck_assert_ptr_null(pattern_new("web", words, &rules[0].groups));
	fire();
	alerts_forget_group(alerts, 1);
	ck_assert_int_eq(state(), ALERTS_FIRING);
	alerts_forget_group(alerts, 0);
	ck_assert(!alerts_view(alerts, 0, 0, &view));
	/* Whether the rule applies is asked of the new one. */
	ck_assert_int_eq(
		alerts_judge(alerts, 0, 0, "db", 2, 5000 * SECOND), ALERTS_NO_CHANGE);
	ck_assert(!alerts_view(alerts, 0, 0, &view));
}
END_TEST

START_TEST(a_reload_keeps_the_state_of_what_is_still_there)
{
	struct alerts_view view;

	fire();
	set_rules(3);
	/* Until it was judged nobody knows whether it applies. */
	ck_assert(!alerts_view(alerts, 0, 0, &view));
	ck_assert_int_eq(judge(2, 1), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_FIRING);
	/* Under another type it is another alert. */
	rules[0].type = CONFIGURATION_STARVED;
	set_rules(3);
	ck_assert_int_eq(judge(0, 2), ALERTS_NO_CHANGE);
	ck_assert_int_eq(state(), ALERTS_INACTIVE);
}
END_TEST

START_TEST(a_reload_ends_what_does_not_apply_any_more)
{
	char words[256];

	fire();
	ck_assert_ptr_null(pattern_new("db", words, &rules[0].groups));
	set_rules(1);
	ck_assert_int_eq(judge(2, 1), ALERTS_RESOLVED);
	set_rules(0);
	ck_assert_uint_eq(alerts_rules(alerts), 0);
}
END_TEST

static Suite *
alerts_suite(void)
{
	Suite *suite = suite_create("alerts");
	TCase *tcase = tcase_create("states");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, it_fires_when_it_was_above_for_long_enough);
	tcase_add_test(tcase, without_a_time_it_fires_at_once);
	tcase_add_test(tcase, just_at_the_limit_is_not_above);
	tcase_add_test(tcase, a_pause_starts_the_time_anew);
	tcase_add_test(tcase, it_is_over_when_it_was_below_for_long_enough);
	tcase_add_test(tcase, between_the_limits_it_goes_on);
	tcase_add_test(tcase, without_a_time_to_keep_it_is_over_at_once);
	tcase_add_test(tcase, a_value_that_swings_about_the_limit_does_not_flap);
	tcase_add_test(tcase, equal_limits_hold_the_state_at_the_edge);
	tcase_add_test(tcase, a_group_that_vanished_is_over);
	tcase_add_test(tcase, groups_and_rules_are_apart);
	tcase_add_test(tcase, it_applies_to_groups_that_match_alone);
	tcase_add_test(tcase, a_group_with_the_id_of_one_that_was_forgotten_begins_anew);
	tcase_add_test(tcase, a_reload_keeps_the_state_of_what_is_still_there);
	tcase_add_test(tcase, a_reload_ends_what_does_not_apply_any_more);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(alerts_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
