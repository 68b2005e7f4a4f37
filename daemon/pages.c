/* SPDX-License-Identifier: MIT */
/* What looplagd serves at which path. Everything is built when it is asked for. */

#include "config.h"

#include "daemon/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/accept.h"
#include "daemon/alerting.h"
#include "daemon/api_alerts.h"
#include "daemon/api_histograms.h"
#include "daemon/api_history.h"
#include "daemon/api_stalls.h"
#include "daemon/api_status.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/http.h"
#include "daemon/openmetrics.h"
#include "daemon/protobuf.h"
#include "daemon/slow_pages.h"
#include "daemon/text.h"

#define ROUTES 10
#define PLAIN "text/plain; charset=utf-8"
#define JSON "application/json"

struct pages {
	struct slow_pages_sources sources;
	const struct past *history;
	int64_t started_unix_ns;
	bool ready;
	bool (*reload)(void *arg); /* or NULL */
	void *reload_arg;
	struct http_route routes[ROUTES];
};

/* What is made in steps, if there is memory for it. */
static struct http_reply
reply_slowly(
	const char *content_type, struct http_work *work, struct http_work **ret_work)
{
	*ret_work = work;
	return (struct http_reply){work ? 200 : 0, content_type};
}

/* Say it, and free it; NULL: out of memory. */
static struct http_reply
reply_with(int status, const char *content_type, char *text, FILE *out)
{
	struct http_reply reply = {text ? status : 0, content_type};

	if (text)
		fputs(text, out);
	free(text);
	return reply;
}

/* The page's variants are the formats. */
static unsigned
choose_format(const char *accept)
{
	return accept_choose(accept);
}

static struct http_reply
show_metrics(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	static const char *const types[] = {
		[ACCEPT_TEXT] = TEXT_CONTENT_TYPE,
		[ACCEPT_OPENMETRICS] = OPENMETRICS_CONTENT_TYPE,
		[ACCEPT_PROTOBUF] = PROTOBUF_CONTENT_TYPE,
	};
	const struct pages *pages = arg;

	return reply_slowly(types[request->variant],
		slow_pages_metrics(&pages->sources, (enum accept_format)request->variant),
		ret_work);
}

static struct http_reply
show_groups(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;

	return reply_slowly(JSON, slow_pages_groups(&pages->sources), ret_work);
}

static struct http_reply
show_alerts(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;

	return reply_with(200, JSON,
		api_alerts(alerting_alerts(pages->sources.alerting),
			collector_groups(pages->sources.collector), event_now_ns(),
			(int64_t)event_unix_ns()),
		out);
}

static struct http_reply
show_histograms(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;
	struct http_reply reply;
	struct api_histograms *asked;
	char *reason;

	asked = api_histograms_new(request->query, &reason);
	if (!asked)
		return reply_with(400, PLAIN, reason, out);
	reply = reply_slowly(
		JSON, slow_pages_histograms(&pages->sources, asked), ret_work);
	if (!*ret_work)
		api_histograms_free(asked);
	return reply;
}

static struct http_reply
show_stalls(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;
	struct http_reply reply;
	struct api_stalls *asked;
	char *reason;

	asked = api_stalls_new(
		collector_stalls(pages->sources.collector), request->query, &reason);
	if (!asked)
		return reply_with(400, PLAIN, reason, out);
	reply = reply_slowly(JSON, slow_pages_stalls(&pages->sources, asked), ret_work);
	if (!*ret_work)
		api_stalls_free(asked);
	return reply;
}

static struct http_reply
show_healthy(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	fputs("looplagd is healthy.\n", out);
	return (struct http_reply){200, PLAIN};
}

static struct http_reply
show_ready(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;

	fputs(pages->ready ? "looplagd is ready.\n" : "looplagd is not ready yet.\n",
		out);
	return (struct http_reply){pages->ready ? 200 : 503, PLAIN};
}

static struct http_reply
do_reload(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;

	if (!pages->reload) {
		fputs("Lifecycle API is not enabled; --web.enable-lifecycle does that.\n",
			out);
		return (struct http_reply){403, PLAIN};
	}
	if (!pages->reload(pages->reload_arg)) {
		fputs("failed to reload config; the log says why, and what was in use "
		      "stays in use.\n",
			out);
		return (struct http_reply){500, PLAIN};
	}
	fputs("Reloaded.\n", out);
	return (struct http_reply){200, PLAIN};
}

static struct http_reply
show_status(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;
	struct collector_stats stats = collector_stats(pages->sources.collector);

	return reply_with(200, JSON,
		api_status(&stats, pages->sources.reload, pages->started_unix_ns,
			(int64_t)event_unix_ns()),
		out);
}

static struct http_reply
show_history(void *arg, const struct http_request *request, FILE *out,
	struct http_work **ret_work)
{
	const struct pages *pages = arg;
	char *reason;
	struct http_work *work = api_history(
		pages->sources.collector, pages->history, request->query, &reason);

	if (!work)
		return reply_with(400, PLAIN, reason, out);
	return reply_slowly(JSON, work, ret_work);
}

struct pages *
pages_new(struct collector *collector, const struct reload *reload,
	const struct alerting *alerting, const struct past *history,
	const char *telemetry_path)
{
	struct pages *pages = calloc(1, sizeof(*pages));

	if (!pages)
		return NULL;
	*pages = (struct pages){
		.sources = {.collector = collector,
			.reload = reload,
			.alerting = alerting,
			.booted_seconds =
				((double)event_unix_ns() - (double)event_now_ns()) / 1e9},
		.history = history,
		.started_unix_ns = (int64_t)event_unix_ns(),
		.routes =
			{
				{.path = "/-/healthy", .fn = show_healthy},
				{.path = "/-/ready", .fn = show_ready},
				{.path = "/-/reload", .fn = do_reload, .posts = true},
				{.path = "/api/v1/alerts", .fn = show_alerts},
				{.path = "/api/v1/groups",
					.fn = show_groups,
					.queued = true},
				{.path = "/api/v1/histograms",
					.fn = show_histograms,
					.queued = true,
					.queries = true},
				{.path = "/api/v1/history",
					.fn = show_history,
					.queued = true,
					.queries = true},
				{.path = "/api/v1/stalls",
					.fn = show_stalls,
					.queued = true,
					.queries = true},
				{.path = "/api/v1/status", .fn = show_status},
				{.path = telemetry_path,
					.fn = show_metrics,
					.queued = true,
					.choose = choose_format},
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
pages_set_http(struct pages *pages, const struct http *http)
{
	pages->sources.http = http;
}

void
pages_add_prom_client(struct pages *pages)
{
	pages->sources.prom_client = true;
}

void
pages_set_reload(struct pages *pages, bool (*fn)(void *arg), void *arg)
{
	pages->reload = fn;
	pages->reload_arg = arg;
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
