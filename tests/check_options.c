/* SPDX-License-Identifier: MIT */
/* The command line of looplagd: what it accepts, and what it says of mistakes. */

#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

static struct options options;
static char *out_text, *err_text;

static void
set_up(void)
{
	out_text = err_text = NULL;
}

static void
tear_down(void)
{
	free(out_text);
	free(err_text);
}

/* Parse a command line of words separated by blanks. */
static enum options_verdict
parse(const char *line)
{
	static char words[512]; /* the options point into it */
	char *argv[32] = {(char[]){"looplagd"}}, *rest = NULL;
	size_t out_length, err_length;
	FILE *out, *err;
	enum options_verdict verdict;
	int argc = 1;

	tear_down();
	out = open_memstream(&out_text, &out_length);
	err = open_memstream(&err_text, &err_length);
	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok_r(words, " ", &rest); word;
		word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	verdict = options_parse(argc, argv, out, err, &options);
	fclose(out);
	fclose(err);
	return verdict;
}

static void
assert_usage_error(const char *line, const char *expected)
{
	ck_assert_int_eq(parse(line), OPTIONS_USAGE);
	ck_assert_str_eq(out_text, "");
	ck_assert_msg(
		strstr(err_text, expected), "'%s' is not in: %s", expected, err_text);
	/* One line, and whose it is. */
	ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
	ck_assert_int_eq(strncmp(err_text, "looplagd: ", 10), 0);
}

START_TEST(without_options_the_defaults_hold)
{
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_uint_eq(options.listen_count, 1);
	ck_assert_str_eq(options.listen_addresses[0], "127.0.0.1:9923");
	ck_assert_str_eq(options.telemetry_path, "/metrics");
	ck_assert_str_eq(options.probe_socket, RUNSTATEDIR "/looplag/probe.sock");
	ck_assert_int_eq(options.log_level, LOG_LEVEL_INFO);
	ck_assert_int_eq(options.log_format, LOG_FORMAT_LOGFMT);
	ck_assert_str_eq(err_text, "");
}
END_TEST

START_TEST(values_come_behind_an_equals_sign_or_as_the_next_word)
{
	ck_assert_int_eq(parse("--log.level=debug --log.format json"), OPTIONS_RUN);
	ck_assert_int_eq(options.log_level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(options.log_format, LOG_FORMAT_JSON);
	ck_assert_int_eq(
		parse("--web.telemetry-path /m --probe.socket=/tmp/s"), OPTIONS_RUN);
	ck_assert_str_eq(options.telemetry_path, "/m");
	ck_assert_str_eq(options.probe_socket, "/tmp/s");
}
END_TEST

START_TEST(listen_addresses_replace_the_default_and_add_up)
{
	ck_assert_int_eq(
		parse("--web.listen-address=:9923 --web.listen-address [::1]:80"),
		OPTIONS_RUN);
	ck_assert_uint_eq(options.listen_count, 2);
	ck_assert_str_eq(options.listen_addresses[0], ":9923");
	ck_assert_str_eq(options.listen_addresses[1], "[::1]:80");
	assert_usage_error("--web.listen-address=:1 --web.listen-address=:2 "
			   "--web.listen-address=:3 --web.listen-address=:4 "
			   "--web.listen-address=:5 --web.listen-address=:6 "
			   "--web.listen-address=:7 --web.listen-address=:8 "
			   "--web.listen-address=:9",
		"one address too many");
}
END_TEST

START_TEST(the_configuration_file_may_be_named_or_just_checked)
{
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_str_eq(options.config_file, SYSCONFDIR "/looplag/looplagd.yaml");
	ck_assert(!options.config_file_given && !options.config_check);
	ck_assert_int_eq(parse("--config.file=/tmp/f --config.check"), OPTIONS_RUN);
	ck_assert_str_eq(options.config_file, "/tmp/f");
	ck_assert(options.config_file_given && options.config_check);
	assert_usage_error("--config.file=", "is no path");
	assert_usage_error("--config.check=x", "takes no value");
}
END_TEST

START_TEST(whoever_may_ask_is_limited_as_exporters_do_it)
{
	ck_assert_int_eq(parse(""), OPTIONS_RUN);
	ck_assert_ptr_null(options.web_config_file);
	ck_assert(!options.lifecycle && !options.systemd_socket);
	ck_assert_uint_eq(options.max_requests, 40);
	ck_assert_int_eq(parse("--web.config.file=w.yml --web.enable-lifecycle "
			       "--web.max-requests=0 --web.systemd-socket"),
		OPTIONS_RUN);
	ck_assert_str_eq(options.web_config_file, "w.yml");
	ck_assert(options.lifecycle && options.systemd_socket);
	ck_assert_uint_eq(options.max_requests, 0);
	assert_usage_error("--web.config.file=", "is no path");
	assert_usage_error("--web.max-requests=-1", "is no number");
	assert_usage_error("--web.max-requests=many", "is no number");
	assert_usage_error("--web.max-requests=1000000", "is no number");
	assert_usage_error("--web.enable-lifecycle=yes", "takes no value");
}
END_TEST

START_TEST(help_starts_with_an_example_and_knows_every_option)
{
	ck_assert_int_eq(parse("--help"), OPTIONS_DONE);
	ck_assert_str_eq(err_text, "");
	ck_assert_ptr_nonnull(strstr(out_text, "Example:"));
	ck_assert(strstr(out_text, "Example:") < strstr(out_text, "Options:"));
	ck_assert_ptr_nonnull(strstr(out_text, "--web.listen-address=ADDRESS"));
	ck_assert_ptr_nonnull(strstr(out_text, "Default: 127.0.0.1:9923"));
	ck_assert_int_eq(parse("-h"), OPTIONS_DONE);
}
END_TEST

START_TEST(version_is_told_on_standard_output)
{
	ck_assert_int_eq(parse("--version"), OPTIONS_DONE);
	ck_assert_str_eq(out_text, "looplagd " PACKAGE_VERSION "\n");
}
END_TEST

START_TEST(an_unknown_option_gets_the_one_that_was_meant)
{
	assert_usage_error("--web.listen-adress=:1",
		"unknown option --web.listen-adress; did you mean --web.listen-address?");
	assert_usage_error("--listen-address=:1", "did you mean --web.listen-address?");
	assert_usage_error("-version", "did you mean --version?");
	assert_usage_error("--log.lvl debug", "did you mean --log.level?");
	assert_usage_error("--colour", "unknown option --colour; see --help");
	assert_usage_error("-x", "unknown option -x; see --help");
	assert_usage_error("--=3", "unknown option --; see --help");
}
END_TEST

START_TEST(an_option_of_absurd_length_is_just_unknown)
{
	char word[300];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	memcpy(word, "--", 2);
	assert_usage_error(word, "see --help");
}
END_TEST

START_TEST(a_value_that_lacks_or_is_too_much_is_told)
{
	assert_usage_error("--log.level", "--log.level needs a value");
	assert_usage_error("--version=1", "--version takes no value");
	assert_usage_error("extra", "unexpected argument 'extra'");
	assert_usage_error("--log.level info extra", "unexpected argument 'extra'");
}
END_TEST

START_TEST(a_bad_value_is_told_with_what_would_be_right)
{
	assert_usage_error("--log.level=loud", "'loud' is no level; write debug, info");
	assert_usage_error("--log.format=xml", "write logfmt or json");
	assert_usage_error("--web.telemetry-path=metrics", "is no path");
	assert_usage_error("--web.telemetry-path=/a\"b", "is no path");
	assert_usage_error("--web.telemetry-path=/", "is taken");
	assert_usage_error("--web.telemetry-path=/-/ready", "is taken");
	assert_usage_error("--web.telemetry-path=/api/v1/groups", "is taken");
	assert_usage_error("--probe.socket=probe.sock", "is no absolute path");
	assert_usage_error("--probe.socket=/"
			   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"too long");
}
END_TEST

START_TEST(addresses_need_a_port_and_brackets_around_ipv6)
{
	static const char *const good[] = {
		":0", ":9923", "127.0.0.1:65535", "[::1]:80", "localhost:9923", "[::]:1"};
	static const char *const bad[] = {"9923", "127.0.0.1", "127.0.0.1:", ":65536",
		":-1", "::1:9923", "[::1]", "[]:80", "[::1:80", "host:http", "host:80x"};
	char line[100];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "--web.listen-address=%s", good[i]);
		ck_assert_msg(parse(line) == OPTIONS_RUN, "%s is refused", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "--web.listen-address=%s", bad[i]);
		assert_usage_error(line, "is no address");
	}
}
END_TEST

static Suite *
options_suite(void)
{
	Suite *suite = suite_create("options");
	TCase *good = tcase_create("accepted"), *bad = tcase_create("refused");

	tcase_add_checked_fixture(good, set_up, tear_down);
	tcase_add_test(good, without_options_the_defaults_hold);
	tcase_add_test(good, values_come_behind_an_equals_sign_or_as_the_next_word);
	tcase_add_test(good, listen_addresses_replace_the_default_and_add_up);
	tcase_add_test(good, the_configuration_file_may_be_named_or_just_checked);
	tcase_add_test(good, whoever_may_ask_is_limited_as_exporters_do_it);
	tcase_add_test(good, help_starts_with_an_example_and_knows_every_option);
	tcase_add_test(good, version_is_told_on_standard_output);
	suite_add_tcase(suite, good);
	tcase_add_checked_fixture(bad, set_up, tear_down);
	tcase_add_test(bad, an_unknown_option_gets_the_one_that_was_meant);
	tcase_add_test(bad, an_option_of_absurd_length_is_just_unknown);
	tcase_add_test(bad, a_value_that_lacks_or_is_too_much_is_told);
	tcase_add_test(bad, a_bad_value_is_told_with_what_would_be_right);
	tcase_add_test(bad, addresses_need_a_port_and_brackets_around_ipv6);
	suite_add_tcase(suite, bad);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(options_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
