/* SPDX-License-Identifier: MIT */
/* The configuration file: what it means, what is told of mistakes, and that no text
 * whatever does harm. */

#include "config.h"

#include "daemon/configuration.h"
#include "daemon/text_file.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/duration.h"
#include "daemon/pattern.h"
#include "daemon/schema.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)

static struct configuration *config;
static char *told;

static void
tear_down(void)
{
	configuration_free(config);
	free(told);
	config = NULL;
	told = NULL;
}

static int
parse_bytes(const char *text, size_t length)
{
	size_t size;
	FILE *err;
	int r;

	tear_down();
	err = open_memstream(&told, &size);
	r = configuration_parse(text, length, "f", err, &config);
	fclose(err);
	/* All or nothing, and a reason for the latter. */
	ck_assert_int_eq(r == 0, config != NULL);
	ck_assert_int_eq(r == 0, told[0] == 0);
	return r;
}

static int
parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void
assert_good(const char *text)
{
	ck_assert_msg(parse(text) == 0, "refused: %s%s", text, told);
}

static void
assert_default(const struct configuration *found)
{
	const struct configuration_alert *alert = found->alerts;

	ck_assert_uint_eq(found->threshold_ns, 100 * MS);
	ck_assert(found->stacks);
	ck_assert_uint_eq(found->captures_per_minute, 30);
	ck_assert_uint_eq(found->rule_count, 0);
	ck_assert_uint_eq(found->alert_count, 2);
	ck_assert_str_eq(alert[0].name, "delay_high");
	ck_assert_int_eq(alert[0].type, CONFIGURATION_DELAY);
	ck_assert_double_eq(alert[0].quantile, 0.99);
	ck_assert_double_eq(alert[0].above, 0.1);
	ck_assert_double_eq(alert[0].below, 0.08);
	ck_assert_uint_eq(alert[0].for_ns, MINUTE);
	ck_assert_uint_eq(alert[0].keep_ns, MINUTE);
	ck_assert_ptr_null(alert[0].groups);
	ck_assert_str_eq(alert[1].name, "stalled");
	ck_assert_int_eq(alert[1].type, CONFIGURATION_STALLED);
	ck_assert_double_eq(alert[1].above, 1);
	ck_assert_uint_eq(alert[1].for_ns, 0);
	ck_assert_uint_eq(alert[1].keep_ns, MINUTE);
}

START_TEST(without_a_file_the_defaults_hold)
{
	config = configuration_default();
	ck_assert_ptr_nonnull(config);
	assert_default(config);
}
END_TEST

START_TEST(a_file_that_says_nothing_says_the_defaults)
{
	static const char *const texts[] = {"", "\n", "# words\n", "---\n", "---\n...\n",
		"\xef\xbb\xbf# words\n", "{}", "threshold: 0s100ms", "stacks: true"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_good(texts[i]);
		assert_default(config);
	}
}
END_TEST

START_TEST(each_key_has_its_effect)
{
	assert_good("threshold: 1m\n"
		    "stacks: false\n"
		    "captures_per_minute: 6000\n"
		    "alerts:\n"
		    "- {name: a, type: delay, quantile: 1, above: '1m30s', below: 1s, "
		    "for: 2h, keep: 0s, groups: 'web-.*'}\n"
		    "- {name: b, type: starved, above: 0.5}\n"
		    "groups:\n"
		    "- name: web-${1}\n"
		    "  unit: 'web@(.*)\\.service'\n"
		    "- {name: x, command: node, cgroup: "
		    "'/a/[0-9a-f]{8}(-[0-9a-f]{4}){3}'}\n");
	ck_assert_uint_eq(config->threshold_ns, MINUTE);
	ck_assert(!config->stacks);
	ck_assert_uint_eq(config->captures_per_minute, 6000);
	ck_assert_uint_eq(config->alert_count, 2);
	ck_assert_double_eq(config->alerts[0].quantile, 1);
	ck_assert_double_eq(config->alerts[0].above, 90);
	ck_assert_double_eq(config->alerts[0].below, 1);
	ck_assert_uint_eq(config->alerts[0].for_ns, 120 * MINUTE);
	ck_assert_uint_eq(config->alerts[0].keep_ns, 0);
	ck_assert(pattern_match(config->alerts[0].groups, "web-1", NULL));
	ck_assert(!pattern_match(config->alerts[0].groups, "a-web-1", NULL));
	ck_assert_double_eq(config->alerts[1].above, 0.5);
	ck_assert_double_eq_tol(config->alerts[1].below, 0.4, 1e-12);
	ck_assert_uint_eq(config->alerts[1].for_ns, MINUTE);
	ck_assert_uint_eq(config->rule_count, 2);
	ck_assert_ptr_nonnull(config->rules[0].patterns[RULES_UNIT]);
	ck_assert_ptr_null(config->rules[0].patterns[RULES_COMMAND]);
	ck_assert_ptr_nonnull(config->rules[1].patterns[RULES_CGROUP]);
}
END_TEST

START_TEST(an_empty_list_switches_the_alerts_off)
{
	assert_good("alerts: []");
	ck_assert_uint_eq(config->alert_count, 0);
}
END_TEST

#define DURATION_EXPECTED "; expected a duration such as 100ms or 1m30s, from "

static const struct {
	const char *text;
	const char *told;
} mistakes[] = {
	{"treshold: 1s", "f:1:1: unknown key 'treshold' in the configuration; did you "
			 "mean threshold?\n"},
	{"per_minute: 1", "f:1:1: unknown key 'per_minute' in the configuration; did you "
			  "mean captures_per_minute?\n"},
	{"colour: red", "f:1:1: unknown key 'colour' in the configuration\n"},
	{"threshold: 5ms", "f:1:12: threshold: '5ms' is out of range" DURATION_EXPECTED
			   "10ms to 1m\n"},
	{"threshold: 99999999999999999999h",
		"f:1:12: threshold: '99999999999999999999h' is out of "
		"range" DURATION_EXPECTED "10ms to 1m\n"},
	{"threshold: 100",
		"f:1:12: threshold: '100' has no unit" DURATION_EXPECTED "10ms to 1m\n"},
	{"threshold: 0.1s", "f:1:12: threshold: '0.1s'" DURATION_EXPECTED "10ms to 1m\n"},
	{"threshold:", "f:1:11: threshold: nothing" DURATION_EXPECTED "10ms to 1m\n"},
	{"threshold: ''", "f:1:12: threshold: ''" DURATION_EXPECTED "10ms to 1m\n"},
	{"threshold: [1s]", "f:1:12: threshold: a list" DURATION_EXPECTED "10ms to 1m\n"},
	{"\n\nthreshold: 1s\n\nthreshold: 2s",
		"f:5:1: 'threshold' is given twice; line 3 has it too\n"},
	{"stacks: yes", "f:1:9: stacks: 'yes'; expected true or false\n"},
	{"stacks: 'true'",
		"f:1:9: stacks: 'true' is in quotes; expected true or false\n"},
	{"stacks: {a: b}", "f:1:9: stacks: a mapping; expected true or false\n"},
	{"captures_per_minute: 0", "f:1:22: captures_per_minute: '0' is out of range; "
				   "expected a whole number from 1 to 6000\n"},
	{"captures_per_minute: -1", "f:1:22: captures_per_minute: '-1' is out of range; "
				    "expected a whole number from 1 to 6000\n"},
	{"captures_per_minute: 1.5", "f:1:22: captures_per_minute: '1.5'; expected a "
				     "whole number from 1 to 6000\n"},
	{"captures_per_minute: 0x10", "f:1:22: captures_per_minute: '0x10'; expected a "
				      "whole number from 1 to 6000\n"},
	{"alerts:", "f:1:8: alerts: nothing; expected a list of at most 64 alerts; [] is "
		    "an empty one\n"},
	{"alerts: {}", "f:1:9: alerts: a mapping; expected a list of at most 64 alerts; "
		       "[] is an empty one\n"},
	{"alerts: [a]", "f:1:10: a text; expected an alert: keys and values\n"},
	{"alerts: [{type: stalled, above: 1s}]", "f:1:10: an alert needs 'name'\n"},
	{"alerts:\n- name: a\n  type: delay", "f:2:3: an alert needs 'above'\n"},
	{"alerts: [{name: a, above: 1s}]", "f:1:10: an alert needs 'type'\n"},
	{"alerts: [{name: a, type: late, above: 1s, quantile: 1}]",
		"f:1:26: type: 'late'; expected delay, stalled or starved\n"},
	{"alerts: [{name: a b, type: stalled, above: 1s}]",
		"f:1:17: name: 'a b'; expected at most 64 letters, digits and _ . : -\n"},
	{"alerts: [{name: a, type: stalled, above: 1s, quantile: 1}]",
		"f:1:46: 'quantile' has no meaning in an alert of this type\n"},
	{"alerts: [{name: a, type: delay, above: 1s, quantil: 1}]",
		"f:1:44: unknown key 'quantil' in an alert; did you mean quantile?\n"},
	{"alerts: [{name: a, type: delay, above: 1s, quantile: 1.1}]",
		"f:1:54: quantile: '1.1' is out of range; expected a number from 0 to "
		"1\n"},
	{"alerts: [{name: a, type: starved, above: 1s}]",
		"f:1:42: above: '1s'; expected a number from 0.0001 to 1\n"},
	{"alerts: [{name: a, type: starved, above: .}]",
		"f:1:42: above: '.'; expected a number from 0.0001 to 1\n"},
	{"alerts: [{name: a, type: delay, above: 1s, below: 2s}]",
		"f:1:51: below: more than above; expected less or the same\n"},
	{"alerts:\n- {name: a, type: stalled, above: 1s}\n- {name: a, type: delay, "
	 "above: 1s}",
		"f:3:10: name: another alert is called so; expected another name\n"},
	{"threshold: 2s\nalerts: [{name: a, type: stalled, above: 1s}]",
		"f:2:42: above: less than threshold; expected at least as much, as what "
		"is shorter is no stall\n"},
	{"groups: [{name: a}]",
		"f:1:10: a rule for groups needs 'unit', 'cgroup', 'command', "
		"'arguments' or 'user'\n"},
	{"groups: [{unit: a}]", "f:1:10: a rule for groups needs 'name'\n"},
	{"groups: [{name: a, unit: '(a'}]",
		"f:1:26: unit: '(a' Unmatched ( or \\(; expected a regular expression, "
		"POSIX extended\n"},
	{"groups: [{name: a, unit: 'a)(b'}]",
		"f:1:26: unit: 'a)(b' has a ) without its (; expected a regular "
		"expression, POSIX extended\n"},
	{"groups: [{name: a, unit: '((a{255}){255}){255}'}]",
		"f:1:26: unit: '((a{255}){255}){255}' repeats too often; expected a "
		"regular expression, POSIX extended\n"},
	{"groups: [{name: a, unit: '((((((a)+)+)+)+)+)+'}]",
		"f:1:26: unit: '((((((a)+)+)+)+)+)+' repeats too often; expected a "
		"regular expression, POSIX extended\n"},
	{"groups: [{name: a, unit: '(a)\\1'}]", "f:1:26: unit: '(a)\\1' references back "
						"(\\1) are not supported; expected "
						"a regular expression, POSIX extended\n"},
	{"groups: [{name: 'a${1}', unit: a}]",
		"f:1:17: name: the pattern has fewer captures (in parentheses) than "
		"that\n"},
	{"groups: [{name: '$1', unit: (a)}]",
		"f:1:17: name: a $ that begins nothing; write ${1}, ${unit:1}, ${user}, "
		"or $$ for a dollar sign\n"},
	{"groups: [{name: '${1}', unit: (a), command: (b)}]",
		"f:1:17: name: there are several patterns; write whose capture it is, as "
		"in ${unit:1} or ${arguments:1}\n"},
	{"groups: [{name: '${cgroup:1}', unit: (a)}]",
		"f:1:17: name: it names a pattern that the rule does not have\n"},
	{"groups: [{name: \"${\", unit: (a)}]",
		"f:1:17: name: a $ that begins nothing; write ${1}, ${unit:1}, ${user}, "
		"or $$ for a dollar sign\n"},
	{"- a", "f:1:1: a list; expected the configuration: keys and values\n"},
	{"words", "f:1:1: a text; expected the configuration: keys and values\n"},
	{"[a]: b", "f:1:1: a list in place of a key\n"},
	{"threshold: &x 1s", "f:1:12: anchors (&) have no meaning here; leave it out\n"},
	{"stacks: !!bool true", "f:1:9: tags (!) have no meaning here; leave it out\n"},
	{"stacks: *x", "f:1:9: aliases (*) have no meaning here; write it out\n"},
	{"groups: [{name: *x, unit: a}]",
		"f:1:17: aliases (*) have no meaning here; write it out\n"},
	{"stacks: true\n---\nstacks: true\n",
		"f:2:1: a second document; one is all there can be\n"},
	{"alerts: [[[[[[[[[[", "f:1:16: nested too deeply; nothing here is\n"},
	{"alerts: \"a\\0b\"", "f:1:9: a text with a NUL in it; leave that out\n"},
	{"threshold: 'a\\", "f:1:15: no valid YAML: found unexpected end of stream while "
			    "scanning a quoted scalar\n"},
	{"\tthreshold: 1s", "f:1:1: no valid YAML: found character that cannot start any "
			    "token while scanning for the next token\n"},
	{"# \xc3\xa4\n# \xc3\xa4 \xff\n",
		"f:2:5: no valid YAML: invalid leading UTF-8 octet\n"},
	/* All of them at once, in order. */
	{"groups: 1\nthreshold: 1\nalerts:\n- {typ: delay}\nstacks: 1",
		"f:1:9: groups: '1'; expected a list of at most 256 rules; [] is an "
		"empty "
		"one\n"
		"f:2:12: threshold: '1' has no unit" DURATION_EXPECTED "10ms to 1m\n"
		"f:4:3: an alert needs 'name'\n"
		"f:4:3: an alert needs 'type'\n"
		"f:4:4: unknown key 'typ' in an alert; did you mean type?\n"
		"f:5:9: stacks: '1'; expected true or false\n"},
};

START_TEST(a_mistake_is_told_with_its_place_and_what_was_expected)
{
	ck_assert_int_eq(parse(mistakes[_i].text), -EINVAL);
	ck_assert_str_eq(told, mistakes[_i].told);
}
END_TEST

START_TEST(a_byte_of_zero_is_told)
{
	ck_assert_int_eq(parse_bytes("threshold: 1s\n\0", 15), -EINVAL);
	ck_assert_str_eq(
		told, "f:2:1: no valid YAML: control characters are not allowed\n");
}
END_TEST

START_TEST(what_could_steer_a_terminal_is_not_repeated)
{
	ck_assert_int_eq(parse("stacks: \"\\e[31m\\n\\r\""), -EINVAL);
	ck_assert_str_eq(told, "f:1:9: stacks: '_[31m__' is in quotes; expected true or "
			       "false\n");
}
END_TEST

START_TEST(a_thousand_mistakes_are_told_in_short)
{
	char text[16384] = "";
	size_t lines = 0, used = 0;

	for (int i = 0; i < 1000; i++)
		used += (size_t)sprintf(text + used, "key%d: x\n", i);
	ck_assert_int_eq(parse(text), -EINVAL);
	for (const char *s = told; (s = strchr(s, '\n')); s++)
		lines++;
	ck_assert_uint_eq(lines, 101);
	ck_assert_ptr_nonnull(strstr(told, "f: 900 more mistakes\n"));
}
END_TEST

START_TEST(more_items_than_there_may_be_are_refused)
{
	char text[65536] = "groups:\n";

	for (int i = 0; i < CONFIGURATION_RULES_MAX; i++)
		strcat(text, "- {name: a, unit: a}\n");
	assert_good(text);
	ck_assert_uint_eq(config->rule_count, CONFIGURATION_RULES_MAX);
	strcat(text, "- {name: a, unit: a}\n");
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_str_eq(told, "f:2:1: groups: a list with too many items; expected a "
			       "list of at most 256 rules; [] is an empty one\n");
}
END_TEST

static const char whole[] = "# words\n"
			    "threshold: 50ms\n"
			    "stacks: false\n"
			    "captures_per_minute: 60\n"
			    "alerts:\n"
			    "  - name: \"late\"\n"
			    "    type: delay\n"
			    "    quantile: 0.9\n"
			    "    above: 1m30s\n"
			    "    groups: 'web-(a|b){1,3}[[:digit:]]*'\n"
			    "  - {name: stuck, type: stalled, above: 1s, for: 10s}\n"
			    "groups:\n"
			    "  - name: web-${1}\n"
			    "    unit: 'web@(.*)\\.service'\n"
			    "  - name: x-${command:0}\n"
			    "    command: >-\n"
			    "      node\n"
			    "    cgroup: /a/.*\n";

START_TEST(a_file_that_was_cut_short_gives_all_or_nothing)
{
	assert_good(whole);
	for (size_t length = 0; length < strlen(whole); length++)
		(void)parse_bytes(whole, length);
}
END_TEST

START_TEST(no_change_of_a_file_does_harm)
{
	static const char *const parts[] = {"{", "[", "]", "}", ":", "- ", "\n", "&a ",
		"*a", "!!x ", "|", ">", "\"", "'", "%", "\xff", "\xc3", "\t", "99999999",
		"${", "(", "{9}", "\\", "---\n", "?", "0", "ms", "#", "<<: "};
	char text[sizeof(whole) + 64];
	unsigned good = 0, bad = 0;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		size_t length = strlen(whole);

		memcpy(text, whole, length);
		for (int j = rand() % 4; j >= 0; j--) {
			const char *part = parts[(size_t)rand() %
						 (sizeof(parts) / sizeof(parts[0]))];
			size_t size = strlen(part), place = (size_t)rand() % length;

			switch (rand() % 3) {
			case 0: /* put something in */
				memmove(text + place + size, text + place,
					length - place);
				memcpy(text + place, part, size);
				length += size;
				break;
			case 1: /* leave something out */
				size = 1 + (size_t)rand() % 8;
				if (size > length - place)
					size = length - place;
				memmove(text + place, text + place + size,
					length - place - size);
				length -= size;
				break;
			default:
				text[place] = (char)rand();
			}
		}
		if (parse_bytes(text, length) == 0)
			good++;
		else
			bad++;
	}
	/* It was no idle exercise. */
	ck_assert_uint_gt(good, 100);
	ck_assert_uint_gt(bad, 1000);
}
END_TEST

START_TEST(durations_are_written_as_prometheus_does)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"0", 0}, {"0s", 0}, {"1ms", MS}, {"1s1ms", SECOND + MS},
		{"1m30s", 90 * SECOND}, {"90s", 90 * SECOND}, {"1h", 60 * MINUTE},
		{"1d", 1440 * MINUTE}, {"1w", 7 * 1440 * MINUTE},
		{"1y", 365 * 1440 * MINUTE}, {"007s", 7 * SECOND}};
	static const char *const bad[] = {"", "1", "s", "1us", "1 s", "-1s", "1s1m",
		"1s1s", "1.5s", "1S", "1sm", "1ms1s", " 1s", "1s ", "00"};
	char text[DURATION_BYTES];
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(duration_parse(good[i].text, &ns), 0);
		ck_assert_uint_eq(ns, good[i].ns);
		duration_format(ns, text);
		ck_assert_int_eq(duration_parse(text, &ns), 0);
		ck_assert_uint_eq(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(duration_parse(bad[i], &ns) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(duration_parse("1000y", &ns), -ERANGE);
	duration_format(90 * SECOND + MS, text);
	ck_assert_str_eq(text, "1m30s1ms");
}
END_TEST

static int
load(const char *path)
{
	size_t size;
	FILE *err;
	int r;

	tear_down();
	err = open_memstream(&told, &size);
	r = configuration_load(path, err, &config);
	fclose(err);
	return r;
}

START_TEST(a_file_that_cannot_be_read_is_told)
{
	char path[] = "/tmp/check_configuration.XXXXXX";
	int fd;

	ck_assert_int_eq(load("/nonexistent/file"), -ENOENT);
	ck_assert_str_eq(
		told, "/nonexistent/file: cannot be read: No such file or directory\n");
	ck_assert_int_eq(load("/"), -EISDIR);
	ck_assert_int_eq(load("/dev/zero"), -EINVAL);
	ck_assert_str_eq(told, "/dev/zero: cannot be read: it is no regular file\n");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "stacks: false", 13), 13);
	ck_assert_int_eq(load(path), 0);
	ck_assert(!config->stacks);
	ck_assert_int_eq(ftruncate(fd, TEXT_FILE_BYTES_MAX + 1), 0);
	ck_assert_int_eq(load(path), -EFBIG);
	close(fd);
	/* A FIFO that nobody writes keeps nobody waiting. */
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(load(path), -EINVAL);
	unlink(path);
}
END_TEST

/* The sample file, with or without what is commented out. */
static char *
read_sample(bool uncomment)
{
	char path[4096], line[256], *text;
	const char *directory = getenv("srcdir");
	size_t size;
	FILE *in, *out;

	snprintf(path, sizeof(path), "%s/config/looplagd.yaml",
		directory ? directory : ".");
	in = fopen(path, "r");
	ck_assert_msg(in != NULL, "no %s", path);
	out = open_memstream(&text, &size);
	while (fgets(line, sizeof(line), in))
		/* Prose has a blank behind the sign, but for what is indented. */
		fputs(uncomment && line[0] == '#' && (line[1] != ' ' || line[2] == ' ') &&
					line[1] != '\t'
				? line + 1
				: line,
			out);
	fclose(in);
	fclose(out);
	return text;
}

START_TEST(the_sample_file_is_the_defaults)
{
	char *text = read_sample(false);

	assert_good(text);
	assert_default(config);
	free(text);
}
END_TEST

START_TEST(the_sample_file_shows_every_key_with_its_words)
{
	char *text = read_sample(true);
	size_t count;
	const struct schema_option *options = schema_options(&count);

	assert_good(text);
	ck_assert_uint_eq(config->alert_count, 3);
	ck_assert_uint_eq(config->rule_count, 3);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(strstr(text, options[i].help),
			"the sample does not say: %s", options[i].help);
	/* What is there by default stands there. */
	config->alert_count = 2;
	config->rule_count = 0;
	assert_default(config);
	config->alert_count = 3;
	config->rule_count = 3;
	free(text);
}
END_TEST

static Suite *
configuration_suite(void)
{
	Suite *suite = suite_create("configuration");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad");

	tcase_add_checked_fixture(good, NULL, tear_down);
	tcase_add_test(good, without_a_file_the_defaults_hold);
	tcase_add_test(good, a_file_that_says_nothing_says_the_defaults);
	tcase_add_test(good, each_key_has_its_effect);
	tcase_add_test(good, an_empty_list_switches_the_alerts_off);
	tcase_add_test(good, durations_are_written_as_prometheus_does);
	tcase_add_test(good, the_sample_file_is_the_defaults);
	tcase_add_test(good, the_sample_file_shows_every_key_with_its_words);
	suite_add_tcase(suite, good);
	tcase_add_checked_fixture(bad, NULL, tear_down);
	tcase_set_timeout(bad, 120);
	tcase_add_loop_test(bad, a_mistake_is_told_with_its_place_and_what_was_expected,
		0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_test(bad, a_byte_of_zero_is_told);
	tcase_add_test(bad, what_could_steer_a_terminal_is_not_repeated);
	tcase_add_test(bad, a_thousand_mistakes_are_told_in_short);
	tcase_add_test(bad, more_items_than_there_may_be_are_refused);
	tcase_add_test(bad, a_file_that_was_cut_short_gives_all_or_nothing);
	tcase_add_test(bad, no_change_of_a_file_does_harm);
	tcase_add_test(bad, a_file_that_cannot_be_read_is_told);
	suite_add_tcase(suite, bad);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(configuration_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
