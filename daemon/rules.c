/* SPDX-License-Identifier: MIT */
/* Group rules; see rules.h. */

#include "config.h"

#include "daemon/rules.h"

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
		[RULES_ARGUMENTS] = "arguments",
		[RULES_USER] = "user",
	};

	return names[fact];
}

/* A reference in a template. */
struct reference {
	enum rules_fact fact;
	bool whole; /* no capture, but all that is known */
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

/* Read the name of a fact, and move behind it. Returns whether there is one. */
static bool
read_fact(const char **at, enum rules_fact *ret_fact)
{
	for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++) {
		size_t length = strlen(rules_fact_name(fact));

		if (strncmp(*at, rules_fact_name(fact), length) != 0 ||
			((*at)[length] != ':' && (*at)[length] != '}'))
			continue;
		*at += length;
		*ret_fact = fact;
		return true;
	}
	return false;
}

/* Read what begins with a dollar sign and is no $$. Returns NULL or what is wrong. */
static const char *
read_reference(const struct configuration_rule *rule, const char *text,
	struct reference *ret_reference)
{
	static const char malformed[] = "a $ that begins nothing; write ${1}, ${unit:1}, "
					"${user}, or $$ for a dollar sign";
	struct reference reference = {.fact = RULES_FACTS};
	const char *s = text + 2;

	if (text[1] != '{')
		return malformed;
	if (read_fact(&s, &reference.fact)) {
		reference.whole = *s == '}';
		s += !reference.whole;
	}
	if (!reference.whole) {
		if (s[0] < '0' || s[0] > '9' || s[1] != '}')
			return malformed;
		reference.capture = (unsigned)(*s++ - '0');
	}
	reference.length = (size_t)(s + 1 - text);
	if (reference.whole) {
		*ret_reference = reference;
		return NULL;
	}
	if (reference.fact == RULES_FACTS && !only_fact(rule, &reference.fact))
		return "there are several patterns; write whose capture it is, as in "
		       "${unit:1} or ${arguments:1}";
	if (!rule->patterns[reference.fact])
		return "it names a pattern that the rule does not have";
	if (reference.capture > pattern_captures(rule->patterns[reference.fact]))
		return "the pattern has fewer captures (in parentheses) than that";
	*ret_reference = reference;
	return NULL;
}

/* A part of a template: text of its own, or a reference. */
struct part {
	const char *text;
	size_t length;
	bool is_reference;
	struct reference reference;
};

/* The part that begins there, moving behind it; of a template that was checked. Returns
 * whether there is one. */
static bool
next_part(const struct configuration_rule *rule, const char **at, struct part *ret_part)
{
	const char *s = *at;

	if (!*s)
		return false;
	*ret_part = (struct part){.text = s};
	if (s[0] == '$' && s[1] != '$') {
		if (read_reference(rule, s, &ret_part->reference))
			return false;
		ret_part->is_reference = true;
		*at += ret_part->reference.length;
		return true;
	}
	/* Of two dollar signs the first one is the text. */
	ret_part->length = s[0] == '$' ? 1 : strcspn(s, "$");
	*at += s[0] == '$' ? 2 : ret_part->length;
	return true;
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

/* Of which facts a part gets into the rule's names; with captures only those of which
 * there is no more than that. */
static unsigned
used_facts(const struct configuration_rule *rule, bool captures)
{
	const char *at = rule->name;
	unsigned used = 0;
	struct part part;

	while (next_part(rule, &at, &part))
		if (part.is_reference && !(captures && part.reference.whole))
			used |= 1u << part.reference.fact;
	return used;
}

bool
rules_want(const struct configuration_rule *rules, size_t count, enum rules_fact fact)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i].patterns[fact] || used_facts(&rules[i], false) & 1u << fact)
			return true;
	return false;
}

/* Fill in a rule's template. */
static void
expand(const struct configuration_rule *rule, const char *const facts[RULES_FACTS],
	struct pattern_capture captures[RULES_FACTS][PATTERN_CAPTURES],
	char ret_name[IDENTITY_NAME_BYTES])
{
	char name[IDENTITY_NAME_BYTES];
	const char *at = rule->name;
	struct part part;
	size_t used = 0;

	while (used < sizeof(name) && next_part(rule, &at, &part)) {
		if (part.is_reference) {
			const struct reference *reference = &part.reference;
			const struct pattern_capture *capture =
				&captures[reference->fact][reference->capture];

			part.text = facts[reference->fact];
			part.length = strlen(part.text);
			if (!reference->whole) {
				if (capture->start < 0)
					continue;
				part.text += capture->start;
				part.length = (size_t)(capture->end - capture->start);
			}
		}
		if (part.length > sizeof(name) - used)
			part.length = sizeof(name) - used;
		memcpy(name + used, part.text, part.length);
		used += part.length;
	}
	identity_clean(name, used, ret_name);
}

/* Whether all that a rule wants to know is known, and as it wants it. */
static bool
matches(const struct configuration_rule *rule, const char *const facts[RULES_FACTS],
	struct pattern_capture ret_captures[RULES_FACTS][PATTERN_CAPTURES])
{
	unsigned captured = used_facts(rule, true), used = used_facts(rule, false);

	for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++) {
		const struct pattern *pattern = rule->patterns[fact];
		unsigned bit = 1u << fact;

		if (!facts[fact] && (pattern || used & bit))
			return false;
		/* Captures cost libc more than a look. */
		if (pattern && !pattern_match(pattern, facts[fact],
				       captured & bit ? ret_captures[fact] : NULL))
			return false;
	}
	return true;
}

bool
rules_name(const struct configuration_rule *rules, size_t count,
	const char *const facts[RULES_FACTS], char ret_name[IDENTITY_NAME_BYTES],
	unsigned *ret_used)
{
	for (size_t i = 0; i < count; i++) {
		struct pattern_capture captures[RULES_FACTS][PATTERN_CAPTURES];
		char name[IDENTITY_NAME_BYTES];

		if (!matches(&rules[i], facts, captures))
			continue;
		expand(&rules[i], facts, captures, name);
		if (!name[0])
			continue;
		strcpy(ret_name, name);
		*ret_used = used_facts(&rules[i], false);
		return true;
	}
	return false;
}

/* Whether the name could be made by the rule: its own texts are in it, in their order, and
 * at the ends where it has them there. */
static bool
could_give(const struct configuration_rule *rule, const char *name)
{
	const char *at = rule->name;
	bool open = false, any = false; /* anything may stand before what comes next */
	struct part part;

	while (next_part(rule, &at, &part)) {
		const char *found = name;

		if (part.is_reference) {
			open = true;
			continue;
		}
		any = true;
		/* The last one must stand at the end. */
		if (open && !*at && strlen(name) >= part.length)
			found = name + strlen(name) - part.length;
		else if (open)
			found = memmem(name, strlen(name), part.text, part.length);
		if (!found || strncmp(found, part.text, part.length) != 0)
			return false;
		name = found + part.length;
		open = false;
	}
	return any && (open || !*name);
}

bool
rules_could_give(const struct configuration_rule *rules, size_t count, unsigned asked,
	const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!(used_facts(&rules[i], false) & ~asked) &&
			could_give(&rules[i], name))
			return true;
	return false;
}
