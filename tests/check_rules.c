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

static unsigned used;

/* The name of which so much is known, "" if no rule gives one. Borrowed until the next
 * call. */
static const char *
name_by(const char *const facts[RULES_FACTS])
{
	static char found[IDENTITY_NAME_BYTES];

	strcpy(found, "untouched");
	if (rules_name(config->rules, config->rule_count, facts, found, &used))
		return found;
	ck_assert_str_eq(found, "untouched");
	return "";
}

static const char *
name(const char *unit, const char *command, const char *cgroup)
{
	const char *const facts[RULES_FACTS] = {unit, command, cgroup};

	return name_by(facts);
}

static const char *
name_called(const char *command, const char *arguments, const char *user)
{
	const char *const facts[RULES_FACTS] = {
		[RULES_COMMAND] = command,
		[RULES_ARGUMENTS] = arguments,
		[RULES_USER] = user,
	};

	return name_by(facts);
}

static bool
could_give(const char *text)
{
	return rules_could_give(config->rules, config->rule_count,
		1u << RULES_UNIT | 1u << RULES_USER, text);
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

START_TEST(arguments_and_users_are_looked_at)
{
	set_rules("groups:\n"
		  "- {name: 'app-${1}', arguments: '[^ ]*node( .*)? [^ "
		  "]*/([a-z]+)\\.js( .*)?'}\n"
		  "- {name: 'worker-${arguments:1}', arguments: 'worker (.*)', user: "
		  "'www-data|33'}\n");
	ck_assert_str_eq(name_called("node", "/usr/bin/node --x=1 /srv/shop.js -v", "u"),
		"app- --x=1");
	ck_assert_str_eq(name_called("node", "node", "u"), "");
	ck_assert_str_eq(name_called("w", "worker a", "www-data"), "worker-a");
	ck_assert_str_eq(name_called("w", "worker a", "root"), "");
	ck_assert_str_eq(name_called("w", NULL, "www-data"), "");
}
END_TEST

START_TEST(what_is_known_can_be_in_the_name_without_a_pattern)
{
	set_rules("groups: [{name: '${user}:${command}-${unit}', user: '.*'}]");
	ck_assert_str_eq(name_called("node", NULL, "www-data"), "");
	ck_assert_str_eq(name_by((const char *const[RULES_FACTS]){
				 "x.service", "node", NULL, NULL, "www-data"}),
		"www-data:node-x.service");
}
END_TEST

START_TEST(it_is_told_of_what_the_name_is_made)
{
	set_rules("groups:\n"
		  "- {name: plain, command: plain}\n"
		  "- {name: '${user}-${command:1}', command: '(n)ode', user: .*}\n"
		  "- {name: '${unit:0}', unit: .*, command: .*}\n");
	ck_assert_str_eq(name("u", "plain", "/"), "plain");
	ck_assert_uint_eq(used, 0);
	ck_assert_str_eq(name_called("node", "x", "me"), "me-n");
	ck_assert_uint_eq(used, 1u << RULES_COMMAND | 1u << RULES_USER);
	ck_assert_str_eq(name("u", "x", "/"), "u");
	ck_assert_uint_eq(used, 1u << RULES_UNIT);
}
END_TEST

START_TEST(it_is_known_what_is_asked_for)
{
	set_rules("groups:\n- {name: x, command: x}\n- {name: '${user}', unit: y}\n");
	ck_assert(rules_want(config->rules, 2, RULES_COMMAND));
	ck_assert(rules_want(config->rules, 2, RULES_UNIT));
	ck_assert(rules_want(config->rules, 2, RULES_USER));
	ck_assert(!rules_want(config->rules, 2, RULES_ARGUMENTS));
	ck_assert(!rules_want(config->rules, 0, RULES_COMMAND));
}
END_TEST

START_TEST(names_that_rules_could_give_are_known)
{
	set_rules("groups:\n"
		  "- {name: jobs, command: x}\n"
		  "- {name: 'web-${1}', unit: 'web@(.*)\\.service'}\n"
		  "- {name: 'a${user}b${user}ab', unit: .*}\n"
		  "- {name: '${1}', unit: '(.*)\\.service'}\n"
		  "- {name: 'any-${1}', command: '(.*)'}\n");
	ck_assert(could_give("jobs"));
	ck_assert(!could_give("jobs2"));
	ck_assert(!could_give("job"));
	ck_assert(could_give("web-"));
	ck_assert(could_give("web-x"));
	ck_assert(!could_give("xweb-x"));
	ck_assert(could_give("axbyab"));
	ck_assert(could_give("abab"));
	ck_assert(could_give("ababab"));
	ck_assert(!could_give("aba"));
	ck_assert(!could_give("axbya"));
	/* That would be every name, and this one every process may have. */
	ck_assert(!could_give("x"));
	ck_assert(!could_give("any-x"));
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
	tcase_add_test(tcase, arguments_and_users_are_looked_at);
	tcase_add_test(tcase, what_is_known_can_be_in_the_name_without_a_pattern);
	tcase_add_test(tcase, it_is_told_of_what_the_name_is_made);
	tcase_add_test(tcase, it_is_known_what_is_asked_for);
	tcase_add_test(tcase, names_that_rules_could_give_are_known);
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
