/* SPDX-License-Identifier: MIT */
/* Group rules: which one matches, and what name comes of it. */

#include "config.h"

#include "daemon/rules.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/configuration.h"

static struct configuration *config;

static void
tear_down(void)
{
	configuration_free(config);
	config = NULL;
}

static void
set_rules(const char *text)
{
	tear_down();
	ck_assert_int_eq(
		configuration_parse(text, strlen(text), "rules", stderr, &config), 0);
}

/* The name of such a target, "" if no rule gives one. Borrowed until the next call. */
static const char *
name(const char *unit, const char *command, const char *cgroup)
{
	static char found[IDENTITY_NAME_BYTES];
	const char *const facts[RULES_FACTS] = {unit, command, cgroup};

	strcpy(found, "untouched");
	if (rules_name(config->rules, config->rule_count, facts, found))
		return found;
	ck_assert_str_eq(found, "untouched");
	return "";
}

START_TEST(the_first_rule_that_matches_counts)
{
	set_rules("groups:\n"
		  "- {name: one, unit: 'a\\.service'}\n"
		  "- {name: two, unit: '.*'}\n"
		  "- {name: three, command: node}\n");
	ck_assert_str_eq(name("a.service", "node", "/"), "one");
	ck_assert_str_eq(name("b.service", "node", "/"), "two");
	ck_assert_str_eq(name(NULL, "node", "/"), "three");
	ck_assert_str_eq(name(NULL, "python3", "/"), "");
}
END_TEST

START_TEST(a_pattern_must_match_the_whole_text)
{
	set_rules("groups: [{name: x, command: 'node|py'}]");
	ck_assert_str_eq(name(NULL, "node", NULL), "x");
	ck_assert_str_eq(name(NULL, "py", NULL), "x");
	ck_assert_str_eq(name(NULL, "node2", NULL), "");
	ck_assert_str_eq(name(NULL, "xpy", NULL), "");
	ck_assert_str_eq(name(NULL, "node\npy", NULL), "");
}
END_TEST

START_TEST(all_patterns_of_a_rule_must_match_and_what_is_unknown_does_not)
{
	set_rules("groups: [{name: x, unit: '.*', command: node, cgroup: /a/.*}]");
	ck_assert_str_eq(name("u", "node", "/a/b"), "x");
	ck_assert_str_eq(name("u", "node", "/b"), "");
	ck_assert_str_eq(name("u", "nod", "/a/b"), "");
	ck_assert_str_eq(name(NULL, "node", "/a/b"), "");
}
END_TEST

START_TEST(captures_are_filled_in)
{
	set_rules("groups:\n"
		  "- {name: 'a-${1}-${0}-$$', unit: 'w@(.*)\\.service'}\n"
		  "- {name: '${command:1}${cgroup:2}', command: '(.)ode', cgroup: "
		  "'/(x)?(.*)'}\n");
	ck_assert_str_eq(name("w@1.service", NULL, NULL), "a-1-w@1.service-$");
	ck_assert_str_eq(name(NULL, "node", "/yes"), "nyes");
}
END_TEST

START_TEST(a_capture_that_took_no_part_is_empty)
{
	set_rules("groups: [{name: 'x${1}', command: 'a(b)?'}]");
	ck_assert_str_eq(name(NULL, "a", NULL), "x");
	ck_assert_str_eq(name(NULL, "ab", NULL), "xb");
}
END_TEST

START_TEST(a_rule_that_gives_no_name_is_passed_over)
{
	set_rules("groups:\n- {name: '${1}', command: 'a(b)?'}\n- {name: next, command: "
		  ".*}\n");
	ck_assert_str_eq(name(NULL, "ab", NULL), "b");
	ck_assert_str_eq(name(NULL, "a", NULL), "next");
}
END_TEST

START_TEST(names_are_clean_and_of_bounded_length)
{
	char cgroup[4096];

	memset(cgroup, 'x', sizeof(cgroup) - 1);
	cgroup[sizeof(cgroup) - 1] = 0;
	set_rules("groups: [{name: '${1}${1}', cgroup: '(.*)'}]");
	ck_assert_str_eq(name(NULL, NULL, "a\xff\n"), "a__a__");
	ck_assert_uint_eq(strlen(name(NULL, NULL, cgroup)), IDENTITY_NAME_BYTES - 1);
}
END_TEST

static Suite *
rules_suite(void)
{
	Suite *suite = suite_create("rules");
	TCase *tcase = tcase_create("rules");

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, the_first_rule_that_matches_counts);
	tcase_add_test(tcase, a_pattern_must_match_the_whole_text);
	tcase_add_test(
		tcase, all_patterns_of_a_rule_must_match_and_what_is_unknown_does_not);
	tcase_add_test(tcase, captures_are_filled_in);
	tcase_add_test(tcase, a_capture_that_took_no_part_is_empty);
	tcase_add_test(tcase, a_rule_that_gives_no_name_is_passed_over);
	tcase_add_test(tcase, names_are_clean_and_of_bounded_length);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(rules_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
