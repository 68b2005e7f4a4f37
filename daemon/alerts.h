/* SPDX-License-Identifier: MIT */
/*
 * Alerts: for each rule and each group to which it applies, whether it fires.
 *
 *	          above for `for`                not above `below` for `keep`
 *	inactive ----------> pending -> firing ------------------------------> inactive
 *	         <----------
 *	          not above
 *
 * A value between the two limits changes nothing, so one at the edge does not flap.
 * Pure: takes time and values as arguments. Groups are known by their ids, each of which may
 * be another group's when it was forgotten.
 */
#ifndef LOOPLAG_DAEMON_ALERTS_H
#define LOOPLAG_DAEMON_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alerts;
struct configuration_alert;

enum alerts_state { ALERTS_INACTIVE, ALERTS_PENDING, ALERTS_FIRING };

/* As in the JSON. */
const char *
alerts_state_name(enum alerts_state state);

/* One alert of one group. */
struct alerts_view {
	const struct configuration_alert *rule;
	enum alerts_state state;
	uint64_t since_ns; /* it has been above: pending or firing since then */
	double value;      /* at the last look; NAN: unknown */
};

/* Without rules. NULL without memory. */
struct alerts *
alerts_new(void);
void
alerts_free(struct alerts *alerts);

/* Go on by these rules, which are borrowed until the next call. An alert that had the same
 * name and type before stays in its state where it still applies. Returns 0, or -ENOMEM
 * and the ones before stay. */
__attribute__((warn_unused_result)) int
alerts_set_rules(
	struct alerts *alerts, const struct configuration_alert *rules, size_t count);

/* Forget all rules. */
void
alerts_clear(struct alerts *alerts);

size_t
alerts_rules(const struct alerts *alerts);
/* A rule, borrowed from who set it. */
const struct configuration_alert *
alerts_rule(const struct alerts *alerts, size_t rule);

enum alerts_change { ALERTS_NO_CHANGE, ALERTS_FIRED, ALERTS_RESOLVED };

/* What a rule looks at has that value in a group now (NAN: there is nothing to look at,
 * which is never too much). Groups to which the rule does not apply never change. */
enum alerts_change
alerts_judge(struct alerts *alerts, size_t rule, size_t group, const char *groupname,
	double value, uint64_t now_ns);

/* The group is about to be forgotten. */
void
alerts_forget_group(struct alerts *alerts, size_t group);

/* Returns whether the rule applies to the group, as far as it was judged. */
bool
alerts_view(const struct alerts *alerts, size_t rule, size_t group,
	struct alerts_view *ret_view);

#endif
