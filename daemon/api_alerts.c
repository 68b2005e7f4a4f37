/* SPDX-License-Identifier: MIT */
/* The alerts as JSON; see api_alerts.h. */

#include "config.h"

#include "daemon/api_alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "daemon/alerts.h"
#include "daemon/api_time.h"
#include "daemon/configuration.h"
#include "daemon/counters.h"
#include "daemon/groups.h"

static json_t *
alert_object(const struct alerts_view *view, const char *groupname, int64_t since_unix_ns)
{
	json_t *object = json_object(), *labels = json_object();
	char value[32];

	json_object_set_new(labels, "alertname", json_string(view->rule->name));
	json_object_set_new(labels, "groupname", json_string(groupname));
	json_object_set_new(object, "labels", labels);
	json_object_set_new(object, "annotations", json_object());
	json_object_set_new(object, "state", json_string(alerts_state_name(view->state)));
	json_object_set_new(object, "activeAt", api_time_json(since_unix_ns));
	/* A string there too: it may be NaN. */
	snprintf(value, sizeof(value), "%.9g", view->value);
	json_object_set_new(
		object, "value", json_string(view->value != view->value ? "NaN" : value));
	return object;
}

char *
api_alerts(const struct alerts *alerts, const struct groups *groups, uint64_t now_ns,
	int64_t unix_ns)
{
	json_t *root = json_object(), *data = json_object(), *array = json_array();
	char *text, *line = NULL;

	for (size_t i = 0; i < alerts_rules(alerts); i++) {
		for (size_t j = 0; j < groups_count(groups); j++) {
			struct group_view group = groups_view(groups, j);
			struct alerts_view view;

			if (!alerts_view(alerts, i, group.id, &view) ||
				view.state == ALERTS_INACTIVE)
				continue;
			json_array_append_new(
				array, alert_object(&view, group.groupname,
					       unix_ns - (int64_t)difference(
								 now_ns, view.since_ns)));
		}
	}
	json_object_set_new(data, "alerts", array);
	json_object_set_new(root, "status", json_string("success"));
	json_object_set_new(root, "data", data);
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
