/* SPDX-License-Identifier: MIT */
/*
 * Group rules: what a target is called by its unit, command and control group. The first
 * rule that matches counts. Pure.
 *
 * A name is a template: ${1} stands for the first capture of the rule's only pattern, ${0}
 * for all that it matched; with several patterns it is ${unit:1}, ${command:1} or
 * ${cgroup:1}. $$ is a dollar sign.
 */
#ifndef LOOPLAG_DAEMON_RULES_H
#define LOOPLAG_DAEMON_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/identity.h"

struct configuration_rule;

/* What a rule can look at. */
enum rules_fact { RULES_UNIT, RULES_COMMAND, RULES_CGROUP, RULES_FACTS };

/* As it is called in the configuration. */
const char *
rules_fact_name(enum rules_fact fact);

/* What is wrong with the rule's name, or NULL. Constant. */
const char *
rules_check(const struct configuration_rule *rule);

/* Name a target of which these facts are known (NULL: unknown). Returns whether a rule
 * matched and gave a name, which is clean as a label. */
bool
rules_name(const struct configuration_rule *rules, size_t count,
	const char *const facts[RULES_FACTS], char ret_name[IDENTITY_NAME_BYTES]);

#endif
