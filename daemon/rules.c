/* SPDX-License-Identifier: MIT */
/* Group rules; see rules.h. */

#include "config.h"

#include "daemon/rules.h"

#include <stdint.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/pattern.h"

const char *
rules_fact_name(enum rules_fact fact)
{
	static const char *const names[RULES_FACTS] = {
		[RULES_UNIT] = "unit",
		[RULES_COMMAND] = "command",
		[RULES_CGROUP] = "cgroup",
	};

	return names[fact];
}

/* A reference in a template. */
struct reference {
	enum rules_fact fact;
	unsigned capture;
	size_t length; /* of its text */
};

/* The rule's only pattern. Returns whether there is just one. */
static bool
only_fact(const struct configuration_rule *rule, enum rules_fact *ret_fact)
{
	unsigned count = 0;

	for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++) {
		if (rule->patterns[fact]) {
			*ret_fact = fact;
			count++;
		}
	}
	return count == 1;
}

/* Read what begins with a dollar sign and is no $$. Returns NULL or what is wrong. */
static const char *
read_reference(const struct configuration_rule *rule, const char *text,
	struct reference *ret_reference)
{
	static const char malformed[] = "a $ that begins nothing; write ${1}, ${unit:1}, "
					"or $$ for a dollar sign";
	struct reference reference = {.fact = RULES_FACTS};
	const char *s = text + 2;

	if (text[1] != '{')
		return malformed;
	for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++) {
		size_t length = strlen(rules_fact_name(fact));

		if (strncmp(s, rules_fact_name(fact), length) == 0 && s[length] == ':') {
			reference.fact = fact;
			s += length + 1;
			break;
		}
	}
	if (s[0] < '0' || s[0] > '9' || s[1] != '}')
		return malformed;
	reference.capture = (unsigned)(s[0] - '0');
	reference.length = (size_t)(s + 2 - text);
	if (reference.fact == RULES_FACTS && !only_fact(rule, &reference.fact))
		return "there are several patterns; write whose capture it is: "
		       "${unit:1}, ${command:1} or ${cgroup:1}";
	if (!rule->patterns[reference.fact])
		return "it names a pattern that the rule does not have";
	if (reference.capture > pattern_captures(rule->patterns[reference.fact]))
		return "the pattern has fewer captures (in parentheses) than that";
	*ret_reference = reference;
	return NULL;
}

const char *
rules_check(const struct configuration_rule *rule)
{
	struct reference reference;

	for (const char *s = strchr(rule->name, '$'); s; s = strchr(s, '$')) {
		const char *wrong;

		if (s[1] == '$') {
			s += 2;
			continue;
		}
		wrong = read_reference(rule, s, &reference);
		if (wrong)
			return wrong;
		s += reference.length;
	}
	return NULL;
}

/* Fill in a rule's template. */
static void
expand(const struct configuration_rule *rule, const char *const facts[RULES_FACTS],
	struct pattern_capture captures[RULES_FACTS][PATTERN_CAPTURES],
	char ret_name[IDENTITY_NAME_BYTES])
{
	char name[IDENTITY_NAME_BYTES];
	struct reference reference;
	size_t used = 0;

	for (const char *s = rule->name; *s && used < sizeof(name);) {
		const struct pattern_capture *capture;
		size_t length = 1;
		const char *part = s;

		if (*s != '$' || s[1] == '$') {
			s += *s == '$' ? 2 : 1;
		} else if (read_reference(rule, s, &reference)) {
			/* It was checked when it was read: cannot be. */
			break;
		} else {
			capture = &captures[reference.fact][reference.capture];
			s += reference.length;
			if (capture->start < 0)
				continue;
			part = facts[reference.fact] + capture->start;
			length = (size_t)(capture->end - capture->start);
		}
		if (length > sizeof(name) - used)
			length = sizeof(name) - used;
		memcpy(name + used, part, length);
		used += length;
	}
	identity_clean(name, used, ret_name);
}

bool
rules_name(const struct configuration_rule *rules, size_t count,
	const char *const facts[RULES_FACTS], char ret_name[IDENTITY_NAME_BYTES])
{
	for (size_t i = 0; i < count; i++) {
		struct pattern_capture captures[RULES_FACTS][PATTERN_CAPTURES];
		char name[IDENTITY_NAME_BYTES];
		bool matches = true;

		for (enum rules_fact fact = 0; fact < RULES_FACTS && matches; fact++)
			if (rules[i].patterns[fact])
				matches = facts[fact] &&
					  pattern_match(rules[i].patterns[fact],
						  facts[fact], captures[fact]);
		if (!matches)
			continue;
		expand(&rules[i], facts, captures, name);
		if (!name[0])
			continue;
		strcpy(ret_name, name);
		return true;
	}
	return false;
}
