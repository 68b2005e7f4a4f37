/* SPDX-License-Identifier: MIT */
/* The groups as JSON. */

#include "config.h"

#include "daemon/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "daemon/alerts.h"
#include "daemon/configuration.h"
#include "daemon/groups.h"

#define QUANTILES 4

static const double quantiles[QUANTILES] = {0.5, 0.9, 0.99, 0.999};
static const char *const quantile_names[QUANTILES] = {"p50", "p90", "p99", "p999"};

/* Whole nanoseconds: more digits would say more than is known. */
static json_t *
seconds(double value)
{
	return json_real(round(value * 1e9) / 1e9);
}

static json_t *
quantiles_object(const double values[QUANTILES], double max)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < QUANTILES; i++)
		json_object_set_new(
			object, quantile_names[i], seconds(fmin(values[i], max)));
	json_object_set_new(object, "max", seconds(max));
	return object;
}

/* The share of that time in which it was unattended. */
static double
active_share(const struct series_view *view, const struct counters *seen)
{
	double active = series_active_seconds(view, seen);

	/* An iteration that still lasts may have begun before the window. */
	return fmin(active / ((double)seen->life_ns / 1e9), 1);
}

static json_t *
loop_object(const struct series_view *view, enum api_span span)
{
	const struct counters *total = view->total;
	const struct counters *seen = span == API_RUN ? total : view->window;
	double values[QUANTILES];
	json_t *object = json_object();
	uint64_t stalls = 0;

	json_object_set_new(object, "loop", json_string(view->loop));
	if (seen->life_ns) {
		series_delay_quantiles(view, seen, quantiles, QUANTILES, values);
		json_object_set_new(object, "delay",
			quantiles_object(values, series_max_seconds(view, seen)));
		json_object_set_new(
			object, "active_share", seconds(active_share(view, seen)));
	}
	if (seen->iterations) {
		for (unsigned i = 0; i < QUANTILES; i++)
			values[i] = histogram_quantile(&seen->iteration, quantiles[i]);
		json_object_set_new(object, "iteration",
			quantiles_object(values, (double)seen->max_ns / 1e9));
	}
	json_object_set_new(
		object, "iterations", json_integer((json_int_t)total->iterations));
	json_object_set_new(object, "events", json_integer((json_int_t)total->events));
	json_object_set_new(
		object, "active_seconds", seconds(series_active_seconds(view, total)));
	json_object_set_new(
		object, "idle_seconds", seconds(series_idle_seconds(view, total)));
	json_object_set_new(object, "nested_wait_seconds",
		seconds((double)total->nested_wait_ns / 1e9));
	if (band_histogram_total(&seen->wakeup)) {
		for (unsigned i = 0; i < QUANTILES; i++)
			values[i] = band_histogram_quantile(&seen->wakeup, quantiles[i]);
		json_object_set_new(object, "wakeup_latency",
			quantiles_object(
				values, band_histogram_quantile(&seen->wakeup, 1)));
	}
	for (int i = 0; i < STALL_CAUSES; i++)
		stalls += view->stalls->count[i];
	json_object_set_new(object, "stalls", json_integer((json_int_t)stalls));
	json_object_set_new(
		object, "open_stall_seconds", seconds((double)view->stall_age_ns / 1e9));
	return object;
}

/* Add the alerts that fire, if there are any. */
static void
set_alerts(json_t *object, const struct alerts *alerts, size_t group)
{
	json_t *names = json_array();
	struct alerts_view view;

	for (size_t i = 0; alerts && i < alerts_rules(alerts); i++)
		if (alerts_view(alerts, i, group, &view) && view.state == ALERTS_FIRING)
			json_array_append_new(names, json_string(view.rule->name));
	if (json_array_size(names))
		json_object_set(object, "alerts", names);
	json_decref(names);
}

static json_t *
group_object(const struct groups *groups, size_t index, const struct alerts *alerts,
	enum api_span span)
{
	struct group_view group = groups_view(groups, index);
	json_t *object = json_object(), *loops = json_array();

	json_object_set_new(object, "groupname", json_string(group.groupname));
	if (group.runtime)
		json_object_set_new(object, "runtime", json_string(group.runtime));
	json_object_set_new(
		object, "processes", json_integer((json_int_t)group.processes));
	for (size_t i = 0; i < group.series_count; i++) {
		struct series_view view = groups_series_view(groups, index, i);

		json_array_append_new(loops, loop_object(&view, span));
	}
	json_object_set_new(object, "loops", loops);
	set_alerts(object, alerts, group.id);
	return object;
}

char *
api_group(const struct groups *groups, size_t index, const struct alerts *alerts,
	enum api_span span)
{
	json_t *object = group_object(groups, index, alerts, span);
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));

	json_decref(object);
	return text;
}

char *
api_groups(const struct groups *groups, const struct alerts *alerts, enum api_span span)
{
	json_t *root = json_object(), *array = json_array();
	char *text, *line = NULL;

	for (size_t i = 0; i < groups_count(groups); i++)
		json_array_append_new(array, group_object(groups, i, alerts, span));
	json_object_set_new(root, "groups", array);
	text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
