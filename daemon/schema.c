/* SPDX-License-Identifier: MIT */
/* The keys of the configuration file and their values; see schema.h. */

#include "config.h"

#include "daemon/schema.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/document.h"
#include "daemon/duration.h"
#include "daemon/groups.h"
#include "daemon/mistakes.h"
#include "daemon/native.h"
#include "daemon/pattern.h"
#include "daemon/similar.h"

#define DEFAULT_ALERTS                                                                 \
	"[{name: delay_high, type: delay, quantile: 0.99, above: 100ms, below: 80ms, " \
	"for: 1m}, {name: stalled, type: stalled, above: 1s}]"

#define DEFAULT_BUCKETS                                                      \
	"[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, " \
	"5, 10, 30, 60]"

#define TOP(field) offsetof(struct configuration, field)
#define ALERT(field) offsetof(struct configuration_alert, field)
#define RULE(field) offsetof(struct configuration_rule, field)

/* tests/gates/docs.sh looks for the section and the key in the first line of each. */
static const struct schema_option options[] = {
	{SCHEMA_TOP, "threshold", SCHEMA_DURATION, TOP(threshold_ns), 0.01, 60, "100ms",
		false, "An iteration that is longer is a stall."},
	{SCHEMA_TOP, "stacks", SCHEMA_BOOL, TOP(stacks), 0, 0, "true", false,
		"Take the stacks of stalled loops."},
	{SCHEMA_TOP, "captures_per_minute", SCHEMA_COUNT, TOP(captures_per_minute), 1,
		6000, "30", false, "How many stacks may be taken in a group."},
	{SCHEMA_TOP, "delay_buckets", SCHEMA_BUCKETS, 0, 0, CONFIGURATION_BUCKETS_MAX,
		DEFAULT_BUCKETS, false,
		"Upper bounds of the buckets of delays and iterations, in seconds."},
	{SCHEMA_TOP, "native_buckets", SCHEMA_COUNT, TOP(native_buckets),
		NATIVE_BUDGET_MIN, 1000, "160", false,
		"How many buckets of a native histogram may be in use."},
	{SCHEMA_TOP, "alerts", SCHEMA_ALERTS, 0, 0, CONFIGURATION_ALERTS_MAX,
		DEFAULT_ALERTS, false, "When to raise an alarm."},
	{SCHEMA_TOP, "max_groups", SCHEMA_COUNT, TOP(max_groups), 1, GROUPS_MAX, "200",
		false,
		"How many groups there may be; what comes later is in the group "
		"other."},
	{SCHEMA_TOP, "forget_groups", SCHEMA_PERIOD, TOP(keep_groups_ns), 1, 31536000,
		"1h", false,
		"When to forget a group whose processes are all gone; or never."},
	{SCHEMA_TOP, "groups", SCHEMA_GROUPS, 0, 0, CONFIGURATION_RULES_MAX, "[]", false,
		"How processes are reported together: the first rule that matches."},
	{SCHEMA_ALERT, "name", SCHEMA_NAME, ALERT(name), 1, 64, NULL, true,
		"What the alert is called in metrics and messages."},
	{SCHEMA_ALERT, "type", SCHEMA_KIND, ALERT(type), 0, 0, NULL, true,
		"What is watched."},
	{SCHEMA_ALERT, "keep", SCHEMA_DURATION, ALERT(keep_ns), 0, 86400, "1m", false,
		"It is over when it has not been so for that long."},
	{SCHEMA_ALERT, "groups", SCHEMA_PATTERN, ALERT(groups), 0, 0, NULL, false,
		"Only groups whose names match."},
	{SCHEMA_DELAY, "quantile", SCHEMA_SHARE, ALERT(quantile), 0, 1, "0.99", false,
		"Which quantile of the delay over the last minute."},
	{SCHEMA_DELAY, "above", SCHEMA_SECONDS, ALERT(above), 0.001, 3600, NULL, true,
		"It fires above that delay."},
	{SCHEMA_DELAY, "below", SCHEMA_SECONDS, ALERT(below), 0.001, 3600, NULL, false,
		"It is over below that delay; four fifths of above."},
	{SCHEMA_DELAY, "for", SCHEMA_DURATION, ALERT(for_ns), 0, 86400, "1m", false,
		"It fires when the delay was above for that long."},
	{SCHEMA_STALLED, "above", SCHEMA_SECONDS, ALERT(above), 0.01, 86400, NULL, true,
		"It fires when a stall has lasted longer than that."},
	{SCHEMA_STALLED, "for", SCHEMA_DURATION, ALERT(for_ns), 0, 86400, "0s", false,
		"And there have been such stalls without a gap for that long."},
	{SCHEMA_STARVED, "above", SCHEMA_SHARE, ALERT(above), 0.0001, 1, NULL, true,
		"It fires above that share of the last minute of loop life."},
	{SCHEMA_STARVED, "below", SCHEMA_SHARE, ALERT(below), 0.0001, 1, NULL, false,
		"It is over below that share; four fifths of above."},
	{SCHEMA_STARVED, "for", SCHEMA_DURATION, ALERT(for_ns), 0, 86400, "1m", false,
		"It fires when the share was above for that long."},
	{SCHEMA_GROUP, "name", SCHEMA_TEMPLATE, RULE(name), 1, 255, NULL, true,
		"The group; ${1} is what the first parentheses matched."},
	{SCHEMA_GROUP, "unit", SCHEMA_PATTERN, RULE(patterns[RULES_UNIT]), 0, 0, NULL,
		false, "The systemd unit."},
	{SCHEMA_GROUP, "command", SCHEMA_PATTERN, RULE(patterns[RULES_COMMAND]), 0, 0,
		NULL, false, "The command's name, 15 bytes at most."},
	{SCHEMA_GROUP, "cgroup", SCHEMA_PATTERN, RULE(patterns[RULES_CGROUP]), 0, 0, NULL,
		false, "The path of the control group."},
	{SCHEMA_GROUP, "arguments", SCHEMA_PATTERN, RULE(patterns[RULES_ARGUMENTS]), 0, 0,
		NULL, false,
		"The command line, its words joined by spaces; the first 2047 bytes."},
	{SCHEMA_GROUP, "user", SCHEMA_PATTERN, RULE(patterns[RULES_USER]), 0, 0, NULL,
		false, "The user's name in /etc/passwd, else its number."},
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))
#define EXPECTED_BYTES 192

const struct schema_option *
schema_options(size_t *ret_count)
{
	*ret_count = OPTIONS;
	return options;
}

const struct schema_option *
schema_find(unsigned sections, const char *key)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].section & sections && strcmp(options[i].key, key) == 0)
			return &options[i];
	return NULL;
}

const char *
schema_similar(unsigned sections, const char *key)
{
	const char *names[OPTIONS];
	size_t count = 0;

	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].section & sections)
			names[count++] = options[i].key;
	return similar_find(key, names, count);
}

/* What would be right. */
static void
describe(const struct schema_option *option, char ret_text[EXPECTED_BYTES])
{
	char least[DURATION_BYTES], most[DURATION_BYTES];

	switch (option->type) {
	case SCHEMA_BOOL:
		strcpy(ret_text, "true or false");
		break;
	case SCHEMA_COUNT:
		snprintf(ret_text, EXPECTED_BYTES, "a whole number from %g to %g",
			option->least, option->most);
		break;
	case SCHEMA_DURATION:
	case SCHEMA_PERIOD:
	case SCHEMA_SECONDS:
		duration_format((uint64_t)(option->least * 1e9), least);
		duration_format((uint64_t)(option->most * 1e9), most);
		snprintf(ret_text, EXPECTED_BYTES,
			"a duration such as 100ms or 1m30s, from %s to %s%s", least, most,
			option->type == SCHEMA_PERIOD ? ", or never" : "");
		break;
	case SCHEMA_SHARE:
		snprintf(ret_text, EXPECTED_BYTES, "a number from %g to %g",
			option->least, option->most);
		break;
	case SCHEMA_NAME:
		snprintf(ret_text, EXPECTED_BYTES,
			"at most %g letters, digits and _ . : -", option->most);
		break;
	case SCHEMA_TEMPLATE:
		strcpy(ret_text, "a name such as web or web-${1}, at most 255 bytes");
		break;
	case SCHEMA_PATTERN:
		strcpy(ret_text, "a regular expression, POSIX extended");
		break;
	case SCHEMA_KIND:
		strcpy(ret_text, "delay, stalled or starved");
		break;
	case SCHEMA_BUCKETS:
		snprintf(ret_text, EXPECTED_BYTES,
			"a list of 1 to %g numbers of seconds, rising, from 0.000001 to "
			"256",
			option->most);
		break;
	case SCHEMA_ALERTS:
	case SCHEMA_GROUPS:
		snprintf(ret_text, EXPECTED_BYTES,
			"a list of at most %g %s; [] is an empty one", option->most,
			option->type == SCHEMA_ALERTS ? "alerts" : "rules");
		break;
	}
}

void
schema_refuse(const struct schema_option *option, const struct document_node *node,
	struct mistakes *mistakes, const char *why)
{
	char expected[EXPECTED_BYTES], quoted[MISTAKES_QUOTE_BYTES];
	const char *found = document_kind_name(node);

	/* What is bad was told when it was read. */
	if (node->kind == DOCUMENT_BAD)
		return;
	describe(option, expected);
	if (node->kind == DOCUMENT_SCALAR && (!node->plain || node->text[0]))
		found = mistakes_quote(node->text, quoted);
	mistakes_add(mistakes, node->line, node->column, "%s: %s%s%s; expected %s",
		option->key, found, why ? " " : "", why ? why : "", expected);
}

/* Each returns NULL, or what is wrong: "" if no more can be said. */
static const char *
set_duration(const struct schema_option *option, const char *text, void *place)
{
	uint64_t ns;
	int r = duration_parse(text, &ns);

	if (option->type == SCHEMA_PERIOD && strcmp(text, "never") == 0) {
		*(uint64_t *)place = UINT64_MAX;
		return NULL;
	}
	if (r == -EINVAL)
		return *text && !text[strspn(text, "0123456789")] ? "has no unit" : "";
	if (r < 0 || (double)ns < option->least * 1e9 || (double)ns > option->most * 1e9)
		return "is out of range";
	if (option->type == SCHEMA_SECONDS)
		*(double *)place = (double)ns / 1e9;
	else
		*(uint64_t *)place = ns;
	return NULL;
}

static const char *
set_number(const struct schema_option *option, const char *text, void *place)
{
	double value;
	char *end;

	if (!text[0] || text[strspn(text, "0123456789.")])
		return text[0] == '-' ? "is out of range" : "";
	errno = 0;
	value = strtod(text, &end);
	if (*end || end == text)
		return "";
	if (option->type == SCHEMA_COUNT && strchr(text, '.'))
		return "";
	if (errno || value < option->least || value > option->most)
		return "is out of range";
	if (option->type == SCHEMA_COUNT)
		*(unsigned *)place = (unsigned)value;
	else
		*(double *)place = value;
	return NULL;
}

static const char *
set_bool(const char *text, bool *ret_value)
{
	bool value = strcmp(text, "true") == 0;

	if (!value && strcmp(text, "false") != 0)
		return "";
	*ret_value = value;
	return NULL;
}

static const char *
set_text(const struct schema_option *option, const char *text, char **ret_text)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-";
	char *copy;

	if ((double)strlen(text) < option->least || (double)strlen(text) > option->most)
		return text[0] ? "is too long" : "";
	if (option->type == SCHEMA_NAME && text[strspn(text, letters)])
		return "";
	copy = strdup(text);
	if (!copy)
		return "out of memory";
	*ret_text = copy;
	return NULL;
}

static const char *
set_kind(const char *text, enum configuration_alert_type *ret_type)
{
	for (enum configuration_alert_type type = 0; type < CONFIGURATION_ALERT_TYPES;
		type++) {
		if (strcmp(text, configuration_alert_type_name(type)) == 0) {
			*ret_type = type;
			return NULL;
		}
	}
	return "";
}

/* Whether quotes make another thing of it: "true" is a text. */
static bool
is_text(const struct schema_option *option)
{
	return option->type != SCHEMA_BOOL && option->type != SCHEMA_COUNT &&
	       option->type != SCHEMA_SHARE;
}

bool
schema_set(const struct schema_option *option, const struct document_node *node,
	struct mistakes *mistakes, void *object)
{
	void *place = (char *)object + option->offset;
	const char *text = node->text, *wrong = "";
	char words[256];

	if (node->kind != DOCUMENT_SCALAR || (node->plain && !text[0]) ||
		(!node->plain && !is_text(option))) {
		schema_refuse(option, node, mistakes,
			node->kind == DOCUMENT_SCALAR && text[0] ? "is in quotes" : NULL);
		return false;
	}
	switch (option->type) {
	case SCHEMA_BOOL:
		wrong = set_bool(text, place);
		break;
	case SCHEMA_COUNT:
	case SCHEMA_SHARE:
		wrong = set_number(option, text, place);
		break;
	case SCHEMA_DURATION:
	case SCHEMA_PERIOD:
	case SCHEMA_SECONDS:
		wrong = set_duration(option, text, place);
		break;
	case SCHEMA_NAME:
	case SCHEMA_TEMPLATE:
		wrong = set_text(option, text, place);
		break;
	case SCHEMA_PATTERN:
		wrong = pattern_new(text, words, place);
		break;
	case SCHEMA_KIND:
		wrong = set_kind(text, place);
		break;
	case SCHEMA_BUCKETS:
	case SCHEMA_ALERTS:
	case SCHEMA_GROUPS:
		break;
	}
	if (wrong)
		schema_refuse(option, node, mistakes, *wrong ? wrong : NULL);
	return !wrong;
}
