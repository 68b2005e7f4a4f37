/* SPDX-License-Identifier: MIT */
/* What alerts look at; see alert_value.h. */

#include "config.h"

#include "daemon/alert_value.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/counters.h"
#include "daemon/groups.h"
#include "daemon/stalls.h"
#include "daemon/window.h"

#define WINDOW_NS (WINDOW_SLOTS * WINDOW_SLOT_NS)
/* Of one series; what is shorter than a stall hardly moves a quantile. */
#define OPEN_MAX 256

/* The next stall of the group from *index on, or NULL. */
static const struct stall *
next_stall(const struct stalls *stalls, const char *groupname, size_t *index)
{
	while (*index < stalls_count(stalls)) {
		const struct stall *stall = stalls_at(stalls, (*index)++);

		if (strcmp(stall->groupname, groupname) == 0)
			return stall;
	}
	return NULL;
}

/* The quantile of one series' delay, with what lasts now instead of what lasted at the
 * last full reading. */
static double
series_delay(const struct configuration_alert *rule, const char *groupname,
	struct series_view view, const struct stalls *stalls)
{
	uint64_t open_ns[OPEN_MAX];
	const struct stall *stall;
	size_t index = 0;
	double delay;

	view.open_ns = open_ns;
	view.open_count = 0;
	while (view.open_count < OPEN_MAX &&
		(stall = next_stall(stalls, groupname, &index)))
		if (stall->open && strcmp(stall->loop, view.loop) == 0)
			open_ns[view.open_count++] = stall->length_ns;
	series_delay_quantiles(&view, view.window, &rule->quantile, 1, &delay);
	return delay;
}

/* That of the series in which it is highest. */
static double
worst_delay(const struct configuration_alert *rule, const struct groups *groups,
	size_t group, const struct stalls *stalls)
{
	struct group_view seen = groups_view(groups, group);
	double worst = 0;

	for (size_t i = 0; i < seen.series_count; i++) {
		struct series_view view = groups_series_view(groups, group, i);

		if (view.window->life_ns)
			worst = fmax(
				worst, series_delay(rule, seen.groupname, view, stalls));
	}
	return worst;
}

/* The longest stall that is open, or was since the last look: between two looks a stall
 * may begin and end. */
static double
longest_stall(const char *groupname, const struct alert_scene *scene)
{
	const struct stall *stall;
	uint64_t longest_ns = 0;
	size_t index = 0;

	while ((stall = next_stall(scene->stalls, groupname, &index))) {
		uint64_t end_ns = saturated_sum(stall->started_ns, stall->length_ns);

		if ((stall->open || end_ns >= scene->before_ns) &&
			stall->length_ns > longest_ns)
			longest_ns = stall->length_ns;
	}
	return (double)longest_ns / 1e9;
}

/* Nanoseconds of the window in which the group's loops waited for a CPU, inside stalls. */
static double
starved_ns(const char *groupname, const struct stalls *stalls, uint64_t now_ns)
{
	uint64_t begin_ns = difference(now_ns, WINDOW_NS);
	const struct stall *stall;
	size_t index = 0;
	double sum = 0;

	while ((stall = next_stall(stalls, groupname, &index))) {
		uint64_t end_ns = saturated_sum(stall->started_ns, stall->length_ns);
		uint64_t from_ns = stall->started_ns;

		if (from_ns < begin_ns)
			from_ns = begin_ns;
		sum += stall->shares[STALL_STARVED] * (double)difference(end_ns, from_ns);
	}
	return sum;
}

double
alert_value(const struct configuration_alert *rule, const struct alert_scene *scene,
	size_t group)
{
	struct group_view seen = groups_view(scene->groups, group);
	uint64_t life_ns = 0;

	for (size_t i = 0; i < seen.series_count; i++)
		life_ns = saturated_sum(life_ns,
			groups_series_view(scene->groups, group, i).window->life_ns);
	if (!life_ns)
		return NAN;
	if (rule->type == CONFIGURATION_DELAY)
		return worst_delay(rule, scene->groups, group, scene->stalls);
	if (rule->type == CONFIGURATION_STALLED)
		return longest_stall(seen.groupname, scene);
	return fmin(1, starved_ns(seen.groupname, scene->stalls, scene->now_ns) /
			       (double)life_ns);
}
