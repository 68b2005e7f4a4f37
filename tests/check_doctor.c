/* SPDX-License-Identifier: MIT */
/* The pure parts of looplag doctor; what it finds in real programs is seen end to end. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/examine_daemon.h"
#include "cli/findings.h"
#include "cli/process_facts.h"
#include "cli/style.h"
#include "cli/unit_properties.h"
#include "cli/unit_rules.h"

START_TEST(words_are_quoted_as_systemd_quotes_them)
{
	const char *at = "  plain \"two words\" 'a\\b' tab\\ \\\"x\\\"  ";
	char word[32];

	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "plain");
	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "two words");
	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "a\\b");
	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "tab \"x\"");
	ck_assert(!unit_next_word(&at, word, sizeof word));
}
END_TEST

START_TEST(a_word_that_does_not_fit_is_cut_off)
{
	const char *at = "12345678 next";
	char word[4];

	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "123");
	ck_assert(unit_next_word(&at, word, sizeof word));
	ck_assert_str_eq(word, "nex");
}
END_TEST

START_TEST(the_last_setting_of_a_variable_counts)
{
	const char *list = "A=1 \"LD_PRELOAD=/a b\" XLD_PRELOAD=no LD_PRELOAD=/c A=2";
	char value[16] = "as it was";

	ck_assert(unit_find_variable(list, "LD_PRELOAD", value, sizeof value));
	ck_assert_str_eq(value, "/c");
	ck_assert(!unit_find_variable(list, "PRELOAD", value, sizeof value));
	ck_assert_str_eq(value, "/c");
}
END_TEST

/* A copy with two zeros at its end. */
static char *
two_zeros(const char *text)
{
	char *copy = calloc(1, strlen(text) + 2);

	ck_assert_ptr_nonnull(copy);
	return strcpy(copy, text);
}

START_TEST(the_first_line_of_a_property_is_its_value)
{
	const char *second;
	struct unit_properties *properties = unit_properties_parse(
		two_zeros("\nUser=www\nExecStart={ path=/a }\nExecStart={ path=/b }\n"
			  "Group=\n\n\nDynamicUser=yes"));

	ck_assert_ptr_nonnull(properties);
	ck_assert_str_eq(unit_property(properties, "User"), "www");
	ck_assert_str_eq(unit_property(properties, "ExecStart"), "{ path=/a }");
	second = unit_property_next(
		properties, "ExecStart", unit_property(properties, "ExecStart"));
	ck_assert_str_eq(second, "{ path=/b }");
	ck_assert_ptr_null(unit_property_next(properties, "ExecStart", second));
	ck_assert_str_eq(unit_property(properties, "Group"), "");
	ck_assert_str_eq(unit_property(properties, "Use"), "");
	ck_assert(unit_property_is_set(properties, "DynamicUser"));
	ck_assert(!unit_property_is_set(properties, "User"));
	unit_properties_free(properties);
	properties = unit_properties_parse(two_zeros(""));
	ck_assert_str_eq(unit_property(properties, "User"), "");
	unit_properties_free(properties);
}
END_TEST

START_TEST(address_families_are_a_list_of_the_allowed_or_of_the_forbidden)
{
	ck_assert(unit_rules_allow_unix(""));
	ck_assert(unit_rules_allow_unix("AF_INET AF_UNIX"));
	ck_assert(unit_rules_allow_unix("~AF_PACKET AF_NETLINK"));
	ck_assert(!unit_rules_allow_unix("AF_INET AF_UNIXES"));
	ck_assert(!unit_rules_allow_unix("none"));
	ck_assert(!unit_rules_allow_unix("~AF_UNIX"));
	ck_assert(!unit_rules_allow_unix("~AF_PACKET AF_UNIX"));
}
END_TEST

START_TEST(of_paths_the_longest_decides_and_the_allowed_wins)
{
	const char *library = "/usr/lib/liblooplag.so";

	ck_assert(unit_rules_may_execute("", "", library));
	ck_assert(!unit_rules_may_execute("/", "", library));
	ck_assert(!unit_rules_may_execute("/", "/usr/bin /usr/libexec", library));
	ck_assert(unit_rules_may_execute("/", "-/usr/lib/", library));
	ck_assert(unit_rules_may_execute("/", "/", library));
	ck_assert(!unit_rules_may_execute("/ /usr/lib", "/usr", library));
	ck_assert(unit_rules_may_execute("/usr/lib", "+/usr/lib/liblooplag.so", library));
	ck_assert(
		unit_rules_may_execute("/usr/li /usr/lib/liblooplag.so.1", "", library));
	ck_assert(unit_rules_cover("/var /usr/lib:ro", library));
	ck_assert(!unit_rules_cover("/var /usr/l", library));
}
END_TEST

START_TEST(the_calls_of_the_probe_must_pass_the_filter)
{
	const char *calls = "memfd_create ftruncate fcntl mmap madvise socket connect ";
	char all[256];

	ck_assert_ptr_null(unit_rules_forbidden_call("", false));
	ck_assert_ptr_null(unit_rules_forbidden_call("", true));
	ck_assert_ptr_null(unit_rules_forbidden_call("~mount swapon", false));
	ck_assert_str_eq(
		unit_rules_forbidden_call("~mount connect:EPERM", false), "connect");
	ck_assert_str_eq(unit_rules_forbidden_call("~unshare setns", true), "unshare");
	ck_assert_ptr_null(unit_rules_forbidden_call("~unshare setns", false));
	ck_assert_str_eq(unit_rules_forbidden_call(calls, false), "sendmsg");
	snprintf(all, sizeof all, "%s sendmsg:1", calls);
	ck_assert_ptr_null(unit_rules_forbidden_call(all, false));
	ck_assert_str_eq(unit_rules_forbidden_call(all, true), "prctl");
}
END_TEST

START_TEST(mappings_tell_of_the_library_and_of_segments)
{
	struct process_facts facts = {0};

	process_facts_take_mapping(&facts, "");
	process_facts_take_mapping(&facts, "nonsense");
	process_facts_take_mapping(&facts, "1000-2000 rw-p 00000000 00:00 0 ");
	process_facts_take_mapping(
		&facts, "1000-2000 r-xp 0 08:01 7 /a/liblooplag-v8.so");
	process_facts_take_mapping(&facts, "1000-2000 r-xp 0 08:01 7 /a b/liblooplag.so");
	process_facts_take_mapping(&facts, "1000-2000 r--p 0 08:01 7 /c/liblooplag.so");
	ck_assert_str_eq(facts.library, "");
	process_facts_take_mapping(&facts,
		"7f0000-7f2000 rw-s 00000000 00:01 99    /memfd:looplag (deleted)");
	process_facts_take_mapping(
		&facts, "1000-2000 r-xp 0 08:01 7 /a/liblooplag.so (deleted)");
	process_facts_take_mapping(&facts, "1000-2000 r-xp 0 08:01 7 /b/liblooplag.so");
	ck_assert_str_eq(facts.library, "/a/liblooplag.so");
	ck_assert(facts.library_deleted);
	ck_assert_uint_eq(facts.segment_count, 1);
	ck_assert_uint_eq(facts.segments[0].start, 0x7f0000);
	ck_assert_uint_eq(facts.segments[0].bytes, 0x2000);
	ck_assert_uint_eq(facts.segments[0].inode, 99);
	for (int i = 0; i < 100; i++)
		process_facts_take_mapping(
			&facts, "1000-2000 rw-s 0 00:01 9 /memfd:looplag (deleted)");
	ck_assert_uint_eq(facts.segment_count, PROCESS_FACTS_SEGMENTS);
}
END_TEST

START_TEST(variables_are_found_in_an_environment)
{
	char text[] = "A=1\0LOOPLAG_DISABLE=1\0\0SECRET=2\0";
	struct process_facts facts = {.environment = text};

	ck_assert_str_eq(process_facts_variable(&facts, "LOOPLAG_DISABLE"), "1");
	ck_assert_ptr_null(process_facts_variable(&facts, "LOOPLAG"));
	ck_assert_ptr_null(process_facts_variable(&facts, "SECRET"));
	facts.environment = NULL;
	ck_assert_ptr_null(process_facts_variable(&facts, "A"));
}
END_TEST

/* What is printed of them as JSON; caller frees. */
static json_t *
printed(const struct findings *findings)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *json;

	findings_print_json(findings, out);
	fclose(out);
	json = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(json);
	free(text);
	return json;
}

START_TEST(refusals_are_read_from_the_metrics)
{
	struct findings *findings = findings_new("command", "x");
	json_t *json, *all;

	examine_daemon_refusals(findings, "http://there",
		"looplag_rejected_segments_total{reason=\"size\"} 0\n"
		"xlooplag_rejected_segments_total{reason=\"header\"} 3\n"
		"looplag_rejected_segments_total{reason=\"seals\"} nonsense\n"
		"looplag_rejected_segments_total{reason=\"quota\"} 12\n");
	all = printed(findings);
	json = json_object_get(all, "findings");
	ck_assert_uint_eq(json_array_size(json), 1);
	json = json_array_get(json, 0);
	ck_assert_str_eq(
		json_string_value(json_object_get(json, "code")), "refused-quota");
	json_decref(all);
	findings_free(findings);
}
END_TEST

START_TEST(findings_are_printed_by_weight_and_once)
{
	struct style style = {.columns = 80};
	struct findings *findings = findings_new("command", "evil\033[2J");
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	findings_set_carries(findings);
	findings_add(findings, FINDING_NOTE, "n", "a", "is so", NULL);
	ck_assert_uint_eq(findings_obstacles(findings), 0);
	findings_add(findings, FINDING_OBSTACLE, "o", "b\n", "is bad", "mend it");
	findings_add(findings, FINDING_NOTE, "n", "a", "is so again", NULL);
	findings_print(findings, &style, out);
	fclose(out);
	ck_assert_str_eq(text, "obstacle: b? is bad; mend it\nnote: a is so\n"
			       "evil?[2J cannot carry the probe\n");
	free(text);
	findings_free(findings);
	findings_free(NULL);
}
END_TEST

START_TEST(names_that_are_no_utf8_do_not_break_the_json)
{
	struct findings *findings = findings_new("command", "\xff");
	json_t *json;

	findings_add(findings, FINDING_NOTE, "n", "\xfe", "is odd", "\xfd");
	json = printed(findings);
	ck_assert(json_is_true(json_object_get(json, "can_carry")));
	ck_assert_uint_eq(json_array_size(json_object_get(json, "findings")), 1);
	json_decref(json);
	findings_free(findings);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tcase = tcase_create("doctor");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, words_are_quoted_as_systemd_quotes_them);
	tcase_add_test(tcase, a_word_that_does_not_fit_is_cut_off);
	tcase_add_test(tcase, the_last_setting_of_a_variable_counts);
	tcase_add_test(tcase, the_first_line_of_a_property_is_its_value);
	tcase_add_test(
		tcase, address_families_are_a_list_of_the_allowed_or_of_the_forbidden);
	tcase_add_test(tcase, of_paths_the_longest_decides_and_the_allowed_wins);
	tcase_add_test(tcase, the_calls_of_the_probe_must_pass_the_filter);
	tcase_add_test(tcase, mappings_tell_of_the_library_and_of_segments);
	tcase_add_test(tcase, variables_are_found_in_an_environment);
	tcase_add_test(tcase, refusals_are_read_from_the_metrics);
	tcase_add_test(tcase, findings_are_printed_by_weight_and_once);
	tcase_add_test(tcase, names_that_are_no_utf8_do_not_break_the_json);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
