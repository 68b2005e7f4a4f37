/* SPDX-License-Identifier: MIT */
/* The state of looplagd as JSON; see api_status.h. */

#include "config.h"

#include "daemon/api_status.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "daemon/api_time.h"
#include "daemon/collector.h"
#include "daemon/configuration.h"
#include "daemon/reload.h"

static void
set_count(json_t *object, const char *reason, uint64_t count)
{
	if (count)
		json_object_set_new(object, reason, json_integer((json_int_t)count));
}

static json_t *
rejected_object(const struct collector_stats *stats)
{
	json_t *object = json_object();

	for (int i = 0; i < COLLECTOR_REASONS; i++)
		set_count(object, collector_reason_name((enum collector_reason)i),
			stats->rejected[i]);
	return object;
}

static json_t *
dropped_object(const struct collector_stats *stats)
{
	json_t *object = json_object();

	set_count(object, "slots", stats->dropped_slots);
	set_count(object, "threads", stats->dropped_threads);
	set_count(object, "restart", stats->dropped_restart);
	set_count(object, "quota", stats->dropped_quota);
	return object;
}

static json_t *
configuration_object(const struct reload *reload)
{
	json_t *object = json_object();
	double read_seconds;
	bool good = reload_is_good(reload, &read_seconds);

	json_object_set_new(object, "good", json_boolean(good));
	json_object_set_new(object, "read", api_time_json((int64_t)(read_seconds * 1e9)));
	return object;
}

char *
api_status(const struct collector_stats *stats, const struct reload *reload,
	int64_t started_unix_ns, int64_t unix_ns)
{
	const struct configuration *config = reload_configuration(reload);
	json_t *root = json_object();
	char *text, *line = NULL;

	json_object_set_new(root, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(root, "time", api_time_json(unix_ns));
	json_object_set_new(root, "started", api_time_json(started_unix_ns));
	json_object_set_new(root, "stall_threshold_seconds",
		json_real((double)config->threshold_ns / 1e9));
	json_object_set_new(root, "configuration", configuration_object(reload));
	json_object_set_new(root, "rejected", rejected_object(stats));
	json_object_set_new(root, "dropped", dropped_object(stats));
	text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
