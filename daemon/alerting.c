/* SPDX-License-Identifier: MIT */
/* Looks at the groups by the rules of alerts; see alerting.h. */

#include "config.h"

#include "daemon/alerting.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/alert_value.h"
#include "daemon/alerts.h"
#include "daemon/configuration.h"
#include "daemon/counters.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#define PERIOD_NS 1000000000ull
/* So many groups at a time that nobody else has to wait for long. */
#define SLICE_NS 500000ull
#define PAUSE_NS 2000000ull
#define WORDS_BYTES 160

struct alerting {
	struct event_loop *loop;
	const struct groups *groups;
	const struct stalls *stalls;
	struct alerts *alerts;
	struct event_watch *tick, *pause;
	uint64_t look_ns, last_ns; /* of this look, and the one before */
	size_t next;               /* group to be looked at */
};

/* What was too much. */
static void
describe(const struct configuration_alert *rule, double value, char words[WORDS_BYTES])
{
	switch (rule->type) {
	case CONFIGURATION_DELAY:
		snprintf(words, WORDS_BYTES,
			"the %.10g quantile of the delay over the last minute is %.0f "
			"ms, "
			"above %.10g ms",
			rule->quantile, value * 1e3, rule->above * 1e3);
		break;
	case CONFIGURATION_STALLED:
		snprintf(words, WORDS_BYTES,
			"a loop was stalled for %.1f s, longer than %.10g s", value,
			rule->above);
		break;
	default:
		snprintf(words, WORDS_BYTES,
			"%.1f %% of the last minute were lost waiting for a CPU, above "
			"%.10g %%",
			value * 100, rule->above * 100);
		break;
	}
}

static void
tell(const struct configuration_alert *rule, const char *groupname, double value,
	enum alerts_change change)
{
	const struct log_field fields[] = {
		{.name = "alert", .text = rule->name},
		{.name = "group", .text = groupname},
	};
	char words[WORDS_BYTES], *text;

	describe(rule, value, words);
	if (change == ALERTS_FIRED) {
		if (asprintf(&text, "alert %s fires in group %s: %s", rule->name,
			    groupname, words) < 0)
			return;
		journal_write(LOG_LEVEL_WARN, "alert", JOURNAL_ALERT_FIRING, text, fields,
			sizeof(fields) / sizeof(fields[0]));
	} else {
		if (asprintf(&text, "alert %s is over in group %s", rule->name,
			    groupname) < 0)
			return;
		journal_write(LOG_LEVEL_INFO, "alert", JOURNAL_ALERT_RESOLVED, text,
			fields, sizeof(fields) / sizeof(fields[0]));
	}
	free(text);
}

void
alerting_begin_look(struct alerting *alerting, uint64_t now_ns)
{
	alerting->last_ns = alerting->look_ns;
	alerting->look_ns = now_ns;
	alerting->next = 0;
}

bool
alerting_look_on(struct alerting *alerting)
{
	/* What ends is told a little later: the second before the last look as well. */
	struct alert_scene scene = {
		.groups = alerting->groups,
		.stalls = alerting->stalls,
		.now_ns = alerting->look_ns,
		.before_ns = difference(alerting->last_ns, PERIOD_NS),
	};
	struct group_view group;

	if (alerting->next >= groups_count(alerting->groups))
		return false;
	group = groups_view(alerting->groups, alerting->next);
	for (size_t i = 0; i < alerts_rules(alerting->alerts); i++) {
		const struct configuration_alert *rule = alerts_rule(alerting->alerts, i);
		double value = alert_value(rule, &scene, alerting->next);
		enum alerts_change change = alerts_judge(alerting->alerts, i, group.id,
			group.groupname, value, alerting->look_ns);

		if (change != ALERTS_NO_CHANGE)
			tell(rule, group.groupname, value, change);
	}
	alerting->next++;
	return true;
}

static void
look_at_some(void *arg)
{
	struct alerting *alerting = arg;
	uint64_t started_ns = event_now_ns();

	event_watch_free(alerting->pause);
	alerting->pause = NULL;
	while (alerting_look_on(alerting))
		if (event_now_ns() - started_ns >= SLICE_NS) {
			alerting->pause = event_after(
				alerting->loop, PAUSE_NS, look_at_some, alerting);
			return;
		}
}

static void
look(void *arg)
{
	struct alerting *alerting = arg;

	/* It takes a second to look at all of them: not another one yet. */
	if (alerting->pause)
		return;
	alerting_begin_look(alerting, event_now_ns());
	look_at_some(alerting);
}

struct alerting *
alerting_open(
	struct event_loop *loop, const struct groups *groups, const struct stalls *stalls)
{
	struct alerting *alerting = calloc(1, sizeof(*alerting));

	if (!alerting)
		return NULL;
	alerting->loop = loop;
	alerting->groups = groups;
	alerting->stalls = stalls;
	alerting->look_ns = event_now_ns();
	alerting->alerts = alerts_new();
	alerting->tick = event_every(loop, PERIOD_NS, look, alerting);
	if (!alerting->alerts || !alerting->tick) {
		alerting_close(alerting);
		return NULL;
	}
	return alerting;
}

void
alerting_close(struct alerting *alerting)
{
	if (!alerting)
		return;
	event_watch_free(alerting->tick);
	event_watch_free(alerting->pause);
	alerts_free(alerting->alerts);
	free(alerting);
}

void
alerting_configure(struct alerting *alerting, const struct configuration *config)
{
	if (alerts_set_rules(alerting->alerts, config->alerts, config->alert_count) == 0)
		return;
	log_warn("alert", "out of memory; there are no alerts");
	alerts_clear(alerting->alerts);
}

void
alerting_forget_group(struct alerting *alerting, const struct group_view *group)
{
	struct alerts_view view;

	for (size_t i = 0; i < alerts_rules(alerting->alerts); i++)
		if (alerts_view(alerting->alerts, i, group->id, &view) &&
			view.state == ALERTS_FIRING)
			tell(view.rule, group->groupname, 0, ALERTS_RESOLVED);
	alerts_forget_group(alerting->alerts, group->id);
}

const struct alerts *
alerting_alerts(const struct alerting *alerting)
{
	return alerting->alerts;
}

void
alerting_collect(const struct alerting *alerting, struct metrics *metrics)
{
	const struct groups *groups = alerting->groups;
	struct alerts_view view;

	metrics_family(metrics, METRIC_GAUGE, "looplag_alert_firing",
		"1 while the alert fires in that group, else 0.");
	for (size_t i = 0; i < alerts_rules(alerting->alerts); i++)
		for (size_t j = 0; j < groups_count(groups); j++) {
			struct group_view group = groups_view(groups, j);

			if (!alerts_view(alerting->alerts, i, group.id, &view))
				continue;
			metrics_add(
				metrics, &(struct metric_sample){
						 .labels = {{"alert", view.rule->name},
							 {"groupname", group.groupname}},
						 .value = view.state == ALERTS_FIRING,
					 });
		}
}
