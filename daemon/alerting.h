/* SPDX-License-Identifier: MIT */
/*
 * Alerting: once a second, whether anybody asks or not, looks at each group by each alert's
 * rule, and says so when one fires or is over.
 */
#ifndef LOOPLAG_DAEMON_ALERTING_H
#define LOOPLAG_DAEMON_ALERTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alerting;
struct alerts;
struct configuration;
struct event_loop;
struct groups;
struct metrics;
struct stalls;

/* Without alerts. All is borrowed. NULL without memory. */
struct alerting *
alerting_open(struct event_loop *loop, const struct groups *groups,
	const struct stalls *stalls);
void
alerting_close(struct alerting *alerting);

/* Go on by the alerts of a configuration, which is borrowed until the next call. Without
 * memory there are none. */
void
alerting_configure(struct alerting *alerting, const struct configuration *config);

/* Look now: begin, and then at the next group as long as there is one, which is returned.
 * Of groups that come or go meanwhile some may have to wait for the next look. */
void
alerting_begin_look(struct alerting *alerting, uint64_t now_ns);
bool
alerting_look_on(struct alerting *alerting);

/* The group is about to be forgotten: what fires in it is over. */
struct group_view;
void
alerting_forget_group(struct alerting *alerting, const struct group_view *group);

/* Borrowed. */
const struct alerts *
alerting_alerts(const struct alerting *alerting);

/* Add the metrics about alerts. */
void
alerting_collect(const struct alerting *alerting, struct metrics *metrics);

#endif
