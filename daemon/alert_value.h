/* SPDX-License-Identifier: MIT */
/* What an alert's rule compares with its limits. Pure. */
#ifndef LOOPLAG_DAEMON_ALERT_VALUE_H
#define LOOPLAG_DAEMON_ALERT_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct configuration_alert;
struct groups;
struct stalls;

/* What is looked at. */
struct alert_scene {
	const struct groups *groups;
	const struct stalls *stalls;
	uint64_t now_ns;
	uint64_t before_ns; /* a stall that has ended since then was not seen yet */
};

/* The value that the rule looks at in the group of that index, see
 * configuration_alert_type; NAN if no loop of the group lived in the last minute. It needs
 * no full reading before: what lasts is taken from the stalls. */
double
alert_value(const struct configuration_alert *rule, const struct alert_scene *scene,
	size_t group);

#endif
