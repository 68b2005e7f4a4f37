/* SPDX-License-Identifier: MIT */
/*
 * Group rules: what a target is called by its unit, control group, command, arguments and
 * user. The first rule that matches counts. Pure.
 *
 * A name is a template: ${1} stands for the first capture of the rule's only pattern, ${0}
 * for all that it matched; with several patterns it is ${unit:1}, ${arguments:1} and so on.
 * ${user} is the whole of what is known, with a pattern or without; a rule does not match
 * where that is not known. $$ is a dollar sign.
 */
#ifndef LOOPLAG_DAEMON_RULES_H
#define LOOPLAG_DAEMON_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/identity.h"

struct configuration_rule;

/* What a rule can look at. */
enum rules_fact {
	RULES_UNIT,
	RULES_COMMAND,
	RULES_CGROUP,
	RULES_ARGUMENTS,
	RULES_USER,
	RULES_FACTS
};

/* As it is called in the configuration. */
const char *
rules_fact_name(enum rules_fact fact);

/* What is wrong with the rule's name, or NULL. Constant. */
const char *
rules_check(const struct configuration_rule *rule);

/* Whether any of the rules looks at that. */
bool
rules_want(const struct configuration_rule *rules, size_t count, enum rules_fact fact);

/* Name a target of which these facts are known (NULL: unknown). Returns whether a rule
 * matched and gave a name, which is clean as a label; and of which facts there is a part in
 * it, a bit each. */
bool
rules_name(const struct configuration_rule *rules, size_t count,
	const char *const facts[RULES_FACTS], char ret_name[IDENTITY_NAME_BYTES],
	unsigned *ret_used);

/* Whether a rule that asks only the facts in `asked`, a bit each, could give that name: its
 * own text is in it. */
bool
rules_could_give(const struct configuration_rule *rules, size_t count, unsigned asked,
	const char *name);

#endif
