/* SPDX-License-Identifier: MIT */
/* What looplagd serves at which path. Everything is built when it is asked for. */

#include "config.h"

#include "daemon/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/alerting.h"
#include "daemon/api.h"
#include "daemon/api_alerts.h"
#include "daemon/api_stalls.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/exporter.h"
#include "daemon/http.h"
#include "daemon/metrics.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "daemon/text.h"

#define ROUTES 7

struct pages {
	struct collector *collector;
	const struct reload *reload;
	const struct alerting *alerting;
	const char *telemetry_path;
	bool ready;
	struct http_route routes[ROUTES];
};

static struct http_reply
reply(int status, const char *content_type, char *body)
{
	return (struct http_reply){
		.status = status,
		.content_type = content_type,
		.body = body,
		.length = body ? strlen(body) : 0,
	};
}

static struct http_reply
show_metrics(void *arg, const char *query)
{
	struct http_reply metrics = {.status = 200, .content_type = TEXT_CONTENT_TYPE};
	struct process_stats process = process_read();
	struct pages *pages = arg;
	struct collector_stats stats;
	struct metrics *model;

	collector_read(pages->collector);
	stats = collector_stats(pages->collector);
	model = exporter_collect(collector_groups(pages->collector), &stats, &process);
	if (model) {
		alerting_collect(pages->alerting, model);
		reload_collect(pages->reload, model);
		metrics.body = text_write(model, &metrics.length);
	}
	metrics_free(model);
	return metrics;
}

static struct http_reply
show_groups(void *arg, const char *query)
{
	struct pages *pages = arg;

	collector_read(pages->collector);
	return reply(200, "application/json",
		api_groups(collector_groups(pages->collector),
			alerting_alerts(pages->alerting), API_WINDOW));
}

static struct http_reply
show_alerts(void *arg, const char *query)
{
	struct pages *pages = arg;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return reply(200, "application/json",
		api_alerts(alerting_alerts(pages->alerting),
			collector_groups(pages->collector), event_now_ns(),
			(int64_t)now.tv_sec * 1000000000 + now.tv_nsec));
}

static struct http_reply
show_stalls(void *arg, const char *query)
{
	struct pages *pages = arg;
	bool bad;
	char *body;

	/* So that what lasts is as long as it is now. */
	collector_read(pages->collector);
	body = api_stalls(collector_stalls(pages->collector), query, &bad);
	return bad ? reply(400, "text/plain; charset=utf-8", body)
		   : reply(200, "application/json", body);
}

static struct http_reply
show_healthy(void *arg, const char *query)
{
	return reply(200, "text/plain; charset=utf-8", strdup("looplagd is healthy.\n"));
}

static struct http_reply
show_ready(void *arg, const char *query)
{
	const struct pages *pages = arg;

	if (!pages->ready)
		return reply(503, "text/plain; charset=utf-8",
			strdup("looplagd is not ready yet.\n"));
	return reply(200, "text/plain; charset=utf-8", strdup("looplagd is ready.\n"));
}

static struct http_reply
show_landing(void *arg, const char *query)
{
	const struct pages *pages = arg;
	char *body;

	/* The telemetry path has no character that would need quoting: see options.c. */
	if (asprintf(&body,
		    "<!DOCTYPE html>\n"
		    "<html lang=\"en\">\n"
		    "<head><meta charset=\"utf-8\"><title>looplag</title></head>\n"
		    "<body>\n"
		    "<h1>looplag</h1>\n"
		    "<p>Tells how late the event loops of this machine are.</p>\n"
		    "<p>Version " PACKAGE_VERSION "</p>\n"
		    "<ul>\n"
		    "<li><a href=\"%s\">Metrics</a>, for Prometheus</li>\n"
		    "<li><a href=\"/api/v1/groups\">Groups</a>, as JSON</li>\n"
		    "<li><a href=\"/api/v1/stalls\">Stalls</a>, as JSON</li>\n"
		    "<li><a href=\"/api/v1/alerts\">Alerts</a>, as JSON</li>\n"
		    "<li><a href=\"/-/healthy\">Healthy</a>,\n"
		    "<a href=\"/-/ready\">ready</a></li>\n"
		    "</ul>\n"
		    "</body>\n"
		    "</html>\n",
		    pages->telemetry_path) < 0)
		body = NULL;
	return reply(200, "text/html; charset=utf-8", body);
}

struct pages *
pages_new(struct collector *collector, const struct reload *reload,
	const struct alerting *alerting, const char *telemetry_path)
{
	struct pages *pages = calloc(1, sizeof(*pages));

	if (!pages)
		return NULL;
	*pages = (struct pages){
		.collector = collector,
		.reload = reload,
		.alerting = alerting,
		.telemetry_path = telemetry_path,
		.routes =
			{
				{"/", show_landing},
				{"/-/healthy", show_healthy},
				{"/-/ready", show_ready},
				{"/api/v1/alerts", show_alerts},
				{"/api/v1/groups", show_groups},
				{"/api/v1/stalls", show_stalls},
				{telemetry_path, show_metrics},
			},
	};
	return pages;
}

void
pages_free(struct pages *pages)
{
	free(pages);
}

void
pages_set_ready(struct pages *pages)
{
	pages->ready = true;
}

const struct http_route *
pages_routes(const struct pages *pages, size_t *ret_count)
{
	*ret_count = ROUTES;
	return pages->routes;
}
